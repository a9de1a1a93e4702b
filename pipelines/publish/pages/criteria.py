"""The criteria page: how pupils are identified, how clearly, how fairly, how alike (R27–R31).

Hebrew, right to left, without scripts. Every number carries the address of its mart cell. That a
group is identified less often than pupils of equal achievement is an association; it does not say
why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from pipelines.publish import words
from pipelines.publish.pages.base import ReportContext, Rows, page
from pipelines.settings.fields import dictionary


def render_criteria(tables: Mapping[str, pl.DataFrame], context: ReportContext) -> str:
    """Return the page as one HTML text.

    Args:
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
    """
    criteria = tables["mart_criterion"].filter("is_current_version")
    lint = tables["mart_criterion_lint"]
    return page(
        "criteria",
        tables,
        context,
        fields=_fields(criteria, lint),
        measure=_measure,
        older=(
            tables["mart_criterion"]
            .filter(~pl.col("is_current_version"), criterion_scope="authority")
            .sort("criterion_id", "criterion_version")
            .to_dicts()
        ),
        schools_faults=_faults_of_schools(criteria, lint),
        judged=_judged(criteria, tables),
        methods=_methods(tables),
    )


def measure_name(column: str) -> str:
    """Return the Hebrew name of what a criterion measures."""
    known = dictionary().fields.get(column)
    return known.he if known else "מדד שאינו נקלט"


def _measure(row: Mapping[str, Any]) -> str:
    """Return the measure of a criterion and its threshold in words."""
    if row["measure_id"] is None:
        return ""
    name = measure_name(row["measure_id"])
    if row["threshold"] is None or row["threshold_side"] is None:
        return name
    return (
        f"{name}: {words.label('threshold_side', row['threshold_side'])}"
        f" {words.decimal(row['threshold'])}"
    )


def _fields(criteria: pl.DataFrame, lint: pl.DataFrame) -> Rows:
    """Return every field of criteria, with the authority's criteria and their faults."""
    faults = lint.sort("criterion_id", "finding_code").group_by("criterion_id")
    own = criteria.join(faults.agg(faults="finding_he"), on="criterion_id", how="left")
    authority, school = (
        own.filter(criterion_scope=scope).sort("criterion_id") for scope in ("authority", "school")
    )
    return [
        {
            "criteria_field": name,
            "criteria": authority.filter(criteria_field=name).to_dicts(),
            "schools": school.filter(criteria_field=name)["semel_mosad"].n_unique(),
        }
        for name in map(str, dictionary().fields["criteria_field"].allowed)
    ]


def _faults_of_schools(criteria: pl.DataFrame, lint: pl.DataFrame) -> Rows:
    """Return how many of the schools' own criteria have each fault."""
    own = criteria.filter(criterion_scope="school").select("criterion_id", "semel_mosad")
    return (
        lint.join(own, on="criterion_id")
        .group_by("criteria_field", "finding_code", "finding_he")
        .agg(pl.col("semel_mosad").n_unique().alias("schools"))
        .sort("criteria_field", "finding_code")
        .to_dicts()
    )


def _judged(criteria: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> Rows:
    """Return each criterion whose pupils are marked, with its row for every group."""
    found = tables["mart_criterion_fairness"].join(tables["mart_group"], on="group_id", how="left")
    names = dict(criteria.select("criterion_id", "criterion_name_he").iter_rows())
    return [
        {
            "name": names.get(name, name),
            "version": version,
            "rows": rows.sort("group_dimension", "group_id").to_dicts(),
        }
        for (name, version), rows in found.sort("criterion_id").group_by(
            "criterion_id", "criterion_version", maintain_order=True
        )
    ]


def _methods(tables: Mapping[str, pl.DataFrame]) -> Rows:
    """Return for each field the matrix school × method, and how far the schools differ."""
    names = tables["mart_gap_school"].select("semel_mosad", "school_name_he").unique()
    methods = tables["mart_identification_method"].join(names, on="semel_mosad", how="left")
    found = [
        {
            "first": own.sort("semel_mosad").row(0, named=True),
            "counts": dict(own.group_by("identification_method").len().iter_rows()),
            "schools": own.group_by("semel_mosad", maintain_order=True)
            .agg(methods="identification_method")
            .to_dicts(),
        }
        for own in methods.sort("criteria_field", "school_name_he", "semel_mosad").partition_by(
            "criteria_field", maintain_order=True
        )
    ]
    return sorted(found, key=lambda one: -len(one["schools"]))
