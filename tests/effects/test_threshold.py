"""Effects at a cut-off: published curves, coverage, doubts."""

import numpy as np
import polars as pl
import pytest

from models.effects.threshold import best_bandwidth, cut_off, threshold


def curve(x):
    """Lee's (2008) election curve, as Calonico, Cattaneo & Titiunik (2014) simulate it; jump
    .04.
    """
    left = 0.48 + 1.27 * x + 7.18 * x**2 + 20.21 * x**3 + 21.54 * x**4 + 7.33 * x**5
    right = 0.52 + 0.84 * x - 3.00 * x**2 + 7.99 * x**3 - 9.01 * x**4 + 3.56 * x**5
    return np.where(x < 0, left, right)


def elections(seed, n=500):
    rng = np.random.default_rng(seed)
    x = 2 * rng.beta(2, 4, n) - 1
    return pl.DataFrame(
        {
            "stratum": ["all"] * n,
            "unit": [f"{i:04}" for i in range(n)],
            "running": -x,  # admitted at or below 0
            "dose": (x >= 0).astype(float),
            "outcome_sd": curve(x) + rng.normal(0, 0.1295, n),
        }
    )


def school(seed, *, effect=0.2, take_up=1.0, years=4, size=90):
    """A school whose weakest fifth is admitted by last year's score, several years in a row."""
    rng = np.random.default_rng(seed)
    frames = []
    for year in range(years):
        ability = rng.normal(0, 0.9, size)
        score = ability + rng.normal(0, 0.45, size)
        cut = np.sort(score)[size // 4]
        admitted = score <= cut
        dose = (admitted & (rng.random(size) < take_up)).astype(float)
        frames.append(
            pl.DataFrame(
                {
                    "stratum": [f"{year}"] * size,
                    "unit": [f"{year}-{i:03}" for i in range(size)],
                    "running": score - cut,
                    "dose": dose,
                    "outcome_sd": 0.1 * year + ability + effect * dose + rng.normal(0, 0.6, size),
                    "other_sd": ability + rng.normal(0, 0.6, size),
                }
            )
        )
    return pl.concat(frames)


def test_the_published_curve_is_covered():
    inside = 0
    for seed in range(300):
        found = threshold(elections(seed))
        inside += abs(found.itt_sd - 0.04) <= 1.645 * found.itt_se_sd
    assert 0.86 <= inside / 300 <= 0.94


def test_the_bandwidth_nears_the_best_one_from_above_as_pupils_abound():
    """3.4375 (2σ² / (f (m₊″ - m₋″)²))^⅕ n^-⅕ with the design's f(0) = .625, σ = .1295, curvatures
    -6.00 and 14.36.
    """
    n = 400_000
    frame = elections(1, n)
    found = best_bandwidth(frame["running"].to_numpy(), frame["outcome_sd"].to_numpy())
    best = 3.4375 * (2 * 0.1295**2 / (0.625 * 20.36**2)) ** 0.2 * n**-0.2
    assert best <= found <= 2.5 * best  # known to be slow: its curvatures are regularised


@pytest.mark.parametrize("take_up", [pytest.param(1.0, marks=pytest.mark.slow), 0.7])
def test_intervals_cover_in_a_school_of_usual_size(take_up):
    inside = false = 0
    for seed in range(200):
        found = threshold(school(seed, take_up=take_up))
        inside += abs(found.effect_sd - 0.2) <= 1.645 * found.effect_se_sd
        none = threshold(school(seed, effect=0.0, take_up=take_up))
        false += abs(none.itt_sd) > 1.645 * none.itt_se_sd
    assert 0.86 <= inside / 200 <= 0.96
    assert false / 200 <= 0.15


def test_a_plain_comparison_would_turn_the_sign():
    frame = pl.concat(
        [
            school(seed).with_columns(
                pl.col("unit") + f"-{seed}", stratum=pl.col("stratum") + f"-{seed}"
            )
            for seed in range(8)
        ]
    )
    taking = frame.filter(pl.col("dose") > 0)["outcome_sd"].mean()
    others = frame.filter(pl.col("dose") == 0)["outcome_sd"].mean()
    assert taking - others < -0.5
    found = threshold(frame)
    assert found.effect_sd == pytest.approx(0.2, abs=2.5 * found.effect_se_sd)
    assert found.effect_sd > 0


def test_covariates_that_make_up_the_score_do_no_harm():
    frame = school(2)
    twice = frame.with_columns(a=pl.col("running") - pl.col("other_sd"), b=pl.col("other_sd"))
    found = threshold(twice, covariates=["a", "b"])
    assert found.effect_sd == pytest.approx(threshold(frame, covariates=["other_sd"]).effect_sd)


def test_order_decides_nothing_and_doubts_are_told():
    frame = school(1)
    mixed = frame.sample(fraction=1, shuffle=True, seed=5).select(reversed(frame.columns))
    assert threshold(mixed) == threshold(frame)
    assert threshold(school(1, years=1, size=40)).doubts == ("too_few_near_cutoff",)
    steered = frame.filter((pl.col("running") <= 0) | (pl.col("running") > 0.25))
    assert "uneven_density" in threshold(steered).doubts
    jumped = frame.with_columns(other_sd=pl.col("other_sd") + 2.0 * (pl.col("running") <= 0))
    assert "placebo_fails" in threshold(jumped, placebo="other_sd").doubts
    assert "placebo_fails" not in threshold(frame, placebo="other_sd").doubts
    weak = threshold(school(1, take_up=0.02))
    assert (weak.effect_sd, "weak_take_up" in weak.doubts) == (None, True)
    with pytest.raises(ValueError, match="running"):
        threshold(frame.drop("running"))
    with pytest.raises(ValueError, match="twice"):
        threshold(pl.concat([frame, frame]))


def test_the_cut_off_lies_between_the_offered_and_the_others():
    score = np.array([-2.0, -1.0, -0.6, -0.4, 0.0, 1.0])
    offered = np.array([True, True, True, False, False, False])
    assert cut_off(score, offered) == pytest.approx(-0.5)
    assert cut_off(score[::-1], offered[::-1]) == pytest.approx(-0.5)
    assert cut_off(score, np.ones(6, bool)) is None
    assert cut_off(score, np.zeros(6, bool)) is None
    assert cut_off(np.zeros(6), offered) is None


def test_late_admissions_and_missed_offers_do_not_move_the_cut_off():
    rng = np.random.default_rng(4)
    score = np.sort(rng.normal(size=200))
    offered = score <= -0.5
    late, missed = offered.copy(), offered.copy()
    late[[150, 180]] = True  # a place came free in winter
    missed[[3, 20]] = False  # the letter never went out
    clean = cut_off(score, offered)
    assert cut_off(score, late) == cut_off(score, missed) == clean
    assert abs(clean + 0.5) < 0.1
    assert cut_off(score, rng.random(200) < 0.3) is None  # the score decided nothing
