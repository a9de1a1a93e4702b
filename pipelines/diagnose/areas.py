"""Gaps and need by area and by band of the nurture index, each pupil counting once (R6)."""

from __future__ import annotations

import polars as pl

from models.gaps import city_gaps
from models.keys import WHOLE
from pipelines.diagnose.gaps import window_years
from pipelines.diagnose.gates import GATES
from pipelines.settings.city import CityFolder
from pipelines.warehouse.tables import Step, Tables, nothing

BAND = "nurture_band"
KINDS = ("choice_cluster", "stat_area", BAND)
NOWHERE = "none"
"""Area of the schools whose area is not known, so that the rows add up to the city."""


def nurture_bands(school_years: pl.DataFrame) -> pl.DataFrame:
    """Return the band of each school's latest nurture index, in three from the strongest.

    Args:
        school_years: semel_mosad, school_year, nurture_index (1 to 10, null = not known).

    Returns:
        semel_mosad, nurture_band ("1_3", "4_7", "8_10"; null = not known).
    """
    index = pl.col("nurture_index")
    return (
        school_years.sort("school_year")
        .group_by("semel_mosad", maintain_order=True)
        .last()
        .select(
            "semel_mosad",
            pl.when(index < 4)
            .then(pl.lit("1_3"))
            .when(index < 8)
            .then(pl.lit("4_7"))
            .when(index.is_not_null())
            .then(pl.lit("8_10"))
            .alias(BAND),
        )
    )


def areas(city: CityFolder, tables: Tables) -> Tables:
    """Return the gap of every area by subject, and how the areas add up to the city's gap.

    An area is where its schools stand, not where their pupils live; a band of the nurture index is
    the fixed group that a school is compared with where it may not see single others (R130).
    `area_part_sd` is its gap times its share of the city's tested pupils; over the areas of a kind
    the parts sum to `mart_gap_city`, and `sum_less_city_sd` says by how much they do not. Over all
    subjects nothing adds up, as the mean of subjects has other weights in each area.
    """
    cells = tables["core_gap_cell"].filter(
        pl.col("group_id") == WHOLE,
        pl.col("school_year").is_between(*window_years(tables)),
    )
    placed = (
        tables["core_school"]
        .filter("is_in_plan")
        .join(nurture_bands(tables["core_school_year"]), on="semel_mosad", how="left")
        .select("semel_mosad", pl.col(KINDS).fill_null(NOWHERE))
    )
    components = tables["mart_gap_component"].select("component", "component_sd")
    found = [
        _kind(kind, cells, placed, components) for kind in KINDS if (placed[kind] != NOWHERE).any()
    ]
    if not found or not cells["is_measured"].any():
        return {"mart_gap_area": nothing("mart_gap_area")}
    whole = tables["mart_gap_city"].select(
        "subject", city_gap_sd="gap_sd", city_pupils="tested_pupils"
    )
    of_kind = ["area_kind", "subject"]
    part = pl.col("gap_sd") * pl.col("tested_pupils") / pl.col("city_pupils")
    return {
        "mart_gap_area": (
            pl.concat(found)
            .join(whole, on="subject")
            .with_columns(area_part_sd=pl.when(pl.col("subject") != WHOLE).then(part))
            .with_columns(
                sum_less_city_sd=pl.col("area_part_sd").sum().over(of_kind) - pl.col("city_gap_sd")
            )
            .with_columns(pl.when(pl.col("subject") != WHOLE).then("sum_less_city_sd"))
            .drop("city_pupils")
            .sort("area_kind", "area", "subject")
        )
    }


def _kind(
    kind: str, cells: pl.DataFrame, placed: pl.DataFrame, components: pl.DataFrame
) -> pl.DataFrame:
    """Return the gaps of one kind of area; an area without a measured cell has no row."""
    rows = cells.join(placed, on="semel_mosad")
    found = []
    for (area,), part in rows.sort(kind).group_by(kind, maintain_order=True):
        if not part["is_measured"].any():
            continue
        schools = placed.filter(pl.col(kind) == area).height
        found.append(
            city_gaps(part.drop(*KINDS, "group_id"), components, schools=schools).select(
                pl.lit(kind).alias("area_kind"),
                pl.lit(area).alias("area"),
                pl.all(),
                pl.lit(schools, pl.Int32).alias("schools"),
            )
        )
    return pl.concat(found) if found else nothing("mart_gap_area")


def need_areas(city: CityFolder, tables: Tables) -> Tables:
    """Return the mean need of the pupils of each band of the nurture index, and of the city.

    The ends are the means of the schools' ends: no more is known of how their errors move together.
    """
    need = (
        tables["mart_need_index"]
        .select(
            "semel_mosad", "need", "need_lo", "need_hi", pupils=pl.col("last_registered_pupils")
        )
        .join(nurture_bands(tables["core_school_year"]), on="semel_mosad", how="left")
        .with_columns(pl.col(BAND).fill_null(NOWHERE), area_kind=pl.lit(BAND))
        .sort("semel_mosad")
    )
    each = pl.col("need", "need_lo", "need_hi")
    parts = [
        rows.group_by("area_kind", BAND, maintain_order=True).agg(
            pl.len().cast(pl.Int32).alias("schools"),
            pl.col("pupils").sum().cast(pl.Int32),
            (each * pl.col("pupils")).sum() / pl.col("pupils").sum(),
        )
        for rows in (need.with_columns(pl.lit(WHOLE).alias(BAND)), need)
    ]
    return {
        "mart_need_area": pl.concat(parts).rename({BAND: "area"}).sort("area_kind", "area"),
        "mart_school_area": need.select("semel_mosad", "area_kind", pl.col(BAND).alias("area")),
    }


STEPS = (
    Step(
        "areas",
        "diagnose",
        makes=("mart_gap_area",),
        reads=(
            "core_gap_cell",
            "core_school",
            "core_school_year",
            "core_city",
            "mart_gap_component",
            "mart_gap_city",
        ),
        after=GATES,
        compute=areas,
    ),
    Step(
        "need_areas",
        "diagnose",
        makes=("mart_need_area", "mart_school_area"),
        reads=("core_school_year", "mart_need_index"),
        compute=need_areas,
    ),
)
