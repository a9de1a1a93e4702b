"""What a pack of a meeting says, apart from the coat it is printed in.

A page asks one question: what the data answer, a chart with the table it is drawn from, what is
decided, the form to fill in, and what to say beside it. A chart holds no number of its own: it
names columns of its table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from pipelines.publish import words
from pipelines.publish.pages.base import Row
from pipelines.publish.papers.content import Line, Number, Table, number, said
from pipelines.settings.fields import dictionary

Tables = Mapping[str, pl.DataFrame]
MOST_ROWS = 9  # of a table that everybody in the room can read
MOST_NAMES = 14  # in one cell
NOTHING_DRAWN = "לא נמדד"
UNTIL = " עד "
LETTER = 0.52  # the mean width of a letter, in its height
STRONG, SOFT, LINE = "1f3a5f", "6795b8", "111827"
RED, YELLOW, GREEN = "9c2a00", "e0a526", "2f6b3a"
ON_WHICH_BLACK = frozenset({YELLOW})
"""Colours in hexadecimal digits; a number stands in black on some, in white on the others."""


@dataclass(frozen=True)
class Chart:
    """A drawing of its page's table: a row each, named by the first column.

    Attributes:
        says: what to see in it; it stands above the drawing, and is read aloud instead of it.
        columns: of the table. `bars`: one of numbers; `ranges`: one of numbers and one of their
            intervals; `parts`: those that are laid end to end.
        kind: how it is drawn.
        tones: a colour for each column of `parts`, in hexadecimal digits.
        is_of_places: whether the numbers are places in an order: 1 is first, and 0 is none.
    """

    says: str
    columns: tuple[int, ...]
    kind: Literal["bars", "ranges", "parts"] = "bars"
    tones: tuple[str, ...] = ()
    is_of_places: bool = False


@dataclass(frozen=True)
class Form:
    """A form to fill in on the spot: its name, the heads of its columns, and empty rows."""

    title: str
    heads: tuple[str, ...]
    rows: int = 2


@dataclass(frozen=True)
class Page:
    """One question.

    Attributes:
        question: the title.
        answer: a sentence or two that the data say.
        table: the numbers; None where the city has none of them.
        chart: its drawing.
        missing: what is not known, why, and what would bring it.
        decided: what the people in the room decide here.
        form: where it is written down.
        notes: what whoever leads the meeting says beside it.
    """

    question: str
    answer: tuple[Line, ...]
    decided: tuple[str, ...]
    notes: tuple[Line, ...]
    form: Form | None = None
    table: Table | None = None
    chart: Chart | None = None
    missing: tuple[Line, ...] = ()

    def lines(self) -> list[Line]:
        """Return all that stands on the page, its form and the notes beside it not among it."""
        rows = [line for row in self.table.rows for line in row] if self.table else []
        return [*self.answer, *self.missing, *rows]


@dataclass(frozen=True)
class Pack:
    """A pack of a meeting: its title, what stands at the foot of each page, and its pages."""

    title: str
    foot: str
    pages: tuple[Page, ...]

    def numbers(self) -> list[tuple[int, Number]]:
        """Return every number with the page (from 1) that it stands on, notes among them."""
        return [
            (place, piece)
            for place, page in enumerate(self.pages, start=1)
            for line in (*page.lines(), *page.notes)
            for piece in line
            if isinstance(piece, Number)
        ]


@dataclass(frozen=True)
class Mark:
    """A row of a chart: its name, and the numbers of its columns; None where one is not known."""

    called: Line
    numbers: tuple[Number | None, ...]

    @property
    def name(self) -> str:
        """The name as one text."""
        return plain(self.called)


def marks(page: Page) -> list[Mark]:
    """Return the rows of a page's chart, from its table.

    Of `ranges` the numbers are the estimate and the two ends, of `parts` one a column.
    """
    if page.table is None or page.chart is None:
        return []
    return [
        Mark(
            row[0],
            tuple(found for column in page.chart.columns for found in _numbers(row[column])),
        )
        for row in page.table.rows
    ]


def _numbers(line: Line) -> list[Number | None]:
    return [piece for piece in line if isinstance(piece, Number)] or [None]


def plain(line: Line) -> str:
    """Return a line as one text."""
    return "".join(piece.shown if isinstance(piece, Number) else piece for piece in line)


def value_of(number: Number) -> float:
    """Return a number as it is shown (5 is 5%), so that a drawing and its table tell the same.

    Raises:
        ValueError: if it is a bound ("<1%"), which cannot be drawn.
    """
    return float(number.shown.replace(",", "").replace("−", "-").removesuffix("%"))


def tally(
    shown: Tables,
    mart: str,
    column: str = "",
    *,
    distinct: bool = False,
    above_zero: str = "",
    **same: object,
) -> Number | str:
    """Return how many rows there are of a kind, the sum of a column, or its distinct values.

    Args:
        shown: the audience's tables.
        mart: the table.
        column: what is summed, or told apart; rows are counted without it.
        distinct: whether values are told apart and counted.
        above_zero: a column that must be above zero, where it is known.
        same: the columns whose value the rows must have.

    Returns:
        the number with an address: `mart[column=value;...;column>0]/how(column)`. Words where a
        row of them is not known: a sum of what is known alone would be too small.
    """
    rows = shown[mart].filter(**same) if same else shown[mart]
    how = "rows" if not column else "distinct" if distinct else "sum"
    kept = ";".join(f"{name}={value}" for name, value in same.items())
    if above_zero:
        rows, kept = rows.filter(pl.col(above_zero) > 0), f"{kept};{above_zero}>0".lstrip(";")
    address = f"{mart}[{kept}]/{how}({column})"
    if not column:
        return Number(words.integer(rows.height), address)
    if rows[column].null_count():
        return dictionary().fields[column].empty
    if distinct:
        return Number(words.integer(rows[column].n_unique()), address)
    return Number(words.FORMS[dictionary().form(column) or "integer"](rows[column].sum()), address)


def interval(mart: str, row: Row, column: str) -> Line:
    """Return the ends of an estimate's interval as a reader sees them, the lower one first."""
    low, high = dictionary().fields[column].interval
    if row[low] is None:
        return ("–",)
    if dictionary().unit(column).turned:
        low, high = high, low
    form = dictionary().form(column) or ""
    return (number(mart, row, low, form), UNTIL, number(mart, row, high, form))


