"""Stage `diagnose`: are the criteria that identify pupils clear, bound and fair (R27–R31)."""

from __future__ import annotations

from datetime import date

import polars as pl

from models.criteria import current, fairness, lint, methods_by_school
from models.criteria.fairness import FairnessSettings
from pipelines.settings.city import CityFolder
from pipelines.settings.fields import dictionary
from pipelines.warehouse.tables import Step, Tables

# Where what a criterion may be bound to is measured: per pupil, per school.
_MEASURED_IN = (
    "core_pupil_level",
    "core_school_year",
    "core_attendance",
    "core_climate",
    "core_informal",
    "core_mobility",
)


def criteria(city: CityFolder, tables: Tables) -> Tables:
    """Return what is wrong with the criteria, how fair they are, how schools' methods differ."""
    year = city.city.school_years.reference
    valid = current(tables["core_criterion"], date(year, 6, 30))
    measures = {
        name
        for table in _MEASURED_IN
        for name in tables[table].columns
        if tables[table][name].null_count() < tables[table].height
    }
    fields = tuple(map(str, dictionary().fields["criteria_field"].allowed))
    judged = [
        _fairness(city, row, year, tables)
        for row in valid.filter(pl.col("identified_column").is_not_null()).iter_rows(named=True)
    ]
    empty = pl.DataFrame(schema=_FAIRNESS)
    return {
        "mart_criterion_lint": lint(
            valid, measures, tables["core_goal"]["goal_id"].to_list(), fields
        ),
        "mart_criterion_fairness": pl.concat([empty, *judged]),
        "mart_identification_method": methods_by_school(valid),
    }


_FAIRNESS = {
    "criterion_id": pl.String,
    "criterion_version": pl.Int32,
    "group_id": pl.String,
    "pupils": pl.Int64,
    "identified_pupils": pl.Int64,
    "identified_pct": pl.Float64,
    "identified_lo_pct": pl.Float64,
    "identified_hi_pct": pl.Float64,
    "expected_pupils": pl.Float64,
    "fairness_ratio": pl.Float64,
    "fairness_lo": pl.Float64,
    "fairness_hi": pl.Float64,
    "is_unfair": pl.Boolean,
}


def _fairness(city: CityFolder, row: dict, year: int, tables: Tables) -> pl.DataFrame:
    policy, in_year = city.policy.fairness, pl.col("school_year") == year
    marked = pl.col(row["identified_column"]).alias("is_identified")
    pupils = tables["core_pupil_level"].filter(in_year)
    # A group of identified pupils says nothing about how pupils are identified.
    itself = pl.col("group_id").is_in(
        tables["core_group"].filter(group_dimension="gifted")["group_id"].to_list()
    )
    found = fairness(
        pupils.select("pupil_hash", "semel_mosad", "pupil_level_sd", marked),
        tables["core_pupil_group"].filter(in_year & ~itself),
        FairnessSettings(reliability=policy.reliability.value, margin=policy.margin.value),
    )
    named = {
        key: pl.lit(row[key]).cast(_FAIRNESS[key]) for key in ("criterion_id", "criterion_version")
    }
    return found.with_columns(**named).select(list(_FAIRNESS))


STEPS = (
    Step(
        "criteria",
        "diagnose",
        makes=("mart_criterion_lint", "mart_criterion_fairness", "mart_identification_method"),
        reads=("core_criterion", "core_goal", "core_group", "core_pupil_group", *_MEASURED_IN),
        compute=criteria,
    ),
)
