"""Work that knows nothing of its like, side by side; how much of it at once changes no figure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

WORKERS = 2
"""Searches and estimates side by side: the solver and sums over arrays let other threads run."""
Given = TypeVar("Given")
Made = TypeVar("Made")


def side_by_side(make: Callable[[Given], Made], given: Iterable[Given]) -> list[Made]:
    """Return what is made of each, in their order.

    Sums over arrays have one thread meanwhile, as `models.effects` asks for: whoever asks for it
    within another thread would end it for all when done.
    """
    with threadpool_limits(1), ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(make, given))
