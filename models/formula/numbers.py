"""Exact numbers of many units at once: whole numerators over one denominator, or one each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import lcm
from typing import Any, Literal

import numpy as np
import polars as pl

Ties = Literal["half_even", "half_up", "half_down", "up", "down"]
"""How a number between two steps is rounded; up and down are away from zero and towards it."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """Exact numbers, one for each unit: numerator ÷ denominator, in whole numbers of any length.

    Attributes:
        num: whole numbers, one for each unit.
        den: above zero: one for all units, or one for each.
    """

    num: np.ndarray
    den: Any = 1

    @classmethod
    def of(cls, values: Iterable[Fraction]) -> Numbers:
        """The same numbers; over one denominator where that is not much longer."""
        values = list(values)
        dens = {value.denominator for value in values}
        one = lcm(*dens) if len(dens) < _FEW else 0
        if one:
            return cls(_whole([v.numerator * (one // v.denominator) for v in values]), one)
        return cls(_whole([v.numerator for v in values]), _whole([v.denominator for v in values]))

    @classmethod
    def written(cls, column: pl.Series) -> Numbers:
        """A column as the decimals a person wrote: 0.1 is one tenth."""
        if column.dtype.is_integer():
            return cls(_whole(column.to_list()))
        return cls.of(Fraction(*Decimal(repr(value)).as_integer_ratio()) for value in column)

    @classmethod
    def same(cls, value: Fraction, size: int) -> Numbers:
        """One number for every unit."""
        return cls(_whole([value.numerator] * size), value.denominator)

    def __len__(self) -> int:
        """How many units there are."""
        return len(self.num)

    def __add__(self, other: Numbers) -> Numbers:
        """Unit by unit."""
        mine, others, den = self._beside(other)
        return Numbers(mine + others, den)

    def __sub__(self, other: Numbers) -> Numbers:
        """Unit by unit."""
        mine, others, den = self._beside(other)
        return Numbers(mine - others, den)

    def __mul__(self, other: Numbers) -> Numbers:
        """Unit by unit."""
        return Numbers(self.num * other.num, self.den * other.den)

    def over(self, other: Numbers) -> Numbers:
        """The ratio, unit by unit; no number of `other` may be zero."""
        sign = np.where(other.num < 0, -1, 1).astype(object)
        num, den = self.num * other.den * sign, self.den * other.num * sign
        shared = np.gcd(num, den)
        return Numbers(num // shared, den // shared)

    def largest(self, other: Numbers) -> Numbers:
        """The larger of the two, unit by unit."""
        mine, others, den = self._beside(other)
        return Numbers(np.maximum(mine, others), den)

    def smallest(self, other: Numbers) -> Numbers:
        """The smaller of the two, unit by unit."""
        mine, others, den = self._beside(other)
        return Numbers(np.minimum(mine, others), den)

    def where(self, chosen: np.ndarray, other: Numbers) -> Numbers:
        """These numbers at the units chosen, the others' elsewhere."""
        mine, others, den = self._beside(other)
        return Numbers(np.where(chosen, mine, others), den)

    def is_below(self, other: Numbers, *, or_equal: bool = False) -> np.ndarray:
        """Whether each number is less than the other's (or equal to it)."""
        mine, others, _ = self._beside(other)
        return (mine <= others if or_equal else mine < others).astype(bool)

    def is_broken(self) -> np.ndarray:
        """Whether each is no whole number."""
        return (self.num % self.den != 0).astype(bool)

    def total(self) -> Fraction:
        """The sum over all units."""
        one = self.over_one()
        return Fraction(sum(one.num.tolist()), one.den)

    def totals(self, members: np.ndarray, groups: int) -> Numbers:
        """The sum over the units of each group.

        Args:
            members: by unit, the position of its group, 0 … groups - 1.
            groups: how many there are.
        """
        one = self.over_one()
        summed = np.zeros(groups, dtype=object)
        np.add.at(summed, members, one.num)
        return Numbers(summed, one.den)

    def running(self) -> Numbers:
        """The sum of each number and all before it."""
        one = self.over_one()
        return Numbers(np.cumsum(one.num), one.den)

    def at(self, positions: np.ndarray) -> Numbers:
        """The numbers at some positions, or those chosen, in their order."""
        den = self.den if isinstance(self.den, int) else self.den[positions]
        return Numbers(self.num[positions], den)

    def joined(self, other: Numbers) -> Numbers:
        """These numbers, and then the others."""
        mine, others = self.over_one(), other.over_one()
        den = lcm(mine.den, others.den)
        scaled = [mine.num * (den // mine.den), others.num * (den // others.den)]
        return Numbers(np.concatenate(scaled), den)

    def over_one(self) -> Numbers:
        """The same numbers over one denominator."""
        if isinstance(self.den, int):
            return self
        den = lcm(*self.den)
        return Numbers(self.num * (den // self.den), den)

    def rounded(self, step: Fraction, ties: Ties) -> Numbers:
        """Each number to a multiple of `step`."""
        num = self.num * step.denominator
        den = self.den * step.numerator
        size = np.abs(num) // den
        rest = np.abs(num) - size * den
        match ties:
            case "down":
                more = rest < 0
            case "up":
                more = rest > 0
            case "half_up":
                more = 2 * rest >= den
            case "half_down":
                more = 2 * rest > den
            case "half_even":
                more = (2 * rest > den) | ((2 * rest == den) & (size % 2 == 1))
        steps = (size + more.astype(bool)) * np.where(num < 0, -1, 1).astype(object)
        return Numbers(steps * step.numerator, step.denominator)

    def order_keys(self) -> list[int]:
        """Whole numbers in the order of these numbers, equal where they are equal.

        Two different fractions over b and d lie at least 1 ÷ bd apart, so they stay apart when
        they are multiplied by more than the square of the largest denominator and cut off.
        """
        largest = self.den if isinstance(self.den, int) else max(self.den, default=1)
        return list((self.num << (2 * int(largest).bit_length())) // self.den)

    def __iter__(self) -> Any:
        """The numbers, one by one."""
        return map(Fraction, self.num, self._dens())

    def floats(self) -> list[float]:
        """The nearest binary numbers, for people and tables."""
        return [num / den for num, den in zip(self.num, self._dens(), strict=True)]

    def _dens(self) -> Any:
        return [self.den] * len(self) if isinstance(self.den, int) else self.den

    def _beside(self, other: Numbers) -> tuple[np.ndarray, np.ndarray, Any]:
        """Both numerators over one denominator, and that."""
        if isinstance(self.den, int) and isinstance(other.den, int):
            den = lcm(self.den, other.den)
            return self.num * (den // self.den), other.num * (den // other.den), den
        return self.num * other.den, other.num * self.den, self.den * other.den


_FEW = 64


def _whole(values: list[int]) -> np.ndarray:
    """Whole numbers of any length as an array."""
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found
