"""How many examples, draws or generated cities a costly property is held on."""

import os
from collections.abc import Iterable
from typing import TypeVar

ARE_ALL = bool(os.environ.get("TIKKUN_ALL_EXAMPLES"))
"""Whether nothing is left to `make validate`."""
_Case = TypeVar("_Case")


def examples(most: int, part: int = 5) -> int:
    """All of them in `make validate`, a fifth (or another part; at least two) in `make test`."""
    return most if ARE_ALL else max(2, most // part)


def part_of(cases: Iterable[_Case], part: int = 4, at: int = 0) -> list[_Case]:
    """All cases of a sweep in `make validate`, every fourth (or another part) in `make test`.

    Args:
        cases: of the sweep, in an order that stays.
        part: of how many one is taken.
        at: which of them, so that two sweeps over the same cases take different ones.
    """
    held = list(cases)
    return held if ARE_ALL else held[at % part :: part]
