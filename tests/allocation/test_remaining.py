"""The need-weighted gap that remains: by hand, and never less because scores fell (R81)."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.allocation import solve
from models.allocation.account.remaining import remaining

from .cases import CASES, option, plans, problem

A, B, C = "100001", "100002", "100003"


def state(rows):
    schema = {
        "semel_mosad": pl.String,
        "pupils": pl.Int64,
        "need": pl.Float64,
        "gap_sd": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def gains(rows):
    schema = {"semel_mosad": pl.String, "benefit_sd_pupils": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def left(schools, bought, gamma=1.0, offset=0.1):
    return remaining(schools, gains(bought), equity_gamma=gamma, need_offset=offset)


def total(schools, bought, gamma=1.0):
    return left(schools, bought, gamma)["need_gap_after"].sum()


def test_by_hand():
    schools = state([(B, 50, 0.4, 0.2), (A, 100, 0.9, 0.3), (C, 70, 0.2, -0.1)])
    found = left(schools, [(A, 4.0), (A, 6.0), (B, 99.0), (C, 1.0)])
    assert found["semel_mosad"].to_list() == [A, B, C]
    assert found["need_gap_before"].to_list() == pytest.approx([30, 5, 0])
    # 100 × .3 − 10 = 20 at weight 1; B gains more than it lacks, and C lacks nothing.
    assert found["need_gap_after"].to_list() == pytest.approx([20, 0, 0])


def test_an_unknown_gap_is_not_counted_as_none():
    found = left(state([(A, 100, 0.9, None)]), [(A, 4.0)])
    assert found.select("need_gap_before", "need_gap_after").row(0) == (None, None)


def test_a_gain_of_no_school_is_refused():
    with pytest.raises(ValueError, match=C):
        left(state([(A, 100, 0.9, 0.1)]), [(C, 1.0)])


def test_the_worth_of_a_plan_rises_when_scores_fall_and_what_remains_does_not_fall():
    """The finding that this measure answers: worth ranks plans and is no success."""
    options = [option(A, "milat", 1, 20, 100), option(B, "milat", 1, 10, 100)]

    def worth_and_left(need, gap):
        case = problem(options, schools={A: (100, 0.9), B: (100, need)}, budget=200)
        plan = solve(case, gap_pct=0)
        bought = plan.lines.select("semel_mosad", "benefit_sd_pupils").rows()
        schools = state([(A, 100, 0.9, 0.4), (B, 100, need, gap)])
        return plan.certificate.objective, total(schools, bought)

    (high, little), (higher, more) = worth_and_left(0.1, 0.0), worth_and_left(0.4, 0.2)
    assert higher > high
    assert more > little


amounts = st.floats(0, 1)
school_states = st.lists(
    st.tuples(st.integers(0, 500), amounts, st.floats(-1, 1), st.floats(0, 200)),
    min_size=1,
    max_size=5,
)


@CASES
@given(school_states, st.integers(0, 4), amounts, amounts, st.sampled_from([0.0, 0.5, 1.0, 2.0]))
def test_lower_scores_never_lower_what_remains(rows, at, gap_more, need_more, gamma):
    """For any fixed plan: the gap of one school grows, and its need with it."""
    named = [(f"10000{i}", *row) for i, row in enumerate(rows)]
    at %= len(named)
    fallen = [
        (
            (code, pupils, min(need + need_more, 1.0), gap + gap_more)
            if i == at
            else (code, pupils, need, gap)
        )
        for i, (code, pupils, need, gap, _) in enumerate(named)
    ]
    bought = [(code, gain) for code, *_, gain in named]
    before = total(state([row[:4] for row in named]), bought, gamma)
    assert total(state(fallen), bought, gamma) >= before - 1e-9


@st.composite
def within_gaps(draw):
    """Two schools whose responses all together bring less than the gap, before it grows."""
    options = [
        option(code, response, 1, draw(st.integers(0, 10)), draw(st.integers(1, 5)) * 100)
        for code in (A, B)
        for response in ("amirim", "milat")
    ]
    needs, gaps = (draw(st.tuples(amounts, amounts)) for _ in range(2))
    gamma = draw(st.sampled_from([0.0, 1.0, 2.0]))
    schools = {code: (100, need) for code, need in zip((A, B), needs, strict=True)}
    case = problem(
        options, schools=schools, budget=draw(st.integers(0, 12)) * 100, equity_gamma=gamma
    )
    # 100 pupils who lack .2 or more: 20 SD·pupils, as much as both responses can bring.
    return case, [
        (code, 100, need, 0.2 + gap) for code, need, gap in zip((A, B), needs, gaps, strict=True)
    ]


@CASES
@given(within_gaps(), amounts, amounts)
def test_the_best_plan_leaves_least_and_more_after_scores_fell(posed, gap_more, need_more):
    """Where gains fit into gaps the best plan is the one that leaves least, by enumeration."""
    case, rows = posed

    def both(rows):
        needs = pl.Series([row[2] for row in rows])
        asked = problem_with(case, needs)
        schools, gamma = state(rows), asked.equity_gamma
        affordable = [
            p for p in plans(asked) if sum(r["money"]["municipal_own"] for r in p) <= budget
        ]
        least = min(
            total(schools, [(r["semel_mosad"], r["benefit_sd_pupils"]) for r in p], gamma)
            for p in affordable
        )
        bought = solve(asked, gap_pct=0).lines.select("semel_mosad", "benefit_sd_pupils").rows()
        return total(schools, bought, gamma), least

    budget = case.channels["budget_agorot"][0]
    code, pupils, need, gap = rows[1]
    fallen = [rows[0], (code, pupils, min(need + need_more, 1.0), gap + gap_more)]
    (before, least_before), (after, least_after) = both(rows), both(fallen)
    assert before == pytest.approx(least_before, abs=1e-6)
    assert after == pytest.approx(least_after, abs=1e-6)
    assert after >= before - 1e-6


def problem_with(case, needs):
    """The same case with other needs, by school."""
    return replace(case, schools=case.schools.sort("semel_mosad").with_columns(need=needs))
