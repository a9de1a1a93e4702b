"""Prior, local estimate, posterior."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.effects import BIAS_SD, combine

PRIOR = pl.DataFrame(
    {
        "response_id": ["milat"],
        "subject": ["math"],
        "prior_sd": [0.2],
        "prior_se_sd": [0.1],
        "transport_discount": [0.6],
    }
)


def local(value, se, grade):
    return pl.DataFrame(
        {
            "response_id": ["milat"],
            "subject": ["math"],
            "local_sd": [value],
            "local_se_sd": [se],
            "local_bias_sd": [BIAS_SD.get(grade)],
            "design_grade": [grade],
            "design_shares": [f"{grade} 100"],
            "treated_pupils": [100],
            "schools": [9],
            "doubts": [""],
            "is_weak": [False],
        }
    )


def test_without_a_local_estimate_the_posterior_is_the_discounted_prior():
    row = combine(PRIOR).row(0, named=True)
    assert row["effect_sd"] == pytest.approx(0.12, abs=1e-15)
    assert row["effect_se_sd"] == 0.1
    assert (row["is_measured"], row["design_grade"], row["local_sd"]) == (False, "E", None)
    assert row["effect_lo_sd"] == pytest.approx(0.12 - 1.6448536 * 0.1, abs=1e-6)
    assert row["p_positive"] == pytest.approx(0.8849303, abs=1e-6)


def test_precision_weighting_by_hand():
    row = combine(PRIOR, local(0.0, 0.1, "A")).row(0, named=True)
    assert row["effect_sd"] == pytest.approx(0.06)
    assert row["effect_se_sd"] == pytest.approx(0.1 / 2**0.5)
    biased = combine(PRIOR, local(0.0, 0.1, "D")).row(0, named=True)
    assert biased["local_se_sd"] == pytest.approx((0.01 + 0.01) ** 0.5)
    assert biased["effect_sd"] == pytest.approx(0.12 * 100 / (100 + 50))


@given(st.floats(-1, 1), st.floats(0.01, 1), st.sampled_from(sorted(BIAS_SD)))
def test_the_posterior_lies_between_and_is_surer_than_both(value, se, grade):
    row = combine(PRIOR, local(value, se, grade)).row(0, named=True)
    assert min(0.12, value) - 1e-12 <= row["effect_sd"] <= max(0.12, value) + 1e-12
    assert row["effect_se_sd"] < min(0.1, row["local_se_sd"])


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="positive spread"):
        combine(PRIOR.with_columns(pl.lit(0.0).alias("prior_se_sd")))
    with pytest.raises(ValueError, match="needs a bias"):
        combine(PRIOR, local(0.1, 0.1, "Z"))
    with pytest.raises(ValueError, match="prior effect is given twice"):
        combine(pl.concat([PRIOR, PRIOR]))
    with pytest.raises(ValueError, match="local estimate is given twice"):
        combine(PRIOR, pl.concat([local(0.1, 0.1, "A")] * 2))
    with pytest.raises(ValueError, match="without a prior"):
        combine(PRIOR, local(0.1, 0.1, "A").with_columns(pl.lit("other").alias("response_id")))
    for se in (0.0, -0.1, None):
        one = local(0.1, 0.1, "A").with_columns(pl.lit(se, pl.Float64).alias("local_se_sd"))
        with pytest.raises(ValueError, match="every local estimate needs"):
            combine(PRIOR, one)


def test_a_local_row_without_a_value_is_no_estimate():
    empty = local(0.1, 0.1, "C").with_columns(pl.lit(None, pl.Float64).alias("local_sd"))
    assert combine(PRIOR, empty).equals(combine(PRIOR))
