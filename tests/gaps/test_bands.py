"""Bands: exact where the answer is known by integration, honest where it is planted."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from models.cells import CELL_KEY, MEAN_GROUP
from models.gaps import band_cells, band_limits, predicted_gaps, shrunken_gaps
from tests.examples import examples
from tests.gaps.cities import TRUE_SD, city

TRUE = pl.DataFrame({"component": list(TRUE_SD), "component_sd": list(TRUE_SD.values())})
CUTS = np.array([-np.inf, -0.375, -0.125, 0.125, 0.375, np.inf])


def stacked(seen, made):
    return pl.concat(
        [seen.select(*CELL_KEY, "gap_raw_sd", "gap_sampling_sd"), made], how="diagonal"
    )


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


@pytest.mark.parametrize("limit", [0.0, 0.15])
def test_one_band_equals_numerical_integration(limit):
    cells = city(1, schools=400, subjects=1, years=2, grades=(4,), cohorts=False)
    chosen = (pl.col("semel_mosad") == "900005") & (pl.col("school_year") == 2021)
    bands = banded(cells, chosen).with_columns(gap_limit_sd=pl.lit(limit))
    seen = cells.filter(~chosen)
    prior = predicted_gaps(seen, bands, TRUE).row(0, named=True)
    row = bands.row(0, named=True)
    grid = np.linspace(-4, 4, 200_001)
    low, high = row["gap_lo_sd"] or -np.inf, row["gap_hi_sd"] or np.inf
    noise = np.hypot(row["gap_sampling_sd"], limit)
    weight = norm.pdf(grid, prior["gap_sd"], prior["gap_se_sd"]) * (
        norm.cdf((high - grid) / noise) - norm.cdf((low - grid) / noise)
    )
    weight /= weight.sum()
    mean = float(weight @ grid)
    spread = float(np.sqrt(weight @ (grid - mean) ** 2))
    made = band_cells(seen, bands, TRUE)
    found = shrunken_gaps(stacked(seen, made), TRUE).filter(chosen).row(0, named=True)
    assert found["gap_sd"] == pytest.approx(mean, abs=1e-3)
    assert found["gap_se_sd"] == pytest.approx(spread, abs=1e-3)


def conditional(seen, wanted):
    """Means and covariance of the true and the raw gaps of two cells, given all measured ones."""
    both = pl.concat([seen.select(CELL_KEY), wanted.select(CELL_KEY)])
    key = {name: both[name].to_numpy() for name in CELL_KEY}

    def same(*names):
        return np.all([key[name][:, None] == key[name] for name in names], axis=0)

    u, v, w, x = (value**2 for value in TRUE_SD.values())
    school = same("semel_mosad")
    signal = school * (
        u + v * same("subject") + w * same("school_year") + x * same("subject", "school_year")
    )
    cohort, year = key["school_year"] - key["grade"], key["school_year"]
    shared = school & (cohort[:, None] == cohort)
    alike = 0.5 * 0.9 ** np.abs(year[:, None] - year) * shared
    np.fill_diagonal(alike, 1.0)
    error = np.append(seen["gap_sampling_sd"].to_numpy(), wanted["gap_sampling_sd"].to_numpy())
    group = both.select(pl.struct(MEAN_GROUP).rank("dense") - 1).to_series().to_numpy()
    design = np.eye(group.max() + 1)[group]
    true = signal + 1e4 * design @ design.T
    raw, n = true + alike * np.outer(error, error), seen.height
    across = np.hstack([true[:n, n:], raw[:n, n:]])
    own = np.block([[true[n:, n:], true[n:, n:]], [true[n:, n:], raw[n:, n:]]])
    gain = np.linalg.solve(raw[:n, :n], across).T
    return gain @ seen["gap_raw_sd"].to_numpy(), own - gain @ across


@pytest.mark.parametrize("limit", [0.0, 0.15])
@pytest.mark.parametrize("seed", range(3))
def test_two_bands_of_one_cohort_equal_numerical_integration(seed, limit):
    cells = city(seed, schools=40, subjects=3, years=1, grades=(4,))
    chosen = (pl.col("semel_mosad") == "900007") & (pl.col("subject") != "hebrew")
    seen, bands = cells.filter(~chosen), banded(cells, chosen).sort(CELL_KEY)
    bands = bands.with_columns(gap_limit_sd=pl.lit(limit))
    mean, spread = conditional(seen, bands)
    spread[2:, 2:] += limit**2  # one error of the limits for both bands of the school
    inner = spread[2:, 2:]
    reach = 8 * np.sqrt(np.diag(inner))
    low = np.maximum(bands["gap_lo_sd"].fill_null(-99).to_numpy(), mean[2:] - reach)
    high = np.minimum(bands["gap_hi_sd"].fill_null(99).to_numpy(), mean[2:] + reach)
    steps = (np.arange(600) + 0.5) / 600
    axes = [a + (b - a) * steps for a, b in zip(low, high, strict=True)]
    raw = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    away = raw - mean[2:]
    weight = np.exp(-0.5 * np.einsum("ij,jk,ik->i", away, np.linalg.inv(inner), away))
    weight /= weight.sum()
    centre = weight @ raw
    cut = (raw - centre).T @ ((raw - centre) * weight[:, None])
    gain = spread[:2, 2:] @ np.linalg.inv(inner)
    exact = mean[:2] + gain @ (centre - mean[2:])
    error = np.sqrt(np.diag(spread[:2, :2] - gain @ spread[2:, :2] + gain @ cut @ gain.T))
    found = shrunken_gaps(stacked(seen, band_cells(seen, bands, TRUE)), TRUE).filter(chosen)
    np.testing.assert_allclose(found["gap_sd"], exact, atol=1e-3)
    np.testing.assert_allclose(found["gap_se_sd"], error, atol=1e-3)


@pytest.mark.sampled
def test_bands_cover_and_tell_more_than_nothing():
    inside, ratio = [], []
    for seed in range(examples(12, part=2)):
        cells = city(seed, years=2)
        chosen = pl.col("subject") == "science"
        # A third of the schools publish scores, so the mean of the group is known.
        chosen &= pl.col("semel_mosad").str.slice(-1).cast(pl.Int32) % 3 != 0
        bands = banded(cells, chosen)
        seen = cells.filter(~chosen)
        made = band_cells(seen, bands, TRUE)
        found = shrunken_gaps(stacked(seen, made), TRUE).join(bands, on=CELL_KEY)
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
    assert hidden["gap_sampling_sd"].equals(hidden["gap_sampling_sd_score"])
    assert (hidden["gap_extra_sd"] > 0).all()
    # The measured score of the same cell always says more.
    whole = shrunken_gaps(cells, TRUE)
    found = shrunken_gaps(stacked(cells.filter(~chosen), made), TRUE).join(
        whole, on=CELL_KEY, suffix="_whole"
    )
    assert (found["gap_se_sd"] >= found["gap_se_sd_whole"] - 1e-9).all()


def test_the_order_of_the_rows_decides_nothing():
    cells = city(4, years=2, schools=12)
    chosen = (pl.col("subject") == "science") & (pl.col("semel_mosad") != "900000")
    bands, seen = banded(cells, chosen), cells.filter(~chosen)
    made = band_cells(seen, bands, TRUE)
    mixed = seen.sample(fraction=1, shuffle=True, seed=1)
    assert band_cells(mixed, bands.reverse(), TRUE).equals(made)


KEY = {"semel_mosad": "1", "subject": "math", "grade": 4, "school_year": 2022, "scale_id": "S"}


def test_a_higher_band_is_a_smaller_gap():
    # Similar schools are .2 below target; a school .125 to .375 above them is from .075 below to
    # .175 above.
    similar = pl.DataFrame([{**KEY, "gap_expected_sd": 0.2, "gap_expected_se_sd": 0.03}])
    band = {**KEY, "band_lo_sd": 0.125, "band_hi_sd": 0.375, "gap_sampling_sd": 0.1}
    found = band_limits(pl.DataFrame([band]), similar, 0.04).row(0, named=True)
    assert found["gap_lo_sd"] == pytest.approx(-0.175)
    assert found["gap_hi_sd"] == pytest.approx(0.075)
    assert found["gap_limit_sd"] == pytest.approx(0.05)
    best = pl.DataFrame([{**band, "band_hi_sd": None}], schema_overrides={"band_hi_sd": pl.Float64})
    assert band_limits(best, similar)["gap_lo_sd"].to_list() == [None]
    unread = best.with_columns(band_lo_sd=pl.lit(None, pl.Float64))
    assert band_limits(unread, similar).is_empty()
    with pytest.raises(ValueError, match="negative"):
        band_limits(best, similar, -0.1)


def test_uncertain_limits_tell_less():
    cells = city(4, years=2)
    chosen = (pl.col("subject") == "science") & pl.col("semel_mosad").str.ends_with("1")
    seen, widths = cells.filter(~chosen), []
    for limit in (0.0, 0.1, 0.3):
        bands = banded(cells, chosen).with_columns(gap_limit_sd=pl.lit(limit))
        found = shrunken_gaps(stacked(seen, band_cells(seen, bands, TRUE)), TRUE).filter(chosen)
        widths.append(found["gap_se_sd"].mean())
        assert (found["reliability"] < 1).all()
    assert widths == sorted(widths)


def test_limits_the_wrong_way_round_are_refused():
    bands = city(1).head(1).with_columns(gap_lo_sd=pl.lit(0.2), gap_hi_sd=pl.lit(0.1))
    with pytest.raises(ValueError, match="below its upper"):
        band_cells(city(1), bands, TRUE)


def test_bands_without_a_reference_or_beside_a_score_are_refused():
    cells = city(1, schools=8)
    band = cells.head(1).with_columns(gap_lo_sd=pl.lit(-0.1), gap_hi_sd=pl.lit(0.1))
    with pytest.raises(ValueError, match="keep one of the two"):
        band_cells(cells, band, TRUE)
    with pytest.raises(ValueError, match="nobody was measured"):
        band_cells(cells, band.with_columns(scale_id=pl.lit("NEW")), TRUE)
