"""Values of a declaration: what a law reckons from columns, step by step, without code.

A value is a column's name, a number, or one operation:

    sum, product, largest, smallest: [values]
    difference, ratio: [value, value]
    sliding: {of: value, from: number, to: number, gives: [value, value]}
        the first up to `from`, the second from `to` on, a straight line between
    bands: {of: value, gives: [{from: number, value: value}, {above: number, value: value}, ...]}
        the last band that is reached; "above" leaves its own edge out
    by: {column: name, gives: {text: value}, otherwise: value}
    known: {column: name, otherwise: value}
        a column that may be empty
    total: value, or {of: value, by: column}
        the sum over all units, or over those of the same name
    rounded: {of: value, decimals: number, ties: half_even, half_up, half_down, up or down}

Everything is exact; only what `rounded` says is rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from typing import Any, get_args

import numpy as np

from models.apportionment import exact
from models.formula.numbers import Numbers, Ties
from models.formula.refusal import FormulaError
from models.formula.units import Units

Value = Callable[[Units], Numbers]
"""What each unit has of a value."""
_Place = tuple[str | int, ...]
MOST_DECIMALS = 15


def value_of(raw: Any, place: _Place = ()) -> Value:
    """Read a value.

    Args:
        raw: as it stands in a file: text, number, or a mapping of one operation.
        place: keys that lead to it.

    Raises:
        FormulaError: it is none; `place` leads to the part that is wrong.
    """
    if isinstance(raw, str):
        return lambda units: units.numbers(raw)
    if _is_number(raw):
        number = exact(raw)
        return lambda units: units.same(number)
    if not (isinstance(raw, Mapping) and len(raw) == 1):
        raise _refused(
            "write a column's name, a number, or one operation",
            "יש לכתוב שם של עמודה, מספר, או פעולה אחת",
            place,
        )
    ((name, held),) = raw.items()
    if name not in _OPERATIONS:
        known = ", ".join(_OPERATIONS)
        raise _refused(
            f"'{name}' is no operation; known are: {known}",
            f"'{name}' אינה פעולה; מוכרות: {known}",
            (*place, name),
        )
    return _OPERATIONS[name](held, (*place, name))


# ---- operations --------------------------------------------------------------------------------
def _joined(step: Callable[[Numbers, Numbers], Numbers]) -> Callable[[Any, _Place], Value]:
    """An operation that goes through a list of values."""

    def read(raw: Any, place: _Place) -> Value:
        values = _values(raw, place)
        return lambda units: reduce(step, (value(units) for value in values))

    return read


def _difference(raw: Any, place: _Place) -> Value:
    first, second = _values(raw, place, 2)
    return lambda units: first(units) - second(units)


def _ratio(raw: Any, place: _Place) -> Value:
    first, second = _values(raw, place, 2)

    def found(units: Units) -> Numbers:
        below = second(units)
        if (is_zero := (below.num == 0).astype(bool)).any():
            shown = units.some(is_zero)
            raise _refused(
                f"the number to divide by is zero at {shown}",
                f"המספר שמחלקים בו הוא אפס ב: {shown}",
                place,
            )
        return first(units).over(below)

    return found


def _sliding(raw: Any, place: _Place) -> Value:
    keys = _keys(raw, place, ("of", "from", "to", "gives"))
    of = value_of(keys["of"], (*place, "of"))
    start, end = (_number(keys[name], (*place, name)) for name in ("from", "to"))
    low, high = _values(keys["gives"], (*place, "gives"), 2)
    if start >= end:
        raise _refused("from must be below to", "from חייב להיות קטן מ־to", (*place, "from"))

    def found(units: Units) -> Numbers:
        first, last = low(units), high(units)
        inside = of(units).largest(units.same(start)).smallest(units.same(end))
        way = (inside - units.same(start)) * units.same(1 / (end - start))
        return first + (last - first) * way

    return found


def _bands(raw: Any, place: _Place) -> Value:
    keys = _keys(raw, place, ("of", "gives"))
    of, place = value_of(keys["of"], (*place, "of")), (*place, "gives")
    bands: list[tuple[Fraction, bool, Value]] = []
    for i, row in enumerate(_list(keys["gives"], place)):
        at = (*place, i)
        kind = "above" if isinstance(row, Mapping) and "above" in row else "from"
        band = _keys(row, at, (kind, "value"))
        edge = _number(band[kind], (*at, kind))
        if bands and edge <= bands[-1][0]:
            raise _refused("bands must rise", "המדרגות חייבות לעלות", (*at, kind))
        bands.append((edge, kind == "from", value_of(band["value"], (*at, "value"))))

    def found(units: Units) -> Numbers:
        looked_at = of(units)
        reached = [units.same(edge).is_below(looked_at, or_equal=own) for edge, own, _ in bands]
        if not reached[0].all():
            shown = units.some(~reached[0])
            raise _refused(
                f"no band is reached at {shown}", f"אף מדרגה אינה מתקיימת ב: {shown}", place
            )
        given = bands[0][2](units)
        for is_in, (_, _, value) in zip(reached[1:], bands[1:], strict=True):
            given = value(units).where(is_in, given)
        return given

    return found


def _by(raw: Any, place: _Place) -> Value:
    keys = _keys(raw, place, ("column", "gives"), ("otherwise",))
    column, gives = keys["column"], keys["gives"]
    if not (isinstance(gives, Mapping) and gives):
        raise _refused("write values by name", "יש לכתוב ערכים לפי שם", (*place, "gives"))
    values = {name: value_of(held, (*place, "gives", name)) for name, held in gives.items()}
    rest = keys.get("otherwise")
    otherwise = None if rest is None else value_of(rest, (*place, "otherwise"))

    def found(units: Units) -> Numbers:
        names, member = units.groups(column)
        unknown = np.array([name not in values for name in names], dtype=bool)[member]
        if otherwise is None and unknown.any():
            shown, known = units.some(unknown), ", ".join(map(str, values))
            raise _refused(
                f"{column} is none of {known} at {shown}",
                f"{column} אינו אחד מאלה: {known}, ב: {shown}",
                place,
            )
        given = otherwise(units) if otherwise else units.same(Fraction(0))
        for position, name in enumerate(names):
            if name in values:
                given = values[name](units).where(member == position, given)
        return given

    return found


def _known(raw: Any, place: _Place) -> Value:
    keys = _keys(raw, place, ("column", "otherwise"))
    column, otherwise = keys["column"], value_of(keys["otherwise"], (*place, "otherwise"))

    def found(units: Units) -> Numbers:
        is_known, values = units.known(column)
        return values.where(is_known, otherwise(units))

    return found


def _total(raw: Any, place: _Place) -> Value:
    if not (isinstance(raw, Mapping) and "of" in raw):
        of = value_of(raw, place)
        return lambda units: units.same(of(units).total())
    keys = _keys(raw, place, ("of", "by"))
    of, column = value_of(keys["of"], (*place, "of")), keys["by"]

    def found(units: Units) -> Numbers:
        names, member = units.groups(column)
        return of(units).totals(member, len(names)).at(member)

    return found


def _rounded(raw: Any, place: _Place) -> Value:
    keys = _keys(raw, place, ("of", "decimals", "ties"))
    of, decimals, ties = value_of(keys["of"], (*place, "of")), keys["decimals"], keys["ties"]
    if not (type(decimals) is int and abs(decimals) <= MOST_DECIMALS):
        raise _refused(
            f"write how many decimals, at most {MOST_DECIMALS}",
            f"יש לכתוב כמה ספרות אחרי הנקודה, לכל היותר {MOST_DECIMALS}",
            (*place, "decimals"),
        )
    if ties not in get_args(Ties):
        known = ", ".join(get_args(Ties))
        raise _refused(f"ties are one of {known}", f"ties הוא אחד מאלה: {known}", (*place, "ties"))
    step = Fraction(10) ** -decimals
    return lambda units: of(units).rounded(step, ties)


_OPERATIONS: dict[str, Callable[[Any, _Place], Value]] = {
    "sum": _joined(Numbers.__add__),
    "product": _joined(Numbers.__mul__),
    "largest": _joined(Numbers.largest),
    "smallest": _joined(Numbers.smallest),
    "difference": _difference,
    "ratio": _ratio,
    "sliding": _sliding,
    "bands": _bands,
    "by": _by,
    "known": _known,
    "total": _total,
    "rounded": _rounded,
}
OPERATIONS = tuple(_OPERATIONS)
"""The names of all operations."""


# ---- reading -----------------------------------------------------------------------------------
def _values(raw: Any, place: _Place, count: int | None = None) -> list[Value]:
    """A list of values; of so many where a count is given."""
    items = _list(raw, place)
    if count not in (None, len(items)):
        raise _refused(f"write {count} values", f"יש לכתוב {count} ערכים", place)
    return [value_of(item, (*place, i)) for i, item in enumerate(items)]


def _list(raw: Any, place: _Place) -> Sequence[Any]:
    if not (isinstance(raw, list | tuple) and raw):
        raise _refused("write a list: [a, b]", "יש לכתוב רשימה: [א, ב]", place)
    return raw


def _keys(
    raw: Any, place: _Place, needed: tuple[str, ...], also: tuple[str, ...] = ()
) -> Mapping[str, Any]:
    """A mapping of these keys and no others."""
    held = raw if isinstance(raw, Mapping) else {}
    missing = [name for name in needed if name not in held]
    strange = [name for name in held if name not in (*needed, *also)]
    if missing or strange:
        en = f"needed here: {', '.join(needed)}" + (f"; allowed: {', '.join(also)}" if also else "")
        he = f"נדרשים כאן: {', '.join(needed)}" + (f"; מותר: {', '.join(also)}" if also else "")
        raise _refused(en, he, (*place, *strange[:1]))
    return held


def _number(raw: Any, place: _Place) -> Fraction:
    if not _is_number(raw):
        raise _refused("write a number", "יש לכתוב מספר", place)
    return exact(raw)


def _is_number(raw: Any) -> bool:
    """Whether it is a finite number; true and false are none."""
    return type(raw) in (int, float) and abs(raw) < float("inf")


def _refused(en: str, he: str, place: _Place) -> FormulaError:
    return FormulaError(f"{en}.", f"{he}.", place)
