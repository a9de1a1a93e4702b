"""Causes and gaps of a generated city as its files show them: means of its last three school
years.
"""

import numpy as np
import polars as pl

from models.causes.shapley import UNEXPLAINED, cause_contributions
from models.demo import SyntheticCity

YEARS = 3
BOTH_STAGES = ("hebrew", "math")  # tested from grade 2 to grade 6

# One value per cause, for all schools, subjects and seeds. The reason gives the expected difference
# in pupil SD; schools differ by .33 SD (ICC .11), in teaching by 6 points and in climate by 3.5.
CATALOGUE = pl.DataFrame(
    [
        (
            "socio_economic",
            0.10,
            "published gap of .56 SD between deciles 1-3 and 8-10, and more between schools",
        ),
        ("home_internet", 0.006, "pupils without internet at home are .6 SD behind"),
        (
            "absence",
            0.025,
            "a school's absence goes with several times the .008 SD of a pupil's one day",
        ),
        (
            "teacher_turnover",
            0.02,
            "teaching as pupils see it correlates by about .35 with achievement",
        ),
        (
            "immigrant_language",
            0.03,
            "-.45 SD in a pupil's first years, and classes that take many in",
        ),
        ("late_start", 0.8, "a gap that starts at d and closes has a mean of most of d"),
        ("climate", 0.02, "climate correlates by about .2 with achievement"),
    ],
    schema=["cause_id", "prior_sd_per_unit", "source"],
    orient="row",
).with_columns(
    # Published values of one cause differ by about a third of their mean.
    cause_group=pl.col("cause_id"),
    prior_spread=0.3 * pl.col("prior_sd_per_unit"),
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
    every = places.join(CATALOGUE.select("cause_id"), how="cross")
    return every.join(pl.concat(frames), on=["semel_mosad", "cause_id"], how="left").with_columns(
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


def ranks(city: SyntheticCity, seed: int) -> dict[str, int]:
    """Rank of each planted cause among the contributions at its school; 1 = largest."""
    known, found = measures(city), {}
    planted = city.truth["true_cause"].filter(pl.col("semel_mosad").is_not_null())
    place = ["semel_mosad", "cause_id"]
    for (subjects,), causes in planted.group_by("subjects", maintain_order=True):
        gap = gaps(city, subjects.split(","), seed)
        shares = cause_contributions(gap, known, CATALOGUE, draws=20)
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
