"""One spelling per value: numbers, dates, codes, years, flags and categories as files write them.

Every function takes one text and returns the contract's spelling of it, or None where it cannot
tell; the value then stays as it came and is quarantined with its reason. Only values that are not
yet in the contract's spelling are looked at, once each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache

import polars as pl
from pyluach import dates as hebrew_dates

from pipelines.settings.fields import Field, dictionary
from pipelines.settings.mapping import FACTORS, SourceMapping

# type → what a value in the contract's spelling looks like
_CANONICAL = {
    "INTEGER": r"^-?\d+$",
    "BIGINT": r"^-?\d+$",
    "DOUBLE": r"^-?\d+(\.\d+)?$",
    "DATE": r"^\d{4}-\d{2}-\d{2}$",
    "BOOLEAN": r"^(true|false)$",
}
_CURRENCY = re.compile(r"₪|ש[\"״']?ח|nis|ils", re.IGNORECASE)
_SUFFIXES = {
    "k": 1000,
    "אלף": 1000,
    "אלפי": 1000,
    "m": 1_000_000,
    "מיליון": 1_000_000,
    "מ'": 1_000_000,
}
_GROUPED = re.compile(r"^\d{1,3}(,\d{3})+(\.\d+)?$")
_TRUE = {"true", "1", "1.0", "כן", "yes", "✓", "✔", "√", "☑", "v"}
_FALSE = {"false", "0", "0.0", "לא", "no"}
_EXCEL_EPOCH = date(1899, 12, 30)  # day 1 is 1 January 1900, and Excel counts a 29 February 1900
_DAYS_TO_1904 = 1462
_MONTHS = {
    "ינואר": 1,
    "פברואר": 2,
    "מרץ": 3,
    "אפריל": 4,
    "מאי": 5,
    "יוני": 6,
    "יולי": 7,
    "אוגוסט": 8,
    "ספטמבר": 9,
    "אוקטובר": 10,
    "נובמבר": 11,
    "דצמבר": 12,
}
_HEBREW_MONTHS = {
    "ניסן": 1,
    "אייר": 2,
    "סיוון": 3,
    "סיון": 3,
    "תמוז": 4,
    "אב": 5,
    "אלול": 6,
    "תשרי": 7,
    "חשוון": 8,
    "חשון": 8,
    "מרחשוון": 8,
    "כסלו": 9,
    "כסליו": 9,
    "טבת": 10,
    "שבט": 11,
    "אדר": 12,
    "אדר א": 12,
    "אדר ב": 13,
}
_LETTERS = dict(
    zip(
        "אבגדהוזחטיכלמנסעפצקרשת",
        (*range(1, 10), *range(10, 100, 10), *range(100, 401, 100)),
        strict=True,
    )
) | dict(zip("ךםןףץ", (20, 40, 50, 80, 90), strict=True))
_GRADE_WORDS, _LAST_GRADE = ("כיתה", "כתה", "שכבה", "שכבת"), 12
_CLASS = re.compile(r"([א-ת]{1,2}) ?-? ?(\d{1,2})")
_QUOTES = str.maketrans(
    {"״": '"', "”": '"', "“": '"', "׳": "'", "’": "'", "־": "-", "–": "-", "—": "-"}
)


def number(text: str) -> str | None:
    """Read 1,234 · ₪ 1,234.50 · (250) · 250- · 12K · 1.5 מיליון · 45% as a plain number."""
    text = _CURRENCY.sub("", text.replace("−", "-")).replace("\u00a0", " ").strip().lower()
    sign = 1
    if text.startswith("(") and text.endswith(")"):
        text, sign = text[1:-1].strip(), -1
    elif text.endswith("-"):
        text, sign = text[:-1].strip(), -1
    text = text.removesuffix("%").strip()
    if re.search(r"\de\+\d", text):  # 1E+07: a spreadsheet has rounded the digits away
        return None
    factor = 1
    for suffix, value in _SUFFIXES.items():
        if text.endswith(suffix) and text[: -len(suffix)].strip()[-1:].isdigit():
            text, factor = text[: -len(suffix)].strip(), value
            break
    if _GROUPED.match(text.lstrip("-")):
        text = text.replace(",", "")
    try:
        value_ = Decimal(text) * sign * factor
    except InvalidOperation:
        return None
    return plain(value_) if value_.is_finite() else None


def plain(value: Decimal) -> str:
    """Write a decimal without exponent and without zeros that say nothing."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def whole_number(text: str) -> str | None:
    """Read a number that is whole: 27.0 is 27, 27.5 is none."""
    found = number(text)
    return found if found is not None and "." not in found else None


