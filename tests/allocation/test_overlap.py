"""Overlapping responses: the largest benefit of a school's group in full, the others in part
(R92).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.allocation import InfeasibleRules, Overlap, Total, solve
from models.allocation.account.explain import explain
from models.allocation.account.frontier import gamma_frontier
from models.allocation.solve.certificate import certify
from models.allocation.solve.model import model_of
from models.allocation.solve.search_result import SearchResult
from tests.examples import examples

from .cases import (
    MONTHS,
    OWN,
    best_plan,
    gain,
    option,
    overlapping_problems,
    plans,
    problem,
)
from .test_allocation_properties import adds_up, data, solved
from .test_decomposition import OBJECTIVES, check

CASES = settings(max_examples=examples(30), deadline=None, derandomize=True)
KEY = ["semel_mosad", "response_id", "dose_level"]


def group(share, responses=("amirim", "milat"), name="same_pupils"):
    return Overlap(name, "same pupils", "אותם תלמידים", responses, share)


def two_responses(share, **other):
    """One school, two responses of 4 and 3 SD·pupils at 1,000 NIS each."""
    options = [
        option("100001", "amirim", 1, 4, 100_000),
        option("100001", "milat", 1, 3, 100_000),
    ]
    return problem(options, overlaps=(group(share),), equity_gamma=0.0, **other)


@settings(CASES, max_examples=examples(200, part=8))
@given(overlapping_problems())
def test_optimum_equals_full_enumeration(case):
    best = best_plan(case)
    if best is None:
        with pytest.raises(InfeasibleRules):
            solve(case, gap_pct=0)
        return
    plan = solve(case, gap_pct=0)
    good, cost, *_ = best
    assert plan.certificate.objective == pytest.approx(good, abs=1e-8)
    assert plan.certificate.objective_bound == pytest.approx(good, abs=1e-6)
    assert plan.lines["cost_agorot"].sum() == cost
    picks = set(plan.lines.select(KEY).rows())
    own = next(p for p in plans(case) if {tuple(row[k] for k in KEY) for row in p} == picks)
    assert plan.lines["weighted_benefit"].sum() == pytest.approx(gain(case, own), abs=1e-9)
    adds_up(case, plan)


@CASES
@given(overlapping_problems())
def test_all_of_it_counted_is_no_overlap(case):
    whole = replace(case, overlaps=tuple(replace(o, counted_share=1.0) for o in case.overlaps))
    one, two = solved(whole), solved(replace(case, overlaps=()))
    assert one.lines.equals(two.lines)
    assert one.certificate == two.certificate


@CASES
@given(overlapping_problems(), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_groups_changes_nothing(case, random):
    def shuffled(frame):
        return frame[random.sample(range(frame.height), frame.height)]

    overlaps = (*case.overlaps, group(0.5, ("rvadim", "icei"), name="other"))
    tables = ("schools", "options", "costs", "channels", "school_channels")
    other = replace(
        case,
        **{name: shuffled(getattr(case, name)) for name in tables},
        overlaps=tuple(
            replace(o, responses=tuple(random.sample(o.responses, len(o.responses))))
            for o in random.sample(overlaps, len(overlaps))
        ),
    )
    one, two = solved(replace(case, overlaps=overlaps)), solved(other)
    assert data(one.lines) == data(two.lines)
    assert one.certificate == two.certificate


def test_every_line_says_what_it_counts_and_what_it_would_alone():
    lines = solve(two_responses(0.6)).lines
    assert lines["full_benefit_sd_pupils"].to_list() == [4, 3]
    assert lines["benefit_sd_pupils"].to_list() == pytest.approx([4, 1.8])
    assert lines["weighted_benefit"].to_list() == pytest.approx([4, 1.8])
    assert lines["cost_agorot"].to_list() == [100_000, 100_000]


def test_of_equal_benefits_the_first_response_counts_in_full():
    case = two_responses(0.5)
    equal = replace(case, options=case.options.with_columns(benefit_sd_pupils=pl.lit(4.0)))
    assert solve(equal).lines["benefit_sd_pupils"].to_list() == [4, 2]


def test_counted_once_a_second_response_is_not_bought_for_its_own_sake():
    assert solve(two_responses(0.0)).lines["response_id"].to_list() == ["amirim"]
    kept = solve(two_responses(0.3, budget=100_000))
    assert kept.lines["response_id"].to_list() == ["amirim"]


@settings(CASES, max_examples=examples(40))
@given(overlapping_problems())
def test_counted_once_no_line_adds_nothing_unless_a_rule_needs_it(case):
    once = replace(
        case, rules=(), overlaps=tuple(replace(o, counted_share=0.0) for o in case.overlaps)
    )
    lines = solved(once).lines
    assert (lines["weighted_benefit"] > 0).all()
    inside = lines.filter(pl.col("response_id").is_in(once.overlaps[0].responses))
    assert not inside["semel_mosad"].is_duplicated().any()


def test_a_school_takes_the_response_that_does_not_overlap():
    """The budget pays for two: the larger third one overlaps, the smaller one adds more."""
    options = [
        option("100001", "amirim", 1, 4, 100_000),
        option("100001", "milat", 1, 3, 100_000),
        option("100001", "posh", 1, 2, 100_000),
    ]
    case = problem(options, budget=200_000, overlaps=(group(0.5),))
    assert solve(case).lines["response_id"].to_list() == ["amirim", "posh"]


@pytest.mark.parametrize("counted", [[4.0, 3.0], [2.0, 3.0], [4.0, 1.9]])
def test_the_certificate_finds_a_benefit_that_is_counted_wrongly(counted):
    case = two_responses(0.5).canonical()
    lines = solve(case).lines.with_columns(
        benefit_sd_pupils=pl.Series(counted), weighted_benefit=pl.Series(counted)
    )
    with pytest.raises(RuntimeError, match="not counted as the overlap asks"):
        certify(
            case,
            lines,
            Total(),
            SearchResult(x=None, bound=9.0, status="optimal", method="milp"),
            None,
        )


@pytest.mark.parametrize(
    ("overlaps", "words"),
    [
        ((group(1.5),), "between 0 and 1"),
        ((group(float("nan")),), "between 0 and 1"),
        ((group(0.5), group(0.5, ("posh",))), "is given twice"),
        ((group(0.5), group(0.5, ("milat", "posh"), name="b")), "milat is in the overlap groups"),
        ((group(0.5, ("milat", "milat")),), "milat is in the overlap groups"),
    ],
)
def test_groups_that_contradict_are_refused(overlaps, words):
    with pytest.raises(ValueError, match=words):
        solve(replace(two_responses(0.5), overlaps=overlaps))


@settings(CASES, max_examples=examples(60))
@given(overlapping_problems(), st.sampled_from(OBJECTIVES))
def test_the_national_path_counts_the_same(case, objective):
    answer = check(case, objective, "decomposition", slack=1e-12)
    if answer is not None:
        plan, _ = answer
        assert plan.rules["is_satisfied"].all()


@settings(CASES, max_examples=examples(40))
@given(overlapping_problems(), st.sampled_from(OBJECTIVES[1:]))
def test_atkinson_is_made_of_counted_gains(case, objective):
    answer = check(case, objective, "milp", gap_pct=0.01, slack=1e-6)
    if answer is not None:
        plan, best = answer
        assert plan.certificate.objective >= best * (1 - 2e-4) - 1e-5


def test_a_response_that_adds_nothing_says_so():
    """Counted once, milat of 3 adds nothing to amirim of 4; without amirim the plan would lose
    1.
    """
    case = two_responses(0.0)
    found = explain(case, solve(case).lines, months_per_sd=MONTHS).pairs.rows_by_key(
        "response_id", named=True, unique=True
    )
    assert found["milat"]["reason_code"] == "overlap"
    assert (found["milat"]["benefit_sd_pupils"], found["milat"]["weighted_benefit"]) == (0, 0)
    assert found["amirim"]["weighted_benefit"] == 4
    assert "בית הספר הוא אינו מוסיף" in found["milat"]["reason_he"]


def test_what_takes_a_part_of_a_benefit_is_named():
    """Of 4 and 3 at half: milat adds 1.5 where it would bring 3 alone, as amirim leads."""
    case = replace(
        two_responses(0.5), response_names={"amirim": ("אמירים", "A"), "milat": ("מיל״ת", "M")}
    )
    found = explain(case, solve(case).lines, months_per_sd=MONTHS).pairs.rows_by_key(
        "response_id", named=True, unique=True
    )
    milat = found["milat"]
    assert milat["overlap_response_id"] == "amirim"
    assert (milat["benefit_sd_pupils"], milat["full_benefit_sd_pupils"]) == (1.5, 3)
    assert "לבדו היו צפויים 30 חודשי התקדמות, אך אמירים כבר ניתן כאן" in milat["reason_he"]
    assert "30 months of progress by itself, but A is here" in milat["reason_en"]
    one = case.options.filter(response_id="milat")
    alone = replace(case, options=one, costs=case.costs.join(one, on=one.columns[:3], how="semi"))
    row = explain(alone, solve(alone).lines, months_per_sd=MONTHS).pairs.row(0, named=True)
    assert row["overlap_response_id"] is None


def test_a_line_is_held_against_what_it_adds_to_the_rest():
    """Of 4 and 3 at half the plan gains 5.5: without the first 3, without the second 4."""
    case = two_responses(0.5)
    lines = solve(case).lines
    pairs = explain(case, lines, months_per_sd=MONTHS).pairs
    assert pairs["weighted_benefit"].to_list() == [2.5, 1.5]
    assert lines["weighted_benefit"].to_list() == [4, 1.5]


def test_money_that_buys_only_what_overlaps_has_no_useful_step_left():
    channels = solve(two_responses(0.0, budget=300_000)).channels
    left = channels.row(by_predicate=pl.col("funding_channel") == OWN, named=True)
    assert left["left_agorot"] == 200_000
    assert left["left_reason_en"] == "Every useful option that this channel can pay for is funded."


def test_the_frontier_counts_each_goal_once():
    case = replace(two_responses(0.5), rules=())
    assert gamma_frontier(case, [], seed=1)["benefit_sd_pupils"].to_list() == [5.5]


def test_benefits_too_small_to_count_do_not_turn_the_search_in_circles():
    """Doses that differ by less than a sum of large benefits can carry, dearer as they rise."""
    tiny = [
        option("100001", "posh", level, benefit, 100_000 * level)
        for level, benefit in enumerate([1.665e-11, 2.276e-11, 2.775e-11], start=1)
    ]
    small = [
        option("100001", "rvadim", level, benefit, 100_000 * level)
        for level, benefit in enumerate([1e-17, 2e-17, 3e-17], start=1)
    ]
    case = problem(
        [*tiny, *small, option("100001", "amirim", 1, 4, 1), option("100001", "milat", 1, 3, 1)],
        overlaps=(group(0.6, ("amirim", "milat", "rvadim")),),
    )
    model = model_of(case.canonical())
    x = np.zeros(model.matrix.shape[1])
    polished = model.polish(x)
    assert not model.moves(polished).gain.max() > 0
    assert solve(case, gap_pct=0).certificate.objective == pytest.approx(0.6 * 5.8)
