"""Which gaps recur: phenomena come back in several years or in several schools."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import polars as pl
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from models.cells import (
    COHORT_CORRELATION,
    COHORT_PERSISTENCE,
    MEAN_GROUP,
    component_variances,
    measured_cells,
)
from models.discoveries import q_values

LEAST_TYPICAL = 3  # schools without which nothing is typical of a city
_SCHEMA = {
    "scope": pl.String,
    "semel_mosad": pl.String,
    "subject": pl.String,
    "grade": pl.Int32,
    "direction": pl.String,
    "years_measured": pl.Int32,
    "years_seen": pl.Int32,
    "schools_measured": pl.Int32,
    "schools_seen": pl.Int32,
    "cells": pl.Int32,
    "gap_mean_sd": pl.Float64,
    "gap_mean_se_sd": pl.Float64,
    "p_chance": pl.Float64,
    "p_once": pl.Float64,
}


@dataclass(frozen=True)
class _School:
    """The N measured cells of a school, out of P groups (scale, subject, grade, year) of the city.

    Attributes:
        group: (N,) which group a cell is in; a school has at most one cell in a group.
        noise: (N, N) covariance of sampling errors and school-year noise.
        weight: (P, N) what the cells add to the groups' means.
    """

    semel_mosad: str
    group: np.ndarray
    gap: np.ndarray
    noise: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class _Values:
    """Values of (U,) years or schools with their error covariance (U, U)."""

    value: np.ndarray
    covariance: np.ndarray

    def pooled(self, labels: np.ndarray) -> _Values:
        """Return one value per distinct label: the mean weighted by precision."""
        _, codes = np.unique(labels, return_inverse=True)
        weight = (codes[None, :] == np.arange(codes.max() + 1)[:, None]) / np.diag(self.covariance)
        return self.combined(weight / weight.sum(axis=1, keepdims=True))

    def combined(self, weight: np.ndarray) -> _Values:
        return _Values(weight @ self.value, weight @ self.covariance @ weight.T)

    def part(self, chosen: np.ndarray) -> _Values:
        return _Values(self.value[chosen], self.covariance[np.ix_(chosen, chosen)])


@dataclass(frozen=True)
class _Candidate:
    """A place with its gaps by year, by school (whole city only), and without each subject."""

    scope: str
    by_year: _Values
    cells: int
    semel_mosad: str | None = None
    subject: str | None = None
    grade: int | None = None
    by_school: _Values | None = None
    without: tuple[_Values, ...] = ()

    def row(self, years: int, schools: int, margin: float) -> tuple:
        """Return the candidate's row of the result, in the order of the schema."""
        mean = self.by_year.pooled(np.zeros(len(self.by_year.value)))
        gap, error = float(mean.value[0]), float(np.sqrt(mean.covariance[0, 0]))
        sign = 1.0 if gap >= 0 else -1.0
        by_school = mean if self.by_school is None else self.by_school
        once = [
            float(np.max([_recurrence(one, years, sign) for one in (self.by_year, *self.without)]))
        ]  # a missing one stays missing
        if self.by_school is not None:
            once.append(_recurrence(self.by_school, schools, sign))
        asked = [p for p in once if not np.isnan(p)]
        return (
            self.scope,
            self.semel_mosad,
            self.subject,
            self.grade,
            "below" if sign > 0 else "above",
            len(self.by_year.value),
            int((sign * self.by_year.value >= margin).sum()),
            len(by_school.value),
            int((sign * by_school.value >= margin).sum()),
            self.cells,
            gap,
            error,
            float(2 * norm.sf(abs(gap) / error)) if asked else None,
            min(len(asked) * min(asked), 1.0) if asked else None,
        )


