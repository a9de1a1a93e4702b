"""A formula as it is declared: who gets what share of a pot, within which limits."""

from __future__ import annotations

from dataclasses import dataclass

from models.formula.rounding import Rounding


@dataclass(frozen=True)
class Term:
    """A sum of weighted counts, times further columns (a need index, a cost factor).

    Attributes:
        weights: (column, weight) pairs; the term is Σ weight · column …
        times: … times each of these columns.
    """

    weights: tuple[tuple[str, float], ...]
    times: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bound:
    """A least or most amount: `agorot`, or `agorot` for each one of column `per`."""

    agorot: float
    per: str | None = None


@dataclass(frozen=True)
class Formula:
    """Who gets what share of a pot. Every unit ends at min(max(λ·points, least), most).

    λ, agorot per point, is the one level at which the pot is used up. From this one rule follow

    - the plain formula (no limits): money in proportion to points;
    - floors, caps and guarantees: who stands at a limit has it, the others share the rest;
    - "raise the lowest until the pot runs out" (`in_hand`): money that units already hold counts,
      nobody gives any back, and λ is the floor to which the lowest are raised.

    Everything before rounding is an exact fraction; a decimal means what a person wrote. A unit
    whose own points rise never gets less, rounding included.

    Attributes:
        terms: points = the sum of the terms.
        only_where: column of true/false; a unit that is false gets nothing and counts nowhere.
        pool_by: units of one value of this column are one unit, whose money is divided between
            them in proportion to points. Not together with limits or last year's amounts.
        in_hand: column of agorot that count towards a unit's share.
        floors: least amounts, what is in hand included.
        caps: most amounts, what is in hand included.
        last_year: column of last year's agorot; null = no last year (a new unit), to which the
            guarantee, the growth cap and the phase-in do not apply.
        guarantee_pct: nobody gets less than this percentage of last year's amount.
        growth_cap_pct: nobody gets more than this percentage of last year's amount.
        phase_in_pct: how far of the way from last year's amounts (scaled to this year's money) to
            the formula's; 100 = all of it. The limits are kept after it.
        rounding: how amounts become whole agorot. Least amounts are rounded up to its unit and most
            amounts down, so that they hold in what is paid.
    """

    terms: tuple[Term, ...]
    only_where: str | None = None
    pool_by: str | None = None
    in_hand: str | None = None
    floors: tuple[Bound, ...] = ()
    caps: tuple[Bound, ...] = ()
    last_year: str | None = None
    guarantee_pct: float | None = None
    growth_cap_pct: float | None = None
    phase_in_pct: float = 100.0
    rounding: Rounding = Rounding()  # noqa: RUF009 - frozen

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        uses_last = self.phase_in_pct != 100 or any(
            pct is not None for pct in (self.guarantee_pct, self.growth_cap_pct)
        )
        stated = [weight for term in self.terms for _, weight in term.weights]
        stated += [bound.agorot for bound in (*self.floors, *self.caps)]
        stated += [pct for pct in (self.guarantee_pct, self.growth_cap_pct) if pct is not None]
        if not any(term.weights for term in self.terms):
            raise ValueError("terms: a formula needs at least one weighted count.")
        if not all(0 <= number < float("inf") for number in stated):
            raise ValueError("weights, floors, caps and percentages must be zero or more.")
        if not 0 <= self.phase_in_pct <= 100:
            raise ValueError("phase_in_pct must be between 0 and 100.")
        if uses_last != (self.last_year is not None):
            raise ValueError(
                "last_year: the column is needed for guarantee_pct, growth_cap_pct and "
                "phase_in_pct, and for nothing else."
            )
        if self.pool_by and (self.floors or self.caps or uses_last):
            raise ValueError("pool_by: a pool has no floors, caps or last year's amounts.")
        if self.in_hand and self.phase_in_pct != 100:
            raise ValueError("in_hand and phase_in_pct: raise to a floor or phase in, not both.")

    def columns(self) -> list[str]:
        """The columns it reads, each once, in the order of the declaration."""
        read = [name for term in self.terms for name, _ in term.weights]
        read += [name for term in self.terms for name in term.times]
        read += [bound.per for bound in (*self.floors, *self.caps) if bound.per]
        read += [c for c in (self.only_where, self.pool_by, self.in_hand, self.last_year) if c]
        return list(dict.fromkeys(read))
