"""The statistical claims of the gap tiers and intervals over many simulated cities (make
validate).
"""

import numpy as np
import polars as pl
import pytest

from models.gaps import fit_components, school_gaps, shrunken_gaps
from tests.gaps.cities import city

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cells():
    frames = []
    for seed in range(200):
        one = city(1000 + seed, years=3)
        frames.append(
            shrunken_gaps(one, fit_components(one)).with_columns(pl.lit(seed).alias("seed"))
        )
    return pl.concat(frames)


def test_ninety_percent_intervals_cover_ninety_percent(cells):
    inside = cells.select(pl.col("truth").is_between("gap_lo_sd", "gap_hi_sd").mean()).item()
    print(f"coverage of the 90 % interval over 200 cities: {inside:.4f}")
    assert inside == pytest.approx(0.90, abs=0.015)


def test_a_sure_tier_is_as_sure_as_it_says(cells):
    for tier, below in (("surely_below", True), ("surely_at_target", False)):
        chosen = cells.filter(pl.col("gap_tier") == tier)
        right = ((chosen["truth"] > 0) == below).mean()
        print(f"{tier}: right in {right:.4f} of {chosen.height} cells")
        assert right >= 0.95


def test_probabilities_are_calibrated(cells):
    cut = cells.with_columns((pl.col("p_below_target") * 10).floor().clip(0, 9).alias("bin"))
    table = (
        cut.group_by("bin")
        .agg(
            pl.col("p_below_target").mean().alias("said"),
            (pl.col("truth") > 0).mean().alias("seen"),
            pl.len(),
        )
        .sort("bin")
    )
    print(table)
    assert table.select((pl.col("said") - pl.col("seen")).abs().max()).item() < 0.04


def test_small_schools_gain_most(cells):
    small = cells.filter(pl.col("gap_sampling_sd") > 45**-0.5)
    ratios = {}
    for name, part in (("all", cells), ("under 45 tested", small)):
        shrunk, raw = (
            np.sqrt(((part[column] - part["truth"]) ** 2).mean())
            for column in ("gap_sd", "gap_raw_sd")
        )
        ratios[name] = shrunk / raw
    print({name: round(float(value), 3) for name, value in ratios.items()})
    assert ratios["all"] <= 0.92
    assert ratios["under 45 tested"] <= 0.88


def test_tiers_of_schools_are_near_the_truth():
    exact, near = [], []
    for seed in range(60):
        one = city(3000 + seed, years=3)
        found = school_gaps(one, fit_components(one), 2020, 2022).filter(pl.col("subject") == "all")
        truth = one.group_by("semel_mosad").agg(pl.col("truth").mean())
        both = found.join(truth, on="semel_mosad").with_columns(
            ((pl.col(c).rank("ordinal") - 1) * 4 // pl.len()).alias(f"{c}_tier")
            for c in ("gap_sd", "truth")
        )
        apart = (both["gap_sd_tier"].cast(pl.Int64) - both["truth_tier"].cast(pl.Int64)).abs()
        exact.append((apart == 0).mean())
        near.append((apart <= 1).mean())
    print(f"tier exact {np.mean(exact):.3f}, within one {np.mean(near):.3f}")
    assert np.mean(exact) >= 0.60
    assert np.mean(near) >= 0.95
