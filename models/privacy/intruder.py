"""The intruder: between what every hidden count must lie, by all that is told together.

A count is open when two whole-number points keep every row and differ in it by at least the width
asked for. Only points that were checked row by row count, so that no tolerance and no limit of the
solver can make a count look safer than it is. Source: the attacker's programmes of Fischetti and
Salazar-González (2000), Management Science 47(7); R111.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import highspy
import numpy as np

from models.privacy.system import System

_PASSES = 30
_MOST = 10**6
_TOLERANCE = 1e-6
_CONTRADICTION = "no counts keep what is told of them"


@dataclass(frozen=True)
class Found:
    """What the intruder knows of one hidden count: it lies in [low, high].

    `knows` names the count of one child that the intruder is, where that is needed; else empty.
    """

    name: str
    low: int
    high: int
    knows: str = ""


class ContradictionError(Exception):
    """No whole numbers keep the rows: something was taken for related that is not."""


@dataclass
class Block:
    """A part of a system that hangs together: its hidden counts and the rows about them.

    `at`, `column` and `factor` are the entries of the rows, row by row.
    """

    columns: np.ndarray
    rows: np.ndarray
    at: np.ndarray
    column: np.ndarray
    factor: np.ndarray
    low: np.ndarray
    high: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def of(cls, system: System, columns: np.ndarray) -> Block:
        """Take the columns, what is told moved to the ends of their rows, and each row once."""
        rows = system.about(columns)
        rows = rows[np.isfinite(system.low[rows]) | np.isfinite(system.high[rows])]  # else hidden
        at, count, factor = system.entries(rows)
        is_open = system.told[count] < 0
        known = np.bincount(at, np.where(is_open, 0, factor * system.told[count]), len(rows))
        at, column, factor = at[is_open], np.searchsorted(columns, count[is_open]), factor[is_open]
        starts = np.searchsorted(at, np.arange(len(rows) + 1))
        ends: dict[tuple[bytes, bytes], tuple[int, float, float]] = {}
        for row, low, high in zip(
            range(len(rows)), system.low[rows] - known, system.high[rows] - known, strict=True
        ):
            inside = slice(starts[row], starts[row + 1])
            alike = column[inside].tobytes(), factor[inside].tobytes()
            first, least, most = ends.get(alike, (row, -np.inf, np.inf))
            ends[alike] = first, max(least, low), min(most, high)
        kept = np.array([first for first, _, _ in ends.values()], dtype=int)
        new = np.full(len(rows), -1)
        new[kept] = np.arange(len(kept))
        stays = new[at] >= 0
        return cls(
            columns,
            rows[kept],
            new[at[stays]],
            column[stays],
            factor[stays],
            np.array([low for _, low, _ in ends.values()], dtype=float),
            np.array([high for _, _, high in ends.values()], dtype=float),
            system.lower[columns].astype(float),
            system.upper[columns].astype(float),
        )

    def mark(self, names: Sequence[str], guard: Guard) -> bytes:
        """Return a hash of the block and of what is kept in it from whom."""
        kept = [(n, n in guard.guarded, n in guard.sensitive, n in guard.singles) for n in names]
        digest = hashlib.sha256(repr((guard.width, kept)).encode())
        ends = self.low, self.high, self.lower, self.upper
        for held in (self.at, self.column, self.factor, *ends):
            digest.update(held.tobytes())
        return digest.digest()

    def narrow(self) -> None:
        """Narrow the bounds by each row alone, again and again.

        Raises:
            ContradictionError: if nothing is left between them.
        """
        at, column, factor = self.at, self.column, self.factor
        for _ in range(_PASSES):
            least = np.where(factor > 0, factor * self.lower[column], factor * self.upper[column])
            most = np.where(factor > 0, factor * self.upper[column], factor * self.lower[column])
            of_row = np.bincount(at, least, len(self.low)), np.bincount(at, most, len(self.low))
            top = (self.high[at] - of_row[0][at] + least) / factor
            bottom = (self.low[at] - of_row[1][at] + most) / factor
            top, bottom = np.where(factor > 0, top, bottom), np.where(factor > 0, bottom, top)
            upper, lower = self.upper.copy(), self.lower.copy()
            np.minimum.at(upper, column, np.floor(top + _TOLERANCE))
            np.maximum.at(lower, column, np.ceil(bottom - _TOLERANCE))
            if np.any(lower > upper):
                raise ContradictionError(_CONTRADICTION)
            if np.array_equal(upper, self.upper) and np.array_equal(lower, self.lower):
                break
            self.lower, self.upper = lower, upper

    @property
    def is_one_sum(self) -> bool:
        """Whether one row of ones is all: its bounds are then exact."""
        return len(self.low) <= 1 and bool(np.all(abs(self.factor) == 1))

    def holds(self, x: np.ndarray) -> bool:
        """Whether a point keeps every row and bound."""
        activity = np.bincount(self.at, self.factor * x[self.column], len(self.low))
        return bool(
            np.all(activity >= self.low - _TOLERANCE)
            and np.all(activity <= self.high + _TOLERANCE)
            and np.all(x >= self.lower)
            and np.all(x <= self.upper)
        )


@dataclass(frozen=True)
class Guard:
    """What is kept from whom.

    Attributes:
        width: high less low that a guarded count must have at least.
        guarded: counts that nobody may know more nearly.
        sensitive: those of them that are kept from a child of another count too.
        singles: hidden counts of one child, who knows that.
    """

    width: int
    guarded: frozenset[str]
    sensitive: frozenset[str] = frozenset()
    singles: frozenset[str] = frozenset()

    def also(self, names: Collection[str]) -> Guard:
        """The same with further counts guarded."""
        return replace(self, guarded=self.guarded | set(names))

    def but(self, found: Found) -> Guard:
        """The same without guarding what is known anyway, to everybody or to a child of one."""
        name = {found.name}
        guarded = self.guarded if found.knows else self.guarded - name
        return replace(self, guarded=guarded, sensitive=self.sensitive - name)


def attack(system: System, guard: Guard, safe: set[bytes] | None = None) -> list[Found]:
    """Return the guarded counts that are known to less than the width, in canonical order.

    Args:
        system: what is told.
        guard: what is kept from whom.
        safe: marks of blocks in which nothing was found before; new ones are added. The mark of a
            block is made of all that an attack on it depends on.

    Raises:
        ContradictionError: if what is told cannot all be true.
    """
    safe = set() if safe is None else safe
    return [
        found for columns in system.blocks() for found in attack_block(system, columns, guard, safe)
    ]


def attack_block(
    system: System, columns: np.ndarray, guard: Guard, safe: set[bytes]
) -> list[Found]:
    """Return what `attack` finds in one block of a system."""
    names = [system.names[column] for column in columns]
    targets = [number for number, name in enumerate(names) if name in guard.guarded]
    if not targets:
        return []
    block = Block.of(system, columns)
    mark = block.mark(names, guard)
    if mark in safe:
        return []
    block.narrow()
    search = _Search(block, guard.width)
    found = list(search.closed(names, targets))
    for single in (number for number, name in enumerate(names) if name in guard.singles):
        # Others than itself are counted in the other parts of a whole: by the same sign in its row.
        sign = np.zeros(len(block.low))
        own = block.column == single
        sign[block.at[own]] = np.sign(block.factor[own])
        beside = np.unique(block.column[sign[block.at] * block.factor > 0])
        near = [t for t in beside if t != single and names[t] in guard.sensitive]
        if near:
            found += search.knowing(single).closed(names, near, knows=names[single])
    if not found:
        safe.add(mark)
    return found


class _Search:
    """Points of one block, and the least and the most that each count has in them."""

    def __init__(self, block: Block, width: int, points: np.ndarray | None = None) -> None:
        self.block, self.width = block, width
        self.points = np.empty((0, len(block.columns))) if points is None else points
        self._models: dict[bool, highspy.Highs] = {}

    def knowing(self, single: int) -> _Search:
        """The same where one count is known to be 1."""
        lower, upper = self.block.lower.copy(), self.block.upper.copy()
        lower[single] = upper[single] = 1
        block = replace(self.block, lower=lower, upper=upper)
        block.narrow()
        return _Search(block, self.width, self.points[self.points[:, single] == 1])

    def closed(
        self, names: list[str], targets: Collection[int], knows: str = ""
    ) -> Iterator[Found]:
        """Yield the targets that are not seen to be open."""
        block = self.block
        low, high = block.lower.copy(), block.upper.copy()
        if not block.is_one_sum:
            self._apart([t for t in targets if high[t] - low[t] >= self.width])
        for target in targets:
            if not block.is_one_sum and not self._is_open(target):
                low[target], high[target] = self._end(target, 1), self._end(target, -1)
            is_open = self._is_open(target) or (
                block.is_one_sum and high[target] - low[target] >= self.width
            )
            if not is_open:
                yield Found(names[target], int(low[target]), int(high[target]), knows)

    def _is_open(self, target: int) -> bool:
        seen = self.points[:, target]
        return len(seen) > 0 and seen.max() - seen.min() >= self.width

    def _apart(self, targets: list[int]) -> None:
        """Look for points that move many counts at once: neighbours one against the other."""
        for stride in (1, 2, 4):
            left = [t for t in targets if not self._is_open(t)]
            if len(left) < 3:
                return
            cost = np.zeros(len(self.block.columns))
            cost[left] = np.where((np.arange(len(left)) // stride) % 2, 1.0, -1.0)
            self._solve(cost)
            self._solve(-cost)

    def _end(self, target: int, sign: int) -> float:
        cost = np.zeros(len(self.block.columns))
        cost[target] = sign
        return self._solve(cost)[target]

    def _solve(self, cost: np.ndarray) -> np.ndarray:
        """Return the whole-number point of least cost; it is kept if it holds exactly.

        Raises:
            ContradictionError: if there is none.
        """
        for whole in (False, True):
            if (model := self._models.get(whole)) is None:
                model = self._models[whole] = _model(self.block, whole=whole)
            model.changeColsCost(len(cost), np.arange(len(cost), dtype=np.int32), cost)
            model.run()
            if model.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
                raise ContradictionError(_CONTRADICTION)
            found = np.array(model.getSolution().col_value)
            x = np.round(found)
            if self.block.holds(x) and abs(cost @ (found - x)) < _TOLERANCE:
                self.points = np.vstack([self.points, x])
                break
        return x


def _model(block: Block, *, whole: bool = True) -> highspy.Highs:
    """Return a block as a programme without a cost."""
    solver = highspy.Highs()
    for option, value in (("output_flag", False), ("threads", 1), ("mip_rel_gap", 0.0)):
        solver.setOptionValue(option, value)
    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = len(block.low), len(block.lower)
    lp.col_cost_ = np.zeros(lp.num_col_)
    lp.col_lower_, lp.col_upper_ = block.lower, block.upper
    lp.row_lower_, lp.row_upper_ = block.low, block.high
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.searchsorted(block.at, np.arange(lp.num_row_ + 1)).astype(np.int32)
    lp.a_matrix_.index_ = block.column.astype(np.int32)
    lp.a_matrix_.value_ = block.factor
    if whole:
        lp.integrality_ = [highspy.HighsVarType.kInteger] * lp.num_col_
    solver.passModel(lp)
    return solver


class Reasons:
    """What of all that is told makes counts of one block known."""

    def __init__(self, system: System, columns: np.ndarray, width: int) -> None:
        rows = system.about(columns)
        at, count, factor = system.entries(rows)
        every = np.unique(count)
        self._width, told = width, system.told[every]
        self._names = [system.names[column] for column in every]
        self._place = {name: number for number, name in enumerate(self._names)}
        self._rows = [system.row_names[row] for row in rows]
        self._told = told >= 0
        self._everything = {
            n for n, is_told in zip(self._names, self._told, strict=True) if is_told
        }
        is_told = np.isfinite(system.low[rows]) | np.isfinite(system.high[rows])  # else hidden
        self._everything |= {n for n, told in zip(self._rows, is_told, strict=True) if told}
        self._solver = None
        if len(rows) > 1:
            lower = np.where(self._told, told, system.lower[every]).astype(float)
            upper = np.where(self._told, told, system.upper[every]).astype(float)
            ends, place = (system.low[rows], system.high[rows]), np.searchsorted(every, count)
            block = Block(every, rows, at, place, factor, *ends, lower, upper)
            self._solver = _model(block, whole=False)

    def of(self, found: Found) -> set[str]:
        """Return the counts and published shares that make a count known.

        They are what the duals of the two linear programmes stand on; where these leave the count
        open and only whole numbers do not, everything told in the rows of its block. As long as
        none of it is hidden the count stays known, so that each set is a valid cut.
        """
        if self._solver is None:
            return self._everything - {""}
        used, ends = set[str](), []
        self._bound(found.knows, 1, 1)
        for sign in (1.0, -1.0):
            self._solver.changeColCost(self._place[found.name], sign)
            self._solver.run()
            solution = self._solver.getSolution()
            ends.append(solution.col_value[self._place[found.name]])
            on_counts = np.abs(np.array(solution.col_dual)) > _TOLERANCE
            on_rows = np.abs(np.array(solution.row_dual)) > _TOLERANCE
            used |= {self._names[n] for n in np.flatnonzero(on_counts & self._told)}
            used |= {self._rows[row] for row in np.flatnonzero(on_rows)}
        self._solver.changeColCost(self._place[found.name], 0.0)
        self._bound(found.knows, 1, _MOST)
        is_open = np.floor(ends[1] + _TOLERANCE) - np.ceil(ends[0] - _TOLERANCE) >= self._width
        return (self._everything if is_open else used) - {""}

    def _bound(self, name: str, low: int, high: int) -> None:
        if name and self._solver is not None:
            self._solver.changeColBounds(self._place[name], low, high)
