"""Prices for what schools share: the lowest proven bound, and the school plans found on the way.

Lagrangian relaxation of the rows between schools (Fisher 1981; Geoffrion 1974). For every λ ≥ 0

    L(λ) = Σ_i λ_i·limit_i + Σ_s max over the plans of school s of (worth − λ·use)

is at least the worth of any plan that keeps all rules, so each evaluation is a proof by itself. The
prices come from column generation (Dantzig–Wolfe): a linear programme mixes the school plans found
so far, its prices are smoothed towards the best ones yet (Wentges 1997), and every school answers
with its best plans at them. The bound is no weaker, and mostly stronger, than that of the plain
linear relaxation, since every school's own rows are kept in whole options.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.allocation.solve.national.highs_lp import GrowingLp
from models.allocation.solve.national.school_blocks import BySchool
from models.allocation.solve.national.school_plans import MOST_APART, Answers

_ROUNDS = 100
_SMOOTHING, _COUNTRY_SMOOTHING = 0.5, 0.2
_WIDTHS = (16, 64, 256, 1024, 4096)
_COUNTRY_WIDTHS = (3, 12, 48, 192, 768, 3072)
_NEW_PLANS = 3
"""Plans of one school that a round may add; more only make the linear programme slower."""

_GROUPS = 64
"""Groups of which the linear programme of a country mixes the joint answers."""

_COARSE = 0.01
"""How near (as a share) the first mixtures of a country need to be."""

_CUTS = 80
"""Prices that such a programme asks the plans found so far for, in one round."""

_SHORT = 1e-9
_DEAREST = 1e7


@dataclass
class Pool:
    """Plans of single schools.

    Attributes:
        school: school of each plan.
        choice: plan × pair.
        worth: under the objective.
        use: plan × shared row.
    """

    school: np.ndarray
    choice: np.ndarray
    worth: np.ndarray
    use: np.ndarray

    @classmethod
    def of(cls, search: Answers, school: np.ndarray, choice: np.ndarray) -> Pool:
        """Plans with what they are worth and use."""
        use = search.by_school.picked(search.by_school.shared, school, choice)
        return cls(school, choice, search.worth(school, choice), use)

    @classmethod
    def none(cls, search: Answers) -> Pool:
        """No plans."""
        pairs = search.by_school.each.shape[1]
        return cls.of(search, np.zeros(0, dtype=np.int64), np.zeros((0, pairs), dtype=np.int8))

    def at(self, kept: np.ndarray) -> Pool:
        """Some of the plans."""
        return Pool(self.school[kept], self.choice[kept], self.worth[kept], self.use[kept])

    def of_schools(self, taken: np.ndarray) -> Pool:
        """The plans of some schools, numbered by their place among them."""
        place = np.full(int(max(self.school.max(initial=-1), taken.max(initial=-1))) + 1, -1)
        place[taken] = np.arange(len(taken))
        if np.array_equal(place, np.arange(len(place))):
            return self
        number = place[self.school]
        kept = np.flatnonzero(number >= 0)
        kept = kept[np.argsort(number[kept], kind="stable")]
        return Pool(number[kept], self.choice[kept], self.worth[kept], self.use[kept])

    def value(self, price: np.ndarray) -> np.ndarray:
        """Worth less what the plans pay at a price."""
        return self.worth - self.use @ price

    def best(self, price: np.ndarray, schools: int) -> np.ndarray:
        """By school, the value of its best plan at a price."""
        best = np.full(schools, -np.inf)
        np.maximum.at(best, self.school, self.value(price))
        return best

    def leaders(self, price: np.ndarray, schools: int) -> tuple[np.ndarray, np.ndarray]:
        """By school, its best plan at a price and the value of it; plans stand by school."""
        value, number = self.value(price), np.arange(schools)
        top = np.maximum.reduceat(value, np.searchsorted(self.school, number))
        at = np.flatnonzero(value == top[self.school])
        return at[np.searchsorted(self.school[at], number)], top

    def merged(self, other: Pool) -> Pool:
        """Both pools, each plan once, by school and choice."""
        school = np.concatenate([self.school, other.school])
        choice = np.concatenate([self.choice, other.choice])
        keys = np.column_stack([school.astype(np.int64), choice])
        first = np.unique(keys, axis=0, return_index=True)[1]
        worth = np.concatenate([self.worth, other.worth])
        return Pool(school, choice, worth, np.concatenate([self.use, other.use])).at(first)


@dataclass(frozen=True)
class Dual:
    """What the prices prove, and the plans they led to.

    Attributes:
        bound: no plan that keeps all rules is worth more; −inf where none can exist.
        price: λ of the bound.
        best: by school, no plan of it has a value above this at the price.
        pool: the school plans found.
        is_short: no mixture of the plans found keeps all rules: a plan may not exist.
    """

    bound: float
    price: np.ndarray
    best: np.ndarray
    pool: Pool
    is_short: bool


class _Master:
    """The linear programme that mixes the school plans found so far."""

    def __init__(self, by_school: BySchool, unit: float, schools: int | None = None) -> None:
        """Rows: one mixture per school, and what schools share, where a shortfall has a price."""
        self.schools = len(by_school.pupils) if schools is None else schools
        self.unit, self.shortfall = unit, 10.0
        self.scale = scale_of(by_school)
        self.rows = len(self.scale)
        one, limit = np.ones(self.schools), by_school.limit / self.scale
        lower = np.concatenate([one, np.full(self.rows, -np.inf)])
        self.lp = GrowingLp(lower, np.concatenate([one, limit]))
        number = np.arange(self.rows)
        costs = np.full(self.rows, self.shortfall)
        self.lp.add(costs, number, self.schools + number, -np.ones(self.rows))

    def add(self, plans: Pool) -> None:
        """Offer more school plans."""
        entry = np.column_stack([np.ones(len(plans.school)), plans.use / self.scale])
        shared = np.broadcast_to(self.schools + np.arange(self.rows), plans.use.shape)
        row, shown = np.column_stack([plans.school, shared]), entry != 0
        start = np.concatenate([[0], shown.sum(axis=1).cumsum()[:-1]])
        self.lp.add(-plans.worth / self.unit, start, row[shown], entry[shown])

    def solve(self, pool: Pool, near: float) -> tuple[float, np.ndarray, np.ndarray, bool]:
        """Worth of the best mixture, prices, what each school earns, and whether it falls short.

        Args:
            pool: all plans that were added.
            near: by how much of its worth a mixture may miss the best one; this one misses nothing.
        """
        value, mix, dual = self.lp.solve()
        price = np.maximum(-dual[self.schools :], 0) * self.unit / self.scale
        earned = -dual[: self.schools] * self.unit
        return -value * self.unit, price, earned, bool(mix[: self.rows].sum() > _SHORT)

    def raise_shortfall(self) -> None:
        """Make a shortfall ten times dearer."""
        self.shortfall *= 10
        for row in range(self.rows):
            self.lp.set_cost(row, self.shortfall)


class _Grouped(_Master):
    """The same for a country: the programme mixes joint answers of groups of schools.

    A row for each of 20,000 schools makes simplex slow. Here the plans found so far are asked,
    price after price, for the best of each school, which is a sum and a maximum; the programme
    mixes what the schools of a group answered together (Dantzig–Wolfe over the plans in hand). Its
    mixtures are mixtures of school plans, so that they are worth no more than the best of these.
    """

    def __init__(self, by_school: BySchool, unit: float) -> None:
        """Groups of schools, one after the other."""
        super().__init__(by_school, unit, _GROUPS)
        self.teams = by_school.teams
        teams = int(self.teams.team[-1]) + 1
        # All entries of a team stand in one group, which answers with one choice of it.
        self.group = (self.teams.team * _GROUPS // teams)[self.teams.choice]
        self.limit, self.centre = by_school.limit, unit / self.scale

    def add(self, plans: Pool) -> None:
        """Offer more school plans: they are in the pool, and answer when they are asked."""

    def solve(self, pool: Pool, near: float) -> tuple[float, np.ndarray, np.ndarray, bool]:
        """As `_Master.solve`, to within `near`."""
        centre, least = self.centre, np.inf
        query, is_short, mixed = centre, True, -np.inf
        for _ in range(_CUTS):
            held, earned = pool.leaders(query, len(self.group))
            taken = self.teams.best(earned)
            value = float(query @ self.limit + earned[taken].sum())
            if value < least:
                centre, least = query, value
            self._offer(pool, held[taken], self.group[taken])
            mixed, price, _, is_short = super().solve(pool, near)
            if not is_short and least - mixed <= near * abs(least):
                break
            query = _SMOOTHING * centre + (1 - _SMOOTHING) * price
        self.centre = centre
        return mixed, centre, pool.best(centre, len(self.group)), is_short

    def _offer(self, pool: Pool, held: np.ndarray, group: np.ndarray) -> None:
        """Offer the groups' answers, each the plans of its schools."""
        worth = np.bincount(group, pool.worth[held], _GROUPS)
        use = np.stack([np.bincount(group, of_row, _GROUPS) for of_row in pool.use[held].T], axis=1)
        entry = np.column_stack([np.ones(_GROUPS), use / self.scale])
        shared = np.broadcast_to(_GROUPS + np.arange(self.rows), use.shape)
        row, shown = np.column_stack([np.arange(_GROUPS), shared]), entry != 0
        start = np.concatenate([[0], shown.sum(axis=1).cumsum()[:-1]])
        self.lp.add(-worth / self.unit, start, row[shown], entry[shown])


