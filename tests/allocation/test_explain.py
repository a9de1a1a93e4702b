"""Why and why not, by hand and against enumeration; what turns a decision, verified by `solve`
(R94).
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.allocation import solve
from models.allocation.account.explain import explain
from models.allocation.account.turning_points import TurningPointSettings, turning_points
from models.allocation.problem.words import told_apart
from models.allocation.rules.choice import (
    EverySchoolServed,
    Exclusive,
    MustDrop,
    MustKeep,
    SchoolCapacity,
)
from models.keys import PAIR
from tests.examples import examples

from .cases import (
    MONTHS,
    best_plan,
    gain,
    is_allowed,
    option,
    plans,
    problem,
    problems,
)

EXACT = TurningPointSettings(effort=replace(TurningPointSettings().effort, gap_pct=0.0))
"""Need .9 and an offset of .1 weigh 1, so that weighted benefit is benefit."""
ONE = {"need": 0.9}


def case(options, *, needs=None, **other):
    schools = {o["semel_mosad"]: (100, (needs or {}).get(o["semel_mosad"], 0.9)) for o in options}
    return problem(options, schools=schools, **other)


def pair_of(frame, school, response="milat"):
    return frame.filter(semel_mosad=school, response_id=response).row(0, named=True)


def explained(built):
    return explain(built, solve(built, gap_pct=0).lines, months_per_sd=MONTHS)


def five_schools(**other):
    """Benefit 10, 6, 3, 1, 0 for 100 each, and 250 to spend: the price is .03 for each agora."""
    goods = [10, 6, 3, 1, 0]
    return case(
        [option(f"{i}", "milat", 1, good, 100) for i, good in enumerate(goods, 1)],
        budget=250,
        **other,
    )


def test_the_price_line_by_hand():
    found = explained(five_schools())
    assert found.pairs["reason_code"].to_list() == [
        "worth_its_price",
        "worth_its_price",
        "budget",
        "below_line",
        "no_benefit",
    ]
    assert found.pairs["money_price"].to_list() == pytest.approx([3] * 5)
    assert found.pairs["above_line"].to_list() == pytest.approx([7, 3, 0, -2, -3])
    assert found.prices.rows() == [
        ("budget:municipal_own", None, pytest.approx(0.03), pytest.approx(3_000))
    ]
    # The third would have to take the place of the second and lose 3; the first could give it to
    # it.
    third, first = pair_of(found.pairs, "3"), pair_of(found.pairs, "1")
    assert (third["other_semel_mosad"], third["swap_loss"]) == ("2", 3)
    assert (first["other_semel_mosad"], first["swap_loss"]) == ("3", 7)
    assert "30 months of progress are expected of it; for its cost, 1 NIS, 30" in third["reason_en"]
    assert "municipality's own budget" in third["reason_en"]
    assert "צפויים ממנו 30 חודשי התקדמות" in third["reason_he"]
    assert "תקציב הרשות" in third["reason_he"]


def test_rules_have_their_own_reasons():
    options = [
        option("1", "milat", 1, 5, 100),
        option("1", "rvadim", 1, 4, 100),
        option("2", "milat", 1, 0.5, 100),
        option("2", "rvadim", 1, 2, 100, is_eligible=False),
        option("3", "milat", 1, 9, 100),
        option("4", "rvadim", 1, 0, 100),
    ]
    built = case(
        options,
        budget=1_000,
        rules=(
            Exclusive("day", ("milat", "rvadim")),
            SchoolCapacity("milat", 1),
            MustDrop((("3", "milat"),)),
            MustKeep((("4", "rvadim", 0.5),)),
        ),
    )
    found = explained(built)
    told = {
        (r["semel_mosad"], r["response_id"]): (r["reason_code"], r["reason_rules"])
        for r in found.pairs.iter_rows(named=True)
    }
    assert told == {
        ("1", "milat"): ("worth_its_price", ""),
        ("1", "rvadim"): ("rule", "exclusive:day"),
        ("2", "milat"): ("rule", "school_capacity:milat"),
        ("2", "rvadim"): ("not_eligible", ""),
        ("3", "milat"): ("must_drop", "must_drop"),
        ("4", "rvadim"): ("must_keep", "must_keep"),
    }
    # Money is free here, so what holds the second milat back is the capacity's price alone.
    parts = found.parts.filter(semel_mosad="2", response_id="milat")
    assert parts["part"].to_list() == ["weighted_benefit", "school_capacity:milat"]


def test_a_line_that_only_a_rule_asks_for():
    built = case(
        [
            option("1", "milat", 1, 10, 100),
            option("2", "milat", 1, 1, 100),
            option("1", "rvadim", 1, 5, 100),
        ],
        budget=200,
        rules=(EverySchoolServed(),),
    )
    row = pair_of(explained(built).pairs, "2")
    assert (row["reason_code"], row["reason_rules"]) == ("rule", "every_school_served")
    assert "at least one response" in row["reason_en"]


def test_what_is_left_can_hold_what_is_below_the_line():
    """10 for 100 and 9 for 100 with 150: the price is .09; what is left buys 1 for 50 whole."""
    built = case(
        [
            option("1", "milat", 1, 10, 100),
            option("2", "milat", 1, 9, 100),
            option("3", "milat", 1, 1, 50),
        ],
        budget=150,
    )
    found = explained(built)
    assert pair_of(found.pairs, "3")["reason_code"] == "fills_what_is_left"
    assert pair_of(found.pairs, "2")["reason_code"] == "budget"


@pytest.mark.parametrize(
    ("second", "budget", "code"),
    [
        ((10, 100), 1_000, "dose_no_benefit"),
        ((14, 200), 300, "dose_below_line"),
        ((22, 260), 250, "dose_budget"),
        ((18, 200), 1_000, "highest"),
    ],
)
def test_why_not_a_larger_dose(second, budget, code):
    """The first dose is 10 for 100; four other schools stand by at 7 for 100."""
    good, cost = second
    others = [option(f"{i}", "milat", 1, 7, 100) for i in range(2, 6)]
    built = case(
        [option("1", "milat", 1, 10, 100), option("1", "milat", 2, good, cost), *others],
        budget=budget,
    )
    assert pair_of(explained(built).pairs, "1")["dose_code"] == code


def test_an_incomplete_plan_is_seen():
    """A plan that leaves a useful response out although it fits is told so."""
    built = five_schools()
    lines = pl.DataFrame({"semel_mosad": ["1"], "response_id": ["milat"], "dose_level": [1]})
    assert (
        pair_of(explain(built, lines, months_per_sd=MONTHS).pairs, "2")["reason_code"]
        == "overlooked"
    )


@settings(max_examples=examples(60), deadline=None, derandomize=True)
@given(problems(), st.randoms(use_true_random=False))
def test_every_pair_has_a_reason_parts_add_up_and_swaps_are_the_best(built, random):
    best = best_plan(built)
    if best is None:
        return
    plan = solve(built, gap_pct=0)
    found = explain(built, plan.lines, months_per_sd=MONTHS)
    assert found.pairs.select(PAIR).equals(built.options.select(PAIR).unique().sort(PAIR))
    assert not found.pairs["reason_code"].is_null().any()
    assert "overlooked" not in found.pairs["reason_code"]
    assert (found.pairs["reason_en"].str.len_chars() > 10).all()
    assert (found.pairs["reason_he"].str.contains("[א-ת]")).all()
    for school, response, surplus in found.surplus.iter_rows():
        total = 0.0
        for worth in found.parts.filter(semel_mosad=school, response_id=response)["worth"]:
            total += worth
        assert total == surplus
    every = [row for whole in _all_options(built) for row in whole]
    keys = {(r["semel_mosad"], r["response_id"], r["dose_level"]): r for r in every}
    now = [keys[key] for key in plan.lines.select(*PAIR, "dose_level").iter_rows()]
    for row in found.pairs.iter_rows(named=True):
        pair = (row["semel_mosad"], row["response_id"])
        rest = [r for r in now if (r["semel_mosad"], r["response_id"]) != pair]
        added = gain(built, [*rest, keys[(*pair, row["dose_level"])]]) - gain(built, rest)
        assert row["weighted_benefit"] == pytest.approx(added)
        mine = keys[row["semel_mosad"], row["response_id"], row["dose_level"]]
        losses = list(_swap_losses(built, now, every, mine))
        if row["swap_loss"] is None:
            fits = row["plan_dose_level"] is None and is_allowed(built, [*now, mine])
            assert not losses or fits
        else:
            assert row["swap_loss"] == pytest.approx(min(losses))
    shuffled = replace(
        built,
        options=built.options[random.sample(range(built.options.height), built.options.height)],
    )
    assert explain(shuffled, plan.lines.reverse(), months_per_sd=MONTHS).pairs.equals(found.pairs)


def _all_options(built):
    """The options as the oracle has them: each pair's, one plan of one line each."""
    seen = {}
    for plan in plans(built):
        for row in plan:
            seen[row["position"]] = row
    return [[seen[position] for position in sorted(seen)]]


