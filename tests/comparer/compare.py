"""What differs between the contents of two releases, each difference attributed to a table.

Values are compared exactly; NaN equals NaN. A difference that several files show alike (the same
mart as Parquet and in the database, the same page for two audiences) is one difference.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Generic, Literal, TypeVar

from xlsxwriter.utility import xl_rowcol_to_cell

from tests.comparer.contents import (
    Block,
    Cell,
    Content,
    Contents,
    Lines,
    Mart,
    Page,
    Raw,
    Sheet,
    Values,
    Workbook,
)

Where = Literal["marts", "page", "workbook", "file"]
TEMPLATE = "template"  # stands for a table where a text belongs to none
_AROUND, _LONGEST = 24, 120  # characters of a snippet: around what differs, and in all
_HEADING = 40  # characters of a heading that name a place well enough
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        where: in which kind of file.
        tables: the tables it is attributed to, `("template",)` for a text of no table; the name of
            the file for files that hold no tables.
        page: the file within its audience; "" for marts, which several files hold.
        kind: what happened, such as "row added".
        column: the column of the table, where there is one.
        place: key of the row, address, sheet and cell, nearest heading, or line.
        before: what was there, "" for nothing.
        after: what is there now.
    """

    where: Where
    tables: tuple[str, ...]
    page: str
    kind: str
    column: str = ""
    place: str = ""
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Found:
    """A difference and the files that show it."""

    difference: Difference
    files: tuple[str, ...]


Keys = Callable[[str], Sequence[str]]


def compare(before: Contents, after: Contents, keys: Keys) -> list[Found]:
    """Return every difference between two contents, by path of file as `read_both` gives them.

    Args:
        before: contents of one release.
        after: contents of the other.
        keys: gives the key columns of a table; rows of a table without any go by their position.
    """
    found: dict[tuple[Difference, int], list[str]] = {}
    for path in sorted(before.keys() | after.keys()):
        differences = _file(path, before.get(path), after.get(path), keys)
        for numbered in _numbered(differences):  # the same text may change in two places of a page
            found.setdefault(numbered, []).append(path)
    return [Found(difference, tuple(files)) for (difference, _), files in found.items()]


def _file(path: str, old: Content | None, new: Content | None, keys: Keys) -> Iterator[Difference]:
    name = path.split("/", 1)[-1]
    match old, new:
        case (dict() | None, dict() | None):
            yield from _marts(old or {}, new or {}, keys)
        case (Page(), Page()):
            yield from _page(name, old, new)
        case (Workbook(), Workbook()):
            yield from _workbook(name, old, new)
        case (Lines(), Lines()):
            yield from _lines(name, old.lines, new.lines)
        case (Values(), Values()):
            yield from _manifest(name, old.values, new.values)
        case (Raw(), Raw()):
            yield Difference("file", (name,), name, "other bytes")
        case _:
            yield from _presence(name, old, new)


def _presence(name: str, old: Content | None, new: Content | None) -> Iterator[Difference]:
    """A file that is in one release only, or is another kind of file in each."""
    kind = "file added" if old is None else "file removed" if new is None else "other kind of file"
    match old or new:
        case Page():
            yield Difference("page", (TEMPLATE,), name, kind)
        case Workbook():
            yield Difference("workbook", (TEMPLATE,), name, kind)
        case _:
            yield Difference("file", (name,), name, kind)


# ---- marts ----------------------------------------------------------------------------------


def _marts(old: Mapping[str, Mart], new: Mapping[str, Mart], keys: Keys) -> Iterator[Difference]:
    for table in sorted(old.keys() | new.keys()):
        if table not in new:
            yield Difference("marts", (table,), "", "table removed")
        elif table not in old:
            yield Difference("marts", (table,), "", "table added")
        else:
            yield from _mart(table, old[table], new[table], keys(table))


def _mart(table: str, old: Mart, new: Mart, key: Sequence[str]) -> Iterator[Difference]:
    def differs(kind: str, **more: str) -> Difference:
        return Difference("marts", (table,), "", kind, **more)

    for column in sorted(old.labels.keys() | new.labels.keys()):
        texts = old.labels.get(column, ""), new.labels.get(column, "")
        if texts[0] != texts[1]:
            yield differs("label", column=column, **_snippets(*texts))
    was, now = old.frame.schema, new.frame.schema
    yield from (differs("column removed", column=c) for c in was if c not in now)
    yield from (differs("column added", column=c) for c in now if c not in was)
    shared = [column for column in was if column in now]
    if shared != [column for column in now if column in was]:
        yield differs("order of columns", before=", ".join(was), after=", ".join(now))
    for column in shared:
        if was[column] != now[column]:
            yield differs("type", column=column, before=str(was[column]), after=str(now[column]))
    if old.frame.select(shared).equals(new.frame.select(shared)):
        return
    by = [column for column in key if column in shared]
    if len(by) < len(key):
        by = []
    rows = _rows(old, by, shared), _rows(new, by, shared)
    matched = _match(list(rows[0]), list(rows[1]))
    yield from (differs("row removed", place=_row(by, *row)) for row in matched.removed)
    yield from (differs("row added", place=_row(by, *row)) for row in matched.added)
    for row in matched.kept:
        for column, one, other in zip(shared, rows[0][row], rows[1][row], strict=True):
            if not _same(one, other):
                yield differs(
                    "value",
                    column=column,
                    place=_row(by, *row),
                    **_change(one, other),
                )
    if matched.moved:
        yield differs("order of rows", after=f"{len(matched.moved)} rows moved")


