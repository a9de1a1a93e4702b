"""The path of a country: prices, every school for itself, one whole plan."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from models.allocation.solve.clock import countdown
from models.allocation.solve.conflict import explain
from models.allocation.solve.milp import best_by_milp
from models.allocation.solve.model import Model
from models.allocation.solve.national.lagrangian import Pool, relax
from models.allocation.solve.national.repair import whole_plan
from models.allocation.solve.national.school_blocks import BySchool
from models.allocation.solve.national.school_plans import MOST_APART, Answers, Search
from models.allocation.solve.national.teams import Teams
from models.allocation.solve.search_result import SearchResult

_SHARE_OF_GAP, _OF_A_COUNTRY = 0.1, 0.6
"""The prices are sought to such a share of the gap, so that the rest is left to the whole plan: of
many schools hardly any has to be changed for it."""

_FINEST = 1e-7
_NEAR = 1e-3
"""Prices that rank and explain are those of a bound as near as this."""


Side = tuple[str, int, int]
"""Rule, number among its rows between schools, 1 for the upper limit and −1 for the lower."""


@dataclass(frozen=True)
class Start:
    """What one search leaves for the next one over the same options.

    Attributes:
        price: of each limit of what schools share, by what tells it from others in all models.
        column: of the choices (`BySchool.column`).
        school: of the school plans found.
        choice: plan × pair.
        unit: what the most a school can gain was counted at; prices go up and down with it.
    """

    price: dict[Side, float]
    column: np.ndarray
    school: np.ndarray
    choice: np.ndarray
    unit: float = 1.0


@dataclass(frozen=True)
class Apart:
    """What taking the schools apart finds.

    Attributes:
        x: 0/1 per option; None where no whole plan came together.
        bound: no plan that keeps all rules is worth more; −inf where none can exist.
        start: for a search over the same options.
    """

    x: np.ndarray | None
    bound: float
    start: Start | None


def take_apart(
    model: Model, *, gap: float, seconds_left: Callable[[], float], start: Start | None = None
) -> Apart:
    """Prices of what schools share, every school for itself, and one whole plan out of them.

    All steps are counted, so that the same problem and start give the same plan on any machine that
    needs less than the time limit.
    """
    by_school = _split(model)
    search = Search(by_school, model.summed)
    is_country = len(by_school.pupils) > MOST_APART
    target = max((_OF_A_COUNTRY if is_country else _SHARE_OF_GAP) * gap, _FINEST)
    sides = sides_of(model, by_school)
    held, price = kept_of(search, start, sides)
    dual = relax(search, target=target, seconds_left=seconds_left, start=held, price=price)
    if dual is None or np.isneginf(dual.bound):
        return Apart(None, np.inf if dual is None else -np.inf, None)
    near = max(gap if is_country else gap / 4, _FINEST)
    plan = whole_plan(search, dual, gap=near, seconds_left=seconds_left)
    x = None if plan is None else model.polish(plan)
    left = Start(
        dict(zip(sides, dual.price.tolist(), strict=True)),
        by_school.column,
        dual.pool.school,
        dual.pool.choice,
    )
    return Apart(x, dual.bound, left)


def prices_apart(model: Model) -> tuple[np.ndarray, float] | None:
    """Prices by row of the model from what schools share and their own rows; and the bound.

    None where not even mixtures of school plans keep the rules.
    """
    by_school = _split(model)
    search = Search(by_school, model.summed)
    dual = relax(search, target=_OF_A_COUNTRY * _NEAR, seconds_left=lambda: math.inf)
    if dual is None or np.isneginf(dual.bound) or dual.is_short:
        return None
    own = search.own_prices(dual.price)
    return by_school.by_row(model, dual.price, own, by_school.teams.best(dual.best)), dual.bound


def _split(model: Model) -> BySchool:
    """The model by school; in a country those that open responses together stand in teams."""
    is_country = model.columns.schools.height > MOST_APART
    return BySchool.of(model, Teams.of(model) if is_country else None)


def sides_of(model: Model, by_school: BySchool) -> list[Side]:
    """What tells each limit of what schools share from others."""
    seen, found = Counter[tuple[str, int]](), list[Side]()
    for row, sign in by_school.sides.tolist():
        rule = model.rules[model.owner[row]].rule_id
        found.append((rule, seen[rule, sign], sign))
        seen[rule, sign] += 1
    return found


def kept_of(
    search: Answers, start: Start | None, sides: Sequence[Side]
) -> tuple[Pool | None, np.ndarray | None]:
    """The school plans of a start that keep the schools' own rows; and its prices.

    No plans where some school is left without one.
    """
    by_school = search.by_school
    if start is None or by_school.is_infeasible:
        return None, None
    price = np.array([start.price.get(side, 0.0) for side in sides])
    if not np.array_equal(start.column, by_school.column):
        return None, price
    pairs = np.arange(start.choice.shape[1])
    is_open = by_school.is_open[start.school[:, None], pairs, start.choice].all(axis=1)
    used = by_school.counted(
        by_school.own - by_school.own_first, by_school.own_first, start.school, start.choice
    )
    most, least = by_school.most[start.school], by_school.least[start.school]
    kept = is_open & ((used <= most) & (used >= least)).all(axis=1)
    if len(np.unique(start.school[kept])) < len(by_school.pupils):
        return None, price
    return Pool.of(search, start.school[kept], start.choice[kept]), price


def best_by_decomposition(
    model: Model,
    *,
    gap: float,
    time_limit_s: float,
    start: np.ndarray | None = None,
) -> SearchResult:
    """The best plan found by Lagrangian decomposition, with the bound of the prices (R79).

    All steps are counted, so the same problem gives the same plan on any machine that needs less
    than the time limit. Where no whole plan comes together, or some school's plan is not found, the
    solver is given the whole problem for the time that is left, and `start`, a plan in hand.

    Raises:
        InfeasibleRules, NoPlanInTime: as `solve`.
    """
    seconds_left = countdown(time_limit_s)
    found = take_apart(model, gap=gap, seconds_left=seconds_left)
    if np.isneginf(found.bound):
        raise explain(model, time_limit_s=max(time_limit_s / 10, 1.0))
    if found.x is None:
        left_s = max(seconds_left(), 1.0)
        return best_by_milp(model, gap=gap, time_limit_s=left_s, start=start)
    worth = model.worth(found.x)
    status = "gap left" if found.bound - worth > gap * found.bound else "optimal"
    if status != "optimal" and seconds_left() <= 0:
        status = "time limit"
    return SearchResult(found.x, found.bound, status, "decomposition")
