"""What the next money buys and a cut costs: by hand and by enumeration (R82)."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.allocation import solve
from models.allocation.account.next_money import next_money
from models.allocation.rules.choice import EverySchoolServed, Exclusive, SchoolCapacity
from models.allocation.rules.money import SchoolCap
from models.allocation.solve.resolve import Effort
from tests.examples import examples

from .cases import CASES, OWN, best_plan, feasible_problems, option, problem

A, B = "100001", "100002"
EXACT = Effort(gap_pct=0.0)
NAMES = {"milat": ("מיל״ת", "MILAT"), "posh": ("פו״ש", "POSH")}


def next_of(case, lines=None, *, step, months_per_sd=9.0):
    """Both rows of the municipality's own money: more, and less."""
    found = next_money(
        case,
        solve(case, gap_pct=0).lines if lines is None else lines,
        step_agorot=step,
        months_per_sd=months_per_sd,
        effort=EXACT,
    )
    assert found["step_agorot"].to_list() == [step, -step]
    return found.rows(named=True)


def test_the_next_money_buys_what_just_did_not_fit():
    options = [option(A, "milat", 1, 5, 1_000), option(B, "posh", 1, 4, 1_000)]
    case = problem(options, budget=1_500, response_names=NAMES)
    row, cut = next_of(case, step=500)
    assert (row["funding_channel"], row["lines_bought"], row["lines_dropped"]) == (OWN, 1, 0)
    assert row["worth_change"] == pytest.approx(0.6 * 4)
    assert (row["months_change"], row["participants_change"]) == (pytest.approx(36), 10)
    assert (
        row["next_en"]
        == "5 NIS more for the municipality's own budget – in: POSH at בית ספר 100002. In all: the"
        " plan's need-weighted worth 80.000 % more; without the weight of need: 36 expected months"
        " of progress more (over all pupils), 10 places more."
    )
    assert "נכנסים: פו״ש בבית ספר 100002." in row["next_he"]
    # 500 are left and may go: a cut of as much changes nothing.
    assert (cut["worth_change"], cut["lines_dropped"]) == (0, 0)
    assert "would not change the plan" in cut["next_en"]


def test_a_cut_takes_what_is_worth_least():
    options = [option(A, "milat", 1, 5, 1_000), option(B, "posh", 1, 4, 1_000)]
    case = problem(options, budget=2_000, response_names=NAMES)
    more, cut = next_of(case, step=500)
    assert (more["worth_change"], more["lines_bought"]) == (0, 0)
    assert "buy nothing whole" in more["next_en"]
    assert cut["worth_change"] == pytest.approx(-0.6 * 4)
    assert (cut["worth_change_lo"], cut["worth_change_hi"]) == (pytest.approx(-2.4),) * 2
    assert (cut["months_change"], cut["participants_change"]) == (pytest.approx(-36), -10)
    assert "out: POSH" in cut["next_en"]
    assert "קיצוץ של 5 ₪" in cut["next_he"]
    assert "36 חודשי התקדמות צפויים פחות" in cut["next_he"]


def test_a_cut_that_no_plan_bears_says_so():
    case = problem([option(A, "milat", 1, 5, 1_000)], budget=1_000, rules=(EverySchoolServed(()),))
    _, cut = next_of(case, step=1)
    assert cut["worth_change"] is None
    assert "no plan keeps all rules" in cut["next_en"]


def test_money_may_turn_one_line_into_another_and_a_dose_into_a_larger_one():
    options = [
        option(A, "milat", 1, 3, 1_000),
        option(A, "milat", 2, 4, 1_500),
        option(B, "posh", 1, 2, 500),
        option(B, "milat", 1, 4.5, 1_500),
    ]
    case = problem(
        options,
        budget=1_500,
        response_names=NAMES,
        rules=(Exclusive("one", ("milat", "posh")), SchoolCap(15, OWN)),
    )
    row, _ = next_of(case, step=1_500)
    assert (row["lines_bought"], row["lines_dropped"]) == (2, 2)
    assert "in: MILAT at" in row["next_en"]
    assert "out: POSH at" in row["next_en"]
    assert "at another dose or way: MILAT at" in row["next_en"]


def test_a_budget_spent_but_for_little_limits_though_a_cheaper_step_would_fit():
    """400 are left; a step of 300 stands behind a capacity and one of 1,000 does not fit."""
    case = problem(
        [
            option(A, "milat", 1, 9, 1_000),
            option(B, "milat", 1, 1, 300),
            option(B, "posh", 1, 2, 1_000),
        ],
        budget=1_400,
        rules=(SchoolCapacity("milat", 1),),
    )
    more, _ = next_of(case, step=600)
    assert more["lines_bought"] == 1


def test_a_budget_that_does_not_limit_has_no_row():
    case = problem([option(A, "milat", 1, 5, 1_000)], budget=5_000)
    assert next_money(case, solve(case).lines, step_agorot=100, months_per_sd=9).is_empty()


@settings(CASES, max_examples=examples(60))
@given(feasible_problems(), st.integers(1, 60_000_000))
def test_the_change_is_that_of_enumeration(case, step):
    plan = solve(case, gap_pct=0)
    found = next_money(case, plan.lines, step_agorot=step, months_per_sd=9, effort=EXACT)
    for row in found.iter_rows(named=True):
        own = pl.col("funding_channel") == row["funding_channel"]
        more = pl.col("budget_agorot") + pl.when(own).then(row["step_agorot"]).otherwise(0)
        best = best_plan(replace(case, channels=case.channels.with_columns(budget_agorot=more)))
        if best is None:
            assert row["worth_change"] is None
        else:
            change = best[0] - best_plan(case)[0]
            assert row["worth_change"] == pytest.approx(change, abs=1e-6)
            assert row["worth_change_lo"] - 1e-6 <= change <= row["worth_change_hi"] + 1e-6


def test_a_plan_that_is_not_the_best_is_not_told_as_what_the_money_buys():
    """B's line is worth more than A's; more money buys what the best plan has no money for."""
    options = [option(A, "milat", 1, 1, 1_000), option(B, "milat", 1, 4, 1_000)]
    plan = pl.DataFrame({"semel_mosad": [A], "response_id": ["milat"], "dose_level": [1]})
    more, _ = next_of(problem(options, budget=1_000), plan, step=1_000)
    assert more["worth_change"] == pytest.approx(0.6)
    assert (more["lines_bought"], more["lines_dropped"]) == (1, 0)
