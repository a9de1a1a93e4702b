"""Guess what the columns of an unknown file hold, by their headers and by the look of their values.

Every guess says why it was made. No value is ever quoted: a column is described by the shape of its
values ("9 digits"), since nobody knows yet whether it is about a person (R110).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
import polars as pl

from pipelines.settings.fields import Field, Table, dictionary
from pipelines.settings.mapping import Unit
from pipelines.sources import normalise, personal
from pipelines.sources.header_words import header_allows, header_score, is_aside, speaks_of
from pipelines.sources.tabular import INVISIBLE

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
_TITLED = 0.06  # what a title that names a source adds to its score
_NOT_OF_PERSONS = 0.6  # what is left of a source without persons, where a column holds id numbers
_WITHOUT_KEY = 0.75  # what is left where a column of the source's key is missing
_COUNTED = ("pupils", "days", "grade", "band", "decile", "quintile", "year", "years", "number")
LEAST = 0.45  # below it a guess is not worth an analyst's time
_PERSONAL_HEADER = re.compile(
    r"ת\.?ז|זהות|שם (פרטי|משפחה|מלא|תלמיד|התלמיד|הורה|האם|האב)"
    r"|טלפון|נייד|כתובת|דוא|מייל|phone|mobile|e-?mail|address"
    r"|(first|last|full|family) name|\bid number",
    re.IGNORECASE,
)
_MOST_DISTINCT = 1000  # distinct values looked at per column


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

    @cached_property
    def look(self) -> str | None:
        """What makes it look as if it were about persons, or None."""
        return _personal_look(self)

    @cached_property
    def fields(self) -> dict[str, bool]:
        """By field, whether its values alone allow it to be that one, as far as it was asked."""
        return {}


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
    """A logical source, how well a file fits its contract (0 to 1), which header is what, and how
    many headers say nothing to it.
    """

    source_id: str
    score: float
    guesses: Mapping[str, Guess]
    unexplained: int = 0


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


def _personal_look(column: Column) -> str | None:
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
    if field.name == "class_id":
        return bool(re.fullmatch(r"([א-ת]{1,2}|\d{1,2})['\"]? ?[-/]? ?\d{1,2}'?|\d{1,3}", text))
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
    is_free = (
        field.unit in ("key", "code", "category")
        and not (field.pattern or field.allowed)
        and field.name != "class_id"
    )
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
    if named < LEAST:
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
        if _are_ids(column):
            return 0.6, "id numbers"
    elif field.name in _CODES and len(values) >= 3 and value_share(field, column) == 1:
        return 0.5, _CODES[field.name]
    return 0, ""


# ---- a whole file -----------------------------------------------------------------------------


def rank(
    columns: Sequence[Column], sources: Sequence[str] | None = None, about: Iterable[str] = ()
) -> list[Candidate]:
    """Return the logical sources (all, if none are named) with their scores, best first.

    The score is the share of the contract that was found, rare columns weighing more than those
    that nearly every source has, lowered by headers that remain unexplained; a title that names
    the source speaks for it.

    Args:
        columns: of the file.
        sources: that come into question.
        about: texts that speak of the whole table.
    """
    words = dictionary()
    sources = sources or words.sources
    names = dict.fromkeys(name for source in sources for name in words.contract(source).contract)
    found = {name: _guesses(words.fields[name], columns) for name in names}
    texts = [text for text in about if text]
    ranked = []
    for source in sources:
        candidate = _match(source, found, columns)
        if candidate.guesses and any(speaks_of(source, text) for text in texts):
            candidate = replace(candidate, score=min(1.0, candidate.score + _TITLED))
        ranked.append(candidate)
    return sorted(ranked, key=lambda candidate: -candidate.score)


def _guesses(field: Field, columns: Sequence[Column]) -> list[Guess]:
    return [found for column in columns if (found := guess(field, column))]


def _match(
    source_id: str, found: Mapping[str, list[Guess]], columns: Sequence[Column]
) -> Candidate:
    """Pair a contract's columns with a file's so that all pairs together fit best."""
    table, fields = dictionary().contract(source_id), dictionary().fields
    chosen = _assigned({name: found[name] for name in table.contract})
    taken = {best.header for best in chosen.values()}
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
    left = [column for column in columns if column.header not in taken]
    chosen |= _left_over(table, set(chosen), [one for one in left if not is_aside(one.header)])
    needed = set(table.contract) - table.contract_nullable - set(CONSTANT_LIKE) | set(chosen)
    others = table.contract_nullable - set(chosen)
    total = sum(map(_rarity, needed)) + 0.15 * sum(map(_rarity, others))
    got = sum(_rarity(name) * best.score for name, best in chosen.items())
    unexplained = sum(
        one.header not in {best.header for best in chosen.values()} and not is_aside(one.header)
        for one in columns
    )
    score = got / total * (0.6 + 0.4 * len(chosen) / max(1, len(chosen) + unexplained))
    is_of_persons = any(fields[name].door == "hash" for name in table.contract)
    if not is_of_persons and any(_are_ids(column) for column in left):
        score *= _NOT_OF_PERSONS
    # Rows without what tells them apart are rows of another source; a grade may stand in a title.
    if set(table.key) - set(chosen) - {*CONSTANT_LIKE, "grade", "subject"}:
        score *= _WITHOUT_KEY
    return Candidate(source_id, score, chosen, unexplained)


def _assigned(found: Mapping[str, list[Guess]]) -> dict[str, Guess]:
    """Return for each column of the contract at most one header, and each header at most once, so
    that the sum of scores is greatest.
    """
    from scipy.optimize import linear_sum_assignment  # half a second, and only drafts ask for it

    headers = list(dict.fromkeys(g.header for held in found.values() for g in held))
    names = [name for name, held in found.items() if held]
    scores = np.zeros((len(names), len(headers)))
    by_pair = {}
    for row, name in enumerate(names):
        for one in found[name]:
            scores[row, headers.index(one.header)] = one.score
            by_pair[name, one.header] = one
    rows, places = linear_sum_assignment(-scores)
    pairs = ((names[row], headers[place]) for row, place in zip(rows, places, strict=True))
    chosen = {pair[0]: by_pair[pair] for pair in pairs if pair in by_pair}
    return {name: chosen[name] for name in found if name in chosen}


def _left_over(table: Table, found: set[str], left: Sequence[Column]) -> dict[str, Guess]:
    """Return guesses for required columns of which one is left, and one header that could be it.

    It must be a number, a day, a flag or a category as the contract has it, and no other required
    column that is left may be alike.
    """
    needed = [
        dictionary().fields[name]
        for name in table.contract
        if name not in found | table.contract_nullable | {"school_year", "scale_id"}
    ]
    fitting = {
        field.name: [column for column in left if _could_be(field, column)] for field in needed
    }
    chosen = {}
    for name, columns in fitting.items():
        alone = len(columns) == 1 and not any(
            columns[0] in others for other, others in fitting.items() if other != name
        )
        if alone:
            reason = "nothing else is left, and its values could be that"
            chosen[name] = Guess(columns[0].header, LEAST, reason, by_header=False)
    return chosen


def _could_be(field: Field, column: Column) -> bool:
    """Whether values alone allow a column to be a field of numbers, days, flags or categories.

    Many sources ask it of the same field.
    """
    if field.name not in column.fields:
        column.fields[field.name] = _allow(column, field)
    return column.fields[field.name]


def _allow(column: Column, field: Field) -> bool:
    if not (_is_number(field) or field.type in ("DATE", "BOOLEAN") or field.allowed):
        return False
    if len(column.values) < 2 or column.look or (value_share(field, column) or 0) < 0.95:
        return False
    if _is_number(field):
        numbers = [float(normalise.number(value) or 0) for value in column.values]
        if field.unit in _COUNTED and not all(number.is_integer() for number in numbers):
            return False
        return header_allows(field, column.header) and not _codes_or_years(column)
    return True


def _codes_or_years(column: Column) -> bool:
    return all(re.fullmatch(r"\d{6,}|(19|20)\d\d", value) for value in column.values)


def _are_ids(column: Column) -> bool:
    return bool(column.values) and sum(map(_is_id, column.values)) >= 0.9 * len(column.values)


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
