"""Properties of every allocation, on random small problems (R79, R80, R97)."""

from __future__ import annotations

import io
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.allocation import InfeasibleRules, solve

from .cases import CASES, GEFEN, OWN, best_plan, feasible_problems, problems, tied_problems

FRAMES = ("lines", "money", "channels", "rules")


def solved(case):
    """The allocation, searched to the end."""
    return solve(case, gap_pct=0)


def adds_up(case, plan):
    """Every rule holds by the re-check, and lines, payments and channels agree to the agora."""
    assert plan.rules["is_satisfied"].all()
    assert {rule.rule_id for rule in case.rules} <= set(plan.rules["rule_id"])
    assert plan.certificate.objective == pytest.approx(plan.lines["weighted_benefit"].sum())
    key = ["semel_mosad", "response_id"]
    by_line = plan.money.group_by(key).agg(cost=pl.col("amount_agorot").sum())
    split = plan.lines.join(by_line, on=key, how="left").with_columns(pl.col("cost").fill_null(0))
    assert split["cost"].to_list() == split["cost_agorot"].to_list()
    assert plan.money.join(plan.lines, on=key, how="anti").is_empty()
    assert not plan.lines.select(key).is_duplicated().any()
    assert (plan.money["amount_agorot"] > 0).all()
    paid = dict(plan.channels.select("funding_channel", "allocated_agorot").iter_rows())
    for channel in (OWN, GEFEN):
        own, of_city = (
            table.filter(pl.col("funding_channel") == channel)["amount_agorot"].sum()
            for table in (plan.money, case.services)
        )
        assert own + of_city == paid[channel]


def data(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_ipc(buffer)
    return buffer.getvalue()


@CASES
@given(problems(max_rules=4) | tied_problems())
def test_optimum_and_tie_break_equal_full_enumeration(case):
    best = best_plan(case)
    if best is None:
        with pytest.raises(InfeasibleRules):
            solve(case, gap_pct=0)
        return
    plan = solve(case, gap_pct=0)
    good, cost, positions, picks = best
    assert plan.certificate.objective == pytest.approx(good, abs=1e-8)
    assert plan.certificate.objective_bound == pytest.approx(good, abs=1e-6)
    assert plan.lines["cost_agorot"].sum() == cost
    ordered = case.options.sort("semel_mosad", "response_id", "dose_level").with_row_index("at", 1)
    key = ["semel_mosad", "response_id", "dose_level"]
    taken = ordered.with_columns(pl.col("dose_level").cast(pl.Int32)).join(plan.lines, on=key)
    assert taken["at"].sum() == positions
    if picks is not None:
        assert plan.lines.select(key).rows() == picks
    adds_up(case, plan)


@CASES
@given(feasible_problems(), st.sampled_from([0.01, 20.0]))
def test_a_wider_gap_breaks_no_rule_and_is_honest(case, gap_pct):
    best = solved(case).certificate.objective
    plan = solve(case, gap_pct=gap_pct)
    adds_up(case, plan)
    assert plan.certificate.optimality_gap_pct <= gap_pct + 1e-6
    assert plan.certificate.objective <= best + 1e-8
    assert plan.certificate.objective_bound >= best - 1e-6


@CASES
@given(feasible_problems(), st.floats(0.05, 0.5), st.integers(0, 2))
def test_more_need_never_means_less(case, more, which):
    """R80: by exchange, (W' − W)·(B' − B) ≥ 0; both plans are solved to a gap of zero."""
    case = replace(case, equity_gamma=max(case.equity_gamma, 0.5))
    code = case.schools["semel_mosad"].to_list()[which % case.schools.height]
    own = pl.col("semel_mosad") == code
    raised = case.schools.with_columns(
        need=pl.when(own).then((pl.col("need") + more).clip(0, 1)).otherwise("need")
    )
    before = solved(case).lines.filter(own)["benefit_sd_pupils"].sum()
    after = solved(replace(case, schools=raised)).lines.filter(own)["benefit_sd_pupils"].sum()
    assert after >= before - 1e-6


@CASES
@given(feasible_problems(), st.randoms(use_true_random=False))
def test_gamma_zero_is_blind_to_need(case, random):
    case = replace(case, equity_gamma=0.0)
    other = case.schools.with_columns(
        need=pl.Series([random.random() for _ in case.schools["need"]])
    )
    one, two = solved(case), solved(replace(case, schools=other))
    for name in FRAMES:
        assert data(getattr(one, name)) == data(getattr(two, name))


@CASES
@given(feasible_problems(), st.integers(0, 200_000_000))
def test_more_budget_never_does_less_good(case, extra):
    more = case.channels.with_columns(pl.col("budget_agorot") + extra)
    before = solved(case).certificate.objective
    assert solved(replace(case, channels=more)).certificate.objective >= before - 1e-8


@CASES
@given(feasible_problems(), st.randoms(use_true_random=False))
def test_order_of_rows_columns_and_rules_changes_nothing(case, random):
    def shuffled(frame):
        rows = random.sample(range(frame.height), frame.height)
        return frame[rows].select(random.sample(frame.columns, frame.width))

    tables = ("schools", "options", "costs", "channels", "school_channels")
    other = replace(
        case,
        **{name: shuffled(getattr(case, name)) for name in tables},
        rules=tuple(random.sample(case.rules, len(case.rules))),
    )
    one, two = solved(case), solved(other)
    for name in FRAMES:
        assert data(getattr(one, name)) == data(getattr(two, name))
    assert one.certificate == two.certificate


@CASES
@given(feasible_problems(max_rules=0))
def test_without_rules_nothing_useless_is_bought_and_left_money_is_explained(case):
    plan = solved(case)
    assert (plan.lines["weighted_benefit"] > 0).all()
    for left, *reasons in plan.channels.select(
        "left_agorot", "left_reason_he", "left_reason_en"
    ).iter_rows():
        assert all(bool(reason) == bool(left) for reason in reasons)
