"""Published effects, reproduced (R61): class size in Tennessee, training in the NSW experiment.

STAR: Stock & Watson (Introduction to Econometrics, ch. 13): regressions of the summed reading and
mathematics scores on class type with HC1 errors. NSW: LaLonde (1986), Dehejia & Wahba (1999): a lottery
gives the benchmark, and comparison groups without a lottery miss it, with the wrong sign.
"""

import json

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm

from models.effects.matching import matched


@pytest.fixture(scope="module")
def reference(shared_data):
    return shared_data / "reference"


@pytest.fixture(scope="module")
def known(reference):
    return json.loads((reference / "known_answers.json").read_text())


def ols(outcome, *columns):
    return sm.OLS(outcome, sm.add_constant(np.column_stack(columns))).fit(cov_type="HC1")


@pytest.mark.parametrize(("position", "grade"), list(enumerate("k123")))
def test_class_size_in_tennessee(reference, known, position, grade):
    pupils = pl.read_csv(reference / "star_tennessee/star_aer_wide.csv", infer_schema_length=None)
    kind = pl.col(f"star{grade}")
    sat = pupils.select(
        (pl.col(f"read{grade}") + pl.col(f"math{grade}")).alias("score"),
        (kind == "small").cast(pl.Float64).alias("small"),
        (kind == "regular+aide").cast(pl.Float64).alias("aide"),
    ).drop_nulls()
    fit = ols(sat["score"].to_numpy(), sat["small"].to_numpy(), sat["aide"].to_numpy())
    answers, name = known["star_sw"], "k" if grade == "k" else f"g{grade}"
    assert sat.height == answers["recomputed"]["n"][position]
    assert (fit.params[1], fit.bse[1]) == pytest.approx(answers["recomputed"][name], abs=1e-4)
    assert (fit.params[1], fit.bse[1]) == pytest.approx(answers["published"][name], abs=0.01)
    size = fit.params[1] / sat["score"].std()
    assert size == pytest.approx(answers["recomputed"]["es"][position], abs=1e-5)
    assert size == pytest.approx(answers["published"]["es"][position], abs=0.005)


def test_the_experiment(reference, known):
    people = pl.read_csv(reference / "lalonde/lalonde_arm.csv", infer_schema_length=None)
    fit = ols(people["re78"].to_numpy(), people["treat"].to_numpy())
    assert fit.params[1] == pytest.approx(known["nsw"]["recomputed"], abs=0.01)
    plain = sm.OLS(people["re78"].to_numpy(), sm.add_constant(people["treat"].to_numpy())).fit()
    assert plain.bse[1] == pytest.approx(known["nsw"]["se"], abs=0.01)
    assert round(fit.params[1]) == known["nsw"]["published"]


@pytest.fixture(scope="module")
def observed(reference):
    """The trained, and people of a survey in the place of the controls."""
    people = pl.read_csv(reference / "lalonde/lalonde_matchit.csv", infer_schema_length=None)
    return people.with_row_index("pupil_id").with_columns(
        pl.lit(1978).alias("school_year"),
        pl.lit("all").alias("semel_mosad"),
        pl.lit(1).alias("grade"),
        pl.col("treat").cast(pl.Float64).alias("dose"),
        pl.lit(0.0).alias("dose_before"),
        pl.col("re78").alias("outcome_sd"),  # dollars here
        (pl.col("race") == "black").alias("black"),
        (pl.col("race") == "hispan").alias("hispanic"),
    )


BACKGROUND = ["age", "educ", "black", "hispanic", "married", "nodegree", "re74", "re75"]


def test_observed_comparisons_as_published(observed, known):
    trained = observed["treat"].to_numpy()
    naive = ols(observed["re78"].to_numpy(), trained)
    assert naive.params[1] == pytest.approx(known["nsw"]["matchit_naive"], abs=0.01)
    background = observed.select(pl.col(BACKGROUND).cast(pl.Float64)).to_numpy()
    adjusted = ols(observed["re78"].to_numpy(), trained, *background.T)
    assert adjusted.params[1] == pytest.approx(known["nsw"]["matchit_ols"], abs=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_matching_finds_the_benchmark_where_the_naive_difference_does_not(observed, known, seed):
    # Earnings before are on record without error, so they are covariates and no priors.
    found = matched(observed, covariates=BACKGROUND, priors=[], seed=seed)
    benchmark, naive = known["nsw"]["recomputed"], known["nsw"]["matchit_naive"]
    assert abs(found.effect_sd - benchmark) < abs(naive - benchmark)
    assert abs(found.effect_sd - benchmark) < 1.6448536 * found.effect_se_sd
    assert found.effect_sd > 0 > naive
    assert (
        "poor_overlap" in found.doubts
    )  # few of the survey were like the trained: said, not hidden
