"""The decisions page: what was decided and by whom, what it costs, and what still waits (R100)."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from pipelines.publish.pages.base import ReportContext, Rows, counts, first_row, page


def render_decisions(tables: Mapping[str, pl.DataFrame], context: ReportContext) -> str:
    """Return the page as one HTML text.

    Args:
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
    """
    planned = pl.col("planning_year") == context.planning_year
    decided = tables["mart_decided"].sort("planning_year", "decision_version")
    lines = tables["mart_decided_line"].sort("response_id", "semel_mosad", nulls_last=True)
    log = tables["mart_decision_log"].sort("decided_on", "decision_id", descending=[True, False])
    meetings = tables["mart_meeting"].filter(planned).sort("meeting_number", "role")
    moved = tables["mart_focus_school"].filter(
        pl.col("need_tier") != pl.col("need_tier_without_focus")
    )
    return page(
        "decisions",
        tables,
        context,
        decided=decided.to_dicts(),
        in_force=first_row(decided.filter(planned, "is_in_force")),
        since=counts(lines, "since_decision"),
        changed=lines.filter(pl.col("since_decision") != "same").to_dicts(),
        lines=lines.height,
        log=log.filter(pl.col("decision_kind") != "scenario").to_dicts(),
        focus=tables["mart_focus"].sort("indicator_id").to_dicts(),
        has_focus=bool(tables["mart_focus"]["is_focus"].any()),
        focused_schools=tables["mart_focus_school"].height,
        moved=moved.sort("school_name_he", "semel_mosad").to_dicts(),
        meetings=_meetings(meetings),
        absent_roles=_absent(meetings),
        confirmations=_by_channel(tables["mart_confirmation"]),
        answers=tables["mart_confirmation"]
        .filter(pl.col("confirmation_word").is_not_null())
        .sort("confirmed_on", "response_id", "funding_channel", "school_or_city")
        .to_dicts(),
        stages=tables["mart_cycle_stage"].sort("stage_order").to_dicts(),
    )


def _meetings(rows: pl.DataFrame) -> Rows:
    """Return each meeting with how many roles were expected and how many of them came."""
    return (
        rows.group_by("meeting_number", "held_on")
        .agg(
            expected=pl.col("is_expected").sum(),
            came=(pl.col("is_expected") & pl.col("is_present")).sum(),
        )
        .sort("meeting_number")
        .to_dicts()
    )


def _absent(rows: pl.DataFrame) -> dict[int, list[str]]:
    """Return by meeting the roles that were expected and did not come."""
    missing = rows.filter(pl.col("is_expected"), ~pl.col("is_present"))
    return dict(missing.group_by("meeting_number", maintain_order=True).agg("role").iter_rows())


def _by_channel(rows: pl.DataFrame) -> Rows:
    """Return what is asked of each channel, what of it is confirmed, and what is lacking."""
    asked, lacking = pl.col("asked_agorot"), pl.col("lacking_agorot")
    return (
        rows.group_by("funding_channel")
        .agg(
            asked.sum(),
            confirmed_agorot=(asked - lacking).sum(),
            lacking_agorot=lacking.sum(),
        )
        .sort("funding_channel")
        .to_dicts()
    )
