"""The need index of generated cities against the index that truth would give (make validate; R43).

`TIKKUN_NEED_SEEDS` says over how many cities (50 if not given, five to ten seconds each).
"""

import os

import polars as pl
import pytest

from models.demo import generate
from pipelines.diagnose.gaps import gaps
from pipelines.diagnose.need import need
from pipelines.settings.city import load_city
from tests.validation.planted_need import KEY, true_need
from tests.validation.planted_plans import core_tables, true_gaps

SEEDS = range(101, 101 + int(os.environ.get("TIKKUN_NEED_SEEDS", "50")))
APART_SD, NEAR_SD = 0.3, 0.02


def judged(city, seed):
    """Return one city's indicators beside the truth, its index beside the truth, its weights."""
    made = generate(seed)
    tables = core_tables(city, made)
    tables |= gaps(city, tables)
    tables |= need(city, tables)
    truth = true_need(city, tables, made, true_gaps(tables, made))
    named = pl.lit(seed).alias("seed")
    indicators = tables["mart_need_indicator"].join(truth.indicators, on=KEY, suffix="_true")
    index = tables["mart_need_index"].join(truth.index, on="semel_mosad", suffix="_true")
    return [part.with_columns(named) for part in (indicators, index, tables["mart_indicator"])]


def claims(indicators, index, label):
    """Print and return what is claimed: correlations by city, and pairs of schools .3 SD apart."""
    correlation = (
        index.group_by("seed").agg(r=pl.corr("need", "need_true")).sort("seed")["r"].to_list()
    )
    gap = indicators.filter("is_measured", pl.col("unit") == "pupil SD").with_columns(
        pl.col("indicator_value_true").alias("gap")
    )
    inside = gap.filter(pl.col("indicator_need_true").is_between(0, 1, closed="none"))
    on = ["seed", "indicator_id"]
    pairs = inside.join(inside, on=on, suffix="_less").filter(
        (pl.col("gap") - pl.col("gap_less")).is_between(APART_SD - NEAR_SD, APART_SD + NEAR_SD)
    )
    apart = pairs["indicator_need"] - pairs["indicator_need_less"]
    found = {
        "correlation": sum(correlation) / len(correlation),
        "worst": min(correlation),
        "apart": apart.mean(),
        "share": (apart >= 0.1).mean(),
    }
    print(
        f"{label}: correlation of the index with the truth's, mean {found['correlation']:.3f},"
        f" worst {found['worst']:.3f} (n = {len(correlation)} cities); indicators of schools"
        f" {APART_SD} SD apart differ by {found['apart']:.3f}, by .1 or more in"
        f" {found['share']:.3f} (n = {len(apart)} pairs)"
    )
    return found


@pytest.fixture(scope="module")
def city(small_city):
    return load_city(small_city)


def as_probability(indicators):
    """Return gap indicators as the probability of a gap, which saturates: the claims must fail."""
    return indicators.with_columns(pl.coalesce("p_need", "indicator_need").alias("indicator_need"))


@pytest.mark.slow
def test_the_index_is_the_truth_s_and_tells_sizes_apart(city):
    indicators, index, weights = map(pl.concat, zip(*(judged(city, s) for s in SEEDS), strict=True))
    found = claims(indicators, index, "size of the need")
    assert found["correlation"] >= 0.975
    assert found["worst"] >= 0.94
    assert found["apart"] >= 0.15
    assert found["share"] >= 0.80
    blind = claims(as_probability(indicators), index, "probability of a need")
    assert blind["apart"] < 0.15
    told = weights.group_by("indicator_id", "weight_pct").agg(
        pl.col("importance_pct").mean().alias("effective_pct"), pl.len().alias("cities")
    )
    print(told.sort("indicator_id"))
    assert (
        weights.group_by("seed").agg(pl.col("importance_pct").sum())[:, 1] - 100
    ).abs().max() < 1e-6


def test_one_city_s_index_is_near_the_truth_s(city):
    indicators, index, _ = judged(city, 1)
    found = claims(indicators, index, "one city")
    assert found["correlation"] >= 0.94
    assert found["share"] >= 0.80