def _swap_losses(built, now, every, mine):
    """What every allowed exchange of one line would lose."""
    whole = gain(built, now)
    if mine in now:
        rest = [row for row in now if row is not mine]
        has_line = {(r["semel_mosad"], r["response_id"]) for r in now}
        for other in every:
            if (other["semel_mosad"], other["response_id"]) not in has_line and is_allowed(
                built, [*rest, other]
            ):
                yield whole - gain(built, [*rest, other])
    elif mine["is_eligible"]:
        for other in now:
            if is_allowed(built, [*(row for row in now if row is not other), mine]):
                yield whole - gain(built, [*(row for row in now if row is not other), mine])


def test_only_what_is_asked_is_explained():
    built = five_schools()
    lines = solve(built).lines
    asked = pl.DataFrame({"semel_mosad": ["4", "2"], "response_id": ["milat"] * 2})
    whole, part = (
        explain(built, lines, months_per_sd=MONTHS),
        explain(built, lines, asked, months_per_sd=MONTHS),
    )
    assert part.pairs.equals(whole.pairs.filter(pl.col("semel_mosad").is_in(["2", "4"])))
    with pytest.raises(ValueError, match=r"asked: 2 row.* no such"):
        explain(
            built, lines, asked.with_columns(response_id=pl.lit("amirim")), months_per_sd=MONTHS
        )
    with pytest.raises(ValueError, match=r"lines: .* no such option"):
        explain(built, lines.with_columns(dose_level=pl.lit(3)), months_per_sd=MONTHS)


