"""A declared formula applied to units: points, limits, one common level, whole agorot."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

import polars as pl

from models.formula.bounds import limits
from models.formula.level import Unspendable, at_level, common_level
from models.formula.refusal import FormulaError
from models.formula.rounding import Rounding
from models.formula.units import checked, counted, numbers, phased, points


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

    def apply(self, units: pl.DataFrame, pot_agorot: int, *, key: str = "semel_mosad") -> Given:
        """Share a pot between units.

        Args:
            units: `key`, and the columns of the formula, zero or more.
            pot_agorot: the money to share, whole agorot.
            key: what names a unit.

        Raises:
            FormulaError: a column is missing, a value is bad, limits contradict each other, or no
                level uses up the pot; the message says what, at which units or by how much.
        """
        if pot_agorot < 0:
            raise FormulaError(
                f"the pot must be zero or more, not {pot_agorot} agorot.",
                "הסכום לחלוקה אינו יכול להיות שלילי.",
            )
        units = checked(self, units, key)
        is_in, pot = counted(self, units), Fraction(pot_agorot)
        summed = points(self, units)
        claims = phased(self, units, summed, pot)
        held = numbers(units, self.in_hand) if self.in_hand else [Fraction(0)] * units.height
        limit = limits(self, units, held, is_in, key)
        pools = _members(
            units[self.pool_by].to_list() if self.pool_by else units[key].to_list(), is_in
        )

        # A pool has no limits but what it holds; a unit on its own has its own.
        claim = [sum((claims[i] for i in own), Fraction(0)) for own in pools]
        hold = [sum((held[i] for i in own), Fraction(0)) for own in pools]
        lower = [sum((limit.lower[i] for i in own), Fraction(0)) for own in pools]
        upper = [limit.upper[own[0]] for own in pools]
        in_hand = sum(hold, Fraction(0))
        try:
            level = common_level(claim, lower, upper, pot + in_hand)
        except Unspendable as found:
            raise _unspendable(found, in_hand, pot_agorot) from None
        given = [Fraction(0)] * units.height
        bound: list[str | None] = [None] * units.height
        for k, own in enumerate(pools):
            more = at_level(level, claim[k], lower[k], upper[k]) - hold[k]
            high = upper[k]
            at = limit.why_least if level * claim[k] < lower[k] else limit.why_most
            is_bound = level * claim[k] < lower[k] or (high is not None and level * claim[k] > high)
            for i in own:
                given[i] = more * (claims[i] / claim[k] if claim[k] else Fraction(1, len(own)))
                bound[i] = at[i] if is_bound else None
        amounts = self.rounding.apply(given)
        table = units.select(
            key,
            points=pl.Series([float(p) for p in summed], dtype=pl.Float64),
            amount_agorot=pl.Series(amounts, dtype=pl.Int64),
            bound=pl.Series(bound, dtype=pl.String),
        )
        return Given(table, level, pot_agorot - sum(amounts))


@dataclass(frozen=True)
class Given:
    """What a formula gives.

    Attributes:
        amounts: by key: the key, points, amount_agorot (beside what is in hand) and `bound`, at
            which the unit stands ("floor", "guarantee", "cap", "growth_cap"; "in_hand" = its own
            money is above the level; null = at the common level).
        level: λ, agorot per point, exact; of the phased-in claims where amounts are phased in.
        left_agorot: pot less amounts: zero by largest remainder; otherwise what rounding each
            amount alone leaves (negative = overspends).
    """

    amounts: pl.DataFrame
    level: Fraction
    left_agorot: int


def _members(pools: list[object], is_in: list[bool]) -> list[list[int]]:
    """Positions of the units of each pool that count."""
    members: dict[object, list[int]] = {}
    for i, (pool, counts) in enumerate(zip(pools, is_in, strict=True)):
        if counts:
            members.setdefault(pool, []).append(i)
    return list(members.values())


def _unspendable(found: Unspendable, in_hand: Fraction, pot: int) -> FormulaError:
    """Why no level uses up the pot, and by how much."""
    least = found.least - in_hand
    if pot < least:
        return FormulaError(
            f"the least amounts take {ceil(least)} agorot together, {ceil(least - pot)} more than "
            f"the pot of {pot} agorot; lower floors or guarantees, or raise the pot.",
            f"הסכומים המזעריים הם יחד {_nis(ceil(least))} ₪, {_nis(ceil(least - pot))} ₪ יותר מן"
            f" הסכום לחלוקה ({_nis(pot)} ₪); יש להוריד רצפות או הבטחות, או להגדיל את הסכום.",
        )
    most = (found.most or Fraction(0)) - in_hand
    return FormulaError(
        f"only {floor(most)} agorot of the pot of {pot} can be given: the units with points stand "
        "at their caps, and no other weight is above zero; raise the caps or lower the pot.",
        f"אפשר לחלק רק {_nis(floor(most))} ₪ מתוך {_nis(pot)} ₪: כל היחידות שיש להן משקל עומדות"
        " בתקרה; יש להעלות את התקרות או להקטין את הסכום.",
    )


def _nis(agorot: int) -> str:
    """An amount for people, in shekels."""
    return f"{agorot / 100:,.2f}".removesuffix(".00")
