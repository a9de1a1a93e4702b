"""What untested pupils could change: bounds under a stated assumption, never a point."""

from __future__ import annotations

import polars as pl

from models.checks import every_row


def exclusion_bounds(cells: pl.DataFrame, untested_lower_by_sd: float) -> pl.DataFrame:
    """Return between what the gap lies if the pupils who sat no test had sat it.

    With s the tested share, the mean of all listed pupils is that of the tested less (1 - s)·d,
    where untested pupils are lower by d. Nobody observes d; assumed is 0 ≤ d ≤
    `untested_lower_by_sd`:

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
    enough = (pl.col("tested_pupils") <= pl.col("listed_pupils")).fill_null(True)
    every_row(cells, enough, "a cell has more tested pupils than listed ones")
    untested = 1 - pl.col("tested_pupils") / pl.col("listed_pupils")
    known = pl.col("listed_pupils") > 0
    return cells.with_columns(
        pl.when(known).then(100 * untested).alias("untested_share_pct"),
        pl.when(known).then(pl.col("gap_sd")).alias("gap_all_pupils_lo_sd"),
        pl.when(known)
        .then(pl.col("gap_sd") + untested * untested_lower_by_sd)
        .alias("gap_all_pupils_hi_sd"),
    )
