"""Guess what the columns of an unknown file hold, by their headers and by the look of their values.

Every guess says why it was made. No value is ever quoted: a column is described by the shape of its
values ("9 digits"), since nobody knows yet whether it is about a person (R110).
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import polars as pl

from pipelines.settings.fields import Field, dictionary
from pipelines.settings.mapping import Unit
from pipelines.sources import normalise, personal
from pipelines.sources.tabular import INVISIBLE

# Headers of Ministry, CBS and municipal files that are neither a column's name nor its label.
OTHER_HEADERS: dict[str, tuple[str, ...]] = {
    "opened_on": ("תאריך פתיחה",),
    "closed_on": ("תאריך סגירה",),
    "capacity_pupils": ("מספר מקומות", "מקומות"),
    "semel_mosad": (
        "semel",
        "סמל",
        "סמל בית ספר",
        "סמל ביה ס",
        "קוד מוסד",
        "school code",
        "school id",
    ),
    "pupil_hash": (
        "pupil id",
        "student id",
        "תעודת זהות",
        "ת ז",
        "תז",
        "מספר זהות",
        "ת ז תלמיד",
        "מזהה תלמיד",
    ),
    "participant_hash": ("participant", "participant id", "משתתף", "מזהה משתתף", "שם המשתתף"),
    "school_year": ("year", "שנה", "שנה ל", "שנת לימוד"),
    "school_name_he": (
        "school name",
        "shem mosad",
        "שם מוסד",
        "שם המוסד",
        "בית ספר",
        "בית הספר",
        "שם ביה ס",
        "שם בית ספר",
    ),
    "authority_name": ("authority", "rashut teur", "רשות", "שם רשות", "שם הרשות", "שם רשות מקומית"),
    "authority_code": ("rashut", "סמל רשות", "סמל הרשות", "סמל יישוב"),
    "locality_name": ("locality", "ישוב", "שם יישוב", "שם ישוב"),
    "stat_area": ("א ס", "אזור סטטיסטי", "statistical area"),
    "sector": ("migzar",),
    "supervision_stream": ("pikuach", "supervision", "סוג פיקוח"),
    "legal_status": ("מעמד", "סטטוס משפטי"),
    "education_stage": ("שלב", "שלב חינוך מוסד"),
    "education_type": ("סוג מוסד", "סוג בית ספר"),
    "pupils": ("students", "pupils total", "מספר תלמידים", "מס תלמידים", "תלמידים סה כ"),
    "classes": ("מספר כיתות", "מס כיתות"),
    "grade": ("shichva", "שכבת גיל", "דרגת כיתה", "כיתה"),
    "class_id": ("class", "מקבילה", "מספר כיתה"),
    "sex": ("gender", "מגדר"),
    "is_sen_integration": ("שילוב", "ילד שילוב"),
    "birth_year": ("year of birth",),
    "subject": ("subject id", "מקצוע הבחינה", "תחום דעת"),
    "score": ("ציון סופי", "ציון במבחן", "grade score"),
    "score_mean": ("score", "mean", "ממוצע", "ממוצע ציונים"),
    "tested_pupils": ("מספר נבחנים", "מס נבחנים"),
    "response_id": (
        "response",
        "program",
        "programme",
        "מענה",
        "תוכנית",
        "תכנית",
        "שם התוכנית",
        "שם התכנית",
    ),
    "response_name_he": ("שם המענה", "שם המיזם", "שם התוכנית", "שם התכנית"),
    "participants": ("מספר משתתפים", "מס משתתפים"),
    "funding_channel": ("מקור מימון", "גורם מממן"),
    "plan_nis": ("plan", "תקציב", "תקציב מאושר", "תכנון"),
    "actual_nis": ("actual", "ביצוע בפועל"),
    "gefen_nis": ("גפן", "סל גפן", "תקציב גפן"),
    "ministry_nis": ("תקציב משרד", "השתתפות משרד החינוך"),
    "population": ("אוכלוסייה בסוף", "מספר תושבים", "residents"),
    "pupils_elementary": ("תלמידים בבתי ספר יסודיים", "תלמידים ביסודי"),
    "dropout_pct": ("תלמידים נושרים", "אחוז נושרים", "שיעור נשירה"),
    "bagrut_pct": ("זכאים לתעודת בגרות", "זכאים לבגרות", "אחוז זכאות לבגרות"),
    "ses_cluster_cbs": ("ses cluster", "cluster", "אשכול", "אשכול למס"),
    "ses_value_cbs": ("ses value", "index value", "ערך מדד", "מדד חברתי כלכלי ערך מדד"),
    "ses_category": ("ses", "ses mosad cat"),
    "education_expenditure_nis": ("הוצאות של הרשות לחינוך", "שירותים ממלכתיים חינוך"),
    "excerpt_he": ("ציטוט", "תשובה", "quote", "text"),
    "decision_object": ("about", "על מה"),
    "decision_value": ("value", "ההחלטה"),
    "confirmation_id": ("letter",),
    "confirmation_word": ("answer", "תשובה"),
    "confirmed_by": ("answered by",),
    "confirmed_on": ("answered on", "תאריך התשובה"),
    "confirmed_nis": ("amount",),
    "letter_ref": ("reference", "סימוכין"),
    "decision_reason": ("נימוק", "סיבה", "reason", "rationale"),
    "decided_by_role": ("מי החליט", "הוחלט על ידי", "decided by"),
    "asset_name_he": ("שם הנכס", "שם המתקן"),
}
NULL_MARKERS = (
    "NULL",
    "null",
    "None",
    "nan",
    "NaN",
    "N/A",
    "n/a",
    "NA",
    "#N/A",
    "..",
    "...",
    "-",
    "--",
    "–",
    "—",
    "*",
    "**",
    ".",
    "חסוי",
    "אין נתונים",
    "חסר",
)
# A whole file may be of one year, one scale, one kind of school or of money; that such a column is
# missing is no loss to a source's score.
CONSTANT_LIKE = (
    "school_year",
    "scale_id",
    "education_stage",
    "education_type",
    "year_type",
    "is_formal",
    "is_pedagogical",
    "dose",
)
_CODES = {"semel_mosad": "institution codes", "school_year": "years"}
_NOT_SURE = 0.85
LEAST = 0.45  # below it a guess is not worth an analyst's time
_PERSONAL_HEADER = re.compile(
    r"ת\.?ז|זהות|שם (פרטי|משפחה|מלא|תלמיד|התלמיד|הורה|האם|האב)"
    r"|טלפון|נייד|כתובת|דוא|מייל|phone|mobile|e-?mail|address"
    r"|(first|last|full|family) name|\bid number",
    re.IGNORECASE,
)
_MOST_DISTINCT = 1000  # distinct values looked at per column
_NOISE = re.compile(r'\b(19|20)\d\d(/\d\d(\d\d)?)?\b|תש[א-ת]"[א-ת]|סה"כ|\[\d+\]|(?<=[א-ת])\d\b')
_UNIT_WORDS = {"nis", "agorot", 'ש"ח', "אלפי", "באלפי", "אלפים", "מיליוני", "pct", "₪"}
_WORD = re.compile(r"[\w\"']+")


@dataclass(frozen=True)
class Column:
    """One column of a file: its header, its distinct values (null markers apart), how full it is.

    Attributes:
        header: as the reader names it.
        values: distinct values, most frequent first, at most a thousand.
        rows: rows of each of them.
        nulls: markers of "no value" among them.
        filled: share of rows with a value, 0 to 1.
        starts_filled: whether the first row has a value.
    """

    header: str
    values: tuple[str, ...]
    rows: tuple[int, ...]
    nulls: tuple[str, ...]
    filled: float
    starts_filled: bool


@dataclass(frozen=True)
class Guess:
    """A contract column's likely header.

    Attributes:
        header: of the file.
        score: how sure, 0 to 1.
        reason: why.
        by_header: whether the header said so, not only the values.
        rivals: other headers that fit about as well.
    """

    header: str
    score: float
    reason: str
    by_header: bool
    rivals: tuple[str, ...] = ()

    @property
    def confidence(self) -> str:
        """The score in a word."""
        return "sure" if self.score >= 0.9 else "likely" if self.score >= 0.7 else "guess"


@dataclass(frozen=True)
class Candidate:
    """A logical source, how well a file fits its contract (0 to 1), and which header is what."""

    source_id: str
    score: float
    guesses: Mapping[str, Guess]


def describe(rows: pl.DataFrame) -> list[Column]:
    """Return the columns of a frame of texts, as a reader gives them."""
    found = []
    for series in rows.iter_columns():
        text = series.str.replace_all(INVISIBLE, "").str.replace_all(r"\s+", " ").str.strip_chars()
        text = text.replace("", None)
        is_marker = text.is_in(NULL_MARKERS)
        values = text.filter(~is_marker).drop_nulls()
        counts = pl.DataFrame({"value": values}).group_by("value", maintain_order=True).len()
        top = counts.sort("len", descending=True, maintain_order=True).head(_MOST_DISTINCT)
        found.append(
            Column(
                header=series.name,
                values=tuple(top["value"]),
                rows=tuple(top["len"]),
                nulls=tuple(text.filter(is_marker).unique().drop_nulls()),
                filled=len(values) / max(1, len(series)),
                starts_filled=len(text) > 0 and text[0] is not None,
            )
        )
    return found


# ---- headers ----------------------------------------------------------------------------------


@cache
def _words(text: str) -> tuple[str, ...]:
    """Return the words of a name or header that carry meaning, without brackets and years."""
    plain = re.sub(
        r"\([^)]*\)", " ", normalise.spelling(text.replace("_", " ").replace("/", " / "))
    )
    words = _WORD.findall(_NOISE.sub(" ", plain))
    return tuple(word.replace('"', "") for word in words if word not in _UNIT_WORDS)


@cache
def _names(name: str) -> tuple[tuple[str, tuple[str, ...], str], ...]:
    """Return what a field may be called: as spelt, its words, and how to speak of it."""
    field = dictionary().fields[name]
    known = [
        (name, "the column's name"),
        (field.he, "the Hebrew label"),
        (field.en, "the English label"),
        *((other, "another name of the column") for other in OTHER_HEADERS.get(name, ())),
    ]
    return tuple((normalise.spelling(text), _words(text), what) for text, what in known)


def header_score(name: str, header: str) -> tuple[float, str]:
    """Return how well a header names a field (0 to 1), and why."""
    whole = _words(header)
    parts = [_words(part) for part in header.split(" / ")] if " / " in header else []
    best, why = 0.0, ""
    for spelt, words, what in _names(name):
        score, reason = 0.0, ""
        if not words or not whole:
            continue
        if words == whole:
            score, reason = (1.0 if what != "another name of the column" else 0.92), "equals"
            # What stands in brackets tells apart columns that are otherwise called the same.
            score -= 0.02 if "(" in spelt + header and spelt != normalise.spelling(header) else 0
        elif words in parts:
            # Of several columns under one heading the total is the one without a further word.
            score, reason = 0.8 + 0.1 * len(words) / len(whole), "has a part that equals"
        elif set(words) <= set(whole) and len("".join(words)) > 3:
            score, reason = 0.6 + 0.25 * len(words) / len(whole), "contains the words of"
        elif len(whole) <= 4:
            matcher = difflib.SequenceMatcher(None, " ".join(words), " ".join(whole))
            if matcher.real_quick_ratio() > 0.84 and (ratio := matcher.ratio()) > 0.84:
                score, reason = 0.8 * ratio, "resembles"
        if score > best:
            best, why = score, f"header {reason} {what}"
    return best, why


# ---- values -----------------------------------------------------------------------------------


def shape(values: Iterable[str]) -> str:
    """Describe values by their form only: "9 digits", "1–3 words", "dates"."""
    values = list(values)
    if not values:
        return "empty"
    forms = {
        "dates": r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}",
        "digits": r"\d+",
        "numbers": r"[-(]?[₪ ]*[\d,]+(\.\d+)?[-)%]?",
    }
    for form, pattern in forms.items():
        alike = [value for value in values if re.fullmatch(pattern, value)]
        if len(alike) >= 0.9 * len(values):
            return form if form != "digits" else _span(map(len, alike), "digit")
    return _span((len(value.split()) for value in values), "word")


def _span(lengths: Iterable[int], what: str) -> str:
    found = sorted(lengths)
    low, high = found[0], found[-1]
    return f"{low if low == high else f'{low}–{high}'} {what}{'' if high == 1 else 's'}"


def personal_look(column: Column) -> str | None:
    """Say what makes a column look as if it were about persons, or None."""
    if _PERSONAL_HEADER.search(column.header):
        return "the header speaks of persons"
    sample = column.values[:300]
    if not sample:
        return None
    if sum(_is_id(value) for value in sample) > 0.5 * len(sample):
        return "values look like id numbers"
    if sum(personal.mask_numbers(value) != value for value in sample) > 0.2 * len(sample):
        return "values look like phones, e-mails or id numbers"
    if sum(personal.mask_personal(value) != value for value in sample) > 0.4 * len(sample):
        return "values look like names"
    return None


def _is_id(text: str) -> bool:
    """Tell an Israeli id number by its check digit."""
    digits = re.sub(r"\.0+$|-", "", text)
    if not re.fullmatch(r"\d{8,9}", digits):
        return False
    sums = (int(digit) * (1 + place % 2) for place, digit in enumerate(digits.zfill(9)))
    return sum(value // 10 + value % 10 for value in sums) % 10 == 0


def fits(field: Field, text: str) -> bool:
    """Tell whether a text could be a value of a field once it is admitted."""
    if field.name == "school_year":
        year = normalise.school_year(text) or normalise.whole_number(text)
        return year is not None and 2000 <= int(year) <= 2100
    if field.name == "grade" and (found := normalise.grade(text)):
        text = found
    if field.allowed:
        return normalise.spelling(text) in normalise.known_spellings(field.name)
    if field.door == "hash":
        return bool(re.fullmatch(r"\d{5,9}(\.0+)?|[\w-][\w -]{3,}[\w-]", text))
    if field.type == "DATE":
        return bool(normalise.day(text, "dmy") or normalise.day(text, "mdy"))
    if field.type == "BOOLEAN":
        return normalise.flag(text) is not None
    if field.type != "VARCHAR":
        found = normalise.number(text)
        low, high = field.min, field.max
        return found is not None and (
            (low is None or float(found) >= low) and (high is None or float(found) <= high)
        )
    if field.pattern:
        code = normalise.code(text, field.digits) or text
        return bool(re.fullmatch(field.pattern, code))
    return normalise.number(text) is None  # a name is no number


def value_share(field: Field, column: Column) -> float | None:
    """Return the share of filled rows that a field may hold; None if that says nothing."""
    is_free = field.unit in ("key", "code", "category") and not (field.pattern or field.allowed)
    # A response may be mentioned by any of its names (R15).
    if not column.values or is_free or field.name == "response_id":
        return None
    right = sum(
        rows for value, rows in zip(column.values, column.rows, strict=True) if fits(field, value)
    )
    return right / sum(column.rows)


def guess(field: Field, column: Column) -> Guess | None:
    """Guess whether a column is a field: by header, else by values that are like no others."""
    named, why = header_score(field.name, column.header)
    if not named:
        score, what = _by_values(field, column)
        reason = f"the header says nothing, values look like {what}"
        return Guess(column.header, score, reason, by_header=False) if score else None
    share = value_share(field, column)
    looks = shape(column.values) if not field.allowed else "names of categories"
    # Categories are spelt in many ways, so unknown values say little against a header.
    least = 0.8 if field.allowed else 0.3
    score = named * (least + (1 - least) * (1 if share is None else share))
    if share is None:
        reason = f"{why}; values: {looks}"
    elif share >= 0.95:
        reason = f"{why}; values look right ({looks})"
    elif field.allowed:
        reason = f"{why}; {share:.0%} of the values are known"
    else:
        reason = f"{why}; {share:.0%} of the values look right ({looks})"
    return Guess(column.header, score, reason, by_header=True) if score >= LEAST else None


def _by_values(field: Field, column: Column) -> tuple[float, str]:
    values = column.values
    if field.allowed:
        words = [value for value in values if not value.isdecimal()]
        if 2 <= len(words) <= len(values) <= 30 and (value_share(field, column) or 0) >= 0.8:
            return 0.6, f"values of '{field.en}'"
    elif field.name == "pupil_hash":
        if values and sum(map(_is_id, values)) >= 0.9 * len(values):
            return 0.6, "id numbers"
    elif field.name in _CODES and len(values) >= 3 and value_share(field, column) == 1:
        return 0.5, _CODES[field.name]
    return 0, ""


# ---- a whole file -----------------------------------------------------------------------------


def rank(columns: Sequence[Column], sources: Sequence[str] | None = None) -> list[Candidate]:
    """Return the logical sources (all, if none are named) with their scores, best first.

    The score is the share of the contract that was found, rare columns weighing more than those
    that nearly every source has, lowered by headers that remain unexplained.
    """
    words = dictionary()
    sources = sources or words.sources
    names = dict.fromkeys(name for source in sources for name in words.contract(source).contract)
    found = {name: _guesses(words.fields[name], columns) for name in names}
    ranked = [_match(source, found, len(columns)) for source in sources]
    return sorted(ranked, key=lambda candidate: -candidate.score)


def _guesses(field: Field, columns: Sequence[Column]) -> list[Guess]:
    return [found for column in columns if (found := guess(field, column))]


def _match(source_id: str, found: Mapping[str, list[Guess]], columns: int) -> Candidate:
    """Pair a contract's columns with a file's, best pairs first."""
    table = dictionary().contract(source_id)
    pairs = [(candidate, name) for name in table.contract for candidate in found[name]]
    chosen: dict[str, Guess] = {}
    taken: set[str] = set()
    for candidate, name in sorted(pairs, key=lambda pair: -pair[0].score):
        if name not in chosen and candidate.header not in taken:
            chosen[name] = candidate
            taken.add(candidate.header)
    got_by = {name: best.score for name, best in chosen.items()}
    for name, best in chosen.items():
        near = (
            g.header for g in found[name] if g.header not in taken and g.score > best.score - 0.03
        )
        chosen[name] = replace(best, rivals=tuple(near))
        # A header that is the best for another column of the contract as well is never sure.
        doubles = (
            g.score
            for other in table.contract
            for g in found[other]
            if other != name and g.header == best.header and g.score > got_by.get(other, 0)
        )
        if max(doubles, default=0) > best.score - 0.1:
            chosen[name] = replace(chosen[name], score=min(best.score, _NOT_SURE))
    needed = set(table.contract) - table.contract_nullable - set(CONSTANT_LIKE) | set(chosen)
    others = table.contract_nullable - set(chosen)
    total = sum(map(_rarity, needed)) + 0.15 * sum(map(_rarity, others))
    got = sum(_rarity(name) * best.score for name, best in chosen.items())
    return Candidate(source_id, got / total * (0.6 + 0.4 * len(chosen) / max(1, columns)), chosen)


@cache
def _rarity(name: str) -> float:
    words = dictionary()
    holders = sum(name in words.contract(source).contract for source in words.sources)
    return math.log(1 + len(words.sources) / holders)


_UNITS: tuple[tuple[Unit, str], ...] = (
    ("thousand", r"אלפי\b|אלפים|thousand|\bk_?nis\b"),
    ("million", r"מיליו|million"),
    ("agorot", r"אגורות|agorot|\bאג'"),
)


def _is_number(field: Field) -> bool:
    return field.type in ("INTEGER", "BIGINT", "DOUBLE") or field.type.startswith("DECIMAL")


def stated_unit(field: Field, header: str) -> Unit | None:
    """Return the unit that a header states for a column of numbers, if it is not the contract's."""
    found = (unit for unit, pattern in _UNITS if re.search(pattern, header, re.IGNORECASE))
    return next(found, None) if _is_number(field) else None


