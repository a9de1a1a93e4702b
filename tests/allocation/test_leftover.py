"""Money that is left is explained per channel."""

from __future__ import annotations

from models.allocation import solve
from models.allocation.rules.choice import SchoolCapacity

from .cases import option, problem

A, B = "100001", "100002"


def reasons(case):
    frame = solve(case, gap_pct=0).channels
    english = dict(frame.select("funding_channel", "left_reason_en").iter_rows())
    hebrew = dict(frame.select("funding_channel", "left_reason_he").iter_rows())
    return english, hebrew


def test_every_useful_option_is_funded():
    english, hebrew = reasons(problem([option(A, "milat", 1, 5, 100)], budget=1_000))
    assert english["municipal_own"].startswith("Every useful option")
    assert hebrew["municipal_own"].startswith("כל אפשרות מועילה")
    assert english["gefen_school"] is None, "a channel without a cap has nothing left"


def test_nothing_left_needs_no_reason():
    english, _ = reasons(problem([option(A, "milat", 1, 5, 100)], budget=100))
    assert english["municipal_own"] is None


def test_no_further_option_fits():
    options = [option(A, "milat", 1, 5, 600), option(B, "milat", 1, 5, 50_000)]
    english, hebrew = reasons(problem(options, budget=1_000))
    assert (
        english["municipal_own"]
        == "No further eligible option fits: the cheapest step needs 500 NIS and 4 NIS are left."
    )
    assert "500 ₪" in hebrew["municipal_own"]


def test_another_channel_is_exhausted():
    options = [option(A, "milat", 1, 5, 600, 100), option(B, "milat", 1, 4, 600, 100)]
    english, hebrew = reasons(problem(options, budget=2_000, gefen=150))
    assert "another channel is exhausted: the schools' Gefen (1)" in english["municipal_own"]
    assert "ערוץ אחר מוצה" in hebrew["municipal_own"]
    assert english["gefen_school"].startswith("No further eligible option fits")


def test_the_schools_own_basket_is_exhausted():
    options = [option(A, "milat", 1, 5, 600, 100), option(A, "milat", 2, 9, 900, 200)]
    english, _ = reasons(problem(options, budget=2_000, baskets={A: 150}))
    assert "the school's own basket is exhausted" in english["municipal_own"]


def test_a_rule_stops_it():
    options = [option(A, "milat", 1, 5, 600), option(B, "milat", 1, 4, 600)]
    english, _ = reasons(problem(options, budget=2_000, rules=[SchoolCapacity("milat", 1)]))
    assert (
        "rule: The response milat can stand in at most 1 school(s) (1)" in english["municipal_own"]
    )
