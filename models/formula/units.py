"""What units bring to a formula: checked columns, points, and last year's amounts."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import prod

import polars as pl

from models.apportionment import exact
from models.formula.declaration import Formula
from models.formula.refusal import FormulaError

_SHOWN = 10


def checked(formula: Formula, units: pl.DataFrame, key: str) -> pl.DataFrame:
    """The units in order of the key; ValueError at the first thing that is wrong with them."""
    read = formula.columns()
    if missing := [name for name in (key, *read) if name not in units.columns]:
        known = ", ".join(units.columns)
        raise FormulaError(
            f"no column {', '.join(missing)} among the units; there are: {known}.",
            f"חסרות עמודות בטבלת היחידות: {', '.join(missing)}; יש בה: {known}.",
        )
    twice = units.filter(pl.col(key).is_duplicated() | pl.col(key).is_null())
    if twice.height:
        shown = some(twice[key].unique().sort().to_list())
        raise FormulaError(
            f"{key}: every unit needs one row of its own, but see {shown}.",
            f"{key}: לכל יחידה דרושה שורה אחת משלה; לא כך ב: {shown}.",
        )
    for name in read:
        _check_column(formula, units, key, name)
    return units.sort(key)


def _check_column(formula: Formula, units: pl.DataFrame, key: str, name: str) -> None:
    """Raise ValueError where a column holds what the formula cannot count with."""
    column, kind = pl.col(name), units.schema[name]
    bad = pl.lit(False) if name == formula.last_year else column.is_null()
    if name == formula.only_where:
        if kind != pl.Boolean:
            raise FormulaError(
                f"{name}: must be true or false, not {kind}.",
                f"{name}: נדרש ערך של כן או לא.",
            )
    elif name != formula.pool_by:
        if not kind.is_numeric():
            raise FormulaError(f"{name}: must be numbers, not {kind}.", f"{name}: נדרשים מספרים.")
        bad = bad | (column < 0) | ~column.cast(pl.Float64).is_finite()
    rows = units.filter(bad.fill_null(False))
    if rows.height:
        shown = some(rows[key].sort().to_list())
        raise FormulaError(
            f"{name}: a value that is not empty, below zero or infinite is needed at every unit, "
            f"but see {shown}.",
            f"{name}: לכל יחידה נדרש ערך שאינו ריק, שלילי או אינסופי; לא כך ב: {shown}.",
        )


def numbers(units: pl.DataFrame, name: str) -> list[Fraction]:
    """A column as the decimals a person wrote."""
    return [exact(value) for value in units[name].to_list()]


def points(formula: Formula, units: pl.DataFrame) -> list[Fraction]:
    """The sum of the terms, by unit; zero where a unit does not count."""
    summed = [Fraction(0)] * units.height
    for term in formula.terms:
        times = [numbers(units, name) for name in term.times]
        for name, weight in term.weights:
            each = exact(weight)
            for i, count in enumerate(units[name].to_list()):
                if count:
                    summed[i] += prod((column[i] for column in times), start=each * exact(count))
    return [
        p if is_in else Fraction(0)
        for p, is_in in zip(summed, counted(formula, units), strict=True)
    ]


def counted(formula: Formula, units: pl.DataFrame) -> list[bool]:
    """Whether each unit counts."""
    return units[formula.only_where].to_list() if formula.only_where else [True] * units.height


def phased(
    formula: Formula, units: pl.DataFrame, summed: list[Fraction], pot: Fraction
) -> list[Fraction]:
    """Points moved towards last year's amounts, which are first scaled to this year's money.

    A unit without a last year keeps its whole formula amount; the others share what is left.
    """
    whole, way = sum(summed, Fraction(0)), exact(formula.phase_in_pct) / 100
    if formula.last_year is None or way == 1 or not whole:
        return summed
    target = [pot * p / whole for p in summed]
    last = [
        exact(amount) if amount is not None and is_in else None
        for amount, is_in in zip(
            units[formula.last_year].to_list(), counted(formula, units), strict=True
        )
    ]
    known = sum((before for before in last if before is not None), Fraction(0))
    rest = sum(
        (t for t, before in zip(target, last, strict=True) if before is not None), Fraction(0)
    )
    if not known:
        return target
    return [
        t if before is None else way * t + (1 - way) * rest * before / known
        for t, before in zip(target, last, strict=True)
    ]


def some(names: Sequence[object]) -> str:
    """The first of some units."""
    more = len(names) - _SHOWN
    shown = ", ".join(str(name) for name in names[:_SHOWN])
    return shown + (f" and {more} more" if more > 0 else "")
