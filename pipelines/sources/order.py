"""In which order sources are loaded: each behind those its rows are held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter

from pipelines.settings.fields import dictionary
from pipelines.sources.whole_files import KNOWN_IN

# Institution codes are held against these two: codes that were merged are codes of the first.
_SCHOOLS = "register__schools"
_REGISTERS = (_SCHOOLS, "register__merges")
# Column of a row → the sources whose rows it is held against.
_HELD_AGAINST = {
    "semel_mosad": _REGISTERS,
    "plan_row_ref": _REGISTERS,
    "recipient_id": ("act__recipients",),
    **{column: (source_id,) for column, source_id in KNOWN_IN.items()},
}


def is_yearly(source_id: str) -> bool:
    """Whether the rows of a source belong to a school year."""
    return "school_year" in dictionary().contract(source_id).contract


def held_against() -> dict[str, tuple[str, ...]]:
    """Return, for each logical source as declared, the sources whose rows its own are held against.

    The rules that do so: `quarantine.py`, `follow_up.py`, and `whole_files.KNOWN_IN`.
    """
    found = {}
    for source_id in dictionary().sources:
        named = {
            name
            for column, names in _HELD_AGAINST.items()
            if column in dictionary().contract(source_id).contract
            for name in names
        }
        if source_id == _SCHOOLS:  # its own codes are what others are held against
            named -= {*_REGISTERS}
        found[source_id] = tuple(sorted(named - {source_id}))
    return found


def in_order(before: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return sources so that each stands behind those it is held against, else as they are given.

    Args:
        before: each source with those it is held against, all of them among the keys.

    Raises:
        graphlib.CycleError: naming the sources that are held against one another in a circle.
    """
    declared = {source_id: place for place, source_id in enumerate(before)}
    sorter = TopologicalSorter(before)
    sorter.prepare()
    order: list[str] = []
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=lambda source_id: declared[source_id])
        order.append(ready.pop(0))
        sorter.done(order[-1])
    return tuple(order)


def operations(before: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Return the sources of each operation, in the order in which both are to be made.

    Sources without a year and yearly ones take turns, as an operation is partitioned by school year
    or it is not. Each source is in the last operation of its kind that is in time for those held
    against it, so that an operation that fails stops no more than it must.
    """
    order = in_order(before)
    first: dict[str, int] = {}
    for source_id in order:
        own = is_yearly(source_id)
        needed = [first[name] + (first[name] % 2 != own) for name in before[source_id]]
        first[source_id] = max([int(own), *needed])
    last = max(first.values(), default=0)
    turns: dict[str, int] = {}
    for source_id in reversed(order):
        own = is_yearly(source_id)
        after = [turn - (turn % 2 != own) for n, turn in turns.items() if source_id in before[n]]
        turns[source_id] = min([last - (last % 2 != own), *after])
    made = [tuple(name for name in order if turns[name] == n) for n in range(last + 1)]
    return [sources for sources in made if sources]
