"""One level for all: the exact common rate at which bounded claims use up a pot."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

_NOTHING = Fraction(0)


class Unspendable(Exception):  # noqa: N818 - a result about the bounds, not a programming error
    """No level uses up the pot.

    Attributes:
        least: what the lower bounds take together.
        most: what can be taken at the most; None where there is no end.
    """

    def __init__(self, least: Fraction, most: Fraction | None) -> None:
        super().__init__()
        self.least, self.most = least, most


def common_level(
    points: Sequence[Fraction],
    lower: Sequence[Fraction],
    upper: Sequence[Fraction | None],
    total: Fraction,
) -> Fraction:
    """The least λ ≥ 0 with Σ min(max(λ·points, lower), upper) = total, exactly.

    Water-filling: the sum rises in λ along straight pieces that meet where a unit leaves its lower
    bound or reaches its upper one; the pieces are walked until one crosses the total.

    Args:
        points: of each unit, zero or more.
        lower: least of each unit, zero or more.
        upper: most of each unit, at least its lower; None = no end.
        total: what all take together.

    Raises:
        Unspendable: the total is below all lower bounds, or above what can be taken.
    """
    least = sum(lower, _NOTHING)
    # A unit's slope starts at lower/points and ends at upper/points.
    bends: list[tuple[Fraction, Fraction]] = []
    is_endless, most = False, least
    for claim, low, high in zip(points, lower, upper, strict=True):
        if claim == 0:
            continue
        bends.append((low / claim, claim))
        if high is None:
            is_endless = True
        else:
            bends.append((high / claim, -claim))
            most += high - low
    if total < least or (not is_endless and total > most):
        raise Unspendable(least, None if is_endless else most)
    bends.sort()
    level, taken, slope = _NOTHING, least, _NOTHING
    for bend, change in bends:
        reached = taken + slope * (bend - level)
        if reached >= total:
            break
        level, taken, slope = bend, reached, slope + change
    return level if taken == total else level + (total - taken) / slope


def at_level(
    level: Fraction, points: Fraction, lower: Fraction, upper: Fraction | None
) -> Fraction:
    """What one unit takes at a level."""
    taken = max(level * points, lower)
    return taken if upper is None else min(taken, upper)
