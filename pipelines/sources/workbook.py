"""One sheet of a workbook as texts, and what a reader would drop in silence: told facts.

A workbook is unpacked and laid out as a rectangle before a cell is seen, so a small file may ask
for all memory there is. What it declares is looked at first; one that is large, or of the old
format that declares nothing, is read in a process of its own with limits of memory and time.
"""

from __future__ import annotations

import io
import pickle
import re
import resource
import subprocess
import sys
import zipfile
from dataclasses import dataclass

import fastexcel
import polars as pl

# What an error cell, or a formula whose result was never stored, is read as.
NO_RESULT = "#NO RESULT!"
ERROR_CELL = r"^#(N/A|NA|DIV/0!|REF!|VALUE!|NAME\?|NUM!|NULL!|SPILL!|CALC!|NO RESULT!)$"
_ERRORS = {"Div0": "#DIV/0!", "NA": "#N/A", "Name": "#NAME?", "Null": "#NULL!"}
_ERRORS |= {"Num": "#NUM!", "Ref": "#REF!", "Value": "#VALUE!"}
_MOST_BYTES = 2**30  # unpacked
_MOST_RATIO, _LEAST_BYTES = 100, 50 * 2**20  # sheets pack by 10 to 30
_MOST_CELLS = 50_000_000
_BYTES_ALONE, _CELLS_ALONE = 64 * 2**20, 5_000_000  # above it in a process of its own
_MEMORY, _SECONDS = 4 * 2**30, 120
_CELL = rb'<c (?:[^>]*? )?r="([A-Z]+)(\d+)"'
_ANY_CELL = re.compile(_CELL)
_BEYOND_Z, _BEYOND_ZZ = (re.compile(rb' r="[A-Z]{%d}' % letters) for letters in (2, 3))
_ROW = re.compile(rb'<row [^>]*?\br="(\d+)"')
_HIDDEN_ROW = re.compile(rb'<row [^>]*?\bhidden="(?:1|true)"')
_NO_RESULT = re.compile(
    _CELL + rb'(?![^>]*\bt="str")[^>]*><f(?:[^>]*/>|[^>]*>[^<]*</f>)(?:<v\s*/>|<v></v>)?</c>'
)


class UnreadableError(ValueError):
    """A file is not what its mapping says; the message holds no value of it.

    Attributes:
        he: the same in Hebrew.
    """

    def __init__(self, en: str, he: str) -> None:
        super().__init__(en)
        self.he = he

    def __reduce__(self) -> tuple[type[UnreadableError], tuple[str, str]]:
        """Return how it is sent from one process to another."""
        return type(self), (str(self), self.he)


@dataclass(frozen=True)
class Sheet:
    """One sheet.

    Attributes:
        cells: a text column per column of the sheet, from its first row on.
        is_hidden: whether people who open the workbook see the sheet.
        hidden_rows: rows that a filter or a hand hides.
        is_1904: whether day 0 of the workbook is 1 January 1904.
    """

    cells: pl.DataFrame
    is_hidden: bool = False
    hidden_rows: int = 0
    is_1904: bool = False


def read_sheet(content: bytes, sheet: str | int) -> Sheet:
    """Read one sheet, by name or by number among those that are not hidden.

    Raises:
        UnreadableError: the workbook would take more memory or time than a table needs, or has no
            such sheet.
        Exception: whatever the reader raises on a file of another kind.
    """
    if not content.startswith(b"PK"):
        return _apart(content, sheet)
    unpacked = _unpacked(content)
    if unpacked > _BYTES_ALONE:
        return _apart(content, sheet)
    return _read(content, sheet, most_cells=_CELLS_ALONE) or _apart(content, sheet)


def visible_sheets(content: bytes) -> list[str]:
    """Return the names of the sheets that people see; of an old workbook, of all.

    Raises:
        UnreadableError: the workbook would take more memory than a table needs.
    """
    if content.startswith(b"PK"):
        _unpacked(content)
    names = fastexcel.read_excel(content).sheet_names
    hidden = {name for name, (_, is_hidden) in _book(content)[0].items() if is_hidden}
    return [name for name in names if name not in hidden] or names


