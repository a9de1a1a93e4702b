"""A declared formula applied to units: points, limits, one common level, whole agorot."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

import numpy as np
import polars as pl

from models.apportionment import exact
from models.formula.bounds import Limits, limits
from models.formula.declaration import Formula
from models.formula.level import Bounded, Unspendable
from models.formula.numbers import Numbers
from models.formula.refusal import FormulaError
from models.formula.units import Units


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


def share(
    formula: Formula, units: pl.DataFrame, pot_agorot: int, *, key: str = "semel_mosad"
) -> Given:
    """Share a pot between units by a formula.

    Args:
        formula: what is declared.
        units: `key`, and the columns of the formula, zero or more.
        pot_agorot: the money to share, whole agorot.
        key: what names a unit.

    Raises:
        FormulaError: a column is missing, a value is bad, limits contradict each other, or no
            level uses up the pot; the message says what, at which units or by how much.
    """
    return shared(formula, Units.of(units, key), pot_agorot)


def shared(formula: Formula, units: Units, pot_agorot: int) -> Given:
    """The same for units that earlier parts have given numbers to."""
    if pot_agorot < 0:
        raise FormulaError(
            f"the pot must be zero or more, not {pot_agorot} agorot.",
            "הסכום לחלוקה אינו יכול להיות שלילי.",
        )
    counted, nothing = units.flags(formula.only_where), units.same(Fraction(0))
    summed = _points(formula, units).where(counted, nothing)
    if (summed.num < 0).any():
        shown = units.some((summed.num < 0).astype(bool))
        raise FormulaError(
            f"points: they must be zero or more, but see {shown}.",
            f"הנקודות אינן יכולות להיות שליליות; כך ב: {shown}.",
        )
    claims = _phased(formula, units, summed, counted, Fraction(pot_agorot))
    held = units.numbers(formula.in_hand) if formula.in_hand else nothing
    limit = limits(formula, units, held, counted)
    names, member = units.groups(formula.pool_by or units.key)
    bounded, holds = _pools(claims, held, limit, counted, member, len(names))
    in_hand = holds.total()
    try:
        level = bounded.level(pot_agorot + in_hand)
    except Unspendable as refused:
        raise _unspendable(refused, in_hand, pot_agorot) from None
    given = (bounded.at(level) - holds).at(member)
    if formula.pool_by:
        given = given * _within_pools(claims, counted, member, bounded.points)
    amounts = formula.rounding.apply(given.where(counted, nothing))
    asked = bounded.asked(level)
    is_raised = asked.is_below(bounded.lower)[member] & counted
    is_cut = (bounded.has_end & bounded.upper.is_below(asked))[member] & counted
    bound = np.full(len(units), None, dtype=object)
    bound[is_cut], bound[is_raised] = limit.why_most[is_cut], limit.why_least[is_raised]
    table = units.table.select(
        units.key,
        points=pl.Series(summed.floats(), dtype=pl.Float64),
        amount_agorot=pl.Series(amounts, dtype=pl.Int64),
        bound=pl.Series(bound.tolist(), dtype=pl.String),
    )
    return Given(table, level, pot_agorot - sum(amounts))


def _points(formula: Formula, units: Units) -> Numbers:
    """The sum of the terms, by unit."""
    summed = units.same(Fraction(0))
    for term in formula.terms:
        count = units.same(Fraction(0))
        for name, weight in term.weights:
            count = count + units.numbers(name) * units.same(exact(weight))
        for name in term.times:
            count = count * units.numbers(name)
        summed = summed + count
    return summed


def _phased(
    formula: Formula, units: Units, summed: Numbers, counted: np.ndarray, pot: Fraction
) -> Numbers:
    """Points moved towards last year's amounts, which are first scaled to this year's money.

    A unit without a last year keeps its whole formula amount; the others share what is left.
    """
    whole, way = summed.total(), exact(formula.phase_in_pct) / 100
    if formula.last_year is None:
        return summed
    known, last = units.known(formula.last_year)
    if way == 1 or not whole:
        return summed
    target = summed * units.same(pot / whole)
    known = known & counted
    before = last.at(known).total()
    if not before:
        return target
    rest = target.at(known).total()
    moved = target * units.same(way) + last * units.same((1 - way) * rest / before)
    return moved.where(known, target)


def _pools(
    claims: Numbers,
    held: Numbers,
    limit: Limits,
    counted: np.ndarray,
    member: np.ndarray,
    size: int,
) -> tuple[Bounded, Numbers]:
    """Claims, bounds and money in hand of every pool; a unit alone is a pool of its own.

    A pool of several has no limits but what it holds.
    """
    none = Numbers.same(Fraction(0), len(claims))
    claim, lower, hold, upper = (
        values.where(counted, none).totals(member, size)
        for values in (claims, limit.lower, held, limit.upper)
    )
    has_end = np.zeros(size, dtype=bool)
    has_end[member[counted & limit.has_end]] = True
    return Bounded(claim, lower, upper, has_end), hold


def _within_pools(
    claims: Numbers, counted: np.ndarray, member: np.ndarray, pooled: Numbers
) -> Numbers:
    """Each unit's part of its pool: in proportion to its claim, or equal where there is none."""
    one = np.where(counted, 1, 0).astype(object)
    size = Numbers(one).totals(member, len(pooled))
    has_claim = (pooled.num > 0).astype(bool)
    ones = Numbers.same(Fraction(1), len(pooled))
    own = claims.where(has_claim[member], Numbers(one))
    whole = pooled.where(has_claim, size.largest(ones))
    return own.over(whole.at(member))


def _unspendable(refused: Unspendable, in_hand: Fraction, pot: int) -> FormulaError:
    """Why no level uses up the pot, and by how much."""
    least = refused.least - in_hand
    if pot < least:
        return FormulaError(
            f"the least amounts take {ceil(least)} agorot together, {ceil(least - pot)} more than "
            f"the pot of {pot} agorot; lower floors or guarantees, or raise the pot.",
            f"הסכומים המזעריים הם יחד {_nis(ceil(least))} ₪, {_nis(ceil(least - pot))} ₪ יותר מן"
            f" הסכום לחלוקה ({_nis(pot)} ₪); יש להוריד רצפות או הבטחות, או להגדיל את הסכום.",
        )
    most = (refused.most or Fraction(0)) - in_hand
    return FormulaError(
        f"only {floor(most)} agorot of the pot of {pot} can be given: the units with points stand "
        "at their caps, and no other weight is above zero; raise the caps or lower the pot.",
        f"אפשר לחלק רק {_nis(floor(most))} ₪ מתוך {_nis(pot)} ₪: כל היחידות שיש להן משקל עומדות"
        " בתקרה; יש להעלות את התקרות או להקטין את הסכום.",
    )


def _nis(agorot: int) -> str:
    """An amount for people, in shekels."""
    return f"{agorot / 100:,.2f}".removesuffix(".00")
