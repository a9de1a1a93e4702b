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
        older=_older(tables["mart_criterion"]),
        schools_faults=_faults_of_schools(criteria, lint),
        judged=_judged(criteria, tables),
        methods=_methods(tables),
    )


def _measure(row: Mapping[str, Any]) -> str:
    """Return the measure of a criterion and its threshold in words."""
    if row["measure_id"] is None:
        return ""
    known = dictionary().fields.get(row["measure_id"])
    name = known.he if known else row["measure_id"]
    if row["threshold"] is None or row["threshold_side"] is None:
        return name
    return (
        f"{name}: {words.label('threshold_side', row['threshold_side'])}"
        f" {words.decimal(row['threshold'])}"
    )


def _fields(criteria: pl.DataFrame, lint: pl.DataFrame) -> Rows:
    """Return every field of criteria, with the authority's criteria and their faults."""
    faults: dict[str, list[str]] = {}
    for name, sentence in (
        lint.sort("criterion_id", "finding_code").select("criterion_id", "finding_he").iter_rows()
    ):
        faults.setdefault(name, []).append(sentence)
    own = criteria.sort("criterion_id")
    rows = []
    for name in map(str, dictionary().fields["criteria_field"].allowed):
        of_field = own.filter(criteria_field=name)
        rows.append(
            {
                "criteria_field": name,
                "criteria": [
                    row | {"faults": faults.get(row["criterion_id"], [])}
                    for row in of_field.filter(criterion_scope="authority").to_dicts()
                ],
                "schools": of_field.filter(criterion_scope="school")["semel_mosad"].n_unique(),
            }
        )
    return rows


def _older(criteria: pl.DataFrame) -> Rows:
    """Return the versions that no longer, or do not yet, hold."""
    return (
        criteria.filter(~pl.col("is_current_version"), criterion_scope="authority")
        .sort("criterion_id", "criterion_version")
        .to_dicts()
    )


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
    methods = tables["mart_identification_method"]
    names = dict(tables["mart_gap_school"].select("semel_mosad", "school_name_he").iter_rows())
    order = list(map(str, dictionary().fields["identification_method"].allowed))
    found = []
    for (field,), rows in methods.sort("criteria_field").group_by(
        "criteria_field", maintain_order=True
    ):
        used = [name for name in order if name in set(rows["identification_method"])]
        schools: dict[str, set[str]] = {}
        for code, method in rows.select("semel_mosad", "identification_method").iter_rows():
            schools.setdefault(code, set()).add(method)
        found.append(
            {
                "criteria_field": field,
                "used": used,
                "schools": sorted(
                    (
                        {"name": names.get(code, code), "methods": own}
                        for code, own in schools.items()
                    ),
                    key=lambda school: school["name"],
                ),
                "counts": [sum(name in own for own in schools.values()) for name in used],
                "first": rows.row(0, named=True),
            }
        )
    return sorted(found, key=lambda one: -len(one["schools"]))
