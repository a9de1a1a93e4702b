"""From a file's bytes to a frame of texts: one row per record, with its row in the file.

A record that cannot be split into the header's columns is set aside by itself; it never takes its
neighbours with it. What a value means is decided later (`normalise.py`).
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import dataclass

import fastexcel
import polars as pl

from pipelines.settings.fields import ROW
from pipelines.settings.mapping import SourceMapping

# Marks that right-to-left editors leave inside cells, and NUL bytes; never part of a value.
INVISIBLE = "[\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\u0000]"
_INVISIBLE = re.compile(INVISIBLE)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# How a row of totals begins, in small letters; it is no record.
TOTAL = r"^(סה[\"״']*כ|סך[ -]?הכו?ל|total|grand total)\b"
# How Python writes a byte that does not fit its encoding.
_ESCAPED = re.compile("[\udc80-\udcff]")
# A quoted field may hold line breaks; one that is still open after so many lines is a stray quote.
_MOST_LINES = 20


@dataclass(frozen=True)
class Content:
    """One file as texts.

    Attributes:
        rows: a text column per header, then `file_row` (Int32, from 1 = first row of the file).
        broken: rows of the file that could not be split into the header's columns.
    """

    rows: pl.DataFrame
    broken: tuple[int, ...]


def read_content(content: bytes, mapping: SourceMapping) -> Content:
    """Split a file into records as its mapping says.

    Raises:
        ValueError: if the file ends before its header, or its header names no column.
        Exception: whatever the format's reader raises on a file of another kind.
    """
    if mapping.format == "csv":
        return _csv(*decode(content, mapping.encoding), mapping)
    if mapping.format == "parquet":
        frame = pl.read_parquet(io.BytesIO(content))
        numbers = pl.int_range(1, pl.len() + 1, dtype=pl.Int32).alias(ROW)
        return Content(frame.select(pl.all().cast(pl.String), numbers), ())
    return _workbook(content, mapping)


def decode(content: bytes, encoding: str) -> tuple[str, frozenset[int]]:
    """Return the text of a CSV, and its lines that hold bytes of another encoding.

    Under `auto`: by the byte-order mark; else UTF-8 if most bytes beyond ASCII are UTF-8, so that
    one broken byte spoils its own line and not the file; else cp1255. Bytes that do not fit become
    "\ufffd".

    Raises:
        UnicodeDecodeError: if the bytes are not in a declared encoding, or not in UTF-16.
    """
    for mark, name in _MARKS:
        if content.startswith(mark) and encoding in ("auto", "utf-8", "utf-16"):
            if (encoding, name) == ("auto", "utf-8-sig"):
                return _by_lines(content.decode(name, "surrogateescape"))
            return content.decode(name), frozenset()
    if encoding != "auto":
        return content.decode(encoding), frozenset()
    try:
        return content.decode("utf-8"), frozenset()
    except UnicodeDecodeError:
        pass
    zeros = [place % 2 for place, byte in enumerate(content[:200]) if byte == 0]
    if len(zeros) > 2 and len(set(zeros)) == 1:  # UTF-16 without a mark: half of each ASCII sign
        return content.decode("utf-16-le" if zeros[0] else "utf-16-be"), frozenset()
    text = content.decode("utf-8", "surrogateescape")
    strange = len(_ESCAPED.findall(text))
    beyond_ascii = len(content) - len(content.translate(None, bytes(range(128, 256))))
    if 2 * strange < beyond_ascii:
        return _by_lines(text)
    return _by_lines(content.decode("cp1255", "surrogateescape"))


def _by_lines(text: str) -> tuple[str, frozenset[int]]:
    """Number the lines that hold bytes which could not be read, from 1, and mark those bytes."""
    bad = {
        number
        for number, line in enumerate(unix_lines(text).split("\n"), start=1)
        if _ESCAPED.search(line)
    }
    return _ESCAPED.sub("\ufffd", text), frozenset(bad)


def unix_lines(text: str) -> str:
    """Return a text with every line ending as one line feed."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


# ---- CSV --------------------------------------------------------------------------------------


def _csv(text: str, bad: frozenset[int], mapping: SourceMapping) -> Content:
    """Split a text; a record with a line in `bad` is set aside."""
    top = unix_lines(text).split("\n", mapping.first_data_row - 1)[mapping.header_row - 1 :]
    if len(top) < mapping.header_rows:
        raise ValueError(
            f"the file ends before row {mapping.header_row}, where its header should be"
        )
    top, rest = top[: mapping.header_rows], top[mapping.header_rows :]
    delimiter = _delimiter(top[-1], mapping)
    names = header_names([next(csv.reader([line], delimiter=delimiter), []) for line in top])
    lines = pl.select(pl.lit(rest).list.explode().str.split("\n").list.explode().alias("line"))
    numbered = lines.with_columns(
        (pl.int_range(pl.len(), dtype=pl.Int32) + mapping.first_data_row).alias(ROW)
    ).filter(pl.col("line").str.strip_chars(f" \t{delimiter}") != "")
    has_quote = pl.col("line").str.contains('"', literal=True)
    fits = pl.col("line").str.count_matches(delimiter, literal=True) == len(names) - 1
    if bad:
        fits &= ~pl.col(ROW).is_in(list(bad))
    plain = numbered.filter(~has_quote)
    rows = _split(plain.filter(fits), names, delimiter)
    broken = plain.filter(~fits)[ROW].to_list()
    with_quotes = numbered.filter(has_quote)
    if not with_quotes.is_empty():
        rows, broken = _with_quoted(
            rows, broken, with_quotes, lines["line"], bad, names, delimiter, mapping
        )
    return Content(rows, tuple(sorted(broken)))