def scale_of(by_school: BySchool) -> np.ndarray:
    """The most that one school can use of each shared row; at least 1."""
    used = np.where(by_school.is_open[..., None], np.abs(by_school.shared), 0)
    return np.maximum(used.max(axis=2).sum(axis=1).max(axis=0), 1).astype(float)


def relax(
    search: Answers,
    *,
    target: float,
    seconds_left: Callable[[], float],
    start: Pool | None = None,
    price: np.ndarray | None = None,
    smoothing: float | None = None,
) -> Dual | None:
    """The prices of what schools share, with the bound they prove.

    Args:
        search: finds the plans of the schools.
        target: stop when the mixture of the plans found is this near to the bound (a share of it).
        seconds_left: the safety limit; rounds are otherwise counted, not timed.
        start: plans of every school, by school; one is searched for where they are not given.
        price: prices to begin with, where there are any.
        smoothing: how much of the best prices yet is asked with those of a mixture; by the number
            of schools where it is not given.

    Returns:
        None where some school's plan was not found though one may exist.
    """
    by_school = search.by_school
    rows, schools = len(by_school.limit), len(by_school.pupils)
    if by_school.is_infeasible:
        return Dual(-np.inf, np.zeros(rows), np.zeros(schools), Pool.none(search), is_short=True)
    is_country = schools > MOST_APART
    if smoothing is None:
        smoothing = _COUNTRY_SMOOTHING if is_country else _SMOOTHING
    widths = _COUNTRY_WIDTHS if is_country else _WIDTHS
    pool = start or _first(search, np.zeros(rows) if price is None else price, widths)
    if isinstance(pool, Dual) or pool is None:
        return pool
    master = (_Grouped if is_country else _Master)(by_school, search.largest_worth())
    centre = master.unit / master.scale if price is None else price
    answer = _answer(search, pool, centre, widths[0])
    pool = pool.merged(answer.plans.at(_leading(answer.plans.school, 1)))
    master.add(pool)
    bound, best, width, is_direct, is_short = answer.bound, answer.top, 0, True, True
    near = _COARSE
    for _ in range(_ROUNDS):
        mixed, price, earned, is_short = master.solve(pool, near)
        near = max(target / 4, min(near, (bound - mixed) / max(abs(bound), _SHORT) / 10))
        is_near = not is_short and bound - mixed <= target * bound
        if bound < 0 or is_near or seconds_left() <= 0:
            break
        query = price if is_direct else smoothing * centre + (1 - smoothing) * price
        spare = max(target * bound, bound - mixed) / schools / 4 if is_country else None
        answer = _answer(search, pool, query, widths[width], spare)
        if answer.bound < bound:
            bound, centre, best = answer.bound, query, answer.top
        plans = answer.plans
        is_better = plans.value(price) - earned[plans.school] > _SHORT * master.unit
        fresh = plans.at(_leading(plans.school, _NEW_PLANS) & is_better)
        can_widen = answer.unsure > (bound - mixed) / 4 and width + 1 < len(widths)
        width += can_widen
        if len(fresh.school):
            master.add(fresh)
            pool = pool.merged(fresh)
        elif is_direct and not can_widen:
            if not is_short or master.shortfall >= _DEAREST:
                break
            master.raise_shortfall()
        is_direct = not len(fresh.school)
    return Dual(bound if bound >= 0 else -np.inf, centre, best, pool, is_short)


