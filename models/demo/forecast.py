"""A registration forecast of the next school year, and how many pupils really come."""

from __future__ import annotations

import polars as pl

from models.demo.streams import Streams

GROWTH_SD, MISS_SD = 0.05, 0.02  # of a school from year to year; of a forecast from what comes
FORECAST = "forecast.csv"


def forecast_file(
    described: pl.DataFrame, year: int, streams: Streams
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the forecast (contract of `register__forecast`) and how many pupils come.

    The last school of the register sent no forecast.

    Args:
        described: pupils of the last year: semel_mosad.
        year: the next school year.
        streams: random streams.
    """
    schools = described.group_by("semel_mosad").len("pupils").sort("semel_mosad")
    draws = streams(f"forecast_{year}").normal(0, 1, (2, len(schools)))
    come = (schools["pupils"] * (1 + GROWTH_SD * pl.Series(draws[0]))).round().cast(pl.Int64)
    foreseen = (come * (1 + MISS_SD * pl.Series(draws[1]))).round().cast(pl.Int64)
    rows = schools.select(
        "semel_mosad",
        school_year=pl.lit(year, pl.Int64),
        forecast_pupils=foreseen,
        forecast_on=pl.lit(f"{year - 1}-05-10"),
    )
    return rows.head(len(rows) - 1), schools.select("semel_mosad", coming_pupils=come)
