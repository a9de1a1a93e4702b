"""The report: what was asked, what the data say, and the proposed allocation, stage by stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl
from markupsafe import Markup

from models.keys import WHOLE
from pipelines.publish import charts
from pipelines.publish.pages.base import ReportContext, Rows, counts, page
from pipelines.settings.fields import dictionary


def render_report(tables: Mapping[str, pl.DataFrame], context: ReportContext) -> str:
    """Return the report as one HTML page without scripts or requests.

    Args:
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
    """
    gaps, need = tables["mart_gap_school"], tables["mart_need_index"]
    schools, lines = tables["mart_allocation_school"], tables["mart_allocation"]
    measured = set(gaps["subject"]) - {WHOLE}
    subjects = {s: he for s, he in dictionary().labels["subject"].items() if s in measured}
    overall = gaps.filter(pl.col("subject") == "all")
    window = gaps.select("window_first_year", "window_last_year").unique().rows()
    not_measured = tables["mart_not_measured"].to_dicts()
    return page(
        "report",
        tables,
        context,
        window="".join(f"{first}–{last}" for first, last in window[:1]),
        subjects=subjects,
        gap_rows=_gap_rows(gaps, subjects),
        tier_counts=counts(gaps.filter(pl.col("subject") != WHOLE), "gap_tier"),
        unplaced=need.filter(pl.col("outcome_need").is_null())["school_name_he"].sort().to_list(),
        need_rows=need.sort("need_tier", "school_name_he", "semel_mosad").to_dicts(),
        school_rows=schools.sort("need_tier", "school_name_he", "semel_mosad").to_dicts(),
        lines_of={
            key[0]: part.sort("response_id").to_dicts()
            for key, part in lines.group_by("semel_mosad")
        },
        by_response=_by_response(lines, tables["mart_response"]),
        by_tier=_money_by(schools, "need_tier"),
        by_stream=_money_by(schools, "stream"),
        effects=tables["mart_effect"].sort("response_id", "subject").to_dicts(),
        certificate=tables["mart_allocation_certificate"].row(0, named=True),
        reference=dictionary().references["months_per_sd"],
        tracking=_tracking(tables["mart_plan_tracking"]),
        unmeasured_of={
            name: ([item for item in not_measured if name in item["weakens"].split(",")])
            for name in tables
        },
        quality=_quality(tables["mart_data_quality"]),
        charts={
            "gaps": Markup(charts.gap_chart(overall)) if overall["is_measured"].any() else "",
            "need": Markup(charts.need_chart(need)),
            "money": Markup(charts.money_chart(schools, tables["mart_allocation_money"])),
        },
    )


def _gap_rows(gaps: pl.DataFrame, subjects: Iterable[str]) -> Rows:
    """Return a row a school with its cell for each subject."""
    cells = {(row["semel_mosad"], row["subject"]): row for row in gaps.to_dicts()}
    schools = (
        gaps.select("semel_mosad", "school_name_he", "stream")
        .unique()
        .sort("stream", "school_name_he", "semel_mosad")
    )
    return [
        school | {"cells": {s: cells.get((school["semel_mosad"], s)) for s in subjects}}
        for school in schools.to_dicts()
    ]


def _by_response(lines: pl.DataFrame, responses: pl.DataFrame) -> Rows:
    grouped = lines.group_by("response_id").agg(
        pl.len().alias("schools"),
        pl.col("participants").sum(),
        pl.col("cost_agorot").sum(),
        pl.col("municipal_agorot").sum(),
        pl.when(pl.col("benefit_sd_pupils").count() > 0).then(pl.col("benefit_sd_pupils").sum()),
    )
    classes = responses.select("response_id", "response_class")
    return (
        grouped.join(classes, on="response_id", how="left")
        .sort("cost_agorot", "response_id", descending=[True, False])
        .to_dicts()
    )


def _money_by(schools: pl.DataFrame, column: str) -> Rows:
    grouped = schools.group_by(column).agg(
        pl.len().alias("schools"),
        pl.col("pupils").sum(),
        pl.col("cost_agorot").sum(),
        pl.col("municipal_agorot").sum(),
        pl.col("formula_agorot").sum(),
    )
    return (
        grouped.with_columns((pl.col("cost_agorot") // pl.col("pupils")).alias("per_pupil_agorot"))
        .sort(column)
        .to_dicts()
    )


def _tracking(tracking: pl.DataFrame) -> Rows:
    """Return plan and actual of the last reported year by response."""
    if tracking.is_empty():
        return []
    last = tracking.filter(pl.col("school_year") == pl.col("school_year").max())
    grouped = last.group_by("response_id", "school_year").agg(
        pl.col("plan_agorot").sum(), pl.col("actual_agorot").sum()
    )
    over = 100 * (pl.col("actual_agorot") - pl.col("plan_agorot")) / pl.col("plan_agorot")
    planned = grouped.with_columns(deviation_pct=pl.when(pl.col("plan_agorot") != 0).then(over))
    return planned.sort("plan_agorot", "response_id", descending=[True, False]).to_dicts()


def _quality(quality: pl.DataFrame) -> dict[str, int]:
    failed = quality.filter(~pl.col("is_passed"))
    return {
        "checks": quality.height,
        "errors": failed.filter(pl.col("severity") == "ERROR").height,
        "warnings": failed.filter(pl.col("severity") == "WARN").height,
    }
