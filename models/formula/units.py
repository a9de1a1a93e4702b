"""What the units bring to a formula: checked columns, and what earlier parts gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
import polars as pl

from models.formula.numbers import Numbers
from models.formula.refusal import FormulaError

_SHOWN = 10
_NUMBER = r"^[0-9]+(\.[0-9]+)?$"


@dataclass(frozen=True)
class Units:
    """The units of a formula in order of their key, with the numbers that parts have given them.

    Attributes:
        table: one row a unit.
        key: the column that names a unit.
        made: by part, what it gave each unit.
        later: parts whose turn has not come.
    """

    table: pl.DataFrame
    key: str
    made: Mapping[str, Numbers] = field(default_factory=dict)
    later: frozenset[str] = frozenset()
    _read: dict[str, Numbers] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, table: pl.DataFrame, key: str) -> Units:
        """The units of a table.

        Raises:
            FormulaError: there is no such key, or a unit has no row of its own.
        """
        units = cls(table, key)
        units._require(key)
        twice = table.filter(pl.col(key).is_duplicated() | pl.col(key).is_null())
        if twice.height:
            shown = some(twice[key].unique().sort().to_list())
            raise FormulaError(
                f"{key}: every unit needs one row of its own, but see {shown}.",
                f"{key}: לכל יחידה דרושה שורה אחת משלה; לא כך ב: {shown}.",
            )
        return replace(units, table=table.sort(key))

    def __len__(self) -> int:
        """How many units there are."""
        return self.table.height

    def same(self, value: Fraction) -> Numbers:
        """One number for every unit."""
        return Numbers.same(value, len(self))

    def numbers(self, name: str) -> Numbers:
        """A column of numbers, zero or more, known at every unit; or what an earlier part gave."""
        if name in self.made:
            return self.made[name]
        known, values = self.known(name)
        self._refuse(
            name,
            ~known,
            "a value is needed at every unit, but it is empty at",
            "לכל יחידה נדרש ערך; הוא ריק ב",
        )
        return values

    def known(self, name: str) -> tuple[np.ndarray, Numbers]:
        """Where a column of numbers is not empty, and its numbers; zero stands in elsewhere."""
        if name in self.made:
            return np.ones(len(self), dtype=bool), self.made[name]
        self._require(name)
        column = self.table[name]
        if not column.dtype.is_numeric():
            text = column.cast(pl.String)
            bad = text.is_not_null() & ~text.str.contains(_NUMBER).fill_null(False)
            shown = self.some(bad.to_numpy())
            raise FormulaError(
                f"{name}: must be numbers, zero or more, but see {shown}.",
                f"{name}: נדרשים מספרים שאינם שליליים; לא כך ב: {shown}.",
            )
        bad = (column < 0) | ~column.cast(pl.Float64).is_finite()
        self._refuse(
            name,
            bad.fill_null(False).to_numpy(),
            "a value must be zero or more and no infinity, but see",
            "ערך אינו יכול להיות שלילי או אינסופי; כך ב",
        )
        if name not in self._read:
            self._read[name] = Numbers.written(column.fill_null(0))
        return column.is_not_null().to_numpy(), self._read[name]

    def flags(self, name: str | None) -> np.ndarray:
        """A column of true and false; true everywhere where no column is named."""
        if name is None:
            return np.ones(len(self), dtype=bool)
        self._require(name)
        if self.table.schema[name] != pl.Boolean:
            raise FormulaError(
                f"{name}: must be true or false, not {self.table.schema[name]}.",
                f"{name}: נדרש ערך של כן או לא.",
            )
        return self._full(name).to_numpy()

    def groups(self, name: str) -> tuple[list[object], np.ndarray]:
        """The values of a column of names, and by unit the position of its own among them."""
        self._require(name)
        values = self._full(name).to_list()
        names = list(dict.fromkeys(values))
        position = {value: place for place, value in enumerate(names)}
        return names, np.array([position[value] for value in values], dtype=int)

    def some(self, chosen: np.ndarray) -> str:
        """The first of the units chosen."""
        return some(self.table.filter(pl.Series(chosen, dtype=pl.Boolean))[self.key].to_list())

    def _full(self, name: str) -> pl.Series:
        """A column that is not empty anywhere."""
        column = self.table[name]
        self._refuse(
            name,
            column.is_null().to_numpy(),
            "a value is needed at every unit, but it is empty at",
            "לכל יחידה נדרש ערך; הוא ריק ב",
        )
        return column

    def _require(self, name: str) -> None:
        """Raise FormulaError unless the units have a column."""
        if name in self.later:
            raise FormulaError(
                f"{name} is a part that comes later; put it before the parts that use it.",
                f"{name} הוא חלק שבא בהמשך; יש להקדים אותו לחלקים שמשתמשים בו.",
            )
        if name not in self.table.columns:
            known = ", ".join([*self.table.columns, *self.made])
            raise FormulaError(
                f"no column {name} among the units; there are: {known}.",
                f"חסרה עמודה בטבלת היחידות: {name}; יש בה: {known}.",
            )

    def _refuse(self, name: str, bad: np.ndarray, en: str, he: str) -> None:
        """Raise FormulaError where a column is bad at any unit."""
        if bad.any():
            shown = self.some(bad)
            raise FormulaError(f"{name}: {en} {shown}.", f"{name}: {he}: {shown}.")


def some(names: Sequence[object]) -> str:
    """The first of some units."""
    more = len(names) - _SHOWN
    shown = ", ".join(str(name) for name in names[:_SHOWN])
    return shown + (f" and {more} more" if more > 0 else "")
