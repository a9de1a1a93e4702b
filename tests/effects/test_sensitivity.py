"""How strong an unmeasured confounder would have to be: published numbers and closed forms."""

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.effects.sensitivity import sensitivity
from pipelines.decide.effects import with_sensitivity


def of(effect, error, dof=1000, **options):
    frame = pl.DataFrame({"effect_sd": [effect], "effect_se_sd": [error], "dof": [dof]})
    return sensitivity(frame, **options).row(0, named=True)


def test_robustness_of_the_darfur_study():
    # Cinelli & Hazlett (2020), table 1: estimate .097, se .023, 783 df → 13.9 % and 7.6 %.
    row = of(0.09732, 0.02326, 783, level=0.95)
    assert row["robustness_pct"] == pytest.approx(13.878, abs=0.005)
    assert row["robustness_limit_pct"] == pytest.approx(7.626, abs=0.005)


@pytest.mark.parametrize(
    ("ratio", "e_value"), [(3.9, 7.26), (1 / 0.80, 1.81), (1 / 0.91, 1.43), (1.8, 3.0)]
)
def test_published_e_values(ratio, e_value):
    # VanderWeele & Ding (2017): breast-feeding (3.9, limit 1.8) and leukaemia (.80, limit .91).
    assert of(math.log(ratio) / 0.91, 0.1)["e_value"] == pytest.approx(e_value, abs=0.005)


def test_the_limit_of_a_standardised_difference():
    # d = .5, se = .2: R = exp(.455), 95 % limit exp(.455 − 1.78·.2) as the source rounds it, by
    # hand.
    row = of(0.5, 0.2, level=0.95)
    risk, limit = math.exp(0.455), math.exp(0.455 - 0.91 * 1.959964 * 0.2)
    assert row["e_value"] == pytest.approx(risk + math.sqrt(risk * (risk - 1)), abs=1e-12)
    assert row["e_value_limit"] == pytest.approx(limit + math.sqrt(limit * (limit - 1)), abs=1e-6)


@given(st.floats(-1, 1), st.floats(0.01, 1), st.integers(10, 5000))
def test_a_confounder_as_strong_as_the_robustness_value_leaves_nothing(effect, error, dof):
    # The bias of a confounder with both partial R² = V is se·√dof·√(V·V/(1 − V)).
    share = of(effect, error, dof)["robustness_pct"] / 100
    bias = error * math.sqrt(dof) * math.sqrt(share**2 / (1 - share))
    assert bias == pytest.approx(abs(effect), rel=1e-6, abs=1e-9)


@given(st.floats(-1, 1), st.floats(0.01, 1))
def test_sign_does_not_matter_and_the_limit_needs_less(effect, error):
    row, mirrored = of(effect, error), of(-effect, error)
    assert row["e_value"] == mirrored["e_value"] >= row["e_value_limit"] >= 1
    assert row["robustness_pct"] == mirrored["robustness_pct"] >= row["robustness_limit_pct"] >= 0


def test_an_interval_that_holds_zero_needs_no_confounder():
    row = of(0.05, 0.1)
    assert (row["e_value_limit"], row["robustness_limit_pct"]) == (1, 0)


def test_no_effect_stays_none_and_other_columns_pass():
    frame = pl.DataFrame(
        {"response_id": ["a"], "effect_sd": [None], "effect_se_sd": [None], "dof": [None]},
        schema_overrides={"effect_sd": pl.Float64, "effect_se_sd": pl.Float64, "dof": pl.Int64},
    )
    row = sensitivity(frame).row(0, named=True)
    assert row["response_id"] == "a"
    assert row["e_value"] is row["robustness_pct"] is row["robustness_limit_pct"] is None


@pytest.mark.parametrize(
    ("effect", "error", "dof"), [(0.1, 0.0, 9), (0.1, 0.1, 1), (math.nan, 0.1, 9)]
)
def test_bad_input_is_refused(effect, error, dof):
    with pytest.raises(ValueError, match="an effect is without"):
        of(effect, error, dof)
    with pytest.raises(ValueError, match="level"):
        of(0.1, 0.1, level=1)


def test_only_designs_that_observe_are_asked_what_would_explain_them_away():
    designs = pl.DataFrame(
        [
            ("r", "math", "lottery", 0.2, 0.05, 100, 100),
            ("r", "math", "matching", 0.2, 0.05, 100, 300),
            ("r", "math", "panel", 0.2, 0.05, 100, 300),
            ("r", "math", "threshold", None, None, 0, 0),
            ("s", "math", "matching", None, None, 0, 50),
        ],
        schema=[
            "response_id",
            "subject",
            "design",
            "effect_sd",
            "effect_se_sd",
            "treated_pupils",
            "control_pupils",
        ],
        orient="row",
    )
    told = with_sensitivity(designs)
    assert told.select(designs.columns).equals(designs)
    known = told.drop_nulls("e_value")
    assert known["design"].to_list() == ["matching", "panel"]
    assert known["e_value"].n_unique() == 1
    expected = of(0.2, 0.05, 400)
    assert known["e_value"][0] == pytest.approx(expected["e_value"])
    assert told.drop_nulls("robustness_pct")["design"].to_list() == ["matching"]
    assert known["robustness_pct"][0] == pytest.approx(expected["robustness_pct"])
