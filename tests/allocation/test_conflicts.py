"""Contradicting rules are named, in both languages, with the least money that would help."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from models.allocation import (
    EverySchoolServed,
    ExcellenceShareMin,
    Exclusive,
    InfeasibleRules,
    MustDrop,
    MustKeep,
    SchoolCap,
    SchoolCapacity,
    SchoolFloor,
    solve,
)
from models.allocation.conflict import irreducible

from .cases import OWN, option, problem

A, B = "100001", "100002"


def conflict(case):
    with pytest.raises(InfeasibleRules) as caught:
        solve(case, gap_pct=0)
    return caught.value


def test_budget_below_the_must_keeps_says_how_much_is_missing():
    case = problem(
        [option(A, "milat", 1, 5, 40_000_050), option(B, "milat", 1, 5, 30_000_000)],
        budget=50_000_000,
        rules=[MustKeep(((A, "milat", 0.5), (B, "milat", 0.5))), SchoolCap(10_000_000)],
    )
    error = conflict(case)
    assert error.rules == ("budget:municipal_own", "must_keep")
    assert error.shortfall_agorot == {"budget:municipal_own": 20_000_050}
    assert error.schools == (A, B)
    assert "200,000.50 NIS" in str(error)
    assert "may still be in conflict" not in str(error)
    assert "תקציב הרשות" in str(error)

    def with_budget(agorot):
        return replace(
            case,
            channels=case.channels.with_columns(
                budget_agorot=pl.when(pl.col("funding_channel") == OWN).then(agorot)
            ),
        )

    assert solve(with_budget(70_000_050)).lines.height == 2
    conflict(with_budget(70_000_049))


def test_the_least_extra_money_buys_the_cheapest_way_out():
    """The floor is met by the cheaper response, not by the better one."""
    case = problem(
        [option(A, "milat", 1, 9, 900), option(A, "posh", 1, 1, 300)],
        budget=100,
        rules=[EverySchoolServed()],
    )
    assert conflict(case).shortfall_agorot == {"budget:municipal_own": 200}


def test_shortfall_of_baskets_adds_up_over_schools():
    case = problem(
        [option(A, "milat", 1, 9, 0, 500), option(B, "milat", 1, 9, 0, 700)],
        baskets={A: 100, B: 200},
        rules=[EverySchoolServed()],
    )
    error = conflict(case)
    assert error.rules == ("every_school_served", "school_channel_cap:gefen_school")
    assert error.shortfall_agorot == {"school_channel_cap:gefen_school": 900}
    assert len(error.schools) == 1, "one school is enough for the conflict"


def test_where_more_than_money_is_missing_elsewhere_the_conflict_still_gets_its_figure():
    case = problem(
        [option(A, "milat", 1, 5, 400), option(B, "posh", 1, 5, 100, is_eligible=False)],
        budget=300,
        rules=[MustKeep(((A, "milat", 0.5), (B, "posh", 0.5)))],
    )
    error = conflict(case)
    assert error.rules == ("budget:municipal_own", "must_keep")
    assert error.shortfall_agorot == {"budget:municipal_own": 200}
    assert "others may still be in conflict" in str(error)
    assert "ייתכן שכללים אחרים עדיין סותרים" in str(error)


def test_floor_against_eligibility_names_the_school():
    case = problem(
        [option(A, "milat", 1, 5, 100), option(B, "milat", 1, 5, 100, is_eligible=False)],
        rules=[EverySchoolServed()],
    )
    error = conflict(case)
    assert error.rules == ("eligibility", "every_school_served")
    assert error.schools == (B,)
    assert error.shortfall_agorot == {}


def test_must_keep_on_an_ineligible_pair():
    case = problem(
        [option(A, "milat", 1, 5, 100, is_eligible=False), option(A, "posh", 1, 5, 100)],
        budget=1_000,
        rules=[MustKeep(((A, "milat", 0.5),))],
    )
    assert conflict(case).rules == ("eligibility", "must_keep")


def test_capacity_against_must_keep():
    case = problem(
        [option(A, "milat", 1, 5, 100), option(B, "milat", 1, 5, 100)],
        budget=1_000,
        rules=[SchoolCapacity("milat", 1), MustKeep(((A, "milat", 0.5), (B, "milat", 0.5)))],
    )
    assert conflict(case).rules == ("must_keep", "school_capacity:milat")


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        ([MustKeep(((A, "milat", 0.5),)), MustDrop(((A, "milat"),))], ("must_drop", "must_keep")),
        (
            [MustKeep(((A, "milat", 0.5), (A, "posh", 0.5))), Exclusive("x", ("milat", "posh"))],
            ("exclusive:x", "must_keep"),
        ),
        ([SchoolFloor(2), SchoolCap(1)], ("school_cap", "school_floor")),
        ([SchoolFloor(9_999)], ("school_floor",)),
        (
            [EverySchoolServed(), ExcellenceShareMin(50)],
            ("every_school_served", "excellence_share_min:municipal_own"),
        ),
    ],
)
def test_other_conflicts_are_irreducible(rules, named):
    case = problem([option(A, "milat", 1, 5, 100), option(A, "posh", 1, 5, 100)], rules=rules)
    assert conflict(case).rules == named
    assert conflict(case).schools in {(A,), ()}


def test_every_rule_of_the_conflict_is_needed():
    sizes = []

    def clashes(items):
        sizes.append(len(items))
        return {3, 7, 11} <= set(items)

    assert sorted(irreducible(range(100), clashes)) == [3, 7, 11]
    assert len(sizes) < 40, "a logarithmic number of tests, not one per item"