def named(names: Iterable[str], most: int = MOST_NAMES) -> str:
    """Return names in the order of the letters; where there are many, how many more."""
    ordered = sorted(names)
    rest = len(ordered) - most
    told = ", ".join(ordered[:most])
    return f"{told} ועוד {rest}" if rest > 0 else told or "–"


def form_of(source_id: str, *columns: str, rows: int = 2) -> Form:
    """Return the form of a source with these columns of it (its contract names them)."""
    contract = dictionary().contract(source_id)
    unknown = set(columns) - set(contract.contract)
    if unknown:
        raise ValueError(f"{source_id} has no columns {sorted(unknown)}")
    heads = (dictionary().fields[name].he.removesuffix(" (מזהה)") for name in columns)
    return Form(contract.he, tuple(heads), rows)


def is_whole(line: Line) -> bool:
    """Whether a line is numbers alone (an interval), which no line may break."""
    return bool(line) and all(isinstance(piece, Number) or piece == UNTIL for piece in line)


def widths(rows: Sequence[Sequence[Line]], wide: float, size: float) -> list[float]:
    """Return the widths of columns: by what is longest in each, none too narrow for a word.

    Args:
        rows: of the table, its head among them.
        wide: the width of the table, in inches.
        size: of its letters, in points.
    """
    columns = list(zip(*rows, strict=True))
    longest = [max(len(plain(line)) for line in column) for column in columns]
    words_of = [max(map(_unbroken, column)) for column in columns]
    least = [LETTER * size * (word + 1) / 72 + 0.2 for word in words_of]
    asked = [
        max(LETTER * size * min(letters, 44) / 72 + 0.2 - low, 0.0)
        for letters, low in zip(longest, least, strict=True)
    ]
    part = max(wide - sum(least), 0.0) / (sum(asked) or 1.0)
    found = [low + part * more for low, more in zip(least, asked, strict=True)]
    return [wide * one / sum(found) for one in found]


def _unbroken(line: Line) -> int:
    """Return the letters of what must stand on one line."""
    return len(plain(line)) if is_whole(line) else max(map(len, plain(line).split()), default=0)


def absent(shown: Tables, item_id: str, *source_ids: str) -> tuple[Line, ...]:
    """Return in words what is not known, and which files of the city would bring it.

    Args:
        shown: the audience's tables.
        item_id: of `mart_not_measured`, whose words are used; empty where no item tells of it.
        source_ids: the files.
    """
    found = shown["mart_not_measured"].filter(item_id=item_id).to_dicts()
    bring = said(f"מה יביא זאת: {_any_of(source_ids)}.")
    if found:
        return (said(f"לא נמדד: {found[0]['item_he']}. {found[0]['reason_he']}."), bring)
    if item_id:  # the files are there, or the item would be: so the rows are hidden, or of old
        return (_HIDDEN, bring)
    return (("אין במהדורה הזאת נתונים שאפשר להציג כאן.",), bring)


_HIDDEN: Line = (
    ("יש נתונים, אך אין מהם דבר שאפשר להציג כאן: הם של שנה אחרת, או שהתאים קטנים ומוסתרים."),
)


def _any_of(source_ids: Iterable[str]) -> str:
    return " או ".join(f'"{dictionary().contract(one).he}"' for one in source_ids)
