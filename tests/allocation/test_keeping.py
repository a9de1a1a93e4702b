"""What it costs that a school keeps last year's money, against full enumeration."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.allocation import solve
from models.allocation.account.keeping import keeping_sentences, price_of_keeping
from models.allocation.rules.change import NeediestKept

from .cases import CASES, feasible_problems, is_allowed, option, plans, problem


def asked(**last):
    return pl.DataFrame({"semel_mosad": list(last), "last_year_agorot": list(last.values())})


@CASES
@given(feasible_problems(max_rules=0), st.integers(1, 16))
def test_price_and_most_are_those_of_all_plans(case, amount):
    school, last = case.schools["semel_mosad"][0], amount * 10_000_001
    row = price_of_keeping(case, asked(**{school: last})).row(0, named=True)
    allowed = [
        (
            sum(line["good"] for line in lines),
            sum(sum(line["money"].values()) for line in lines if line["semel_mosad"] == school),
        )
        for lines in plans(case)
        if is_allowed(case, lines)
    ]
    worth, most = max(good for good, _ in allowed), max(money for _, money in allowed)
    keeping = [good for good, money in allowed if money >= last]
    if keeping:
        assert row["worth_loss"] == pytest.approx(worth - max(keeping), abs=1e-3 * worth + 1e-9)
        assert row["worth_loss_lo"] <= worth - max(keeping) + 1e-3 * worth + 1e-9
        assert row["most_agorot"] >= most
    else:
        assert row["worth_loss"] is None
        assert most <= row["most_agorot"] < last


OFFERS = [option("100001", "milat", 1, 1.0, 100), option("100002", "milat", 1, 3.0, 100)]


def test_a_rule_that_holds_already_is_held_beside():
    case = problem(OFFERS, budget=100)
    assert price_of_keeping(case, asked(**{"100001": 100}))["worth_loss_pct"][0] == pytest.approx(
        100 * 2 / 3
    )
    held = replace(case, rules=(NeediestKept((("100002", 200),), 50.0),))
    assert price_of_keeping(held, asked(**{"100001": 100}))["worth_loss"].to_list() == [None]


def test_the_rule_keeps_the_money_and_says_so():
    case = problem(OFFERS, budget=100)
    plan = solve(replace(case, rules=(NeediestKept((("100001", 200),), 50.0),)))
    assert plan.lines["semel_mosad"].to_list() == ["100001"]
    rule = plan.rules.filter(rule_id="neediest_kept").row(0, named=True)
    assert rule["is_binding"]
    assert rule["rule_value"] == 50.0
    assert "surely among the neediest gets less than 50 %" in rule["rule_en"]


def test_a_price_and_a_wall_are_two_sentences():
    row = {
        "semel_mosad": "100001",
        "school_name_he": "א",
        "need": 0.9,
        "amount_agorot": 70_00,
        "last_year_agorot": 100_00,
        "change_pct": -30.0,
        "most_agorot": 85_00,
        "worth_loss_pct": 1.5,
    }
    he, en = keeping_sentences(row)
    assert "70 NIS after 100 NIS last year, 30 % less" in en
    assert "costs 1.50 %" in en
    assert "ירידה של 30%" in he
    assert "עולה 1.50%" in he
    he, en = keeping_sentences(row | {"worth_loss_pct": None})
    assert "No plan that keeps the rules gives it more than 85 NIS" in en
    assert "85 ₪" in he