def flag(text: str) -> str | None:
    """Read כן/לא, yes/no, 1/0 as true or false."""
    lowered = text.lower()
    return "true" if lowered in _TRUE else "false" if lowered in _FALSE else None


def day(text: str, order: str) -> str | None:
    """Read a date: ISO, day and month in the mapping's order, an Excel day number, a Hebrew date.

    05/13/2026 under the order day–month is no date: a file that mixes both orders cannot be told
    apart for the other days, so such a value is refused rather than turned round.
    """
    text = text.removeprefix("'")  # a spreadsheet's mark of a text
    iso = re.match(r"^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})([ T]\d\d:\d\d(:\d\d)?(\.\d+)?)?$", text)
    parts = re.match(r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d{2})$", text)
    if iso:
        return _date(*(int(part) for part in iso.groups()[:3]))
    if parts and order != "ymd":
        first, second, year = (int(part) for part in parts.groups())
        month, day_ = (second, first) if order == "dmy" else (first, second)
        return _date(year + 2000 if year < 100 else year, month, day_)
    serial = re.match(r"^(\d{5})(\.\d+)?$", text)
    if serial:
        return (_EXCEL_EPOCH + timedelta(days=int(serial[1]))).isoformat()
    named = re.match(r"^(\d{1,2}) ב?([א-ת]+),? (\d{4})$", text)
    if named and named[2] in _MONTHS:
        return _date(int(named[3]), _MONTHS[named[2]], int(named[1]))
    return _hebrew_day(text)


def from_1904(column: pl.Series) -> pl.Series:
    """Return a column with the day numbers of a workbook that counts from 1904 as if from 1900."""
    numbers = column.drop_nulls().unique()
    numbers = numbers.filter(numbers.str.contains(r"^\d{1,5}(\.\d+)?$"))
    return column.replace({text: str(int(float(text)) + _DAYS_TO_1904) for text in numbers})


def ambiguous_days(column: pl.Series) -> pl.Series:
    """Return which dates of a column are possible as day–month and as month–day."""
    first, second = _day_parts(column)
    return ((first <= 12) & (second <= 12) & (first != second)).fill_null(value=False)


def is_of_other_order(column: pl.Series, mapping: SourceMapping) -> bool:
    """Return whether a date is possible in the other order than the mapping's only.

    The file then mixes both, and its ambiguous days were read in the mapping's order without proof.
    """
    first, second = _day_parts(column)
    one = first if mapping.dates == "mdy" else second
    return mapping.dates != "ymd" and bool((one > 12).any())


def _day_parts(column: pl.Series) -> tuple[pl.Series, pl.Series]:
    parts = column.str.extract_groups(r"^(\d{1,2})[-/.](\d{1,2})[-/.](?:\d{4}|\d{2})$")
    first, second = (parts.struct.field(place).cast(pl.Int32) for place in ("1", "2"))
    return first, second


def _date(year: int, month: int, day_: int) -> str | None:
    try:
        return date(year, month, day_).isoformat()
    except ValueError:
        return None


def _hebrew_day(text: str) -> str | None:
    words = text.translate(_QUOTES).replace(",", " ").split()
    if len(words) < 3:
        return None
    month = " ".join(words[1:-1]).replace("'", "").removeprefix("ב")
    day_, year = _gematria(words[0]), hebrew_year(words[-1])
    if month not in _HEBREW_MONTHS or not 1 <= day_ <= 30 or year is None:
        return None
    try:
        found = hebrew_dates.HebrewDate(year, _HEBREW_MONTHS[month], day_)
    except ValueError:
        return None
    return found.to_pydate().isoformat()


def hebrew_year(text: str) -> int | None:
    """Read תשפ"ו, ה'תשפ"ו or התשפ"ו as 5786."""
    letters = text.translate(_QUOTES).replace('"', "").replace("'", "")
    # Letters of a number stand from the largest on: a first ה counts the thousands.
    value = _gematria(letters.removeprefix("ה"))
    return 5000 + value if 700 <= value < 900 else None


def _gematria(text: str) -> int:
    letters = text.translate(_QUOTES).replace('"', "").replace("'", "")
    known = all(letter in _LETTERS for letter in letters)
    return sum(_LETTERS[letter] for letter in letters) if known else 0


