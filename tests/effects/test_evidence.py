"""What an effect rests on: shares of precision, and nothing carried of an assumption (R122)."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.effects import combine, evidence_shares, local_estimates
from pipelines.decide.effects import priors
from pipelines.settings.city import load_city
from tests.examples import examples

ERRORS = st.floats(0.01, 1.0)


def designs(rows):
    """Used designs of response r: subject, grade, error, bias."""
    return pl.DataFrame(
        [
            ("r", subject, f"{grade}{i}", grade, 0.1, se, bias, True, 10, 2, "", False)
            for i, (subject, grade, se, bias) in enumerate(rows)
        ],
        schema={
            "response_id": pl.String,
            "subject": pl.String,
            "design": pl.String,
            "design_grade": pl.String,
            "effect_sd": pl.Float64,
            "effect_se_sd": pl.Float64,
            "bias_sd": pl.Float64,
            "is_used": pl.Boolean,
            "treated_pupils": pl.Int32,
            "schools": pl.Int32,
            "doubts": pl.String,
            "is_weak": pl.Boolean,
        },
        orient="row",
    )


def known(**subjects):
    rows = [("r", subject, 0.2, error, 0.5) for subject, error in subjects.items()]
    names = ["response_id", "subject", "prior_sd", "prior_se_sd", "transport_discount"]
    return pl.DataFrame(rows, schema=names, orient="row")


def shares(posterior, used, assumed=()):
    found = evidence_shares(posterior, used, assumed=assumed)
    return dict(found.select("evidence_kind", "evidence_share_pct").iter_rows())


def test_by_hand():
    posterior = known(math=0.1, hebrew=0.1)
    used = designs([("math", "A", 0.1, 0.0), ("math", "D", 0.06, 0.08)])
    # In mathematics three precisions of 100, in Hebrew the literature alone.
    assert shares(posterior, used) == pytest.approx(
        {"literature": (100 / 3 + 100) / 2, "own_a": 100 / 6, "own_d": 100 / 6}
    )
    assert shares(posterior, used, ["r"])["assumed"] == pytest.approx((100 / 3 + 100) / 2)


@settings(max_examples=examples(100), deadline=None)
@given(ERRORS, st.lists(st.tuples(st.sampled_from("ABCD"), ERRORS, ERRORS), max_size=3))
def test_the_shares_are_those_of_the_posterior(prior, rows):
    used = designs([("math", *row) for row in rows])
    posterior = combine(known(math=prior), local_estimates(used))
    found = shares(posterior, used)
    assert sum(found.values()) == pytest.approx(100)
    pulled = (posterior["effect_se_sd"].item() / prior) ** 2
    assert found["literature"] == pytest.approx(100 * pulled)


def test_of_an_assumption_and_of_another_kind_nothing_is_carried(small_city):
    city = load_city(small_city)
    found = combine(priors(city).drop("source")).with_columns(
        is_assumed=pl.col("response_id").map_elements(city.policy.is_assumed, return_dtype=bool)
    )
    assumed = found.filter("is_assumed")
    # Declared as assumed, and as literature on another kind of response.
    assert {"amirim", "hebrew_immigrants", "tikshuv"} <= set(assumed["response_id"])
    assert (assumed["prior_sd"] > 0).all()
    assert (assumed["effect_sd"] == 0).all()
    assert (assumed["effect_se_sd"] == assumed["prior_se_sd"]).all()
    others = found.filter(~pl.col("is_assumed"))
    assert (others["effect_sd"] > 0).all()
