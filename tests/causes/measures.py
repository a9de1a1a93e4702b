"""Causes and gaps of a generated city as its files show them: means of its last three school years."""

import numpy as np
import polars as pl

from models.synthetic_city import SyntheticCity

YEARS = 3
BOTH_STAGES = ("hebrew", "math")  # tested from grade 2 to grade 6

# Registered before any city was scored: one value per cause, for all schools and seeds.
CATALOGUE = pl.DataFrame(
    [
        ("socio_economic", 0.10, 0.05, "published gap of deciles 1-3 and 8-10, .56 SD, and as much between schools"),
        ("home_internet", 0.006, 0.003, "pupils without internet at home lag by about .6 SD"),
        ("absence", 0.025, 0.0125, "schools 2 days of absence apart differ by about .05 SD"),
        ("teacher_turnover", 0.015, 0.0075, "a third of the spread of schools per 6 points of teaching"),
        ("immigrant_language", 0.030, 0.015, "-.45 SD of the pupil, and as much again per classmate"),
        ("late_start", 0.70, 0.35, "the mean over grades lies between the first and the last one"),
        ("climate", 0.015, 0.0075, "correlation of .2 between climate and achievement of schools"),
    ],
    schema=["cause_id", "prior_sd_per_unit", "prior_spread", "source"],
    orient="row",
).with_columns(cause_group=pl.col("cause_id"))  # fmt: skip


def rows(city: SyntheticCity, stem: str) -> pl.DataFrame:
    """One yearly file over the window, under the current codes."""
    years = sorted({int(name[7:11]) for name in city.files if name.startswith("pupils_")})
    merged = dict(city.files["merges.csv"].select("semel_mosad_old", "semel_mosad").iter_rows())
    return pl.concat(city.files[f"{stem}_{year}.csv"] for year in years[-YEARS:]).with_columns(
        pl.col("semel_mosad").replace(merged)
    )


def measures(city: SyntheticCity) -> pl.DataFrame:
    """Each cause's measure by school; larger = worse, percent, days, points or SD."""
    places = city.truth["true_need"].select("semel_mosad")
    pupils, recent = rows(city, "pupils"), (pl.col("years_in_israel") <= 2).fill_null(False)
    frames = [
        _by_school(pupils, "socio_economic", pl.col("nurture_decile").mean()),
        _by_school(pupils, "home_internet", 100 * (~pl.col("has_home_internet")).mean()),
        _by_school(pupils, "immigrant_language", 100 * recent.mean()),
        _by_school(rows(city, "attendance"), "absence", pl.col("absence_days").mean()),
        _climate(city),
        _late_start(city),
    ]
    every = places.join(CATALOGUE.select("cause_id"), how="cross")
    return every.join(pl.concat(frames), on=["semel_mosad", "cause_id"], how="left").with_columns(
        is_measured=pl.col("measure").is_not_null()
    )


def gaps(city: SyntheticCity, subjects: tuple[str, ...], seed: int) -> pl.DataFrame:
    """True gaps of the window, mean of the subjects, with the sampling error of a school's size."""
    window = city.truth["true_gap"].filter(pl.col("group_id") == "all", pl.col("subject").is_in(subjects))
    window = window.filter(pl.col("school_year") > pl.col("school_year").max() - YEARS)
    found = (
        window.group_by("semel_mosad", maintain_order=True)
        .agg(pl.col("gap_reference_sd").mean(), pl.col("pupils").max())
        .with_columns(gap_se_sd=pl.col("pupils").cast(pl.Float64) ** -0.5)
    )
    noise = np.random.default_rng(seed).standard_normal(found.height)
    return found.select(
        "semel_mosad", gap_sd=pl.col("gap_reference_sd") + pl.Series(noise) * pl.col("gap_se_sd"), gap_se_sd="gap_se_sd"
    )


def _by_school(frame: pl.DataFrame, cause_id: str, measure: pl.Expr) -> pl.DataFrame:
    return frame.group_by("semel_mosad", maintain_order=True).agg(measure=measure).select(
        "semel_mosad", "measure", cause_id=pl.lit(cause_id)
    )


def _climate(city: SyntheticCity) -> pl.DataFrame:
    agreed = (pl.col("agree_pct") * pl.col("respondents")).sum() / pl.col("respondents").sum()
    facets = (
        rows(city, "climate")
        .group_by("semel_mosad", "facet", maintain_order=True)
        .agg(poor=100 - agreed)
        .pivot("facet", index="semel_mosad", values="poor")
    )
    others = pl.mean_horizontal("relations", "safety", "social_value")
    whole = pl.mean_horizontal("relations", "safety", "social_value", "teaching")
    return pl.concat(
        [
            facets.select("semel_mosad", measure=whole, cause_id=pl.lit("climate")),
            facets.select("semel_mosad", measure=pl.col("teaching") - others, cause_id=pl.lit("teacher_turnover")),
        ]
    )


def _late_start(city: SyntheticCity) -> pl.DataFrame:
    """How much wider the gap is in grades 2-3 than in grades 5-6, against the city's same cells."""
    tested = rows(city, "pupil_scores").filter(
        (pl.col("test_source") == "internal") & pl.col("is_tested") & pl.col("subject").is_in(BOTH_STAGES)
    )
    cell = ["subject", "grade", "school_year"]
    behind = (pl.col("score").mean().over(cell) - pl.col("score")) / pl.col("score").std().over(cell)
    stages = tested.with_columns(behind=behind).group_by("semel_mosad", maintain_order=True).agg(
        measure=pl.col("behind").filter(pl.col("grade") <= 3).mean()
        - pl.col("behind").filter(pl.col("grade") >= 5).mean()
    )
    return stages.select("semel_mosad", "measure", cause_id=pl.lit("late_start"))
