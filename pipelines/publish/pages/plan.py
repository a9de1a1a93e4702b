"""The work plan page: what is to be done, for which goal, and what happened so far (R101–R106)."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from pipelines.publish.pages.base import ReportContext, counts, page


def render_plan(tables: Mapping[str, pl.DataFrame], context: ReportContext) -> str:
    """Return the page as one HTML text.

    Args:
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
    """
    plan = tables["mart_work_plan"].sort("school_name_he", "response_name_he", "plan_row_id")
    goals = tables["mart_goal"].sort("semel_mosad", "indicator_id", "goal_row_id")
    tracking = tables["mart_line_tracking"]
    by_response = (
        tracking.group_by("response_id")
        .agg(
            pl.col("cost_agorot", "due_agorot", "spent_agorot", "participants").sum(),
            pl.col("forecast_agorot").sum(),
            pl.col("participants_now").sum(),
            reported=pl.col("participants_now").count(),
            lines=pl.len(),
        )
        .sort("response_id")
    )
    return page(
        "plan",
        tables,
        context,
        news=tables["mart_news"].sort("news_order").to_dicts(),
        plan=plan.to_dicts(),
        reasons=counts(plan, "need_reason"),
        named=plan.drop_nulls("indicator_id").height,
        goals=goals.to_dicts(),
        below=goals.filter("is_below_detectable").height,
        drafts=goals.filter("is_draft").height,
        is_tracked=bool((tracking["spent_agorot"] > 0).any() or tracking["status_on"].count()),
        elapsed=tracking["elapsed_pct"].max(),
        by_response=by_response.to_dicts(),
        alerts=tables["mart_alert"].sort("alert_kind", "alert_id").to_dicts(),
        rules=tables["mart_rule_actual"]
        .drop_nulls("is_kept_actually")
        .sort("is_kept_actually", "rule_id")
        .to_dicts(),
        is_decided=bool(plan["is_decided"].any()),
    )
