"""Splits of a spread and of a gap: exact, published, unmoved by names, and only for what they are
for.
"""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models.causes.spread import between_within, group_gap, theil
from tests.examples import examples

pupils = st.lists(
    st.tuples(st.sampled_from("abcde"), st.floats(-1000, 1000), st.booleans()),
    min_size=2,
    max_size=60,
)
money = st.lists(st.tuples(st.sampled_from("abcde"), st.floats(0.01, 1e6)), min_size=1, max_size=60)


def frame(rows, *names):
    return pl.DataFrame(rows, schema=list(names), orient="row")


def parts(found, column):
    return dict(found.select("part", column).iter_rows())


@settings(max_examples=examples(200), deadline=None)
@given(pupils)
def test_variance_parts_sum_and_are_what_they_say(rows):
    values = frame(rows, "semel_mosad", "value", "is_ahead")
    found = parts(between_within(values), "variance")
    scale = max(1.0, found["total"])
    assert abs(found["between"] + found["within"] - found["total"]) < 1e-9 * scale
    assert found["total"] == pytest.approx(np.var(values["value"].to_numpy()), abs=1e-9 * scale)
    means = values.select(pl.col("value").mean().over("semel_mosad"))["value"].to_numpy()
    assert found["between"] == pytest.approx(np.var(means), abs=1e-9 * scale)
    mixed = values.sample(fraction=1, shuffle=True, seed=1)
    assert between_within(mixed).equals(between_within(values))


def test_variance_by_hand():
    values = frame([("a", 1.0), ("a", 3.0), ("b", 7.0), ("b", 9.0)], "semel_mosad", "value")
    found = between_within(values)
    assert found["variance"].to_list() == [10.0, 9.0, 1.0]
    assert found["share_pct"].to_list() == pytest.approx([100, 90, 10])
    assert found.row(0)[-2:] == (4, 2)
    alike = between_within(values.with_columns(value=500.1))
    assert alike["share_pct"].null_count() == 3


def test_planted_share_between_schools():
    rng = np.random.default_rng(1)
    school = np.repeat(np.arange(400), 50)
    value = rng.normal(0, 0.33, 400)[school] + rng.normal(0, 0.94, 20_000)
    found = parts(
        between_within(pl.DataFrame({"semel_mosad": school, "value": value})), "share_pct"
    )
    # .33² of .33² + .94² is 11 %; chance adds (400 - 1) / 20,000 of the rest; SE .7.
    assert found["between"] == pytest.approx(100 * (0.11 + 0.02 * 0.89), abs=2.1)


def test_theil_of_mexico_as_published(shared_data):
    reference = shared_data / "reference"
    known = json.loads((reference / "known_answers.json").read_text())["theil_mexico"]["published"]
    states = pl.read_csv(reference / "mexico_inequality" / "mexico.csv")
    for position, year in enumerate(range(1940, 2010, 10)):
        found = parts(theil(states.select(group_id="hanson98", value=f"pcgdp{year}")), "theil_t")
        assert found["total"] == pytest.approx(known["T"][position], abs=1e-8)
        assert found["between"] == pytest.approx(known["bg"][position], abs=1e-8)
        assert found["within"] == pytest.approx(found["total"] - found["between"], abs=1e-12)


@settings(max_examples=examples(200), deadline=None)
@given(money, st.floats(0.01, 100))
def test_theil_parts_sum_and_the_currency_is_nothing(rows, rate):
    values = frame(rows, "group_id", "value")
    found = parts(theil(values), "theil_t")
    assert abs(found["between"] + found["within"] - found["total"]) < 1e-9
    assert -1e-12 <= found["total"] <= np.log(len(rows)) + 1e-12
    assert found["between"] >= -1e-12
    assert found["within"] >= -1e-12
    other = parts(theil(values.with_columns(pl.col("value") * rate)), "theil_t")
    assert other == pytest.approx(found, abs=1e-9)
    assert theil(values.sample(fraction=1, shuffle=True, seed=2)).equals(theil(values))


def test_theil_at_its_ends():
    alike = theil(frame([("a", 5.0), ("b", 5.0)], "group_id", "value"))
    assert alike["theil_t"].to_list() == pytest.approx([0, 0, 0], abs=1e-15)
    assert alike["share_pct"].null_count() == 3
    apart = parts(
        theil(frame([("a", 1.0), ("a", 1.0), ("b", 4.0)], "group_id", "value")), "theil_t"
    )
    assert apart["within"] == pytest.approx(0, abs=1e-15)
    assert apart["total"] == pytest.approx((2 / 6) * np.log(1 / 2) + (4 / 6) * np.log(2))


