"""What a paper says, apart from the form it is printed in: blocks of text, numbers and tables.

A number knows its cell, and is written by the forms of the pages; the writers (`typst_pdf`, `docx`)
print the same blocks, so that a paper's coats cannot differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.publish import words
from pipelines.publish.pages.base import NUMBER, Row
from pipelines.settings.fields import dictionary

LEFT_TO_RIGHT = "\u200e"
_PLAIN = re.compile(r"\d[\d,.]*%?")  # keeps its order among Hebrew letters by itself


@dataclass(frozen=True)
class Number:
    """A number as it is written, which stays left to right.

    Attributes:
        shown: the number in its form.
        cell: `mart/key/column` of the mart cell it is; empty if it is counted from several.
    """

    shown: str
    cell: str = ""


Piece = str | Number
Line = tuple[Piece, ...]


@dataclass(frozen=True)
class Heading:
    """A heading of a level, 1 the highest."""

    text: str
    level: int = 1
    is_english: bool = False


@dataclass(frozen=True)
class Paragraph:
    """A paragraph, or an item of a list."""

    line: Line
    is_item: bool = False
    is_english: bool = False


@dataclass(frozen=True)
class Table:
    """A table with its caption; every row has a cell for each head."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]


Block = Heading | Paragraph | Table


@dataclass(frozen=True)
class Paper:
    """A paper: its title, what stands at the foot of each page, and its blocks."""

    title: str
    foot: str
    blocks: tuple[Block, ...]

    def numbers(self) -> list[Number]:
        """Return every number of the paper, in order."""
        lines: list[Line] = []
        for block in self.blocks:
            if isinstance(block, Paragraph):
                lines.append(block.line)
            elif isinstance(block, Table):
                lines += [line for row in block.rows for line in row]
        return [piece for line in lines for piece in line if isinstance(piece, Number)]


def number(mart: str, row: Row, column: str, form: str = "", empty: str = "") -> Number | str:
    """Return a cell of a mart as pages write it; where it is empty, what that means."""
    if row[column] is None:
        return empty or dictionary().fields[column].empty
    shown = words.FORMS[form or dictionary().form(column) or "code"](row[column])
    key = ";".join(f"{name}={row[name]}" for name in dictionary().tables[mart].key)
    return Number(shown, f"{mart}/{key}/{column}")


def count(value: int) -> Number:
    """Return a number that is counted over rows of a mart."""
    return Number(words.integer(value))


def left_to_right(shown: str) -> str:
    """Return a number with a mark before it that keeps its sign, or its parts, left to right."""
    return shown if _PLAIN.fullmatch(shown) else f"{LEFT_TO_RIGHT}{shown}"


def said(sentence: str) -> Line:
    """Return a sentence of a mart, its numbers apart."""
    pieces: list[Piece] = []
    start = 0
    for found in NUMBER.finditer(sentence):
        pieces += [sentence[start : found.start()], Number(found.group())]
        start = found.end()
    return tuple(piece for piece in (*pieces, sentence[start:]) if piece)


def table(
    caption: str, heads: Iterable[str], rows: Iterable[Iterable[Piece | Line]]
) -> Table | Paragraph:
    """Return a table; a cell is a piece or a line. Without rows it is a sentence that says so."""
    drawn = tuple(
        tuple(cell if isinstance(cell, tuple) else (cell,) for cell in row) for row in rows
    )
    return Table(caption, tuple(heads), drawn) if drawn else Paragraph((f"{caption}: אין.",))
