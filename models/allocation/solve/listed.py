"""A city's re-solve: every plan of every school listed, prices for what schools share.

A school has few plans that keep its own rows: some thousands, all of a city's schools together a
few hundred thousand, and what each is worth at any prices is one pass over a list. So the prices
of `national.lagrangian` are found in hundredths of a second, and with them a bound that lies some
hundredths of a percent above the best plan, where that of the linear relaxation lies two or three
percent above it. What then remains is small: a school plan that loses d against its school's best
at the prices is in no plan worth more than the bound less d. The plans that lose least are mixed
by the solver in whole numbers, one a school, and all others are proven away by what they lose
(reduced costs; Baldacci, Christofides & Mingozzi 2008 do so with the routes of vehicles).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from models.allocation.problem.objective import Objective
from models.allocation.solve.model import Model
from models.allocation.solve.national.decomposition import Start, kept_of, sides_of
from models.allocation.solve.national.lagrangian import relax
from models.allocation.solve.national.school_blocks import BySchool, ranges
from models.allocation.solve.national.school_plans import SchoolPlans
from models.allocation.solve.possible import minimise_open, possible

MOST_LISTED = 1_000_000
"""Parts of plans that are listed at most: of more the solver is given the problem as it is."""

_MOST_SHARED = 500
"""Limits between schools at most: where an order of need ties hundreds of pairs of schools their
prices take longer than the solver does."""

_FIRST, _TRIES, _WIDER = 500, 3, 8.0
"""School plans among which is searched first; how often more are looked at, and by how much."""

_FEW = 3
_NEW_ONES = 0.5
"""Of the plans of a school that are better than those known, the better half are answers."""

_KEPT = 1e-3
"""School plans that are left for the next search lose no more than this share of the worth."""

_SMOOTHING = 0.2
"""As exact answers cost little, prices move further than where they are searched for."""

_NEAR = 1e-9
"""More than the rounding of what plans lose, as a share of the worth."""

_ROUNDING = 2e-6
"""The solver itself sees no nearer, in its own units."""

_TARGET = 2e-4
"""How near (as a share) the prices are sought to those of the lowest bound."""


@dataclass(frozen=True)
class _Level:
    """What one more pair makes of the parts of plans: which part each comes of, and its choice."""

    parent: np.ndarray
    at: np.ndarray


@dataclass(frozen=True)
class Listed:
    """All plans of all schools that keep their schools' own rows.

    Attributes:
        by_school: the schools and their choices.
        levels: one a pair; the last one's parts are the plans. Choices are numbered over schools,
            pairs and choices.
        school: school of each plan, ascending.
        start: position of each school's first plan.
    """

    by_school: BySchool
    levels: tuple[_Level, ...]
    school: np.ndarray
    start: np.ndarray

    @classmethod
    def of(cls, by_school: BySchool) -> Listed | None:
        """List them; None where they are too many, or a school has none.

        Own rows that count leaders of overlaps are not listed.
        """
        is_open = by_school.is_open
        schools, pairs, choices = is_open.shape
        if by_school.own_first.any():
            return None
        low, high = ranges(is_open, by_school.own, by_school.own_first)
        count = is_open.sum(axis=2)
        # Pairs with few choices come first, so that parts multiply late.
        order = np.argsort(count, axis=1, kind="stable")

        def still_to_come(values: np.ndarray) -> np.ndarray:
            held = np.take_along_axis(values, order[:, :, None], axis=1)
            return held[:, ::-1].cumsum(axis=1)[:, ::-1] - held

        most = by_school.most[:, None] - still_to_come(low)
        least = by_school.least[:, None] - still_to_come(high)
        own = by_school.own.reshape(schools * pairs * choices, -1)
        shown = np.flatnonzero(is_open)
        first = np.append(0, np.cumsum(count))
        school = np.arange(schools)
        used = [np.zeros(schools, dtype=np.int64) for _ in range(own.shape[1])]
        levels = []
        for level in range(pairs):
            pair = school * pairs + order[school, level]
            times = count.ravel()[pair]
            total = int(times.sum())
            if total > MOST_LISTED:
                return None
            parent = np.repeat(np.arange(len(school)), times)
            number = np.arange(total) - np.repeat(np.cumsum(times) - times, times)
            at = shown[first[pair][parent] + number]
            school = school[parent]
            fits = np.ones(total, dtype=bool)
            for row, before in enumerate(used):
                used[row] = before[parent] + own[at, row]
                fits &= used[row] <= most[school, level, row]
                fits &= used[row] >= least[school, level, row]
            parent, at, school = parent[fits], at[fits], school[fits]
            used = [after[fits] for after in used]
            levels.append(_Level(parent, at))
        start = np.searchsorted(school, np.arange(schools))
        has_plan = np.bincount(school, minlength=schools) > 0
        return cls(by_school, tuple(levels), school, start) if has_plan.all() else None

    def values(self, each: np.ndarray, first: np.ndarray) -> np.ndarray:
        """By plan, the sum of `each` over its choices and the largest `first` of each group.

        Args:
            each: school × pair × choice.
            first: the same; 0 outside groups.
        """
        each, group = each.ravel(), self.by_school.group.ravel()
        slots = self.by_school.slots
        leads = [
            np.where(np.repeat(group == slot, first.shape[2]), first.ravel(), 0.0)
            for slot in range(slots)
        ]
        value, held = np.zeros(len(self.start)), [np.zeros(len(self.start))] * slots
        for level in self.levels:
            value = value[level.parent] + each[level.at]
            held = [
                np.maximum(before[level.parent], lead[level.at])
                for before, lead in zip(held, leads, strict=True)
            ]
        return value + sum(held) if held else value

    def choices(self, plans: np.ndarray) -> np.ndarray:
        """Some plans as the choice of each pair, plan × pair."""
        pairs, choices = self.by_school.is_open.shape[1:]
        found = np.zeros((len(plans), pairs), dtype=np.int8)
        number, part = np.arange(len(plans)), plans
        for level in reversed(self.levels):
            place = level.at[part]
            found[number, place // choices % pairs] = place % choices
            part = level.parent[part]
        return found

    def seen(self, plans: np.ndarray) -> np.ndarray:
        """Whether each option is in one of some plans."""
        column = self.by_school.column.ravel()
        held, part = np.zeros(len(column), dtype=bool), plans
        for level in reversed(self.levels):
            held[level.at[part]] = True
            part = level.parent[part]
        seen = np.zeros(int(column.max()) + 1, dtype=bool)
        seen[column[held & (column >= 0)]] = True
        return seen


@dataclass(frozen=True)
class ListedSearch:
    """What `lagrangian.relax` asks of the schools' plans, answered from the list.

    Attributes:
        listed: the plans.
        objective: what a school's gain is worth; linear.
        paid: what each choice uses of what schools share, choices × rows.
        paid_size: the same without its sign.
    """

    listed: Listed
    objective: Objective
    paid: sparse.csr_array
    paid_size: sparse.csr_array

    @classmethod
    def of(cls, model: Model, listed: Listed) -> ListedSearch:
        """Of a model and its list."""
        column = listed.by_school.column.ravel()
        row, sign = listed.by_school.sides.T
        use = (sparse.diags_array(sign.astype(float)) @ model.matrix[row]).T.tocsr()
        shown = np.flatnonzero(column >= 0)
        at = sparse.csr_array(
            (np.ones(len(shown)), (shown, column[shown])), (len(column), use.shape[0])
        )
        paid = (at @ use).tocsr()
        return cls(listed, model.summed, paid, abs(paid))

    @property
    def by_school(self) -> BySchool:
        """The schools and their choices."""
        return self.listed.by_school

    def value(self, price: np.ndarray) -> np.ndarray:
        """By plan, its worth less what it pays at the prices of what schools share."""
        schools = self.by_school
        paid = (self.paid @ price).reshape(schools.each.shape)
        return self.listed.values(schools.each - paid, schools.first)

    def plans(
        self, price: np.ndarray, *, floor: np.ndarray, width: int, spare: float | None = None
    ) -> SchoolPlans:
        """As `school_plans.Search.plans`; `upper` is exact, so nothing is left to search closer."""
        value, start = self.value(price), self.listed.start
        top = np.maximum.reduceat(value, start)
        least = np.where(np.isneginf(floor), top, top - _NEW_ONES * (top - floor))
        at = np.flatnonzero(value >= np.minimum(least, top)[self.listed.school])
        at = at[np.lexsort((at, -value[at], self.listed.school[at]))]
        school = self.listed.school[at]
        few = np.arange(len(at)) - np.searchsorted(school, school) < _FEW
        at, school = at[few], school[few]
        return SchoolPlans(school, self.listed.choices(at), value[at], top + self._margin(price))

    def largest_worth(self) -> float:
        """More than any plan of one school is worth; 1 where nothing is worth anything."""
        schools = self.by_school
        gain = np.where(schools.is_open, schools.gain, 0.0)
        return float(gain.max(axis=2).sum(axis=1).max()) or 1.0

    def worth(self, school: np.ndarray, choice: np.ndarray) -> np.ndarray:
        """What school plans are worth under the objective."""
        schools = self.by_school
        gain = schools.counted(schools.each, schools.first, school, choice)
        return self.objective.worth(gain, schools.pupils[school])

    def _margin(self, price: np.ndarray) -> np.ndarray:
        """By school, more than all rounding of a plan's value (as `Search._margin`)."""
        schools = self.by_school
        size = (self.paid_size @ np.abs(price)).reshape(schools.each.shape)
        size += np.abs(schools.each) + schools.first
        total = np.where(schools.is_open, size, 0.0).max(axis=2).sum(axis=1)
        return 8 * (size.shape[1] + len(price) + 8) * 2.0**-53 * total


