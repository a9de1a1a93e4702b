"""`verify.html`: one file that recomputes a release's certificate wherever it is opened (R126).

It holds the whole-number tables that its audience was shown – so what they tell has passed
suppression and the intruder – and the arithmetic (`verify.js`); it asks nothing of any network. An
audience that was not shown the rows of the bound reads which checks its file cannot make.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import polars as pl
from markupsafe import Markup

from pipelines.publish.pages.base import ReportContext, environment

CARRIED: Mapping[str, tuple[str, ...]] = {
    name: tuple(columns.split())
    for name, columns in {
        "mart_allocation": (
            "semel_mosad response_id dose_level participants cost_agorot municipal_agorot"
            " parents_agorot unconfirmed_agorot"
        ),
        "mart_allocation_money": (
            "semel_mosad response_id funding_channel amount_agorot confirmation"
        ),
        "mart_allocation_school": (
            "semel_mosad pupils responses_count cost_agorot municipal_agorot parents_agorot"
            " unconfirmed_agorot per_pupil_agorot"
        ),
        "mart_allocation_channel": "funding_channel budget_agorot allocated_agorot left_agorot",
        "mart_allocation_confirmation": (
            "funding_channel confirmation schools_agorot city_services_agorot allocated_agorot"
        ),
        "mart_city_service": (
            "response_id is_allocated cost_agorot municipal_agorot parents_agorot"
        ),
        "mart_city_service_money": "response_id funding_channel amount_agorot confirmation",
        "mart_allocation_certificate": (
            "objective objective_bound optimality_gap_pct envied_lines envy_agorot cost_agorot"
            " municipal_agorot city_services_agorot schools"
        ),
        "mart_allocation_envy": "semel_mosad response_id cost_agorot",
        "mart_allocation_rule": (
            "rule_id rule_he rule_en unit rule_limit rule_value is_satisfied is_binding"
        ),
        "mart_allocation_asset": "asset_id asset_hours asset_hours_free",
        "mart_committee_amount": "response_id amount_agorot schools allocated_agorot left_agorot",
        "mart_response": "response_id horizon is_excellence",
        "mart_allocation_change": (
            "semel_mosad need_quartile amount_agorot last_year_agorot change_agorot"
        ),
        "mart_allocation_bound": (
            "bound_argument recomputed_bound recomputed_gap_pct constant_units bound_units"
            " plan_units"
        ),
        "mart_bound_option": (
            "proof_column semel_mosad response_id dose_level overlap_group worth_units lead_units"
        ),
        "mart_bound_row": "proof_row rule_id rule_scope row_limit multiplier_units",
        "mart_bound_entry": "proof_row proof_column coefficient",
    }.items()
}
"""The columns of each mart that the page recomputes from, or that it tells."""

SCRIPT = Path(__file__).with_name("verify.js")
_EXACT = 2**53
"""Whole numbers from here on are not exact where a browser reads them; prices go as text."""


def render_verify(shown: Mapping[str, pl.DataFrame], context: ReportContext, release: str) -> str:
    """Return the page.

    Args:
        shown: the tables of one audience, after suppression.
        context: what pages say of the city.
        release: id of the release that the tables are of.

    Raises:
        ValueError: if a whole number is too large for a browser to read exactly.
    """
    tables = {
        name: {"columns": columns, "rows": _rows(name, shown[name].select(columns))}
        for name, columns in CARRIED.items()
        if name in shown
    }
    told = json.dumps({"release": release, "tables": tables}, ensure_ascii=False, sort_keys=True)
    return (
        environment()
        .get_template("verify.html.j2")
        .render(
            context=context,
            release=release,
            data=Markup(told.replace("<", "\\u003c")),
            script=Markup(SCRIPT.read_text(encoding="utf-8")),
        )
    )


def _rows(name: str, frame: pl.DataFrame) -> list[tuple[object, ...]]:
    frame = frame.with_columns(pl.col("^multiplier_units$").cast(pl.String))
    for column in frame.select(pl.col(pl.Int64)).columns:
        if not frame.filter(pl.col(column).abs() >= _EXACT).is_empty():
            raise ValueError(f"{name}.{column} holds a number that a browser cannot read exactly")
    return frame.rows()