# One thread: the matrices are small, and sums must not depend on how many threads share them.
@threadpool_limits.wrap(limits=1)
def phenomena(
    cells: pl.DataFrame,
    components: pl.DataFrame,
    *,
    years: int = 2,
    schools: int = 3,
    margin_sd: float = 0.10,
    fdr: float = 0.10,
    once: float = 0.05,
    level: float = 0.90,
) -> pl.DataFrame:
    """Return every place whose gap could recur, how surely it does, and which ones are phenomena.

    Four kinds of places, each with its own "gap" (positive = below, so excellence is `above`):

        school_subject  gap of a school in a subject - what is typical of the city (the model's μ)
        school          the same over all its subjects
        subject         gap of the whole city's measured schools in a subject against the target
        grade           gap of a grade - that of the other grades in the same subject and year

    A place's gap in year t is the mean d[t] of its cells, weighted by precision; its mean gap m is
    that of its years. Errors are sampling errors, correlated within a cohort, and the school-year
    noise w and x of the components; u and v are what is looked for. Two questions are asked:

        is there a gap at all      p_chance = 2 (1 - Φ(|m| / error))
        or only once               p_once = max over S of 2 (1 - Φ(±Σ z[S] / √(1'R[S]1)))

    where z[t] = d[t] / error[t], R is their correlation, S runs over all selections of T - r + 1 of
    the T years, and ± is the sign of m: "fewer than r = `years` years have it" is rejected only if
    the gap stands without its r - 1 strongest years. A school's must also stand without any one of
    its subjects. For `subject` and `grade` the same is asked of schools, and p_once is twice the
    smaller. A place recurs if p_once ≤ once, |m| ≥ margin, and as many years (or schools) as asked
    are each beyond the margin. Benjamini–Hochberg runs over all places of the city at once, with p
    = 1 for those that do not recur; a place with q_chance ≤ fdr is a phenomenon. One measured too
    seldom to recur has no p.

    Args:
        cells: semel_mosad, subject, grade, school_year, scale_id, gap_raw_sd (pupil SD; null = not
            measured), gap_sampling_sd (pupil SD), of one pupil group; other columns are ignored.
            The shrunken gaps are not used: shrinkage carries one year's gap into the others.
        components: component, component_sd (pupil SD): school, school_subject, school_year,
            school_subject_year.
        years: least school years in which a gap must recur.
        schools: least schools in which a gap must recur.
        margin_sd: smallest gap that matters, pupil SD.
        fdr: share of the listed places that may have no gap, in expectation.
        once: risk of taking a gap of one year (or of too few schools) for a recurring one.
        level: probability of the interval of the mean gap.

    Returns:
        scope, semel_mosad, subject, grade (null where the place has none), direction (`below` or
        `above`), years_measured, years_seen, schools_measured, schools_seen (those beyond the
        margin in this direction), cells, gap_mean_sd, gap_mean_se_sd, gap_mean_lo_sd,
        gap_mean_hi_sd (pupil SD; not shrunken, so of the listed ones a little too large), p_chance,
        p_once, q_chance, false_alarms_expected (places without any gap expected among those with so
        small a p_chance), is_phenomenon; sorted by scope and place.

    Raises:
        ValueError: if years or schools is below 2, the margin is negative, a share is not between 0
            and 1, a component is missing, or a cell is invalid.

    Source: Benjamini & Heller (2008), partial conjunctions; Benjamini & Hochberg (1995); R40, R44.
    """
    if years < 2 or schools < 2:
        raise ValueError(
            f"a gap recurs in at least 2 years or 2 schools; got {years} and {schools}"
        )
    if not margin_sd >= 0:
        raise ValueError(f"margin_sd is the smallest gap that matters, 0 or above; got {margin_sd}")
    if not (0 < fdr < 1 and 0 < once < 1 and 0 < level < 1):
        raise ValueError(f"fdr, once and level lie between 0 and 1; got {fdr}, {once} and {level}")
    measured = measured_cells(cells).sort("semel_mosad", *MEAN_GROUP)
    groups = measured.group_by(MEAN_GROUP).agg(pl.len().alias("schools")).sort(MEAN_GROUP)
    blocks = _weighted(measured, groups, components)
    means = _Values(
        sum((block.weight @ block.gap for block in blocks), np.zeros(groups.height)),
        sum(
            (block.weight @ block.noise @ block.weight.T for block in blocks),
            np.zeros((groups.height,) * 2),
        ),
    )
    places = pl.DataFrame(
        [
            candidate.row(years, schools, margin_sd)
            for candidate in (*_of_schools(blocks, means, groups), *_of_city(blocks, means, groups))
        ],
        schema=_SCHEMA,
        orient="row",
    ).sort("scope", "semel_mosad", "subject", "grade")
    # What fails on other grounds enters with p = 1: a real but trifling gap, of which a whole city
    # has several, would otherwise raise the number of rejections and so let more of the others
    # pass.
    is_recurring = (
        (pl.col("p_once") <= once)
        & (pl.col("gap_mean_sd").abs() >= margin_sd)
        & ((pl.col("years_seen") >= years) | (pl.col("schools_seen") >= schools))
    )
    tested = pl.col("p_chance").is_not_null()
    p = pl.when(tested).then(pl.when(is_recurring).then("p_chance").otherwise(1.0))
    reach = float(norm.ppf(0.5 + level / 2)) * pl.col("gap_mean_se_sd")
    return places.with_columns(
        (pl.col("gap_mean_sd") - reach).alias("gap_mean_lo_sd"),
        (pl.col("gap_mean_sd") + reach).alias("gap_mean_hi_sd"),
        q_values(p).alias("q_chance"),
        (pl.col("p_chance") * tested.sum()).alias("false_alarms_expected"),
    ).with_columns((pl.col("q_chance") <= fdr).fill_null(False).alias("is_phenomenon"))


