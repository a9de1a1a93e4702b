"""Plans for what may happen: best on average, in bad cases, or never far from the best (R96).

All take one decision before anything is known and are judged over the same scenarios. With w_s(x)
what plan x is worth in scenario s and V_s what the best plan for s alone would be worth:

- expected: the mean of w_s(x) (sample average approximation);
- cvar: the mean of w_s(x) over the worst share 1 − α of scenarios (Rockafellar & Uryasev 2000);
- min_max_regret: the least max_s V_s − w_s(x) (Kouvelis & Yu 1997).

Responses that overlap (R92): which of a school's counts in full is decided with the plan, by the
benefits expected over the scenarios, and holds in every scenario, so that w_s is linear in what is
bought and what leads. Where a scenario turns the order round, w_s is below what would be counted
with hindsight, as V_s is.

The last two are concave in x and the least of linear pieces (one for each tail, or scenario); a
cutting-plane search adds the piece that is least at the plan in hand until plan and bound meet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import polars as pl
from scipy import sparse

from models.allocation.account.draws import Draws
from models.allocation.problem.overlap import Counting
from models.allocation.problem.problem import Problem
from models.allocation.solve.highs import Milp, minimise, relaxed
from models.allocation.solve.model import Model, model_of
from models.allocation.solve.resolve import (
    Effort,
    best_plans,
    is_national,
    linear_at,
    plan_vector,
    under_draw,
)
from models.keys import OPTION

_ROUNDS = 40
Piece = Callable[[np.ndarray], tuple[np.ndarray, float]]
"""At a plan, the linear piece (a, c) that is least there: the criterion is at most a·x + c."""


@dataclass(frozen=True)
class RobustPlans:
    """The plans of the three criteria beside the plan in hand.

    Attributes:
        lines: plan ("planned", "expected", "cvar", "min_max_regret"), semel_mosad, response_id,
            dose_level, cost_agorot.
        plans: plan, expected_worth, cvar_worth, worst_worth (over the draws that judge), max_regret
            (over the scenarios; all SD·pupils, weighted), cost_agorot, may_miss_worth (SD·pupils by
            which a better plan by its own criterion can exist at the most; null for the planned
            one, and where a country's is the best of the plans in hand), lines, lines_shared (with
            the planned one).
    """

    lines: pl.DataFrame
    plans: pl.DataFrame


def robust_plans(
    problem: Problem,
    lines: pl.DataFrame,
    scenarios: pl.DataFrame,
    judges: pl.DataFrame | None = None,
    *,
    alpha: float = 0.8,
    effort: Effort = Effort(gap_pct=0.1),  # noqa: B008 - frozen
    workers: int = 1,
) -> RobustPlans:
    """The plan in hand and the best by each criterion, judged by all of them.

    Args:
        problem: the tables and rules; every plan has to be payable at its costs.
        lines: semel_mosad, response_id, dose_level: the plan in hand.
        scenarios: as the draws of `stability`; a cost multiplier divides the benefit, since money
            given once buys less.
        judges: draws by which the plans are judged; the scenarios themselves where there are none.
            What a plan is worth over the scenarios it was made for flatters it. A regret needs the
            best plan of every draw, so it stays one over the scenarios.
        alpha: the cvar looks at the worst 1 − alpha of the scenarios.
        effort: of each solve.
        workers: threads.

    Raises:
        ValueError: bad rows, alpha outside [0, 1), or no plan keeps the rules.
        NoPlanInTime: a solve ran into its time limit without a plan.
    """
    if not 0 <= alpha < 1:
        raise ValueError("alpha must be at least 0 and below 1.")
    problem = problem.canonical()
    model = model_of(problem)
    planned = plan_vector(model, lines)
    model = linear_at(model, planned)
    alone = Draws.of(problem, model, scenarios).worths(model)
    tops_of = [under_draw(model, worth) for worth in alone]
    model = _led_by_means(
        under_draw(model, alone.mean(axis=0)), [drawn.counting for drawn in tops_of]
    )
    mean = model.benefit()
    (expected,) = best_plans([model], effort)
    best_of_each = best_plans(tops_of, effort, workers)
    tops = np.array([plan.worth for plan in best_of_each])
    worths = _worths(tops_of, model)
    judging = (
        worths
        if judges is None
        else _worths(
            [under_draw(model, worth) for worth in Draws.of(problem, model, judges).worths(model)],
            model,
        )
    )
    judged_tail = _tail(len(judging), alpha)
    tail = _tail(len(worths), alpha)
    ceiling = float(tops.max())
    # What happens in the worst cases may be near zero, and a share of that no measure of nearness.
    near = effort.gap_pct / 100 * abs(expected.bound)
    # The solver's columns are not negative, and a drawn effect may do harm.
    depth = -float(worths.min(axis=0).clip(max=0.0).sum())

    def least_tail(x: np.ndarray) -> tuple[np.ndarray, float]:
        return tail @ worths[np.argsort(worths @ x, kind="stable")], 0.0

    def most_regret(x: np.ndarray) -> tuple[np.ndarray, float]:
        worst = int(np.argmax(tops - worths @ x))
        return worths[worst], ceiling - float(tops[worst])

    # A handful of scenarios has few regrets: all at once leave no round to be searched again.
    regrets = [
        (worth, ceiling - float(top))
        for worth, top in (zip(worths, tops, strict=True) if len(worths) <= _ROUNDS else ())
    ]
    # A plan in hand that keeps the rules is a candidate too: nothing here is worse by its
    # criterion.
    known = [expected.x, planned] if model.keeps(planned) else [expected.x]
    known = [model.filled(x) for x in known]
    planned = model.filled(planned)
    on_average = max(known, key=lambda x: float(mean @ x))
    missed = max(expected.bound - float(mean @ on_average), 0.0)
    cautious: list[tuple[np.ndarray, float | None]]
    if is_national(model):
        # The criteria tie all schools together, and no search takes them apart: of the plans in
        # hand the best, and how much a better one could be above it is not known.
        held = known + [model.filled(plan.x) for plan in best_of_each]
        cautious = [
            (max(held, key=partial(_value, piece)), None) for piece in (least_tail, most_regret)
        ]
    else:
        with ThreadPoolExecutor(workers) as pool:
            cautious = list(
                pool.map(
                    lambda asked: _maximise_least(
                        model, asked[0], depth, known, near, effort, asked[1]
                    ),
                    ((least_tail, ()), (most_regret, regrets)),
                )
            )
    found = {
        "planned": (planned, None),
        "expected": (on_average, missed),
        "cvar": cautious[0],
        "min_max_regret": cautious[1],
    }
    cost = model.columns.options["cost_agorot"].to_numpy()
    rows, bought = [], []
    lines_planned = planned[: len(cost)]
    for name, (z, missing) in found.items():
        got, x = judging @ z, z[: len(cost)]
        rows.append(
            (
                name,
                got.mean(),
                float(judged_tail @ np.sort(got)),
                got.min(),
                (tops - worths @ z).max(),
                int(cost @ x.astype(np.int64)) + problem.services_agorot,
                missing,
                int(x.sum()),
                int((x * lines_planned).sum()),
            )
        )
        bought.append(
            model.columns.options.filter(pl.Series(x > 0.5)).select(
                pl.lit(name).alias("plan"), *OPTION, "cost_agorot"
            )
        )
    return RobustPlans(
        pl.concat(bought),
        pl.DataFrame(
            rows,
            schema={
                "plan": pl.String,
                "expected_worth": pl.Float64,
                "cvar_worth": pl.Float64,
                "worst_worth": pl.Float64,
                "max_regret": pl.Float64,
                "cost_agorot": pl.Int64,
                "may_miss_worth": pl.Float64,
                "lines": pl.Int64,
                "lines_shared": pl.Int64,
            },
            orient="row",
        ),
    )


def _value(piece: Piece, x: np.ndarray) -> float:
    """What a plan is worth by a criterion."""
    slope, constant = piece(x)
    return float(slope @ x + constant)


def _worths(drawn: list[Model], model: Model) -> np.ndarray:
    """Draw × option and lead: what each counts."""
    return np.array([np.append(own.counting.each, own.counting.first[model.lead]) for own in drawn])


def _led_by_means(model: Model, countings: list[Counting]) -> Model:
    """The model with the mean of what the scenarios count, led by whom that mean puts first."""
    each = np.mean([counting.each for counting in countings], axis=0)
    first = np.mean([counting.first for counting in countings], axis=0)
    counting = model.counting.with_means(each, first)
    return replace(model, columns=replace(model.columns, counting=counting))


def _after_others(model: Model) -> tuple[sparse.csr_array, np.ndarray]:
    """Rows over options and leads by which nobody leads before another that is bought; limits."""
    counting, lead = model.counting, model.lead
    pair = model.columns.pair
    number: list[int] = []
    column: list[int] = []
    rows = 0
    for at, j in enumerate(lead):
        ahead = lead[
            (counting.group[lead] == counting.group[j]) & (counting.place[lead] < counting.place[j])
        ]
        for other in np.unique(pair[ahead]):
            own = ahead[pair[ahead] == other]
            number += [rows] * (len(own) + 1)
            column += [*own, model.matrix.shape[1] + at]
            rows += 1
    size = (rows, model.matrix.shape[1] + len(lead))
    return sparse.csr_array((np.ones(len(number)), (number, column)), size), np.ones(rows)


def _tail(scenarios: int, alpha: float) -> np.ndarray:
    """Weights of the sorted scenarios in the mean of the worst 1 − alpha of them."""
    mass = (1 - alpha) * scenarios
    return np.clip(mass - np.arange(scenarios), 0, 1) / mass


def _maximise_least(
    model: Model,
    piece: Piece,
    depth: float,
    known: list[np.ndarray],
    near: float,
    effort: Effort,
    every: Sequence[tuple[np.ndarray, float]] = (),
) -> tuple[np.ndarray, float]:
    """The plan that raises the least piece highest, and by how much it may miss the best.

    Each round solves for the highest θ under all pieces so far: its bound holds for the criterion,
    and its plan shows the piece that was missing; it ends where the two are as near as `near`. No
    piece falls below −depth, so that θ + depth is what the solver sees. Where `every` piece is
    given there is nothing to show; else those that parts of plans show come before the first
    search, which costs a hundred times as much.
    """
    columns = len(model.benefit())
    plain = model.milp(np.zeros(columns))
    if len(model.lead):
        after, most = _after_others(model)
        plain = plain.with_rows(after, np.full(len(most), -np.inf), most)

    def value(x: np.ndarray) -> float:
        return _value(piece, x)

    def best_of(plans: list[np.ndarray]) -> np.ndarray:
        return max(plans, key=value)

    best_x, bound = best_of(known), np.inf
    unit = abs(value(known[0])) or 1.0
    pieces = [*map(piece, known), *every]

    def under_pieces() -> Milp:
        rows = np.array([np.append(slope / unit, -1.0) for slope, _ in pieces])
        limits = [-(constant + depth) / unit for _, constant in pieces]
        rules = sparse.hstack([plain.matrix, sparse.csr_array((len(plain.lower), 1))])
        return Milp(
            np.append(np.zeros(columns), -1.0),
            sparse.vstack([rules, sparse.csr_array(rows)], format="csr"),
            np.append(plain.lower, limits),
            np.append(plain.upper, np.full(len(pieces), np.inf)),
            np.append(plain.is_whole, np.zeros(len(pieces), dtype=bool)),
            plain.binaries,
        )

    for _ in range(0 if every else _ROUNDS):
        part = relaxed(under_pieces(), time_limit_s=effort.time_limit_s)
        if part is None:
            break
        pieces.append(piece(part[:-1]))
        if value(part[:-1]) >= part[-1] * unit - depth - near / 20:
            break
    for _ in range(_ROUNDS):
        best_value = value(best_x)
        if bound < np.inf and bound - best_value <= near:
            break
        # The solver sees θ + depth, and its gap is a share of that; the rest of what is allowed is
        # for a piece that is missing.
        outcome = minimise(
            under_pieces(),
            gap=0.8 * near / max(best_value + depth, near, 1e-9),
            time_limit_s=effort.time_limit_s,
            start=np.append(best_x, (best_value + depth) / unit),
        )
        bound = min(bound, -outcome.bound * unit - depth)
        if outcome.x is None:
            break
        found = model.filled(outcome.x)
        pieces.append(piece(found))
        best_x = best_of([best_x, found])
    return best_x, max(bound - value(best_x), 0.0)
