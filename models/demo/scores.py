"""Achievement: the true score of every pupil, and the tests that show it with error.

The score is z = slopes on nurture + school (u, v) + school-year (w, x) + class + pupil + effects
of responses; a test adds its own error. One unit of z is one pupil SD of the scales.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.demo import spec
from models.demo.coefficients import Coefficients
from models.demo.profiles import Profile
from models.demo.streams import Streams

_GRADE_FROM = np.array(spec.FIRST_TESTED_GRADE)


@dataclass(frozen=True)
class Components:
    """School parts of the score, in SD.

    Attributes:
        school: u, per school.
        school_subject: v, school × subject.
        school_year: w, school × year.
        school_subject_year: x, school × subject × year.
        planted: shifts of the profile and the planted causes, school × subject × grade.
        slope_factor: how strong the gaps of pupil groups are.
        slopes: of achievement on the pupil's and on the school's nurture, in SD per decile.
        class_sd: SD of the classes of a grade.
    """

    school: np.ndarray
    school_subject: np.ndarray
    school_year: np.ndarray
    school_subject_year: np.ndarray
    planted: np.ndarray
    slope_factor: float
    slopes: tuple[float, float]
    class_sd: float


def components(
    schools: pl.DataFrame,
    years: Sequence[int],
    profile: Profile,
    planted: Coefficients,
    streams: Streams,
) -> Components:
    """Draw the school components of a city.

    The lasting ones (u, v) have exactly the spread of the specification and no chance correlation
    with nurture: with 36 schools a plain draw would move the share of variance between schools
    and the slope on nurture by half from seed to seed.
    """
    rng = streams("components")
    n, subjects = len(schools), len(spec.SUBJECTS)
    nurture = schools["nurture"].to_numpy()
    slope = profile.slope_factor * planted.slope
    lasting = _calibrated(rng.normal(0, 1, (n, 1 + subjects)), nurture) * profile.school_factor
    return Components(
        school=spec.SD_SCHOOL * lasting[:, 0],
        school_subject=spec.SD_SCHOOL_SUBJECT * lasting[:, 1:],
        school_year=rng.normal(0, spec.SD_SCHOOL_YEAR, (n, len(years))),
        school_subject_year=rng.normal(0, spec.SD_SCHOOL_SUBJECT_YEAR, (n, subjects, len(years))),
        planted=_planted(schools, profile, planted),
        slope_factor=profile.slope_factor,
        slopes=(slope * spec.PUPIL_SLOPE, slope * spec.SCHOOL_SLOPE),
        class_sd=planted.class_sd,
    )


def _calibrated(draw: np.ndarray, nurture: np.ndarray) -> np.ndarray:
    """Columns of a draw with mean 0, SD 1 and no correlation with nurture."""
    line = np.column_stack([np.ones(len(nurture)), nurture])
    rest = draw - line @ np.linalg.lstsq(line, draw, rcond=None)[0]
    return rest / rest.std(axis=0)


def _planted(schools: pl.DataFrame, profile: Profile, planted: Coefficients) -> np.ndarray:
    labels = schools["label"].to_numpy()
    shift = np.full((len(schools), len(spec.SUBJECTS), len(spec.GRADES)), profile.shift)
    shift[np.isin(labels, profile.low_schools)] += profile.low_shift
    shift[:, spec.SUBJECTS.index("math")] += profile.math_shift
    for cause in spec.CAUSES if profile.has_causes else ():
        by_grade = np.ones(len(spec.GRADES))
        if cause.cause_id == "late_start":
            by_grade = np.array(spec.LATE_START_BY_GRADE)
        for subject in cause.subjects:
            size = planted.cause_shift[cause.cause_id] * by_grade
            shift[labels == cause.label, spec.SUBJECTS.index(subject)] += size
    return shift


def persistence(people: pl.DataFrame, years: Sequence[int], streams: Streams) -> np.ndarray:
    """Return the pupils' persistent ability: pupil × (year + 1); column 0 is before the first.

    Ability before a pupil's first year is the pupil's own draw; it then moves as an
    autoregression that keeps its spread.
    """
    innovation_sd = spec.SD_PUPIL * np.sqrt(1 - spec.PUPIL_PERSISTENCE**2)
    innovations = streams("persistence").normal(0, innovation_sd, (len(people), len(years)))
    start, first = people["theta_start"].to_numpy(), people["first_year"].to_numpy()
    theta = np.tile(start[:, None], len(years) + 1)
    for position, year in enumerate(years):
        moved = spec.PUPIL_PERSISTENCE * theta[:, position] + innovations[:, position]
        theta[:, position + 1] = np.where(first <= year, moved, start)
    return theta


def true_scores(
    described: pl.DataFrame,
    schools: pl.DataFrame,
    parts: Components,
    position: int,
    theta: np.ndarray,
    gains: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the true score of each pupil of one year in each subject, in SD (row × subject).

    Args:
        described: the year's pupils.
        schools: the school table.
        parts: school components.
        position: index of the year.
        theta: persistent ability this year, per row.
        gains: what the pupils carry from responses, row × subject.
        rng: generator of the class components.
    """
    school = described["school"].to_numpy()
    grade = described["grade"].to_numpy()
    nurture = schools["nurture"].to_numpy()[school]
    slopes = parts.slopes[0] * (described["decile"].to_numpy() - spec.CENTRE_DECILE)
    slopes = slopes + parts.slopes[1] * (nurture - spec.CENTRE_DECILE)
    groups = (
        np.outer(described["is_girl"].to_numpy(), spec.GIRLS)
        + np.outer(described["is_recent"].to_numpy(), spec.RECENT_IMMIGRANTS)
        + spec.INTEGRATION_PUPILS * described["is_sen"].to_numpy()[:, None]
    )
    class_number = described["class_no"].to_numpy()
    classes = rng.normal(
        0, parts.class_sd, (len(schools), len(spec.GRADES), int(class_number.max(initial=1)))
    )
    of_school = (
        parts.school[:, None]
        + parts.school_subject
        + parts.school_year[:, position, None]
        + parts.school_subject_year[:, :, position]
    )
    of_pupil = theta + classes[school, grade - 1, class_number - 1]
    return (
        slopes[:, None]
        + parts.slope_factor * groups
        + of_school[school]
        + parts.planted[school, :, grade - 1]
        + of_pupil[:, None]
        + gains
    )


