"""Schools by year as arrays: what the panel design reads, checked and in one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.checks import has_columns, one_row_each

NEVER = np.inf
KEY = ["semel_mosad", "school_year"]
SERIES = ["grade", "scale_id"]  # where given, cells are compared inside one grade and scale only

_AGO = {"before_1_sd": 1, "before_2_sd": 2, "before_3_sd": 3, "after_sd": 0}


@dataclass(frozen=True)
class SchoolPanel:
    """One response and subject; axes: school, series (grade and scale), year.

    Attributes:
        schools: institution codes.
        years: school years, ascending.
        values: measured levels by column name, school × series × year; nan where not measured, and
            where the response had stopped (who left is not untreated again).
        pupils: tested pupils of each cell.
        share: served share of each cell.
        start: first year with the response, by school; NEVER where none in the window.
        serving: whether the school serves in the year, school × year.
        design: intercept and standardised background, school × columns.
        noise: variance of a year's school mean up to a factor: year noise + 1 / pupils.
        stratum: schools of one number could have exchanged their starts.
        left_out: served schools without a measured year before the start.
    """

    schools: list[str]
    years: np.ndarray
    values: dict[str, np.ndarray]
    pupils: np.ndarray
    share: np.ndarray
    start: np.ndarray
    serving: np.ndarray
    design: np.ndarray
    noise: np.ndarray
    stratum: np.ndarray
    left_out: list[str]


def read_panel(
    cells: pl.DataFrame,
    *,
    outcomes: Sequence[str] = ("outcome_sd",),
    covariates: Sequence[str] = (),
    strata: str | None = None,
    year_noise_sd: float = 0.085,
    anticipation_years: int = 0,
) -> SchoolPanel:
    """Check the cells of a panel and lay them out; arguments as in `panel`.

    Raises:
        ValueError: naming the columns or cells at fault.
    """
    if year_noise_sd < 0 or anticipation_years < 0:
        raise ValueError("year_noise_sd and anticipation_years must not be negative")
    series = [name for name in SERIES if name in cells.columns]
    fixed = ["started_year", *covariates, *([strata] if strata else [])]
    needed = {*KEY, *fixed, *outcomes, "pupils", "served_share"}
    has_columns(cells, needed, "the panel's cells")
    if not cells.height:
        raise ValueError("the panel has no cell")
    cells = cells.sort(*KEY, *series)
    _check(cells, [*KEY, *series], outcomes)
    school = cells.select("semel_mosad", *fixed).unique().sort("semel_mosad")
    one_row_each(school, "semel_mosad", f"{', '.join(fixed)} must be one value per school")
    if unknown := [
        n for n in covariates if not school[n].cast(pl.Float64).is_finite().fill_null(False).all()
    ]:
        raise ValueError(f"background is not known for every school: {', '.join(unknown)}")

    years = cells["school_year"].unique().sort().to_numpy()
    kinds = cells.select(series).unique().sort(series) if series else pl.DataFrame({"": [0]})
    shape = (school.height, kinds.height, len(years))
    place = (
        (cells["semel_mosad"].rank("dense") - 1).to_numpy(),
        (cells.select(pl.struct(series).rank("dense")).to_series() - 1).to_numpy() if series else 0,
        np.searchsorted(years, cells["school_year"].to_numpy()),
    )

    def spread(column: str, empty: float) -> np.ndarray:
        whole = np.full(shape, empty)
        whole[place] = cells[column].cast(pl.Float64).fill_null(np.nan).to_numpy()
        return whole

    pupils, share = np.nan_to_num(spread("pupils", 0.0)), spread("served_share", 0.0)
    start = school["started_year"].cast(pl.Float64).fill_null(NEVER).to_numpy().copy()
    start[start > years[-1]] = NEVER
    serving = np.array((share > 0).any(axis=1), dtype=bool)
    stopped = (years >= start[:, None]) & ~serving
    values = {name: np.where(stopped[:, None], np.nan, spread(name, np.nan)) for name in outcomes}
    measured = ~np.isnan(values[outcomes[0]])
    before = measured & (years < start[:, None] - anticipation_years)[:, None]
    keep = np.array(before.any(axis=(1, 2)), dtype=bool)
    tested = np.where(measured, pupils, 0.0).sum(axis=1)
    a_year = tested.sum(axis=1) / np.maximum((tested > 0).sum(axis=1), 1)
    groups = school[strata].rank("dense").to_numpy() if strata else np.zeros(school.height)
    kept = pl.Series(keep)
    return SchoolPanel(
        schools=school.filter(kept)["semel_mosad"].to_list(),
        years=years,
        values={name: value[keep] for name, value in values.items()},
        pupils=pupils[keep],
        share=share[keep],
        start=start[keep],
        serving=serving[keep],
        design=_design(school.filter(kept), covariates),
        noise=year_noise_sd**2 + 1 / np.maximum(a_year[keep], 1.0),
        stratum=groups[keep],
        left_out=school.filter(pl.Series(~keep & (start < NEVER)))["semel_mosad"].to_list(),
    )


def levels_around_start(cells: pl.DataFrame) -> pl.DataFrame:
    """Return the levels of schools around each start, for `mean_reversion`.

    A stratum is one start year: the schools that started then, and those not served yet. Levels are
    taken against the compared schools' mean of the same grade and scale, then averaged over the
    grades in which a school has all of the last two years and the first one served.

    Args:
        cells: as in `panel`.

    Returns:
        unit_id, stratum_id, is_treated, before_1_sd, before_2_sd, before_3_sd, after_sd; sorted.
    """
    series = [name for name in SERIES if name in cells.columns]
    cells = cells.sort("semel_mosad", "school_year", *series)
    starts = cells.select(pl.col("started_year").unique().drop_nulls().sort().alias("stratum_id"))
    ago = pl.col("stratum_id") - pl.col("school_year")
    around = cells.join(starts, how="cross", maintain_order="left_right").filter(
        pl.col("started_year").is_null() | (pl.col("started_year") >= pl.col("stratum_id")),
        ago.is_between(0, 3),
    )
    levels = around.group_by("semel_mosad", "stratum_id", *series, maintain_order=True).agg(
        (pl.col("started_year").first() == pl.col("stratum_id").first())
        .fill_null(False)
        .alias("is_treated"),
        *(
            pl.col("outcome_sd").filter(ago == years).first().alias(name)
            for name, years in _AGO.items()
        ),
    )
    others = pl.col(list(_AGO)) - pl.col(list(_AGO)).filter(~pl.col("is_treated")).mean().over(
        "stratum_id", *series
    )
    return (
        levels.with_columns(others)
        .filter(pl.all_horizontal(pl.col(n).is_not_null() for n in _AGO if n != "before_3_sd"))
        .group_by(
            pl.col("semel_mosad").alias("unit_id"), "stratum_id", "is_treated", maintain_order=True
        )
        .agg(pl.col(list(_AGO)).mean())
        .sort("stratum_id", "unit_id")
    )


def _check(cells: pl.DataFrame, key: list[str], outcomes: Sequence[str]) -> None:
    def refuse(fault: pl.Expr, what: str) -> None:
        bad = cells.filter(fault.fill_null(True)).select(key)
        if bad.height:
            raise ValueError(f"{what}: {bad.unique(maintain_order=True).rows()[:20]}")

    refuse(pl.struct(key).is_duplicated(), "cells given twice")
    for name in outcomes:
        refuse(pl.col(name).is_not_null() & ~pl.col(name).is_finite(), f"{name} is not a number")
        refuse(
            pl.col(name).is_not_null() & ~(pl.col("pupils").fill_null(0) > 0),
            f"{name} without pupils",
        )
    refuse(~pl.col("served_share").is_between(0, 1), "served_share must be known, between 0 and 1")
    early = pl.col("started_year").is_null() | (pl.col("school_year") < pl.col("started_year"))
    refuse(early & (pl.col("served_share") > 0), "served before the started_year")


def _design(school: pl.DataFrame, covariates: Sequence[str]) -> np.ndarray:
    columns = [np.ones(school.height)]
    for name in covariates:
        value = school[name].cast(pl.Float64).to_numpy()
        columns.append((value - value.mean()) / (value.std() or 1.0) if len(value) else value)
    return np.column_stack(columns)
