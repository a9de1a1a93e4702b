"""A large CSV, read block by block as `tabular.py` reads a small one whole.

A file of gigabytes is never in memory: blocks of lines come one after another, each with the row of
the file in which it begins. What only the whole file tells (its quotation mark, its width, its
encoding) is taken as it is in well-formed files and counted on the way; where the whole turns out
to be otherwise `NotPlainError` says so, and the file is to be read whole.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl

from pipelines.settings.fields import ROW
from pipelines.settings.mapping import SourceMapping
from pipelines.sources.tabular import (
    MOST_LINES,
    SHORT_SHARE,
    Marks,
    by_lines,
    header_of,
    lies_within,
    lines_of,
    numbered_lines,
    split_lines,
    too_wide,
    top_of,
    twice_encoded,
    unix_lines,
)
from pipelines.sources.workbook import UnreadableError

T = TypeVar("T")
SIZE = 64 << 20
"""Bytes of a block."""
_UTF8 = ("auto", "utf-8", "utf-8-sig")
ENCODINGS = (*_UTF8, "cp1255", "windows-1255", "iso-8859-8", "cp862", "ascii")
"""Encodings in which every line can be read by itself."""
_OTHER_KINDS = (b"PK", b"\xd0\xcf", b"<", codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Bytes with which begins what nobody sees, and each letter of Hebrew that was encoded twice.
_UNSEEN = (b"\xe2\x80", b"\xe2\x81", codecs.BOM_UTF8, b"\xc3\x97")
_FEW = 1 << 18  # bytes of lines that are split one by one when some are odd


class NotPlainError(Exception):
    """Only the whole file can tell how it is to be read."""


@dataclass
class _Seen:
    """What was seen of a file so far, line by line."""

    lines: int = 0
    wide: int = 0
    plain: int = 0
    plain_wide: int = 0
    short: int = 0
    not_ascii: int = 0
    twice: int = 0
    strange_bytes: int = 0
    beyond_ascii: int = 0
    records: int = 0
    apostrophes: bool | None = False  # whether there are any; None if some stand within fields


@dataclass(frozen=True)
class Block:
    """The records that begin in some lines of a file.

    Attributes:
        rows: a text column per header, then `file_row`.
        broken: rows of the file that could not be split into the header's columns.
        is_last: whether it is the file's last; it then has its last hundred lines, if there are.
    """

    rows: pl.DataFrame
    broken: list[int]
    is_last: bool


@dataclass
class Blocks:
    """One CSV, block by block.

    Attributes:
        path: the file.
        mapping: how it is read.
        size: least bytes of a block.
        names: of its columns, as soon as there is a block.
    """

    path: Path
    mapping: SourceMapping
    size: int = SIZE
    names: list[str] = field(default_factory=list, init=False)
    _marks: Marks = field(default=Marks(","), init=False)
    _seen: _Seen = field(default_factory=_Seen, init=False)
    _done: int = field(default=0, init=False)  # the last row that a record has taken

    def __iter__(self) -> Iterator[Block]:
        """Yield the blocks of the file in their order.

        Raises:
            NotPlainError: when the file has to be read whole; what came before says nothing then.
        """
        if self.mapping.encoding not in ENCODINGS:
            raise NotPlainError
        row = 1
        for piece, ahead, is_last in self._pieces():
            text = self._as_utf8(piece)
            if row == 1:
                text, above = self._begin(text)
                row += above
            parts: list[pl.DataFrame] = []
            broken: list[int] = []
            row = self._split(text, ahead, row, parts, broken)
            rows = pl.concat(parts)
            self._seen.records += rows.height
            if is_last:
                self._conclude()
            yield Block(rows, broken, is_last)

    def _split(
        self, text: bytes, ahead: bytes, row: int, parts: list[pl.DataFrame], broken: list[int]
    ) -> int:
        """Add the records of some lines, the odd ones among them apart; return the row after."""
        if self._done < row and (rows := self._at_once(text, row)) is not None:
            parts.append(rows)
            return row + text.count(b"\n")
        if len(text) <= _FEW:
            return self._by_line(text, ahead, row, parts, broken)
        start, step = 0, max(_FEW, len(text) // 16)
        while start < len(text):
            end = text.find(b"\n", start + step) + 1 or len(text)
            if end - start == len(text):
                return self._by_line(text, ahead, row, parts, broken)
            rest = ahead
            if end < len(text):
                rest = text[end : _end_of_lines(text, end) or len(text)] + ahead
            row = self._split(text[start:end], rest, row, parts, broken)
            start = end
        return row

    def _pieces(self) -> Iterator[tuple[bytes, bytes, bool]]:
        """Yield whole lines, the lines after them into which a record may go on, and the end."""
        held, is_over = b"", False
        with self.path.open("rb") as file:
            while True:
                end = held.find(b"\n", self.size) + 1
                ahead = _end_of_lines(held, end) if end else 0
                if ahead:
                    yield held[:end], held[end:ahead], False
                    held = held[end:]
                elif is_over:
                    yield held, b"", True
                    return
                else:
                    more = file.read(max(self.size, 1 << 16))
                    held, is_over = held + more, not more
                    if len(held) > 8 * max(self.size, 1 << 20) and b"\n" not in held:
                        raise NotPlainError

    def _as_utf8(self, piece: bytes) -> bytes:
        if self.mapping.encoding in _UTF8:
            return piece
        try:
            return piece.decode(self.mapping.encoding).encode()
        except UnicodeDecodeError:
            raise NotPlainError from None

    def _begin(self, text: bytes) -> tuple[bytes, int]:
        """Read the header; return what is below it, and how many lines are above that."""
        if text.startswith(_OTHER_KINDS):
            raise NotPlainError
        if self.mapping.encoding in _UTF8:
            text = text.removeprefix(codecs.BOM_UTF8)
        most = self.mapping.header_row + self.mapping.header_rows + MOST_LINES
        try:
            lines = lines_of(b"\n".join(text.split(b"\n", most)[:most]).decode())
            start, delimiter = top_of(lines, self.mapping)
            self._marks = Marks(delimiter)
            self.names, above = header_of(lines, start, self.mapping, self._marks)
        except (UnicodeDecodeError, UnreadableError):
            raise NotPlainError from None
        place = 0
        for _ in range(above):
            place = text.find(b"\n", place) + 1
            if not place:
                raise NotPlainError  # the header is all there is
        if b"\r" in text[:place].replace(b"\r\n", b"\n"):
            raise NotPlainError
        return text[place:], above

    def _at_once(self, text: bytes, first: int) -> pl.DataFrame | None:
        """Split lines all of which are as wide as the header and have no quotes; None if not so."""
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n")
        signs = np.frombuffer(text, np.uint8)
        ends = np.flatnonzero(signs == ord("\n"))
        lines = len(ends) + (text[-1:] != b"\n")
        parted = np.count_nonzero(signs == ord(self._marks.delimiter))
        if (
            parted != lines * (len(self.names) - 1)
            or text[:1] in (b"", b"\n")
            or (np.diff(ends) == 1).any()
            or any(sign in text for sign in (b"\r", self._marks.quote.encode(), b"\0", b"\x1a"))
            or any(seen[:1] in text and seen in text for seen in _UNSEEN)
        ):
            return None
        try:
            frame = pl.read_csv(
                text,
                has_header=False,
                schema=dict.fromkeys(self.names, pl.String),
                separator=self._marks.delimiter,
                quote_char=None,
                infer_schema=False,
            )
        except pl.exceptions.PolarsError:
            return None
        if frame.height != lines:
            return None
        self._look_at_apostrophes(text)
        frame = frame.with_columns((pl.int_range(pl.len(), dtype=pl.Int32) + first).alias(ROW))
        blank = [pl.col(name).fill_null("").str.strip_chars(" \t") == "" for name in self.names]
        if frame.select(blank[0].any()).item():
            frame = frame.filter(~pl.all_horizontal(blank))
        self._seen.lines += frame.height
        self._seen.plain += frame.height
        return frame

    def _by_line(
        self, text: bytes, ahead: bytes, first: int, parts: list[pl.DataFrame], broken: list[int]
    ) -> int:
        """Split lines one by one, as `_split`."""
        words, bad = self._decoded(text)
        lines = lines_of(words)
        if not lines[-1]:
            del lines[-1]
        delimiter, quote, seen = self._marks.delimiter, self._marks.quote, self._seen
        numbered = numbered_lines(lines, first, delimiter)
        strange, twice = twice_encoded(numbered)
        plain = numbered.filter(~pl.col("line").str.contains(quote, literal=True))
        quoted = numbered.filter(pl.col("line").str.contains(quote, literal=True))
        fields = len(self.names)
        count = plain["line"].str.count_matches(delimiter, literal=True) + 1
        seen.lines += numbered.height
        seen.wide += too_wide(numbered, fields, delimiter)
        seen.plain += plain.height
        seen.plain_wide += too_wide(plain, fields, delimiter)
        seen.short += int((count < fields).sum())
        seen.not_ascii += strange
        seen.twice += len(twice)
        self._look_at_apostrophes(words.encode("utf-8", "replace"))
        further = lines_of(ahead.decode("utf-8", "replace")) if not quoted.is_empty() else []
        records = split_lines(
            plain,
            quoted,
            [*lines, *further],
            first,
            twice | {row + first - 1 for row in bad},
            self.names,
            self._marks,
            self._done,
        )
        parts.append(records.rows)
        broken += records.broken
        self._done = records.done
        return first + len(lines)

    def _decoded(self, text: bytes) -> tuple[str, frozenset[int]]:
        """Return lines as texts, and those, from 1, that hold bytes of another encoding."""
        try:
            return text.decode(), frozenset()
        except UnicodeDecodeError:
            if self.mapping.encoding != "auto" or b"\0" in text:
                raise NotPlainError from None
        words = text.decode("utf-8", "surrogateescape")
        self._seen.strange_bytes += sum("\udc80" <= sign <= "\udcff" for sign in words)
        self._seen.beyond_ascii += len(text) - len(text.translate(None, bytes(range(128, 256))))
        return by_lines(words)

    def _look_at_apostrophes(self, text: bytes) -> None:
        """Note whether all apostrophes of the file may stand around fields."""
        if self._seen.apostrophes is None or b"'" not in text:
            return
        lines = unix_lines(text.decode("utf-8", "replace")).split("\n")
        self._seen.apostrophes = None if lies_within(lines, self._marks.delimiter) else True

    def _conclude(self) -> None:
        """Hold what was taken for granted against the whole file.

        Raises:
            NotPlainError: if the whole may tell otherwise.
        """
        seen = self._seen
        if (
            not seen.records
            or seen.apostrophes
            or 2 * seen.wide > seen.lines
            or 2 * seen.plain_wide > seen.plain
            or seen.short >= max(2, SHORT_SHARE * seen.plain)
            or 2 * seen.twice > seen.not_ascii
            or (seen.strange_bytes and 2 * seen.strange_bytes >= seen.beyond_ascii)
        ):
            raise NotPlainError


def side_by_side(found: Iterator[T]) -> Iterator[T]:
    """Yield the same, the next one being made while the last one is used."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, found, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, found, None)
            yield item


def _end_of_lines(held: bytes, start: int) -> int:
    """Return where the lines end into which a record before `start` may go on; 0 if too few."""
    for _ in range(MOST_LINES):
        start = held.find(b"\n", start) + 1
        if not start:
            return 0
    return start
