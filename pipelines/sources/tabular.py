"""From a file's bytes to a frame of texts: one row per record, with its row in the file.

A record that cannot be split into the header's columns is set aside by itself; it never takes its
neighbours with it. What a value means is decided later (`normalise.py`).
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from pipelines.settings.fields import ROW
from pipelines.settings.mapping import SourceMapping
from pipelines.sources.workbook import UnreadableError, read_sheet

# Marks that right-to-left editors leave inside cells, and NUL bytes; never part of a value.
# Points and accents of Hebrew, and letters that hold them; the maqaf is no point.
_POINTS = re.compile("[\u0591-\u05bd\u05bf-\u05c5\u05c7]")
POINTED = "[\u0591-\u05bd\u05bf-\u05c5\u05c7\ufb1d-\ufb4f]"
_POINTED = re.compile(POINTED)
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
MOST_LINES = 500
SHORT_SHARE = 0.1  # fewer short lines than this are faults, not a spreadsheet's habit
_NUMBER = r"^\s*[-+]?[0-9][0-9,.]*%?\s*$"
# A first line by which some spreadsheets are told the delimiter.
_SEPARATOR_LINE = re.compile(r"(?i)\ufeff?\"?sep=(.)\"?")


# A Hebrew letter of UTF-8 that was taken for two Western letters and encoded again.
_TWICE = re.compile(
    "×[\x80-\xbf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u02dc\u2013-\u203a\u2122\ufffd]"
)


_PAGE = re.compile(rb"(?i)<(!doctype html|html|table|head)")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_DOS_HEBREW = bytes(range(0x80, 0x9B))  # the letters of cp862, which in cp1255 are marks


@dataclass(frozen=True)
class Content:
    """One file as texts.

    Attributes:
        rows: a text column per header, then `file_row` (Int32, from 1 = first row of the file).
        broken: rows of the file that could not be split into the header's columns.
        told: what else people should know: a repair code, how many rows, the first of them.
        is_1904: whether day numbers of the workbook count from 1 January 1904.
    """

    rows: pl.DataFrame
    broken: tuple[int, ...]
    told: tuple[tuple[str, int, int], ...] = ()
    is_1904: bool = False


def read_content(content: bytes, mapping: SourceMapping) -> Content:
    """Split a file into records as its mapping says.

    Raises:
        UnreadableError: if the file ends before its header, its header names no column, or its
            Hebrew was encoded twice.
        Exception: whatever the format's reader raises on a file of another kind.
    """
    refuse_other_kinds(content)
    if mapping.format == "csv":
        return _csv(*decode(content, mapping.encoding), mapping)
    if mapping.format == "parquet":
        frame = pl.read_parquet(io.BytesIO(content))
        numbers = pl.int_range(1, pl.len() + 1, dtype=pl.Int32).alias(ROW)
        return Content(frame.select(pl.all().cast(pl.String), numbers), ())
    return _workbook(content, mapping)


def refuse_other_kinds(content: bytes) -> None:
    """Refuse what is often saved or sent in a table's place, by its name.

    Raises:
        UnreadableError: it is a web page, an archive, or locked with a password.
    """
    if content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<" and _PAGE.search(content[:4096]):
        raise UnreadableError(
            "it is an HTML page under another name: open it in a spreadsheet and save it as xlsx",
            "זהו דף HTML בשם אחר: יש לפתוח אותו בגיליון אלקטרוני ולשמור כ-xlsx",
        )
    if content.startswith(b"PK\x03\x04") and b"xl/" not in content:
        raise UnreadableError(
            "it is a zip archive: unpack it and put the files inside in its place",
            "זהו קובץ zip: יש לחלץ אותו ולהניח את הקבצים שבתוכו במקומו",
        )
    if content.startswith(_OLE) and "EncryptedPackage".encode("utf-16-le") in content:
        raise UnreadableError(
            "it is locked with a password: save it without a password",
            "הקובץ מוגן בסיסמה: יש לשמור אותו בלי סיסמה",
        )


def decode(content: bytes, encoding: str) -> tuple[str, frozenset[int]]:
    """Return the text of a CSV, and its lines that hold bytes of another encoding.

    Under `auto`: by the byte-order mark; else UTF-8 if most bytes beyond ASCII are UTF-8, so that
    one broken byte spoils its own line and not the file; else cp862 if nearly all are its Hebrew
    letters; else cp1255. Bytes that do not fit become "\ufffd".

    Raises:
        UnicodeDecodeError: if the bytes are not in a declared encoding, or not in UTF-16.
    """
    for mark, name in _MARKS:
        if content.startswith(mark) and encoding in ("auto", "utf-8", "utf-16"):
            if (encoding, name) == ("auto", "utf-8-sig"):
                return by_lines(content.decode(name, "surrogateescape"))
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
        return by_lines(text)
    if 10 * (len(content) - len(content.translate(None, _DOS_HEBREW))) > 9 * beyond_ascii:
        return by_lines(content.decode("cp862", "surrogateescape"))
    return by_lines(content.decode("cp1255", "surrogateescape"))


def by_lines(text: str) -> tuple[str, frozenset[int]]:
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
    lines = lines_of(text)
    start, delimiter = top_of(lines, mapping)
    marks = Marks(delimiter, _quote(lines[start + mapping.header_rows :], delimiter))
    names, start = header_of(lines, start, mapping, marks)
    lines, first = lines[start:], start + 1
    numbered = numbered_lines(lines, first, delimiter)
    marks = replace(marks, has_end=_has_end(numbered, len(names), delimiter))
    bad |= _encoded_twice(numbered)
    has_quote = pl.col("line").str.contains(marks.quote, literal=True)
    plain = _as_wide(numbered.filter(~has_quote), len(names), delimiter)
    records = split_lines(plain, numbered.filter(has_quote), lines, first, bad, names, marks)
    if records.rows.is_empty() and len(records.broken) > 1:
        _refuse_width(numbered, len(names), delimiter)
    return Content(records.rows, tuple(sorted(records.broken)))


def lines_of(text: str) -> list[str]:
    """Return the lines of a text without marks that nobody sees, or that end it."""
    if _INVISIBLE.search(text):
        text = _INVISIBLE.sub("", text)
    return unix_lines(text.rstrip("\x1a")).split("\n")


def top_of(lines: Sequence[str], mapping: SourceMapping) -> tuple[int, str]:
    """Return how many lines stand above the header, and the delimiter."""
    declared = _SEPARATOR_LINE.fullmatch(lines[0]) if mapping.header_row == 1 else None
    start = mapping.header_row - 1 + bool(declared)
    if declared:
        return start, declared[1]
    return start, _delimiter(lines[start : start + mapping.header_rows], mapping)


def header_of(
    lines: Sequence[str], start: int, mapping: SourceMapping, marks: Marks
) -> tuple[list[str], int]:
    """Return the names in a header that begins after `start` lines, and where its lines end.

    Raises:
        UnreadableError: if the file ends before it.
    """
    header: list[list[str]] = []
    while len(header) < mapping.header_rows:
        cells, length = _record(lines[start : start + MOST_LINES], None, marks)
        if not length:
            row = mapping.header_row
            raise UnreadableError(
                f"the file ends before row {row}, where its header should be",
                f"הקובץ מסתיים לפני שורה {row}, שבה אמורות להיות הכותרות",
            )
        # A header whose marks do not match is still a header.
        line = lines[start : start + 1]
        found = cells or next(csv.reader(line, delimiter=marks.delimiter), [])
        header.append([cell or "" for cell in found])
        start += length
    return header_names(header), start


def numbered_lines(lines: Sequence[str], first: int, delimiter: str) -> pl.DataFrame:
    """Return the lines that hold anything, `line`, each with its row of the file."""
    return (
        pl.DataFrame({"line": lines}, schema={"line": pl.String})
        .with_columns((pl.int_range(pl.len(), dtype=pl.Int32) + first).alias(ROW))
        .filter(pl.col("line").str.strip_chars(f" \t{delimiter}") != "")
    )


@dataclass(frozen=True)
class Records:
    """Lines of a CSV, split.

    Attributes:
        rows: as of a `Content`.
        broken: rows of the file that are none.
        done: the last row of the file that belongs to a record that began in these lines.
    """

    rows: pl.DataFrame
    broken: list[int]
    done: int = 0


def split_lines(
    plain: pl.DataFrame,
    quoted: pl.DataFrame,
    lines: Sequence[str],
    first: int,
    bad: frozenset[int],
    names: list[str],
    marks: Marks,
    done: int = 0,
) -> Records:
    """Split numbered lines into records, in the order of the file.

    Args:
        plain: lines without quotes, as `numbered_lines` gives them.
        quoted: lines with quotes.
        lines: all lines, and those after them into which a quotation may go on.
        first: row of the file of the first line.
        bad: rows that hold what cannot be read.
        names: of the columns.
        marks: what stands between and around fields.
        done: the last row of the file that belongs to a record before these lines.
    """
    fits = pl.col("line").str.count_matches(marks.delimiter, literal=True) == len(names) - 1
    if bad:
        fits &= ~pl.col(ROW).is_in(list(bad))
    if done:
        plain, quoted = (frame.filter(pl.col(ROW) > done) for frame in (plain, quoted))
    rows = _split(plain.filter(fits), names, marks.delimiter)
    broken = plain.filter(~fits)[ROW].to_list()
    if quoted.is_empty():
        return Records(rows, broken, done)
    return _with_quoted(rows, broken, quoted, lines, first, bad, names, marks, done)


def _refuse_width(lines: pl.DataFrame, fields: int, delimiter: str) -> None:
    """Refuse a file whose rows all have one other width than its header.

    Raises:
        UnreadableError: naming both widths.
    """
    widths = lines["line"].str.count_matches(delimiter, literal=True).unique() + 1
    if len(widths) == 1 and widths[0] != fields:
        raise UnreadableError(
            f"all {lines.height} rows have {widths[0]} fields and the header has {fields}: is it"
            " the header's row, and the delimiter?",
            f"בכל {lines.height} השורות {widths[0]} שדות ובכותרת {fields}: האם זו שורת הכותרות, וזה"
            " המפריד?",
        )


def _encoded_twice(lines: pl.DataFrame) -> frozenset[int]:
    """Return the rows whose Hebrew was encoded twice.

    Raises:
        UnreadableError: if most rows that are not plain ASCII are such.
    """
    strange, twice = twice_encoded(lines)
    if len(twice) * 2 > strange:
        raise UnreadableError(
            f"the Hebrew of {len(twice)} row(s) was encoded twice (UTF-8 that was taken for a"
            " Western code page); export the file again from where it comes",
            f"העברית ב-{len(twice)} שורות קודדה פעמיים (יוניקוד שנקרא כקידוד מערבי); יש לייצא את"
            " הקובץ שוב ממערכת המקור",
        )
    return twice


def twice_encoded(lines: pl.DataFrame) -> tuple[int, frozenset[int]]:
    """Return how many lines are not plain ASCII, and the rows whose Hebrew was encoded twice."""
    strange = lines.filter(pl.col("line").str.contains("[^\\x00-\\x7f]"))
    return strange.height, frozenset(
        strange.filter(pl.col("line").str.contains(_TWICE.pattern))[ROW]
    )


@dataclass(frozen=True)
class Marks:
    """What stands between fields, and what around a field that holds it or a line break.

    Attributes:
        has_end: whether records end in a delimiter that the header does not have.
    """

    delimiter: str
    quote: str = '"'
    has_end: bool = False


def _delimiter(header: Sequence[str], mapping: SourceMapping) -> str:
    if mapping.delimiter != "auto":
        return "\t" if mapping.delimiter == "tab" else mapping.delimiter
    return max(",;\t|", key="".join(header).count)


def _quote(lines: list[str], delimiter: str) -> str:
    """Return an apostrophe where it stands around fields and no quotation mark does."""
    quoted = re.compile(rf'{_end(delimiter)}\s*"|"\s*{_end(delimiter)}')
    is_apostrophe = (
        any("'" in line for line in lines)
        and not lies_within(lines, delimiter)
        and not any(quoted.search(line) for line in lines if '"' in line)
    )
    return "'" if is_apostrophe else '"'


def _end(delimiter: str) -> str:
    return rf"(?:^|$|{re.escape(delimiter)})"


def lies_within(lines: Sequence[str], delimiter: str) -> bool:
    """Return whether some line has apostrophes and none of its fields stands between two."""
    around = re.compile(rf"{_end(delimiter)}\s*'[^']*'\s*{_end(delimiter)}")
    return any(not around.search(line) for line in lines if "'" in line)


def _as_wide(lines: pl.DataFrame, fields: int, delimiter: str) -> pl.DataFrame:
    """Give lines the width of the header where the whole file has another one for a plain reason.

    A delimiter at the end of most lines makes an empty field too many. Spreadsheets leave out last
    fields that are empty, in many lines; that is taken for so only where what is left has numbers
    where the whole lines have them, and what is missing may be empty: it is the last field, or
    empty in some whole line. A field lost within a line would move the others.
    """
    count = pl.col("line").str.count_matches(delimiter, literal=True) + 1
    if _has_end(lines, fields, delimiter):
        is_wide = (count == fields + 1) & pl.col("line").str.ends_with(delimiter)
        cut = pl.col("line").str.head(-len(delimiter))
        return lines.with_columns(line=pl.when(is_wide).then(cut).otherwise("line"))
    short, whole = lines.filter(count < fields), lines.filter(count == fields)
    if short.height < max(2, SHORT_SHARE * lines.height) or whole.is_empty():
        return lines
    parts = pl.col("line").str.split(delimiter)
    same, is_any_number = pl.lit(value=True), False
    for place in range(fields):
        column = whole["line"].str.split(delimiter).list.get(place).str.strip_chars()
        filled = column.filter(column != "")
        are_numbers = not filled.is_empty() and bool(filled.str.contains(_NUMBER).all())
        is_any_number |= are_numbers
        part = parts.list.get(place, null_on_oob=True).str.strip_chars()
        may_miss = place == fields - 1 or len(filled) < len(column)
        same &= (part.is_not_null() & (part != "")) | pl.lit(value=may_miss)
        is_number = part.str.contains(_NUMBER).fill_null(value=are_numbers)
        same &= (is_number | (part == "")) if are_numbers else ~is_number
    if not is_any_number:
        return lines
    missing = pl.lit(delimiter).repeat_by(fields - count).list.join("")
    return lines.with_columns(
        line=pl.when((count < fields) & same).then(pl.col("line") + missing).otherwise("line")
    )


def _has_end(lines: pl.DataFrame, fields: int, delimiter: str) -> bool:
    """Return whether most lines have one field more than the header, and it is empty."""
    return 2 * too_wide(lines, fields, delimiter) > lines.height


def too_wide(lines: pl.DataFrame, fields: int, delimiter: str) -> int:
    """Return how many lines end in a delimiter and have more fields than the header."""
    count = pl.col("line").str.count_matches(delimiter, literal=True) + 1
    return lines.filter((count > fields) & pl.col("line").str.ends_with(delimiter)).height


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
    lines: Sequence[str],
    first: int,
    bad: frozenset[int],
    names: list[str],
    marks: Marks,
    done: int,
) -> Records:
    """Add the records that begin in lines with quotes, and drop the lines that lie inside them."""
    records = []
    inside: set[int] = set()
    for row in starts[ROW]:
        if row <= done:
            continue
        at = row - first
        record, length = _record(lines[at : at + MOST_LINES], len(names), marks)
        done = row + length - 1
        inside.update(range(row + 1, done + 1))
        if record is None or not bad.isdisjoint(range(row, done + 1)):
            broken.append(row)
        else:
            records.append([*record, row])
    schema = {**dict.fromkeys(names, pl.String), ROW: pl.Int32}
    quoted = pl.DataFrame(records, schema=schema, orient="row")
    together = pl.concat([rows, quoted]).filter(~pl.col(ROW).is_in(list(inside))).sort(ROW)
    return Records(together, [row for row in broken if row not in inside], done)


def _record(
    lines: Sequence[str], fields: int | None, marks: Marks
) -> tuple[list[str | None] | None, int]:
    """Read the record that begins in the first of some lines; None if it is none of so many fields.

    A quotation takes in further lines while it is open. Where half of those it would take in are
    as wide as the header themselves, its mark is a stray one.

    Returns:
        Its fields, and how many lines it takes (0 where there is no line).
    """
    text = ""
    for length, line in enumerate(lines, start=1):
        text = f"{text}\n{line}" if length > 1 else line
        if length > 1 and marks.quote not in line:
            continue  # what is open stays open
        try:
            reader = csv.reader(
                io.StringIO(text),
                delimiter=marks.delimiter,
                quotechar=marks.quote,
                skipinitialspace=True,
                strict=True,
            )
            record = next(reader, [])
        except csv.Error as error:
            if "end of data" in str(error):
                continue
            return None, 1
        if fields is None:
            return list(record), length
        if marks.has_end and len(record) == fields + 1 and not record[-1].strip():
            del record[-1]
        inner = [part.count(marks.delimiter) == fields - 1 for part in lines[1 : length - 1]]
        is_stray = inner and 2 * sum(inner) >= len(inner)
        if len(record) == fields and not is_stray and not _is_shifted(text, marks):
            return [value or None for value in record], length
        return None, 1
    return None, min(len(lines), 1)


def _is_shifted(text: str, marks: Marks) -> bool:
    """Return whether a delimiter is missing before a quotation, so that its own ones part fields.

    Then a field has a mark in it that opens nothing, and a later one ends with a mark that was
    never opened.
    """
    parts, is_after, at = text.split(marks.delimiter), False, 0
    while at < len(parts):
        part = parts[at].strip()
        if part.startswith(marks.quote):
            while part.count(marks.quote) % 2 and at + 1 < len(parts):
                at += 1
                part += parts[at]
            is_after = False
        else:
            is_odd, ends = part.count(marks.quote) % 2 == 1, part.endswith(marks.quote)
            if is_after and is_odd and ends:
                return True
            is_after = is_after if marks.quote not in part else is_odd and not ends
        at += 1
    return False


# ---- workbooks --------------------------------------------------------------------------------


def _workbook(content: bytes, mapping: SourceMapping) -> Content:
    sheet = read_sheet(content, mapping.sheet)
    cells = sheet.cells
    top = cells.slice(mapping.header_row - 1, mapping.header_rows)
    if len(top) < mapping.header_rows:
        raise UnreadableError(
            f"the sheet has {len(cells)} row(s), its header should be in row {mapping.header_row}",
            f"בגיליון {len(cells)} שורות, והכותרות אמורות להיות בשורה {mapping.header_row}",
        )
    names = header_names([["" if v is None else v for v in row] for row in top.iter_rows()])
    body = cells.slice(mapping.first_data_row - 1).rename(
        dict(zip(cells.columns, names, strict=True))
    )
    body = body.with_columns(
        (pl.int_range(pl.len(), dtype=pl.Int32) + mapping.first_data_row).alias(ROW)
    )
    is_empty = pl.all_horizontal(pl.col(names).is_null() | (pl.col(names).str.strip_chars() == ""))
    told = [("hidden_sheet", body.height, mapping.header_row)] if sheet.is_hidden else []
    if sheet.hidden_rows:
        told.append(("hidden_rows", sheet.hidden_rows, mapping.first_data_row))
    return Content(body.filter(~is_empty), (), tuple(told), sheet.is_1904)


def header_names(rows: list[list[str]]) -> list[str]:
    """Join the rows of a header into one unique name per column.

    In every row but the last a merged cell is written once and holds to its right. Marks and double
    spaces go. A name that stands there twice is "name (1)" and "name (2)", so that nobody means
    one of them unawares; a column without a name is "column 7".

    Raises:
        UnreadableError: if no column has a name.
    """
    width = max((len(row) for row in rows), default=0)
    cleaned = [[clean_text(value) for value in [*row, *[""] * (width - len(row))]] for row in rows]
    for row in cleaned[:-1]:
        for column in range(1, width):
            row[column] = row[column] or row[column - 1]
    # A cell merged downwards repeats itself in no row, one written twice says nothing new.
    joined = [
        " / ".join(dict.fromkeys(row[column] for row in cleaned if row[column]))
        or f"column {column + 1}"
        for column in range(width)
    ]
    copies = Counter(joined)
    names: list[str] = []
    for name in joined:
        number = sum(known.rsplit(" (", 1)[0] == name for known in names) + 1
        names.append(f"{name} ({number})" if copies[name] > 1 else name)
    if not any(any(row) for row in cleaned):
        raise UnreadableError("the header row is empty", "שורת הכותרות ריקה")
    return names


def clean_text(value: str) -> str:
    """Return a text without invisible marks, points and forms of letters, with single spaces."""
    return " ".join(plain_letters(_INVISIBLE.sub("", value)).split())


def plain_letters(text: str) -> str:
    """Return Hebrew as it is typed: presentation forms as letters, without points and accents."""
    if not _POINTED.search(text):
        return text
    return _POINTS.sub("", unicodedata.normalize("NFKC", text))
