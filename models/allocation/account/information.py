"""What knowing a response's effect before deciding is worth: what to evaluate first (R96)."""

from __future__ import annotations

import numpy as np
import polars as pl

from models.allocation.account.draws import Draws
from models.allocation.problem.problem import Problem
from models.allocation.solve.model import model_of
from models.allocation.solve.resolve import Effort, best_plans, linear_at, plan_vector, under_draw


def value_of_partial_perfect_information(
    problem: Problem,
    lines: pl.DataFrame,
    draws: pl.DataFrame,
    *,
    groups: int = 3,
    effort: Effort = Effort(gap_pct=0.1),  # noqa: B008 - frozen
    workers: int = 1,
) -> pl.DataFrame:
    """Expected value of partial perfect information, by response (Raiffa & Schlaifer 1961).

    In each draw the response's own values are taken as known in all schools, every other response
    stays at its mean; the gain is what the best plan for that is worth more than the best on
    average. Solving anew in every draw would take too long, and the worth of a plan is known
    without solving: the draws are put into groups by how well the response does in them, the best
    plan of each group's mean is found, and in every draw the best of these plans, of the plan on
    average and of the plan in hand is taken. The value is therefore a lower bound, exact with as
    many groups as draws. It is exact also in what it leaves out only where responses are drawn
    independently and none overlap; of those that overlap the one counts in full that leads by the
    values so known.

    Args:
        problem: the tables and rules.
        lines: semel_mosad, response_id, dose_level: the plan in hand.
        draws: as for `stability`; a cost multiplier divides the benefit.
        groups: of draws, each one solve for each response.
        effort: of each solve.
        workers: threads.

    Returns:
        response_id, information_worth (SD·pupils, weighted, ≥ 0), information_se (of the mean over
        the draws; null for one), information_pct (of the worth of the best plan on average), draws;
        greatest first, ties by id.

    Raises:
        ValueError: bad rows, no group, or no plan keeps the rules.
        NoPlanInTime: a solve ran into its time limit without a plan.
    """
    if groups < 1:
        raise ValueError("groups must be at least 1.")
    problem = problem.canonical()
    model = model_of(problem)
    planned = plan_vector(model, lines)
    model = linear_at(model, planned)
    worths = Draws.of(problem, model, draws).worths(model)
    mean = worths.mean(axis=0)
    (average,) = best_plans([under_draw(model, mean)], effort)
    in_hand = [average.x, planned] if model.keeps(planned) else [average.x]

    responses = model.columns.options["response_id"]
    names = responses.unique().sort().to_list()
    owned = [(responses == name).to_numpy() for name in names]
    # What is the same in every draw is known already: the plan on average is the best for it.
    parted = [
        _parts(worths[:, own].sum(axis=1), groups) if np.ptp(worths[:, own], axis=0).any() else []
        for own in owned
    ]
    asked = [
        under_draw(model, np.where(own, worths[part].mean(axis=0), mean))
        for own, parts in zip(owned, parted, strict=True)
        for part in parts
    ]
    plans = iter(best_plans(asked, effort, workers))
    rows = []
    for name, own, parts in zip(names, owned, parted, strict=True):
        own_plans = [next(plans).x for _ in parts]
        gains = []
        for worth in worths:
            counting = model.counting.at(np.where(own, worth, mean))
            worth_of_plans = [counting.total(x) for x in (*in_hand, *own_plans)]
            gains.append(max(worth_of_plans) - worth_of_plans[0])
        value = float(np.mean(gains))
        se = float(np.std(gains, ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else None
        rows.append(
            (name, value, se, 100 * value / average.worth if average.worth else 0.0, len(gains))
        )
    found = pl.DataFrame(
        rows,
        schema={
            "response_id": pl.String,
            "information_worth": pl.Float64,
            "information_se": pl.Float64,
            "information_pct": pl.Float64,
            "draws": pl.Int64,
        },
        orient="row",
    )
    return found.sort("information_worth", "response_id", descending=[True, False])


def _parts(goodness: np.ndarray, groups: int) -> list[np.ndarray]:
    """The draws in groups of nearly equal size, from the worst to the best."""
    order = np.argsort(goodness, kind="stable")
    return np.array_split(order, min(groups, len(order)))
