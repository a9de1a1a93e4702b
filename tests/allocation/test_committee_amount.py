"""A response that nothing counts for: its amount holds in the plan, and is told as such (R122)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from models.allocation import InfeasibleRules, solve
from models.allocation.account.explain import explain
from models.allocation.account.firmness import stability
from models.allocation.problem.columns import Columns
from models.allocation.problem.plan import Plan
from models.allocation.rules.alone import Alone
from models.allocation.rules.choice import MustDrop, MustKeep, SchoolCapacity
from models.allocation.rules.decided import CommitteeAmount
from models.allocation.solve.model import all_rules

from .cases import (
    MONTHS,
    option,
    problem,
)

A, B, C = "100001", "100002", "100003"
CLUBS = CommitteeAmount("clubs", ((A, 1.0), (B, 0.5)), 150)


def offered(clubs=0.0, **other):
    """Clubs in three schools at two doses, and one tutoring that does good in each."""
    return [
        *(option(s, "clubs", level, clubs, 50 * level) for s in (A, B, C) for level in (1, 2)),
        *(option(s, "tutoring", 2, good, 100, **other) for s, good in ((A, 1), (B, 2), (C, 3))),
    ]


def bought(plan, response_id):
    own = plan.lines.filter(pl.col("response_id") == response_id)
    return list(own.select("semel_mosad", "dose").iter_rows())


def test_the_amount_is_bought_as_settled_and_the_rest_goes_where_it_does_good():
    plan = solve(problem(offered(), budget=350, rules=[CLUBS]))
    assert bought(plan, "clubs") == [(A, 1.0), (B, 0.5)]
    assert bought(plan, "tutoring") == [(B, 1.0), (C, 1.0)]
    assert plan.rules.filter(rule_id="committee_amount:clubs")["is_satisfied"].item()


def test_however_good_it_is_assumed_to_be_it_is_bought_as_settled():
    assert bought(solve(problem(offered(clubs=99.0), budget=350, rules=[CLUBS])), "clubs") == [
        (A, 1.0),
        (B, 0.5),
    ]


@pytest.mark.parametrize(
    "options", [[(A, 2)], [(A, 2), (B, 2)], [(A, 2), (B, 1), (C, 1)]], ids=["less", "dose", "more"]
)
def test_the_re_check_sees_a_plan_that_departs_from_it(options):
    columns = Columns.of(problem(offered(), budget=350).canonical())
    chosen = np.array([columns.position[school, "clubs", level] for school, level in options])
    assert not CLUBS.measure(Plan.of(columns, chosen)).satisfied


def test_what_cannot_hold_beside_it_is_a_named_conflict():
    with pytest.raises(InfeasibleRules) as refused:
        solve(problem(offered(), budget=100, rules=[CLUBS]))
    assert "committee's amount" in refused.value.en
    assert "הוועדה" in refused.value.he


def test_what_contradicts_without_it_is_named_without_it():
    rules = [CLUBS, MustKeep(((C, "tutoring", 1.0),)), MustDrop(((C, "tutoring"),))]
    with pytest.raises(InfeasibleRules) as refused:
        solve(problem(offered(), budget=100, rules=rules))
    assert refused.value.rules == ("must_drop", "must_keep")


@pytest.mark.parametrize(
    ("source", "he", "en"),
    [
        ("decision", "הסכום שקבעה הוועדה", "the committee's amount"),
        ("policy", "הסכום שבמדיניות העיר", "the amount in the city's policy"),
        ("last_year", "הסכום של אשתקד, שהוועדה טרם קבעה אחר", "last year's amount"),
    ],
)
def test_the_sentence_says_whose_the_amount_is(source, he, en):
    rule = replace(CLUBS, source=source)
    assert he in rule.sentence_he
    assert en in rule.sentence_en
    assert source == "decision" or "שקבעה הוועדה" not in rule.sentence_he
    assert "2 בתי ספר מתחלקים בו" in rule.sentence_he
    assert "לבית ספר אחד" in replace(rule, doses=((A, 1.0),)).sentence_he


def test_its_reason_is_the_committee_s_amount_where_it_is_and_where_it_is_not():
    case = problem(offered(), budget=350, rules=[CLUBS])
    lines = solve(case).lines
    reasons = {
        row["semel_mosad"]: (row["reason_code"], row["reason_en"])
        for row in explain(case, lines, months_per_sd=MONTHS)
        .pairs.filter(response_id="clubs")
        .to_dicts()
    }
    assert {code for code, _ in reasons.values()} == {"committee"}
    assert reasons[A][1].startswith("Its part of an amount shared by need")
    assert reasons[C][1].startswith("The amount is shared by need and does not reach this school")


def test_no_draw_moves_it():
    case = problem(offered(), budget=350, rules=[CLUBS])
    lines = solve(case).lines
    pairs = case.options.select("semel_mosad", "response_id").unique()
    draws = pl.concat(
        pairs.with_columns(
            draw=pl.lit(n), benefit_multiplier=pl.lit(m), cost_multiplier=pl.lit(1.0)
        )
        for n, m in enumerate((0.2, 1.0, 3.0))
    )
    found = stability(case, lines, draws).pairs.filter(response_id="clubs")
    assert found["selection_share"].to_list() == [1.0, 1.0, 0.0]


def test_alone_an_option_is_impossible_kept_or_free():
    rules = [
        MustKeep(((A, "clubs", 1.0),)),
        MustDrop(((B, "clubs"),)),
        SchoolCapacity("clubs", 2),
    ]
    case = problem([*offered(), option(C, "dear", 2, 1, 900)], budget=350, rules=rules).canonical()
    columns = Columns.of(case)
    alone = Alone.of(columns, all_rules(case))

    def at(flags, *key):
        return bool(flags[columns.position[key]])

    assert [at(alone.is_possible, A, "clubs", level) for level in (1, 2)] == [False, True]
    assert at(alone.is_kept, A, "clubs", 2)
    assert not at(alone.is_kept, C, "clubs", 2)
    assert not at(alone.is_possible, B, "clubs", 1)
    assert not at(alone.is_possible, C, "dear", 2)  # no budget would pay for it
    assert at(alone.is_possible, C, "clubs", 1)
    assert sorted(row.upper for row in alone.shared) == [2, 350]
