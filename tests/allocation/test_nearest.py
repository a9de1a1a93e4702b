"""The best plan near a plan in hand: as good as promised, and no farther than need be (R98)."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings

from models.allocation import InfeasibleRules, best_near, solve
from models.allocation.rules.choice import MustDrop, MustKeep
from tests.examples import examples

from .cases import best_plan, option, problem, problems

PAIR = ["semel_mosad", "response_id"]


def plan(*lines):
    return pl.DataFrame(
        list(lines),
        schema={"semel_mosad": pl.String, "response_id": pl.String, "dose_level": pl.Int32},
        orient="row",
    )


def near(built, lines, gap_pct=0.0):
    return best_near(built, lines, gap_pct=gap_pct, time_limit_s=30)


@settings(max_examples=examples(40), deadline=None, derandomize=True)
@given(problems())
def test_it_is_within_the_gap_of_enumeration(built):
    best = best_plan(built)
    if best is None:
        with pytest.raises(InfeasibleRules):
            near(built, plan())
        return
    exact = near(built, plan())
    assert exact.worth == pytest.approx(best[0], abs=1e-7)
    in_hand = exact.lines.select(*PAIR, "dose_level")
    sticky = near(built, in_hand, gap_pct=2.0)
    assert sticky.worth >= best[0] * (1 - 0.02) - 1e-7
    assert sticky.bound >= best[0] - 1e-7
    assert sticky.gap_pct <= 2.0 + 1e-6


def test_of_plans_that_are_as_good_the_one_in_hand_stays():
    """Four schools, money for two, all the same: any two will do, and the two in hand are kept."""
    options = [option(s, "milat", 1, 10, 100) for s in "1234"]
    built = problem(options, budget=200)
    for pair in (("1", "2"), ("3", "4"), ("2", "3")):
        in_hand = plan(*[(s, "milat", 1) for s in pair])
        found = near(built, in_hand, gap_pct=0.1)
        assert found.lines["semel_mosad"].to_list() == list(pair)


def test_a_line_moves_where_the_change_pays_for_it():
    options = [option("1", "milat", 1, 10, 100), option("2", "milat", 1, 12, 100)]
    built = problem(options, budget=100)
    found = near(built, plan(("1", "milat", 1)), gap_pct=0.1)
    assert found.lines["semel_mosad"].to_list() == ["2"]
    assert found.money["amount_agorot"].to_list() == [100]


def test_the_unchanged_problem_gives_the_plan_itself():
    options = [
        option(s, r, d, d * (3 + int(s)), 70 * d)
        for s in "12345"
        for r in ("milat", "rvadim")
        for d in (1, 2)
    ]
    built = problem(options, budget=500)
    base = solve(built)
    found = near(built, base.lines, gap_pct=0.01)
    assert found.lines.select(*PAIR, "dose_level").equals(base.lines.select(*PAIR, "dose_level"))


def test_a_conflict_has_both_languages_and_a_short_answer_names_the_same_rules():
    built = problem(
        [option("1", "milat", 1, 10, 100)],
        rules=(MustKeep((("1", "milat", 0.5),)), MustDrop((("1", "milat"),))),
    )
    with pytest.raises(InfeasibleRules) as whole:
        near(built, plan())
    with pytest.raises(InfeasibleRules) as short:
        best_near(built, plan(), gap_pct=0.1, time_limit_s=5, explain_within_s=5)
    assert whole.value.rules == short.value.rules == ("must_drop", "must_keep")
    assert short.value.is_irreducible
    assert "No plan" in whole.value.en
    assert "אין תוכנית" in whole.value.he
    with pytest.raises(InfeasibleRules) as late:
        best_near(built, plan(), gap_pct=0.1, time_limit_s=5, explain_within_s=-1)
    assert not late.value.is_irreducible
    assert set(late.value.rules) >= {"must_drop", "must_keep"}


def test_a_line_that_is_no_option_is_refused():
    built = problem([option("1", "milat", 1, 10, 100)], budget=100)
    with pytest.raises(ValueError, match="no such option"):
        near(built, plan(("9", "milat", 1)))


def test_a_plan_in_hand_need_not_keep_the_rules():
    built = problem([option(s, "milat", 1, 10, 100) for s in "12"], budget=100)
    found = near(
        replace(built, equity_gamma=2.0), plan(("1", "milat", 1), ("2", "milat", 1)), gap_pct=0.1
    )
    assert found.lines.height == 1
