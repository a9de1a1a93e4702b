"""The two-level model against the definition of its likelihood, statsmodels, and planted truth."""

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from tests.examples import examples
from tests.gaps.two_level import fit_two_level


def city(seed=0, schools=30, pupils=20, between=0.2, slope=0.05):
    rng = np.random.default_rng(seed)
    school = np.repeat(np.arange(schools), rng.integers(3, 2 * pupils, schools))
    x = rng.normal(0.3, 1, len(school))
    effects = rng.normal(0, np.sqrt([between, slope]), (schools, 2))[school]
    y = 1 + (0.5 + effects[:, 1]) * x + effects[:, 0] + rng.normal(size=len(school))
    return pl.DataFrame({"semel_mosad": [f"{code:06d}" for code in school], "y": y, "x": x})


def fit(pupils, restricted=True, random=("1", "x")):
    return fit_two_level(pupils, "y", fixed=["x"], random=random, restricted=restricted)


@pytest.mark.parametrize("restricted", [True, False])
def test_deviance_is_that_of_the_whole_normal_distribution(restricted):
    pupils = city(1, schools=12, pupils=8)
    found = fit(pupils, restricted)
    y, x = pupils["y"].to_numpy(), pupils["x"].to_numpy()
    design = np.column_stack([np.ones(len(y)), x])
    same = pupils["semel_mosad"].to_numpy()[:, None] == pupils["semel_mosad"].to_numpy()
    variance = same * (design @ found.spread @ design.T) + found.residual_variance * np.eye(len(y))
    inverse = np.linalg.inv(variance)
    information = design.T @ inverse @ design
    beta = np.linalg.solve(information, design.T @ inverse @ y)
    deviance = -2 * multivariate_normal.logpdf(y, design @ beta, variance)
    if restricted:
        deviance += np.linalg.slogdet(information)[1] - 2 * np.log(2 * np.pi)
    assert found.deviance == pytest.approx(deviance, rel=1e-10)
    np.testing.assert_allclose(found.fixed["estimate"], beta, rtol=1e-8)
    np.testing.assert_allclose(
        found.fixed["se"], np.sqrt(np.diag(np.linalg.inv(information))), rtol=1e-8
    )


@pytest.mark.filterwarnings("ignore::statsmodels.tools.sm_exceptions.ConvergenceWarning")
@pytest.mark.parametrize("restricted", [True, False])
def test_statsmodels_finds_the_same(restricted):
    pupils = city(2)
    found = fit(pupils, restricted)
    design = sm.add_constant(pupils["x"].to_numpy())
    other = sm.MixedLM(
        pupils["y"].to_numpy(), design, pupils["semel_mosad"].to_numpy(), design
    ).fit(reml=restricted, method="bfgs")
    assert found.deviance == pytest.approx(-2 * other.llf, abs=1e-5)
    np.testing.assert_allclose(found.spread, other.cov_re, rtol=2e-3)
    np.testing.assert_allclose(found.fixed["estimate"], other.fe_params, rtol=1e-5)
    predicted = np.array([other.random_effects[code] for code in found.schools["school"]])
    np.testing.assert_allclose(found.schools.select("effect_1", "effect_x"), predicted, atol=1e-4)
    given_ = np.array([other.random_effects_cov[code] for code in found.schools["school"]])
    np.testing.assert_allclose(found.effect_covariance, given_, atol=1e-4)


@settings(max_examples=examples(15), deadline=None)
@given(
    st.sampled_from([-1e6, -3.0, 0.0, 500.0]),
    st.sampled_from([1e-4, 1.0, 100.0]),
    st.sampled_from([0.0, 2015.0, 1e6]),
    st.sampled_from([1e-3, 1.0, 1e4]),
)
def test_units_and_origins_change_nothing_but_the_units(move, stretch, origin, unit):
    pupils = city(3)
    base = fit(pupils, random=("1",))
    moved = pupils.select(
        "semel_mosad", pl.col("y") * stretch + move, pl.col("x") * unit + origin * unit
    )
    found = fit(moved, random=("1",))
    assert found.spread[0, 0] == pytest.approx(base.spread[0, 0] * stretch**2, rel=1e-5)
    slope, se = found.fixed.row(1)[1:3]
    assert slope * unit / stretch == pytest.approx(base.fixed["estimate"][1], rel=1e-6)
    assert se * unit / stretch == pytest.approx(base.fixed["se"][1], rel=1e-6)
    expected = base.deviance + 2 * (pupils.height - 2) * np.log(stretch) + 2 * np.log(unit)
    assert found.deviance == pytest.approx(expected, abs=1e-4)


@settings(max_examples=examples(10), deadline=None)
@given(st.integers(0, 10_000))
def test_the_order_of_pupils_changes_no_byte(seed):
    pupils = city(4)
    found, again = fit(pupils), fit(pupils.sample(fraction=1, shuffle=True, seed=seed))
    assert found.deviance == again.deviance
    assert found.schools.equals(again.schools)
    assert found.fixed.equals(again.fixed)


def test_without_differences_the_spread_is_nil_and_the_line_ordinary():
    nil = 0
    for seed in range(12):
        pupils = city(seed, between=0.0, slope=0.0)
        found = fit(pupils, random=("1",))
        if found.spread[0, 0] > 1e-8:
            continue
        nil += 1
        line = sm.OLS(pupils["y"].to_numpy(), sm.add_constant(pupils["x"].to_numpy())).fit()
        np.testing.assert_allclose(found.fixed["estimate"], line.params, rtol=1e-6)
        np.testing.assert_allclose(found.fixed["se"], line.bse, rtol=1e-6)
        assert found.schools["effect_1"].abs().max() < 1e-6
    assert nil >= 3


def test_planted_truth_is_found_and_intervals_hold_it():
    fits = [fit(city(seed, schools=60)) for seed in range(60)]
    inside = np.mean([f.fixed["lo"][1] < 0.5 < f.fixed["hi"][1] for f in fits])
    assert inside == pytest.approx(0.90, abs=0.11)
    spread = np.mean([f.spread for f in fits], axis=0)
    np.testing.assert_allclose(spread, [[0.2, 0], [0, 0.05]], atol=0.015)
    assert np.mean([f.residual_variance for f in fits]) == pytest.approx(1, abs=0.02)


def test_the_place_of_the_random_intercept_does_not_matter():
    first, last = fit(city(5)), fit(city(5), random=("x", "1"))
    assert first.intraclass_correlation == pytest.approx(last.intraclass_correlation, rel=1e-5)
    assert first.plausible_range() == pytest.approx(last.plausible_range(), rel=1e-5)
    with pytest.raises(ValueError, match="no random intercept"):
        _ = fit(city(5), random=("x",)).intraclass_correlation


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda p: p.with_columns(y=pl.when(pl.int_range(pl.len()) > 0).then("y")),
            "infinite values in y",
        ),
        (
            lambda p: p.with_columns(
                x=pl.when(pl.int_range(pl.len()) > 0).then("x").otherwise(float("nan"))
            ),
            "infinite values in x",
        ),
        (lambda p: p.with_columns(x=pl.lit(2.0)), "same for all pupils"),
        (lambda p: p.with_columns(semel_mosad=pl.lit("1")), "at least three"),
    ],
)
def test_bad_input_is_named(change, said):
    with pytest.raises(ValueError, match=said):
        fit(change(city(6)))


def test_collinear_columns_are_named():
    pupils = city(6).with_columns(z=2 * pl.col("x") + 1)
    with pytest.raises(ValueError, match="collinear"):
        fit_two_level(pupils, "y", fixed=["x", "z"])
