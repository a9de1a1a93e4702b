"""A declaration of several parts, each of which may use what the parts before it gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import polars as pl

from models.formula.declaration import Formula
from models.formula.formula import shared
from models.formula.numbers import Numbers
from models.formula.refusal import FormulaError
from models.formula.rounding import Rounding
from models.formula.units import Units
from models.formula.values import Value

Kind = Literal["pot", "amount", "column", "rate"]


@dataclass(frozen=True)
class Solved:
    """A rate that the law leaves to be found: the last step at which a total is not above a target.

    Attributes:
        of: what each unit has at a rate; it reads the rate by its part's name, and its total may
            not fall while the rate rises.
        target: what the total is to reach, one number for all units.
        least, most: between which rates it lies.
        decimals: of the rate.
    """

    of: Value
    target: Value
    least: Fraction
    most: Fraction
    decimals: int


@dataclass(frozen=True)
class Part:
    """One part of a declaration: exactly one of pot, amount, column and rate.

    Attributes:
        name: by which later parts read what it gave.
        pot: money shared by a formula; how much is given beside it, or by `pot_of`.
        pot_of: the pot as a value of earlier parts, whole agorot.
        amount: what each unit gets by fixed rates, without a pot.
        column: a number that later parts use and nobody is paid.
        rate: a number for all units, found so that a total is reached.
        unit: what an amount, column or rate is counted in; None = agorot.
        rounding: of an amount; None = it is exact already.
        out_of: what the amounts are to add up to; what is missing is told.
        may_be_negative: whether an amount may be below zero: a reduction.
    """

    name: str
    pot: Formula | None = None
    pot_of: Value | None = None
    amount: Value | None = None
    column: Value | None = None
    rate: Solved | None = None
    unit: str | None = None
    rounding: Rounding | None = None
    out_of: Value | None = None
    may_be_negative: bool = False

    @property
    def kind(self) -> Kind:
        """Which of the four it is."""
        if self.pot is not None:
            return "pot"
        if self.amount is not None:
            return "amount"
        return "rate" if self.column is None else "column"

    @property
    def is_money(self) -> bool:
        """Whether units are paid by it."""
        return self.kind == "pot" or (self.kind == "amount" and self.unit is None)


@dataclass(frozen=True)
class Result:
    """What one part gives.

    Attributes:
        part: the part.
        units: the key, `points` (of a pot; else null), `value` (what later parts read, the nearest
            binary number), `amount_agorot` (null where it is no money) and `bound` (of a pot).
        values: the same as `value`, exact.
        pot_agorot: of a pot.
        level: of a pot: agorot per point; of a rate: the rate; else None.
        left: what remains of the pot, of `out_of` or of the rate's target; of other amounts what
            rounding leaves (negative = more is given). Exact, in the part's unit.
    """

    part: Part
    units: pl.DataFrame
    values: Numbers
    pot_agorot: int | None
    level: Fraction | None
    left: Fraction


def apply(
    parts: tuple[Part, ...],
    table: pl.DataFrame,
    pots: Mapping[str, int],
    *,
    key: str = "semel_mosad",
) -> list[Result]:
    """Apply the parts in their order.

    Args:
        parts: the declaration.
        table: one row a unit.
        pots: agorot, by the parts that have no pot of their own.
        key: what names a unit.

    Raises:
        FormulaError: a part cannot be applied, or a unit gets less than nothing from all of them;
            `place` leads to what is wrong, by the name of the part.
    """
    units, results = Units.of(table, key), []
    names = [part.name for part in parts]
    for i, part in enumerate(parts):
        units = replace(units, later=frozenset(names[i:]))
        try:
            if part.name in table.columns:
                raise FormulaError(
                    "the units have a column of this name; give the part another one.",
                    "ליחידות יש עמודה בשם זה; יש לתת לחלק שם אחר.",
                )
            result = _applied(part, units, pots)
        except FormulaError as error:
            raise FormulaError(str(error), error.he, (part.name, *error.place)) from None
        results.append(result)
        units = replace(units, made={**units.made, part.name: result.values})
    paid = [result.values for result in results if result.part.is_money]
    if paid:
        below = (sum(paid[1:], paid[0]).num < 0).astype(bool)
        if below.any():
            shown = units.some(below)
            raise FormulaError(
                f"all parts together come to less than nothing at {shown}; bound the reductions.",
                f"סכום כל החלקים שלילי ב: {shown}; יש להגביל את ההפחתות.",
            )
    return results


def _applied(part: Part, units: Units, pots: Mapping[str, int]) -> Result:
    if part.pot is not None:
        return _pot(part, part.pot, units, pots)
    if part.rate is not None:
        return _solved(part, part.rate, units)
    if part.amount is not None:
        return _amounts(part, part.amount(units), units)
    assert part.column is not None
    values = part.column(units)
    return Result(part, _table(units, values), values, None, None, Fraction(0))


def _pot(part: Part, formula: Formula, units: Units, pots: Mapping[str, int]) -> Result:
    pot = pots[part.name] if part.pot_of is None else _whole(_one(part.pot_of(units), "pot"))
    given = shared(formula, units, pot)
    values = Numbers.written(given.amounts["amount_agorot"])
    table = given.amounts.with_columns(value=pl.col("amount_agorot").cast(pl.Float64))
    table = table.select(units.key, "points", "value", "amount_agorot", "bound")
    return Result(part, table, values, pot, given.level, Fraction(given.left_agorot))


def _amounts(part: Part, asked: Numbers, units: Units) -> Result:
    below = (asked.num < 0).astype(bool)
    if below.any() and not part.may_be_negative:
        shown = units.some(below)
        raise FormulaError(
            f"an amount is below zero at {shown}; say may_be_negative where a reduction is meant.",
            f"סכום שלילי ב: {shown}; אם הכוונה להפחתה יש לכתוב may_be_negative.",
        )
    values = asked
    if part.rounding:
        values = Numbers.of(map(Fraction, part.rounding.apply(asked)))
    elif part.is_money and (broken := asked.is_broken()).any():
        shown = units.some(broken)
        raise FormulaError(
            f"an amount is no whole number of agorot at {shown}; say how it is rounded.",
            f"סכום שאינו מספר שלם של אגורות ב: {shown}; יש לציין rounding.",
            ("rounding",),
        )
    goal = asked.total() if part.out_of is None else _one(part.out_of(units), "out_of")
    amounts = [int(value) for value in values] if part.is_money else None
    return Result(part, _table(units, values, amounts), values, None, None, goal - values.total())


def _solved(part: Part, rate: Solved, units: Units) -> Result:
    """The rate by halving its steps; what is still missing to the target is left."""
    steps = 10**rate.decimals
    target = _one(rate.target(units), "target")

    def total(step: int) -> Fraction:
        known = {**units.made, part.name: units.same(Fraction(step, steps))}
        return rate.of(replace(units, made=known)).total()

    low, high = -(-rate.least * steps // 1), rate.most * steps // 1
    if not total(low) <= target < total(high):
        raise FormulaError(
            f"no rate between {float(rate.least):g} and {float(rate.most):g} reaches the target of "
            f"{float(target):,.2f}: the total is {float(total(low)):,.2f} at the one and "
            f"{float(total(high)):,.2f} at the other.",
            f"אין שיעור בין {float(rate.least):g} ל־{float(rate.most):g} שמגיע ליעד "
            f"{float(target):,.2f}: הסכום הוא {float(total(low)):,.2f} באחד ו־"
            f"{float(total(high)):,.2f} באחר.",
            ("rate",),
        )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if total(middle) <= target else (low, middle)
    found = Fraction(low, steps)
    values = units.same(found)
    return Result(part, _table(units, values), values, None, found, target - total(low))


def _one(values: Numbers, what: str) -> Fraction:
    """The one number that all units have."""
    found = set(values)
    if len(found) != 1:
        raise FormulaError(
            "one number for all units is needed, such as a total.",
            "נדרש מספר אחד לכל היחידות, למשל סכום.",
            (what,),
        )
    return found.pop()


def _whole(value: Fraction) -> int:
    if value.denominator != 1 or value < 0:
        raise FormulaError(
            f"the pot is {float(value):,.2f}; it must be a whole number of agorot, zero or more.",
            f"הסכום לחלוקה הוא {float(value):,.2f}; נדרש מספר שלם של אגורות שאינו שלילי.",
            ("pot",),
        )
    return int(value)


def _table(units: Units, values: Numbers, amounts: list[int] | None = None) -> pl.DataFrame:
    empty = [None] * len(units)
    return units.table.select(units.key).with_columns(
        points=pl.Series(empty, dtype=pl.Float64),
        value=pl.Series(values.floats(), dtype=pl.Float64),
        amount_agorot=pl.Series(amounts or empty, dtype=pl.Int64),
        bound=pl.Series(empty, dtype=pl.String),
    )