def _delimiter(header: str, mapping: SourceMapping) -> str:
    if mapping.delimiter != "auto":
        return "\t" if mapping.delimiter == "tab" else mapping.delimiter
    return max(",;\t|", key=header.count)


def _split(lines: pl.DataFrame, names: list[str], delimiter: str) -> pl.DataFrame:
    """Split lines without quotes, all with as many fields as the header."""
    if lines.is_empty():
        return pl.DataFrame(schema={**dict.fromkeys(names, pl.String), ROW: pl.Int32})
    frame = pl.read_csv(
        io.BytesIO(lines["line"].str.join("\n")[0].encode()),
        has_header=False,
        new_columns=names,
        separator=delimiter,
        quote_char=None,
        infer_schema=False,
    )
    return frame.with_columns(lines[ROW])


def _with_quoted(
    rows: pl.DataFrame,
    broken: list[int],
    starts: pl.DataFrame,
    lines: pl.Series,
    bad: frozenset[int],
    names: list[str],
    delimiter: str,
    mapping: SourceMapping,
) -> tuple[pl.DataFrame, list[int]]:
    """Add the records that begin in lines with quotes, and drop the lines that lie inside them."""
    records, done = [], 0
    inside: set[int] = set()
    for line, row in starts.iter_rows():
        if row <= done:
            continue
        first = row - mapping.first_data_row
        record, length = _record(line, lines[first : first + _MOST_LINES], len(names), delimiter)
        done = row + length - 1
        inside.update(range(row + 1, done + 1))
        if record is None or not bad.isdisjoint(range(row, done + 1)):
            broken.append(row)
        else:
            records.append([*record, row])
    quoted = pl.DataFrame(records, schema=[*names, ROW], orient="row")
    quoted = quoted.cast({**dict.fromkeys(names, pl.String), ROW: pl.Int32})
    together = pl.concat([rows, quoted]).filter(~pl.col(ROW).is_in(list(inside))).sort(ROW)
    return together, [row for row in broken if row not in inside]


def _record(
    line: str, following: pl.Series, fields: int, delimiter: str
) -> tuple[list[str | None] | None, int]:
    """Read one record, taking in further lines while a quotation is open; None if there is none."""
    text = line
    for length in range(1, len(following) + 1):
        if length > 1:
            text += "\n" + following[length - 1]
        try:
            record = next(csv.reader(io.StringIO(text), delimiter=delimiter, strict=True), [])
        except csv.Error as error:
            if "end of data" in str(error):
                continue
            return None, 1
        if len(record) == fields:
            return [value or None for value in record], length
        return None, 1
    return None, 1


# ---- workbooks --------------------------------------------------------------------------------


def _workbook(content: bytes, mapping: SourceMapping) -> Content:
    sheet = fastexcel.read_excel(content).load_sheet(
        mapping.sheet, header_row=None, skip_rows=0, dtypes="string"
    )
    cells = sheet.to_polars()
    top = cells.slice(mapping.header_row - 1, mapping.header_rows)
    if len(top) < mapping.header_rows:
        raise ValueError(
            f"the sheet has {len(cells)} row(s), its header should be in row {mapping.header_row}"
        )
    names = header_names([["" if v is None else v for v in row] for row in top.iter_rows()])
    body = cells.slice(mapping.first_data_row - 1).rename(
        dict(zip(cells.columns, names, strict=True))
    )
    body = body.with_columns(
        (pl.int_range(pl.len(), dtype=pl.Int32) + mapping.first_data_row).alias(ROW)
    )
    return Content(
        body.filter(
            ~pl.all_horizontal(pl.col(names).is_null() | (pl.col(names).str.strip_chars() == ""))
        ),
        (),
    )


def header_names(rows: list[list[str]]) -> list[str]:
    """Join the rows of a header into one unique name per column.

    In every row but the last a merged cell is written once and holds to its right. Marks and double
    spaces go; a repeated name gets " (2)", a column without a name "column 7".

    Raises:
        ValueError: if no column has a name.
    """
    width = max((len(row) for row in rows), default=0)
    cleaned = [[clean_text(value) for value in [*row, *[""] * (width - len(row))]] for row in rows]
    for row in cleaned[:-1]:
        for column in range(1, width):
            row[column] = row[column] or row[column - 1]
    names: list[str] = []
    for column in range(width):
        parts = [row[column] for row in cleaned if row[column]]
        # A cell merged downwards repeats itself in no row, one written twice says nothing new.
        joined = " / ".join(dict.fromkeys(parts)) or f"column {column + 1}"
        copies = sum(name == joined or name.rsplit(" (", 1)[0] == joined for name in names)
        names.append(joined if not copies else f"{joined} ({copies + 1})")
    if not any(any(row) for row in cleaned):
        raise ValueError("the header row is empty")
    return names


def clean_text(value: str) -> str:
    """Return a text without invisible marks, with single spaces, and without outer spaces."""
    return " ".join(_INVISIBLE.sub("", value).split())
