"""Bands: exact where the answer is known by integration, honest where it is planted."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from models.gaps import band_cells, predicted_gaps, shrunken_gaps
from models.gaps.blocks import CELL_KEY
from tests.gaps.cities import TRUE_SD, city

TRUE = pl.DataFrame({"component": list(TRUE_SD), "component_sd": list(TRUE_SD.values())})
CUTS = np.array([-np.inf, -0.375, -0.125, 0.125, 0.375, np.inf])


def banded(cells, chosen):
    """The chosen cells as bands around the mean of their group."""
    group = ["subject", "grade", "school_year"]
    centre = pl.col("gap_raw_sd").mean().over(group)
    rows = cells.with_columns(centre.alias("centre")).filter(chosen)
    place = np.searchsorted(CUTS, (rows["gap_raw_sd"] - rows["centre"]).to_numpy()) - 1
    return rows.select(*CELL_KEY, "gap_sampling_sd", "truth").with_columns(
        (rows["centre"] + pl.Series(CUTS[place])).replace([-np.inf], None).alias("gap_lo_sd"),
        (rows["centre"] + pl.Series(CUTS[place + 1])).replace([np.inf], None).alias("gap_hi_sd"),
    )


def test_one_band_equals_numerical_integration():
    cells = city(1, schools=400, subjects=1, years=2, grades=(4,), cohorts=False)
    chosen = (pl.col("semel_mosad") == "900005") & (pl.col("school_year") == 2021)
    bands = banded(cells, chosen)
    seen = cells.filter(~chosen)
    prior = predicted_gaps(seen, bands, TRUE).row(0, named=True)
    row = bands.row(0, named=True)
    grid = np.linspace(-4, 4, 200_001)
    low, high = row["gap_lo_sd"] or -np.inf, row["gap_hi_sd"] or np.inf
    noise = row["gap_sampling_sd"]
    weight = norm.pdf(grid, prior["gap_sd"], prior["gap_se_sd"]) * (
        norm.cdf((high - grid) / noise) - norm.cdf((low - grid) / noise)
    )
    weight /= weight.sum()
    mean = float(weight @ grid)
    spread = float(np.sqrt(weight @ (grid - mean) ** 2))
    made = band_cells(seen, bands, TRUE)
    both = pl.concat([seen.select(made.columns), made])
    found = shrunken_gaps(both, TRUE).filter(chosen).row(0, named=True)
    assert found["gap_sd"] == pytest.approx(mean, abs=2e-3)
    assert found["gap_se_sd"] == pytest.approx(spread, abs=2e-3)


def test_bands_cover_and_tell_more_than_nothing():
    inside, ratio = [], []
    for seed in range(12):
        cells = city(seed, years=2)
        chosen = pl.col("subject") == "science"
        # A third of the schools publish scores, so the mean of the group is known.
        chosen &= pl.col("semel_mosad").str.slice(-1).cast(pl.Int32) % 3 != 0
        bands = banded(cells, chosen)
        seen = cells.filter(~chosen)
        made = band_cells(seen, bands, TRUE)
        found = shrunken_gaps(pl.concat([seen.select(made.columns), made]), TRUE).join(bands, on=CELL_KEY)  # fmt: skip
        blind = predicted_gaps(seen, bands, TRUE)
        inside.append(found["truth"].is_between(found["gap_lo_sd"], found["gap_hi_sd"]).mean())
        ratio.append(found["gap_se_sd"].mean() / blind["gap_se_sd"].mean())
    assert 0.86 <= np.mean(inside) <= 0.94
    assert np.mean(ratio) < 0.95


def test_a_band_is_wider_than_the_score_it_hides():
    cells = city(4, years=2)
    chosen = pl.col("subject") == "science"
    chosen &= pl.col("semel_mosad").str.slice(-1).cast(pl.Int32) % 3 != 0
    made = band_cells(cells.filter(~chosen), banded(cells, chosen), TRUE)
    hidden = made.join(cells, on=CELL_KEY, suffix="_score")
    assert (hidden["gap_sampling_sd"] > hidden["gap_sampling_sd_score"] * 0.999).all()


def test_limits_the_wrong_way_round_are_refused():
    bands = city(1).head(1).with_columns(gap_lo_sd=pl.lit(0.2), gap_hi_sd=pl.lit(0.1))
    with pytest.raises(ValueError, match="below its upper"):
        band_cells(city(1), bands, TRUE)
