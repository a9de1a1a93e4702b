"""The solver behind one function, so that nothing else in the package knows its name or quirks."""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
from scipy import sparse

ROW_TOLERANCE = 1e-6
"""What a row may be off by. Rows of money are in thousands of NIS, where one agora is 1e-5."""

_MAX_CUTS = 100
_REFINE: dict[str, bool | int | float | str] = {
    "mip_max_nodes": 100,
    "mip_heuristic_effort": 0.0,
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_rens": False,
    "mip_heuristic_run_root_reduced_cost": False,
}


@dataclass(frozen=True)
class Milp:
    """Minimise cost·x, row_lower ≤ matrix·x ≤ row_upper, the first `binaries` columns 0 or 1.

    Any further columns are continuous and not negative.
    """

    cost: np.ndarray
    matrix: sparse.csr_array
    row_lower: np.ndarray
    row_upper: np.ndarray
    binaries: int

    def with_row(self, coefficients: np.ndarray, *, lower: float, upper: float) -> Milp:
        """The same problem with one more row."""
        matrix = sparse.vstack([self.matrix, sparse.csr_array(coefficients[None, :])], format="csr")
        row_lower, row_upper = np.append(self.row_lower, lower), np.append(self.row_upper, upper)
        return Milp(self.cost, matrix, row_lower, row_upper, self.binaries)

    def holds(self, x: np.ndarray) -> bool:
        """Whether a point with whole binaries keeps every row."""
        activity = self.matrix @ x
        return bool(
            np.all(activity >= self.row_lower - ROW_TOLERANCE)
            and np.all(activity <= self.row_upper + ROW_TOLERANCE)
        )


@dataclass(frozen=True)
class Outcome:
    """What the solver found: the best point (None where it has none) and a proven lower bound."""

    x: np.ndarray | None
    bound: float
    is_infeasible: bool
    is_time_out: bool
    seconds: float


def solver_text() -> str:
    """Solver and version."""
    return f"HiGHS {highspy.Highs().version()}"


def minimise(
    milp: Milp,
    *,
    gap: float,
    time_limit_s: float,
    start: np.ndarray | None = None,
) -> Outcome:
    """Solve with one thread and a fixed seed, to a relative gap.

    With a `start` it only refines: at most 1,000 nodes, without the solver's searches around a
    plan. Those take most of the time (3 s of 4 s on a city) and a good plan is already in hand.

    The solver may take a binary of 0.999999 for whole, and with it an overspend of some agorot.
    The rounded point is therefore checked row by row; where it breaks one, that very point is cut
    off (which removes nothing else) and the search goes on.

    Raises:
        RuntimeError: the solver fails, or every point it returns breaks a row once rounded.
    """
    seconds = 0.0
    for _ in range(_MAX_CUTS):
        outcome = _run(milp, gap, max(time_limit_s - seconds, 0.01), start)
        seconds += outcome.seconds
        if outcome.x is None or milp.holds(outcome.x):
            return Outcome(
                outcome.x, outcome.bound, outcome.is_infeasible, outcome.is_time_out, seconds
            )
        taken = np.round(outcome.x[: milp.binaries]) == 1
        no_good = np.zeros(len(outcome.x))
        no_good[: milp.binaries] = np.where(taken, -1.0, 1.0)
        milp = milp.with_row(no_good, lower=1.0 - taken.sum(), upper=np.inf)
    raise RuntimeError(
        f"{_MAX_CUTS} plans in turn broke a rule once rounded to whole options; "
        "check the sizes of the amounts (agorot up to 1e12 are expected)."
    )


def _run(milp: Milp, gap: float, time_limit_s: float, start: np.ndarray | None) -> Outcome:
    """One run of the solver; binaries of the point it returns are whole."""
    rows, columns = milp.matrix.shape
    matrix = milp.matrix.tocsr()
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = columns, rows
    lp.col_cost_ = milp.cost
    lp.col_lower_ = np.zeros(columns)
    lp.col_upper_ = np.where(np.arange(columns) < milp.binaries, 1.0, highspy.kHighsInf)
    lp.row_lower_, lp.row_upper_ = milp.row_lower, milp.row_upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.num_col_, lp.a_matrix_.num_row_ = columns, rows
    lp.a_matrix_.start_ = matrix.indptr
    lp.a_matrix_.index_ = matrix.indices
    lp.a_matrix_.value_ = matrix.data
    whole, free = highspy.HighsVarType.kInteger, highspy.HighsVarType.kContinuous
    lp.integrality_ = [whole] * milp.binaries + [free] * (columns - milp.binaries)

    highs = highspy.Highs()
    options: dict[str, bool | int | float | str] = {
        "output_flag": False,
        "threads": 1,
        "parallel": "off",
        "random_seed": 0,
        "mip_rel_gap": gap,
        "mip_abs_gap": ROW_TOLERANCE,
        "time_limit": time_limit_s,
    }
    if start is not None:
        options |= _REFINE
    for name, value in options.items():
        highs.setOptionValue(name, value)
    if highs.passModel(lp) == highspy.HighsStatus.kError:
        raise RuntimeError("The solver refused the model; check for amounts that are not finite.")
    if start is not None:
        solution = highspy.HighsSolution()
        solution.col_value = list(start)
        highs.setSolution(solution)
    highs.run()

    status, info = highs.getModelStatus(), highs.getInfo()
    known = highspy.HighsModelStatus
    infeasible = status in (known.kInfeasible, known.kUnboundedOrInfeasible)
    stopped = status in (known.kTimeLimit, known.kSolutionLimit, known.kInterrupt)
    if not (infeasible or stopped or status == known.kOptimal):
        raise RuntimeError(f"The solver stopped with {highs.modelStatusToString(status)}.")
    x = None
    if info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible:
        x = np.array(highs.getSolution().col_value)
        x[: milp.binaries] = np.round(x[: milp.binaries])
    return Outcome(
        None if infeasible else x,
        info.mip_dual_bound,
        infeasible,
        status == known.kTimeLimit,
        highs.getRunTime(),
    )