def _rows(
    mart: Mart, by: Sequence[str], columns: Sequence[str]
) -> dict[tuple[tuple[object, ...], int], tuple[object, ...]]:
    """Rows by the values of their key and, for a key that comes twice, its number."""
    keys: Iterable[tuple[object, ...]] = (
        mart.frame.select(by).iter_rows() if by else [()] * mart.frame.height
    )
    return dict(zip(_numbered(keys), mart.frame.select(columns).iter_rows(), strict=True))


def _row(by: Sequence[str], key: tuple[object, ...], number: int) -> str:
    named = ";".join(f"{name}={value}" for name, value in zip(by, key, strict=True))
    if not by:
        return f"row {number + 1}"
    return f"{named} (number {number + 1} of this key)" if number else named


# ---- pages ----------------------------------------------------------------------------------


def _page(name: str, old: Page, new: Page) -> Iterator[Difference]:
    yield from _cells(name, old.cells, new.cells)
    sections = _sections(old), _sections(new)
    matched = _match(list(sections[0]), list(sections[1]))
    for section in (*matched.kept, *matched.removed, *matched.added):
        yield from _texts(name, section, sections[0].get(section, []), sections[1].get(section, []))
    for section in matched.moved:
        blocks = [*sections[0][section], *sections[1][section]]
        yield Difference(
            "page",
            _attributed((), section, blocks),
            name,
            "section moved",
            place=_cut(blocks[0].heading, 0, _HEADING),
        )


def _cells(name: str, old: Sequence[Cell], new: Sequence[Cell]) -> Iterator[Difference]:
    """Cells by address; one that comes several times on a page is numbered in order."""
    cells = [
        dict(zip(_numbered(cell.address for cell in side), side, strict=True))
        for side in (old, new)
    ]

    def differs(kind: str, cell: Cell, number: int, **values: str) -> Difference:
        return Difference(
            "page",
            (cell.table,),
            name,
            kind,
            column=cell.address.rsplit("/", 1)[-1],
            place=cell.address + (f" (number {number + 1})" if number else ""),
            **values,
        )

    matched = _match(list(cells[0]), list(cells[1]))
    for at in matched.removed:
        yield differs("cell removed", cells[0][at], at[1], before=cells[0][at].value)
    for at in matched.added:
        yield differs("cell added", cells[1][at], at[1], after=cells[1][at].value)
    for at in matched.kept:
        was, now = cells[0][at], cells[1][at]
        if was.value != now.value:
            yield differs("value", now, at[1], before=was.value, after=now.value)
        elif was.shown != now.shown:
            yield differs("shown text", now, at[1], before=was.shown, after=now.shown)
    for at in matched.moved:
        yield differs("cell moved", cells[1][at], at[1])


def _sections(page: Page) -> dict[str, list[Block]]:
    sections: dict[str, list[Block]] = {}
    for block in page.blocks:
        sections.setdefault(block.section, []).append(block)
    return sections


def _texts(
    name: str, section: str, old: Sequence[Block], new: Sequence[Block]
) -> Iterator[Difference]:
    around = (*old, *new)
    for was, now in _changes([block.text for block in old], [block.text for block in new]):
        blocks = [
            *([old[was]] if was is not None else []),
            *([new[now]] if now is not None else []),
        ]
        yield Difference(
            "page",
            _attributed(blocks, section, around),
            name,
            "text",
            place=_cut(blocks[-1].heading, 0, _HEADING),
            **_snippets(
                old[was].text if was is not None else "", new[now].text if now is not None else ""
            ),
        )


def _attributed(blocks: Sequence[Block], section: str, around: Sequence[Block]) -> tuple[str, ...]:
    """Return the tables whose cells stand in the text itself, else in its section.

    What is in no section (cover, contents, footer) has no tables around it.
    """
    own = {table for block in blocks for table in block.tables}
    near = {table for block in around for table in block.tables} if section else set()
    return tuple(sorted(own or near)) or (TEMPLATE,)


# ---- workbooks and other files --------------------------------------------------------------


