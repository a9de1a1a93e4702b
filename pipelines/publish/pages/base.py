"""What all pages share: context, templates, and numbers that carry their mart cell (R116)."""

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

from pipelines.publish import words
from pipelines.settings.fields import dictionary

Rows = list[dict[str, Any]]
_HERE = Path(__file__).parent
# A number with its sign, separators and percent; never the digits of an escaped character (&#39;).
_NUMBER = re.compile(r"(?<![#\w])[+−-]?\d(?:[\d,./–]*\d)?%?(?![\w;])")
FORMATS: dict[str, Callable[[Any], str]] = {
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
        address(table, row, column), value, FORMATS[form](value)
    )


def interval(table: str, row: Mapping[str, Any], low: str, high: str, form: str) -> Markup:
    """Return the two ends of an interval."""
    if row[low] is None:
        return Markup("")
    return Markup('<span class="interval">{} עד {}</span>').format(
        number(table, row, low, form), number(table, row, high, form)
    )


def isolated(text: str) -> Markup:
    """Return a sentence with its numbers isolated: signs and percent stay with their digits."""
    return Markup(_NUMBER.sub(r'<bdi dir="ltr">\g<0></bdi>', str(escape(text))))


def first_row(frame: pl.DataFrame) -> dict[str, Any] | None:
    """Return the first row, or None where there is none."""
    return next(frame.iter_rows(named=True), None)


@cache
def environment() -> Environment:
    """Return the template environment of reports and quality pages; output is always escaped."""
    env = Environment(
        loader=FileSystemLoader(_HERE),
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


def page(template: str, context: ReportContext, *, more_css: str = "", **values: Any) -> str:
    """Return a page as one HTML text without scripts or requests, its style inside.

    Args:
        template: file of the template, beside this module.
        context: what the page says about itself.
        more_css: file of the rules that only this page needs.
        values: what the template reads.
    """
    css = [_HERE / name for name in ("report.css", more_css) if name]
    style = Markup("\n".join(path.read_text(encoding="utf-8") for path in css))
    found = environment().get_template(template)
    return found.render(context=context, style=style, words=words, **values)