def _weighted(
    measured: pl.DataFrame, groups: pl.DataFrame, components: pl.DataFrame
) -> list[_School]:
    """Return the schools with their weights in the groups' means, by generalised least squares.

    True differences between schools (u, v) count in the weights, so that a group measured in some
    schools only is not typical of those schools alone.
    """
    u, v, w, x = component_variances(components)
    coded = measured.join(
        groups.with_row_index("group").drop("schools"),
        on=MEAN_GROUP,
        how="left",
        maintain_order="left",
    )
    information = np.zeros((groups.height, groups.height))
    places = []
    for (code,), own in coded.group_by("semel_mosad", maintain_order=True):
        group, gap, error = (
            own[name].to_numpy() for name in ("group", "gap_raw_sd", "gap_sampling_sd")
        )
        year, grade, subject = (
            own[name].to_numpy() for name in ("school_year", "grade", "subject")
        )
        same_subject = subject[:, None] == subject[None, :]
        apart = np.abs(year[:, None] - year[None, :])
        cohort = (year - grade)[:, None] == (year - grade)[None, :]
        correlation = np.where(cohort, COHORT_CORRELATION * COHORT_PERSISTENCE**apart, 0.0)
        np.fill_diagonal(correlation, 1.0)
        noise = correlation * np.outer(error, error) + (apart == 0) * (w + x * same_subject)
        precision = np.linalg.inv(noise + u + v * same_subject)
        information[np.ix_(group, group)] += precision
        weight = np.zeros((groups.height, own.height))
        weight[group] = precision
        places.append(_School(str(code), group, gap, noise, weight))
    solved = np.linalg.inv(information)
    return [replace(school, weight=solved @ school.weight) for school in places]


