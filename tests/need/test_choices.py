"""Ties, weights of nothing, an index of nothing, and what a bad year may move."""

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models.need import need_from_anchors, need_index, need_robustness, need_shares
from tests.examples import examples
from tests.need.test_robustness import WEIGHTS, frame, random_need

unit = st.floats(0.01, 0.99)
rows_of_four = st.lists(st.lists(unit, min_size=4, max_size=4), min_size=3, max_size=10)


def test_equal_schools_are_told_apart_by_nothing():
    found = need_robustness(frame(np.full((8, 4), 0.3)), WEIGHTS, draws=100)
    assert found.schools["need_tier"].n_unique() == 1
    assert set(found.schools["rank_choice_lo"]) == {1}
    assert set(found.schools["rank_choice_hi"]) == {8}
    assert found.choices["rank_correlation"].null_count() == found.choices.height
    pair = random_need(7, 12)
    pair[11] = pair[0]
    schools = need_robustness(frame(pair), WEIGHTS, draws=200).schools.drop("semel_mosad")
    assert schools.row(0) == schools.row(11)


def test_a_weight_of_nothing_stays_nothing():
    weights = WEIGHTS.with_columns(weight_pct=pl.Series([0.0, 40.0, 30.0, 30.0]))
    need = random_need(8, 20)[:, :1].repeat(4, axis=1)
    need[:, 0] = 1 - need[:, 0]
    found = need_robustness(frame(need), weights, draws=200).choices
    assert (found["tier_changed_pct"] == 0).all()
    only = np.zeros((20, 4), dtype=bool)
    only[:, 0] = True
    for model in (need_robustness, need_shares):
        with pytest.raises(ValueError, match="nothing that has a weight is measured"):
            model(frame(need, measured=only), weights)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"orders": (0.5, -1.0)}, "0 or above"),
        ({"concentration": 0.0}, "concentration"),
        ({"draws": 0}, "draws|draw is"),
    ],
)
def test_a_senseless_choice_is_named(change, said):
    with pytest.raises(ValueError, match=said):
        need_robustness(frame(random_need(1, 6)), WEIGHTS, **change)


@settings(max_examples=examples(40), deadline=None)
@given(rows_of_four, st.lists(unit, min_size=4, max_size=4), st.sampled_from([0.0, 0.5, 1.0]))
def test_a_profile_is_the_school_s_own(need, other, order):
    moved = need_shares(frame([need[0], *[other] * (len(need) - 1)]), WEIGHTS, order)
    assert need_shares(frame(need), WEIGHTS, order).head(4).equals(moved.head(4))


def test_an_index_of_nothing_has_no_shares():
    for order in (0.0, 0.5):
        found = need_shares(frame([[0.0] * 4, [0.5] * 4]), WEIGHTS, order).head(4)
        assert found["need_share_pct"].to_list() == [0.0] * 4


@settings(max_examples=examples(60), deadline=None)
@given(rows_of_four, st.integers(0, 2), st.floats(0.0, 0.9), st.sampled_from([0.0, 0.5, 1.0]))
def test_a_worse_outcome_raises_the_index_but_not_the_background(need, place, more, order):
    need = np.array(need)
    worse = need.copy()
    worse[0, place] = min(0.99, need[0, place] + more)
    before, after = (
        need_index(frame(each), WEIGHTS, order_p=order, draws=2) for each in (need, worse)
    )
    assert after["need"][0] >= before["need"][0] - 1e-12
    assert after["background_need"][0] == before["background_need"][0]


@settings(max_examples=examples(100), deadline=None)
@given(
    st.lists(unit, min_size=4, max_size=4),
    st.integers(0, 2),
    st.floats(0.01, 0.9),
    st.sampled_from([0.25, 0.5, 0.75, 1.0]),
)
def test_one_bad_year_of_three_moves_a_bounded_part(need, place, worse, order):
    """From a steady level, with equal years and inside the anchors: the indicator's need moves by a
    third of what one year alone would move it, the index by at most 3^(-p) of it (p ≤ 1): a third
    at p = 1, 58 % at p = .5. Less than a third cannot be promised for p < 1: the mean is concave in
    each need, and steepest where there was none."""
    assume(need[place] + worse <= 1)

    def moved(window: int) -> tuple[float, float]:
        values = pl.DataFrame(
            {"semel_mosad": ["9"], "value": [need[place] + worse / window], "se": [0.0], "n": [90]}
        )
        changed = list(need)
        changed[place] = need_from_anchors(values, 0, 1)["indicator_need"][0]
        index = need_index(frame([need, changed]), WEIGHTS, order_p=order, draws=2)["need"]
        return changed[place] - need[place], index[1] - index[0]

    (one_need, one_index), (three_need, three_index) = moved(1), moved(3)
    assert three_need == pytest.approx(one_need / 3, abs=1e-12)
    assert three_index <= one_index * 3**-order + 1e-12
    if order == 1:
        assert three_index == pytest.approx(one_index / 3, abs=1e-12)
