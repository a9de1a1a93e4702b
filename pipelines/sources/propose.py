"""Look at an unknown file and draft its mapping for `city.yaml`.

The draft says which logical source the file most likely is, where its header stands, what each
column is and why, and what is left to decide (`TODO`). Values are described by their shape; only
the values of a public category are quoted, since a map of them is to be written (R110).
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any

import fastexcel
import polars as pl
import yaml
from pydantic import ValidationError

from pipelines.settings.fields import ROW, Field, dictionary
from pipelines.settings.mapping import FORM_SHEET, SourceMapping
from pipelines.sources import normalise
from pipelines.sources.admission import header_shown
from pipelines.sources.forms import form_sources
from pipelines.sources.guess import (
    CONSTANT_LIKE,
    NULL_MARKERS,
    Candidate,
    Column,
    Guess,
    date_order,
    describe,
    fits,
    rank,
    shape,
    unit_of,
)
from pipelines.sources.header_words import is_known
from pipelines.sources.personal import mask_personal
from pipelines.sources.tabular import (
    TOTAL,
    clean_text,
    decode,
    header_names,
    read_content,
    refuse_other_kinds,
    unix_lines,
)
from pipelines.sources.workbook import UnreadableError, read_sheet, visible_sheets

_LOOKED_AT = 200  # rows in which a header is looked for
_MOST_HEADER_ROWS = 5
_MOST_VALUES = 30  # a category with more values is none
_MOST_UNMAPPED = 40
NEXT_COMMAND = "python -m pipelines.commands.check CITY"
FITS = 0.35  # a source below it is named, but doubted
_EXPLAINED = 0.6  # least share of headers that a source which lacks a column explains
_NEAR = 0.05  # a source that fits less well by no more than this may be the right one
_NUMBER = re.compile(r"[-(]?[₪ ]*\d[\d,]*(\.\d+)?[-)%]?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}( .*)?")
_YEAR = re.compile(r"(19|20)\d\d")
_SPELT_YEAR = re.compile(
    r"(?<!\d)20\d\d ?[-/] ?(?:20)?\d\d(?!\d)|20\d\d 20\d\d|(?<![א-ת])תש[א-ת]\"?[א-ת]?(?![א-ת])"
)
_SPELT_GRADE = re.compile(r"(?<![א-ת])(?:כיתות|כיתה|כתה|שכבה|שכבת) ([א-ו]|[1-6])'?(?![\w'])")


@dataclass(frozen=True)
class Layout:
    """Where the table stands in a file, as options of a mapping, and what was seen on the way.

    Attributes:
        options: `format`, and as needed `encoding`, `delimiter`, `sheet`, `header_row`,
            `header_rows`.
        notes: option → comment.
        title: what stands above the header.
        rows: the table as the reader will see it, without rows of totals; where groups of columns
            become rows, as it stands after that.
        totals: how many of those there are.
        wide: contract column → its value → {name of a column of `rows`: header of the group}.
    """

    options: dict[str, Any]
    notes: dict[str, str]
    title: str
    rows: pl.DataFrame
    totals: int
    wide: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)


# ---- where the table stands -------------------------------------------------------------------


def layouts(path: Path) -> list[Layout]:
    """Return the tables of a file: one, or one per sheet of a workbook that has a header.

    Raises:
        UnreadableError: if the file is missing or empty, of no known format, or has no header;
            says why and what to do.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableError(
            f"it cannot be opened ({error.strerror})", "לא ניתן לפתוח את הקובץ"
        ) from None
    if not content.strip():
        raise UnreadableError("it is empty", "הקובץ ריק")
    refuse_other_kinds(content)
    form, note = _format(path, content)
    read = _sheets if form in ("xlsx", "xls") else _lines
    try:
        if form == "parquet":
            return [_layout(content, {"format": form}, note, [])]
        found = [
            _layout(content, {"format": form, **place, **header}, note, grid)
            for place, grid in read(content)
            if (header := find_header(grid))
        ]
    except UnreadableError:
        raise
    except (fastexcel.FastExcelError, pl.exceptions.PolarsError, ValueError, csv.Error) as error:
        raise UnreadableError(
            f"it looks like {form} but cannot be read as such ({type(error).__name__}); open it"
            " in a spreadsheet program and save it again",
            f"לא ניתן לקרוא את הקובץ כ-{form}; יש לפתוח אותו בגיליון אלקטרוני ולשמור מחדש",
        ) from None
    if not found:
        raise UnreadableError(
            "it has no header row that could be found: its first rows look like data, or there is"
            " no table; add a header row",
            "לא נמצאה שורת כותרות; יש להוסיף שורת כותרות מעל הנתונים",
        )
    return found


