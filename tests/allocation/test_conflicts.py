"""Contradicting rules are named, in both languages, with the least money that would help."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings

from models.allocation import InfeasibleRules, solve
from models.allocation.rules.choice import (
    EverySchoolServed,
    Exclusive,
    MustDrop,
    MustKeep,
    SchoolCapacity,
)
from models.allocation.rules.money import SchoolCap, SchoolFloor
from models.allocation.rules.shares import EXCELLENCE, MoneyShare
from models.allocation.solve.conflict import irreducible
from models.allocation.solve.relaxation import RELAX_ORDER
from tests.examples import examples

from .cases import CASES, OWN, is_allowed, option, plans, problem, problems
from .test_rules import ONE_OF_EACH

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
    assert error.schools == (A, B), "each school where the two rules meet"
    assert error.further == (), "the same rules are one conflict"


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
            [EverySchoolServed(), MoneyShare("at_least", 50, EXCELLENCE, OWN)],
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


KEPT_AND_DROPPED = problem(
    [option(A, "milat", 1, 5, 100), option(A, "posh", 1, 5, 100)],
    rules=[MustKeep(((A, "milat", 0.5),)), MustDrop(((A, "milat"),))],
    response_names={"milat": ("מיל״ת", "MILAT")},
)


def test_kept_and_dropped_can_give_way_either_way_in_words():
    error = conflict(KEPT_AND_DROPPED)
    assert [(way.rule_id, way.amount, way.unit) for way in error.relaxations] == [
        ("must_drop", 1, "pairs"),
        ("must_keep", 1, "pairs"),
    ]
    assert "Where they meet: MILAT at בית ספר 100001 (100001)." in error.en
    assert "מקום הסתירה: מיל״ת בבית ספר 100001 (100001)." in error.he
    for way in error.relaxations:
        assert way.resolves_all
        assert way.en in error.en
        assert way.he in error.he
        kept = tuple(rule for rule in KEPT_AND_DROPPED.rules if rule.rule_id != way.rule_id)
        plan = solve(replace(KEPT_AND_DROPPED, rules=kept), gap_pct=0)
        assert way.cost_agorot == plan.lines["cost_agorot"].sum()


def test_the_policy_says_what_gives_way_first():
    turned = replace(KEPT_AND_DROPPED, relax_order=("must_keep",))
    assert [way.rule_id for way in conflict(turned).relaxations] == ["must_keep", "must_drop"]


def test_a_share_gives_way_in_nis_and_percent():
    options = [
        option(A, "milat", 1, 5, 300_00),
        option(B, "amirim", 1, 5, 100_00, is_excellence=True),
    ]
    rules = [MustKeep(((A, "milat", 0.5),)), MoneyShare("at_least", 40, EXCELLENCE, OWN)]
    share, kept = conflict(problem(options, rules=rules)).relaxations
    # 40 % of 400 NIS are 160 NIS, and 100 are the most there is.
    assert (share.rule_id, share.amount, share.unit) == (
        "excellence_share_min:municipal_own",
        60_00,
        "agorot",
    )
    assert (share.value, share.limit) == (pytest.approx(25), 40)
    assert "60 NIS, 25 % instead of 40 %" in share.en
    assert kept.amount == 1


def test_what_is_not_the_city_s_to_relax_is_no_way_out():
    case = problem([option(A, "milat", 1, 5, 100, is_eligible=False)], rules=[EverySchoolServed()])
    error = conflict(case)
    assert error.rules == ("eligibility", "every_school_served")
    assert [way.rule_id for way in error.relaxations] == ["every_school_served"]


def test_every_rule_that_may_give_way_has_a_place_in_the_order():
    kinds = {rule.rule_id.split(":")[0] for rule in ONE_OF_EACH if rule.relaxed_in}
    assert kinds == set(RELAX_ORDER)


@settings(CASES, max_examples=examples(60))
@given(problems(max_rules=4))
def test_the_least_that_a_budget_must_give_way_equals_enumeration(case):
    try:
        solve(case, gap_pct=0)
        return
    except InfeasibleRules as error:
        ways = {way.rule_id: way for way in error.relaxations}
    budgets = dict(case.channels.iter_rows())
    for channel, cap in budgets.items():
        if (way := ways.get(f"budget:{channel}")) is None or not way.resolves_all:
            continue
        free = replace(
            case,
            channels=case.channels.with_columns(
                budget_agorot=pl.when(pl.col("funding_channel") != channel).then("budget_agorot")
            ),
        )
        of_city = case.services.filter(funding_channel=channel)["amount_agorot"].sum()
        paid = (
            of_city + sum(row["money"].get(channel, 0) for row in plan)
            for plan in plans(free)
            if is_allowed(free, plan)
        )
        assert way.amount == min(paid) - cap
