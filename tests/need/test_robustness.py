"""What the index owes to choices: exact profiles, honest acceptability, no reward for getting
worse.
"""

import time

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.need import indicator_quality, need_index, need_robustness, need_shares
from tests.examples import examples

NAMES = ("absence", "gap_hebrew", "gap_math", "nurture")
WEIGHTS = pl.DataFrame({"indicator_id": NAMES, "weight_pct": [10.0, 30.0, 30.0, 30.0]})


def frame(need, error=0.05, measured=None):
    need = np.asarray(need, dtype=float)
    schools, count = need.shape
    has = np.ones_like(need, dtype=bool) if measured is None else measured
    return pl.DataFrame(
        {
            "semel_mosad": np.repeat([f"9{i:05d}" for i in range(schools)], count),
            "indicator_id": list(NAMES[:count]) * schools,
            "indicator_kind": ["outcome", "outcome", "outcome", "background"][:count] * schools,
            "is_measured": has.ravel(),
            "indicator_need": np.where(has, need, np.nan).ravel(),
            "indicator_need_se": np.where(has, error, np.nan).ravel(),
        }
    ).with_columns(pl.col("indicator_need", "indicator_need_se").fill_nan(None))


def random_need(seed, schools=36):
    return np.random.default_rng(seed).uniform(0.02, 0.98, (schools, 4))


needs = st.lists(st.lists(st.floats(0.01, 0.99), min_size=4, max_size=4), min_size=2, max_size=12)


@settings(max_examples=examples(60), deadline=None)
@given(needs, st.sampled_from([0.0, 0.5, 1.0]))
def test_shares_of_the_index_sum_to_100(need, order):
    found = (
        need_shares(frame(need), WEIGHTS, order)
        .group_by("semel_mosad")
        .agg(pl.col("need_share_pct").sum())
    )
    np.testing.assert_allclose(found["need_share_pct"], 100, atol=1e-9)


def test_a_profile_by_hand():
    found = need_shares(frame([[0.25, 0.64, 0.36, 0.16], [0.5] * 4]), WEIGHTS, 0.5)
    parts = np.array([10 * 0.5, 30 * 0.8, 30 * 0.6, 30 * 0.4])
    np.testing.assert_allclose(found["need_share_pct"][:4], 100 * parts / parts.sum())
    hole = np.array([[True, False, True, True], [True] * 4])
    found = need_shares(frame([[0.25, 0.64, 0.36, 0.16], [0.5] * 4], measured=hole), WEIGHTS)
    parts[1] = 30 * 0.5**0.5  # the mean of the others, of whom there is one
    np.testing.assert_allclose(found["need_share_pct"][:4], 100 * parts / parts.sum())


def test_acceptability_sums_and_follows_the_truth():
    need = random_need(1)
    need[0], need[1] = 0.97, 0.03  # whatever the weights, these are first and last
    found = need_robustness(frame(need), WEIGHTS, draws=1000)
    sums = found.acceptability.group_by("semel_mosad").agg(pl.col("acceptability_pct").sum())
    np.testing.assert_allclose(sums["acceptability_pct"], 100, atol=1e-9)
    first, last = found.schools.row(0, named=True), found.schools.row(1, named=True)
    assert (first["need_tier"], first["tier_acceptability_pct"], first["rank_choice_hi"]) == (
        "A",
        100,
        1,
    )
    assert (last["need_tier"], last["tier_acceptability_pct"], last["rank_choice_lo"]) == (
        "D",
        100,
        36,
    )
    assert (found.schools["rank_choice_lo"] <= found.schools["rank_choice_hi"]).all()


def test_equal_indicators_leave_nothing_to_choose():
    column = np.random.default_rng(2).uniform(0.05, 0.95, (20, 1))
    found = need_robustness(frame(np.repeat(column, 4, axis=1)), WEIGHTS)
    assert found.choices["rank_correlation_lo"].to_list() == pytest.approx(
        [1.0] * found.choices.height
    )
    assert (found.choices["tier_changed_pct"] == 0).all()


def test_far_committees_change_more_than_near_ones():
    rows = {
        row["choice"]: row
        for row in need_robustness(frame(random_need(3)), WEIGHTS).choices.to_dicts()
    }
    assert rows["weights_any"]["tier_changed_pct"] > rows["weights_near"]["tier_changed_pct"] > 0
    assert rows["weights_near"]["draws"] == 1000
    assert {"order_0", "order_1", *(f"without_{name}" for name in NAMES)} <= set(rows)
    assert (
        rows["without_gap_math"]["tier_changed_pct"] > rows["without_absence"]["tier_changed_pct"]
    )


def test_quality_of_indicators():
    rng = np.random.default_rng(4)
    base = rng.uniform(0.1, 0.9, 200)
    need = np.column_stack(
        [
            rng.uniform(0.1, 0.9, 200),
            base,
            np.clip(base + rng.normal(0, 0.02, 200), 0, 1),
            rng.uniform(0.1, 0.9, 200),
        ]
    )
    found = indicator_quality(
        frame(need, error=np.array([0.23, 0.05, 0.05, 0.0])[None].repeat(200, 0)), WEIGHTS
    )
    rows = {row["indicator_id"]: row for row in found.to_dicts()}
    assert rows["nurture"]["indicator_reliability"] == 1
    assert rows["absence"]["indicator_reliability"] < 0.2
    assert rows["gap_hebrew"]["twin_indicator_id"] == "gap_math"
    assert rows["gap_hebrew"]["twin_correlation"] > 0.99
    assert found["importance_pct"].sum() == pytest.approx(100)
    # Two that are one weigh more than they say; the single one of the same weight weighs less.
    assert rows["gap_hebrew"]["importance_pct"] > 30 > rows["nurture"]["importance_pct"]


@settings(max_examples=examples(40), deadline=None)
@given(needs, st.integers(0, 3), st.floats(0.0, 0.5))
def test_more_need_never_means_a_smaller_index_and_moves_no_other_school(need, place, more):
    need = np.array(need)
    worse = need.copy()
    worse[0, place] = min(0.99, need[0, place] + more)
    before = need_index(frame(need), WEIGHTS, draws=50)["need"]
    after = need_index(frame(worse), WEIGHTS, draws=50)["need"]
    assert after[0] >= before[0] - 1e-12
    assert after[1:].equals(before[1:])


@settings(max_examples=examples(20), deadline=None)
@given(st.integers(0, 10**6))
def test_order_says_nothing(seed):
    rows = frame(random_need(5, schools=9))
    other = rows.sample(fraction=1, shuffle=True, seed=seed)
    one, two = (
        need_robustness(rows, WEIGHTS, draws=50),
        need_robustness(other, WEIGHTS.reverse(), draws=50),
    )
    assert one.schools.equals(two.schools)
    assert one.choices.equals(two.choices)
    assert need_shares(rows, WEIGHTS).equals(need_shares(other, WEIGHTS))


def test_a_country_is_quick_and_no_draws_is_refused():
    rows = frame(random_need(6, schools=2600))
    started = time.perf_counter()
    need_robustness(rows, WEIGHTS, draws=1000)
    assert time.perf_counter() - started < 20
    with pytest.raises(ValueError, match="at least one draw"):
        need_robustness(rows, WEIGHTS, draws=0)
