"""The price of fairness, of rules and of money, against enumeration (R80, R90, R95)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from models.allocation.account.frontier import gamma_frontier, rule_prices
from models.allocation.account.prices import shadow_prices
from models.allocation.rules.choice import EverySchoolServed, MustKeep
from models.allocation.solve.model import model_of
from models.allocation.solve.resolve import Effort
from tests.examples import examples

from .cases import best_plan, option, problem, problems

EXACT = Effort(gap_pct=0.0)


def test_more_corrective_preference_moves_the_money_and_costs_the_total():
    """The less needy school gains 10, the needy one 6: need decides from (1/.2)^γ > 10/6 on."""
    schools = {"1": (100, 0.1), "2": (100, 0.9)}
    options = [option("1", "milat", 1, 10, 100), option("2", "milat", 1, 6, 100)]
    built = problem(options, schools=schools, budget=100)
    found = gamma_frontier(built, [1, 0.2, 0], seed=1, effort=EXACT)
    assert found["equity_gamma"].to_list() == [0, 0.2, 1]
    assert found["benefit_sd_pupils"].to_list() == [10, 10, 6]
    assert found["price_of_fairness_pct"].to_list() == pytest.approx([0, 0, 40])
    assert found["concentration"].to_list() == pytest.approx([-0.5, -0.5, 0.5])
    assert found["schools_without"].to_list() == [1, 1, 1]
    assert found["cost_agorot"].to_list() == [100, 100, 100]


def test_the_price_of_a_rule_and_of_money_by_hand():
    """Serving school 2 costs 9 − 1; 5 % more money buys nothing, the whole price of doubling
    does.
    """
    options = [
        option("1", "milat", 1, 10, 100),
        option("1", "rvadim", 1, 9, 100),
        option("2", "milat", 1, 1, 100),
    ]
    schools = {"1": (100, 0.9), "2": (100, 0.9)}
    built = problem(options, schools=schools, budget=200, rules=(EverySchoolServed(),))
    found = {r["rule_id"]: r for r in rule_prices(built, effort=EXACT).iter_rows(named=True)}
    assert found["every_school_served"]["worth_gain"] == pytest.approx(8)
    assert found["every_school_served"]["lines_changed"] == 2
    assert found["budget:municipal_own"]["worth_gain"] == 0
    more = {
        r["rule_id"]: r
        for r in rule_prices(built, budget_step_pct=50, effort=EXACT).iter_rows(named=True)
    }
    assert more["budget:municipal_own"]["worth_gain"] == pytest.approx(9)


@settings(max_examples=examples(40), deadline=None, derandomize=True)
@given(problems())
def test_prices_of_rules_equal_enumeration(built):
    best = best_plan(built)
    if best is None:
        with pytest.raises(ValueError, match="No plan keeps the rules"):
            rule_prices(built, effort=EXACT)
        return
    prices = rule_prices(built, effort=EXACT)
    for row in prices.iter_rows(named=True):
        assert 0 <= row["worth_gain"] <= row["worth_gain_hi"] + 1e-9
        if row["change"] == "left_out":
            kept = tuple(r for r in built.rules if r.rule_id != row["rule_id"])
            without = best_plan(replace(built, rules=kept))
            assert row["worth_gain"] == pytest.approx(without[0] - best[0], abs=1e-6)
    assert set(prices.filter(change="left_out")["rule_id"]) == {
        r.rule_id for r in built.rules if r.is_priced
    }
    frontier = gamma_frontier(built, [0.5, 2], seed=1, effort=EXACT)
    blind = best_plan(replace(built, equity_gamma=0.0))[0]
    assert frontier["benefit_sd_pupils"][0] == pytest.approx(blind, abs=1e-6)
    assert (frontier["benefit_sd_pupils"] <= blind + 1e-6).all()


@settings(max_examples=examples(60), deadline=None, derandomize=True)
@given(problems())
def test_shadow_prices_bound_every_plan(built):
    """Weak duality: no plan is worth more than its limits at the prices, and the bound says so."""
    best = best_plan(built)
    if best is None:
        return
    model = model_of(built.canonical())
    prices = shadow_prices(model)
    assert prices.bound >= best[0] - 1e-6
    at_most = model.upper < float("inf")
    at_least = model.lower > -float("inf")
    assert (prices.row[at_most & ~at_least] >= -1e-12).all()
    assert (prices.row[at_least & ~at_most] <= 1e-12).all()
    total = prices.row[at_most] @ model.upper[at_most]
    total += prices.row[at_least & ~at_most] @ model.lower[at_least & ~at_most]
    benefit = model.columns.options["weighted_benefit"].to_numpy()
    eligible = model.columns.options["is_eligible"].to_numpy()
    left = (benefit - prices.row @ model.matrix)[eligible]
    assert total + left.clip(min=0).sum() >= prices.bound - 1e-6
    if not built.overlaps:
        assert total + left.clip(min=0).sum() == pytest.approx(prices.bound, abs=1e-6)


def test_two_responses_that_a_school_must_keep_have_one_price_the_dearest():
    options = [
        option("1", "milat", 1, 1, 400),
        option("1", "merchav", 1, 2, 300),
        option("1", "rvadim", 1, 9, 100),
        option("2", "rvadim", 1, 9, 100),
    ]
    keep = MustKeep((("1", "milat", 0.5), ("1", "merchav", 0.5)))
    model = model_of(problem(options, budget=850, rules=[keep]).canonical())
    prices = shadow_prices(model)
    of_rule = prices.row[[model.rules[owner].rule_id == "must_keep" for owner in model.owner]]
    assert (of_rule < 0).sum() == 2
    table = prices.table(model).filter(rule_id="must_keep")
    assert table["price"].to_list() == [of_rule.min()]


def test_the_far_end_lifts_the_least_served_first():
    options = [
        option("1", "milat", 1, 9, 200),
        option("1", "milat", 2, 12, 400),
        option("2", "milat", 1, 2, 300),
    ]
    built = problem(options, schools={"1": (10, 0.5), "2": (10, 0.5)}, budget=500)
    found = gamma_frontier(built, [1], seed=1, effort=EXACT, floor_effort=EXACT, workers=2)
    assert found["objective_id"].to_list() == ["total", "total", "maximin"]
    # Most good: 12 in the first school. The floor first: 9 and 2.
    assert found["benefit_sd_pupils"].to_list() == pytest.approx([12, 12, 11])
    assert found["schools_without"].to_list() == [1, 1, 0]
    assert found["price_of_fairness_pct"][2] == pytest.approx(100 / 12)