def _unpacked(content: bytes) -> int:
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        size = sum(item.file_size for item in book.infolist())
    if size > _MOST_BYTES or size > max(_LEAST_BYTES, _MOST_RATIO * len(content)):
        raise UnreadableError(
            f"{len(content) / 2**20:,.1f} MB that unpack to {size / 2**20:,.0f} MB are no table:"
            " copy its cells to a new workbook",
            f"קובץ של {len(content) / 2**20:,.1f} MB שנפרש ל-{size / 2**20:,.0f} MB אינו טבלה: יש"
            " להעתיק את התאים לחוברת חדשה",
        )
    return size


def _book(content: bytes) -> tuple[dict[str, tuple[str, bool]], bool]:
    """Return the part and the hiddenness of each sheet, and whether days count from 1904."""
    if not content.startswith(b"PK"):
        return {}, False
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        held = set(book.namelist())
        if not {"xl/workbook.xml", "xl/_rels/workbook.xml.rels"} <= held:
            return {}, False
        text = book.read("xl/workbook.xml").decode("utf-8", "replace")
        links = book.read("xl/_rels/workbook.xml.rels").decode("utf-8", "replace")
    parts = {}
    for link in re.findall(r"<(?:\w+:)?Relationship\b[^>]*>", links):
        given = _attributes(link)
        target = given.get("Target", "")
        parts[given.get("Id")] = target[1:] if target.startswith("/") else f"xl/{target}"
    sheets = {}
    for tag in re.findall(r"<(?:\w+:)?sheet\b[^>]*>", text):
        given = _attributes(tag)
        is_hidden = given.get("state") in ("hidden", "veryHidden")
        sheets[given.get("name", "")] = (parts.get(given.get("r:id"), ""), is_hidden)
    is_1904 = bool(re.search(r'<(?:\w+:)?workbookPr\b[^>]*\bdate1904="(?:1|true)"', text))
    return {name: item for name, item in sheets.items() if item[0] in held}, is_1904


def _attributes(tag: str) -> dict[str, str]:
    plain = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'"}
    return {
        name: re.sub("&(amp|lt|gt|quot|apos);", lambda found: plain[found[0]], value)
        for name, value in re.findall(r'([\w:]+)="([^"]*)"', tag)
    }


def _read(content: bytes, sheet: str | int, *, most_cells: int) -> Sheet | None:
    """Read a sheet of at most so many cells; None if it has more, though few enough for a table."""
    parts, is_1904 = _book(content)
    book = fastexcel.read_excel(content)
    visible = [name for name in book.sheet_names if not parts.get(name, ("", False))[1]]
    if isinstance(sheet, int) and not sheet < len(visible or book.sheet_names):
        raise UnreadableError(
            f"it has {len(visible)} sheet(s) that are not hidden, and sheet {sheet} (from 0) is"
            " asked for",
            f"בחוברת {len(visible)} גיליונות גלויים, והתבקש גיליון {sheet} (מ-0)",
        )
    name = (visible or book.sheet_names)[sheet] if isinstance(sheet, int) else sheet
    if name not in book.sheet_names:
        listed = ", ".join(map(repr, book.sheet_names))
        raise UnreadableError(
            f"it has no sheet {name!r}; there are: {listed}",
            f"אין בחוברת גיליון בשם «{name}»; יש: {listed}",
        )
    part = parts.get(name, ("", False))[0]
    xml = b""
    if part:
        with zipfile.ZipFile(io.BytesIO(content)) as held:
            xml = held.read(part)
        area = _area(xml)
        if area > most_cells or (not area and most_cells < _MOST_CELLS):
            return None
    loaded = book.load_sheet(name, header_row=None, skip_rows=0, dtypes="string")
    batch, errors = loaded.to_arrow_with_errors()
    cells = pl.DataFrame(pl.from_arrow(batch)).with_columns(pl.all().cast(pl.String))
    marks = [
        (*error.offset_position, _ERRORS.get(kind[1], "#VALUE!"))
        for error in (errors.errors if errors else ())
        if (kind := re.search(r"Error\((\w+)\)", error.detail))
    ]
    if b"<f" in xml and (bare := [*_NO_RESULT.finditer(xml)]):
        # The reader leaves out empty columns before the table.
        first = min(_column(name) for name in {found[1] for found in _ANY_CELL.finditer(xml)})
        marks += [(int(found[2]) - 1, _column(found[1]) - first, NO_RESULT) for found in bare]
    is_hidden = loaded.visible != "visible"
    return Sheet(_marked(cells, marks), is_hidden, len(_HIDDEN_ROW.findall(xml)), is_1904)


