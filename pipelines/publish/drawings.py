"""Pages that several audiences are shown alike are drawn once.

What a page tells follows from the tables that it asks for, which are noted while it is drawn.
An audience for which all of them hold the same gets the same page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import polars as pl

from pipelines.publish.pages.base import ReportContext

Tables = Mapping[str, pl.DataFrame]
Drawn = TypeVar("Drawn")


class Asked(Tables):
    """Tables that note what is asked of them.

    Attributes:
        found: by name, each table asked for; None where there was none of that name.
        names: all names in order, if somebody went through them; else None.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.found: dict[str, pl.DataFrame | None] = {}
        self.names: tuple[str, ...] | None = None

    def __getitem__(self, name: str) -> pl.DataFrame:
        """Return a table, and note that it was asked for."""
        self.found[name] = self._tables.get(name)
        return self._tables[name]

    def __iter__(self) -> Iterator[str]:
        """Go through all names, and note that this was done."""
        self.names = tuple(self._tables)
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
    """

    context: ReportContext
    _made: dict[Callable[..., Any], list[tuple[Asked, Any]]] = field(default_factory=dict)

    def of(self, render: Callable[[Tables, ReportContext], Drawn], shown: Tables) -> Drawn:
        """Return what a page, or a family of pages, makes of the tables an audience is shown."""
        before = self._made.setdefault(render, [])
        for asked, made in before:
            if asked.are_as_in(shown):
                return made
        asked = Asked(shown)
        made = render(asked, self.context)
        before.append((asked, made))
        return made
