"""The work plan page: what is to be done, for which goal, and what happened so far (R101–R106)."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from pipelines.publish.pages.base import ReportContext, Rows, counts, page

# Where the owner of a source has something to look at.
_TO_LOOK_AT = ("open", "accepted")
_BROKEN = "rule_broken"
_UNLIKELY = 0.1
"""A goal that people set is told as out of reach where it is missed as surely as `sure` says."""


def _of_each(tables: Mapping[str, pl.DataFrame], tickets: pl.DataFrame) -> Rows:
    """Return tickets with the names of the sources of their numbers."""
    named = (
        tables["mart_ticket_source"]
        .sort("ticket_id", "source_id")
        .group_by("ticket_id", maintain_order=True)
        .agg(sources_he=pl.col("source_name_he").str.join("; "))
    )
    return tickets.join(named, on="ticket_id", how="left").to_dicts()


def render_plan(tables: Mapping[str, pl.DataFrame], context: ReportContext) -> str:
    """Return the page as one HTML text.

    Args:
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
    """
    plan = tables["mart_work_plan"].sort("school_name_he", "response_name_he", "plan_row_id")
    goals = tables["mart_goal"].sort("semel_mosad", "indicator_id", "goal_row_id")
    tracking, alerts = tables["mart_line_tracking"], tables["mart_alert"]
    alerts = alerts.sort("alert_kind", "alert_id")
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
    tickets = tables["mart_ticket"].sort("asked_on", "ticket_id")
    to_owners = tables["mart_ticket_source"].filter(pl.col("ticket_state").is_in(_TO_LOOK_AT))
    by_source = (
        to_owners.group_by("source_name_he", "source_owner_he")
        .agg(
            open=(pl.col("ticket_state") == "open").sum(),
            accepted=(pl.col("ticket_state") == "accepted").sum(),
        )
        .sort("source_owner_he", "source_name_he")
    )
    lists = tables["mart_distribution"].sort(
        ["sent_on", "shown_release", "audience", "role_family"],
        descending=[True, False, False, False],
        nulls_last=True,
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
        out_of_reach=goals.filter(~pl.col("is_draft"), pl.col("p_reach") < _UNLIKELY).to_dicts(),
        is_tracked=bool((tracking["spent_agorot"] > 0).any() or tracking["status_on"].count()),
        elapsed=tracking["elapsed_pct"].max(),
        by_response=by_response.to_dicts(),
        alerts=alerts.to_dicts(),
        rules=tables["mart_rule_actual"]
        .drop_nulls("is_kept_actually")
        .sort("is_kept_actually", "rule_id")
        .to_dicts(),
        last_day=tracking["status_on"].max(),
        broken=set(alerts.filter(alert_kind=_BROKEN)["alert_id"].str.strip_prefix(f"{_BROKEN}/")),
        is_decided=bool(plan["is_decided"].any()),
        tickets=tickets.to_dicts(),
        states=counts(tickets, "ticket_state"),
        answer_days=tickets["answer_days"].median(),
        accepted=_of_each(tables, tickets.filter(ticket_state="accepted")),
        open_tickets=_of_each(tables, tickets.filter(ticket_state="open")),
        by_source=by_source.to_dicts(),
        lists=lists.to_dicts(),
    )