def _format(path: Path, content: bytes) -> tuple[str, str]:
    """Tell the format by the first bytes; many a CSV is called .xls."""
    marks = {b"PK": "xlsx", b"\xd0\xcf\x11\xe0": "xls", b"PAR1": "parquet"}
    form = next((name for mark, name in marks.items() if content.startswith(mark)), "csv")
    ending = path.suffix.lower().lstrip(".")
    is_named_so = ending == form or (form == "csv" and ending in ("csv", "txt", "tsv"))
    return form, "" if is_named_so else f"by its content, though the name ends in .{ending}"


def _sheets(content: bytes) -> Iterator[tuple[dict[str, Any], list[list[str]]]]:
    names = visible_sheets(content)
    for name in names:
        cells = read_sheet(content, name).cells.head(_LOOKED_AT)
        place = {"sheet": name} if len(names) > 1 else {}
        yield place, [[clean_text(value or "") for value in row] for row in cells.iter_rows()]


def _lines(content: bytes) -> Iterator[tuple[dict[str, Any], list[list[str]]]]:
    text, _ = decode(content, "auto")
    if "\x00" in text:
        raise ValueError("zero bytes are no text")
    codecs = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1255")
    encoding = next((name for name in codecs if _decoded(content, name) == text), "auto")
    lines = unix_lines(text).split("\n")[:_LOOKED_AT]
    grids = {
        delimiter: [next(csv.reader([line], delimiter=delimiter), []) for line in lines]
        for delimiter in ",;\t|"
    }
    # The right delimiter gives most lines more than one field, and the same number of them.
    widths = {mark: [len(row) for row in grid if len(row) > 1] for mark, grid in grids.items()}
    best = max(widths, key=lambda mark: max(map(widths[mark].count, widths[mark]), default=0))
    place = {"encoding": encoding, "delimiter": "tab" if best == "\t" else best}
    yield place, [[clean_text(value) for value in row] for row in grids[best]]


