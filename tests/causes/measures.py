"""Causes and gaps of a generated city as its files show them: means of its last three school
years.
"""

from pathlib import Path

import numpy as np
import polars as pl

import pipelines.demo
from models.causes.shapley import UNEXPLAINED, cause_contributions
from models.demo import SyntheticCity, spec
from pipelines.settings.policy_defaults import whole_policy

POLICY = Path(pipelines.demo.__file__).with_name("policy.yaml")
YEARS = 3
BOTH_STAGES = ("hebrew", "math")  # tested from grade 2 to grade 6

KINDS = ("right", "registered", "neutral", "wrong")
DOUBT = 0.3  # spread of an expectation that is held to be right, as a part of it
ANYTHING = 0.5  # pupil SD that one SD of a measure may go with where nothing is expected


def per_unit(city: SyntheticCity) -> dict[str, float]:
    """Return what was planted in the city, in pupil SD per unit of each cause's measure."""
    shift = dict(city.truth["true_cause"].select("cause_id", "shift_sd").iter_rows())
    of_school = {school.label: school for school in spec.SCHOOLS}
    place = next(cause.label for cause in spec.CAUSES if cause.cause_id == "immigrant_language")
    recent = spec.CAUSE_RECENT_SHARE - spec.IMMIGRANT_YEARS[spec.RECENT_YEARS]
    late = spec.LATE_START_BY_GRADE
    units = {
        "socio_economic": 1.0,
        "home_internet": 100 * -spec.CAUSE_INTERNET,
        "absence": spec.CAUSE_ABSENCE_DAYS,
        "teacher_turnover": -spec.CAUSE_TEACHING_POINTS,
        "immigrant_language": of_school[place].immigrant_pct * recent,
        # Grades 2 and 3 less 5 and 6, of a gap that is its mean over the grades with tests.
        "late_start": -shift["late_start"]
        * float((np.mean(late[1:3]) - np.mean(late[4:])) / np.mean(late[1:])),
        "climate": -spec.CAUSE_CLIMATE_POINTS,
    }
    return {cause: -shift[cause] / unit for cause, unit in units.items()}


def catalogue(city: SyntheticCity, known: pl.DataFrame, kind: str) -> pl.DataFrame:
    """Return the causes under one kind of expectation.

    right: what was planted; registered: the demonstration policy's; neutral: nothing, widely;
    wrong: each cause has what is right of another, per SD of the measure.
    """
    spread = dict(known.group_by("cause_id").agg(pl.col("measure").std()).iter_rows())
    right = per_unit(city)
    names = sorted(right)
    if kind == "registered":
        stated = whole_policy(POLICY).raw["causes"]
        of = {name: stated["ses" if name == "socio_economic" else name] for name in names}
        expected = {name: (of[name]["expected"]["mean"], of[name]["expected"]["sd"]) for name in of}
    elif kind == "neutral":
        expected = {name: (0.0, ANYTHING / spread[name]) for name in names}
    else:
        donor = dict(zip(names, [*names[1:], names[0]] if kind == "wrong" else names, strict=True))
        mean = {name: right[donor[name]] * spread[donor[name]] / spread[name] for name in names}
        expected = {name: (mean[name], DOUBT * mean[name]) for name in names}
    return pl.DataFrame(
        [(name, name, *expected[name], kind) for name in names],
        schema=["cause_id", "cause_group", "prior_sd_per_unit", "prior_spread", "source"],
        orient="row",
    )


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
    found = pl.concat(frames)
    every = places.join(found.select("cause_id").unique(maintain_order=True), how="cross")
    return every.join(found, on=["semel_mosad", "cause_id"], how="left").with_columns(
        is_measured=pl.col("measure").is_not_null()
    )


def gaps(city: SyntheticCity, subjects: list[str], seed: int) -> pl.DataFrame:
    """True gaps of the window, mean of the subjects, with the sampling error of a school's size."""
    window = city.truth["true_gap"].filter(
        pl.col("group_id") == "all", pl.col("subject").is_in(subjects)
    )
    window = window.filter(pl.col("school_year") > pl.col("school_year").max() - YEARS)
    found = (
        window.group_by("semel_mosad", maintain_order=True)
        .agg(pl.col("gap_reference_sd").mean(), pl.col("pupils").max())
        .with_columns(gap_se_sd=pl.col("pupils").cast(pl.Float64) ** -0.5)
    )
    noise = np.random.default_rng(seed).standard_normal(found.height)
    return found.select(
        "semel_mosad",
        gap_sd=pl.col("gap_reference_sd") + pl.Series(noise) * pl.col("gap_se_sd"),
        gap_se_sd="gap_se_sd",
    )


def ranks(city: SyntheticCity, seed: int, kind: str = "registered") -> dict[str, int]:
    """Rank of each planted cause among the contributions at its school; 1 = largest."""
    known, found = measures(city), {}
    causes_known = catalogue(city, known, kind)
    planted = city.truth["true_cause"].filter(pl.col("semel_mosad").is_not_null())
    place = ["semel_mosad", "cause_id"]
    for (subjects,), causes in planted.group_by("subjects", maintain_order=True):
        gap = gaps(city, subjects.split(","), seed)
        shares = cause_contributions(gap, known, causes_known, draws=20)
        order = (
            shares.filter(pl.col("cause_group") != UNEXPLAINED)
            .rename({"cause_group": "cause_id"})
            .with_columns(
                rank=pl.col("contribution_sd").rank("max", descending=True).over("semel_mosad")
            )
            .join(causes, on=place)
        )
        found |= dict(order.select("cause_id", "rank").iter_rows())
    return found


def _by_school(frame: pl.DataFrame, cause_id: str, measure: pl.Expr) -> pl.DataFrame:
    return (
        frame.group_by("semel_mosad", maintain_order=True)
        .agg(measure=measure)
        .select("semel_mosad", "measure", cause_id=pl.lit(cause_id))
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
    return pl.concat(
        [
            facets.select("semel_mosad", measure=others, cause_id=pl.lit("climate")),
            facets.select("semel_mosad", measure="teaching", cause_id=pl.lit("teacher_turnover")),
        ]
    )


def _late_start(city: SyntheticCity) -> pl.DataFrame:
    """How much wider the gap is in grades 2-3 than in grades 5-6, against the city's same cells."""
    tested = rows(city, "pupil_scores").filter(
        (pl.col("test_source") == "internal")
        & pl.col("is_tested")
        & pl.col("subject").is_in(BOTH_STAGES)
    )
    cell = ["subject", "grade", "school_year"]
    behind = (pl.col("score").mean().over(cell) - pl.col("score")) / pl.col("score").std().over(
        cell
    )
    stages = (
        tested.with_columns(behind=behind)
        .group_by("semel_mosad", maintain_order=True)
        .agg(
            measure=pl.col("behind").filter(pl.col("grade") <= 3).mean()
            - pl.col("behind").filter(pl.col("grade") >= 5).mean()
        )
    )
    return stages.select("semel_mosad", "measure", cause_id=pl.lit("late_start"))
