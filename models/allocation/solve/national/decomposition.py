"""The path of a country: prices, every school for itself, one whole plan."""

from __future__ import annotations

import numpy as np

from models.allocation.solve.clock import countdown
from models.allocation.solve.conflict import explain
from models.allocation.solve.milp import best_by_milp
from models.allocation.solve.model import Model
from models.allocation.solve.national.lagrangian import relax
from models.allocation.solve.national.repair import whole_plan
from models.allocation.solve.national.school_blocks import BySchool
from models.allocation.solve.national.school_plans import Search
from models.allocation.solve.search_result import SearchResult

_SHARE_OF_GAP = 0.1
"""The prices are sought to a tenth of the gap, so that the rest is left to the whole plan."""

_FINEST = 1e-7


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
    by_school = BySchool.of(model)
    search = Search(by_school, model.summed)
    target = max(_SHARE_OF_GAP * gap, _FINEST)
    dual = relax(search, target=target, seconds_left=seconds_left)
    if dual is not None and np.isneginf(dual.bound):
        raise explain(model, time_limit_s=max(time_limit_s / 10, 1.0))
    choice = None
    if dual is not None:
        choice = whole_plan(search, dual, gap=max(gap / 4, _FINEST), seconds_left=seconds_left)
    if dual is None or choice is None:
        left_s = max(seconds_left(), 1.0)
        return best_by_milp(model, gap=gap, time_limit_s=left_s, start=start)
    x = model.polish(by_school.bought(choice))
    worth = model.worth(x)
    status = "gap left" if dual.bound - worth > gap * dual.bound else "optimal"
    if status != "optimal" and seconds_left() <= 0:
        status = "time limit"
    return SearchResult(x, dual.bound, status, "decomposition")
