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
    line = sm.WLS(
        gaps["gap_sd"].to_numpy(),
        sm.add_constant(background["nurture_index"].to_numpy()),
        weights=1 / gaps["gap_se_sd"].to_numpy() ** 2,
    ).fit()
    if found["gap_adjusted_sd"].abs().max() < 1e-4:  # τ² at its bound
        np.testing.assert_allclose(found["gap_expected_sd"], line.fittedvalues, atol=1e-4)
    else:
        np.testing.assert_allclose(found["gap_expected_sd"], line.fittedvalues, atol=0.05)


def test_adjusted_gaps_cover_the_planted_departures():
    inside, near = [], []
    for seed in range(150):
        gaps, background, truth = world(seed)
        found = adjusted_gaps(gaps, background, ["nurture_index"])
        inside.append(
            pl.Series(truth)
            .is_between(found["gap_adjusted_lo_sd"], found["gap_adjusted_hi_sd"])
            .mean()
        )
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
        pl.when(pl.col("semel_mosad") == "900003")
        .then(None)
        .otherwise("nurture_index")
        .alias("nurture_index")
    )
    assert "900003" not in adjusted_gaps(gaps, some, ["nurture_index"])["semel_mosad"]
    with pytest.raises(ValueError, match="covariate"):
        adjusted_gaps(gaps, background, [])


def test_order_says_nothing():
    gaps, background, _ = world(3)
    found = adjusted_gaps(gaps, background, ["nurture_index"])
    again = adjusted_gaps(gaps.reverse(), background.reverse(), ["nurture_index"])
    assert found.equals(again)
    assert peer_schools(found, background, ["nurture_index"]).equals(
        peer_schools(again.reverse(), background.reverse(), ["nurture_index"])
    )


def test_the_regression_is_the_published_one_of_the_tuberculosis_vaccine():
    """13 trials of Colditz et al. (1994) on latitude, REML: 0.2515 - 0.0291·latitude (Viechtbauer
    2010).
    """
    sick = [4, 6, 3, 62, 33, 180, 8, 505, 29, 17, 186, 5, 27]
    well = [119, 300, 228, 13536, 5036, 1361, 2537, 87886, 7470, 1699, 50448, 2493, 16886]
    control_sick = [11, 29, 11, 248, 47, 372, 10, 499, 45, 65, 141, 3, 29]
    control_well = [128, 274, 209, 12619, 5761, 1079, 619, 87892, 7232, 1600, 27197, 2338, 17825]
    latitude = [44, 55, 42, 52, 13, 44, 19, 13, 27, 42, 18, 33, 33]
    a, b, c, d = (np.array(values, float) for values in (sick, well, control_sick, control_well))
    trials = pl.DataFrame(
        {
            "semel_mosad": [f"{i:02d}" for i in range(13)],
            "subject": "math",
            "gap_sd": np.log(a / (a + b)) - np.log(c / (c + d)),
            "gap_se_sd": np.sqrt(1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)),
        }
    )
    background = pl.DataFrame({"semel_mosad": trials["semel_mosad"], "latitude": latitude})
    expected = adjusted_gaps(trials, background, ["latitude"])["gap_expected_sd"].to_numpy()
    slope, start = np.polyfit(latitude, expected, 1)
    assert (round(start, 4), round(slope, 4)) == (0.2515, -0.0291)


@pytest.mark.parametrize("spread", [pytest.param(0.05, marks=pytest.mark.slow), 0.2])
def test_intervals_hold_in_a_small_city_and_for_the_school_far_out(spread):
    """Where the error of β weighs: with few schools, and for one whose background is unlike the
    rest.
    """
    inside, far = [], []
    for seed in range(300):
        gaps, background, truth = world(seed, schools=12, spread=spread, noise=(0.05, 0.08))
        moved = background.with_columns(
            nurture_index=pl.when(pl.col("semel_mosad") == "900000")
            .then(14.0)
            .otherwise("nurture_index")
        )
        change = 0.12 * (moved["nurture_index"] - background["nurture_index"])
        found = adjusted_gaps(
            gaps.with_columns(pl.col("gap_sd") + change), moved, ["nurture_index"]
        )
        held = pl.Series(truth).is_between(found["gap_adjusted_lo_sd"], found["gap_adjusted_hi_sd"])
        inside.append(held.mean())
        far.append(held[0])
    assert 0.86 <= np.mean(inside) <= 0.95
    assert np.mean(far) >= 0.83


def test_where_schools_look_alike_nobody_is_certain():
    gaps, background, _ = world(1, spread=0.0, slope=0.0)
    found = adjusted_gaps(gaps.with_columns(gap_sd=pl.lit(0.1)), background, ["nurture_index"])
    assert found["gap_adjusted_sd"].abs().max() == 0
    assert (found["gap_adjusted_hi_sd"] > found["gap_adjusted_lo_sd"]).all()
    assert set(found["gap_adjusted_tier"]) == {"cannot_tell"}
    assert peer_schools(found, background, ["nurture_index"]).is_empty()


def test_a_peer_is_of_the_same_stream_where_that_is_asked():
    gaps, background, _ = world(2)
    streams = background.with_columns(stream=pl.Series(["state", "religious"] * 18))
    found = adjusted_gaps(gaps, streams, ["nurture_index"])
    of = dict(zip(streams["semel_mosad"], streams["stream"], strict=True))
    free = peer_schools(found, streams, ["nurture_index"])
    bound = peer_schools(found, streams, ["nurture_index"], same=["stream"])
    assert any(of[row["semel_mosad"]] != of[row["peer_semel_mosad"]] for row in free.to_dicts())
    assert bound.height > 0
    assert all(of[row["semel_mosad"]] == of[row["peer_semel_mosad"]] for row in bound.to_dicts())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda g, b: (pl.concat([g, g]), b), "gaps: .* repeats"),
        (lambda g, b: (g, pl.concat([b, b])), "background: .* repeats"),
        (lambda g, b: (g.with_columns(gap_se_sd=pl.lit(0.0)), b), "positive error"),
        (lambda g, b: (g, b.with_columns(other=2 * pl.col("nurture_index"))), "collinear"),
    ],
)
def test_bad_input_is_named(change, said):
    gaps, background = change(*world(1)[:2])
    with pytest.raises(ValueError, match=said):
        adjusted_gaps(gaps, background, background.columns[1:])
