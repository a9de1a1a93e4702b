"""Schools in quarters of need, each with a quarter of the pupils."""

from __future__ import annotations

import polars as pl

_QUARTILES = 4


def with_quartile(schools: pl.DataFrame) -> pl.DataFrame:
    """The schools with need_quartile, 1 = neediest.

    Quartiles hold a quarter of the pupils each, as nearly as whole schools allow: a school belongs
    where the middle of those as needy as it lies.

    Args:
        schools: pupils (≥ 0), need (0..1); other columns stay.
    """
    total = pl.col("pupils").sum()
    return (
        schools.join(
            schools.group_by("need")
            .agg(own=pl.col("pupils").sum())
            .sort("need", descending=True)
            .with_columns(middle=pl.col("own").cum_sum() - pl.col("own") / 2)
            .select("need", "middle"),
            on="need",
            how="left",
            maintain_order="left",
        )
        .with_columns(
            need_quartile=(_QUARTILES * pl.col("middle") / total)
            .floor()
            .clip(0, _QUARTILES - 1)
            .fill_nan(0)
            .cast(pl.Int32)
            + 1
        )
        .drop("middle")
    )
