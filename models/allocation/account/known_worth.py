"""What a plan is known to bring under each of several decisions, all on one basis (R98).

A plan may be chosen for fairness among nearly equal ones, and every search stops within a gap: of
two plans that were each found near another the one with less money can then count more. What is
told of a decision is therefore the most that any plan in hand is worth that keeps its rules. What
one set of rules allows, a looser one allows too, so more money never tells less and less never
more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from models.allocation.problem.objective import Maximin, Total
from models.allocation.problem.problem import Problem
from models.allocation.solve.model import Model, model_of
from models.allocation.solve.nearest import best_near
from models.allocation.solve.resolve import plan_vector
from models.allocation.solve.search_result import NoPlanInTime
from models.keys import OPTION


def found_again(
    planned: Problem, lines: pl.DataFrame, *, gap_pct: float, time_limit_s: float
) -> pl.DataFrame:
    """Return a plan under its own decisions, found as other decisions are: near itself, by worth.

    Args:
        planned: the problem with what the plan kept.
        lines: semel_mosad, response_id, dose_level: the plan.
        gap_pct: as of `best_near`.
        time_limit_s: as of `best_near`; where it comes first, the plan itself is returned.
    """
    try:
        return best_near(planned, lines, gap_pct=gap_pct, time_limit_s=time_limit_s).lines
    except NoPlanInTime:
        return lines


def known_worth(
    base: Problem, others: Mapping[str, Problem], plans: Iterable[pl.DataFrame]
) -> tuple[float, dict[str, float | None]]:
    """Return what plans in hand bring at most under the base's decisions and under others.

    Preferences between nearly equal plans bind nobody here, and a floor that is lifted as far as it
    goes counts as the sum it is lifted in: else less money could allow what more does not.

    Args:
        base: the tables and rules compared with; worth is counted in its weights.
        others: the same city under other decisions, by name.
        plans: semel_mosad, response_id, dose_level of each plan in hand.

    Returns:
        The worth of the base, and that of each other by its name: of the plan in hand that is the
        best under the other's own weights, counted in those of the base. None where no plan in hand
        keeps its rules.

    Raises:
        ValueError: a table or rule contradicts itself, or no plan in hand keeps the base's rules.
    """
    own, held = _model(base), list(plans)
    best = _best(own, own, held)
    if best is None:
        raise ValueError("No plan in hand keeps the rules of the plan compared with.")
    return best, {name: _best(_model(other), own, held) for name, other in others.items()}


def _model(problem: Problem) -> Model:
    objective = Total() if isinstance(problem.objective, Maximin) else problem.objective
    rules = tuple(rule for rule in problem.rules if not rule.is_preference)
    return model_of(replace(problem, rules=rules, objective=objective).canonical())


def _best(model: Model, counted_in: Model, plans: Iterable[pl.DataFrame]) -> float | None:
    """The base's worth of the plan that is the best of those that keep the model's rows."""
    kept = [
        (model.worth(x), counted_in.worth(counted))
        for plan in plans
        if (x := _vector(model, plan)) is not None
        and (counted := _vector(counted_in, plan)) is not None
        and model.keeps(x)
    ]
    return max(kept)[1] if kept else None


def _vector(model: Model, lines: pl.DataFrame) -> np.ndarray | None:
    """A plan as 0/1 per option; None where a line is no option here."""
    try:
        return plan_vector(model, lines.select(OPTION))
    except ValueError:
        return None
