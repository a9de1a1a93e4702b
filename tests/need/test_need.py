"""The need index: fixed anchors, monotone, bounded, honest about what is missing."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.need import (
    need_draws,
    need_from_anchors,
    need_from_rate,
    need_index,
    surely_needier,
)
from tests.examples import examples

WEIGHTS = pl.DataFrame({"indicator_id": ["a", "b", "c"], "weight_pct": [50.0, 30.0, 20.0]})
KINDS = {"a": "outcome", "b": "outcome", "c": "background"}


def indicators(needs, se=0.05, missing=()):
    return pl.DataFrame(
        [
            {
                "semel_mosad": f"9{j:05d}",
                "indicator_id": name,
                "indicator_kind": KINDS[name],
                "is_measured": (j, name) not in missing,
                "indicator_need": None if (j, name) in missing else float(value),
                "indicator_need_se": None if (j, name) in missing else se,
            }
            for j, row in enumerate(needs)
            for name, value in zip("abc", row, strict=True)
        ],
        schema_overrides={"indicator_need": pl.Float64, "indicator_need_se": pl.Float64},
    )


rows = st.lists(st.tuples(*[st.floats(0, 1)] * 3), min_size=4, max_size=9)


@settings(max_examples=examples(60), deadline=None)
@given(rows)
def test_bounded_ordered_and_seeded(needs):
    found = need_index(indicators(needs), WEIGHTS, draws=100)
    assert found.select(
        ((pl.col("need_lo") <= pl.col("need")) & (pl.col("need") <= pl.col("need_hi"))).all()
    ).item()
    assert found["need"].is_between(0, 1).all()
    assert (found["rank_lo"] <= found["rank_hi"]).all()
    assert found["p_need_tier"].is_between(0, 1).all()
    assert need_index(indicators(needs), WEIGHTS, draws=100).equals(found)
    mixed = indicators(needs).sample(fraction=1, shuffle=True, seed=3)
    assert need_index(mixed, WEIGHTS, draws=100).equals(found)


@settings(max_examples=examples(60), deadline=None)
@given(rows, st.integers(0, 2), st.floats(0, 1))
def test_more_need_in_an_indicator_never_lowers_the_index(needs, which, raised):
    before = need_index(indicators(needs), WEIGHTS, draws=20)["need"][0]
    first = list(needs[0])
    first[which] = max(first[which], raised)
    after = need_index(indicators([first, *needs[1:]]), WEIGHTS, draws=20)["need"][0]
    assert after >= before - 1e-12


def test_a_school_s_need_does_not_move_because_others_did():
    one = need_index(indicators([(0.4, 0.5, 0.6)] + [(0.1, 0.2, 0.3)] * 5), WEIGHTS)
    other = need_index(indicators([(0.4, 0.5, 0.6)] + [(0.9, 0.8, 0.7)] * 5), WEIGHTS)
    assert one["need"][0] == other["need"][0]


def test_generalised_mean_by_hand():
    found = need_index(indicators([(0.25, 1.0, 0.0)] * 4), WEIGHTS, order_p=0.5)
    assert found["need"][0] == pytest.approx((0.5 * 0.5 + 0.3 * 1.0) ** 2)
    assert found["outcome_need"][0] == pytest.approx(((0.5 * 0.5 + 0.3) / 0.8) ** 2)
    assert found["background_need"][0] == 0
    added = need_index(indicators([(0.25, 1.0, 0.0)] * 4), WEIGHTS, order_p=1)
    assert added["need"][0] == pytest.approx(0.5 * 0.25 + 0.3)


def test_what_is_missing_widens_and_is_reported():
    generator = np.random.default_rng(1)
    needs = generator.uniform(size=(12, 3))
    whole = need_index(indicators(needs), WEIGHTS)
    holed = need_index(indicators(needs, missing={(0, "a")}), WEIGHTS)
    assert holed["measured_weight_pct"][0] == 50
    width = (pl.col("need_hi") - pl.col("need_lo")).alias("width")
    assert holed.select(width)["width"][0] > 2 * whole.select(width)["width"][0]
    assert holed["need"][1:].equals(whole["need"][1:])


def test_what_a_school_lacks_counts_as_the_mean_of_the_others():
    needs = [(0.2, 0.4, 0.6), (0.6, 0.2, 0.4), (0.9, 0.9, 0.9)]
    found = need_index(indicators(needs, missing={(2, "a"), (2, "b")}), WEIGHTS, order_p=1)
    assert found["need"][2] == pytest.approx(0.5 * 0.4 + 0.3 * 0.3 + 0.2 * 0.9)
    assert found["outcome_need"][2] is None
    assert found["background_need"][2] == pytest.approx(0.9)


def test_a_school_without_any_measurement_stands_in_the_middle_with_the_spread_of_the_city():
    needs = [(x, x, x) for x in np.linspace(0.05, 0.95, 19)]
    silent = need_index(
        indicators([*needs, (0, 0, 0)], se=0.01, missing={(19, name) for name in "abc"}), WEIGHTS
    ).row(19, named=True)
    assert silent["need"] == pytest.approx(0.5, abs=1e-9)
    assert (silent["need_lo"], silent["need_hi"]) == pytest.approx((0.05, 0.95), abs=0.03)
    assert (silent["rank_lo"], silent["rank_hi"]) == pytest.approx((1, 20), abs=1)
    assert silent["measured_weight_pct"] == 0


@pytest.mark.parametrize(("mean", "spread"), [(0.5, 0.2), (0.1, 0.08), (0.97, 0.05)])
def test_draws_have_the_mean_and_the_error_of_the_indicator(mean, spread):
    one = indicators([(mean,) * 3], se=spread).filter(pl.col("indicator_id") == "a")
    weights = pl.DataFrame({"indicator_id": ["a"], "weight_pct": [100.0]})
    drawn = need_draws(one, weights, draws=20_000)["need"]
    assert drawn.mean() == pytest.approx(mean, abs=0.005)
    assert drawn.std() == pytest.approx(spread, abs=0.005)


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_an_uncertain_need_at_the_edge_stays_uncertain(edge):
    at = pl.DataFrame({"semel_mosad": ["1"], "value": [edge], "se": [0.06], "n": [9]})
    need, se = need_from_anchors(at, 0, 1).select("indicator_need", "indicator_need_se").row(0)
    found = need_index(indicators([(need,) * 3] + [(0.5,) * 3] * 3, se=se), WEIGHTS)
    assert found["need_hi"][0] - found["need_lo"][0] > 0.02
    certain = need_index(indicators([(edge,) * 3] + [(0.5,) * 3] * 3, se=0.0), WEIGHTS)
    assert certain["need_hi"][0] - certain["need_lo"][0] == 0


def test_equal_schools_share_their_ranks():
    found = need_index(indicators([(0.5,) * 3] * 8, se=0.0), WEIGHTS)
    assert set(found["rank_lo"]) == {1}
    assert set(found["rank_hi"]) == {8}
    assert found["p_need_tier"].is_between(0.2, 0.3).all()


def test_tiers_hold_equal_numbers_and_a_is_the_neediest():
    needs = [(x, x, x) for x in np.linspace(0.05, 0.95, 12)]
    found = need_index(indicators(needs, se=0.001), WEIGHTS)
    assert found["need_tier"].to_list() == ["D"] * 3 + ["C"] * 3 + ["B"] * 3 + ["A"] * 3
    assert found["rank_lo"][-1] == 1 == found["rank_hi"][-1]
    assert (found["p_need_tier"] > 0.99).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda i, w: (i, w.with_columns(pl.lit(10.0).alias("weight_pct"))), "sum to 100"),
        (lambda i, w: (i.with_columns(pl.lit(1.5).alias("indicator_need")), w), "outside 0..1"),
        (lambda i, w: (pl.concat([i, i]), w), "twice"),
        (
            lambda i, w: (i.with_columns(pl.lit(False).alias("is_measured")), w),
            "measured in any school",
        ),
        (
            lambda i, w: (
                i.with_columns(pl.lit("z").alias("indicator_id")).unique("semel_mosad"),
                w,
            ),
            "without a weight",
        ),
        (
            lambda i, w: (i.filter(pl.col("indicator_id") != "c"), w),
            "weights without an indicator: c",
        ),
        (
            lambda i, w: (i, w.with_columns(pl.Series("weight_pct", [150.0, -70.0, 20.0]))),
            "negative",
        ),
        (
            lambda i, w: (
                i,
                pl.concat([w.head(2), w.tail(1).with_columns(pl.lit("a").alias("indicator_id"))]),
            ),
            "two weights",
        ),
        (
            lambda i, w: (i.with_columns(pl.lit("other").alias("indicator_kind")), w),
            "one indicator_kind",
        ),
        (
            lambda i, w: (
                i.with_columns(pl.Series("indicator_kind", ["outcome", "background"] * 6)),
                w,
            ),
            "one indicator_kind",
        ),
        (
            lambda i, w: (i.with_columns(pl.lit(None, pl.Float64).alias("indicator_need_se")), w),
            "0 where exact",
        ),
    ],
)
def test_bad_input_is_named(change, said):
    with pytest.raises(ValueError, match=said):
        need_index(*change(indicators([(0.1, 0.2, 0.3)] * 4), WEIGHTS))


def test_a_negative_order_is_refused():
    with pytest.raises(ValueError, match="0 or above"):
        need_index(indicators([(0.1, 0.2, 0.3)] * 4), WEIGHTS, order_p=-1)


@settings(max_examples=examples(30), deadline=None)
@given(st.floats(-1, 2), st.floats(0.01, 0.6), st.integers(0, 99))
def test_need_is_the_mean_of_what_the_gap_may_be_held_within_the_anchors(gap, se, seed):
    one = pl.DataFrame({"semel_mosad": ["1"], "value": [gap], "se": [se], "n": [9]})
    found = need_from_anchors(one, 0, 1).row(0, named=True)
    drawn = np.random.default_rng(seed).normal(gap, se, 40_000)
    assert found["indicator_need"] == pytest.approx(np.clip(drawn, 0, 1).mean(), abs=0.01)
    assert found["indicator_need_se"] == pytest.approx(np.clip(drawn, 0, 1).std(), abs=0.01)
    assert found["p_need"] == pytest.approx((drawn > 0).mean(), abs=0.015)


def test_need_from_anchors_either_direction():
    values = pl.DataFrame(
        {
            "semel_mosad": ["1", "2", "3"],
            "value": [1.0, 5.5, 12.0],
            "se": [0.0, 0.9, 0.0],
            "n": [1, 2, 3],
        }
    )
    up = need_from_anchors(values, 1, 10)
    assert up["indicator_need"].to_list() == pytest.approx([0, 0.5, 1])
    assert up["indicator_need_se"][1] == pytest.approx(0.1)
    assert need_from_anchors(values, 10, 1)["indicator_need"].to_list() == pytest.approx(
        [1, 0.5, 0]
    )
    with pytest.raises(ValueError, match="must differ"):
        need_from_anchors(values, 3, 3)
    with pytest.raises(ValueError, match="drop unmeasured"):
        need_from_anchors(values.with_columns(pl.lit(None, pl.Float64).alias("value")), 1, 10)


def test_beyond_an_anchor_the_error_is_that_of_the_held_value():
    values = pl.DataFrame(
        {"semel_mosad": ["1", "2"], "value": [1.0, 3.0], "se": [0.1, 0.1], "n": [9, 9]}
    )
    at, beyond = need_from_anchors(values, 0, 1)["indicator_need_se"]
    # Half the normal is cut off: the SD of min(0, N(0, .1)) is .1·√(1/2 - 1/2π).
    assert at == pytest.approx(0.1 * (0.5 - 1 / (2 * np.pi)) ** 0.5, abs=2e-3)
    assert beyond == 0


def test_need_from_rate_trusts_large_schools_more():
    base = [
        {"semel_mosad": f"{i}", "events": e, "n": 100} for i, e in enumerate([8, 10, 12, 9, 11, 10])
    ]
    counts = pl.DataFrame(
        [
            *base,
            {"semel_mosad": "big", "events": 40, "n": 200},
            {"semel_mosad": "tiny", "events": 1, "n": 5},
        ]
    )
    found = {row["semel_mosad"]: row for row in need_from_rate(counts, 0.10, 0.30).to_dicts()}
    assert found["big"]["p_need"] > 0.99
    assert 0.3 < found["big"]["indicator_need"] < 0.5  # near the middle between 10 and 30 %
    assert found["tiny"]["indicator_value"] == 20
    assert found["tiny"]["indicator_need"] < found["big"]["indicator_need"]
    assert found["tiny"]["p_need"] < found["big"]["p_need"]
    assert found["big"]["indicator_value"] == 20
    with pytest.raises(ValueError, match="events"):
        need_from_rate(pl.DataFrame({"semel_mosad": ["1"], "events": [5], "n": [3]}), 0.1, 0.3)


def test_a_small_city_of_equal_schools_is_not_certain():
    counts = pl.DataFrame(
        {"semel_mosad": [str(i) for i in range(6)], "events": [5, 6, 5, 5, 6, 5], "n": [50] * 6}
    )
    found = need_from_rate(counts, 0.10, 0.30)
    # 32 of 300 is hardly above 10 %; schools that look alike must not turn that into a certainty.
    assert found["p_need"].is_between(0.5, 0.8).all()


def test_surely_needier_counts_joint_draws_and_orders_nobody_both_ways():
    draws = pl.DataFrame(
        {
            "draw": [0, 0, 0, 1, 1, 1],
            "semel_mosad": ["a", "b", "c"] * 2,
            "need": [0.9, 0.5, 0.5, 0.8, 0.7, 0.9],
        }
    )
    assert surely_needier(draws, 0.9).rows() == [("a", "b", 1.0)]
    with pytest.raises(ValueError, match=r"above \.5"):
        surely_needier(draws, 0.5)
