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
from pipelines.warehouse.tables import nothing
from tests.validation.planted_need import KEY, true_need
from tests.validation.planted_plans import core_tables, true_gaps

SEEDS = range(101, 101 + int(os.environ.get("TIKKUN_NEED_SEEDS", "50")))
APART_SD, NEAR_SD = 0.3, 0.02


def judged(city, seed):
    """Return one city's indicators beside the truth, its index beside the truth, its weights."""
    made = generate(seed)
    tables = core_tables(city, made) | {"core_decision": nothing("core_decision")}
    tables |= gaps(city, tables)
    tables |= need(city, tables)
    truth = true_need(city, tables, made, true_gaps(tables, made))
    named = pl.lit(seed).alias("seed")
    indicators = tables["mart_need_indicator"].join(truth.indicators, on=KEY, suffix="_true")
    index = tables["mart_need_index"].join(truth.index, on="semel_mosad", suffix="_true")
    return [part.with_columns(named) for part in (indicators, index, tables["mart_indicator"])]


def correlations(index):
    """Print and return by city how the index goes with the truth's."""
    found = index.group_by("seed").agg(r=pl.corr("need", "need_true")).sort("seed")["r"]
    print(
        f"correlation of the index with the truth's: mean {found.mean():.3f}, worst"
        f" {found.min():.3f} (n = {len(found)} cities)"
    )
    return found


def differences(indicators, column):
    """Print and return by how much a column tells schools apart whose true gaps lie .3 SD apart."""
    inside = indicators.filter(
        "is_measured",
        pl.col("unit") == "pupil SD",
        pl.col("indicator_need_true").is_between(0, 1, closed="none"),
    ).select("seed", "indicator_id", pl.col("indicator_value_true").alias("gap"), column)
    pairs = inside.join(inside, on=["seed", "indicator_id"], suffix="_less").filter(
        (pl.col("gap") - pl.col("gap_less")).is_between(APART_SD - NEAR_SD, APART_SD + NEAR_SD)
    )
    apart = pairs[column] - pairs[f"{column}_less"]
    print(
        f"{column} of schools {APART_SD} SD apart: {apart.mean():.3f} apart on the mean, .1 or more"
        f" in {(apart >= 0.1).mean():.3f} (n = {len(apart)} pairs)"
    )
    return apart


@pytest.fixture(scope="module")
def city(small_city):
    return load_city(small_city)


@pytest.mark.slow
def test_the_index_is_the_truth_s_and_tells_sizes_apart(city):
    indicators, index, weights = map(pl.concat, zip(*(judged(city, s) for s in SEEDS), strict=True))
    found, apart = correlations(index), differences(indicators, "indicator_need")
    assert found.mean() >= 0.975
    assert found.min() >= 0.94
    assert apart.mean() >= 0.15
    assert (apart >= 0.1).mean() >= 0.80
    # What the index was made of before says of large gaps only that they are there.
    assert differences(indicators, "p_need").mean() < 0.15
    told = weights.group_by("indicator_id", "weight_pct").agg(
        pl.col("importance_pct").mean().alias("effective_pct"), pl.len().alias("cities")
    )
    print(told.sort("indicator_id"))


def test_one_city_s_index_is_near_the_truth_s(city):
    indicators, index, _ = judged(city, 1)
    assert correlations(index).item() >= 0.94
    assert (differences(indicators, "indicator_need") >= 0.1).mean() >= 0.80