def _of_schools(
    blocks: list[_School], means: _Values, groups: pl.DataFrame
) -> Iterator[_Candidate]:
    """Yield the candidates `school` and `school_subject`."""
    is_typical = (groups["schools"] >= LEAST_TYPICAL).to_numpy()
    subjects, years = groups["subject"].to_numpy(), groups["school_year"].to_numpy()
    for block in blocks:
        kept = np.flatnonzero(is_typical[block.group])
        group = block.group[kept]
        shared = (block.weight[block.group] @ block.noise)[np.ix_(kept, kept)]
        excess = _Values(
            block.gap[kept] - means.value[group],
            block.noise[np.ix_(kept, kept)]
            - shared
            - shared.T
            + means.covariance[np.ix_(group, group)],
        )
        names = np.unique(subjects[group])
        for name in names:
            chosen = np.flatnonzero(subjects[group] == name)
            by_year = excess.part(chosen).pooled(years[group[chosen]])
            yield _Candidate(
                "school_subject",
                by_year,
                len(chosen),
                semel_mosad=block.semel_mosad,
                subject=str(name),
            )
        if len(names) > 1:
            rest = [np.flatnonzero(subjects[group] != name) for name in names]
            yield _Candidate(
                "school",
                excess.pooled(years[group]),
                len(group),
                semel_mosad=block.semel_mosad,
                without=tuple(excess.part(one).pooled(years[group[one]]) for one in rest),
            )


def _of_city(blocks: list[_School], means: _Values, groups: pl.DataFrame) -> Iterator[_Candidate]:
    """Yield the candidates `subject` and `grade`."""
    years = groups["school_year"].to_numpy()
    for scope in ("subject", "grade"):
        names = groups[scope].to_numpy()
        contrasts = [np.eye(len(block.group)) for block in blocks]
        contrast = np.eye(len(names))
        if scope == "grade":
            contrasts = [_against_other_grades(groups[block.group]) for block in blocks]
            contrast = _against_other_grades(groups)
        usable = contrast.any(axis=1)
        whole = means.combined(contrast)
        for name in np.unique(names[usable]):
            chosen = np.flatnonzero((names == name) & usable)
            own = [
                (block, rows[(names[block.group] == name) & rows.any(axis=1)])
                for block, rows in zip(blocks, contrasts, strict=True)
            ]
            by_school = [
                _Values(block.gap, block.noise).combined(rows).pooled(np.zeros(len(rows)))
                for block, rows in own
                if len(rows)
            ]
            yield _Candidate(
                scope,
                whole.part(chosen).pooled(years[chosen]),
                sum(len(rows) for _, rows in own),
                subject=str(name) if scope == "subject" else None,
                grade=int(name) if scope == "grade" else None,
                by_school=_Values(
                    np.array([one.value[0] for one in by_school]),
                    np.diag([one.covariance[0, 0] for one in by_school]),
                ),
            )


def _against_other_grades(groups: pl.DataFrame) -> np.ndarray:
    """Return each group's contrast (P, P) with other grades of its scale, subject and year."""
    test = groups.select(pl.struct("scale_id", "subject", "school_year").rank("dense"))
    code = test.to_series().to_numpy()
    peers = (code[:, None] == code[None, :]).astype(float)
    np.fill_diagonal(peers, 0.0)
    number = peers.sum(axis=1, keepdims=True)
    return np.where(number > 0, np.eye(len(code)) - peers / np.maximum(number, 1), 0.0)


def _recurrence(values: _Values, least: int, sign: float) -> float:
    """Return the two-sided p that fewer than `least` values share the sign, or NaN."""
    size = len(values.value) - least + 1
    if size < 1:
        return np.nan
    error = np.sqrt(np.diag(values.covariance))
    z = sign * values.value / error
    correlation = values.covariance / np.outer(error, error)
    if np.count_nonzero(correlation) == len(z):  # independent: the smallest z are the weakest
        weakest = np.sort(z)[:size].sum() / np.sqrt(size)
    else:
        weakest = min(
            z[chosen].sum() / np.sqrt(correlation[np.ix_(chosen, chosen)].sum())
            for chosen in map(list, combinations(range(len(z)), size))
        )
    return min(2 * float(norm.sf(weakest)), 1.0)
