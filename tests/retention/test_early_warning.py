"""Early warning: right counts where risks are planted, refused where nothing can be known."""

import dataclasses
from functools import cache

import numpy as np
import polars as pl
import pytest

from models.retention import early_warning
from tests.examples import examples

FEATURES = ["absence_pct", "nurture_decile", "is_new_immigrant"]


@cache
def world(seed, *, strength=1.0, schools=20, pupils=150, years=4):
    """Pupils whose risk is known: last absence and background raise it, by `strength`."""
    rng = np.random.default_rng(seed)
    rows = []
    for school in range(schools):
        level = rng.normal(0, 0.3)
        for year in range(2021, 2021 + years):
            for grade in range(1, 6):
                n = pupils // 3
                absence = rng.gamma(2.0, 3.0, n)
                decile = rng.integers(1, 11, n)
                new = rng.random(n) < 0.1
                odds = -2.4 + strength * (0.12 * (absence - 6) + 0.12 * (decile - 5.5) + level)
                risk = 1 / (1 + np.exp(-odds))
                for i in range(n):
                    rows.append(
                        (
                            f"{school}-{year}-{grade}-{i}",
                            f"9{school:05d}",
                            year,
                            grade,
                            float(absence[i]),
                            int(decile[i]),
                            bool(new[i]),
                            bool(rng.random() < risk[i]),
                            float(risk[i]),
                        )
                    )
    frame = pl.DataFrame(
        rows,
        schema=[
            "pupil_hash",
            "semel_mosad",
            "school_year",
            "grade",
            "absence_pct",
            "nurture_decile",
            "is_new_immigrant",
            "outcome",
            "risk",
        ],
        orient="row",
    )
    last = 2020 + years
    blind = frame.with_columns(
        pl.when(pl.col("school_year") == last).then(None).otherwise("outcome").alias("outcome")
    )
    return blind, frame.filter(pl.col("school_year") == last)


@pytest.mark.sampled
def test_counts_cover_and_the_total_is_right():
    inside, ratio, used = [], [], []
    for seed in range(examples(6, part=2)):
        pupils, truth = world(seed)
        found = early_warning(pupils, FEATURES, draws=100)
        used.append(found.is_used)
        seen = truth.group_by(
            "semel_mosad", (pl.col("grade") + 1).cast(pl.Int32).alias("grade")
        ).agg(pl.col("outcome").sum(), pl.len().alias("n"))
        both = found.expected.join(seen, on=["semel_mosad", "grade"])
        assert both.height == found.expected.height == 100
        assert (both["pupils"] == both["n"]).all()
        inside.append(
            both["outcome"]
            .is_between(both["expected_lo_pupils"].floor(), both["expected_hi_pupils"].ceil())
            .mean()
        )
        ratio.append(both["expected_pupils"].sum() / truth["risk"].sum())
    assert all(used)
    assert np.mean(inside) >= 0.86
    assert np.mean(ratio) == pytest.approx(1, abs=0.05)


@pytest.mark.sampled
def test_noise_is_refused_and_the_school_s_rate_stands_in():
    reasons = []
    for seed in range(examples(8, part=2)):
        pupils, _ = world(seed, strength=0.0)
        found = early_warning(pupils, FEATURES, draws=100)
        reasons.append(found.reason_code)
        assert found.expected.height == 100
        assert found.is_used == (found.reason_code == "used")
    assert np.mean([reason == "no_better_than_base_rate" for reason in reasons]) >= 0.85


def test_the_hold_out_teaches_nothing():
    pupils, _ = world(3)
    turned = pupils.with_columns(
        pl.when(pl.col("school_year") == 2023)
        .then(~pl.col("outcome"))
        .otherwise("outcome")
        .alias("outcome")
    )
    one, two = early_warning(pupils, FEATURES, draws=50), early_warning(turned, FEATURES, draws=50)
    at = pl.col("metric") == "expected_over_observed", pl.col("candidate") == "model"
    observed = [p.filter(pl.col("school_year") == 2023)["outcome"].sum() for p in (pupils, turned)]
    totals = [
        f.validation.filter(at)["value"].item() * n
        for f, n in zip((one, two), observed, strict=True)
    ]
    assert totals[0] == pytest.approx(totals[1], rel=1e-9)  # the same predictions
    assert not two.is_used


def test_nothing_about_a_pupil_leaves():
    pupils, _ = world(1)
    found = early_warning(pupils, FEATURES, draws=50)
    for field in dataclasses.fields(found):
        value = getattr(found, field.name)
        if isinstance(value, pl.DataFrame):
            assert "pupil_hash" not in value.columns
            assert value.height <= 100
            text = value.write_csv()
            assert not any(key in text for key in pupils["pupil_hash"].head(50))


def test_validation_holds_what_it_says():
    pupils, _ = world(2)
    found = early_warning(pupils, FEATURES)
    rows = {(row["metric"], row["candidate"]): row for row in found.validation.to_dicts()}
    assert rows["auc", "model"]["value"] > rows["auc", "last_absence"]["value"] > 0.6
    assert rows["log_loss", "model"]["value"] < rows["log_loss", "base_rate"]["value"]
    assert rows["log_loss_gain_over_base_rate", "model"]["value_lo"] > 0
    assert rows["calibration_slope", "model"]["value"] == pytest.approx(1, abs=0.25)
    held = pupils.filter(pl.col("school_year") == 2023)
    assert found.reliability["pupils"].sum() == held.height
    assert (found.reliability["expected_pct"].diff().drop_nulls() > 0).all()
    assert (found.reliability["observed_lo_pct"] <= found.reliability["observed_pct"]).all()
    top = found.importance.sort("importance", descending=True)["feature"].to_list()
    assert top[-1] == "is_new_immigrant"


def test_few_events_and_missing_columns():
    pupils, _ = world(1, schools=3)
    found = early_warning(pupils, FEATURES)
    assert (found.is_used, found.reason_code) == (False, "too_few_events")
    assert found.expected["expected_pupils"].sum() > 0
    unknown = pupils.with_columns(outcome=pl.lit(None, pl.Boolean))
    assert early_warning(unknown, FEATURES).expected.is_empty()
    with pytest.raises(ValueError, match="lack columns"):
        early_warning(pupils, ["shoe_size"])
    with pytest.raises(ValueError, match="no year to expect for"):
        early_warning(pupils.filter(pl.col("outcome").is_not_null()), FEATURES)


def test_order_says_nothing_and_gaps_are_no_zeros():
    pupils, _ = world(5)
    holes = pupils.with_columns(
        pl.when(pl.col("pupil_hash").str.ends_with("3"))
        .then(None)
        .otherwise("absence_pct")
        .alias("absence_pct")
    )
    one = early_warning(holes, FEATURES, draws=50)
    two = early_warning(holes.sample(fraction=1, shuffle=True, seed=3), FEATURES, draws=50)
    assert one.expected.equals(two.expected)
    assert one.validation.equals(two.validation)
