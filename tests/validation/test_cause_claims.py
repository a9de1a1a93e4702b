"""The claims about causes: planted causes are found, and published regressions come out (make
validate).
"""

import json
import os

import polars as pl
import pytest

from models.causes.oaxaca import oaxaca_blinder
from models.demo import generate
from tests.causes.measures import KINDS, ranks

pytestmark = pytest.mark.slow
CITIES = range(1, 1 + int(os.environ.get("TIKKUN_CAUSE_SEEDS", "40")))
AIM = 0.80


@pytest.fixture(scope="module")
def hits():
    """How often a planted cause is among a school's first two, by kind of expectation."""
    rows = []
    for seed in CITIES:
        city = generate(seed=seed, profile="clean")
        rows += [{"expected": kind} | ranks(city, seed, kind) for kind in KINDS]
    found = pl.DataFrame(rows).group_by("expected").agg((pl.exclude("expected") <= 2).mean())
    told = found.with_columns(pl.mean_horizontal(pl.exclude("expected")).alias("mean"))
    with pl.Config(tbl_cols=-1, tbl_width_chars=140):
        print(f"among the first two, of {len(CITIES)} cities", told.sort("expected"))
    return {row.pop("expected"): row for row in told.to_dicts()}


def test_right_expectations_find_planted_causes(hits):
    assert hits["right"]["mean"] >= 0.75


def test_each_planted_cause_is_found_more_often_than_by_chance(hits):
    # Background takes one of the two places at these schools, so chance leaves one for six causes.
    # Turnover is the hardest: its planted 7 points are hardly more than the 6 by which schools
    # differ.
    for cause, rate in hits["registered"].items():
        assert rate > 1 / 6, cause


def test_registered_expectations_are_worth_having_and_find_less_than_right_ones(hits):
    """Open claim: four causes of five, with what is registered, which knows no planted value."""
    assert hits["registered"]["mean"] > hits["neutral"]["mean"]
    if hits["registered"]["mean"] < AIM:
        pytest.xfail(
            f"found {hits['registered']['mean']:.2f}, {hits['right']['mean']:.2f} if right"
        )


@pytest.mark.parametrize(
    ("model", "columns"),
    [("m1", ["str"]), ("m2", ["str", "english"]), ("m3", ["str", "english", "lunch"])],
)
def test_regressions_of_the_california_districts(shared_data, model, columns):
    """Beside a copy whose outcome is 0, all that differs are the coefficients: x̄ β in each
    detail.
    """
    reference = shared_data / "reference"
    known = json.loads((reference / "known_answers.json").read_text())["caschools"]["recomputed"]
    districts = pl.read_csv(reference / "caschools" / "caschools.csv").select(
        "english",
        "lunch",
        semel_mosad=pl.col("district").cast(pl.String),
        str=pl.col("students") / pl.col("teachers"),
        score=(pl.col("read") + pl.col("math")) / 2,
        is_real=pl.lit(True),
    )
    copy = districts.with_columns(score=pl.lit(0.0), is_real=pl.lit(False))
    parts = oaxaca_blinder(
        pl.concat([districts, copy]), "score", "is_real", dict.fromkeys(columns), draws=20
    ).filter(pl.col("part") == "coefficients")
    detail = dict(parts.select("regressor", "contribution").iter_rows())
    means = districts.select(pl.lit(1.0).alias("constant"), *columns).mean().row(0, named=True)
    fitted = [detail[name] / mean for name, mean in means.items()]
    assert fitted == pytest.approx(known[model], abs=1e-6)
