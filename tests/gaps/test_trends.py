"""Trends: planted slopes are covered, a change of the ruler is no change of the pupils (R46)."""

import numpy as np
import polars as pl
import pytest

from models.gaps import school_years, trends
from tests.gaps.cities import TRUE_SD, city
from tests.gaps.test_totals import sized

TRUE = pl.DataFrame({"component": list(TRUE_SD), "component_sd": list(TRUE_SD.values())})


def series(seed, slope, *, years=5, error=0.03, jump=0.0, break_year=None, place="p"):
    rng = np.random.default_rng(seed)
    t = np.arange(years)
    after = t >= (years if break_year is None else break_year)
    return pl.DataFrame(
        {
            "place": place,
            "subject": "math",
            "school_year": 2020 + t,
            "segment": np.where(after, "new", "old"),
            "gap_sd": 0.2 + slope * t + jump * after + rng.normal(0, error, years),
            "gap_lasting_se_sd": error,
        }
    )


def test_slopes_and_forecasts_are_covered():
    rng = np.random.default_rng(1)
    slopes, ahead = [], []
    for seed in range(300):
        slope = rng.normal(0, 0.05)
        row = trends(series(seed, slope), 2025).row(0, named=True)
        slopes.append(row["slope_lo_sd"] <= slope <= row["slope_hi_sd"])
        new = 0.2 + slope * 5 + np.random.default_rng(10_000 + seed).normal(0, 0.03)
        ahead.append(row["forecast_lo_sd"] <= new <= row["forecast_hi_sd"])
    assert 0.86 <= np.mean(slopes) <= 0.94
    assert 0.86 <= np.mean(ahead) <= 0.94


def test_a_break_is_not_a_change():
    called = []
    for seed in range(100):
        row = trends(series(seed, 0.0, jump=0.5, break_year=3), 2025).row(0, named=True)
        assert row["segments"] == 2
        assert abs(row["slope_sd"]) < 0.1
        called.append(row["trend"] != "cannot_tell")
    assert np.mean(called) <= 0.15  # two sides of 5 % each
    blind = trends(series(1, 0.0, jump=0.5, break_year=3).with_columns(segment=pl.lit("one")), 2025)
    assert blind["trend"].item() == "worsening"  # what would be said if the break were not known
    # The forecast stands on the new ruler.
    assert trends(series(2, 0.0, jump=0.5, break_year=3), 2025)[
        "forecast_sd"
    ].item() == pytest.approx(0.7, abs=0.1)


def test_one_year_a_segment_has_no_slope():
    row = trends(series(1, 0.0, years=2, break_year=1), 2025).row(0, named=True)
    assert row["trend"] is None
    assert row["slope_sd"] is None
    assert row["forecast_sd"] is not None
    with pytest.raises(ValueError, match="positive error"):
        trends(series(1, 0.0).with_columns(gap_lasting_se_sd=pl.lit(0.0)), 2025)


def test_schools_are_seen_against_the_city():
    cells = sized(city(2, years=4))
    found = school_years(cells, TRUE)
    assert found.height == 36 * 4 * 4
    shifted = cells.with_columns(
        pl.when(pl.col("school_year") == 2023)
        .then(pl.col("gap_raw_sd") + 5)
        .otherwise("gap_raw_sd")
        .alias("gap_raw_sd")
    )
    # A year in which everybody was lower moves no school against the others.
    np.testing.assert_allclose(school_years(shifted, TRUE)["gap_sd"], found["gap_sd"], atol=1e-12)
    falling = cells.with_columns(
        pl.when(pl.col("semel_mosad") == "900004")
        .then(pl.col("gap_raw_sd") + 0.25 * (pl.col("school_year") - 2020))
        .otherwise("gap_raw_sd")
        .alias("gap_raw_sd")
    )
    row = trends(school_years(falling, TRUE), 2024).row(
        by_predicate=(pl.col("place") == "900004") & (pl.col("subject") == "math"), named=True
    )
    assert row["trend"] == "worsening"


def test_order_says_nothing():
    frame = pl.concat([series(1, 0.05), series(2, 0.0, place="q")])
    assert trends(frame, 2025).equals(trends(frame.reverse(), 2025))
