"""Partial pooling: right components, honest intervals, exact algebra."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cells import COHORT_CORRELATION, COHORT_PERSISTENCE, COMPONENTS, measured_cells
from models.gaps import (
    fit_components,
    gap_tier,
    school_gaps,
    shrunken_gaps,
    variance_shares,
)
from models.gaps.blocks import stacks
from models.gaps.components import restricted_loss
from tests.examples import examples
from tests.gaps.cities import TRUE_SD, city

KEY = ["semel_mosad", "subject", "grade", "school_year", "scale_id"]
TRUE = pl.DataFrame({"component": list(TRUE_SD), "component_sd": list(TRUE_SD.values())})


def test_components_are_recovered():
    found = [dict(fit_components(city(seed, schools=60)).iter_rows()) for seed in range(6)]
    for name in COMPONENTS:
        assert np.mean([one[name] for one in found]) == pytest.approx(TRUE_SD[name], abs=0.02), name


def test_the_gradient_is_the_slope_of_the_likelihood():
    # Schools of unequal size, so that padded rows are there to get in the way.
    blocks = list(stacks(measured_cells(city(4, schools=9).sample(fraction=0.6, seed=1))))
    at, step = np.array([0.06, 0.02, 0.004, 0.003]), 1e-6
    slope = [
        (restricted_loss(blocks, at + move)[0] - restricted_loss(blocks, at - move)[0]) / (2 * step)
        for move in np.eye(4) * step
    ]
    np.testing.assert_allclose(restricted_loss(blocks, at)[1], slope, rtol=1e-3, atol=1e-2)


def coverage(seeds, components=None, **options):
    inside, raw, shrunk = [], [], []
    for seed in seeds:
        cells = city(seed, **options)
        found = shrunken_gaps(cells, fit_components(cells) if components is None else components)
        inside.append(
            ((found["truth"] >= found["gap_lo_sd"]) & (found["truth"] <= found["gap_hi_sd"])).mean()
        )
        raw.append(((found["gap_raw_sd"] - found["truth"]) ** 2).mean())
        shrunk.append(((found["gap_sd"] - found["truth"]) ** 2).mean())
    return np.mean(inside), np.sqrt(np.mean(shrunk) / np.mean(raw))


def test_intervals_cover_and_shrinking_helps():
    covered, ratio = coverage(range(50), years=2)
    assert 0.86 <= covered <= 0.94
    assert ratio <= 0.92


def test_without_school_year_noise_the_intervals_are_too_narrow():
    noisy = TRUE_SD | {"school_year": 0.12, "school_subject_year": 0.12}
    blind = pl.DataFrame(
        {
            "component": list(COMPONENTS),
            "component_sd": [noisy["school"], noisy["school_subject"], 0.0, 0.0],
        }
    )
    covered, _ = coverage(range(30), blind, years=3, true_sd=noisy)
    assert covered < 0.86
    honest, _ = coverage(range(30), years=3, true_sd=noisy)
    assert 0.86 <= honest <= 0.94


def test_school_means_cover_too():
    inside = []
    for seed in range(40):
        cells = city(seed, years=3)
        found = school_gaps(cells, fit_components(cells), 2021, 2022).filter(
            pl.col("subject") != "all"
        )
        truth = (
            cells.filter(pl.col("school_year") >= 2021)
            .group_by("semel_mosad", "subject")
            .agg(pl.col("truth").mean())
        )
        both = found.join(truth, on=["semel_mosad", "subject"])
        assert both.height == 36 * 4
        inside.append(
            ((both["truth"] >= both["gap_lo_sd"]) & (both["truth"] <= both["gap_hi_sd"])).mean()
        )
    assert 0.86 <= np.mean(inside) <= 0.94


def test_equals_the_dense_prediction():
    cells = city(3, schools=7, subjects=2, years=2)
    cells = cells.filter(
        ~((pl.col("semel_mosad") == "900002") & (pl.col("subject") == "hebrew"))
    ).sort(KEY)
    sd = [0.3, 0.1, 0.08, 0.05]
    components = pl.DataFrame({"component": list(COMPONENTS), "component_sd": sd})
    rows, n = cells.to_dicts(), cells.height
    signal, noise = np.zeros((n, n)), np.zeros((n, n))
    for a in range(n):
        for b in range(n):
            p, q = rows[a], rows[b]
            if p["semel_mosad"] != q["semel_mosad"]:
                continue
            subject, year = p["subject"] == q["subject"], p["school_year"] == q["school_year"]
            signal[a, b] = (
                sd[0] ** 2
                + sd[1] ** 2 * subject
                + sd[2] ** 2 * year
                + sd[3] ** 2 * (subject and year)
            )
            cohort = p["school_year"] - p["grade"] == q["school_year"] - q["grade"]
            apart = abs(p["school_year"] - q["school_year"])
            r = 1.0 if a == b else COHORT_CORRELATION * COHORT_PERSISTENCE**apart * cohort
            noise[a, b] = r * p["gap_sampling_sd"] * q["gap_sampling_sd"]
    groups = sorted({(r["subject"], r["grade"], r["school_year"]) for r in rows})
    x = np.array(
        [[(r["subject"], r["grade"], r["school_year"]) == g for g in groups] for r in rows], float
    )
    y = cells["gap_raw_sd"].to_numpy()
    inverse = np.linalg.inv(signal + noise)
    c = np.linalg.inv(x.T @ inverse @ x)
    beta = c @ x.T @ inverse @ y
    mean = x @ beta + signal @ inverse @ (y - x @ beta)
    left = x - signal @ inverse @ x
    variance = np.diag(signal - signal @ inverse @ signal + left @ c @ left.T)
    found = shrunken_gaps(cells, components)
    np.testing.assert_allclose(found["gap_sd"], mean, atol=1e-9)
    np.testing.assert_allclose(found["gap_se_sd"], np.sqrt(variance), atol=1e-9)


def test_cutting_schools_into_stacks_changes_nothing(monkeypatch):
    cells = city(5, schools=20).sample(fraction=0.7, seed=2)
    whole = shrunken_gaps(cells, TRUE)
    monkeypatch.setattr("models.gaps.blocks._MOST_ENTRIES", 2_000)
    cut = shrunken_gaps(cells, TRUE)
    for column in ("gap_sd", "gap_se_sd"):
        np.testing.assert_allclose(cut[column], whole[column], atol=1e-12)


def test_order_of_rows_does_not_matter():
    cells = city(1, schools=12)
    mixed = cells.sample(fraction=1, shuffle=True, seed=5)
    components = fit_components(cells)
    assert fit_components(mixed).equals(components)
    assert shrunken_gaps(mixed, components).equals(shrunken_gaps(cells, components))
    assert school_gaps(mixed, components, 2020, 2023).equals(
        school_gaps(cells, components, 2020, 2023)
    )


def test_unmeasured_stays_unmeasured():
    cells = city(2, schools=8).with_columns(
        pl.when(pl.col("semel_mosad") == "900003")
        .then(None)
        .otherwise("gap_raw_sd")
        .alias("gap_raw_sd")
    )
    components = fit_components(cells)
    found = shrunken_gaps(cells, components).filter(pl.col("semel_mosad") == "900003")
    assert found["gap_sd"].null_count() == found.height > 0
    assert set(found["gap_tier"]) == {"not_measured"}
    schools = school_gaps(cells, components, 2020, 2023).filter(pl.col("semel_mosad") == "900003")
    assert set(schools["subject"]) == {"english", "hebrew", "math", "science", "all"}
    assert not schools["is_measured"].any()


def test_one_subject_and_one_year_fold_into_what_they_coincide_with():
    one = city(1, subjects=1, years=1, grades=(5,))
    assert dict(fit_components(one).iter_rows())["school"] > 0.1
    assert fit_components(one)["component_sd"].to_list()[1:] == [0, 0, 0]


def test_of_too_few_schools_nothing_is_pooled_nor_said_of_their_differences():
    cells = city(1, schools=5, grades=(5,))
    components = fit_components(cells)
    assert components["component_sd"].null_count() == len(COMPONENTS)
    found = shrunken_gaps(cells, components)
    np.testing.assert_allclose(found["gap_sd"], found["gap_raw_sd"], atol=0.03)
    np.testing.assert_allclose(found["gap_se_sd"], found["gap_sampling_sd"], rtol=0.03)
    assert variance_shares(cells, components)["variance_share_pct"].is_null().all()


def test_bad_errors_are_refused():
    with pytest.raises(ValueError, match="positive sampling error"):
        fit_components(city(1, schools=8).with_columns(pl.lit(0.0).alias("gap_sampling_sd")))
    cells = city(1, schools=8)
    with pytest.raises(ValueError, match="cells repeat"):
        fit_components(pl.concat([cells, cells.head(1)]))


def test_a_school_alone_keeps_its_own_numbers():
    alone = city(1, schools=8).filter(pl.col("semel_mosad") == "900001")
    found = shrunken_gaps(alone, TRUE)
    np.testing.assert_allclose(found["gap_sd"], found["gap_raw_sd"], atol=1e-9)
    np.testing.assert_allclose(found["gap_se_sd"], found["gap_sampling_sd"], atol=1e-9)


def test_a_city_without_any_measured_cell():
    cells = city(1, schools=8).with_columns(pl.lit(None, pl.Float64).alias("gap_raw_sd"))
    assert fit_components(cells)["component_sd"].null_count() == len(COMPONENTS)
    found = shrunken_gaps(cells, TRUE)
    assert found.height == cells.height
    assert found["gap_sd"].null_count() == found.height
    assert not school_gaps(cells, TRUE, 2020, 2023)["is_measured"].any()


def test_a_window_without_measured_cells_is_not_measured():
    assert not school_gaps(city(1, schools=8), TRUE, 2030, 2031)["is_measured"].any()


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("gap_raw_sd", float("nan"), "not finite"),
        ("gap_sampling_sd", float("inf"), "positive sampling error"),
        ("gap_sampling_sd", None, "positive sampling error"),
    ],
)
def test_numbers_that_are_none_are_refused(column, value, said):
    cells = city(1, schools=8).with_columns(pl.lit(value, pl.Float64).alias(column))
    with pytest.raises(ValueError, match=said):
        shrunken_gaps(cells, TRUE)


def test_every_component_is_needed():
    with pytest.raises(ValueError, match="school_subject_year"):
        shrunken_gaps(city(1, schools=8), TRUE.head(3))


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.floats(-2, 2), min_size=6, max_size=12), st.floats(0.05, 0.5))
def test_a_lone_cell_lies_between_itself_and_the_mean(gaps, error):
    cells = pl.DataFrame(
        {
            "semel_mosad": [f"9{i:05d}" for i in range(len(gaps))],
            "subject": "math",
            "grade": 5,
            "school_year": 2020,
            "scale_id": "S",
            "gap_raw_sd": gaps,
            "gap_sampling_sd": error,
        }
    )
    found = shrunken_gaps(cells, TRUE)
    mean = np.mean(gaps)
    low, high = np.minimum(cells["gap_raw_sd"], mean), np.maximum(cells["gap_raw_sd"], mean)
    assert ((found["gap_sd"] >= low - 1e-9) & (found["gap_sd"] <= high + 1e-9)).all()


@pytest.mark.parametrize(
    ("p", "tier"),
    [
        (0.95, "surely_below"),
        (0.94, "probably_below"),
        (0.5, "cannot_tell"),
        (0.2, "probably_at_target"),
        (0.05, "surely_at_target"),
        (None, "not_measured"),
    ],
)
def test_tiers(p, tier):
    assert (
        pl.DataFrame({"p": [p]}, schema={"p": pl.Float64}).select(gap_tier(pl.col("p"))).item()
        == tier
    )


def test_published_answer_of_the_high_school_and_beyond_study(shared_data):
    """Raudenbush & Bryk (2002), table 4.2: τ² = 8.61, with σ² = 39.15 taken as known."""
    answers = json.loads((shared_data / "reference" / "known_answers.json").read_text())[
        "hsb_null_reml"
    ]
    files = sorted((shared_data / "reference" / "hsb_1982").glob("*.csv"))
    pupils = next(
        f
        for f in (pl.read_csv(path) for path in files)
        if {"school", "mathach"} <= {c.lower() for c in f.columns}
    )
    pupils = pupils.rename({c: c.lower() for c in pupils.columns})
    sigma2 = answers["recomputed"]["sigma2"]
    schools = pupils.group_by("school").agg(
        pl.col("mathach").mean().alias("mean"), pl.len().alias("n")
    )
    cells = schools.select(
        pl.col("school").cast(pl.String).alias("semel_mosad"),
        pl.lit("math").alias("subject"),
        pl.lit(10).alias("grade"),
        pl.lit(1982).alias("school_year"),
        pl.lit("S").alias("scale_id"),
        # In units of the pupil SD, as gaps are.
        (-pl.col("mean") / sigma2**0.5).alias("gap_raw_sd"),
        (1 / pl.col("n").sqrt()).alias("gap_sampling_sd"),
    )
    components = fit_components(cells)
    tau2 = components["component_sd"][0] ** 2 * sigma2
    assert tau2 == pytest.approx(answers["recomputed"]["tau00"], abs=0.02)

    lme4 = pl.read_csv(shared_data / "reference" / "hsb_1982" / "hsb_eb_school_means_lme4.csv")
    both = shrunken_gaps(cells, components).join(
        lme4.with_columns(pl.col("school").cast(pl.String)),
        left_on="semel_mosad",
        right_on="school",
    )
    assert both.height == 160
    # On the test's own scale (SD 6.9); lme4's error leaves out that of the general mean, so ours is
    # larger.
    np.testing.assert_allclose(-both["gap_sd"] * sigma2**0.5, both["eb_mean"], atol=0.02)
    error = both["gap_se_sd"] * sigma2**0.5
    np.testing.assert_allclose(error, both["post_sd"], rtol=0.02)
    assert (error > both["post_sd"] - 1e-3).all()