@dataclass(frozen=True)
class Found:
    """What a search of a city finds.

    Attributes:
        x: 0/1 per option.
        bound: no plan is worth more.
        start: for a search over the same options.
    """

    x: np.ndarray
    bound: float
    start: Start


def best_of_lists(
    model: Model,
    *,
    gap: float,
    seconds_left: Callable[[], float],
    start: Start | None = None,
) -> Found | None:
    """The best plan of a city, and a bound of all plans.

    None where this is not the way: the objective is not linear, rows count leaders, schools have
    too many plans, no plan keeps the rules, or what was searched proves too little. Steps are
    counted, so that the same problem and start give the same plan on any machine within the time.

    Args:
        model: the rules.
        gap: to prove, relative.
        seconds_left: an emergency brake.
        start: what a search over the same options left.
    """
    if not model.summed.is_linear or model.leading.nnz:
        return None
    is_open = possible(model)
    if is_open is None:
        return None
    by_school = BySchool.of(model)
    if by_school.is_infeasible or len(by_school.limit) > _MOST_SHARED:
        return None
    listed = Listed.of(_only(by_school, is_open))
    if listed is None:
        return None
    search = ListedSearch.of(model, listed)
    sides = sides_of(model, listed.by_school)
    held, price = kept_of(search, start, sides)
    if start is not None and price is not None:
        price = price * (search.largest_worth() / start.unit)
    dual = relax(
        search,
        target=_TARGET,
        seconds_left=seconds_left,
        start=held,
        price=price,
        smoothing=_SMOOTHING,
    )
    if dual is None or not np.isfinite(dual.bound) or dual.is_short:
        return None
    value = search.value(dual.price)
    loss = np.maximum.reduceat(value, listed.start)[listed.school] - value
    milp = model.milp(-model.benefit() * model.scale)
    limit = float(np.partition(loss, _FIRST)[_FIRST]) if len(loss) > _FIRST else math.inf
    near = _NEAR * abs(dual.bound)
    for _ in range(_TRIES):
        seen = listed.seen(np.flatnonzero(loss <= limit + near))
        left_s = max(seconds_left(), 1.0)
        found = minimise_open(model, milp, seen, gap=gap / 2, time_limit_s=left_s)
        if found.x is None:
            limit *= _WIDER
            continue
        x = model.polish(found.x[: len(is_open)])
        worth = model.worth(x)
        bound = min(dual.bound, max(-found.bound / model.scale, dual.bound - limit))
        if bound - worth <= gap * abs(bound) + _ROUNDING / model.scale or found.is_time_out:
            lost = dual.best[dual.pool.school] - dual.pool.value(dual.price)
            few = dual.pool.at(lost <= _KEPT * dual.bound)
            prices = dict(zip(sides, dual.price.tolist(), strict=True))
            kept = Start(prices, by_school.column, few.school, few.choice, search.largest_worth())
            return Found(x, bound, kept)
        # All plans that lose less than this are enough: whoever loses more is worth no more.
        limit = dual.bound - worth
    return None


def _only(by_school: BySchool, is_open: np.ndarray) -> BySchool:
    """The schools with the choices that some plan could hold."""
    column = by_school.column
    shown = by_school.is_open & ((column < 0) | is_open[np.maximum(column, 0)])
    return replace(by_school, is_open=shown)
