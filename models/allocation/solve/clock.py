"""Whether the clock ended a search: the only thing by which a result can depend on the machine.

Searches are limited by nodes and rounds; the clock is an emergency brake. What met it is right but
may differ on another day, so nobody may keep it as *the* result of its inputs. The count goes up
whenever the brake was pulled, in whichever thread.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

_pulled = itertools.count()
_stops = 0


def stops() -> int:
    """How often the clock has ended a search in this process."""
    return _stops


def stopped() -> None:
    """Note that the clock has ended a search."""
    global _stops
    _stops = next(_pulled) + 1


def countdown(seconds: float) -> Callable[[], float]:
    """Seconds left of a limit: a safety net for searches that count their steps, not the time."""
    end = time.monotonic() + seconds

    def left() -> float:
        found = end - time.monotonic()
        if found <= 0:
            stopped()
        return found

    return left
