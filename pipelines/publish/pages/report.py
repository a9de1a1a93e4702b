"""Put the marts into the page. Every number carries the address of its mart cell (R116)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from pipelines.publish import charts, words
from pipelines.settings.fields import dictionary

# A number with its sign, separators and percent; never the digits of an escaped character (&#39;).
_NUMBER = re.compile(r"(?<![#\w])[+−-]?\d(?:[\d,./–]*\d)?%?(?![\w;])")
_FORMATS: dict[str, Callable[[Any], str]] = {
    "nis": words.nis,
    "signed": words.signed,
    "percent": words.percent,
    "share": words.share,
    "probability": words.probability,
    "integer": words.integer,
    "decimal": words.decimal,
    "tenths": words.tenths,
    "nis_change": words.nis_change,
    "integer_change": words.integer_change,
    "tenths_change": words.tenths_change,
    "gap_percent": words.gap_percent,
    "code": words.code,
}


@dataclass(frozen=True)
class ReportContext:
    """What the page says about itself, beside the marts.

    Attributes:
        city_name_he: name of the city in Hebrew.
        is_synthetic: whether every section carries the synthetic mark.
        reference_year: school year whose register the plan stands on.
        planning_year: school year the allocation is for.
        scope_he: which schools the plan covers, in words.
        data_years_he: which years have data, in words.
        notes_he: what a reader must know before any number.
    """

    city_name_he: str
    is_synthetic: bool
    reference_year: int
    planning_year: int
    scope_he: str
    data_years_he: str
    notes_he: tuple[str, ...]


def address(table: str, row: Mapping[str, Any], column: str) -> str:
    """Return the address of a mart cell: table/key=value;key=value/column."""
    key = ";".join(f"{name}={row[name]}" for name in dictionary().tables[table].key)
    return f"{table}/{key}/{column}"


def number(table: str, row: Mapping[str, Any], column: str, form: str) -> Markup:
    """Return a number as text that keeps left to right, with its address and exact value."""
    value = row[column]
    if value is None:
        return Markup('<span class="none">לא נמדד</span>')
    return Markup('<bdi dir="ltr" data-cell="{}" data-value="{}">{}</bdi>').format(
        address(table, row, column), value, _FORMATS[form](value)
    )


def interval(table: str, row: Mapping[str, Any], low: str, high: str, form: str) -> Markup:
    """Return the two ends of an interval."""
    if row[low] is None:
        return Markup("")
    return Markup('<span class="interval">{} עד {}</span>').format(
        number(table, row, low, form), number(table, row, high, form)
    )


def isolated(text: str) -> Markup:
    """Return a sentence with its numbers isolated, so that signs and percent stay with their
    digits.
    """
    return Markup(_NUMBER.sub(r'<bdi dir="ltr">\g<0></bdi>', str(escape(text))))


@cache
def environment() -> Environment:
    """Return the template environment of reports and quality pages; output is always escaped."""
    env = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "label": lambda value, field: words.label(field, value),
        "year": words.year,
        "isolated": isolated,
        "subjects": words.subjects,
    }
    env.globals |= {
        "number": number,
        "interval": interval,
        "signs": words.TIER_SIGNS,
        "field": lambda name: dictionary().fields[name],
    }
    return env


def render_report(tables: Mapping[str, pl.DataFrame], context: ReportContext) -> str:
    """Return the report as one HTML page without scripts or requests.

    Args:
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
    """
    gaps, need = tables["mart_gap_school"], tables["mart_need_index"]
    schools, lines = tables["mart_allocation_school"], tables["mart_allocation"]
    subjects = [
        str(s)
        for s in dictionary().fields["subject"].allowed
        if s != "all" and s in gaps["subject"].unique()
    ]
    overall = gaps.filter(pl.col("subject") == "all")
    total = schools["cost_agorot"].sum()
    rows = {name: frame.to_dicts() for name, frame in tables.items()}
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            context=context,
            rows=rows,
            subjects=subjects,
            gap_rows=_gap_rows(gaps, subjects),
            tier_counts=_tier_counts(gaps),
            need_rows=need.sort("need_tier", "school_name_he", "semel_mosad").to_dicts(),
            school_rows=schools.sort("need_tier", "school_name_he", "semel_mosad").to_dicts(),
            lines_of={
                key[0]: part.sort("response_id").to_dicts()
                for key, part in lines.group_by("semel_mosad")
            },
            by_response=_by_response(lines),
            by_tier=_by_tier(schools),
            by_stream=_by_stream(schools),
            responses={row["response_id"]: row for row in rows["mart_response"]},
            effects=tables["mart_effect"].sort("response_id", "subject").to_dicts(),
            certificate=rows["mart_allocation_certificate"][0],
            tracking=_tracking(tables["mart_plan_tracking"]),
            unmeasured_of={name: _weakening(rows["mart_not_measured"], name) for name in tables},
            quality=_quality(tables["mart_data_quality"]),
            total_agorot=total,
            municipal_agorot=schools["municipal_agorot"].sum(),
            formula_agorot=schools["formula_agorot"].sum(),
            charts={
                "gaps": Markup(charts.gap_chart(overall)) if overall["is_measured"].any() else "",
                "need": Markup(charts.need_chart(need)),
                "money": Markup(charts.money_chart(schools, tables["mart_allocation_money"])),
            },
            style=Markup((Path(__file__).parent / "report.css").read_text(encoding="utf-8")),
            words=words,
        )
    )


def _gap_rows(gaps: pl.DataFrame, subjects: list[str]) -> list[dict[str, Any]]:
    """Return a row a school with its cell for each subject."""
    cells = {(row["semel_mosad"], row["subject"]): row for row in gaps.to_dicts()}
    schools = (
        gaps.select("semel_mosad", "school_name_he", "stream")
        .unique()
        .sort("stream", "school_name_he", "semel_mosad")
    )
    return [
        school | {"cells": [cells.get((school["semel_mosad"], s)) for s in subjects]}
        for school in schools.to_dicts()
    ]


def _tier_counts(gaps: pl.DataFrame) -> dict[str, int]:
    counts = dict(gaps.filter(pl.col("subject") != "all").group_by("gap_tier").len().iter_rows())
    return {tier: counts.get(tier, 0) for tier in words.TIER_SIGNS}


def _by_response(lines: pl.DataFrame) -> list[dict[str, Any]]:
    grouped = lines.group_by("response_id", "response_name_he").agg(
        pl.len().alias("schools"),
        pl.col("participants").sum(),
        pl.col("cost_agorot").sum(),
        pl.col("municipal_agorot").sum(),
        pl.col("benefit_sd_pupils").sum(),
    )
    return grouped.sort("cost_agorot", "response_id", descending=[True, False]).to_dicts()


def _by_tier(schools: pl.DataFrame) -> list[dict[str, Any]]:
    return _money_by(schools, "need_tier")


def _by_stream(schools: pl.DataFrame) -> list[dict[str, Any]]:
    return _money_by(schools, "stream")


def _money_by(schools: pl.DataFrame, column: str) -> list[dict[str, Any]]:
    grouped = schools.group_by(column).agg(
        pl.len().alias("schools"),
        pl.col("pupils").sum(),
        pl.col("cost_agorot").sum(),
        pl.col("municipal_agorot").sum(),
        pl.col("formula_agorot").sum(),
    )
    return (
        grouped.with_columns((pl.col("cost_agorot") // pl.col("pupils")).alias("per_pupil"))
        .sort(column)
        .to_dicts()
    )


def _tracking(tracking: pl.DataFrame) -> list[dict[str, Any]]:
    """Return plan and actual of the last reported year by response."""
    if tracking.is_empty():
        return []
    last = tracking.filter(pl.col("school_year") == pl.col("school_year").max())
    grouped = last.group_by("response_id", "school_year").agg(
        pl.col("plan_agorot").sum(), pl.col("actual_agorot").sum()
    )
    return grouped.sort("plan_agorot", "response_id", descending=[True, False]).to_dicts()


def _weakening(items: list[dict[str, Any]], table: str) -> list[dict[str, Any]]:
    return [item for item in items if table in item["weakens"].split(",")]


def _quality(quality: pl.DataFrame) -> dict[str, int]:
    failed = quality.filter(~pl.col("is_passed"))
    return {
        "checks": quality.height,
        "errors": failed.filter(pl.col("severity") == "ERROR").height,
        "warnings": failed.filter(pl.col("severity") == "WARN").height,
    }
