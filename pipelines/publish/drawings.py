"""Pages that several audiences are shown alike are drawn once.

What a page tells follows from the tables that it asks for, which are noted while it is drawn.
An audience for which all of them hold the same gets the same page, and so does a later release
(`remembered.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import polars as pl

from pipelines.publish.pages.base import ReportContext
from pipelines.publish.remembered import Drawing, Remembered
from pipelines.settings.content import content_of

Tables = Mapping[str, pl.DataFrame]
Drawn = TypeVar("Drawn")


class Asked(Tables):
    """Tables that note what is asked of them.

    Attributes:
        tables: all of them, to look at unnoted.
        found: by name, each table asked for; None where there was none of that name.
        names: all names in order, if somebody went through them; else None.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.found: dict[str, pl.DataFrame | None] = {}
        self.names: tuple[str, ...] | None = None

    def __getitem__(self, name: str) -> pl.DataFrame:
        """Return a table, and note that it was asked for."""
        self.found[name] = self.tables.get(name)
        return self.tables[name]

    def __iter__(self) -> Iterator[str]:
        """Go through all names, and note that this was done."""
        self.names = tuple(self.tables)
        return iter(self.names)

    def __len__(self) -> int:
        """Return how many tables there are, which tells of all of them."""
        return len(list(iter(self)))

    def are_as_in(self, tables: Tables) -> bool:
        """Whether whoever asked would find the same in these tables."""
        return (self.names is None or self.names == tuple(tables)) and all(
            _is_same(tables.get(name), known) for name, known in self.found.items()
        )


def _is_same(one: pl.DataFrame | None, other: pl.DataFrame | None) -> bool:
    if one is None or other is None:
        return one is other
    return one is other or (one.schema == other.schema and one.equals(other))


@dataclass(frozen=True)
class Drawings:
    """What has been drawn in one context.

    Attributes:
        context: what pages say of the city.
        remembered: what was drawn for earlier releases, if it may be used.
    """

    context: ReportContext
    remembered: Remembered | None = None
    _made: dict[Callable[..., Any], list[tuple[Asked, Any]]] = field(default_factory=dict)
    _contents: dict[int, tuple[pl.DataFrame, str]] = field(default_factory=dict)

    def of(self, render: Callable[[Tables, ReportContext], Drawn], shown: Tables) -> Drawn:
        """Return what a page, or a family of pages, makes of the tables an audience is shown."""
        before = self._made.setdefault(render, [])
        for one, drawn in before:
            if one.are_as_in(shown):
                return drawn
        asked = Asked(shown)
        held = self._remembered(render, asked)
        made: Any = held.made if held else render(asked, self.context)
        if self.remembered and not held:
            found = {name: self._content(frame) for name, frame in sorted(asked.found.items())}
            self.remembered.keep_drawing(_of(render), self._said, Drawing(asked.names, found, made))
        before.append((asked, made))
        return made

    def _remembered(self, render: Callable[..., Any], asked: Asked) -> Drawing | None:
        """Return a drawing of tables that hold what these do, and note what it asked for."""
        if not self.remembered:
            return None
        for held in self.remembered.drawings(_of(render), self._said):
            shown = asked.tables
            is_same = held.names is None or held.names == tuple(shown)
            if is_same and all(
                self._content(shown.get(name)) == content for name, content in held.found.items()
            ):
                asked.found |= {name: shown.get(name) for name in held.found}
                asked.names = held.names
                return held
        return None

    @cached_property
    def _said(self) -> str:
        return repr(self.context)

    def _content(self, frame: pl.DataFrame | None) -> str:
        """Return what a table holds; empty where there is none. Each is looked through once."""
        if frame is None:
            return ""
        if id(frame) not in self._contents:
            self._contents[id(frame)] = frame, content_of(frame)  # held, so that it keeps its id
        return self._contents[id(frame)][1]


def _of(render: Callable[..., Any]) -> str:
    return f"{render.__module__}.{render.__qualname__}"
