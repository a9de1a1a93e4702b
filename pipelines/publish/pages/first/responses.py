"""The list of responses, and a page for each: price, effect, evidence, voices (R59–R68)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from models.keys import WHOLE
from pipelines.publish import words
from pipelines.publish.pages.base import ReportContext, Row, Rows, decision_of, page
from pipelines.settings.fields import dictionary

Tables = Mapping[str, pl.DataFrame]
RULES = ("has_study", "has_own_estimate", "has_strong_design", "is_mostly_own", "is_one_sided")
"""Columns of `mart_evidence_mark`: each of them that holds is a mark."""
RATINGS = {
    "red_raters": "not_effective",
    "yellow_raters": "fairly_effective",
    "green_raters": "very_effective",
}
"""The colours of the rating guide, and what each says; they mean nothing else anywhere."""

_ONE_EACH = (
    "mart_response_money",
    "mart_effect_absence",
    "mart_evidence_mark",
    "mart_voice_plan",
    "mart_proposal",
    "mart_city_service",
    "mart_committee_amount",
)
_SEVERAL = {
    "mart_response_goal": ["goal_id"],
    "mart_rating": ["goal_id"],
    "mart_rating_family": ["goal_id", "role_family", "about_role"],
    "mart_rating_role": ["role"],
    "mart_perception": ["goal_id"],
    "mart_voice_conflict": ["voice_conflict"],
    "mart_card_family": ["role_family", "card_category"],
    "mart_decision": ["decided_on"],
    "mart_evidence": ["quantity"],
}


@dataclass(frozen=True)
class Prepared:
    """The marts by response, made once for all pages."""

    responses: Rows
    one: Mapping[str, Mapping[str, dict[str, Any]]]
    several: Mapping[str, Mapping[str, Rows]]
    year: int

    def row(self, mart: str, response_id: str) -> dict[str, Any] | None:
        """Return a response's row of a mart, if it has one."""
        return self.one[mart].get(response_id)

    def rows(self, mart: str, response_id: str) -> Rows:
        """Return a response's rows of a mart, in its order."""
        return self.several[mart].get(response_id, [])


def prepare(tables: Tables) -> Prepared:
    """Return what all pages of responses read, by response.

    Args:
        tables: the marts, as the audience may see them.
    """
    whole = pl.col("subject") == WHOLE
    of_all = tables["mart_verdict"].filter(whole, pl.col("group_id") == WHOLE)
    named = tables["mart_need_index"].select("semel_mosad", "school_name_he")
    lines = (
        tables["mart_plan_line"]
        .join(named, on="semel_mosad", how="left")
        .sort("school_name_he", "plan_row_id", nulls_last=True)
    )
    one = {name: _one(tables[name]) for name in _ONE_EACH}
    one["mart_verdict"] = _one(of_all)
    one["mart_effect_side"] = _one(tables["mart_effect_side"].filter(whole))
    several = {name: _many(tables[name].sort(order)) for name, order in _SEVERAL.items()}
    several["mart_plan_line"] = _many(lines)
    return Prepared(
        responses=tables["mart_response"].sort("response_name_he", "response_id").to_dicts(),
        one=one,
        several=several,
        year=tables["mart_city"]["planning_year"][0],
    )


def _one(frame: pl.DataFrame) -> dict[str, dict[str, Any]]:
    return {row["response_id"]: row for row in frame.iter_rows(named=True)}


def _many(frame: pl.DataFrame) -> dict[str, Rows]:
    found: dict[str, Rows] = {}
    for row in frame.iter_rows(named=True):
        found.setdefault(row["response_id"], []).append(row)
    return found


def render_every_response(tables: Tables, context: ReportContext) -> dict[str, str]:
    """Return the page of every response of the registry by its id.

    Args:
        tables: the marts, as the audience may see them.
        context: what the pages say about themselves.
    """
    made = prepare(tables)
    return {row["response_id"]: _draw(made, tables, context, row) for row in made.responses}


def render_responses(tables: Tables, context: ReportContext) -> str:
    """Return the list of responses, by name.

    Args:
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
    """
    made = prepare(tables)
    rows = [_of(made, row) for row in made.responses]
    money = [row["plan"]["allocated_agorot"] or 0 for row in rows if row["plan"]]
    return page(
        "first/responses",
        tables,
        context,
        decided=decision_of(tables, context),
        responses=rows,
        most=max(money, default=0),
        widest=max((abs(row["change"] or 0) for row in rows), default=0),
        class_names={
            value: words.label("response_class", value)
            for value in sorted({row["own"]["response_class"] for row in rows})
        },
        ratings=RATINGS,
    )


def _of(made: Prepared, own: Row) -> dict[str, Any]:
    """Return what list and page both tell of a response: own, plan, change, effect, rating, …"""
    response_id = own["response_id"]
    plan = made.row("mart_voice_plan", response_id)
    known = plan and plan["last_year_agorot"] is not None and plan["allocated_agorot"] is not None
    absence = made.row("mart_effect_absence", response_id)
    return {
        "own": own,
        "plan": plan,
        "change": plan["allocated_agorot"] - plan["last_year_agorot"] if plan and known else None,
        "verdict": made.row("mart_verdict", response_id),
        "absence": absence if absence and absence["is_goal"] else None,
        "evidence": made.row("mart_evidence_mark", response_id),
        "proposal": made.row("mart_proposal", response_id),
        "rated": made.rows("mart_rating", response_id),
    }


def _draw(made: Prepared, tables: Tables, context: ReportContext, own: Row) -> str:
    response_id = own["response_id"]
    lines = made.rows("mart_plan_line", response_id)
    return page(
        "first/response",
        tables,
        context,
        at=f"responses/{response_id}",
        decided=decision_of(tables, context),
        goals=made.rows("mart_response_goal", response_id),
        lines=[line for line in lines if line["semel_mosad"] is not None],
        service=made.row("mart_city_service", response_id),
        places=sum(line["participants"] or 0 for line in lines),
        cost=made.row("mart_response_money", response_id),
        side=made.row("mart_effect_side", response_id),
        rules=[(rule, dictionary().fields[rule].he) for rule in RULES],
        families=made.rows("mart_rating_family", response_id),
        differing=[
            row for row in made.rows("mart_rating_role", response_id) if row["is_rated_differently"]
        ],
        perceptions=[
            row
            for row in made.rows("mart_perception", response_id)
            if row["perception"] != "no_conflict"
        ],
        conflicts=made.rows("mart_voice_conflict", response_id),
        cards=made.rows("mart_card_family", response_id),
        earlier=[
            row
            for row in made.rows("mart_decision", response_id)
            if row["planning_year"] != made.year
        ],
        sources=[
            row
            for row in made.rows("mart_evidence", response_id)
            if row["quantity"].startswith("effect")
        ],
        ratings=RATINGS,
        **_of(made, own),
    )