def grade(text: str) -> str | None:
    """Read ד, ד', כיתה ד or י"ב as the number of the grade; 4 and 4.0 too."""
    words = text.translate(_QUOTES).replace('"', "").replace("'", "").split()
    if words and words[0] in _GRADE_WORDS:
        words = words[1:]
    # A class may stand where its grade is asked for: ד'1, ד-1.
    letters = _CLASS.fullmatch(" ".join(words))
    found = _gematria(letters[1]) if letters else _gematria(words[0]) if len(words) == 1 else 0
    return str(found) if 1 <= found <= _LAST_GRADE else whole_number(text)


def class_name(text: str) -> str | None:
    """Read ד'1, ד-1, ד 1 and ד1 as one class, 4-1."""
    letters = _CLASS.fullmatch(text.translate(_QUOTES).replace('"', "").replace("'", "").strip())
    found = _gematria(letters[1]) if letters else 0
    return f"{found}-{int(letters[2])}" if letters and 1 <= found <= _LAST_GRADE else None


def school_year(text: str) -> str | None:
    """Read 2025/26 · 2025-2026 · תשפ"ו · תשפ"ו (2025/26) as the year it ends in, 2026."""
    pair = re.search(r"(\d{4})\s*[-/–]\s*(\d{4}|\d{2})\b", text)
    if pair:
        first, last = int(pair[1]), int(pair[2]) % 100
        return str(first + 1) if (first + 1) % 100 == last else None
    if re.match(r"^\d{4}\.0+$", text):
        return text.split(".")[0]
    year = hebrew_year(text.split()[0]) if text.split() else None
    return str(year - 3760) if year else None


def code(text: str, digits: int | None) -> str | None:
    """Read a code that became a number: 900001.0 is 900001; 12345 of six digits is 012345."""
    whole = re.sub(r"\.0+$", "", text)
    if digits and whole.isdecimal() and len(whole) == digits - 1:
        whole = whole.zfill(digits)
    return whole if whole != text else None


def spelling(text: str) -> str:
    """Return a text as names are compared: one kind of quote and hyphen, one case."""
    return " ".join(text.translate(_QUOTES).replace("-", " ").split()).casefold()


@cache
def known_spellings(name: str) -> Mapping[str, str]:
    """Return the spellings of a category field's values: the value, its Hebrew name, its others."""
    words = dictionary()
    values = {str(value): str(value) for value in words.fields[name].allowed}
    labels = {
        label: value for value, label in words.labels.get(name, {}).items() if value in values
    }
    found = words.spellings.get(name, {}) | labels | values
    return {spelling(text): value for text, value in found.items()}


def _reader(field: Field, mapping: SourceMapping) -> Callable[[str], str | None] | None:
    """Return what reads a value of this field that is not in the contract's spelling."""
    if field.name == "school_year":
        return school_year
    if field.name == "grade":
        return grade
    if field.name == "class_id":
        return class_name
    if field.type in ("INTEGER", "BIGINT"):
        return whole_number
    if field.type == "DOUBLE" or field.type.startswith("DECIMAL"):
        return number
    if field.type == "DATE":
        return lambda text: day(text, mapping.dates)
    if field.type == "BOOLEAN":
        return flag
    if field.allowed:
        known = known_spellings(field.name)
        return lambda text: known.get(spelling(text))
    if field.name == "stat_area":  # a number within its locality, written with and without zeros
        return lambda text: re.sub(r"^0+(?=\d+$)", "", re.sub(r"\.0+$", "", text))
    if field.unit == "code":
        return lambda text: code(text, field.digits)
    return None


def normalise(column: pl.Series, field: Field, mapping: SourceMapping) -> pl.Series:
    """Return a column in the contract's spelling; a value that cannot be read stays as it is.

    Args:
        column: texts of one field, null where empty.
        field: what the column holds.
        mapping: its order of days and months, and its unit.
    """
    read = _reader(field, mapping)
    if read is None:
        return column
    pattern = _CANONICAL.get("DOUBLE" if field.type.startswith("DECIMAL") else field.type)
    odd = column.drop_nulls().unique()
    if field.name in mapping.units:
        factor = Decimal(FACTORS[mapping.units[field.name]])
        read = _scaled(factor)
    elif field.name != "school_year" and pattern:
        odd = odd.filter(~odd.str.contains(pattern))
    elif field.allowed:
        odd = odd.filter(~odd.is_in([str(value) for value in field.allowed]))
    elif field.digits:
        odd = odd.filter(~odd.str.contains(rf"^\d{{{field.digits}}}$"))
    pairs = {text: found for text in odd if (found := read(text)) is not None and found != text}
    return column.replace(pairs) if pairs else column


def _scaled(factor: Decimal) -> Callable[[str], str | None]:
    def read(text: str) -> str | None:
        found = number(text)
        return None if found is None else plain(Decimal(found) * factor)

    return read
