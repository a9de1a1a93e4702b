"""The best plan under other decisions that stays near a plan in hand (R98).

Among plans that are nearly equally good, a solver takes any: two runs that differ by one parameter
could then differ in many schools for no reason. Here half of the allowed gap is given as a bonus to
the lines of the plan in hand, so that a line changes only where the changed decision pays for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from models.allocation.problem.plan import Plan
from models.allocation.problem.problem import Problem
from models.allocation.solve.conflict import explain
from models.allocation.solve.model import Model, model_of, recheck
from models.allocation.solve.resolve import Effort, Resolved, best, plan_vector, with_bonus
from models.keys import OPTION

_SHORT_TEST_S = 0.1


@dataclass(frozen=True)
class Nearby:
    """A plan that keeps every rule.

    Attributes:
        lines: semel_mosad, response_id, dose_level, dose, participants, benefit_sd_pupils (as
            counted beside the school's other lines), full_benefit_sd_pupils, cost_agorot; by school
            and response.
        money: semel_mosad, response_id, funding_channel, amount_agorot > 0.
        worth: under the problem's own weights and objective.
        bound: no plan of the problem is worth more.
    """

    lines: pl.DataFrame
    money: pl.DataFrame
    worth: float
    bound: float

    @property
    def gap_pct(self) -> float:
        """The share of the bound that the plan may miss."""
        return 100 * (self.bound - self.worth) / self.bound if self.bound else 0.0


def best_near(
    problem: Problem,
    lines: pl.DataFrame,
    *,
    gap_pct: float,
    time_limit_s: float,
    explain_within_s: float | None = None,
) -> Nearby:
    """The best plan to within the gap and, of those, one near the plan in hand.

    Where no plan keeps all rules, those that are preferences give way first, one after the other.

    Args:
        problem: the tables and rules, as changed.
        lines: the plan in hand: semel_mosad, response_id, dose_level; it need not keep the rules.
        gap_pct: most of the bound that the plan may miss, in percent; half of it goes to the
            search, half to the plan in hand. The latter is counted from what the plan in hand is
            worth here.
        time_limit_s: of the search; a safety limit.
        explain_within_s: as `within_s` of `conflict.explain`.

    Raises:
        ValueError: a table or rule contradicts itself, or a line is no option of the problem.
        InfeasibleRules: no plan keeps all rules; names the conflict and the least extra money.
        NoPlanInTime: the time limit came before any plan.
        RuntimeError: the re-check found a broken rule: a defect.
    """
    model, found = nearest(problem, lines, Effort(gap_pct, time_limit_s))
    if found is None:
        limit = time_limit_s if explain_within_s is None else _SHORT_TEST_S
        raise explain(model, time_limit_s=limit, within_s=explain_within_s)
    plan = Plan.of(model.columns, np.flatnonzero(found.x > 0.5))
    recheck(model.rules, plan)
    return Nearby(
        plan.lines.select(
            *OPTION,
            "dose",
            "participants",
            "benefit_sd_pupils",
            "full_benefit_sd_pupils",
            "cost_agorot",
        ).sort(OPTION),
        plan.school_money,
        found.worth,
        found.bound,
    )


def _as_it_is(model: Model) -> Model:
    return model


def nearest(
    problem: Problem,
    lines: pl.DataFrame,
    effort: Effort,
    change: Callable[[Model], Model] = _as_it_is,
) -> tuple[Model, Resolved | None]:
    """The search of `best_near` in a model that may be changed after the rules are laid out.

    Args:
        problem: the tables and rules.
        lines: the plan in hand: semel_mosad, response_id, dose_level; it need not keep the rules.
        effort: the gap, half of it for the plan in hand, and the safety limit.
        change: other limits of the model's rows, such as more money.

    Returns:
        The model, without the preferences that gave way; and the plan with its worth and bound
        under the model's own weights, None where no plan keeps the rules.

    Raises:
        ValueError, NoPlanInTime: as `best_near`.
    """
    problem = problem.canonical()
    model = change(model_of(problem))
    held = plan_vector(model, lines)
    bonus = effort.gap_pct / 200 * model.worth(held) / max(held.sum(), 1.0) * held
    half = replace(effort, gap_pct=effort.gap_pct / 2)
    found = best(with_bonus(model, bonus), half)
    for rule in problem.rules:
        if found is None and rule.is_preference:
            problem = replace(problem, rules=tuple(r for r in problem.rules if r is not rule))
            model = change(model_of(problem))
            found = best(with_bonus(model, bonus), half)
    if found is None:
        return model, None
    worth = model.worth(found.x)
    # The bonus is never negative, so a bound on benefit and bonus is one on the benefit.
    return model, Resolved(found.x, worth, max(found.bound, worth))
