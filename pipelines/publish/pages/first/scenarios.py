"""The plans side by side: what each costs and brings, and who loses beside who gains (R98)."""

from __future__ import annotations

import polars as pl

from pipelines.publish import charts, words
from pipelines.publish.charts import Mark
from pipelines.publish.pages.base import ReportContext, Row, Rows, page
from pipelines.publish.pages.first import facts
from pipelines.publish.pages.first.facts import Tables
from pipelines.settings.scenario_files import BASE

NAMED = 3  # schools that lose or gain most, of each plan


def render_plans(tables: Tables, context: ReportContext) -> str:
    """Return the page as one HTML text.

    Args:
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
    """
    every = tables["mart_scenario"].sort("scenario_order")
    others = every.filter(scenario_status="solved").to_dicts()
    moved = {row["scenario_id"]: _moved(tables, row["scenario_id"]) for row in others}
    return page(
        "first/scenarios",
        tables,
        context,
        **facts.plan(tables),
        base_id=BASE,
        planned=every.filter(pl.col("scenario_status").is_in([BASE, "solved"])).to_dicts(),
        others=others,
        without=every.filter(pl.col("conflict_he").is_not_null()).to_dicts(),
        neediest=_neediest(tables),
        moved=moved,
        chart=charts.bars(
            [mark for row in others for mark in _both(row, moved[row["scenario_id"]])]
        )
        if others
        else None,
    )


def _moved(tables: Tables, scenario_id: str) -> dict[str, Rows | int]:
    """Return who gets more and who gets less than in the plan, those that move most first.

    Keys: gains, losses (rows of mart_scenario_school), gained_agorot, lost_agorot.
    """
    rows = tables["mart_scenario_school"].filter(scenario_id=scenario_id)
    change = pl.col("cost_change_agorot")
    gains, losses = rows.filter(change > 0), rows.filter(change < 0)
    return {
        "gains": gains.sort(-change, "semel_mosad").head(NAMED).to_dicts(),
        "losses": losses.sort(change, "semel_mosad").head(NAMED).to_dicts(),
        "gained_agorot": int(gains["cost_change_agorot"].sum()),
        "lost_agorot": int(losses["cost_change_agorot"].sum()),
    }


def _both(row: Row, moved: dict[str, Rows | int]) -> list[Mark]:
    """Return a bar to the left, of what some schools gain, and one to the right, of losses."""
    shown = {key: f"{words.nis_change(moved[key])} ₪" for key in ("gained_agorot", "lost_agorot")}  # type: ignore[arg-type]
    return [
        Mark(row["scenario_name_he"], moved["gained_agorot"], shown["gained_agorot"]),  # type: ignore[arg-type]
        Mark("", moved["lost_agorot"], shown["lost_agorot"], is_strong=True),  # type: ignore[arg-type]
    ]


def _neediest(tables: Tables) -> dict[str, Row]:
    """Return the row of the tier of greatest need of each plan, by scenario."""
    rows = tables["mart_scenario_group"].filter(scenario_dimension="need_tier")
    first = rows.filter(pl.col("division_id") == pl.col("division_id").min())
    return {row["scenario_id"]: row for row in first.to_dicts()}
