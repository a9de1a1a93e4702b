"""Cells nobody measured: what the school's other cells say of them, and what untested pupils could change."""

from __future__ import annotations

import polars as pl

from models.gaps.blocks import CELL_KEY, MEAN_GROUP
from models.gaps.posterior import shrunken_gaps

# An error so large that the cell says nothing: a prediction is the estimate of such a cell.
SAYS_NOTHING_SD = 100.0


def predicted_gaps(
    cells: pl.DataFrame, wanted: pl.DataFrame, components: pl.DataFrame, level: float = 0.90
) -> pl.DataFrame:
    """Predict true gaps of cells that were not measured, from the school's measured ones.

    The prediction is that of the gap model: the mean of the cell's group (μ, known from the schools
    that were measured) and as much of the school's own departure (u, v, and w, x where shared) as the
    other cells carry. Its error holds the school-year components of the new cell, so an interval is
    wider the less is known, and always wider than had the cell been measured.

    Args:
        cells: as for `fit_components`.
        wanted: semel_mosad, subject, grade, school_year, scale_id.
        components: component, component_sd.
        level: probability of the interval.

    Returns:
        `wanted` with gap_sd, gap_se_sd, gap_lo_sd, gap_hi_sd, p_below_target, gap_tier; sorted. A cell
        whose group nobody measured, or which is measured, is absent: there is nothing to predict it
        from, or no need to.

    Source: Robinson (1991); domain_methods §2a ("missing by design"); R33, R36.
    """
    measured = cells.filter(pl.col("gap_raw_sd").is_not_null())
    possible = (
        wanted.select(CELL_KEY)
        .unique()
        .join(measured.select(MEAN_GROUP).unique(), on=MEAN_GROUP, how="semi")
        .join(measured.select(CELL_KEY), on=CELL_KEY, how="anti")
        .with_columns(
            pl.lit(0.0).alias("gap_raw_sd"), pl.lit(SAYS_NOTHING_SD).alias("gap_sampling_sd")
        )
    )
    both = pl.concat([measured.select(possible.columns), possible])
    found = shrunken_gaps(both, components, level)
    return (
        found.join(possible.select(CELL_KEY), on=CELL_KEY, how="semi")
        .drop("gap_raw_sd", "gap_sampling_sd", "reliability")
        .sort(CELL_KEY)
    )


def carried_gaps(
    cells: pl.DataFrame, components: pl.DataFrame, school_year: int, level: float = 0.90
) -> pl.DataFrame:
    """Carry results into a year in which a school was not tested, where others were.

    National tests sit in a part of the schools each year. A school is carried into a cell if it has an
    earlier result in the same subject on the same scale (never across a break of scales); what is
    carried is the prediction of `predicted_gaps`, with its wider interval, and the year it rests on.

    Args:
        cells: as for `fit_components`.
        components: component, component_sd.
        school_year: the year to carry into.
        level: probability of the interval.

    Returns:
        as `predicted_gaps`, with carried_from_year (the last measured year).
    """
    measured = cells.filter(pl.col("gap_raw_sd").is_not_null())
    now = measured.filter(pl.col("school_year") == school_year)
    before = (
        measured.filter(pl.col("school_year") < school_year)
        .group_by("semel_mosad", "subject", "scale_id")
        .agg(pl.col("school_year").max().alias("carried_from_year"))
    )
    wanted = now.select(MEAN_GROUP).unique().join(before, on=["subject", "scale_id"])
    found = predicted_gaps(cells, wanted, components, level)
    return found.join(before, on=["semel_mosad", "subject", "scale_id"]).sort(CELL_KEY)


def exclusion_bounds(cells: pl.DataFrame, untested_lower_by_sd: float) -> pl.DataFrame:
    """Return between what the gap lies if the pupils who sat no test had sat it.

    With s the tested share, the mean of all listed pupils is that of the tested less (1 - s)·d, where
    untested pupils are lower by d. Nobody observes d; assumed is 0 ≤ d ≤ `untested_lower_by_sd`:

        gap ≤ gap of all listed pupils ≤ gap + (1 - s)·untested_lower_by_sd

    Args:
        cells: tested_pupils, listed_pupils (null = unknown), gap_sd; other columns pass through.
        untested_lower_by_sd: most that untested pupils are assumed to be lower, pupil SD.

    Returns:
        `cells` with untested_share_pct, gap_all_pupils_lo_sd, gap_all_pupils_hi_sd; null where the
        listed pupils are unknown.

    Raises:
        ValueError: if the assumption is negative, or more pupils are tested than listed.

    Source: Manski (2003), Partial Identification, ch. 1; R26, R33.
    """
    if untested_lower_by_sd < 0:
        raise ValueError("untested_lower_by_sd must not be negative")
    if cells.filter(pl.col("tested_pupils") > pl.col("listed_pupils")).height:
        raise ValueError("a cell has more tested pupils than listed ones")
    untested = 1 - pl.col("tested_pupils") / pl.col("listed_pupils")
    known = pl.col("listed_pupils") > 0
    return cells.with_columns(
        pl.when(known).then(100 * untested).alias("untested_share_pct"),
        pl.when(known).then(pl.col("gap_sd")).alias("gap_all_pupils_lo_sd"),
        pl.when(known).then(pl.col("gap_sd") + untested * untested_lower_by_sd).alias("gap_all_pupils_hi_sd"),
    )  # fmt: skip
