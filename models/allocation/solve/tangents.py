"""A concave objective for a solver of linear programmes: tangents from above, as many as needed."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from models.allocation.problem.objective import Objective
from models.allocation.solve.highs import Milp, Outcome, minimise
from models.allocation.solve.model import Model
from models.allocation.solve.possible import minimise_possible

_FIRST = 12
_ROUNDS = 12
_OUTWARD = 1e-6
"""The solver keeps a row to this; a bound is moved outward by as much per school."""


def maximise(
    model: Model,
    *,
    gap: float,
    time_limit_s: float,
    start: np.ndarray | None = None,
    presolve: bool = True,
) -> Outcome:
    """The best plan under the model's objective: minus its worth, times the model's scale.

    A `start` is a plan to begin from; where the objective is not linear it is not used.
    """
    if not model.summed.is_linear:
        return _maximise_by_tangents(model, gap=gap, time_limit_s=time_limit_s, presolve=presolve)
    return minimise(
        model.milp(-model.benefit() * model.scale),
        gap=gap,
        time_limit_s=time_limit_s,
        start=None if start is None else model.filled(start),
        presolve=presolve,
    )


def maximise_possible(model: Model, *, gap: float, time_limit_s: float) -> Outcome:
    """As `maximise`, in two thirds of the time; of plans within the gap another may be found."""
    if not model.summed.is_linear:
        return maximise(model, gap=gap, time_limit_s=time_limit_s)
    milp = model.milp(-model.benefit() * model.scale)
    return minimise_possible(model, milp, gap=gap, time_limit_s=time_limit_s)


def _maximise_by_tangents(
    model: Model, *, gap: float, time_limit_s: float, presolve: bool
) -> Outcome:
    """The best plan under a concave objective, by outer approximation, with a proven bound.

    A school's worth is a column of its own, held under tangents of the objective (Kelley 1960;
    Duran and Grossmann 1986). Each programme is a relaxation, so its bound holds for every plan;
    tangents are added at the gains of its plan until the plan is worth as much as the bound says.

    Args:
        model: the rows of all rules; its objective is a sum over schools, concave in each one's
            gain.
        gap: stop at this relative gap.
        time_limit_s: for all programmes together.
        presolve: as `highs.minimise`.

    Returns:
        The plan as 0/1 per option, and minus the bound (times `scale`).
    """
    objective, gains, scale = model.summed, model.gain_rows(), model.scale
    pupils = model.columns.schools["pupils"].to_numpy()
    # A column of the solver is not negative, and a drawn effect may do harm.
    depth = -scale * np.asarray(gains.minimum(0).sum(axis=1)).ravel()
    plain = model.milp(np.zeros(gains.shape[1]))
    schools, columns = gains.shape
    options = model.matrix.shape[1]
    milp = Milp(
        np.concatenate([np.zeros(columns), -np.ones(schools)]),
        sparse.hstack([plain.matrix, sparse.csr_array((len(plain.lower), schools))], format="csr"),
        plain.lower,
        plain.upper,
        plain.is_whole,
        options,
        tolerance=np.inf,
    )
    top = gains.maximum(0) @ np.ones(columns)
    points = [np.zeros(schools), *(top * 0.5**k for k in range(_FIRST))]
    x, worth, bound, seconds = None, -np.inf, np.inf, 0.0
    for _ in range(_ROUNDS):
        for at in points:
            milp = _under_tangent(milp, objective, gains, at, pupils, scale, depth)
        left = max(time_limit_s - seconds, 0.01)
        start = None if x is None else np.append(model.filled(x), np.zeros(schools))
        found = minimise(milp, gap=gap / 2, time_limit_s=left, start=start, presolve=presolve)
        seconds += found.seconds
        bound = min(bound, schools * _OUTWARD - found.bound - float(depth.sum()))
        if found.x is not None:
            held = found.x[:options]
            reached = scale * model.worth(held)
            x, worth = (held, reached) if reached > worth else (x, worth)
            points = [gains @ model.filled(held)]
        is_over = found.x is None or found.is_time_out or bound - worth <= gap * bound + _OUTWARD
        if is_over:
            break
    return Outcome(x, -bound, x is None and found.is_infeasible, found.is_time_out, seconds)


def _under_tangent(
    milp: Milp,
    objective: Objective,
    gains: sparse.csr_array,
    at: np.ndarray,
    pupils: np.ndarray,
    scale: float,
    depth: np.ndarray,
) -> Milp:
    """The same problem with every school's worth, and its depth, under the tangent at a gain."""
    slope = objective.slope(at, pupils)
    own = sparse.eye_array(len(at), format="csr")
    rows = sparse.hstack([sparse.diags_array(-slope * scale) @ gains, own], format="csr")
    limit = scale * (objective.worth(at, pupils) - slope * at) + depth
    return milp.with_rows(rows, np.full(len(at), -np.inf), limit)
