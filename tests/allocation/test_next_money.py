"""What the next money buys: by hand, and never less than nothing (R82)."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.allocation import solve
from models.allocation.account.next_money import next_money
from models.allocation.solve.resolve import Effort
from tests.examples import examples

from .cases import CASES, OWN, best_plan, feasible_problems, option, problem

A, B = "100001", "100002"
EXACT = Effort(gap_pct=0.0)
NAMES = {"milat": ("מיל״ת", "MILAT"), "posh": ("פו״ש", "POSH")}


def test_the_next_money_buys_what_just_did_not_fit():
    options = [option(A, "milat", 1, 5, 1_000), option(B, "posh", 1, 4, 1_000)]
    case = problem(options, budget=1_500, response_names=NAMES)
    row = next_money(case, solve(case, gap_pct=0).lines, step_agorot=500, effort=EXACT).row(
        0, named=True
    )
    assert (row["funding_channel"], row["lines_bought"], row["lines_dropped"]) == (OWN, 1, 0)
    assert row["worth_gain"] == pytest.approx(0.6 * 4)
    assert (
        row["next_en"]
        == "The next 5 NIS from the municipality's own budget would add 80.00 % to what the plan is"
        " worth; bought: POSH at בית ספר 100002."
    )
    assert "נקנים: פו״ש בבית ספר 100002." in row["next_he"]


def test_money_may_turn_one_line_into_another_and_a_dose_into_a_larger_one():
    options = [
        option(A, "milat", 1, 2, 1_000),
        option(A, "milat", 2, 4, 1_500),
        option(B, "posh", 1, 1, 500),
        option(B, "milat", 1, 4, 1_500),
    ]
    case = problem(options, budget=1_500, response_names=NAMES)
    plan = pl.DataFrame(
        {"semel_mosad": [A, B], "response_id": ["milat", "posh"], "dose_level": [1, 1]}
    )
    row = next_money(case, plan, step_agorot=1_500, effort=EXACT).row(0, named=True)
    assert (row["lines_bought"], row["lines_dropped"]) == (2, 2)
    assert "bought: MILAT at" in row["next_en"]
    assert "dropped: POSH at" in row["next_en"]
    assert "at another dose or way: MILAT at" in row["next_en"]


def test_money_that_buys_nothing_whole_says_so():
    case = problem([option(A, "milat", 1, 5, 1_000)], budget=500)
    row = next_money(case, solve(case).lines, step_agorot=100).row(0, named=True)
    assert (row["lines_bought"], row["worth_gain"]) == (0, 0)
    assert "would change nothing" in row["next_en"]
    assert "לא היו משנים דבר" in row["next_he"]


def test_a_budget_that_does_not_bind_has_no_next_money():
    case = problem([option(A, "milat", 1, 5, 1_000)], budget=5_000)
    assert next_money(case, solve(case).lines, step_agorot=100).is_empty()


@settings(CASES, max_examples=examples(60))
@given(feasible_problems(), st.integers(1, 60_000_000))
def test_the_gain_is_that_of_enumeration(case, step):
    plan = solve(case, gap_pct=0)
    for row in next_money(case, plan.lines, step_agorot=step, effort=EXACT).iter_rows(named=True):
        own = pl.col("funding_channel") == row["funding_channel"]
        more = pl.col("budget_agorot") + pl.when(own).then(step).otherwise(0)
        richer = replace(case, channels=case.channels.with_columns(budget_agorot=more))
        gain = best_plan(richer)[0] - best_plan(case)[0]
        assert row["worth_gain"] == pytest.approx(gain, abs=1e-6)
