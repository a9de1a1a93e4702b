"""A city's re-solve from the list of its schools' plans, against the solver and enumeration."""

import numpy as np
import pytest

from models.allocation.solve import listed
from models.allocation.solve.listed import Listed, best_of_lists
from models.allocation.solve.model import model_of
from models.allocation.solve.national.school_blocks import BySchool
from models.allocation.solve.resolve import with_benefit
from models.allocation.solve.tangents import maximise
from tests.allocation.random_problems import random_problem

SEEDS = range(40)


def found(model, gap=0.0, start=None):
    return best_of_lists(model, gap=gap, seconds_left=lambda: 60.0, start=start)


@pytest.mark.parametrize("seed", SEEDS)
def test_it_is_the_best_plan_with_a_bound_that_holds(seed):
    model = model_of(random_problem(seed).canonical())
    plan = found(model)
    if plan is None:
        return
    outcome = maximise(model, gap=0.0, time_limit_s=60)
    best = model.worth(np.round(outcome.x[: model.matrix.shape[1]]))
    assert model.keeps(plan.x)
    assert model.worth(plan.x) == pytest.approx(best, rel=1e-7)
    assert plan.bound >= best * (1 - 1e-9)


def test_nearly_all_linear_problems_with_a_plan_are_solved_so():
    models = [model_of(random_problem(seed).canonical()) for seed in SEEDS]
    linear = [model for model in models if model.summed.is_linear]
    has_plan = [maximise(m, gap=0.0, time_limit_s=60).x is not None for m in linear]
    solved = [found(m) is not None for m in linear]
    assert sum(has_plan) >= 10
    assert sum(solved) >= 0.8 * sum(has_plan)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_start_changes_what_is_found_by_no_more_than_the_gap(seed):
    model = model_of(random_problem(seed).canonical())
    first = found(model)
    if first is None:
        return
    other = with_benefit(model, model.weighted * np.linspace(0.5, 2.0, len(model.weighted)))
    alone, begun = found(other), found(other, start=first.start)
    assert (alone is None) == (begun is None)
    if alone is not None:
        assert other.worth(begun.x) == pytest.approx(other.worth(alone.x), rel=1e-7)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_list_holds_each_plan_of_a_school_once_and_its_value(seed):
    model = model_of(random_problem(seed).canonical())
    by_school = BySchool.of(model)
    plans = None if by_school.is_infeasible else Listed.of(by_school)
    if plans is None:
        return
    everyone = np.arange(len(plans.school))
    choice = plans.choices(everyone)
    assert len(np.unique(np.column_stack([plans.school, choice]), axis=0)) == len(everyone)
    used = by_school.picked(by_school.own, plans.school, choice)
    assert (used <= by_school.most[plans.school]).all()
    assert (used >= by_school.least[plans.school]).all()
    value = by_school.counted(by_school.each, by_school.first, plans.school, choice)
    assert plans.values(by_school.each, by_school.first) == pytest.approx(value)


def test_too_many_plans_are_left_to_the_solver(monkeypatch):
    model = model_of(random_problem(0).canonical())
    monkeypatch.setattr(listed, "MOST_LISTED", 1)
    assert found(model) is None
