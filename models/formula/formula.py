"""A declared formula applied to units: points, limits, one common level, whole agorot."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

import polars as pl

from models.formula.bounds import limits
from models.formula.declaration import Formula
from models.formula.level import Unspendable, at_level, common_level
from models.formula.refusal import FormulaError
from models.formula.units import checked, counted, numbers, phased, points


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
    if pot_agorot < 0:
        raise FormulaError(
            f"the pot must be zero or more, not {pot_agorot} agorot.",
            "הסכום לחלוקה אינו יכול להיות שלילי.",
        )
    units = checked(formula, units, key)
    is_in, pot = counted(formula, units), Fraction(pot_agorot)
    summed = points(formula, units)
    claims = phased(formula, units, summed, pot)
    held = numbers(units, formula.in_hand) if formula.in_hand else [Fraction(0)] * units.height
    limit = limits(formula, units, held, is_in, key)
    pools = _members(
        units[formula.pool_by].to_list() if formula.pool_by else units[key].to_list(), is_in
    )

    # A pool has no limits but what it holds; a unit on its own has its own.
    claim = [sum((claims[i] for i in own), Fraction(0)) for own in pools]
    hold = [sum((held[i] for i in own), Fraction(0)) for own in pools]
    lower = [sum((limit.lower[i] for i in own), Fraction(0)) for own in pools]
    upper = [limit.upper[own[0]] for own in pools]
    in_hand = sum(hold, Fraction(0))
    try:
        level = common_level(claim, lower, upper, pot + in_hand)
    except Unspendable as refused:
        raise _unspendable(refused, in_hand, pot_agorot) from None
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
    amounts = formula.rounding.apply(given)
    table = units.select(
        key,
        points=pl.Series([float(p) for p in summed], dtype=pl.Float64),
        amount_agorot=pl.Series(amounts, dtype=pl.Int64),
        bound=pl.Series(bound, dtype=pl.String),
    )
    return Given(table, level, pot_agorot - sum(amounts))


def _members(pools: list[object], is_in: list[bool]) -> list[list[int]]:
    """Positions of the units of each pool that count."""
    members: dict[object, list[int]] = {}
    for i, (pool, counts) in enumerate(zip(pools, is_in, strict=True)):
        if counts:
            members.setdefault(pool, []).append(i)
    return list(members.values())


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
