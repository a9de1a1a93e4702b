"""A country of some hundred schools, taken apart: proven, kept to every rule, and solved again."""

from dataclasses import replace

import numpy as np
import pytest

from models.allocation import solve
from models.allocation.account.explain import explain
from models.allocation.account.prices import shadow_prices
from models.allocation.solve.model import model_of
from models.allocation.solve.national import lagrangian, school_plans
from models.allocation.solve.national.lagrangian import relax
from models.allocation.solve.national.school_blocks import BySchool
from models.allocation.solve.national.school_plans import Search
from models.allocation.solve.resolve import Effort, best, best_of_each, plan_vector, with_benefit
from tests.benchmarks.nation import country

SCHOOLS = 520
NEAR = Effort(gap_pct=0.1)


@pytest.fixture(scope="module")
def case():
    return country(SCHOOLS, seed=1, is_shared=False)


@pytest.fixture(scope="module")
def model(case):
    return model_of(case.canonical())


@pytest.fixture(scope="module")
def plan(case):
    return solve(case, gap_pct=0.1)


def test_the_plan_is_proven_and_keeps_every_rule(plan):
    certificate = plan.certificate
    assert certificate.method == "decomposition"
    assert certificate.status == "optimal"
    assert 0 <= certificate.optimality_gap_pct <= 0.1
    assert plan.rules["is_satisfied"].all()
    assert plan.lines["semel_mosad"].n_unique() == SCHOOLS  # every school is served


def test_no_single_move_is_left(model, plan):
    x = plan_vector(model, plan.lines)
    assert not len(model.moves(x).best_free())


def test_moves_taken_together_keep_the_rows_and_do_good(model, plan):
    """Half of the plan's lines are given up; what single moves put back breaks nothing."""
    x = plan_vector(model, plan.lines)
    lines = np.flatnonzero(x)
    served = model.columns.school[lines]
    # One line of each school stays, so that every school is served all along.
    kept = np.unique(served, return_index=True)[1]
    few = np.zeros(len(x))
    few[lines[kept]] = 1
    again = model.polish(few)
    assert model.worth(again) > model.worth(few)
    broken = (model.activity(again) < model.lower) | (model.activity(again) > model.upper)
    before = (model.activity(few) < model.lower) | (model.activity(few) > model.upper)
    assert not (broken & ~before).any()


@pytest.mark.parametrize("schools", [140, pytest.param(SCHOOLS, marks=pytest.mark.slow)])
def test_groups_of_schools_prove_what_single_schools_do(schools, monkeypatch):
    """The bound of the joint answers is that of the programme with a row for each school."""
    model = model_of(country(schools, seed=1, is_shared=False).canonical())
    found = []
    for most_apart in (schools - 1, schools):
        monkeypatch.setattr(lagrangian, "MOST_APART", most_apart)
        monkeypatch.setattr(school_plans, "MOST_APART", most_apart)
        search = Search(BySchool.of(model), model.summed)
        found.append(relax(search, target=1e-4, seconds_left=_forever))
    grouped, single = found
    assert grouped is not None
    assert single is not None
    assert grouped.bound == pytest.approx(single.bound, rel=3e-4)


def _forever():
    return np.inf


def test_a_search_that_begins_where_another_ended_proves_as_much(model):
    first = best(model, NEAR)
    other = with_benefit(model, model.weighted * np.linspace(0.8, 1.2, len(model.weighted)))
    cold, warm = best(other, NEAR), best(other, NEAR, first.start)
    for found in (cold, warm):
        assert found.gap_pct <= 0.1
        assert other.keeps(found.x)
    assert cold.bound >= warm.worth - 1e-9
    assert warm.bound >= cold.worth - 1e-9


@pytest.mark.slow
def test_workers_change_no_plan(model):
    models = [
        with_benefit(model, model.weighted * (1 + 0.1 * np.sin(k + np.arange(len(model.weighted)))))
        for k in range(3)
    ]
    one, two = (best_of_each(models, NEAR, workers) for workers in (1, 2))
    for a, b in zip(one, two, strict=True):
        assert np.array_equal(a.x, b.x)
        assert a.bound == b.bound


def test_no_plan_is_told_as_none(case):
    none = replace(case, channels=case.channels.with_columns(budget_agorot=0))
    assert best(model_of(none.canonical()), NEAR) is None


def test_prices_price_what_is_short_and_reasons_name_every_pair(case, model, plan):
    prices = shadow_prices(model)
    rules = {rule.rule_id: k for k, rule in enumerate(model.rules)}
    short = prices.row[model.owner == rules["budget:municipal_own"]]
    baskets = prices.row[model.owner == rules["school_channel_cap:gefen_school"]]
    assert short.item() > 0
    assert (baskets >= 0).all()
    assert baskets.any()
    assert prices.bound >= plan.certificate.objective
    told = explain(case, plan.lines, months_per_sd=30.0).pairs
    assert told.height == model.columns.pairs.height
    assert told["other_semel_mosad"].null_count() == told.height
    assert told["reason_he"].str.len_chars().min() > 0
