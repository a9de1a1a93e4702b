"""Contradictions in the tables stop before any solving, with the rows named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from models.allocation import NoPlanInTime, solve
from models.allocation.rules.choice import (
    EverySchoolServed,
    Exclusive,
    MustKeep,
    ParticipantCapacity,
    SchoolCapacity,
)
from models.allocation.rules.money import ChannelBudget
from models.allocation.rules.shares import EXCELLENCE, MoneyShare
from models.allocation.solve.certificate import certify
from models.allocation.solve.search_result import SearchResult

from .cases import OWN, option, problem

A, B = "100001", "100002"
CASE = problem(
    [option(A, "milat", 1, 5, 100), option(B, "milat", 1, 5, 100)], budget=150, baskets={A: 10}
)


def changed(table, **columns):
    return replace(CASE, **{table: getattr(CASE, table).with_columns(**columns)})


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (changed("schools", need=pl.Series([0.5, 1.01])), "need outside 0..1"),
        (changed("schools", need=pl.Series([0.5, float("nan")])), "need outside 0..1"),
        (changed("schools", need=pl.Series([0.5, None])), "empty values"),
        (changed("schools", semel_mosad=pl.lit(A)), "rows twice"),
        (changed("schools", pupils=pl.lit(-1)), "negative pupils"),
        (changed("schools", pupils=pl.lit(1.5)), "whole numbers"),
        (
            replace(CASE, schools=CASE.schools.drop("need")),
            "need are missing|need is missing|missing",
        ),
        (replace(CASE, schools=CASE.schools.head(1)), "unknown school.*\n.*100002"),
        (changed("options", benefit_sd_pupils=pl.lit(-1.0)), "negative or not a number"),
        (changed("options", benefit_sd_pupils=pl.lit(float("inf"))), "negative or not a number"),
        (changed("options", is_eligible=pl.lit(None, pl.Boolean)), "empty values"),
        (replace(CASE, options=CASE.options.vstack(CASE.options)), "rows twice"),
        (
            replace(CASE, options=CASE.options.clear(), costs=CASE.costs.clear()),
            "nothing to choose",
        ),
        (changed("costs", amount_agorot=pl.lit(-1)), "negative amount_agorot"),
        (changed("costs", amount_agorot=pl.lit(1.0)), "whole numbers"),
        (changed("costs", response_id=pl.lit("posh")), "rows twice|no such option"),
        (replace(CASE, costs=CASE.costs.filter(pl.col("semel_mosad") == A)), "no cost"),
        (replace(CASE, channels=CASE.channels.head(1)), "unknown channel"),
        (changed("channels", budget_agorot=pl.lit(-1)), "negative budget_agorot"),
        (changed("school_channels", semel_mosad=pl.lit("999999")), "unknown school"),
        (changed("school_channels", funding_channel=pl.lit("x")), "unknown channel"),
        (replace(CASE, equity_gamma=-1.0), "equity_gamma"),
        (replace(CASE, equity_gamma=float("nan")), "equity_gamma"),
        (replace(CASE, rules=(EverySchoolServed(), EverySchoolServed())), "given twice"),
        (replace(CASE, rules=(ChannelBudget(OWN, 1),)), "given twice"),
        (replace(CASE, rules=(MustKeep(((A, "milat", 1.0),)),)), "no option of milat"),
        (replace(CASE, rules=(SchoolCapacity("posh", 2),)), "unknown response: posh"),
        (replace(CASE, rules=(ParticipantCapacity("posh", 2),)), "unknown response: posh"),
        (replace(CASE, rules=(Exclusive("x", ("posh", "milat")),)), "unknown response: posh"),
        (replace(CASE, rules=(MoneyShare("at_least", 8, EXCELLENCE, "x"),)), "unknown channel: x"),
        (replace(CASE, rules=(MoneyShare("at_least", 101, EXCELLENCE, OWN),)), "not a percentage"),
    ],
)
def test_refused(case, message):
    with pytest.raises(ValueError, match=message):
        solve(case)


def test_parameters_of_the_search_are_checked():
    with pytest.raises(ValueError, match="gap_pct"):
        solve(CASE, gap_pct=-1)
    with pytest.raises(ValueError, match="time_limit_s"):
        solve(CASE, time_limit_s=0)


def test_canonical_order_and_types():
    tidy = replace(CASE, options=CASE.options.reverse()).canonical()
    assert tidy.options["semel_mosad"].to_list() == [A, B]
    assert tidy.costs.schema["amount_agorot"] == pl.Int64


def test_of_two_equal_schools_the_lower_code_is_funded():
    assert solve(CASE).lines["semel_mosad"].to_list() == [A]


def test_a_worth_near_nothing_has_no_price():
    """An authority whose least served schools gain next to nothing: no infinite agorot."""
    posed = problem([option("100001", "milat", 1, 1e-303, 500_000_000_000)]).canonical()
    plan = solve(posed, gap_pct=0)
    found = SearchResult(np.ones(1), 1.0, "gap left", "milp")
    told = certify(posed, plan.lines, posed.objective, found, None)
    assert (told.optimality_gap_agorot, told.optimality_gap_pct) == (0, 100)


def test_the_certificate_speaks_for_the_plan():
    certificate = solve(CASE, gap_pct=0).certificate
    assert certificate.objective == pytest.approx(0.6 * 5)
    assert certificate.status == "optimal"
    assert certificate.solver.startswith("HiGHS 1.")
    assert (certificate.optimality_gap_pct, certificate.optimality_gap_agorot) == (0, 0)


def test_a_search_that_finds_nothing_in_time_says_so():
    many = [
        option(f"{100000 + s}", f"r{r}", 1, 1 + (s * r) % 7, 1_000 + (s * 37 + r * 11) % 97)
        for s in range(60)
        for r in range(12)
    ]
    with pytest.raises(NoPlanInTime, match="Allow more time"):
        solve(problem(many, budget=100_000), gap_pct=0, time_limit_s=1e-6)