def _marked(cells: pl.DataFrame, marks: list[tuple[int, int, str]]) -> pl.DataFrame:
    """Write marks into cells; what lies outside of the table's rectangle is no loss."""
    for column in {column for _, column, _ in marks if column < cells.width}:
        own = {row: mark for row, place, mark in marks if place == column and row < cells.height}
        series = cells.to_series(column)
        cells = cells.with_columns(series.scatter(list(own), list(own.values())))
    return cells


def _area(xml: bytes) -> int:
    """Return how many cells lie between the first one and the farthest row and column.

    0 is said of a sheet that is written in another way than usual.

    Raises:
        UnreadableError: more than a table has.
    """
    if b"<row" not in xml:
        return 0 if b"row" in xml else 1
    numbered = _ROW.search(xml, xml.rfind(b"<row"))
    last = max(int(numbered[1]) if numbered else 0, xml.count(b"<row"))
    widest = 702 if _BEYOND_Z.search(xml) else 26
    if last * widest > _CELLS_ALONE or _BEYOND_ZZ.search(xml):
        names = {found[1] for found in _ANY_CELL.finditer(xml)}
        widest = max(map(_column, names), default=0) + 1
    if last * widest > _MOST_CELLS:
        raise UnreadableError(
            f"a cell far from the table makes the sheet {last:,} rows by {widest:,} columns: delete"
            " the rows below the table and the columns beside it, and save it",
            f"תא רחוק מן הטבלה עושה את הגיליון ל-{last:,} שורות על {widest:,} עמודות: יש למחוק את"
            " השורות שמתחת לטבלה ואת העמודות שלצדה ולשמור",
        )
    return last * widest


def _column(letters: bytes) -> int:
    """Return the number of a column from its letters: A is 0."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1


# ---- a process of its own ----------------------------------------------------------------------


def _apart(content: bytes, sheet: str | int) -> Sheet:
    """Read a sheet in a process that may not take more than so much memory and time."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", f"from {__name__} import serve; serve()"],
            input=pickle.dumps((content, sheet)),
            capture_output=True,
            timeout=2 * _SECONDS,
        )
    except subprocess.TimeoutExpired:
        done = None
    if done is None or done.returncode:
        raise UnreadableError(
            f"its sheet takes more than {_MEMORY // 2**30} GB or {_SECONDS} s to read: copy the"
            " table's cells to a new workbook, or save it as CSV",
            f"קריאת הגיליון דורשת יותר מ-{_MEMORY // 2**30} GB או {_SECONDS} שניות: יש להעתיק את"
            " תאי הטבלה לחוברת חדשה, או לשמור כ-CSV",
        )
    found = pickle.loads(done.stdout)
    if isinstance(found, Exception):
        raise found
    return found


def serve() -> None:
    """Read the sheet asked for on the standard input; the answer is a `Sheet` or an error."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    content, sheet = pickle.load(sys.stdin.buffer)
    try:
        found: object = _read(content, sheet, most_cells=_MOST_CELLS)
    except UnreadableError as error:
        found = error
    except fastexcel.FastExcelError as error:
        found = ValueError(type(error).__name__)
    pickle.dump(found, sys.stdout.buffer)