# ---- what turns a decision ----------------------------------------------------------------------


def asked(*schools, response="milat"):
    return pl.DataFrame({"semel_mosad": list(schools), "response_id": [response] * len(schools)})


def test_the_budget_that_brings_the_third_school_in_is_300():
    built = five_schools()
    lines = solve(built).lines
    found = turning_points(built, lines, asked("3", "2"), EXACT).filter(lever="budget")
    enters, leaves = found.iter_rows(named=True)
    assert (enters["status"], enters["value_now"], enters["rule_id"]) == (
        "found",
        250,
        "budget:municipal_own",
    )
    assert enters["value_not_turned"] < 300 <= enters["value_turned"]
    assert enters["value_turned"] - enters["value_not_turned"] <= 5
    assert leaves["value_turned"] < 200 <= leaves["value_not_turned"]
    for row in (enters, leaves):
        for value, is_turned in ((row["value_turned"], True), (row["value_not_turned"], False)):
            again = solve(five_schools_with(int(value)), gap_pct=0).lines["semel_mosad"].to_list()
            assert (row["semel_mosad"] in again) == (row["is_in_plan"] != is_turned)


def five_schools_with(budget):
    built = five_schools()
    return replace(
        built,
        channels=built.channels.with_columns(
            budget_agorot=pl.when(pl.col("funding_channel") == "municipal_own")
            .then(budget)
            .cast(pl.Int64)
        ),
    )


