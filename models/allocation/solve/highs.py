"""The solver behind one function, so that nothing else in the package knows its name or quirks.

Two quirks matter for public money (measured with version 1.15.1, random problems against full
enumeration). Amounts that are nearly proportional, as the agorot of splits are, can make the
presolve return a poor plan as optimal: three options of 10,000,001, 10,000,001 and 40,000,004
under a limit of 50,000,004 are enough. And a point may break a row by the solver's tolerance.
Rows of whole numbers are therefore handed over rounded to integers of at most a million, always
towards allowing more (no error in 6,000 adversarial problems, against 1 in 100 with raw amounts),
and what the rounding lets through is found by exact checks and cut off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import highspy
import numpy as np
from scipy import sparse

from models.allocation.solve import clock

_LARGEST_COEFFICIENT = 1_000_000
_MAX_CUTS = 200
_TOLERANCE = 1e-6
_SEARCHES_OFF: dict[str, bool | int | float | str] = {
    "mip_detect_symmetry": False,
    "mip_heuristic_run_feasibility_jump": False,
    "mip_heuristic_run_root_reduced_cost": False,
}
"""Searches that find nothing on these programmes but take two fifths of the time (cities of 36)."""

_REFINE: dict[str, bool | int | float | str] = {
    "mip_max_nodes": 20,
    "mip_heuristic_effort": 0.0,
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_rens": False,
}


_SHORT: dict[str, bool | int | float | str] = {"mip_max_nodes": 40, "mip_pscost_minreliable": 0}


@dataclass(frozen=True)
class Milp:
    """Minimise cost·x, lower ≤ matrix·x ≤ upper, the first `binaries` columns 0 or 1.

    Any further columns are continuous and not negative. `is_whole` marks the rows of whole
    numbers over binaries, which hold exactly; the others hold to `tolerance`, which is infinite
    where the caller checks them itself. `complete` puts the continuous columns of a point with
    whole binaries at the values that suit these best, so that the solver's rounding of them
    decides nothing.
    """

    cost: np.ndarray
    matrix: sparse.csr_array
    lower: np.ndarray
    upper: np.ndarray
    is_whole: np.ndarray
    binaries: int
    tolerance: float = _TOLERANCE
    complete: Callable[[np.ndarray], np.ndarray] = np.asarray

    def with_rows(
        self,
        matrix: sparse.csr_array,
        lower: np.ndarray,
        upper: np.ndarray,
        *,
        is_whole: bool = False,
    ) -> Milp:
        """The same problem with more rows."""
        return replace(
            self,
            matrix=sparse.vstack([self.matrix, matrix], format="csr"),
            lower=np.append(self.lower, lower),
            upper=np.append(self.upper, upper),
            is_whole=np.append(self.is_whole, np.full(len(lower), is_whole)),
        )

    def with_row(
        self,
        coefficients: np.ndarray,
        *,
        lower: float = -np.inf,
        upper: float = np.inf,
        is_whole: bool = False,
    ) -> Milp:
        """The same problem with one more row."""
        row = sparse.csr_array(coefficients[None, :])
        return self.with_rows(row, np.array([lower]), np.array([upper]), is_whole=is_whole)

    def holds(self, x: np.ndarray) -> bool:
        """Whether a point with whole binaries keeps every row."""
        activity = self.matrix @ x
        slack = np.where(self.is_whole, 0.0, self.tolerance)
        return bool(np.all((activity >= self.lower - slack) & (activity <= self.upper + slack)))

    def without(self, x: np.ndarray) -> Milp:
        """The same problem with the choice of binaries at x, and no other, cut off."""
        taken = x[: self.binaries] > 0.5
        cut = np.zeros(len(x))
        cut[: self.binaries] = np.where(taken, -1.0, 1.0)
        return self.with_row(cut, lower=1.0 - taken.sum(), is_whole=True)

    def rounded(self) -> Milp:
        """Whole rows in integers of at most a million; every point of this stays allowed."""
        longest = np.maximum(abs(self.matrix).max(axis=1).toarray().ravel(), 1.0)
        power = np.ceil(np.log10(longest / _LARGEST_COEFFICIENT))
        unit = np.where(self.is_whole, 10.0 ** np.maximum(power, 0), 1.0)

        def side(rows: np.ndarray, sign: int) -> tuple[sparse.csr_array, np.ndarray]:
            """The rows as sign·row ≤ limit, rounded down."""
            part = (sign * self.matrix[rows]).tocsr()
            limit = sign * (self.upper if sign > 0 else self.lower)[rows]
            whole, per = self.is_whole[rows], unit[rows]
            of_entry = np.repeat(np.arange(len(per)), np.diff(part.indptr))
            down = np.floor(part.data / per[of_entry])
            part.data = np.where(whole[of_entry], down, part.data)
            return part, np.where(whole, np.floor(limit / per), limit)

        most, most_limit = side(np.flatnonzero(np.isfinite(self.upper)), 1)
        least, least_limit = side(np.flatnonzero(np.isfinite(self.lower)), -1)
        count = len(most_limit) + len(least_limit)
        return Milp(
            self.cost,
            sparse.vstack([most, least], format="csr"),
            np.full(count, -np.inf),
            np.concatenate([most_limit, least_limit]),
            np.zeros(count, dtype=bool),
            self.binaries,
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
    max_nodes: int | None = None,
    start: np.ndarray | None = None,
    presolve: bool = True,
    around_start: bool = True,
) -> Outcome:
    """Solve with one thread and a fixed seed, to a relative gap; whole rows hold exactly.

    A `start` is a point to begin from; it need not keep the rows. Without `presolve` the solver
    does not rewrite the problem first, which is where most of its known wrong answers come from
    (HiGHS issues 2122, 2402, 2446, 2874). With `around_start` the solver searches around the start
    too, which takes a third of a first node.

    Raises:
        RuntimeError: the solver fails, or point after point breaks a row by its rounding.
    """
    seconds = 0.0
    options: dict[str, bool | int | float | str] = {}
    if max_nodes is not None:
        options["mip_max_nodes"] = max_nodes
    if not presolve:
        options["presolve"] = "off"
    if not around_start:
        options["mip_heuristic_run_rins"] = False
    for _ in range(_MAX_CUTS):
        outcome = _run(milp, gap, max(time_limit_s - seconds, 0.01), options, start)
        seconds += outcome.seconds
        if outcome.x is None or milp.holds(outcome.x):
            return Outcome(
                outcome.x, outcome.bound, outcome.is_infeasible, outcome.is_time_out, seconds
            )
        milp = milp.without(outcome.x)
    raise RuntimeError(
        f"{_MAX_CUTS} plans in turn broke a rule by less than the solver can see; round the "
        "amounts to whole shekels."
    )


def relaxed(milp: Milp, *, time_limit_s: float) -> np.ndarray | None:
    """The best point when what is whole may be bought in part; None where there is none in time."""
    return _run(milp, 0.0, time_limit_s, {}, is_relaxed=True).x


def refine(
    milp: Milp, start: np.ndarray, *, gap: float, time_limit_s: float
) -> tuple[np.ndarray, float]:
    """A point no worse than `start`, after a short search (20 nodes), and the seconds it took.

    The solver's searches around a plan are off: they take most of its time (3 s of 4 s on a city)
    and a good plan is already in hand.
    """
    outcome = _run(milp, gap, time_limit_s, _REFINE, start)
    x = outcome.x
    is_better = x is not None and milp.holds(x) and milp.cost @ x < milp.cost @ start
    return (x if x is not None and is_better else start), outcome.seconds


def around(milp: Milp, start: np.ndarray, *, time_limit_s: float) -> np.ndarray | None:
    """A point at least as good as `start`, after a short search (40 nodes); rows hold as given.

    Nodes are branched on without trying both sides first, which takes most of such a search.
    """
    return _run(milp, 0.005, time_limit_s, _SHORT, start).x


def _run(
    milp: Milp,
    gap: float,
    time_limit_s: float,
    options: dict[str, bool | int | float | str],
    start: np.ndarray | None = None,
    *,
    is_relaxed: bool = False,
) -> Outcome:
    """One run of the solver on the rounded rows; binaries of the point it returns are whole.

    A relaxed run leaves them in parts and proves no bound.
    """
    rounded = milp.rounded()
    rows, columns = rounded.matrix.shape
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = columns, rows
    lp.col_cost_ = rounded.cost
    lp.col_lower_ = np.zeros(columns)
    lp.col_upper_ = np.where(np.arange(columns) < milp.binaries, 1.0, highspy.kHighsInf)
    lp.row_lower_, lp.row_upper_ = rounded.lower, rounded.upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.num_col_, lp.a_matrix_.num_row_ = columns, rows
    lp.a_matrix_.start_ = rounded.matrix.indptr
    lp.a_matrix_.index_ = rounded.matrix.indices
    lp.a_matrix_.value_ = rounded.matrix.data
    whole, free = highspy.HighsVarType.kInteger, highspy.HighsVarType.kContinuous
    if not is_relaxed:
        lp.integrality_ = [whole] * milp.binaries + [free] * (columns - milp.binaries)

    highs = highspy.Highs()
    for name, value in {
        "output_flag": False,
        "threads": 1,
        "parallel": "off",
        "random_seed": 0,
        "mip_rel_gap": gap,
        "mip_abs_gap": _TOLERANCE,
        "time_limit": time_limit_s,
        **_SEARCHES_OFF,
        **options,
    }.items():
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
    if status == known.kTimeLimit:
        clock.stopped()
    x = None
    if info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible:
        x = np.array(highs.getSolution().col_value)
        if not is_relaxed:
            x[: milp.binaries] = np.abs(np.round(x[: milp.binaries]))
            x = milp.complete(x)
    return Outcome(
        None if infeasible else x,
        -np.inf if is_relaxed else info.mip_dual_bound,
        infeasible,
        status == known.kTimeLimit,
        highs.getRunTime(),
    )
