"""What is left out before a search is in no plan, and what is left has the same best plan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from models.allocation import Total
from models.allocation.rules.choice import MustKeep
from models.allocation.solve.model import model_of
from models.allocation.solve.possible import possible
from models.allocation.solve.resolve import Effort, best
from models.allocation.solve.tangents import maximise
from models.keys import OPTION
from tests.examples import examples

from .cases import best_plan, is_allowed, option, overlapping_problems, plans, problem, problems
from .random_problems import random_problem


def chosen(model, plan):
    """A plan of enumeration as 0/1 per option."""
    number = {key: at for at, key in enumerate(model.columns.options.select(OPTION).iter_rows())}
    x = np.zeros(len(number))
    x[[number[tuple(row[name] for name in OPTION)] for row in plan]] = 1
    return x


@settings(max_examples=examples(80), deadline=None, derandomize=True)
@given(problems())
def test_no_allowed_plan_has_an_option_that_is_left_out(built):
    model = model_of(built.canonical())
    is_open, allowed = possible(model), [plan for plan in plans(built) if is_allowed(built, plan)]
    if is_open is None:
        assert not allowed
        return
    assert all(is_open[chosen(model, plan) > 0.5].all() for plan in allowed)


@settings(max_examples=examples(40), deadline=None, derandomize=True)
@given(overlapping_problems())
def test_the_best_plan_is_that_of_enumeration(built):
    found, known = best(model_of(built.canonical()), Effort(gap_pct=0.0)), best_plan(built)
    assert (found is None) == (known is None)
    if found is not None and known is not None:
        assert found.worth == pytest.approx(known[0], abs=1e-7)
        assert found.bound >= known[0] - 1e-7


def test_what_a_basket_cannot_pay_beside_what_is_kept_is_left_out():
    """Of 100, the kept response takes 60: a dose of 40 still fits, one of 50 does not."""
    built = problem(
        [
            option("1", "milat", 1, 5, 60),
            option("1", "posh", 1, 4, 40),
            option("1", "posh", 2, 9, 50),
            option("2", "posh", 2, 9, 50),
        ],
        budget=100,
        rules=[MustKeep((("1", "milat", 0.5),))],
    )
    assert possible(model_of(built.canonical())).tolist() == [True, True, False, False]
    without = replace(built, rules=())
    assert possible(model_of(without.canonical())).all()


def test_what_is_asked_beyond_all_limits_leaves_no_plan():
    options = [option("1", "milat", 1, 5, 60), option("2", "milat", 1, 5, 60)]
    kept = MustKeep((("1", "milat", 0.5), ("2", "milat", 0.5)))
    model = model_of(problem(options, budget=100, rules=[kept]).canonical())
    assert possible(model) is None
    assert best(model, Effort()) is None


@pytest.mark.parametrize("seed", range(1, 13))
def test_random_cities_have_the_same_best_plan_with_and_without(seed):
    model = model_of(replace(random_problem(seed), objective=Total()).canonical())
    whole, found = maximise(model, gap=0.0, time_limit_s=60), best(model, Effort(gap_pct=0.0))
    assert (found is None) == (whole.x is None)
    if found is not None:
        assert found.worth == pytest.approx(model.worth(whole.x[: len(found.x)]), rel=1e-7)
