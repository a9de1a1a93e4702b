"""Cells missing by design: what the school's measured cells say of a cell it did not sit."""

from __future__ import annotations

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from models.cells import CELL_KEY, MEAN_GROUP, component_variances, measured_cells
from models.checks import one_row_each
from models.gaps.blocks import solve_means, stacks
from models.gaps.tiers import gap_tier, interval

NO_REFERENCE = "no_reference"


@threadpool_limits.wrap(limits=1)
def predicted_gaps(
    cells: pl.DataFrame, wanted: pl.DataFrame, components: pl.DataFrame, level: float = 0.90
) -> pl.DataFrame:
    """Predict the true gap of cells that were not measured: the exact conditional normal.

    With y the measured cells of the wanted cell's school, V their covariance, k the covariance of y
    with the wanted true gap (the components both share), X and x the selections of the fixed means
    β, C the covariance of their estimate, and σ² the sum of all components' variances:

        gap = x'β + k'V⁻¹(y - Xβ),   variance = σ² - k'V⁻¹k + (x - X'V⁻¹k)'C(x - X'V⁻¹k)

    The school-year components of the new cell are in σ², so the error is never smaller than had the
    cell been measured. Nothing is put in the place of the missing result: sampling errors of a
    cohort are correlated, so even a made-up cell with a huge error would tell its neighbours
    something.

    Args:
        cells: as for `fit_components`.
        wanted: semel_mosad, subject, grade, school_year, scale_id; no measured cell, none twice.
        components: component, component_sd.
        level: probability of the interval.

    Returns:
        The key, gap_sd, gap_se_sd, gap_lo_sd, gap_hi_sd (pupil SD), p_below_target, gap_tier,
        reason; sorted by key. A cell whose (scale, subject, grade, year) no school was measured in
        has no mean to start from: null, `not_measured`, with reason `no_reference`.

    Raises:
        ValueError: as `fit_components` for the cells; if a component is absent; if a wanted cell
            is measured or repeats.

    Source: Robinson (1991); Raudenbush & Bryk (2002), ch. 3; R33, R36.
    """
    measured = measured_cells(cells)
    key = wanted.select(CELL_KEY).sort(CELL_KEY)
    one_row_each(key, CELL_KEY, "a wanted cell repeats; ask for each once")
    if (twice := key.join(measured, on=CELL_KEY, how="semi")).height:
        raise ValueError(
            f"wanted cells that are measured: {twice.head(3).rows()}; take them from shrunken_gaps"
        )
    variances = component_variances(components)
    # The same order of groups as in `stacks`.
    groups = measured.select(MEAN_GROUP).unique().sort(MEAN_GROUP).with_row_index("group")
    possible = key.join(groups, on=MEAN_GROUP, how="inner").sort(CELL_KEY)
    gap, variance = _predict(measured, possible, variances)
    predicted = possible.select(*CELL_KEY, *interval(gap, np.sqrt(variance), level))
    return (
        key.join(predicted, on=CELL_KEY, how="left")
        .with_columns(
            gap_tier(pl.col("p_below_target")).alias("gap_tier"),
            pl.when(pl.col("gap_sd").is_null()).then(pl.lit(NO_REFERENCE)).alias("reason"),
        )
        .sort(CELL_KEY)
    )


def _predict(
    measured: pl.DataFrame, possible: pl.DataFrame, variances: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of each possible cell's true gap."""
    gap, variance = np.zeros(possible.height), np.full(possible.height, variances.sum())
    if possible.is_empty():
        return gap, variance
    blocks = list(stacks(measured))
    solved = solve_means(blocks, variances)
    group = possible["group"].to_numpy()
    own = measured.select("semel_mosad", "subject", "school_year").to_numpy()
    asked = possible.select("semel_mosad", "subject", "school_year").to_numpy()
    wanted_of = {
        name: np.flatnonzero(asked[:, 0] == name) for name in possible["semel_mosad"].unique()
    }
    # How a wanted cell weighs each mean, x - X'V⁻¹k; a school without any result has only its x.
    selection = np.zeros((possible.height, len(solved.fixed)))
    selection[np.arange(possible.height), group] = 1.0
    for block, inverse in zip(blocks, solved.inverses, strict=True):
        residual = block.gap - block.expected(solved.fixed)
        for rows, left, full, means in zip(block.rows, residual, inverse, block.mean, strict=True):
            real = rows >= 0
            here, rows = wanted_of.get(own[rows[0], 0]), rows[real]
            if here is None:
                continue
            subject = asked[here, 1][:, None] == own[rows, 1]
            year = asked[here, 2][:, None] == own[rows, 2]
            same = (np.ones_like(subject), subject, year, subject & year)
            shared = sum(v * s for v, s in zip(variances, same, strict=True))
            weights = shared @ full[np.ix_(real, real)]
            gap[here] = weights @ left[real]
            variance[here] -= (weights * shared).sum(axis=1)
            selection[np.ix_(here, means[real])] -= weights
    gap += solved.fixed[group]
    variance += np.einsum("ij,jk,ik->i", selection, solved.covariance, selection)
    return gap, variance


def planned_missing_gaps(
    cells: pl.DataFrame, components: pl.DataFrame, school_year: int, level: float = 0.90
) -> pl.DataFrame:
    """Predict the cells of a year that were missing by design, where an earlier result is linked.

    National tests are sat in a part of the schools each year. A cell of `school_year` is predicted
    for a school that has an earlier result in the same subject and grade by the same ruler. It is
    the prediction of `predicted_gaps`, with its wider interval, not the old figure.

    Args:
        cells: as for `fit_components`, with ruler (results of one ruler may be compared); rows
            without a gap name cells of the year that nobody may have sat.
        components: component, component_sd.
        school_year: the year to predict.
        level: probability of the interval.

    Returns:
        as `predicted_gaps`, with is_carried (false where there is a reason) and carried_from_year
        (last measured year); sorted by key. Absent: measured cells, and cells without an earlier
        linked result.

    Raises:
        ValueError: as `predicted_gaps`.

    Source: domain_methods §2a ("missing by design"); R9, R33.
    """
    measured = cells.filter(pl.col("gap_raw_sd").is_not_null())
    before = (
        measured.filter(pl.col("school_year") < school_year)
        .group_by("semel_mosad", "subject", "grade", "ruler")
        .agg(pl.col("school_year").max().alias("carried_from_year"))
    )
    now = cells.filter(pl.col("school_year") == school_year).select(*MEAN_GROUP, "ruler").unique()
    wanted = now.join(before, on=["subject", "grade", "ruler"]).join(
        measured, on=CELL_KEY, how="anti"
    )
    return (
        predicted_gaps(cells, wanted, components, level)
        .join(wanted.select(*CELL_KEY, "carried_from_year"), on=CELL_KEY)
        .with_columns(pl.col("gap_sd").is_not_null().alias("is_carried"))
        .sort(CELL_KEY)
    )
