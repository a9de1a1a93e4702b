"""Triangulation: exact rules, and the planted stances of the synthetic city."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from models.causes.triangulation import triangulate
from models.demo.voice import hard_signs
from tests.made import made

HARD = {"place": pl.String, "theme": pl.String, "is_weak": pl.Boolean, "p_weak": pl.Float64}
SAID = {"place": pl.String, "theme": pl.String, "sentiment": pl.String, "n": pl.Int64}


def hard(*rows):
    return pl.DataFrame(rows, schema=HARD, orient="row")


def said(*rows):
    return pl.DataFrame(rows, schema=SAID, orient="row")


def one(is_weak, negative, positive, **settings):
    found = triangulate(
        hard(("s", "climate", is_weak, None)),
        said(("s", "climate", "negative", negative), ("s", "climate", "positive", positive)),
        **settings,
    )
    return found.row(0, named=True)


@pytest.mark.parametrize(
    ("is_weak", "negative", "positive", "label", "side", "say"),
    [
        (True, 4, 1, "agree", None, "weak"),
        (False, 1, 4, "agree", None, "strong"),
        (True, 0, 3, "contradict", None, "strong"),
        (False, 3, 0, "contradict", None, "weak"),
        (True, 2, 2, "mixed", None, "divided"),
        (True, 2, 1, "agree", None, "weak"),  # exactly two thirds is a majority, on either side
        (False, 1, 2, "agree", None, "strong"),
        (True, 3, 2, "mixed", None, "divided"),
        (True, 2, 0, "silent", "people", None),
        (None, 5, 0, "silent", "data", "weak"),
        (None, 2, 3, "silent", "data", "divided"),
        (None, 1, 1, "silent", "both", None),
        (False, 0, 0, "silent", "people", None),
    ],
)
def test_each_label_by_hand(is_weak, negative, positive, label, side, say):
    found = one(is_weak, negative, positive)
    assert (found["label"], found["silent_side"], found["people_say"]) == (label, side, say)


def test_each_side_keeps_what_only_it_knows():
    found = triangulate(
        hard(("s", "absence", True, 0.9), ("s", "climate", False, None)),
        said(("s", "belonging", "negative", 3), ("t", "climate", "positive", 4)),
    )
    assert found.select("place", "theme", "label", "silent_side", "excerpts", "p_weak").rows() == [
        ("s", "absence", "silent", "people", 0, 0.9),
        ("s", "belonging", "silent", "data", 3, None),
        ("s", "climate", "silent", "people", 0, None),
        ("t", "climate", "silent", "data", 4, None),
    ]
    assert found["negative_pct"].to_list() == [None, 100.0, None, 0.0]


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.5, 0.99))
def test_wilson_interval_is_the_library_s(negative, positive, level):
    found = one(True, negative, positive, level=level)
    n = negative + positive
    if not n:
        assert found["negative_pct"] is found["negative_lo_pct"] is found["negative_hi_pct"] is None
        return
    low, high = proportion_confint(negative, n, alpha=1 - level, method="wilson")
    assert found["negative_pct"] == pytest.approx(100 * negative / n)
    assert found["negative_lo_pct"] == pytest.approx(100 * low, abs=1e-9)
    assert found["negative_hi_pct"] == pytest.approx(100 * high, abs=1e-9)


@given(
    st.sampled_from([True, False, None]),
    st.integers(0, 12),
    st.integers(0, 12),
    st.integers(1, 6),
    st.floats(0.51, 1),
)
def test_turning_both_sides_round_changes_no_label(is_weak, negative, positive, least, majority):
    settings = {"least_excerpts": least, "majority": majority}
    found = one(is_weak, negative, positive, **settings)
    turned = one(None if is_weak is None else not is_weak, positive, negative, **settings)
    assert (found["label"], found["silent_side"]) == (turned["label"], turned["silent_side"])
    if is_weak is not None:
        other = one(not is_weak, negative, positive, **settings)["label"]
        opposite = {"agree": "contradict", "contradict": "agree"}
        assert other == opposite.get(found["label"], found["label"])


rows = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from("xyz"),
        st.sampled_from(["positive", "negative"]),
        st.integers(0, 5),
    ),
    max_size=20,
)


@settings(deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_order_and_splitting_of_rows_decide_nothing(rows, random):
    measured = [("a", "x", True, 0.8), ("b", "y", False, 0.2), ("c", "z", None, None)]
    found = triangulate(hard(*measured), said(*rows))
    split = [(*row[:3], 1) for row in rows for _ in range(row[3])]
    split += [(*row[:3], 0) for row in rows]
    random.shuffle(split)
    random.shuffle(measured)
    assert triangulate(hard(*measured), said(*split)).equals(found)
    assert found["excerpts"].sum() == sum(row[3] for row in rows)


def test_planted_stances_of_the_city_are_recovered():
    """Every excerpt on its own, against the hard signs that the city's files show of the last
    year.
    """
    city = made(1, "clean")
    last = city.files["excerpts.csv"]["school_year"].max()
    signs = hard_signs(*_measures(city, last)).rename({"semel_mosad": "place"})
    excerpts = city.files["excerpts.csv"].join(city.truth["true_voice"], on="excerpt_id")
    assert excerpts.height == 260
    told = excerpts.select(
        "excerpt_id", "stance", "sentiment", "theme", place=pl.col("semel_mosad").cast(pl.String)
    )
    keyed = told.join(signs, on=["place", "theme"], how="left").with_columns(place="excerpt_id")
    found = triangulate(
        keyed.select("place", "theme", "is_weak", p_weak=pl.lit(None, pl.Float64)),
        keyed.select("place", "theme", "sentiment", n=pl.lit(1)),
        least_excerpts=1,
    ).join(keyed.select("place", "stance"), on="place")
    known = found.filter(pl.col("is_weak").is_not_null())
    assert known.height > 150
    assert (known["label"] == known["stance"]).all()
    assert set(known["label"]) == {"agree", "contradict"}
    unknown = found.filter(pl.col("is_weak").is_null())
    assert (unknown["silent_side"] == "data").all()
    assert (unknown["stance"] == "silent").mean() > 0.9


def _measures(city, year):
    """Return what `hard_signs` reads, from the city's files and its true need."""
    pupils = city.files[f"pupils_{year}.csv"].select(
        pl.col("semel_mosad").cast(pl.String),
        (pl.col("years_in_israel") <= 10).fill_null(False).alias("is_immigrant"),
        pl.col("has_home_internet").alias("has_internet"),
    )
    frames = [
        city.files[f"{name}_{year}.csv"].with_columns(pl.col("semel_mosad").cast(pl.String))
        for name in ("attendance", "climate")
    ]
    return pupils, city.truth["true_need"], *frames


@pytest.mark.parametrize(
    ("measured", "spoken", "settings", "said_of_it"),
    [
        ([("s", "x", True, None)] * 2, [], {}, "two measures"),
        ([("s", "x", True, 1.2)], [], {}, "p_weak"),
        ([("s", "x", None, 0.5)], [], {}, "p_weak"),
        ([("s", "x", True, float("nan"))], [], {}, "p_weak"),
        ([(None, "x", True, 0.5)], [], {}, "no place"),
        ([], [("s", "x", "neutral", 1)], {}, "sentiment"),
        ([], [("s", "x", None, 1)], {}, "sentiment"),
        ([], [("s", None, "positive", 1)], {}, "no theme"),
        ([], [("s", "x", "positive", -1)], {}, "0 or more"),
        ([], [("s", "x", "positive", None)], {}, "0 or more"),
        ([], [], {"least_excerpts": 0}, "least_excerpts"),
        ([], [], {"majority": 0.5}, "majority"),
        ([], [], {"level": 1.0}, "level"),
    ],
)
def test_bad_input_is_named(measured, spoken, settings, said_of_it):
    with pytest.raises(ValueError, match=said_of_it):
        triangulate(hard(*measured), said(*spoken), **settings)
