"""Least and most amounts of units, in whole payable steps, each with the name of what sets it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

import polars as pl

from models.apportionment import exact
from models.formula.declaration import Formula
from models.formula.refusal import FormulaError
from models.formula.units import some


@dataclass(frozen=True)
class Limits:
    """By unit: least and most (None = no end), what is in hand included, and what sets them."""

    lower: list[Fraction]
    upper: list[Fraction | None]
    why_least: list[str | None]
    why_most: list[str | None]


def limits(
    formula: Formula, units: pl.DataFrame, held: list[Fraction], counted: list[bool], key: str
) -> Limits:
    """The limits of every unit; what is given beside the money in hand is a multiple of the unit.

    Raises:
        ValueError: a unit's least is above its most.
    """
    step, size = formula.rounding.unit_agorot, units.height
    least = [("floor", exact(b.agorot), b.per) for b in formula.floors]
    most = [("cap", exact(b.agorot), b.per) for b in formula.caps]
    if formula.guarantee_pct is not None:
        least.append(("guarantee", exact(formula.guarantee_pct) / 100, formula.last_year))
    if formula.growth_cap_pct is not None:
        most.append(("growth_cap", exact(formula.growth_cap_pct) / 100, formula.last_year))

    def amounts(each: Fraction, per: str | None) -> list[Fraction | None]:
        """A bound by unit; None where it does not apply."""
        counts = units[per].to_list() if per else [1] * size
        return [
            each * exact(count) if is_in and count is not None else None
            for count, is_in in zip(counts, counted, strict=True)
        ]

    lower: list[Fraction] = list(held)
    upper: list[Fraction | None] = [None] * size
    why_least: list[str | None] = ["in_hand" if has else None for has in held]
    why_most: list[str | None] = [None] * size
    for why, each, per in least:
        for i, amount in enumerate(amounts(each, per)):
            if amount is not None and amount > lower[i]:
                lower[i] = held[i] + step * ceil((amount - held[i]) / step)
                why_least[i] = why
    for why, each, per in most:
        for i, amount in enumerate(amounts(each, per)):
            known = upper[i]
            if amount is not None and (known is None or amount < known):
                upper[i] = held[i] + step * floor((amount - held[i]) / step)
                why_most[i] = why
    crossed = [
        name
        for name, low, high in zip(units[key].to_list(), lower, upper, strict=True)
        if high is not None and low > high
    ]
    if crossed:
        raise FormulaError(
            "the least amount (floor, guarantee or money in hand) is above the most (cap or growth "
            f"cap) at {some(crossed)}; lower the one or raise the other.",
            "הסכום המזערי (רצפה, הבטחה או כסף שכבר ביד) גבוה מן המרבי (תקרה או תקרת גידול) ב: "
            f"{some(crossed)}; יש להוריד את האחד או להעלות את האחר.",
        )
    return Limits(lower, upper, why_least, why_most)