def unit_of(field: Field, column: Column, title: str) -> tuple[Unit, str] | None:
    """Guess the file's unit where it is not the contract's, and say why.

    Args:
        field: what the column holds.
        column: the column.
        title: what stands above the header; it speaks of money only.
    """
    if unit := stated_unit(field, column.header):
        return unit, "the header says so"
    if not _is_number(field):
        return None
    for unit, pattern in _UNITS:
        if "NIS" in field.unit and re.search(pattern, title, re.IGNORECASE):
            return unit, "the text above the header says so"
    numbers = [float(found) for value in column.values if (found := normalise.number(value))]
    if field.unit == "percent" and numbers and 0 < max(numbers) <= 1:
        return "share", "all values are between 0 and 1, the contract wants percent"
    return None


def date_order(values: Iterable[str]) -> tuple[str, str] | None:
    """Guess the order of days and months like 31/12/2026, and say why; None without such."""
    parts = [re.match(r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d{2})$", value) for value in values]
    pairs = [(int(found[1]), int(found[2])) for found in parts if found]
    if not pairs:
        return None
    first, second = (max(pair[place] for pair in pairs) > 12 for place in (0, 1))
    if first and second:
        return "dmy", "TODO both orders occur: correct the file"
    if second:
        return "mdy", "the second number goes above 12"
    return "dmy", "the first number goes above 12" if first else "no number is above 12: check"
