"""The first page: what is proposed, how sure it is, and what the committee must decide (R131)."""

from __future__ import annotations

from typing import Any

import polars as pl

from pipelines.publish import charts
from pipelines.publish.pages.base import ReportContext, page
from pipelines.publish.pages.first import facts
from pipelines.publish.pages.first.authorities import districts
from pipelines.publish.pages.first.facts import Tables
from pipelines.settings.fields import dictionary
from pipelines.settings.keys import AGOROT, MUNICIPAL
from pipelines.settings.scenario_files import CONFIRMED

MOST_CHOICES, MOST_UNKNOWN = 6, 4
MOST_ROWS = {"falls": 2, "voices": 2, "proposals": 2}  # of a choice: otherwise three


def render_index(tables: Tables, context: ReportContext) -> str:
    """Return the first page as one HTML text.

    Args:
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
    """
    since = facts.since_decided(tables)
    both = {view: facts.tiers(tables, view) for view in ("plan", "total")}
    return page(
        "first/index",
        tables,
        context,
        **facts.plan(tables),
        progress={row["level_band"]: row for row in tables["mart_plan_progress"].to_dicts()},
        changes=facts.changes(tables),
        tiers=both,
        times={view: facts.times(rows) for view, rows in both.items()},
        is_ordered={view: facts.is_ordered(rows) for view, rows in both.items()},
        since=since,
        districts=districts(tables) if context.is_country else [],
        dots=_dots(tables, context),
        firm=facts.firmness(tables),
        evidence=facts.evidence(tables),
        uncounted=facts.uncounted(tables),
        whose_amounts=facts.whose_amounts(tables),
        # What happened since takes the place of the last two: the page stays one screen.
        choices=_choices(tables)[: MOST_CHOICES - 2 * (since is not None)],
        unknown=_unknown(tables),
    )


def _dots(tables: Tables, context: ReportContext) -> charts.Drawn | None:
    """Draw money per pupil against need, where the audience may see schools: a dot a school, or in
    a country, where thousands would be one stain, a dot an authority.
    """
    schools = tables["mart_allocation_school"]
    if "need" not in schools.columns:
        return None
    known = schools.drop_nulls(["need", "per_pupil_agorot"])
    points = known.sort("semel_mosad").select(x="need", y=pl.col("per_pupil_agorot") / AGOROT)
    if context.is_country:
        pupils = pl.col("pupils")
        points = (
            known.filter(pupils > 0)
            .join(tables["mart_authority_school"], on="semel_mosad")
            .group_by("authority_code")
            .agg(
                x=(pl.col("need") * pupils).sum() / pupils.sum(),
                y=pl.col("cost_agorot").sum() / pupils.sum() / AGOROT,
            )
            .sort("authority_code")
            .select("x", "y")
        )
    if points.is_empty():
        return None
    of = "רשות" if context.is_country else "בית ספר"
    across = f"מדד הצורך: שמאלה – נזקקים יותר (נקודה – {of})"
    return charts.dots(points, across, "₪ לתלמיד", high=165, wide=380)


def _choices(tables: Tables) -> list[dict[str, Any]]:
    """Return what the committee must decide: what hangs on others first, then who loses.

    Each has a kind, which says its words, and the rows its numbers are from.
    """
    scenarios = tables["mart_scenario"].filter(scenario_status="solved").sort("scenario_order")
    graded = tables["mart_scenario_change"].filter(parameter_id="policy.equity_gamma")
    falls = tables["mart_needy_fall"].sort("change_pct", "semel_mosad")
    kinds = [str(kind) for kind in dictionary().fields["voice_conflict"].allowed]
    conflicts = tables["mart_voice_conflict"].select("response_id", "voice_conflict")
    said = conflicts.join(
        tables["mart_voice_plan"].drop_nulls("allocated_agorot"), on="response_id"
    )
    undecided = tables["mart_proposal"].filter("needs_decision", pl.col("proposal") != "keep")
    undecided = undecided.join(facts.by_response(tables), on="response_id")
    steps = tables["mart_allocation_next"]
    found = {
        "unconfirmed": scenarios.filter(scenario_id=CONFIRMED),
        "falls": falls,
        "voices": said.sort(
            pl.col("voice_conflict").cast(pl.Enum(kinds)),
            "allocated_agorot",
            "response_id",
            descending=[False, True, False],
        ),
        "proposals": undecided.sort("cost_agorot", "response_id", descending=[True, False]),
        "preference": scenarios.filter(
            pl.col("scenario_id").is_in(graded["scenario_id"].implode())
        ),
        "budget": steps.filter(funding_channel=MUNICIPAL).sort("step_agorot"),
    }
    return [
        {"kind": kind, "rows": rows.head(MOST_ROWS.get(kind, 3)).to_dicts(), "count": rows.height}
        for kind, rows in found.items()
        if not rows.is_empty()
    ]


def _unknown(tables: Tables) -> dict[str, Any]:
    """Return what is not measured in any school, and what is not of schools.

    Keys: rows (those that weaken most tables, the first of them), more (how many others).
    """
    rows = tables["mart_not_measured"]
    nowhere = pl.col("schools_not_measured") == pl.col("schools")
    weakened = pl.col("weakens").str.count_matches(",")
    found = rows.filter(nowhere.fill_null(True)).sort(weakened, "item_id", descending=[True, False])
    return {"rows": found.head(MOST_UNKNOWN).to_dicts(), "more": found[MOST_UNKNOWN:].height}
