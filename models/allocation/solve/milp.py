"""The path of a city: all options in one mixed-integer programme."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from models.allocation.solve.conflict import explain
from models.allocation.solve.highs import minimise, refine
from models.allocation.solve.model import Model
from models.allocation.solve.search_result import NoPlanInTime, SearchResult
from models.allocation.solve.tangents import maximise

_AGOROT_PER_COST_UNIT = 100_000
_FINEST = 1e-7
_NODES = 200


def best_by_milp(
    model: Model,
    *,
    gap: float,
    time_limit_s: float,
    start: np.ndarray | None = None,
) -> SearchResult:
    """The best plan of the model, ties broken as `solve` says; `start` is a plan already in hand.

    Raises:
        InfeasibleRules, NoPlanInTime: as `solve`.
    """
    scale, options = model.scale, model.matrix.shape[1]
    is_linear = model.summed.is_linear
    best = maximise(model, gap=gap, time_limit_s=time_limit_s, start=start)
    kept = (sparse.csr_array(model.benefit()[None, :]) if is_linear else model.gain_rows()) * scale
    if best.is_infeasible:
        # Never its word alone: a plan found without rewriting the problem proves it wrong.
        nothing = model.milp(np.zeros(options))
        again = minimise(
            nothing, gap=gap, time_limit_s=time_limit_s, max_nodes=_NODES, presolve=False
        )
        if again.x is None:
            raise explain(model, time_limit_s=max(time_limit_s / 10, 1.0))
        held = again.x[:options]
        best = maximise(model, gap=gap, time_limit_s=time_limit_s, start=held, presolve=False)
    if best.x is None or (best.is_time_out and model.counting.total(best.x[:options]) == 0):
        raise NoPlanInTime(
            f"No plan of value was found within {time_limit_s:g} s. Allow more time or a wider "
            "gap, or look for rules that nearly contradict each other."
            f" לא נמצאה תוכנית בתוך {time_limit_s:g} שניות: יש להקצות יותר זמן או פער רחב יותר,"
            " או לחפש כללים שכמעט סותרים זה את זה."
        )
    x, left_s = best.x[:options], max(time_limit_s - best.seconds, 1.0)
    if gap == 0 and not best.is_time_out:
        x = _tie_break(model, x, kept, gap, left_s)
    x, bound = model.polish(x), float(-best.bound / scale)
    is_proven = is_linear or bound - model.worth(x) <= gap * bound + _FINEST
    status = "time limit" if best.is_time_out else "optimal" if is_proven else "gap left"
    return SearchResult(x, bound, status, "milp")


def _tie_break(
    model: Model, x: np.ndarray, kept: sparse.csr_array, gap: float, left_s: float
) -> np.ndarray:
    """Among the plans that keep as much of `kept` as x the cheapest, then the earliest lines."""
    options, no_leads = len(x), np.zeros(len(model.lead))
    cost = model.columns.options["cost_agorot"].to_numpy() / _AGOROT_PER_COST_UNIT
    cost, position = np.append(cost, no_leads), np.append(np.arange(1.0, options + 1), no_leads)
    no_limit, start = np.full(kept.shape[0], np.inf), model.filled(x)
    as_good = model.milp(cost).with_rows(kept, kept @ start, no_limit)
    cheapest, seconds = refine(as_good, start, gap=gap, time_limit_s=left_s)
    as_cheap = (
        model.milp(position)
        .with_rows(kept, kept @ cheapest, no_limit)
        .with_row(cost, upper=cost @ cheapest)
    )
    best, _ = refine(as_cheap, cheapest, gap=gap, time_limit_s=max(left_s - seconds, 1.0))
    return best[:options]