def _workbook(name: str, old: Workbook, new: Workbook) -> Iterator[Difference]:
    matched = _match(list(old.sheets), list(new.sheets))
    for kind, titles, book in (
        ("sheet removed", matched.removed, old),
        ("sheet added", matched.added, new),
        ("sheet moved", matched.moved, new),
    ):
        for title in titles:
            table = book.sheets[title].table or TEMPLATE
            yield Difference("workbook", (table,), name, kind, place=title)
    for title in matched.kept:
        yield from _sheet(name, title, old.sheets[title], new.sheets[title])


def _sheet(name: str, title: str, old: Sheet, new: Sheet) -> Iterator[Difference]:
    for row in range(max(len(old.rows), len(new.rows))):
        was, now = (sheet.rows[row] if row < len(sheet.rows) else () for sheet in (old, new))
        if was == now:
            continue
        for column in range(max(len(was), len(now))):
            one, other = (cells[column] if column < len(cells) else None for cells in (was, now))
            if not _same(one, other):
                names = new.columns if column < len(new.columns) else old.columns
                yield Difference(
                    "workbook",
                    (new.table or TEMPLATE,),
                    name,
                    "cell",
                    column=names[column],
                    place=f"{title}!{xl_rowcol_to_cell(row, column)}",
                    **_change(one, other),
                )


def _lines(name: str, old: Sequence[str], new: Sequence[str]) -> Iterator[Difference]:
    for was, now in _changes(old, new):
        at = next(place for place in (now, was) if place is not None)
        yield Difference(
            "file",
            (name,),
            name,
            "line",
            place=f"line {at + 1}",
            **_snippets(old[was] if was is not None else "", new[now] if now is not None else ""),
        )


def _manifest(
    name: str, old: Mapping[str, object], new: Mapping[str, object]
) -> Iterator[Difference]:
    for field in sorted(old.keys() | new.keys()):
        if old.get(field) != new.get(field):
            yield Difference(
                "file",
                (name,),
                name,
                "field",
                column=field,
                **_change(old.get(field), new.get(field)),
            )


# ---- what all of them need ------------------------------------------------------------------


@dataclass(frozen=True)
class _Matched(Generic[K]):
    """Keys of one or both sides; `moved` are the fewest of `kept` that explain another order."""

    removed: list[K]
    added: list[K]
    kept: list[K]
    moved: list[K]


def _match(old: Sequence[K], new: Sequence[K]) -> _Matched[K]:
    at = {key: position for position, key in enumerate(new)}
    kept = [key for key in old if key in at]
    known = set(kept)
    stay = _increasing([at[key] for key in kept])
    return _Matched(
        removed=[key for key in old if key not in at],
        added=[key for key in new if key not in known],
        kept=kept,
        moved=[key for place, key in enumerate(kept) if place not in stay],
    )


def _increasing(values: Sequence[int]) -> set[int]:
    """Return the places of a longest increasing subsequence (patience sorting)."""
    ends: list[int] = []  # smallest last value of a subsequence of each length
    places: list[int] = []  # where that value stands
    previous: list[int] = []
    for place, value in enumerate(values):
        length = bisect_left(ends, value)
        previous.append(places[length - 1] if length else -1)
        ends[length : length + 1] = [value]
        places[length : length + 1] = [place]
    stay: set[int] = set()
    place = places[-1] if places else -1
    while place >= 0:
        stay.add(place)
        place = previous[place]
    return stay


def _changes(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int | None, int | None]]:
    """Yield the places of texts that were replaced (both), removed (first) or added (second)."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    left, right = old[start:], new[start:]
    for what, i1, i2, j1, j2 in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if what != "equal":
            for step in range(max(i2 - i1, j2 - j1)):
                yield (
                    start + i1 + step if i1 + step < i2 else None,
                    start + j1 + step if j1 + step < j2 else None,
                )


def _numbered(keys: Iterable[K]) -> list[tuple[K, int]]:
    """Return keys with how many equal ones came before."""
    seen: Counter[K] = Counter()
    numbered = []
    for key in keys:
        numbered.append((key, seen[key]))
        seen[key] += 1
    return numbered


def _same(one: object, other: object) -> bool:
    both_nan = one != one and other != other
    return one == other or both_nan


def _change(old: object, new: object) -> dict[str, str]:
    """Return two values as they are told; text stands in quotes, apart from a number like it."""
    if isinstance(old, str) and isinstance(new, str):
        return {side: f'"{text}"' for side, text in _snippets(old, new).items()}
    return {"before": _said(old), "after": _said(new)}


def _said(value: object) -> str:
    if value is None:
        return ""
    return f'"{_cut(value, 0, len(value))}"' if isinstance(value, str) else str(value)


def _snippets(old: str, new: str) -> dict[str, str]:
    """Return two texts cut to what differs between them and a little around it."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    first = max(0, start - _AROUND)
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    return {"before": _cut(old, first, len(old) - end), "after": _cut(new, first, len(new) - end)}


def _cut(text: str, first: int, end: int) -> str:
    last = min(end + _AROUND, first + _LONGEST, len(text))
    return ("…" if first and text else "") + text[first:last] + ("…" if last < len(text) else "")
