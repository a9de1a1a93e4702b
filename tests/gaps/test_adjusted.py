"""Adjusted gaps: the regression is the standard one, peers truly do better."""

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm

from models.gaps import adjusted_gaps, peer_schools


def world(seed, schools=36, slope=0.12, spread=0.15, noise=(0.05, 0.12)):
    rng = np.random.default_rng(seed)
    nurture = rng.uniform(3, 9, schools)
    truth = rng.normal(0, spread, schools)
    error = rng.uniform(*noise, schools)
    codes = [f"9{i:05d}" for i in range(schools)]
    gaps = pl.DataFrame(
        {
            "semel_mosad": codes,
            "subject": "math",
            "gap_sd": slope * (nurture - 6) + truth + error * rng.normal(size=schools),
            "gap_se_sd": error,
        }
    )
    return gaps, pl.DataFrame({"semel_mosad": codes, "nurture_index": nurture}), truth


def test_without_spread_it_is_weighted_least_squares():
    gaps, background, _ = world(1, spread=0.0, noise=(0.3, 0.5))
    found = adjusted_gaps(gaps, background, ["nurture_index"])
    line = sm.WLS(gaps["gap_sd"].to_numpy(), sm.add_constant(background["nurture_index"].to_numpy()), weights=1 / gaps["gap_se_sd"].to_numpy() ** 2).fit()  # fmt: skip
    if found["gap_adjusted_sd"].abs().max() < 1e-4:  # τ² at its bound
        np.testing.assert_allclose(found["gap_expected_sd"], line.fittedvalues, atol=1e-4)
    else:
        np.testing.assert_allclose(found["gap_expected_sd"], line.fittedvalues, atol=0.05)


def test_adjusted_gaps_cover_the_planted_departures():
    inside, near = [], []
    for seed in range(150):
        gaps, background, truth = world(seed)
        found = adjusted_gaps(gaps, background, ["nurture_index"])
        inside.append(pl.Series(truth).is_between(found["gap_adjusted_lo_sd"], found["gap_adjusted_hi_sd"]).mean())  # fmt: skip
        near.append(np.corrcoef(found["gap_adjusted_sd"], background["nurture_index"])[0, 1])
    assert 0.86 <= np.mean(inside) <= 0.94
    assert abs(np.mean(near)) < 0.1  # what background explains is gone


def test_peers_are_alike_and_truly_better():
    right, asked = [], 0
    for seed in range(40):
        gaps, background, truth = world(seed)
        of = dict(zip(background["semel_mosad"], truth, strict=True))
        found = adjusted_gaps(gaps, background, ["nurture_index"])
        peers = peer_schools(found, background, ["nurture_index"], caliper=0.75)
        asked += peers["semel_mosad"].n_unique()
        right += [of[row["peer_semel_mosad"]] < of[row["semel_mosad"]] for row in peers.to_dicts()]
        assert (peers["distance_sd"] <= 0.75).all()
        assert peers.group_by("semel_mosad").len()["len"].max() <= 3
    assert np.mean(right) >= 0.80
    assert asked > 40 * 10


def test_too_few_schools_unknown_background_and_no_covariate():
    gaps, background, _ = world(1, schools=9)
    assert adjusted_gaps(gaps, background, ["nurture_index"]).is_empty()
    gaps, background, _ = world(1)
    some = background.with_columns(
        pl.when(pl.col("semel_mosad") == "900003").then(None).otherwise("nurture_index").alias("nurture_index")
    )  # fmt: skip
    assert "900003" not in adjusted_gaps(gaps, some, ["nurture_index"])["semel_mosad"]
    with pytest.raises(ValueError, match="covariate"):
        adjusted_gaps(gaps, background, [])


def test_order_says_nothing():
    gaps, background, _ = world(3)
    found = adjusted_gaps(gaps, background, ["nurture_index"])
    again = adjusted_gaps(gaps.reverse(), background.reverse(), ["nurture_index"])
    assert found.equals(again)
    assert peer_schools(found, background, ["nurture_index"]).equals(peer_schools(again.reverse(), background.reverse(), ["nurture_index"]))  # fmt: skip