@dataclass(frozen=True)
class _Answer:
    """What the schools answer to prices: plans, the bound, and how it is made up by school."""

    plans: Pool
    bound: float
    top: np.ndarray
    unsure: float


def _answer(
    search: Answers, pool: Pool, price: np.ndarray, width: int, spare: float | None = None
) -> _Answer:
    """The schools' plans at prices and L(λ); `unsure` is what an exact search could take off it."""
    floor = pool.best(price, len(search.by_school.pupils))
    found = search.plans(price, floor=floor, width=width, spare=spare)
    plans = Pool.of(search, found.school, found.choice)
    sure, teams = np.maximum(floor, plans.best(price, len(floor))), search.by_school.teams
    top = np.maximum(found.upper, sure)
    tops = teams.tops(top)
    bound = _rounded_up(price * search.by_school.limit, tops)
    return _Answer(plans, bound, top, float((tops - teams.tops(sure)).sum()))


def _first(search: Answers, price: np.ndarray, widths: Sequence[int]) -> Pool | Dual | None:
    """A plan of every school; a bound of −inf where one has none, None where none was found."""
    by_school = search.by_school
    schools, teams = len(by_school.pupils), by_school.teams
    nothing = np.full(schools, -np.inf)
    for width in widths:
        found = search.plans(price, floor=nothing, width=width)
        pool = Pool.of(search, found.school, found.choice).at(_leading(found.school, 1))
        missing = np.setdiff1d(np.arange(schools), pool.school)
        none = missing[np.isneginf(found.upper[missing])]
        if np.isneginf(teams.tops(np.where(np.isin(np.arange(schools), none), -np.inf, 0.0))).any():
            return Dual(-np.inf, price, nothing, pool, is_short=True)
        if len(none) == len(missing):
            # A choice that some school of a team has no plan for is worth nothing to it.
            pairs = by_school.each.shape[1]
            empty = Pool.of(search, none, np.zeros((len(none), pairs), dtype=np.int8))
            return pool.merged(replace(empty, worth=np.full(len(none), -np.inf)))
    return None


def _leading(school: np.ndarray, count: int) -> np.ndarray:
    """Whether each plan is among the first few of its school; schools ascend."""
    return np.arange(len(school)) - np.searchsorted(school, school) < count


def _rounded_up(terms: np.ndarray, top: np.ndarray) -> float:
    """The sum, rounded up: each term is off by at most a rounding of its own, the sum by one."""
    error = 2.0**-50 * float(np.abs(terms).sum() + np.abs(top).sum())
    return math.nextafter(math.fsum([*terms.tolist(), *top.tolist(), error]), math.inf)
