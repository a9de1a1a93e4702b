"""What a release says, as it can be compared: tables, page cells and texts, sheets, lines.

Markup, styles, drawings, number formats and compression are form, not content, and are left out.
"""

from __future__ import annotations

import filecmp
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import fastexcel
import polars as pl

from pipelines.publish.marts import read_database
from pipelines.publish.release import MANIFEST
from pipelines.settings.fields import dictionary

CELL = "◦"  # stands in a text for a number that is compared as a cell


@dataclass(frozen=True)
class Mart:
    """One published table; `labels` is what its file says about it and its columns ("" = it)."""

    frame: pl.DataFrame
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Cell:
    """A number of a page: the address of its mart cell, its exact value, and how it is shown."""

    address: str
    value: str
    shown: str

    @property
    def table(self) -> str:
        """The table of the address."""
        return self.address.split("/", 1)[0]


@dataclass(frozen=True)
class Block:
    """A paragraph, row or attribute people read; `tables` are those of the cells within it."""

    text: str
    heading: str
    section: str
    tables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """A page in the order of reading."""

    cells: tuple[Cell, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Sheet:
    """A sheet: its table ("" for the cover), column names of that table, and values by row."""

    table: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


@dataclass(frozen=True)
class Workbook:
    """Sheets by their titles, in order."""

    sheets: Mapping[str, Sheet]


@dataclass(frozen=True)
class Lines:
    """A text file."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Values:
    """What a manifest says about its release, beside the hashes of its files."""

    values: Mapping[str, object]


@dataclass(frozen=True)
class Raw:
    """A file of which nothing but its bytes is known."""

    data: bytes


# A Parquet file or a database: its marts by name.
Marts = dict[str, Mart]
Content = Marts | Page | Workbook | Lines | Values | Raw
Contents = Mapping[str, Content]


class UnreadableError(Exception):
    """A file of a release cannot be opened as what its name says."""


def read_both(before: Path, after: Path) -> tuple[Contents, Contents]:
    """Return the contents of two release folders by path; files of equal bytes are left out.

    Raises:
        UnreadableError: naming the file that cannot be read.
    """
    left, right = _files(before), _files(after)
    same = {
        name
        for name in left.keys() & right.keys()
        if filecmp.cmp(left[name], right[name], shallow=False)
    }
    read = [
        {name: _read(found[name]) for name in found if name not in same} for found in (left, right)
    ]
    return read[0], read[1]


def _files(release: Path) -> dict[str, Path]:
    return {
        path.relative_to(release).as_posix(): path
        for path in sorted(release.rglob("*"))
        if path.is_file()
    }


def _read(path: Path) -> Content:
    try:
        if path.suffix == ".parquet":
            return {path.stem: Mart(pl.read_parquet(path), _parquet_labels(path))}
        if path.suffix == ".duckdb":
            labels = read_labels(path)
            return {name: Mart(frame, labels[name]) for name, frame in read_database(path).items()}
        if path.suffix == ".xlsx":
            return read_workbook(path)
        data = path.read_bytes()
        if path.suffix == ".html":
            return read_page(data.decode("utf-8"))
        if path.name == MANIFEST:
            said = json.loads(data)
            return Values({key: value for key, value in said.items() if key != "files"})
    except (
        pl.exceptions.PolarsError,
        duckdb.Error,
        fastexcel.FastExcelError,
        ValueError,
        OSError,
    ) as error:
        raise UnreadableError(
            f"{path}: cannot be read ({error}). Publish the release anew, or compare another."
        ) from error
    try:
        return Lines(tuple(data.decode("utf-8").splitlines()))
    except UnicodeDecodeError:
        return Raw(data)


def read_labels(path: Path) -> dict[str, dict[str, str]]:
    """Return what a published DuckDB file says about each table ("") and its columns."""
    connection = duckdb.connect(str(path), read_only=True)
    try:
        labels: dict[str, dict[str, str]] = {}
        for table, column, label in connection.execute(
            "SELECT table_name, '', comment FROM duckdb_tables() UNION ALL"
            " SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal"
        ).fetchall():
            labels.setdefault(table, {})[column] = label or ""
        return labels
    finally:
        connection.close()


def _parquet_labels(path: Path) -> dict[str, str]:
    metadata = pl.read_parquet_metadata(path)
    return {"": metadata["scope"]} if "scope" in metadata else {}


def read_workbook(path: Path) -> Workbook:
    """Return every sheet of a workbook; columns have the names of the marts beside it.

    fastexcel rounds numbers that it gives as text to nine decimals, so numbers are read as numbers
    too, and the type of each column says which of the two a cell is.
    """
    # An empty column has no type, which it would warn of.
    logging.getLogger("fastexcel").setLevel(logging.ERROR)
    book = fastexcel.read_excel(path)
    return Workbook({title: _sheet(book, title, path.parent) for title in book.sheet_names})


def _sheet(book: fastexcel.ExcelReader, title: str, beside: Path) -> Sheet:
    texts = book.load_sheet(title, header_row=None, skip_rows=0, dtypes="string").to_polars()
    numbers = book.load_sheet(title, header_row=None, skip_rows=0, dtypes="float").to_polars()
    numeric = _numeric(book, title) if texts.height > 1 else set()
    columns = [
        _values(texts[:, index], numbers[:, index], index in numeric)
        for index in range(texts.width)
    ]
    table = {he: name for name, he in dictionary().sheets.items()}.get(title, "")
    mart = beside / f"{table}.parquet"
    named = tuple(pl.read_parquet_schema(mart)) if mart.is_file() else ()
    heads = tuple(str(column[0]) for column in columns) if columns else ()
    return Sheet(
        table=table,
        columns=named if len(named) == len(heads) else heads,
        rows=tuple(zip(*columns, strict=True)),
    )


def _numeric(book: fastexcel.ExcelReader, title: str) -> set[int]:
    """Return the columns of a sheet that hold numbers alone below their heads."""
    typed = book.load_sheet(title, header_row=None, skip_rows=1, schema_sample_rows=None)
    return {info.index for info in typed.selected_columns if info.dtype in ("int", "float")}


def _values(texts: pl.Series, numbers: pl.Series, is_numeric: bool) -> list[object]:
    """Return a column's values: its head as text, then numbers, or texts as they are written."""
    rounded = texts.cast(pl.Float64, strict=False).ne_missing(numbers) & numbers.is_not_null()
    return [
        number if number is not None and row and (is_numeric or is_rounded) else text
        for row, (text, number, is_rounded) in enumerate(zip(texts, numbers, rounded, strict=True))
    ]


def read_page(text: str) -> Page:
    """Return the numbers of a page and the texts around them, in the order of reading."""
    reader = _PageReader()
    reader.feed(text)
    reader.close()
    return Page(tuple(reader.cells), tuple(reader.blocks))


_SILENT = ("style", "script")
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
# What starts a new paragraph. A row of a table stays one text, so that a snippet shows all of it.
_BLOCKS = (
    "address article aside blockquote body caption dd details div dl dt figcaption figure footer"
    " header li main nav ol p pre section summary svg table tbody text tfoot thead title tr ul"
)
_BREAKS = frozenset((*_BLOCKS.split(), *_HEADINGS))
# Attributes that people hear, hover over or follow.
_READ = ("title", "aria-label", "aria-description", "alt", "placeholder", "href", "src")
_SPACE = re.compile(r"\s+")


@dataclass
class _OpenCell:
    """A cell whose end has not come: its element, how many of that name are open, its text."""

    tag: str
    address: str
    value: str
    text: list[str]
    depth: int = 1


class _PageReader(HTMLParser):
    """Collects cells and blocks; knows the section and the nearest heading at every place."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.cells: list[Cell] = []
        self.blocks: list[Block] = []
        self._text: list[str] = []
        self._tables: list[str] = []
        self._open: list[_OpenCell] = []
        self._sections: list[str] = []
        self._unnamed = 0
        self._silent = 0
        self._heading = self._caption = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag in _SILENT:
            self._silent += 1
        if tag in _BREAKS:
            self._flush()
        elif tag in ("td", "th") and any(part.strip() for part in self._text):
            self._text.append(" | ")
        elif tag == "br":
            self._write(" ")
        if tag == "section":
            self._unnamed += "id" not in named
            self._sections.append(named.get("id") or f"section {self._unnamed}")
        for name in _READ:
            if named.get(name):
                self._block(f"{name}: {named[name]}")
        for cell in self._open:
            cell.depth += cell.tag == tag
        if (address := named.get("data-cell")) is not None:
            self._open.append(_OpenCell(tag, address, named.get("data-value") or "", []))

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        for cell in self._open:
            cell.depth -= cell.tag == tag
        while self._open and self._open[-1].depth <= 0:
            self._close(self._open.pop())
        if tag in _BREAKS:
            self._name(tag)
            self._flush()
        if tag == "section" and self._sections:
            self._sections.pop()
        if tag == "table":
            self._caption = ""

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._write(data)

    def close(self) -> None:
        """End what the page left open."""
        super().close()
        while self._open:
            self._close(self._open.pop())
        self._flush()

    def _flush(self) -> None:
        """End the paragraph that is being read."""
        text, tables = _plain(self._text), tuple(dict.fromkeys(self._tables))
        self._text, self._tables = [], []
        if text.strip("| "):
            self._block(text, tables)

    def _block(self, text: str, tables: tuple[str, ...] = ()) -> None:
        section = self._sections[-1] if self._sections else ""
        self.blocks.append(Block(text, self._caption or self._heading, section, tables))

    def _name(self, tag: str) -> None:
        """Remember the heading that ends here."""
        if tag in _HEADINGS:
            self._heading, self._caption = _plain(self._text), ""
        elif tag == "caption":
            self._caption = _plain(self._text)

    def _write(self, text: str) -> None:
        (self._open[-1].text if self._open else self._text).append(text)

    def _close(self, cell: _OpenCell) -> None:
        found = Cell(cell.address, cell.value, _plain(cell.text))
        self.cells.append(found)
        self._tables.append(found.table)
        self._write(CELL)


def _plain(parts: list[str]) -> str:
    return _SPACE.sub(" ", "".join(parts)).strip()