def test_the_need_that_turns_a_decision():
    """6·(.1 + .4) = 3 against 5·(.1 + n): school 2 comes in, and 1 goes out, at n = .5."""
    built = case(
        [option("1", "milat", 1, 6, 100), option("2", "milat", 1, 5, 100)],
        needs={"1": 0.4, "2": 0.2},
        budget=100,
    )
    lines = solve(built, gap_pct=0).lines
    found = turning_points(built, lines, asked("2", "1"), EXACT).filter(lever="need")
    enters, leaves = found.iter_rows(named=True)
    assert enters["value_not_turned"] <= 0.5 <= enters["value_turned"]
    assert enters["value_turned"] - enters["value_not_turned"] <= 0.02
    # 6·(.1 + n) falls below 5·(.1 + .2) = 1.5 at n = .15.
    assert leaves["value_turned"] <= 0.15 <= leaves["value_not_turned"]


def test_the_rule_that_keeps_a_response_out():
    built = case(
        [option("1", "milat", 1, 5, 100), option("2", "milat", 1, 3, 100)],
        budget=1_000,
        rules=(SchoolCapacity("milat", 1), Exclusive("day", ("milat", "rvadim"))),
    )
    built = replace(
        built,
        options=pl.concat(
            [
                built.options,
                built.options.with_columns(
                    response_id=pl.lit("rvadim"), benefit_sd_pupils=pl.lit(0.0)
                ),
            ]
        ),
        costs=pl.concat([built.costs, built.costs.with_columns(response_id=pl.lit("rvadim"))]),
    )
    found = turning_points(built, solve(built, gap_pct=0).lines, asked("2"), EXACT)
    told = {(r["lever"], r["rule_id"]): r["status"] for r in found.iter_rows(named=True)}
    assert told == {
        ("need", None): "not_found",
        ("budget", "budget:municipal_own"): "not_found",
        ("rule", "school_capacity:milat"): "found",
    }


def test_solves_are_counted_and_what_was_not_searched_says_so():
    built = five_schools()
    lines = solve(built).lines
    few = replace(EXACT, max_solves=4)
    found = turning_points(built, lines, asked("3", "4", "5"), few)
    assert 1 + found["solves"].sum() == 4
    assert found["status"].to_list()[-1] == "not_searched"
    wide = found.filter(lever="budget", status="found").row(0, named=True)
    assert wide["value_not_turned"] < 300 <= wide["value_turned"]


def test_a_tie_is_no_decision():
    built = case([option("1", "milat", 1, 5, 100), option("2", "milat", 1, 5, 100)], budget=100)
    other = solve(built, gap_pct=0).lines.with_columns(
        semel_mosad=pl.when(pl.col("semel_mosad") == "1").then(pl.lit("2")).otherwise(pl.lit("1"))
    )
    assert set(turning_points(built, other, asked("1"), EXACT)["status"]) == {"within_gap"}


def test_unknown_pairs_are_refused():
    built = five_schools()
    with pytest.raises(ValueError, match="no option of milat in school 9"):
        turning_points(built, solve(built).lines, asked("9"), EXACT)


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        (0.11, 0.3, ("0.11", "0.30")),
        (0.1141, 0.1138, ("0.1141", "0.1138")),
        (0.1100004, 0.1100001, ("0.11", "0.11")),
    ],
)
def test_two_numbers_that_differ_are_not_written_alike(one, other, told):
    assert told_apart(one, other) == told
