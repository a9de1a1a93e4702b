"""What is told of shares and means, and what is made of them, says no more than n allows."""

import polars as pl
import pytest

from models.privacy import banded, coded, coded_ends, rounded, share_ends, share_step
from pipelines.diagnose.gaps import _as_told
from pipelines.diagnose.need import _indicator
from pipelines.settings.city import load_city


@pytest.mark.parametrize("fewest", [5, 10])
@pytest.mark.parametrize("n", [30, 231, 1806])
def test_a_banded_share_leaves_each_of_three_hidden_years_open(n, fewest):
    """How many counts a band fits, and what one of three years may be, each at least one."""
    step = share_step(pl.lit(n), fewest)
    share = 100 * pl.col("cases") / n
    told = pl.DataFrame({"cases": range(n + 1)}).with_columns(told=banded(share, step))
    low, high = share_ends(pl.col("told"), step, is_banded=True)
    ends = told.with_columns(low=low, high=high, share=share)
    assert ends.filter(
        (pl.col("share") < pl.col("low")) | (pl.col("share") > pl.col("high"))
    ).is_empty()
    bands = told.group_by("told").agg(least=pl.col("cases").min(), most=pl.col("cases").max())
    inside = bands.filter(pl.col("most") < n)
    assert (inside["most"] - inside["least"]).min() >= fewest - 1
    first = bands.sort("told").row(0, named=True)
    assert first["least"] == 0
    assert first["most"] - 2 - 1 >= fewest - 2


def test_a_banded_share_is_told_as_it_was_told():
    frame = pl.DataFrame({"share": [0.0, 0.2, 0.4, 0.6, 0.8, 1.2, 99.9, 100.0]})
    step = pl.lit(0.5)
    once = frame.select(banded(pl.col("share"), step))
    assert once["share"].to_list() == [0.375, 0.375, 0.375, 0.375, 1.0, 1.0, 100.0, 100.0]
    assert once.select(banded(pl.col("share"), step)).equals(once)


def need_of(city, cases):
    pupils = {"a": 1500, "b": 1200, "c": 900}
    rows = [(school, 2026, cases[school], n) for school, n in pupils.items()]
    names = ["semel_mosad", "school_year", "chronic_absence_pupils", "attendance_pupils"]
    tables = {
        "core_attendance": pl.DataFrame(rows, names, orient="row"),
        "core_city": pl.DataFrame({"window_first_year": [2024], "window_last_year": [2026]}),
    }
    key = next(
        key
        for key, item in city.policy.need.indicators.items()
        if item.measure == "chronic_absence"
    )
    return _indicator(city, key, tables, pl.DataFrame())


def test_the_need_of_a_rate_says_no_more_than_the_rate_as_it_is_told(small_city):
    city = load_city(small_city)
    held = need_of(city, {"a": 100, "b": 90, "c": 20})
    assert held.equals(need_of(city, {"a": 101, "b": 91, "c": 22})), "one child more is the same"
    assert not held.equals(need_of(city, {"a": 140, "b": 90, "c": 20}))
    told = dict(held.select("semel_mosad", "indicator_value").iter_rows())
    assert told == pytest.approx({"a": 6.5, "b": 8.0, "c": 2.0})


def test_what_is_made_of_a_gap_is_made_of_the_gap_as_it_is_told():
    gaps = pl.DataFrame(
        {
            "gap_sd": [0.1234567, 0.1241234, -0.31, None],
            "gap_se_sd": [0.0512345, 0.0508, 0.001, None],
            "gap_lo_sd": [0.04, 0.04, -0.4, None],
            "gap_hi_sd": [0.21, 0.21, -0.2, None],
            "p_below_target": [0.992, 0.9927, 0.0, None],
            "gap_tier": ["surely_below", "surely_below", "surely_at_target", "not_measured"],
            "distinct_pupils": [200, 200, 12, None],
        }
    )
    told = _as_told(gaps, "distinct_pupils")
    assert told["gap_sd"].to_list() == [0.125, 0.125, -0.3, None]
    assert told["gap_se_sd"].to_list() == [0.05, 0.05, 0.1, None], "no error is rounded to none"
    assert told.row(0) == told.row(1), "a child more or less changes nothing that is told"
    assert told["gap_lo_sd"][0] == pytest.approx(0.125 - 1.6448536 * 0.05)
    assert told["p_below_target"][0] == pytest.approx(0.9937903)
    assert told["gap_tier"].to_list()[2:] == ["surely_at_target", "not_measured"]


@pytest.mark.parametrize("own", [5, 10])
@pytest.mark.parametrize("n", [23, 30, 400])
def test_a_coded_share_tells_each_large_count_and_of_small_ones_that_they_are(n, own):
    told = pl.col("share")
    for fewest in sorted({5, own}):  # the city's first, then the audience's
        told = coded(told, pl.lit(n), fewest)
    rows = pl.DataFrame({"cases": range(n + 1)}).with_columns(share=100 * pl.col("cases") / n)
    rows = rows.with_columns(told=told)
    low, high = coded_ends(pl.col("told"), pl.lit(n), own)
    rows = rows.with_columns(low=low * n / 100, high=high * n / 100)
    for cases, share, said, least, most in rows.iter_rows():
        fits = [x for x in range(n + 1) if least - 1e-6 <= x <= most + 1e-6]
        few, rest = range(1, own), range(n - own + 1, n)
        expected = [*few] if cases in few else [*rest] if cases in rest else [cases]
        assert fits == expected
        assert said == pytest.approx(share) or len(fits) > 1


def test_what_was_rounded_twice_lies_where_both_steps_allow():
    """Steps of 2 and 5 are no multiples of each other, so that 4 may be told as 5."""
    first, step = pl.lit(2.0), pl.lit(5.0)
    share = pl.DataFrame({"share": [x / 100 for x in range(0, 10001, 7)]})
    for is_banded in (False, True):
        rule = banded if is_banded else rounded
        rows = share.with_columns(told=rule(rule(pl.col("share"), first), step))
        ends = share_ends(pl.col("told"), step, is_banded=is_banded, first=first)
        rows = rows.with_columns(low=ends[0], high=ends[1])
        outside = ~pl.col("share").is_between(pl.col("low"), pl.col("high") + 1e-5)
        assert rows.filter(outside).is_empty()
        by_told = rows.group_by("told").agg(
            pl.all().exclude("told").min(), most=pl.col("share").max()
        )
        assert (by_told["high"] - by_told["most"]).max() < 0.08, "no wider than it must be"
