"""Least and most amounts of units, in whole payable steps, each with the name of what sets it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from models.apportionment import exact
from models.formula.declaration import Formula
from models.formula.numbers import Numbers
from models.formula.refusal import FormulaError
from models.formula.units import Units


@dataclass(frozen=True)
class Limits:
    """By unit: least and most, what is in hand included, and what sets them.

    Attributes:
        lower, upper: agorot; upper is any number where `has_end` is false.
        has_end: whether there is a most.
        why_least, why_most: names of what sets them; None = nothing.
    """

    lower: Numbers
    upper: Numbers
    has_end: np.ndarray
    why_least: np.ndarray
    why_most: np.ndarray


def limits(formula: Formula, units: Units, held: Numbers, counted: np.ndarray) -> Limits:
    """The limits of every unit; what is given beside the money in hand is a multiple of the step.

    Raises:
        FormulaError: a unit's least is above its most.
    """
    step = formula.rounding.unit_agorot
    least = [("floor", exact(b.agorot), b.per) for b in formula.floors]
    most = [("cap", exact(b.agorot), b.per) for b in formula.caps]
    if formula.guarantee_pct is not None:
        least.append(("guarantee", exact(formula.guarantee_pct) / 100, formula.last_year))
    if formula.growth_cap_pct is not None:
        most.append(("growth_cap", exact(formula.growth_cap_pct) / 100, formula.last_year))

    def amounts(each: Fraction, per: str | None) -> tuple[np.ndarray, Numbers]:
        """Where a bound applies, and what it is."""
        if per is None:
            return counted, units.same(each)
        is_last = per == formula.last_year
        known, counts = units.known(per) if is_last else (counted, units.numbers(per))
        return counted & known, counts * units.same(each)

    lower, upper, has_end = held, held, np.zeros(len(units), dtype=bool)
    why_least = np.where(held.num > 0, "in_hand", None)  # type: ignore[call-overload]
    why_most = np.full(len(units), None, dtype=object)
    for why, each, per in least:
        applies, amount = amounts(each, per)
        raises = applies & lower.is_below(amount)
        lower = (held + (amount - held).rounded(Fraction(step), "up")).where(raises, lower)
        why_least[raises] = why
    for why, each, per in most:
        applies, amount = amounts(each, per)
        cuts = applies & (~has_end | amount.is_below(upper))
        room = amount - held
        whole = Numbers(room.num // (room.den * step) * step)
        upper, has_end = (held + whole).where(cuts, upper), has_end | cuts
        why_most[cuts] = why
    crossed = has_end & upper.is_below(lower)
    if crossed.any():
        raise FormulaError(
            "the least amount (floor, guarantee or money in hand) is above the most (cap or growth "
            f"cap) at {units.some(crossed)}; lower the one or raise the other.",
            "הסכום המזערי (רצפה, הבטחה או כסף שכבר ביד) גבוה מן המרבי (תקרה או תקרת גידול) ב: "
            f"{units.some(crossed)}; יש להוריד את האחד או להעלות את האחר.",
        )
    return Limits(lower, upper, has_end, why_least, why_most)
