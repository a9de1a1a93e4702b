"""The objective of the plan is the objective of everything that is compared with it."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.allocation import (
    Atkinson,
    Maximin,
    Overlap,
    Total,
    best_near,
    solve,
    with_given_floor,
    with_highest_floor,
)
from models.allocation.account.explain import explain
from models.allocation.account.firmness import stability
from models.allocation.account.frontier import rule_prices
from models.allocation.account.turning_points import turning_points
from models.allocation.rules.choice import MustKeep
from models.allocation.solve.model import model_of
from models.allocation.solve.resolve import Effort, best, with_benefit
from models.keys import PAIR
from tests.examples import examples

from .cases import (
    MONTHS,
    option,
    problem,
)

LINE = [*PAIR, "dose_level"]
OBJECTIVES = (Total(), Atkinson(3.0, baseline_sd=0.05), Maximin())


def rivals(objective):
    """One school gains most from all the money, the other gains something from half of it."""
    options = [
        option("1", "milat", 1, 10, 100),
        option("1", "posh", 1, 9, 100),
        option("2", "milat", 1, 4, 100),
        option("2", "posh", 1, 1, 100),
    ]
    return problem(options, budget=200, objective=objective)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_what_is_asked_again_unchanged_is_the_plan_itself(objective):
    built = rivals(objective)
    plan = solve(built, gap_pct=0)
    served = ["1", "1"] if objective == Total() else ["1", "2"]
    assert plan.lines["semel_mosad"].to_list() == served
    held, lines = with_given_floor(built, plan.certificate.floor_sd), plan.lines.select(LINE)
    again = best_near(held, lines.clear(), gap_pct=0.0, time_limit_s=30)
    assert again.lines.select(LINE).rows() == lines.rows()
    assert again.worth == pytest.approx(plan.certificate.objective)
    unchanged = built.options.select(PAIR).with_columns(
        draw=pl.lit(0), benefit_multiplier=1.0, cost_multiplier=1.0
    )
    told = stability(held, lines, unchanged)
    assert (told.pairs["agreement_share"] == 1).all()
    assert told.draws["plan_worth"][0] == pytest.approx(plan.certificate.objective)
    taken = explain(held, lines, months_per_sd=MONTHS).pairs.filter(
        pl.col("plan_dose_level").is_not_null()
    )
    assert set(taken["reason_code"]) <= {"worth_its_price", "rule"}


def test_other_decisions_under_the_maximin_find_a_floor_of_their_own():
    richer = replace(
        rivals(Maximin()),
        channels=rivals(Maximin()).channels.with_columns(budget_agorot=pl.lit(400, pl.Int64)),
    )
    plan = solve(richer, gap_pct=0)
    scenario = with_highest_floor(richer, gap_pct=0.01, time_limit_s=30)
    found = best_near(scenario, plan.lines.select(LINE).clear(), gap_pct=0.0, time_limit_s=30)
    assert found.lines.select(LINE).rows() == plan.lines.select(LINE).rows()
    assert {rule.rule_id for rule in scenario.rules} == {"benefit_floor"}
    total = rivals(Total())
    assert with_highest_floor(total, gap_pct=1, time_limit_s=1) is total
    assert with_given_floor(total, None) is total


def test_prices_and_turning_points_follow_the_objective():
    """Forcing the school of the small gain costs the total, and nothing under Atkinson."""
    rule = MustKeep((("2", "milat", 0.5),))
    prices, turned = {}, {}
    for objective in OBJECTIVES[:2]:
        built = replace(rivals(objective), rules=(rule,))
        found = rule_prices(built).filter(rule_id="must_keep")
        prices[objective] = found["worth_gain"].item()
        lines = solve(rivals(objective), gap_pct=0).lines
        asked = pl.DataFrame([("1", "posh")], schema=PAIR, orient="row")
        turned[objective] = (
            turning_points(rivals(objective), lines, asked)["is_in_plan"].unique().to_list()
        )
    assert prices[Total()] == pytest.approx(5 * 0.6)
    assert prices[OBJECTIVES[1]] == pytest.approx(0, abs=1e-9)
    assert turned == {Total(): [True], OBJECTIVES[1]: [False]}


@settings(max_examples=examples(100, part=8), deadline=None, derandomize=True)
@given(
    st.lists(st.integers(-6, 12), min_size=6, max_size=6),
    st.sampled_from([Atkinson(0.5), Atkinson(1.0, 0.05), Atkinson(2.0, 0.02)]),
    st.booleans(),
)
def test_harm_counts_as_it_is_under_a_concave_objective(signed, objective, is_forced):
    """Drawn effects may do harm; the best plan equals enumeration, forced harm included."""
    pairs = [(s, r) for s in "12" for r in ("milat", "posh", "icei")]
    options = [option(s, r, 1, 1, 100) for s, r in pairs]
    rules = (MustKeep((("1", "milat", 0.5),)),) if is_forced else ()
    built = problem(options, budget=300, rules=rules, objective=objective).canonical()
    model = model_of(built)
    place = {(s, r): at for at, (s, r) in enumerate(model.columns.options.select(PAIR).rows())}
    benefit = np.zeros(len(pairs))
    for pair, good in zip(pairs, signed, strict=True):
        benefit[place[pair]] = good * model.weighted[place[pair]]
    drawn = with_benefit(model, benefit)

    def by_words(x):
        total = 0.0
        for school in "12":
            gain = math.fsum(
                benefit[place[s, r]] for s, r in pairs if s == school and x[place[s, r]]
            )
            if gain < 0:
                total += gain
                continue
            power, level = 1 - objective.aversion, 1 + gain / 100 / objective.baseline_sd
            phi = math.log(level) if power == 0 else (level**power - 1) / power
            total += 100 * objective.baseline_sd * phi
        return total

    every = [np.array(x, dtype=float) for x in itertools.product((0, 1), repeat=len(pairs))]
    top = max(by_words(x) for x in every if drawn.keeps(x))
    found = best(drawn, Effort(gap_pct=0.0))
    assert found is not None
    assert found.worth == pytest.approx(by_words(found.x), abs=1e-9)
    assert found.worth == pytest.approx(top, abs=1e-5)
    assert found.bound >= top - 1e-9


def test_a_plan_under_a_floor_is_explained_though_its_benefits_overlap():
    """A floor counts leaders in full: in parts, too, or no plan seems to keep it."""
    options = [
        option("100001", "milat", 1, 4, 100),
        option("100001", "posh", 1, 4, 100),
        option("100002", "milat", 1, 4, 100),
    ]
    case = replace(
        problem(options, budget=300),
        overlaps=(Overlap("same", "same", "אותם", ("milat", "posh"), 0.0),),
        objective=Maximin(),
    )
    plan = solve(case, gap_pct=0)
    held = with_given_floor(case, plan.certificate.floor_sd)
    found = explain(held, plan.lines, months_per_sd=MONTHS)
    assert "overlooked" not in found.pairs["reason_code"]
