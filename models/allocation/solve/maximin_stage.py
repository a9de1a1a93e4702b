"""The second stage of the maximin by itself: its floor as a rule, under the total."""

from __future__ import annotations

from dataclasses import replace

from models.allocation.problem.objective import Maximin, Total
from models.allocation.problem.problem import Problem
from models.allocation.solve.clock import countdown
from models.allocation.solve.maximin import floor_rule, highest_floor
from models.allocation.solve.model import model_of


def with_given_floor(problem: Problem, floor_sd: float | None) -> Problem:
    """The problem with a floor in hand; one with another objective than the maximin as it is.

    What a plan under the maximin is explained, priced and drawn in: the floor stays as it was
    found, counted at the expected benefits.

    Args:
        problem: any.
        floor_sd: need-weighted SD per pupil, as the plan's certificate says.
    """
    if not isinstance(problem.objective, Maximin):
        return problem
    rule = floor_rule(model_of(problem.canonical()), floor_sd or 0.0)
    return replace(problem, rules=(*problem.rules, rule), objective=Total())


def with_highest_floor(problem: Problem, *, gap_pct: float, time_limit_s: float) -> Problem:
    """As `with_given_floor`, at the highest floor found: for other decisions under the maximin.

    Args:
        problem: any.
        gap_pct: the floor is sought to within this.
        time_limit_s: of the search; a safety limit.
    """
    if not isinstance(problem.objective, Maximin):
        return problem
    model, seconds_left = model_of(problem.canonical()), countdown(time_limit_s)
    found = highest_floor(model, gap=gap_pct / 100, seconds_left=seconds_left, is_apart=False)
    return replace(problem, rules=(*problem.rules, found.rule), objective=Total())
