"""Look at an unknown file and draft its mapping for `city.yaml`.

The draft says which logical source the file most likely is, where its header stands, what each
column is and why, and what is left to decide (`TODO`). Values are described by their shape; only
the values of a public category are quoted, since a map of them is to be written (R110).
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
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
    NULL_MARKERS,
    Candidate,
    Column,
    Guess,
    date_order,
    describe,
    fits,
    personal_look,
    rank,
    shape,
    unit_of,
)
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
_FITS = 0.35  # a source below it is named, but doubted
_NUMBER = re.compile(r"[-(]?[₪ ]*\d[\d,]*(\.\d+)?[-)%]?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}( .*)?")
_YEAR = re.compile(r"(19|20)\d\d")


@dataclass(frozen=True)
class Layout:
    """Where the table stands in a file, as options of a mapping, and what was seen on the way.

    Attributes:
        options: `format`, and as needed `encoding`, `delimiter`, `sheet`, `header_row`,
            `header_rows`.
        notes: option → comment.
        title: what stands above the header.
        rows: the table as the reader will see it, without rows of totals.
        totals: how many of those there are.
    """

    options: dict[str, Any]
    notes: dict[str, str]
    title: str
    rows: pl.DataFrame
    totals: int


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


def draft(path: Path, layout: Layout, candidates: Sequence[Candidate]) -> str:
    """Return a draft mapping as YAML with comments.

    Args:
        path: the file.
        layout: where its table stands.
        candidates: the source to draft for, then others worth naming.
    """
    best, *others = candidates
    columns = {column.header: column for column in describe(layout.rows)}
    lines = [
        f"# Draft mapping of {path.name}, made by looking at it: check every line.",
        f"# Source {best.source_id}: score {best.score:.2f} of 1."
        + "".join(f" Next: {other.source_id} ({other.score:.2f})." for other in others[:2]),
    ]
    if best.score < _FITS:
        lines.append("# TODO no source fits well: is it one of the project's sources at all?")
    if layout.title:
        lines.append("# Rows above the header are skipped.")
    if layout.totals:
        lines.append(f"# {layout.totals} row(s) of totals were seen: the reader sets them aside.")
    lines += ["sources:", f"  {best.source_id}:", f"    file: {_scalar(path.name)}"]
    if year := _year_in(path.name):
        pattern = _scalar(path.name.replace(year, "{school_year}"))
        lines[-1] += f"  # one file per school year? then {pattern}"
    for option, value in layout.options.items():
        note = layout.notes.get(option)
        lines.append(f"    {option}: {_scalar(value)}" + (f"  # {note}" if note else ""))
    chosen = {
        name: found
        for name, found in best.guesses.items()
        if header_shown(found.header) == found.header
    }
    lines += _columns(best.source_id, Candidate(best.source_id, best.score, chosen), columns, year)
    lines += _options(chosen, columns, layout)
    text = "\n".join(lines) + "\n"
    return text + "".join(f"# {line}\n" for line in _next_steps(text, best.source_id))


def _columns(
    source_id: str, best: Candidate, columns: dict[str, Column], year: str | None
) -> Iterator[str]:
    words, table = dictionary(), dictionary().contract(source_id)
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
            if field.privacy != "personal" and (look := personal_look(column)):
                yield (
                    f"      # TODO {name}: {look}, though the column is not about persons: is it"
                    " the right one?"
                )
            if field.unit == "code" and _lost_zeros(field, column):
                yield (
                    f"      # TODO {name}: codes of several lengths, none begins with 0: were"
                    " leading zeros lost?"
                )
        elif name == "school_year" and year:
            continue
        elif name not in table.contract_nullable:
            yield (
                f"      # TODO {name}: required ({field.en}, {field.he}), no header fits; name the"
                " header, or write a constant"
            )
    used = {found.header for found in best.guesses.values()}
    # Where hardly a header says anything, the first row may be a record: then none is quoted.
    is_header = sum(found.by_header for found in best.guesses.values()) > 1
    left = [column for column in columns.values() if column.header not in used]
    for number, column in enumerate(left[:_MOST_UNMAPPED], start=1):
        look = personal_look(column)
        advice = f"{look}: leave it out" if look else shape(column.values)
        shown = repr(header_shown(column.header)) if is_header else f"unmapped header {number}"
        yield f"      # TODO {shown} fits no column ({advice})"
    if len(left) > _MOST_UNMAPPED:
        yield f"      # … and {len(left) - _MOST_UNMAPPED} more headers that fit no column"
    if year and "school_year" in table.contract and "school_year" not in best.guesses:
        yield (
            f"    constants: {{school_year: '{year}'}}  # guess: the year in the file's name; it"
            " must be the one in which the school year ends"
        )


def _lost_zeros(field: Field, column: Column) -> bool:
    codes = [value for value in column.values if value.isdecimal()]
    several = len(set(map(len, codes))) > 1
    return not field.digits and several and not any(code.startswith("0") for code in codes)


def _options(chosen: dict[str, Guess], columns: dict[str, Column], layout: Layout) -> Iterator[str]:
    fields = dictionary().fields
    held = {name: columns[found.header] for name, found in chosen.items()}
    maps = [line for name in held for line in _value_map(fields[name], chosen[name], held[name])]
    if any(not line.lstrip().startswith("#") for line in maps):
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
        yield (
            f"    # TODO many empty cells in {', '.join(merged)}: merged downwards? then add"
            f" fill_down: [{', '.join(merged)}]"
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


def _value_map(field: Field, found: Guess, column: Column) -> Iterator[str]:
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
        yield (
            f"      # TODO {field.name}: {len(unknown)} unknown value(s) ({shape(unknown)}); map"
            f" each to one of {', '.join(ours)}"
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
            yield f"      # TODO values.{field.name}: {_quoted(value)} is one of {', '.join(ours)}"


def _may_quote(field: Field, found: Guess, column: Column, unknown: int) -> bool:
    """Tell whether a column surely holds a public category, so that its values name nobody."""
    is_category = (found.by_header and found.score >= 0.7) or unknown <= len(column.values) / 2
    return (
        field.privacy == "public"
        and is_category
        and len(column.values) <= _MOST_VALUES
        and personal_look(column) is None
        and all(
            len(value) <= 40 and mask_personal(value) == value and not re.search(r"\d{5}", value)
            for value in column.values
        )
    )


def _year_in(name: str) -> str | None:
    years = set(re.findall(r"(?<!\d)20\d\d(?!\d)", name))
    return years.pop() if len(years) == 1 else None


def _scalar(value: str | int) -> str:
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
    form = form_source(found)
    if form and source_id in (None, form):
        return _of_form(path, form)
    ranked = []
    for layout in found:
        columns = describe(layout.rows)
        ranked.append((layout, rank(columns, [source_id] if source_id else None)))
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
    return draft(path, layout, candidates)


def form_source(found: Sequence[Layout]) -> str | None:
    """Return the source whose form a workbook is, as `make forms` writes it; None if it is none."""
    for layout in found:
        if layout.options.get("sheet") != FORM_SHEET:
            continue
        headers = {column.header for column in describe(layout.rows)}
        for source_id in form_sources():
            names = dictionary().contract(source_id).contract
            if {dictionary().fields[name].he for name in names} <= headers:
                return source_id
    return None


def _of_form(path: Path, source_id: str) -> str:
    """Return the mapping of a form of the product, which names the file alone."""
    return (
        f"# {path.name} is the form of {source_id} that `make forms` writes: nothing is guessed.\n"
        f"sources:\n  {source_id}:\n    form: {_scalar(path.name)}\n"
        "# Put the block under `sources:` of the city's city.yaml, and run"
        f" `{NEXT_COMMAND}`.\n"
        f"# זהו הטופס של {dictionary().source_he(source_id)}; יש להעתיק את הקטע אל sources: בקובץ"
        f" city.yaml של העיר, ולהריץ {NEXT_COMMAND}.\n"
    )


def _worth(item: tuple[Layout, list[Candidate]]) -> float:
    """Of sheets that fit alike the longer one is meant."""
    layout, candidates = item
    return candidates[0].score + 0.02 * math.log10(1 + len(layout.rows))
