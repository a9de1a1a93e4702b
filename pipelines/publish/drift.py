"""What moved since the release before: rows, pupils, schools and mean gaps (R25)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from pipelines.settings.fields import dictionary

_KEY = ("figure_id", "school_year")


def quality_drift(tables: Mapping[str, pl.DataFrame], before: Path | None) -> pl.DataFrame:
    """Return `mart_quality_drift`: every figure of this release beside the one before.

    Args:
        tables: the marts of this release.
        before: folder of the release before; None if there is none, the earlier figures are then
            empty.
    """
    now = _figures(tables)
    held = {
        name: pl.read_parquet(before / "analyst" / f"{name}.parquet")
        for name in _READ
        if before and (before / "analyst" / f"{name}.parquet").is_file()
    }
    # A release of an older version may lack a table: there is then nothing to compare with.
    if set(held) != set(_READ):
        return now.with_columns(previous_value=pl.lit(None, pl.Float64)).select(_COLUMNS)
    earlier = _figures(held).select(*_KEY, previous_value="observed_value")
    return now.join(earlier, on=_KEY, how="left").select(_COLUMNS)


_COLUMNS = ("figure_id", "school_year", "previous_value", "observed_value", "unit")
_READ = ("mart_source_file", "mart_pupil_total", "mart_gap_school_subject", "mart_city")


def _figures(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    year = pl.lit(tables["mart_city"]["reference_year"][0], pl.Int32).alias("school_year")
    files = tables["mart_source_file"].drop_nulls("rows_staged")  # of some it is not told
    rows = files.group_by("source_id").agg(pl.col("rows_staged").sum())
    totals = tables["mart_pupil_total"].filter(pl.col("stream") == "total")
    gaps = (
        tables["mart_gap_school_subject"]
        .filter(pl.col("is_measured"))
        .group_by("subject", "school_year")
        # How rows are chunked and shared among cores decides in which order they are added up.
        .agg(pl.col("gap_raw_sd").mean().round(12))
    )
    figures = [
        rows.select(pl.format("rows.{}", "source_id"), year, pl.col("rows_staged"), pl.lit("rows")),
        totals.select(pl.format("pupils.{}", "scope"), year, "pupils", pl.lit("pupils")),
        totals.select(pl.format("schools.{}", "scope"), year, "schools", pl.lit("schools")),
        gaps.select(
            pl.format("gap_raw.{}", "subject"),
            "school_year",
            "gap_raw_sd",
            pl.lit(dictionary().fields["gap_raw_sd"].unit),
        ),
    ]
    names = ("figure_id", "school_year", "observed_value", "unit")
    types = (pl.String, pl.Int32, pl.Float64, pl.String)
    return pl.concat(
        frame.rename(dict(zip(frame.columns, names, strict=True))).cast(
            dict(zip(names, types, strict=True))
        )
        for frame in figures
    ).sort(_KEY)
