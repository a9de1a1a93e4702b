"""The responses page: each one's aim, reach, cost, evidence, and what people say (R53–R68).

Hebrew, right to left, without scripts. Every number carries the address of its mart cell; the chart
stands beside a table of the same numbers. A verdict is of a response against the goal it was chosen
for, and never more than the evidence allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from markupsafe import Markup

from models.keys import WHOLE
from pipelines.publish import charts
from pipelines.publish.pages.base import ReportContext, Rows, page
from pipelines.publish.pages.voices import voices
from pipelines.settings.fields import dictionary

ELIGIBILITY = "eligibility"
BEST_OF_NEED, MOST_PAIRS = 3, 10


def render_responses(tables: Mapping[str, pl.DataFrame], context: ReportContext) -> str:
    """Return the page as one HTML text.

    Args:
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
    """
    alignment = tables["mart_alignment"].sort("alignment_place")
    municipal = alignment.filter(pl.col("money_kind") == "municipal")
    whole = tables["mart_verdict"].filter(pl.col("subject") == WHOLE)
    order = [
        *municipal["response_id"],
        *whole.filter(~pl.col("response_id").is_in(municipal["response_id"].implode()))[
            "response_id"
        ]
        .unique()
        .sort(),
    ]
    return page(
        "responses",
        tables,
        context,
        alignment=municipal.to_dicts(),
        apart={
            kind: alignment.filter(pl.col("money_kind") == kind).to_dicts()
            for kind in ("gefen", "separate")
        },
        follows=tables["mart_money_effect"].sort("money_kind").to_dicts(),
        unknown=_unknown(whole, tables["mart_evaluation"]),
        options=tables["mart_design_option"].sort("response_id", "design_grade").to_dicts(),
        cards=[_card(response_id, tables) for response_id in order],
        agreement=tables["mart_agreement"]
        .sort(pl.col("about_role") != WHOLE, "about_role")
        .to_dicts(),
        rated=tables["mart_rating"].sort("rated", "disagreement", "response_id").to_dicts(),
        by_role=tables["mart_rating_role"]
        .sort(~pl.col("is_rated_differently"), "role", "response_id")
        .to_dicts(),
        perceived=tables["mart_perception"]
        .sort(pl.col("perception") == "no_conflict", -pl.col("difference_z").abs(), "response_id")
        .to_dicts(),
        reach=_reach(tables["mart_response_group"]),
        classes=dictionary().labels["response_class"],
        needs=_needs(tables["mart_unmet_need"]),
        topics=tables["mart_topic"].sort("topic_id").to_dicts(),
        covered=(
            tables["mart_over_coverage"]
            .filter(pl.col("is_over_covered").fill_null(False))
            .sort(
                "in_need_none_pupils",
                "semel_mosad",
                "goal_id",
                descending=[True, False, False],
                nulls_last=True,
            )
            .head(MOST_PAIRS)
            .to_dicts()
        ),
        overlap=tables["mart_response_overlap"]
        .sort(
            "shared_pupils",
            "response_id",
            "other_response_id",
            descending=[True, False, False],
            nulls_last=True,
        )
        .head(MOST_PAIRS)
        .to_dicts(),
        pooling=tables["mart_pooling"]
        .filter(pl.col("saving_agorot") > 0)
        .sort("saving_agorot", "response_id", descending=[True, False])
        .to_dicts(),
        tags=_tags(tables["mart_budget_tag"]),
        parents=_parents(tables["mart_parents_payment"], tables["mart_gap_school"]),
        pooled=_pooled(tables["mart_pooling_set"], tables["mart_pooling_school"]),
        evidence=tables["mart_evidence"]
        .filter(pl.col("quantity") != "served_share")
        .sort("response_id", "quantity")
        .to_dicts(),
        goals=tables["mart_response_goal"].sort("response_id", "goal_id").to_dicts(),
        weights=tables["mart_response_evidence"].sort("response_id", "evidence_kind").to_dicts(),
        voices=voices(tables),
        chart=(
            Markup(charts.alignment_chart(municipal))
            if municipal.drop_nulls("effect_sd").height
            else ""
        ),
    )


def _unknown(whole: pl.DataFrame, evaluation: pl.DataFrame) -> Rows:
    """Return the responses nobody can judge yet, the evaluation worth most first."""
    open_ones = whole.filter(
        pl.col("group_id") == WHOLE, pl.col("verdict") == "insufficient_evidence"
    )
    return (
        evaluation.join(open_ones.select("response_id", "verdict_reason"), on="response_id")
        .sort("evaluation_place")
        .to_dicts()
    )


def _reach(by_group: pl.DataFrame) -> Rows:
    """Return, per group of pupils and class of responses, what the shown cells add up to.

    A hidden cell is in no sum: a total over schools would tell of it by subtraction.
    """
    known = by_group.filter(pl.col("is_measured")).drop_nulls("response_class")
    shown = pl.col("participants").is_not_null()
    dosed = pl.col("participants").filter(pl.col("dose").is_not_null()).sum()
    cells = known.group_by("group_id", "response_class").agg(
        pl.col("participants").sum(),
        pl.when(dosed > 0)
        .then((pl.col("dose") * pl.col("participants")).sum() / dosed)
        .alias("dose"),
        (~shown).sum().alias("hidden"),
    )
    found = {(row["group_id"], row["response_class"]): row for row in cells.to_dicts()}
    classes = [str(name) for name in dictionary().fields["response_class"].allowed or ()]
    groups = cells["group_id"].unique().sort().to_list()
    return [
        {
            "group_id": group,
            "cells": {name: found.get((group, name)) for name in classes},
        }
        for group in sorted(groups, key=lambda group: (group != WHOLE, group))
    ]


def _needs(unmet: pl.DataFrame) -> Rows:
    """Return the needs, the most pressing first, each with its first schools and the rest counted.

    Of a right that a rule gives, every school without it is named.
    """
    rows = unmet.filter("is_measured").sort("unmet_order")
    return [
        {
            "first": own.head(BEST_OF_NEED).to_dicts(),
            "more": max(own.height - BEST_OF_NEED, 0),
            "schools": own.height,
            "named": (
                own["semel_mosad"].to_list()[BEST_OF_NEED:]
                if own["need_measure"][0] == ELIGIBILITY
                else []
            ),
        }
        for own in rows.partition_by("need_id", maintain_order=True)
    ]


def _pooled(sets: pl.DataFrame, members: pl.DataFrame) -> Rows:
    """Return the suggested sets of schools, each with its members beside the host."""
    key = ["response_id", "host_semel_mosad"]
    guests = members.filter(~pl.col("is_host")).sort("semel_mosad").group_by(key).agg("semel_mosad")
    return (
        sets.join(guests, on=key, how="left")
        .sort("response_id", "saving_agorot", "host_semel_mosad", descending=[False, True, False])
        .to_dicts()
    )


def _card(response_id: str, tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """Return everything about one response."""

    def own(table: str, *order: str) -> Rows:
        rows = tables[table].filter(pl.col("response_id") == response_id)
        return rows.sort(*order).to_dicts() if order else rows.to_dicts()

    def one(table: str) -> dict[str, Any] | None:
        return next(iter(own(table)), None)

    judged = own("mart_verdict", "group_id", "subject")
    designs = [
        r for r in own("mart_effect_design", "subject", "design") if r["design_grade"] != "E"
    ]
    return {
        "response": one("mart_response"),
        "verdict": next(
            (r for r in judged if r["subject"] == WHOLE and r["group_id"] == WHOLE), None
        ),
        "groups": [r for r in judged if r["subject"] == WHOLE and r["group_id"] != WHOLE],
        "sides": sorted(own("mart_effect_side", "subject"), key=lambda r: r["subject"] != WHOLE),
        "sources": sorted({r["source"] for r in own("mart_effect")}),
        "designs": designs,
        "observed": [
            r
            for r in designs
            if r["is_used"] and r["e_value"] is not None and r["design_sd"] is not None
        ],
        "absence": one("mart_effect_absence"),
        "money": one("mart_response_money"),
        "rating": one("mart_rating"),
        "rests_on": own("mart_rating_evidence", "rating_evidence"),
        "perception": one("mart_perception"),
        "placement": one("mart_placement"),
        "proposal": one("mart_proposal"),
        "earlier": sorted(
            (
                r
                for r in own("mart_decision")
                if r["planning_year"] != tables["mart_city"]["planning_year"][0]
            ),
            key=lambda r: -r["planning_year"],
        ),
        "served": int(
            tables["mart_response_map"]
            .filter(pl.col("response_id") == response_id)["is_served"]
            .sum()
            or 0
        ),
        "is_measured": bool(
            tables["mart_response_map"]
            .filter(pl.col("response_id") == response_id)["is_measured"]
            .any()
        ),
    }


def _tags(tags: pl.DataFrame) -> Rows:
    """Return each school year's money by tag, the last year first, a tag's values by plan."""
    order = {name: place for place, name in enumerate(dictionary().fields["tag_kind"].allowed)}
    rows = tags.sort(
        pl.col("tag_kind").replace_strict(order, return_dtype=pl.Int32),
        "plan_agorot",
        "tag_value",
        descending=[False, True, False],
    )
    return [
        {"school_year": year, "rows": rows.filter(school_year=year).to_dicts()}
        for year in sorted(tags["school_year"].unique(), reverse=True)
    ]


def _parents(paid: pl.DataFrame, gaps: pl.DataFrame) -> dict[str, Rows]:
    """Return what parents paid in the last year: in the city by response, and by school."""
    last = paid.filter(pl.col("school_year") == pl.col("school_year").max())
    city = last.filter(place="city").sort(pl.col("response_id") == WHOLE, "response_id")
    named = gaps.select(place="semel_mosad", school_name_he="school_name_he").unique()
    own = last.filter(pl.col("place") != "city", response_id=WHOLE)
    own = own.join(named, on="place", how="left").sort("school_name_he", "place", nulls_last=False)
    return {"city": city.to_dicts(), "schools": own.to_dicts()}