def tests(
    described: pl.DataFrame,
    truth: np.ndarray,
    schools: pl.DataFrame,
    year: int,
    last_year: int,
    streams: Streams,
) -> pl.DataFrame:
    """Return one year's test rows, untested pupils included.

    Returns:
        `pupil` and the contract of `tests__pupil_scores` with `pupil_id`, sorted.
    """
    n, subjects = truth.shape
    grade, school = described["grade"].to_numpy(), described["school"].to_numpy()
    silent = (schools["label"] == spec.SILENT_SCHOOL).to_numpy()
    missing = streams(f"coverage_{year}").random((len(schools), subjects)) < spec.INTERNAL_MISSING
    has_internal = (~missing & ~silent[:, None])[school] & (grade[:, None] >= _GRADE_FROM)
    in_turn = ((np.arange(len(schools)) + year) % 2 == 0) & ~silent
    has_external = in_turn[school][:, None] & (grade[:, None] == np.array(spec.EXTERNAL_GRADE))
    is_new = year >= last_year - spec.NEW_SCALE_LAG
    external = (spec.NEW_SCALE, spec.NEW_MEAN) if is_new else (spec.OLD_SCALE, spec.OLD_MEAN)
    chance = np.where(described["is_sen"].to_numpy(), spec.TESTED_SEN, spec.TESTED)
    chance = np.where(described["is_recent"].to_numpy(), spec.TESTED_RECENT, chance)
    sources = (
        (
            "internal",
            has_internal,
            spec.INTERNAL_SCALE,
            spec.INTERNAL_MEAN,
            spec.INTERNAL_SD,
            1,
            100,
        ),
        ("external", has_external, *external, spec.EXTERNAL_SD, 200, 800),
    )
    sen = described["is_sen"].to_numpy()
    is_adapted = sen & (streams(f"adapted_{year}").random(n) < spec.ADAPTED_SEN)
    parts = []
    for source, takes_part, scale, mean, sd, low, high in sources:
        rng = streams(f"tests_{source}_{year}")
        observed = mean + sd * (truth + rng.normal(0, spec.SD_TEST, truth.shape))
        observed = np.clip(np.rint(observed), low, high)
        is_tested = rng.random((n, subjects)) < chance[:, None]
        row, subject = np.nonzero(takes_part)
        tested = is_tested[row, subject]
        parts.append(
            described[row].select(
                "pupil",
                "pupil_id",
                "school_year",
                "semel_mosad",
                "grade",
                subject=pl.Series(np.array(spec.SUBJECTS)[subject]),
                test_source=pl.lit(source),
                scale_id=pl.lit(scale),
                test_date=_date(source, year, pl.Series(subject)),
                is_tested=pl.Series(tested),
                score=pl.Series(np.where(tested, observed[row, subject], np.nan)).fill_nan(None),
                is_adapted=pl.Series(is_adapted[row] & tested),
                test_form=pl.format("{}_{}", pl.lit(source), pl.lit(year)),
                link_id=pl.lit(scale),  # the scales of the city are not linked
            )
        )
    return pl.concat(parts).sort("semel_mosad", "grade", "subject", "test_source", "pupil_id")


def _date(source: str, year: int, subject: pl.Series) -> pl.Expr:
    """Internal tests in May, external ones in March; a week between subjects."""
    month = 5 if source == "internal" else 3
    return pl.date(year, month, pl.lit(subject.cast(pl.Int64)) * 7 + 2)


def mean_internal(rows: pl.DataFrame) -> pl.DataFrame:
    """Return each pupil's mean internal score in Hebrew and mathematics: `pupil`, `score`."""
    core = pl.col("subject").is_in(["hebrew", "math"]) & (pl.col("test_source") == "internal")
    return rows.filter(core & pl.col("is_tested")).group_by("pupil").agg(pl.col("score").mean())


def bands_file(rows: pl.DataFrame, schools: pl.DataFrame) -> pl.DataFrame:
    """Return the bands of externally tested schools (contract of `tests__school_bands`).

    A band compares a school with what schools of its nurture index achieve on the line through
    all tested schools; one band is a quarter SD wide and band 3 is the middle.
    """
    cell = ["school_year", "grade", "subject"]
    background = schools.select("semel_mosad", "nurture")
    merged = schools.select(pl.col("semel_mosad_old").alias("semel_mosad"), "nurture").drop_nulls()
    nurture, mean = pl.col("nurture"), pl.col("mean")
    slope = pl.cov(nurture, mean).over(cell) / nurture.var().over(cell)
    expected = mean.mean().over(cell) + slope.fill_nan(0).fill_null(0) * (
        nurture - nurture.mean().over(cell)
    )
    band = 3 + ((mean - expected) / (spec.BAND_WIDTH * spec.EXTERNAL_SD)).round().clip(-2, 2)
    return (
        rows.filter((pl.col("test_source") == "external") & pl.col("is_tested"))
        .group_by("semel_mosad", *cell)
        .agg(mean=pl.col("score").mean())
        .join(pl.concat([background, merged]), on="semel_mosad")
        .sort("semel_mosad", *cell)
        .select("semel_mosad", *cell, band=band.cast(pl.Int64))
    )
