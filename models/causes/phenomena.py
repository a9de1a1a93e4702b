"""Which gaps recur: a gap is a phenomenon when it comes back in several years or in several schools."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
from scipy.stats import false_discovery_control, norm
from threadpoolctl import threadpool_limits

from models.causes.cell_noise import SchoolCells, school_cells

SCOPES = ("school", "school_subject", "subject", "grade")
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
}


@dataclass(frozen=True)
class _Rule:
    years: int
    schools: int
    margin: float


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
    level: float = 0.90,
) -> pl.DataFrame:
    """Return every place whose gap could recur, how surely it does, and which ones are phenomena.

    Four kinds of places, each with its own "gap" (positive = below, so excellence is `above`):

        school_subject  gap of a school in a subject - what is typical of the city (μ of the gap model)
        school          the same over all its subjects; must stand without any one of them
        subject         gap of the whole city's measured schools in a subject against the target
        grade           gap of a grade - that of the city's other grades in the same subject and year

    A place's gap in year t is the precision-weighted mean d[t] of its cells. Errors are sampling
    (cells of one cohort are correlated) and the school-year noise w and x of the components; u and v
    are what is looked for. With z[t] = (±d[t] - margin) / error[t], the hypothesis "fewer than r
    years have the gap" is rejected by the weakest of all selections S of T - r + 1 years:

        p = max over S of 1 - Φ(Σ z[S] / √(1'R[S]1)),   R = correlations of the z

    so one extreme year never suffices. In the same way "fewer than `schools` schools" for `subject`
    and `grade`, whose p is twice the smaller of the two. Both directions are tried (p doubled), and
    q is Benjamini and Hochberg's over all places of the city. A place measured too seldom to recur
    has no p and is no phenomenon.

    Args:
        cells: semel_mosad, subject, grade, school_year, scale_id, gap_raw_sd (pupil SD; null = not
            measured), gap_sampling_sd (pupil SD), of one pupil group; other columns are ignored.
            Raw, not shrunken gaps: shrinkage carries one year's gap into the others.
        components: component, component_sd (pupil SD): school, school_subject, school_year,
            school_subject_year.
        years: least school years in which a gap must recur.
        schools: least schools in which a gap must recur.
        margin_sd: smallest gap that matters, pupil SD.
        fdr: share of the listed phenomena that may be false, in expectation.
        level: probability of the interval of the mean gap.

    Returns:
        scope, semel_mosad, subject, grade (null where the place has none), direction (`below` or
        `above`), years_measured, years_seen, schools_measured, schools_seen (those beyond the margin
        in this direction), cells, gap_mean_sd, gap_mean_se_sd, gap_mean_lo_sd, gap_mean_hi_sd (pupil
        SD; not shrunken, so of the listed ones a little too large), p_chance, q_chance,
        false_alarms_expected (places without a recurring gap that would show so small a p),
        is_phenomenon; sorted by scope and place.

    Raises:
        ValueError: if years or schools is below 2, the margin is negative, fdr or level is not
            between 0 and 1, a component is missing, or a cell is invalid.

    Source: Benjamini & Heller (2008), partial conjunctions; Benjamini & Hochberg (1995); R40, R44.
    """
    if years < 2 or schools < 2:
        raise ValueError(f"a gap recurs in at least 2 years or 2 schools; got {years} and {schools}")
    if not margin_sd >= 0:
        raise ValueError(f"margin_sd is the smallest gap that matters, 0 or above; got {margin_sd}")
    if not (0 < fdr < 1 and 0 < level < 1):
        raise ValueError(f"fdr and level are shares between 0 and 1; got {fdr} and {level}")
    rule = _Rule(years, schools, margin_sd)
    blocks, means, mean_covariance, groups = school_cells(cells, components)
    rows = [
        *_of_schools(blocks, means, mean_covariance, groups, rule),
        *_of_city(blocks, _Values(means, mean_covariance), groups, rule),
    ]
    found = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    p = found["p_chance"].drop_nulls().to_numpy()
    tested = found.filter(pl.col("p_chance").is_not_null()).with_columns(
        pl.Series("q_chance", false_discovery_control(p) if len(p) else p, dtype=pl.Float64),
        (pl.col("p_chance") * len(p)).alias("false_alarms_expected"),
    )
    untested = found.filter(pl.col("p_chance").is_null())
    reach = float(norm.ppf(0.5 + level / 2)) * pl.col("gap_mean_se_sd")
    return (
        pl.concat([tested, untested], how="diagonal")
        .select(
            *list(_SCHEMA)[:-1],
            (pl.col("gap_mean_sd") - reach).alias("gap_mean_lo_sd"),
            (pl.col("gap_mean_sd") + reach).alias("gap_mean_hi_sd"),
            "p_chance",
            "q_chance",
            "false_alarms_expected",
            (pl.col("q_chance") <= fdr).fill_null(False).alias("is_phenomenon"),
        )
        .sort("scope", "semel_mosad", "subject", "grade")
    )


def _of_schools(
    blocks: list[SchoolCells],
    means: np.ndarray,
    mean_covariance: np.ndarray,
    groups: pl.DataFrame,
    rule: _Rule,
) -> Iterator[tuple]:
    """Yield the candidates `school` and `school_subject`."""
    enough = (groups["schools"] >= LEAST_TYPICAL).to_numpy()
    subjects, years = groups["subject"].to_numpy(), groups["school_year"].to_numpy()
    for block in blocks:
        shared = block.weight[block.group] @ block.noise
        values = _Values(
            block.gap - means[block.group],
            block.noise - shared - shared.T + mean_covariance[np.ix_(block.group, block.group)],
        )
        kept = np.flatnonzero(enough[block.group])
        values, subject, year = (
            values.part(kept),
            subjects[block.group[kept]],
            years[block.group[kept]],
        )
        names = np.unique(subject)

        def seen(
            chosen: np.ndarray, values: _Values = values, year: np.ndarray = year
        ) -> tuple[_Values, np.ndarray]:
            by_year = values.part(chosen).pooled(year[chosen])
            return by_year, _recurrence(by_year, rule.years, rule.margin)

        for name in names:
            chosen = np.flatnonzero(subject == name)
            by_year, tails = seen(chosen)
            yield _row(
                "school_subject", block.semel_mosad, str(name), None, by_year, None, tails, len(chosen), rule
            )  # fmt: skip
        if len(names) > 1:
            by_year, tails = seen(np.arange(len(subject)))
            without = [seen(np.flatnonzero(subject != name))[1] for name in names]
            tails = np.max([tails, *without], axis=0)  # a missing tail stays missing
            yield _row("school", block.semel_mosad, None, None, by_year, None, tails, len(subject), rule)  # fmt: skip


def _of_city(
    blocks: list[SchoolCells], means: _Values, groups: pl.DataFrame, rule: _Rule
) -> Iterator[tuple]:
    """Yield the candidates `subject` and `grade`."""
    for scope, column in (("subject", "subject"), ("grade", "grade")):
        names = groups[column].to_numpy()
        against = np.eye(len(names)) if scope == "subject" else _against_other_grades(groups)
        usable = against.any(axis=1)
        contrast = means.combined(against)
        years = groups["school_year"].to_numpy()
        for name in np.unique(names[usable]):
            chosen = np.flatnonzero((names == name) & usable)
            by_year = contrast.part(chosen).pooled(years[chosen])
            by_school, cells = [], 0
            for block in blocks:
                own = (
                    np.eye(len(block.group))
                    if scope == "subject"
                    else _against_other_grades(groups[block.group])
                )
                own = own[(names[block.group] == name) & own.any(axis=1)]
                if len(own):
                    values = _Values(block.gap, block.noise).combined(own)
                    by_school.append(values.pooled(np.zeros(len(own))))
                    cells += len(own)
            if not by_school:
                continue
            schools = _Values(
                np.array([one.value[0] for one in by_school]),
                np.diag([one.covariance[0, 0] for one in by_school]),
            )
            both = np.array(
                [
                    _recurrence(by_year, rule.years, rule.margin),
                    _recurrence(schools, rule.schools, rule.margin, independent=True),
                ]
            )
            tested = ~np.isnan(both).any(axis=1)
            tails = (
                np.minimum(tested.sum() * both[tested].min(axis=0), 1.0)
                if tested.any()
                else both[0]
            )
            subject, grade = (str(name), None) if scope == "subject" else (None, int(name))
            yield _row(scope, None, subject, grade, by_year, schools, tails, cells, rule)


def _against_other_grades(groups: pl.DataFrame) -> np.ndarray:
    """Return the contrasts (P, P) of each group with the other grades of its scale, subject and year."""
    same = groups.select(
        pl.struct("scale_id", "subject", "school_year").rank("dense").alias("test")
    )["test"].to_numpy()
    peers = (same[:, None] == same[None, :]).astype(float)
    np.fill_diagonal(peers, 0.0)
    number = peers.sum(axis=1, keepdims=True)
    return np.where(number > 0, np.eye(len(same)) - peers / np.maximum(number, 1), 0.0)


def _recurrence(
    values: _Values, least: int, margin: float, independent: bool = False
) -> np.ndarray:
    """Return the p-values that fewer than `least` values lie below, and above; NaN if there are fewer."""
    size = len(values.value) - least + 1
    if size < 1:
        return np.array([np.nan, np.nan])
    error = np.sqrt(np.diag(values.covariance))
    z = (np.stack([values.value, -values.value]) - margin) / error
    if independent:  # the weakest selection is that of the smallest z
        return norm.sf(np.sort(z, axis=1)[:, :size].sum(axis=1) / np.sqrt(size))
    correlation = values.covariance / np.outer(error, error)
    weakest = np.full(2, np.inf)
    for chosen in map(list, combinations(range(len(error)), size)):
        spread = np.sqrt(correlation[np.ix_(chosen, chosen)].sum())
        weakest = np.minimum(weakest, z[:, chosen].sum(axis=1) / spread)
    return norm.sf(weakest)


def _row(
    scope: str,
    semel_mosad: str | None,
    subject: str | None,
    grade: int | None,
    by_year: _Values,
    by_school: _Values | None,
    tails: np.ndarray,
    cells: int,
    rule: _Rule,
) -> tuple:
    mean = by_year.pooled(np.zeros(len(by_year.value)))
    value, error = float(mean.value[0]), float(np.sqrt(mean.covariance[0, 0]))
    is_below = value >= 0 if np.isnan(tails).any() or tails[0] == tails[1] else tails[0] < tails[1]

    def beyond(values: _Values) -> int:
        return int((values.value * (1 if is_below else -1) > rule.margin).sum())

    return (
        scope,
        semel_mosad,
        subject,
        grade,
        "below" if is_below else "above",
        len(by_year.value),
        beyond(by_year),
        1 if by_school is None else len(by_school.value),
        int(beyond(mean) if by_school is None else beyond(by_school)),
        cells,
        value,
        error,
        None if np.isnan(tails).any() else float(min(2 * tails.min(), 1.0)),
    )
