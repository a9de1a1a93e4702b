"""The data-quality page, in Hebrew, from the checks' results and their tables (R25)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import polars as pl
from markupsafe import Markup

from pipelines.publish import words
from pipelines.publish.pages.base import ReportContext, Rows, isolated, page
from pipelines.settings.fields import dictionary

# level → sign, word for one, word for several; colour is never the sole carrier (R114).
_LEVELS = {
    "blocking": ("⊘", "כשל חוסם אחד", "כשלים חוסמים"),
    "error": ("✗", "שגיאה אחת שאינה חוסמת", "שגיאות שאינן חוסמות"),
    "warning": ("⚠", "אזהרה אחת", "אזהרות"),
}
_BADGES = {"blocking": "כשל חוסם", "error": "שגיאה", "warning": "אזהרה"}
_QUESTIONS = {
    "freshness": "האם הנתונים מעודכנים לשנת הייחוס?",
    "completeness": "האם הגיעו כל השורות והקבצים?",
    "validity": "האם הערכים אפשריים וסבירים?",
    "uniqueness": "האם כל דבר רשום פעם אחת בלבד?",
    "consistency": "האם המקורות מתיישבים זה עם זה?",
    "coverage": "האם כל בתי הספר נמצאים בנתונים?",
    "drift": "האם משהו השתנה לעומת מה שהכרנו?",
    "privacy": "האם אין בקבצים פרטים אישיים?",
}
# A Latin term, or a range such as 0…100: each keeps its own direction inside a Hebrew sentence.
_LEFT_TO_RIGHT = re.compile(
    r"([A-Za-z](?:[A-Za-z0-9_./:-]*[A-Za-z0-9_])?|(?<![א-ת])-?\d+(?:[.,]\d+)*…-?\d+(?:[.,]\d+)*)"
)


def render_quality(tables: Mapping[str, pl.DataFrame], context: ReportContext) -> str:
    """Return the page: verdict, dimensions, what needs care, who is not measured, files, checks.

    Args:
        tables: the marts, as the audience may see them. A table that is missing, or a column that
            is kept from the audience, leaves its part of the page out; the page says so.
        context: what the page says about itself.
    """
    checks = _levels(tables["mart_data_quality"]) if "mart_data_quality" in tables else []
    failed = [row for row in checks if row["level"] != "passed"]
    fields = dictionary().fields
    coverage = tables.get("mart_coverage", pl.DataFrame())
    return page(
        "quality",
        tables,
        context,
        checks=checks,
        failed=failed,
        verdict=_verdict(checks),
        tiles=_tiles(checks),
        partial=[
            row
            for row in coverage.iter_rows(named=True)
            if row["schools_reporting"] < row["schools_in_plan"]
        ],
        hidden=tables["mart_suppressed"].to_dicts() if "mart_suppressed" in tables else None,
        lineage=_lineage(tables),
        sheet_he=lambda name: dictionary().sheets.get(name, ""),
        drift=_drift(tables["mart_quality_drift"]) if "mart_quality_drift" in tables else None,
        level_signs={level: sign for level, (sign, _, _) in _LEVELS.items()},
        badges=_BADGES,
        sentence=_sentence,
        source_he=dictionary().source_he,
        column_he=lambda name: fields[name].he if name in fields else "",
    )


def _lineage(tables: Mapping[str, pl.DataFrame]) -> Rows:
    """Return the Hebrew title of each table that is told, and the sources that feed it."""
    if "mart_lineage" not in tables:
        return []
    feeds = tables["mart_lineage"].group_by("table_name").agg(pl.col("source_id").sort())
    by_table = dict(feeds.iter_rows())
    return [
        {"table_name": name, "sources": [dictionary().source_he(one) for one in by_table[name]]}
        for name in dictionary().sheets
        if name in tables and name in by_table
    ]


def _levels(checks: pl.DataFrame) -> Rows:
    """Return the checks, worst first, each with its level."""
    level = (
        pl.when("is_passed")
        .then(pl.lit("passed"))
        .when("is_blocking")
        .then(pl.lit("blocking"))
        .when(pl.col("severity") == "ERROR")
        .then(pl.lit("error"))
        .otherwise(pl.lit("warning"))
    )
    order = pl.col("level").replace_strict(
        {name: place for place, name in enumerate((*_LEVELS, "passed"))}, return_dtype=pl.Int8
    )
    return checks.with_columns(level=level).sort(order, "table_name", "check_id").to_dicts()


def _count(checks: Rows, level: str) -> int:
    return sum(check["level"] == level for check in checks)


def _counted(number: int, level: str) -> str:
    _, one, many = _LEVELS[level]
    return one if number == 1 else f"{number} {many}"


def _verdict(checks: Rows) -> dict[str, Any]:
    """Return the level, the sign and the one sentence of the whole page."""
    if not checks:
        return {
            "level": "unchecked",
            "sign": "–",
            "text": "הנתונים לא נבדקו: אין בעותק הזה תוצאות של בדיקות.",
        }
    numbers = {level: _count(checks, level) for level in _LEVELS}
    blocking, errors, warnings = (_counted(numbers[level], level) for level in _LEVELS)
    joined = f"{blocking}, {errors} ו{'־' if warnings[0].isdigit() else ''}{warnings}"
    among = f"מתוך {len(checks):,} בדיקות" if len(checks) > 1 else "בבדיקה אחת"
    for level, lead in (
        ("blocking", "עדיין אין להסתמך על הנתונים"),
        ("error", "אפשר להשתמש בנתונים, בזהירות"),
        ("warning", "אפשר להשתמש בנתונים"),
    ):
        if numbers[level]:
            return {
                "level": level,
                "sign": _LEVELS[level][0],
                "text": f"{lead}: {joined}, {among}.",
            }
    return {"level": "passed", "sign": "✓", "text": f"אפשר להשתמש בנתונים: {joined}, {among}."}


def _tiles(checks: Rows) -> Rows:
    """Return a tile per quality dimension: its worst level and what was found, in words."""
    tiles = []
    for dimension, question in _QUESTIONS.items():
        own = [check for check in checks if check["quality_dimension"] == dimension]
        found = [level for level in _LEVELS if _count(own, level)]
        tiles.append(
            {
                "dimension": dimension,
                "question": question,
                "checks": len(own),
                "level": found[0] if found else "passed" if own else "unchecked",
                "found": [(_LEVELS[x][0], _counted(_count(own, x), x)) for x in found],
            }
        )
    return tiles


def _drift(frame: pl.DataFrame) -> Rows:
    """Return each figure beside the last release, named, with its form and its change in words."""
    rows = frame.sort("figure_id", "school_year").to_dicts()
    return [
        row | {"name_he": _figure(row["figure_id"]), "form": _form(row), "change": _change(row)}
        for row in rows
    ]


def _figure(figure_id: str) -> str:
    """Return the Hebrew name of a figure of `mart_quality_drift`, such as `pupils.official`."""
    kind, _, what = figure_id.partition(".")
    named = {
        "rows": f"שורות: {dictionary().source_he(what) or what}",
        "pupils": f"תלמידים: {words.label('scope', what)}",
        "schools": f"בתי ספר: {words.label('scope', what)}",
        "gap_raw": f"מרחק גולמי ממוצע מהיעד (חודשי למידה): {words.label('subject', what)}",
    }
    return named.get(kind, "")


def _form(row: Mapping[str, Any]) -> str:
    known, value = dictionary().units.get(row["unit"]), row["observed_value"]
    whole = abs(value) >= 1000 or value == int(value)
    return (known and known.form) or ("integer" if whole else "decimal")


def _change(row: Mapping[str, Any]) -> str:
    """Return the change in words, so that neither colour nor a lone sign carries it."""
    before, now = row["previous_value"], row["observed_value"]
    if before is None:
        return "אין פרסום קודם"
    if now == before:
        return "ללא שינוי"
    unit = dictionary().units.get(row["unit"])
    is_up = (now > before) != bool(unit and unit.turned)
    way = "עלייה" if is_up else "ירידה"
    # A share of zero or of a value that may be negative says nothing.
    return f"{way} של {abs(now / before - 1):.1%}" if before > 0 and now >= 0 else way


def _sentence(text: str) -> Markup:
    """Return a Hebrew sentence whose Latin terms, ranges and numbers keep left to right."""
    parts = _LEFT_TO_RIGHT.split(text)
    return Markup("").join(
        Markup('<bdi dir="ltr">{}</bdi>').format(part) if place % 2 else isolated(part)
        for place, part in enumerate(parts)
    )
