"""One level for all: the exact common rate at which bounded claims use up a pot."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from models.formula.numbers import Numbers


class Unspendable(Exception):  # noqa: N818 - a result about the bounds, not a programming error
    """No level uses up the pot.

    Attributes:
        least: what the lower bounds take together.
        most: what can be taken at the most; None where there is no end.
    """

    def __init__(self, least: Fraction, most: Fraction | None) -> None:
        super().__init__()
        self.least, self.most = least, most


@dataclass(frozen=True)
class Bounded:
    """Claims between bounds.

    Attributes:
        points: of each unit, zero or more.
        lower: least of each unit, zero or more.
        upper: most of each unit, at least its lower; any number where there is no end.
        has_end: whether there is a most.
    """

    points: Numbers
    lower: Numbers
    upper: Numbers
    has_end: np.ndarray

    def level(self, total: Fraction) -> Fraction:
        """The least λ ≥ 0 with Σ min(max(λ·points, lower), upper) = total, exactly.

        Water-filling: the sum rises in λ along straight pieces that meet where a unit leaves its
        lower bound or reaches its upper one. From a meeting on the sum is
        least − risen + λ·slope, where every unit that rises adds its points to the slope and the
        bound that it left to what has risen.

        Raises:
            Unspendable: the total is below all lower bounds, or above what can be taken.
        """
        claims = (self.points.num > 0).astype(bool)
        ends = claims & self.has_end
        least = self.lower.total()
        is_endless = bool((claims & ~self.has_end).any())
        most = least + self.upper.at(ends).total() - self.lower.at(ends).total()
        if total < least or (not is_endless and total > most):
            raise Unspendable(least, None if is_endless else most)
        if total == least or not claims.any():
            return Fraction(0)
        points = self.points.at(claims).joined(self.points.at(ends))
        bounds = self.lower.at(claims).joined(self.upper.at(ends))
        sign = np.where(np.arange(len(points)) < claims.sum(), 1, -1).astype(object)
        meetings = bounds.over(points)
        order = np.array(sorted(range(len(points)), key=meetings.order_keys().__getitem__))
        slope = Numbers(points.num * sign, points.den).at(order).running()
        risen = Numbers(bounds.num * sign, bounds.den).at(order).running()
        missing = Numbers.same(total - least, len(order)) + risen
        # The last meeting at which all together have not yet reached the total.
        is_short = (meetings.at(order) * slope).is_below(missing)
        last = np.flatnonzero(is_short)[-1:]
        return missing.at(last).total() / slope.at(last).total()

    def at(self, level: Fraction) -> Numbers:
        """What each unit takes at a level."""
        taken = self.asked(level).largest(self.lower)
        return taken.smallest(self.upper).where(self.has_end, taken)

    def asked(self, level: Fraction) -> Numbers:
        """What each unit would take without bounds."""
        return self.points * Numbers.same(level, len(self.points))
