"""Early warning on generated cities: counts cover, noise is refused (make validate)."""

import numpy as np
import polars as pl
import pytest

from models.demo import generate
from models.retention import early_warning

pytestmark = pytest.mark.slow
FEATURES = ["absence_pct", "school_absence_pct", "nurture_decile", "grade"]
SEEDS = range(201, 221)


def pupils(seed):
    city = generate(seed=seed, profile="clean")
    years = range(2022, 2027)
    moved = dict(city.files["merges.csv"].select("semel_mosad_old", "semel_mosad").iter_rows())
    days = pl.concat(city.files[f"attendance_{year}.csv"] for year in years)
    people = pl.concat(
        city.files[f"pupils_{year}.csv"].select(
            "pupil_id", "school_year", "semel_mosad", "grade", "nurture_decile"
        )
        for year in years
    )
    rows = people.join(
        days.select("pupil_id", "school_year", "absence_days", "school_days"),
        on=["pupil_id", "school_year"],
    ).with_columns(
        pl.col("semel_mosad").replace(moved),
        (100 * pl.col("absence_days") / pl.col("school_days")).alias("absence_pct"),
        (pl.col("absence_days") * 10 >= pl.col("school_days")).alias("now"),
    )
    later = rows.select(
        "pupil_id", (pl.col("school_year") - 1).alias("school_year"), pl.col("now").alias("outcome")
    )
    return (
        rows.join(later, on=["pupil_id", "school_year"], how="left")
        .with_columns(
            pl.col("absence_pct")
            .mean()
            .over("semel_mosad", "school_year")
            .alias("school_absence_pct")
        )
        .rename({"pupil_id": "pupil_hash"})
    )


@pytest.fixture(scope="module")
def cities():
    return {seed: pupils(seed) for seed in SEEDS}


def test_counts_cover_what_came(cities):
    inside, used, gain = [], [], []
    for rows in cities.values():
        truth = rows.filter(pl.col("school_year") == 2025, pl.col("grade") < 6)
        blind = rows.filter(pl.col("school_year") <= 2025).with_columns(
            pl.when(pl.col("school_year") == 2025).then(None).otherwise("outcome").alias("outcome")
        )
        # Those who left are not known to be absent or present: they are in neither count.
        blind = blind.filter(
            (pl.col("school_year") < 2025)
            | pl.col("pupil_hash").is_in(truth.drop_nulls("outcome")["pupil_hash"].implode())
        )
        found = early_warning(blind, FEATURES, draws=100)
        used.append(found.is_used)
        metrics = {
            (row["metric"], row["candidate"]): row["value"] for row in found.validation.to_dicts()
        }
        gain.append(metrics["auc", "model"] - metrics["auc", "last_absence"])
        seen = (
            truth.drop_nulls("outcome")
            .group_by("semel_mosad", (pl.col("grade") + 1).cast(pl.Int32).alias("grade"))
            .agg(pl.col("outcome").sum())
        )
        both = found.expected.join(seen, on=["semel_mosad", "grade"])
        covers = pl.col("outcome").is_between("expected_lo_pupils", "expected_hi_pupils")
        inside.append(both.select(covers.mean()).item())
    print(
        f"coverage of counts {np.mean(inside):.3f}; used in {np.mean(used):.2f}; AUC above last"
        f" absence alone by {np.mean(gain):.3f}"
    )
    assert 0.86 <= np.mean(inside) <= 0.96
    assert np.mean(gain) > 0


def test_shuffled_outcomes_are_refused(cities):
    refused = []
    for seed, rows in cities.items():
        some = rows.filter(pl.col("outcome").is_not_null())
        mixed = some.with_columns(pl.col("outcome").shuffle(seed=seed).over("school_year"))
        rest = rows.filter(pl.col("outcome").is_null() & (pl.col("school_year") == 2026))
        refused.append(not early_warning(pl.concat([mixed, rest]), FEATURES, draws=100).is_used)
    print(f"refused on shuffled outcomes: {np.mean(refused):.2f}")
    assert np.mean(refused) >= 0.95