@settings(max_examples=examples(200), deadline=None)
@given(pupils)
def test_gap_parts_sum_and_swapping_turns_the_sign(rows):
    values = frame(rows, "semel_mosad", "value", "is_ahead")
    assume(values["is_ahead"].n_unique() == 2)
    found = parts(group_gap(values), "gap")
    assert found["between"] + found["within"] == pytest.approx(found["total"], abs=1e-9)
    swapped = parts(group_gap(values.with_columns(~pl.col("is_ahead"))), "gap")
    assert swapped == pytest.approx({part: -gap for part, gap in found.items()}, abs=1e-9)
    moved = parts(group_gap(values.with_columns(pl.col("value") + 500)), "gap")
    assert moved == pytest.approx(found, abs=1e-9)
    assert group_gap(values.sample(fraction=1, shuffle=True, seed=3)).equals(group_gap(values))


def test_gap_of_sorting_alone_and_of_schools_alone():
    sorted_only = frame(
        [
            ("a", 10.0, True),
            ("a", 10.0, True),
            ("a", 10.0, False),
            ("b", 4.0, True),
            ("b", 4.0, False),
            ("b", 4.0, False),
        ],
        "semel_mosad",
        "value",
        "is_ahead",
    )
    found = group_gap(sorted_only)
    assert found["gap"].to_list() == pytest.approx([2, 2, 0])
    assert found.row(0)[-4:] == (3, 3, 2, 2)
    inside_only = frame(
        [("a", 10.0, True), ("a", 7.0, False), ("b", 4.0, True), ("b", 1.0, False)],
        "semel_mosad",
        "value",
        "is_ahead",
    )
    assert group_gap(inside_only)["gap"].to_list() == pytest.approx([3, 0, 3])
    apart = frame([("a", 10.0, True), ("b", 1.0, False)], "semel_mosad", "value", "is_ahead")
    assert group_gap(apart)["gap"].to_list() == pytest.approx([9, 9, 0])
    assert group_gap(apart)["n_schools_both"].to_list() == [0] * 3


def test_planted_gap_of_deciles():
    """Slopes of -.07 per decile in a school and -.05 per decile of the school's mean, as in the
    city.
    """
    rng = np.random.default_rng(4)
    mean = rng.normal(5.9, 1.3, 300)
    decile = np.clip(np.rint(rng.normal(mean[:, None], 2.3, (300, 200))), 1, 10)
    score = (
        -0.07 * decile
        - 0.05 * decile.mean(axis=1, keepdims=True)
        + rng.normal(0, 0.5, decile.shape)
    )
    values = pl.DataFrame(
        {
            "semel_mosad": np.repeat(np.arange(300), 200),
            "value": score.ravel(),
            "decile": decile.ravel(),
        }
    ).filter((pl.col("decile") <= 3) | (pl.col("decile") >= 8))
    found = parts(group_gap(values.with_columns(is_ahead=pl.col("decile") <= 3)), "gap")
    behind, ahead = (
        values.filter(pl.col("decile") >= 8)["decile"].mean(),
        values.filter(pl.col("decile") <= 3)["decile"].mean(),
    )
    # Inside a school only the pupil's slope acts.
    assert found["within"] == pytest.approx(0.07 * (behind - ahead), abs=0.03)
    assert found["between"] > 0.05


@pytest.mark.parametrize(
    ("function", "change", "said"),
    [
        (between_within, {"value": None}, "drop the unmeasured"),
        (between_within, {"semel_mosad": None}, "needs semel_mosad"),
        (theil, {"value": 0.0}, "positive amounts"),
        (theil, {"value": -1.0}, "positive amounts"),
        (theil, {"value": float("nan")}, "drop the unmeasured"),
        (group_gap, {"is_ahead": True}, "needs both"),
        (group_gap, {"is_ahead": None}, "needs semel_mosad, is_ahead"),
    ],
)
def test_bad_input_is_named(function, change, said):
    good = frame(
        [("a", "a", 1.0, True), ("b", "b", 2.0, False)],
        "semel_mosad",
        "group_id",
        "value",
        "is_ahead",
    )
    function(good)
    bad = good.with_columns(
        pl.lit(value).cast(good.schema[name]).alias(name) for name, value in change.items()
    )
    with pytest.raises(ValueError, match=said):
        function(bad)
    with pytest.raises(ValueError, match="no rows"):
        function(good.head(0))
