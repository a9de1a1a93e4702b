"""The list of responses, and a page for each: price, effect, evidence, voices (R59–R68)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from models.apportionment import split_by_share
from models.keys import WHOLE
from pipelines.publish import words
from pipelines.publish.pages.base import ReportContext, Row, Rows, decision_of, page
from pipelines.publish.pages.first import facts
from pipelines.settings.fields import dictionary
from pipelines.settings.keys import COMMITTEE

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
_EVIDENCE = ("own", "literature", "assumed", COMMITTEE)
_NOT_GIVEN_BY = ("need_order", "school_capacity", "school_cap", "together")
"""Kinds of rules that keep a school from a response, the first that a page tells first."""
_SEVERAL = {
    "mart_response_goal": ["goal_id"],
    "mart_rating": ["goal_id"],
    "mart_rating_family": ["goal_id", "role_family", "about_role"],
    "mart_rating_role": ["role"],
    "mart_perception": ["goal_id"],
    "mart_voice_conflict": ["voice_conflict"],
    "mart_contradiction": ["contradiction"],
    "mart_allocation_reason": ["semel_mosad"],
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
    has_last_year: bool
    basis: Mapping[str, dict[str, int]]

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
    one["mart_alignment"] = _one(tables["mart_alignment"].filter(money_kind="municipal"))
    several = {
        name: facts.rows_by(tables[name].sort(order), "response_id")
        for name, order in _SEVERAL.items()
    }
    several["mart_plan_line"] = facts.rows_by(lines, "response_id")
    return Prepared(
        responses=tables["mart_response"].sort("response_name_he", "response_id").to_dicts(),
        one=one,
        several=several,
        year=tables["mart_city"]["planning_year"][0],
        has_last_year=not tables["mart_last_line"].is_empty(),
        basis=money_basis(tables),
    )


def money_basis(tables: Tables) -> dict[str, dict[str, int]]:
    """Return the money of each response in the plan (agorot) by what it rests on, as it is split.

    Kinds: the city's own pupils, literature, an assumption; or the committee's amount where no
    effect is counted (`mart_plan_evidence` sums the same over all responses).

    Args:
        tables: the marts, as the audience may see them.
    """
    shares: dict[str, dict[str, float]] = {}
    for row in tables["mart_response_evidence"].iter_rows(named=True):
        shares.setdefault(row["response_id"], {})[row["evidence_kind"]] = row["evidence_share_pct"]
    is_counted = dict(
        tables["mart_allocation"]
        .group_by("response_id")
        .agg(pl.col("weighted_benefit").null_count() == 0)
        .iter_rows()
    )
    found = {}
    for response_id, amount in facts.by_response(tables).iter_rows():
        own = shares[response_id] if is_counted.get(response_id) else {COMMITTEE: 100.0}
        parts = dict.fromkeys(_EVIDENCE, 0)
        for kind, part in split_by_share(amount, own).items():
            parts["own" if kind.startswith("own_") else kind] += part
        found[response_id] = {kind: part for kind, part in parts.items() if part}
    return found


def without(lines: Rows, reasons: Rows) -> Rows:
    """Return how many schools a response does not reach, by reason; most schools first.

    Args:
        lines: its lines in the plan.
        reasons: its rows of `mart_allocation_reason`.

    Returns:
        reason (of `allocation_reason`; of a rule its kind, where pages have words for it), schools.
    """
    given = {line["semel_mosad"] for line in lines}
    counts: Counter[str] = Counter()
    for row in reasons:
        if row["semel_mosad"] not in given:
            rules = (row["reason_rules"] or "").split(",")
            kinds = {rule.partition(":")[0] for rule in rules}
            named = next((kind for kind in _NOT_GIVEN_BY if kind in kinds), "rule")
            is_rule = row["allocation_reason"] == "rule"
            counts[named if is_rule else row["allocation_reason"]] += 1
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"reason": reason, "schools": schools} for reason, schools in ranked]


def _one(frame: pl.DataFrame) -> dict[str, dict[str, Any]]:
    return {row["response_id"]: row for row in frame.iter_rows(named=True)}


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
        assumed=max(
            (row for row in rows if row["basis"].get("assumed")),
            key=lambda row: row["basis"]["assumed"],
            default=None,
        ),
    )


def _of(made: Prepared, own: Row) -> dict[str, Any]:
    """Return what list and page both tell of a response: own, plan, change, effect, rating, …"""
    response_id = own["response_id"]
    plan = made.row("mart_voice_plan", response_id)
    is_new = bool(plan and plan["plan_say"] == "funded" and made.has_last_year)
    last = 0 if is_new else plan and plan["last_year_agorot"]
    known = plan and last is not None and plan["allocated_agorot"] is not None
    absence = made.row("mart_effect_absence", response_id)
    return {
        "own": own,
        "plan": plan,
        "change": plan["allocated_agorot"] - last if plan and known else None,
        "is_new": is_new,
        "basis": made.basis.get(response_id, {}),
        "verdict": made.row("mart_verdict", response_id),
        "absence": absence if absence and absence["is_goal"] else None,
        "evidence": made.row("mart_evidence_mark", response_id),
        "proposal": made.row("mart_proposal", response_id),
        "rated": made.rows("mart_rating", response_id),
    }


def _draw(made: Prepared, tables: Tables, context: ReportContext, own: Row) -> str:
    response_id = own["response_id"]
    lines = made.rows("mart_plan_line", response_id)
    lacking = without(lines, made.rows("mart_allocation_reason", response_id))
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
        parted=made.rows("mart_contradiction", response_id),
        municipal=made.row("mart_alignment", response_id),
        without=lacking,
        without_schools=sum(row["schools"] for row in lacking),
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