def _decoded(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None


def find_header(grid: Sequence[Sequence[str]]) -> dict[str, int] | None:
    """Return the rows of a table's header as `header_row` (from 1) and `header_rows`, or None.

    Data begin where the columns of numbers begin to hold numbers. The header is the row above, and
    as many rows above that as give every column a name of its own.
    """
    width = max(map(len, grid), default=0)
    cells = [[*row, *[""] * (width - len(row))] for row in grid]
    kinds = [[_kind(value) for value in row] for row in cells]
    first = _first_data_row(kinds)
    # A row that says the same of several columns names groups of them, and the header goes on.
    while 0 < first < len(cells) - 1 and _is_grouping(cells[first - 1]):
        first += 1
    bottom = next((row for row in range(first - 1, -1, -1) if any(cells[row])), None)
    if bottom is None:
        return None
    used = [column for column in range(width) if any(row[column] for row in cells[first:])]
    tried = []
    for rows in range(1, _MOST_HEADER_ROWS + 1):
        top = bottom - rows + 1
        if top < 0 or sum(map(bool, cells[top])) < min(2, width):
            break
        names = header_names([list(row) for row in cells[top : bottom + 1]])
        nameless = sum(
            names[column] == f"column {column + 1}"
            or bool(re.search(r" \(\d\d?\)$", names[column]))
            for column in used
        )
        tried.append((nameless, rows))
    if not tried:
        return None
    _, rows = min(tried)
    return {"header_row": bottom - rows + 2, "header_rows": rows}


def _is_grouping(row: Sequence[str]) -> bool:
    filled = [value for value in row if value]
    repeats = sum(one == other for one, other in pairwise(row) if one)
    return (
        len(filled) > 2 and repeats >= len(filled) / 2 and not any(map(_NUMBER.fullmatch, filled))
    )


def _kind(value: str) -> str:
    if not value or value in NULL_MARKERS:
        return ""
    if _YEAR.fullmatch(value):
        return "year"
    return "number" if _NUMBER.fullmatch(value) else "text"


def _first_data_row(kinds: Sequence[Sequence[str]]) -> int:
    """Return the first row whose cells are of the kinds usual in their columns."""
    usual = {}
    for column, cells in enumerate(zip(*kinds[len(kinds) // 3 :], strict=True)):
        filled = [kind for kind in cells if kind]
        common = max(set(filled), key=filled.count, default="text")
        if common != "text" and filled.count(common) >= 0.5 * len(filled):
            usual[column] = common
    if not usual:  # all texts: the first row that is as full as the others is the header
        full = max((sum(map(bool, row)) for row in kinds), default=0)
        return next(i for i, row in enumerate(kinds) if sum(map(bool, row)) >= 0.6 * full) + 1
    for number, row in enumerate(kinds):
        alike = sum(row[column] == kind for column, kind in usual.items())
        other = sum(row[column] not in ("", kind) for column, kind in usual.items())
        if alike >= max(1, 0.2 * len(usual)) and alike >= other:
            return number
    return 0


def _layout(
    content: bytes, options: dict[str, Any], note: str, grid: Sequence[Sequence[str]]
) -> Layout:
    mapping = SourceMapping(file="", columns={}, **options)
    rows = read_content(content, mapping).rows.drop(ROW)
    totals = pl.Series([_is_total(row) for row in rows.iter_rows()], dtype=pl.Boolean)
    above = [cell for row in grid[: mapping.header_row - 1] for cell in row if cell]
    notes = {"format": note, "encoding": "as found", "delimiter": "as found"}
    return Layout(options, notes, " ".join(above), rows.filter(~totals), int(totals.sum()))


def _is_total(row: Sequence[str | None]) -> bool:
    return any(re.match(TOTAL, clean_text(value).lower()) for value in row[:3] if value)


# ---- the draft --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Todo:
    """What a draft leaves to people.

    Attributes:
        place: where in the mapping, such as `("columns", "pupils")` or `("values", field, value)`;
            empty where nothing has to be written.
        said: what is left, in English.
        indent: of the comment that says so.
    """

    place: tuple[str, ...]
    said: str
    indent: int = 6

    def __str__(self) -> str:
        """Return it as a comment of the draft."""
        return f"{' ' * self.indent}# TODO {self.said}"


@dataclass(frozen=True)
class Draft:
    """The mapping of one table, drafted by looking at it.

    Attributes:
        layout: where the table stands.
        candidates: the source it is drafted for, then others, best first.
        text: the draft as YAML with comments.
        todos: what it leaves to people.
    """

    layout: Layout
    candidates: tuple[Candidate, ...]
    text: str
    todos: tuple[Todo, ...]

    @property
    def source_id(self) -> str:
        """The source it is drafted for."""
        return self.candidates[0].source_id

    @property
    def is_doubtful(self) -> bool:
        """Whether the table may be of another source, or of none."""
        first, *others = (candidate.score for candidate in self.candidates)
        # Many headers say nothing, and the source lacks a column that it needs.
        best = self.candidates[0]
        named = len(best.guesses) / max(1, len(best.guesses) + best.unexplained)
        is_lacking = named < _EXPLAINED and any(place[0] == "columns" for place in self._places())
        return first < FITS or is_lacking or any(first - other < _NEAR for other in others)

    def _places(self) -> list[tuple[str, ...]]:
        """Return what is left to write, without what a whole file may have in common."""
        return [
            todo.place
            for todo in self.todos
            if todo.place and not (todo.place[0] == "columns" and todo.place[1] in CONSTANT_LIKE)
        ]

    @property
    def mapping(self) -> dict[str, Any]:
        """The mapping alone, as `city.yaml` holds it."""
        return dict(yaml.safe_load(self.text)["sources"][self.source_id])


def draft(path: Path, layout: Layout, candidates: Sequence[Candidate]) -> Draft:
    """Return a draft mapping as YAML with comments.

    Args:
        path: the file.
        layout: where its table stands.
        candidates: the source to draft for, then others worth naming.
    """
    best, *others = candidates
    columns = {column.header: column for column in describe(layout.rows)}
    lines: list[str | Todo] = [
        f"# Draft mapping of {path.name}, made by looking at it: check every line.",
        f"# Source {best.source_id}: score {best.score:.2f} of 1."
        + "".join(f" Next: {other.source_id} ({other.score:.2f})." for other in others[:2]),
    ]
    if best.score < FITS:
        doubt = "no source fits well: is it one of the project's sources at all?"
        lines.append(Todo((), doubt, indent=0))
    if layout.title:
        lines.append("# Rows above the header are skipped.")
    if layout.totals:
        lines.append(f"# {layout.totals} row(s) of totals were seen: the reader sets them aside.")
    file = f"    file: {_scalar(path.name)}"
    if year := _year_in(path.name):
        pattern = _scalar(path.name.replace(year, "{school_year}"))
        file += f"  # one file per school year? then {pattern}"
    lines += ["sources:", f"  {best.source_id}:", file]
    for option, value in layout.options.items():
        note = layout.notes.get(option)
        lines.append(f"    {option}: {_scalar(value)}" + (f"  # {note}" if note else ""))
    chosen = {
        name: found
        for name, found in best.guesses.items()
        if header_shown(found.header) == found.header or is_known(found.header)
    }
    said = said_above(best.source_id, set(chosen), path, layout)
    kept, unpivot = _unpivoted(chosen, layout) if layout.wide else (chosen, [])
    given = set(chosen) - set(kept)
    lines += _columns(Candidate(best.source_id, best.score, kept), columns, said, given)
    lines += unpivot
    read = {name: found for name, found in chosen.items() if name not in layout.wide}
    lines += _options(read, columns, layout)
    text = "\n".join(map(str, lines)) + "\n"
    text += "".join(f"# {line}\n" for line in _next_steps(text, best.source_id))
    todos = tuple(line for line in lines if isinstance(line, Todo))
    return Draft(layout, tuple(candidates), text, todos)


def _columns(
    best: Candidate, columns: dict[str, Column], said: dict[str, Said], given: set[str]
) -> Iterator[str | Todo]:
    words, table = dictionary(), dictionary().contract(best.source_id)
    yield "    columns:" if best.guesses else "    columns: {}"
    for name in table.contract:
        field = words.fields[name]
        if found := best.guesses.get(name):
            column = columns[found.header]
            rivals = "".join(f"; or {header_shown(rival)!r}?" for rival in found.rivals[:3])
            yield (
                f"      {name}: {_scalar(found.header)}  # {found.confidence}:"
                f" {found.reason}{rivals}"
            )
            if field.privacy != "personal" and (look := column.look):
                yield Todo(
                    (),
                    f"{name}: {look}, though the column is not about persons: is it the right one?",
                )
            if field.unit == "code" and _lost_zeros(field, column):
                yield Todo(
                    (),
                    f"{name}: codes of several lengths, none begins with 0: were leading zeros"
                    " lost?",
                )
        elif name not in table.contract_nullable | said.keys() | given:
            yield Todo(
                ("columns", name),
                f"{name}: required ({field.en}, {field.he}), no header fits; name the header, or"
                " write a constant",
            )
    used = {found.header for found in best.guesses.values()}
    # Where hardly a header says anything, the first row may be a record: then none is quoted.
    is_header = sum(found.by_header for found in best.guesses.values()) > 1
    left = [column for column in columns.values() if column.header not in used]
    for number, column in enumerate(left[:_MOST_UNMAPPED], start=1):
        look = column.look
        advice = f"{look}: leave it out" if look else shape(column.values)
        shown = repr(header_shown(column.header)) if is_header else f"unmapped header {number}"
        yield Todo((), f"{shown} fits no column ({advice})")
    if len(left) > _MOST_UNMAPPED:
        yield f"      # … and {len(left) - _MOST_UNMAPPED} more headers that fit no column"
    if said:
        held = ", ".join(f"{name}: {_quoted(constant.value)}" for name, constant in said.items())
        why = "; ".join(f"{name}: {constant.reason}" for name, constant in said.items())
        yield f"    constants: {{{held}}}  # {why}"
        for name, constant in said.items():
            if constant.others:
                yield Todo(
                    ("constants", name),
                    f"{name}: elsewhere it says {', '.join(constant.others)}: which is right?",
                )


@dataclass(frozen=True)
class Said:
    """A value of every row that stands above the table, or in the name of its sheet or file.

    Attributes:
        value: as the contract spells it.
        reason: where it stands, and what is to be minded.
        others: other values that stand elsewhere.
    """

    value: str
    reason: str
    others: tuple[str, ...] = ()


def said_above(source_id: str, found: set[str], path: Path, layout: Layout) -> dict[str, Said]:
    """Return what title, sheet and file name say of the required columns that have no header.

    Args:
        source_id: the source.
        found: contract columns that have a header.
        path: the file.
        layout: where its table stands.
    """
    table, texts = dictionary().contract(source_id), texts_about(path, layout)
    needed = [n for n in table.contract if n not in table.contract_nullable and n not in found]
    held = {}
    for name in needed:
        values = [(stated(name, text), where) for where, text in texts.items()]
        each = [(next(iter(one)), where) for one, where in values if len(one) == 1]
        if each:
            value, where = each[0]
            reason = f"guess: the {'year' if name == 'school_year' else 'value'} in {where}"
            if name == "school_year" and value in _calendar_years(texts[where]):
                reason += "; it must be the one in which the school year ends"
            others = tuple(dict.fromkeys(other for other, _ in each if other != value))
            held[name] = Said(value, reason, others)
    return held


def _lost_zeros(field: Field, column: Column) -> bool:
    codes = [value for value in column.values if value.isdecimal()]
    several = len(set(map(len, codes))) > 1
    return not field.digits and several and not any(code.startswith("0") for code in codes)


def _unpivoted(chosen: dict[str, Guess], layout: Layout) -> tuple[dict[str, Guess], list[str]]:
    """Return the columns that are no group's, and the line that makes the groups rows."""
    [(column, values)] = layout.wide.items()
    grouped = {name for names in values.values() for name in names}
    of_groups = {name: found.header for name, found in chosen.items() if found.header in grouped}
    kept = {n: found for n, found in chosen.items() if n not in of_groups and n != column}
    held = {
        value: {name: names[header] for name, header in of_groups.items() if header in names}
        for value, names in values.items()
    }
    text = _scalar({"column": column, "values": held})
    return kept, [f"    unpivot: {text}  # guess: a group of columns for each {column}"]


def texts_about(path: Path, layout: Layout) -> dict[str, str]:
    """Return the texts that speak of a whole table, by where they stand, the nearest first."""
    return {
        "the text above the header": layout.title,
        "the sheet's name": str(layout.options.get("sheet", "")),
        "the file's name": path.stem,
    }


def stated(name: str, text: str) -> set[str]:
    """Return the values of a column that a text about a whole table names: none, one or more.

    School years are read in any spelling, grades after their word, categories by every known
    spelling, in the plural too.
    """
    text = normalise.spelling(text.replace("_", " "))
    if name == "school_year":
        certain = {year for part in _SPELT_YEAR.findall(text) if (year := _year(part))}
        return certain or _calendar_years(text)
    if name == "grade":
        return {grade for part in _SPELT_GRADE.findall(text) if (grade := normalise.grade(part))}
    if not dictionary().fields[name].allowed:
        return set()
    values = set()
    for known, value in sorted(normalise.known_spellings(name).items(), key=lambda k: -len(k[0])):
        pattern = rf"(?<![\w\"])[הבלומש]?{re.escape(known)}(?:ים|יים|יות|ות|ית)?(?![\w\"])"
        if len(known) > 2 and re.search(pattern, text):
            values.add(value)
            text = re.sub(pattern, " ", text)
    return values


def _year(text: str) -> str | None:
    return normalise.school_year(text.replace("/", "-").replace(" ", ""))


def _calendar_years(text: str) -> set[str]:
    return set(re.findall(r"(?<!\d)20\d\d(?!\d)", text))


def _options(
    chosen: dict[str, Guess], columns: dict[str, Column], layout: Layout
) -> Iterator[str | Todo]:
    fields = dictionary().fields
    held = {name: columns[found.header] for name, found in chosen.items()}
    maps = [line for name in held for line in _value_map(fields[name], chosen[name], held[name])]
    if any(isinstance(line, str) for line in maps):
        yield "    values:"
    yield from maps
    markers = sorted({marker for column in held.values() for marker in column.nulls})
    if markers:
        yield f"    nulls: [{', '.join(map(_quoted, markers))}]  # seen in mapped columns"
    merged = [
        name
        for name, column in held.items()
        if layout.options["format"] in ("xlsx", "xls")
        and 0.02 < column.filled < 0.6
        and fields[name].type == "VARCHAR"
        and column.starts_filled
    ]
    if merged:
        yield Todo(
            ("fill_down", *merged),
            f"many empty cells in {', '.join(merged)}: merged downwards? then add"
            f" fill_down: [{', '.join(merged)}]",
            indent=4,
        )
    units = {
        name: found
        for name, column in held.items()
        if (found := unit_of(fields[name], column, layout.title))
    }
    if units:
        yield "    units:"
        yield from (f"      {name}: {unit}  # {why}" for name, (unit, why) in units.items())
    dated = [name for name in held if fields[name].type == "DATE"]
    if order := date_order(value for name in dated for value in held[name].values):
        yield f"    dates: {order[0]}  # {order[1]}"


def _value_map(field: Field, found: Guess, column: Column) -> Iterator[str | Todo]:
    """Yield map lines for the values of a category that are not known, without quoting persons."""
    ours = [str(value) for value in field.allowed] or ["true", "false"]
    if not field.allowed and field.type != "BOOLEAN":
        return
    unknown = [value for value in column.values if not fits(field, value)]
    if field.type == "BOOLEAN" and {normalise.flag(value) for value in column.values} == {"true"}:
        if column.filled < 1:
            yield f"      {field.name}:"
            yield "        '': 'false'  # guess: the column is ticked, so an empty cell means no"
        return
    if not unknown:
        return
    if not _may_quote(field, found, column, len(unknown)):
        yield Todo(
            ("values", field.name),
            f"{field.name}: {len(unknown)} unknown value(s) ({shape(unknown)}); map each to one of"
            f" {', '.join(ours)}",
        )
        return
    known = normalise.known_spellings(field.name)
    near = {
        value: known[close[0]]
        for value in unknown
        if (close := get_close_matches(normalise.spelling(value), known, 1, 0.8))
    }
    if near:
        yield f"      {field.name}:"
        for value, meant in near.items():
            yield f"        {_quoted(value)}: {_scalar(meant)}  # guess: resembles a known spelling"
    for value in unknown:
        if value not in near:
            yield Todo(
                ("values", field.name, value),
                f"values.{field.name}: {_quoted(value)} is one of {', '.join(ours)}",
            )


def _may_quote(field: Field, found: Guess, column: Column, unknown: int) -> bool:
    """Tell whether a column surely holds a public category, so that its values name nobody."""
    is_category = (found.by_header and found.score >= 0.7) or unknown <= len(column.values) / 2
    return (
        field.privacy == "public"
        and is_category
        and len(column.values) <= _MOST_VALUES
        and column.look is None
        and all(
            len(value) <= 40 and mask_personal(value) == value and not re.search(r"\d{5}", value)
            for value in column.values
        )
    )


def _year_in(name: str) -> str | None:
    years = set(re.findall(r"(?<!\d)20\d\d(?!\d)", name))
    return years.pop() if len(years) == 1 else None


def _scalar(value: object) -> str:
    """Write one value as YAML, quoted only where it must be."""
    text = yaml.safe_dump(value, allow_unicode=True, width=10_000, default_flow_style=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def missing(text: str, source_id: str) -> str | None:
    """Return what keeps a draft from being a mapping of its source, or None if nothing does."""
    raw = yaml.safe_load(text)["sources"][source_id]
    try:
        return SourceMapping.model_validate(raw).misfit(source_id)
    except ValidationError as error:
        return "; ".join(item["msg"] for item in error.errors())


def _next_steps(text: str, source_id: str) -> tuple[str, str]:
    left, todo = missing(text, source_id), text.count("# TODO")
    if left:
        state_en, state_he = f"Not complete ({left}).", "הטיוטה אינה שלמה: חסרות עמודות חובה."
    else:
        state_en, state_he = "All required columns are there.", "כל עמודות החובה נמצאו."
    return (
        (
            f"{state_en} Settle the TODO lines ({todo}), check the guesses, put the block under"
            f" `sources:` of the city's city.yaml, and run `{NEXT_COMMAND}`."
        ),
        (
            f"{state_he} יש להכריע בשורות TODO ({todo}), לבדוק את הניחושים, להעתיק את הקטע אל"
            f" sources: בקובץ city.yaml של העיר, ולהריץ {NEXT_COMMAND}."
        ),
    )


# ---- a file -----------------------------------------------------------------------------------


def propose(path: Path, source_id: str | None = None) -> str:
    """Return the draft mapping of a file, for the source it fits best or the one named.

    Raises:
        UnreadableError: if the file cannot be read, has no header, or none that is known.
        KeyError: naming the known sources, if there is no such source.
    """
    found = layouts(path)
    forms = form_sheets(found)
    if source_id in forms:
        return _of_forms(path, {source_id: forms[source_id]})
    if forms and source_id is None:
        return _of_forms(path, forms)
    ranked = [
        (layout, _ranked(path, layout, [source_id] if source_id else None)) for layout in found
    ]
    layout, candidates = max(ranked, key=_worth)
    if not source_id and not candidates[0].guesses:
        raise UnreadableError(
            "it has no header that the contract of a source knows: is the first row a header, and"
            " is it the right file? The source can be named by --source",
            "אף כותרת בקובץ אינה מוכרת; יש לבדוק שהשורה הראשונה היא שורת כותרות ושזה הקובץ הנכון",
        )
    others = [item.options["sheet"] for item, _ in ranked if item is not layout]
    if others:
        layout.notes["sheet"] = (
            f"other sheets with a table: {', '.join(repr(header_shown(name)) for name in others)}"
        )
    return draft(path, layout, candidates).text


def proposals(path: Path) -> list[Draft]:
    """Return a draft for every table of a file: of each sheet, and of wide sheets as rows.

    Raises:
        UnreadableError: as `propose`.
    """
    drafts = []
    for layout in layouts(path):
        tried = [layout, *_as_rows(layout)]
        ranked = [(one, _ranked(path, one)) for one in tried]
        best, candidates = max(ranked, key=lambda item: item[1][0].score)
        if candidates[0].guesses:
            drafts.append(draft(path, best, candidates))
    return drafts


def _ranked(path: Path, layout: Layout, sources: Sequence[str] | None = None) -> list[Candidate]:
    return rank(describe(layout.rows), sources, texts_about(path, layout).values())


def _as_rows(layout: Layout) -> Iterator[Layout]:
    """Yield a table of several columns for each subject or year as one with a row for each."""
    for name, default in (("subject", "score_mean"), ("school_year", "")):
        groups: dict[str, dict[str, str]] = {}
        for header in layout.rows.columns:
            values = stated(name, header)
            if len(values) == 1:
                rest = _without_value(name, header) or (
                    dictionary().fields[default].he if default else ""
                )
                if rest:
                    groups.setdefault(next(iter(values)), {})[rest] = header
        alike = len({frozenset(group) for group in groups.values()}) == 1
        if len(groups) < 2 or not alike:
            continue
        used = {header for group in groups.values() for header in group.values()}
        kept = [header for header in layout.rows.columns if header not in used]
        label = dictionary().fields[name].he
        if set(kept) & {label, *next(iter(groups.values()))}:
            continue
        parts = [
            layout.rows.select(
                *kept,
                pl.lit(value).alias(label),
                *(pl.col(header).alias(rest) for rest, header in group.items()),
            )
            for value, group in groups.items()
        ]
        yield replace(layout, rows=pl.concat(parts), wide={name: groups})


def _without_value(name: str, header: str) -> str:
    """Return what a header says beside the value of a group."""
    kept = [
        " ".join(word for word in part.split() if not stated(name, word))
        for part in header.split(" / ")
        if stated(name, part) == set() or " " in part.strip()
    ]
    return " ".join(filter(None, kept)).strip(" -–:")


def form_sheets(found: Sequence[Layout]) -> dict[str, str]:
    """Return the sources whose forms a workbook holds, as the product writes them, by their sheets.

    A form of `make forms` holds one, the entry sheet of `make papers` several; none otherwise.
    """
    known = {dictionary().source_he(name): name for name in form_sources()}
    forms = {}
    for layout in found:
        sheet = str(layout.options.get("sheet"))
        headers = {column.header for column in describe(layout.rows)}
        for source_id in form_sources() if sheet == FORM_SHEET else (known.get(sheet),):
            names = dictionary().contract(source_id).contract if source_id else ()
            if source_id and {dictionary().fields[name].he for name in names} <= headers:
                forms[source_id] = sheet
                break
    return forms


def form_of(file: str, sheet: str) -> dict[str, str]:
    """Return the mapping of a form of the product; of one of several in a workbook, its sheet."""
    return {"form": file} | ({"sheet": sheet} if sheet != FORM_SHEET else {})


def _of_forms(path: Path, forms: Mapping[str, str]) -> str:
    """Return the mapping of forms of the product."""
    named = ", ".join(dictionary().source_he(source_id) for source_id in forms)
    lines = ""
    for source_id, sheet in forms.items():
        said = form_of(path.name, sheet).items()
        lines += f"  {source_id}:\n" + "".join(f"    {key}: {_scalar(to)}\n" for key, to in said)
    return (
        f"# {path.name} is the form of {', '.join(forms)} that the product writes: nothing is"
        f" guessed.\nsources:\n{lines}"
        "# Put the block under `sources:` of the city's city.yaml, and run"
        f" `{NEXT_COMMAND}`.\n"
        f"# זהו הטופס של {named}; יש להעתיק את הקטע אל sources: בקובץ"
        f" city.yaml של העיר, ולהריץ {NEXT_COMMAND}.\n"
    )


def _worth(item: tuple[Layout, list[Candidate]]) -> float:
    """Of sheets that fit alike the longer one is meant."""
    layout, candidates = item
    return candidates[0].score + 0.02 * math.log10(1 + len(layout.rows))
