"""The bound that anyone can recompute: by the script that is published, and never below a plan."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.allocation import Atkinson, InfeasibleRules, Maximin, Total, solve, with_given_floor
from models.allocation.rules.choice import SchoolCapacity
from models.allocation.solve.proof import Proof, bound_of, prove
from tests.examples import examples
from tests.runs import PROJECT

from .cases import CASES, best_plan, feasible_problems, option, overlapping_problems, problem
from .random_problems import random_problem

RECHECK = runpy.run_path(str(PROJECT / "docs" / "recheck_bound.py"))["recheck"]


def publish(folder: Path, proof: Proof, lines: pl.DataFrame) -> None:
    """Write a proof as a release holds it."""
    row = {
        "constant_units": proof.constant_units,
        "bound_units": proof.bound_units,
        "plan_units": proof.worth_units,
    }
    for name, frame in {
        "allocation": lines,
        "allocation_bound": pl.DataFrame([row]),
        "bound_option": proof.options,
        "bound_row": proof.rows,
        "bound_entry": proof.entries,
    }.items():
        frame.write_parquet(folder / f"mart_{name}.parquet")


def held(case):
    """A case with its best plan and the proof of its bound."""
    plan = solve(case, gap_pct=0)
    return plan, prove(case, plan.lines)


def three_schools(**other):
    return problem(
        [option(f"10000{i}", "milat", 1, good, 100) for i, good in enumerate((5, 4, 3), 1)],
        **other,
    )


def test_the_bound_by_hand():
    """Need .5 and an offset of .1 weigh .6; two of three fit, at a price of the third's worth."""
    plan, proof = held(three_schools(budget=200))
    assert plan.certificate.objective == pytest.approx(0.6 * 9)
    assert proof.bound_units == pytest.approx(0.6 * 9e9, abs=5)
    assert proof.schools_open == 0
    # 250 would pay for half of the third: in parts 6.3, and so at any price.
    _, proof = held(three_schools(budget=250))
    assert proof.bound_units == pytest.approx(0.6 * 10.5e9, abs=5)
    assert proof.gap_pct == pytest.approx(100 * 1.5 / 10.5)


def test_rules_count_in_whole_numbers():
    _, proof = held(three_schools(rules=(SchoolCapacity("milat", 1),)))
    assert proof.rows["rule_id"].to_list() == ["school_capacity:milat"]
    assert proof.rows["row_limit"].to_list() == [1]
    assert proof.bound_units == pytest.approx(0.6 * 5e9, abs=5)


@pytest.mark.sampled
def test_a_stranger_finds_the_same_bound(tmp_path):
    proven, cases = 0, examples(40)
    for seed in range(cases):
        case = random_problem(seed)
        try:
            plan = solve(case, gap_pct=0.01)
        except InfeasibleRules:
            continue
        proof = prove(case, plan.lines)
        publish(tmp_path, proof, plan.lines)
        assert RECHECK(tmp_path) == (proof.bound_units, proof.worth_units)
        proven += 1
    assert proven > cases / 3  # the others have no plan


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("bound_row", "multiplier_units"),
        ("bound_row", "row_limit"),
        ("bound_option", "worth_units"),
        ("bound_entry", "coefficient"),
        ("allocation_bound", "bound_units"),
    ],
)
def test_a_number_that_was_changed_is_found(table, column, tmp_path):
    plan, proof = held(three_schools(budget=250))
    publish(tmp_path, proof, plan.lines)
    file = tmp_path / f"mart_{table}.parquet"
    frame = pl.read_parquet(file)
    frame.with_columns(pl.col(column) - pl.lit(10**7, pl.Int64)).write_parquet(file)
    with pytest.raises(AssertionError):
        RECHECK(tmp_path)


def test_a_plan_that_is_told_as_worth_more_is_found(tmp_path):
    plan, proof = held(three_schools(budget=250))
    publish(tmp_path, replace(proof, worth_units=proof.bound_units), plan.lines)
    with pytest.raises(AssertionError):
        RECHECK(tmp_path)


def test_a_line_that_was_added_is_found(tmp_path):
    plan, proof = held(three_schools(budget=200))
    third = plan.lines[:1].with_columns(semel_mosad=pl.lit("100003"))
    publish(tmp_path, proof, pl.concat([plan.lines, third]))
    with pytest.raises(AssertionError, match="is broken"):
        RECHECK(tmp_path)


@settings(CASES, max_examples=examples(60, part=8))
@given(
    st.one_of(feasible_problems(), overlapping_problems()),
    st.sampled_from([Total(), Atkinson(0.5), Atkinson(2.0)]),
)
def test_no_plan_is_worth_more(case, objective):
    case = replace(case, objective=objective)
    try:
        plan = solve(case, gap_pct=0.01)
    except InfeasibleRules:
        return
    proof = prove(case, plan.lines)
    best = best_plan(case)[0] if objective == Total() else plan.certificate.objective
    assert proof.bound_units >= (best - 1e-9) * 1e9
    # The multipliers may be any: without them the bound only rises.
    free = proof.rows.with_columns(multiplier_units=pl.lit(0, pl.Int64))
    bound, is_open = bound_of(proof.options, free, proof.entries)
    assert (bound + proof.constant_units, is_open) >= (best * 1e9 - 1, 0)


def test_under_the_maximin_the_bound_is_that_of_the_total():
    case = replace(three_schools(budget=200), objective=Maximin())
    plan = solve(case, gap_pct=0)
    proof = prove(with_given_floor(case, plan.certificate.floor_sd), plan.lines)
    assert "benefit_floor" not in proof.rows["rule_id"]
    assert proof.bound_units >= plan.certificate.objective * 1e9 - 1
