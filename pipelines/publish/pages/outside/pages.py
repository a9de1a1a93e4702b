"""The pages of parents and of the public, in every language of the city (R75, R112, R113)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import polars as pl
from markupsafe import Markup, escape

from pipelines.publish import words
from pipelines.publish.pages.base import ReportContext, Row, Rows, decision_of, page
from pipelines.publish.pages.first.facts import rows_by
from pipelines.publish.pages.outside.speech import Speech
from pipelines.publish.translations import ENGLISH, HEBREW
from pipelines.settings.fields import dictionary
from pipelines.settings.policy import Policy
from pipelines.sources.people import OTHER

Tables = Mapping[str, pl.DataFrame]
PAGES = ("index", "schools", "responses", "needs")


def render_outside(tables: Tables, context: ReportContext) -> dict[str, str]:
    """Return the pages of parents or of the public, by their place: `schools.html`, `ru/…`.

    A table that the audience does not get is told nothing of.

    Args:
        tables: the marts, as the audience may see them.
        context: what pages say of the city, and the languages that it has.
    """
    told = {
        "decided": decision_of(tables, context) if "mart_decided" in tables else None,
        **_money(tables),
        "gaps": _rows(tables, "mart_gap_city", "subject"),
        "topics": _rows(tables, "mart_topic", "topic_id"),
        "unknown": [
            row | {"is_partly": (row["schools_not_measured"] or 0) < (row["schools"] or 0)}
            for row in _rows(tables, "mart_not_measured", "item_he")
        ],
        "not_known": _not_known,
        "replies": _replies(tables),
        "listed": partial(_listed, _ids_by_name(tables)),
        "pages": PAGES,
        "languages": {HEBREW: "עברית"} | {one.code: one.name for one in context.languages},
    }
    found = {}
    for language in (None, *context.languages):
        for name in PAGES:
            speech = Speech(language)
            place = f"{speech.code}/{name}" if language else name
            found[f"{place}.html"] = page(
                f"outside/{name}", tables, context, at=place, t=speech, here=name, **told
            )
    return found


def render_inspectors(tables: Tables, context: ReportContext) -> dict[str, str]:
    """Return the first page of inspectors: what stands in their tables, and what is to be seen to.

    Args:
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
    """
    sheets = dictionary().sheets
    return {
        "index.html": page(
            "outside/inspectors",
            tables,
            context,
            at="index",
            t=Speech(),
            here="index",
            pages=(),
            languages={},
            decided=decision_of(tables, context) if "mart_decided" in tables else None,
            **_money(tables),
            alerts=_rows(tables, "mart_alert", "alert_id"),
            practices=_rows(tables, "mart_practice", "school_name_he"),
            unknown=_rows(tables, "mart_not_measured", "item_he"),
            sheets=[
                {"title": title, "rows": tables[name].height}
                for name, title in sheets.items()
                if name in tables
            ],
        )
    }


def render_form(context: ReportContext, policy: Policy) -> dict[str, str]:
    """Return the form of needs to print, by language: what it asks is what `voice__forms` holds.

    Whoever types it in finds the names of the digital form beside those of another language.

    Args:
        context: what pages say of the city, and the languages that it has.
        policy: whose needs and groups are asked about.
    """
    needs = {f"name.need.{key}": one.name_he for key, one in policy.response_map.needs.items()}
    roles = dictionary().families["families"]
    found = {}
    for language in (None, *context.languages):
        speech = Speech(language)
        found[speech.code] = page(
            "outside/form",
            {},
            context,
            at="form",
            t=speech,
            here="form",
            pages=(),
            languages={},
            is_form=True,
            needs=needs | {"label.need_id.other": words.label("need_id", OTHER)},
            roles={f"label.role.{role}": words.label("role", role) for role in roles},
            groups={f"name.group.{key}": held[-1].name_he for key, held in policy.groups.items()},
        )
    return found


def _rows(tables: Tables, mart: str, order: str) -> Rows:
    """Return the rows of a mart in order; none where the audience does not get it."""
    return tables[mart].sort(order).to_dicts() if mart in tables else []


def _ids_by_name(tables: Tables) -> dict[str, str]:
    rows = _rows(tables, "mart_response", "response_id")
    return {row["response_name_he"]: row["response_id"] for row in rows}


def _listed(ids: Mapping[str, str], speech: Speech, names_he: str) -> Markup:
    """Return a list of responses, as a mart joins their names, in the words of a page."""
    names = names_he.split(", ")
    if not all(name in ids for name in names):
        return speech.hebrew(names_he)
    return Markup(", ").join(speech.named(f"name.response.{ids[name]}", name) for name in names)


def _not_known(speech: Speech, row: Row) -> Markup:
    """Return what is not measured, in the words of a page: a need by its name."""
    key = f"name.need.{row['item_id'].rpartition('.')[2].rpartition(':')[2]}"
    if speech.knows(key):
        return speech.named(key, row["item_he"])
    if speech.code == ENGLISH:
        return escape(row["item_en"])
    return speech.named(f"item.{row['item_id']}", row["item_he"])


def _money(tables: Tables) -> dict[str, Any]:
    """Return the money of the plan in force, added up in every way that a page shows.

    Keys: total, city (of services of the whole city; agorot); channels, schools, tiers, responses,
    left_out (rows); is_draft; changes (schools by direction, None where last year is not known).
    """
    lines, money = _rows(tables, "mart_plan_line", "plan_row_id"), _channels(tables)
    is_draft = not any(line["is_decided"] for line in lines)
    schools = _schools(tables, lines, is_draft=is_draft)
    responses = _responses(tables, lines)
    known = [row for row in schools if row["change"] is not None]
    return {
        "lines": lines,
        "total": sum(line["cost_agorot"] for line in lines),
        "city": sum(line["cost_agorot"] for line in lines if line["semel_mosad"] is None),
        "channels": money,
        "schools": schools,
        "tiers": _tiers(schools, is_draft=is_draft),
        "responses": [row for row in responses if row["cost_agorot"]],
        "left_out": [row for row in responses if not row["cost_agorot"]],
        "is_draft": is_draft,
        "changes": {
            "gains": sum(row["change"] > 0 for row in known),
            "loses": sum(row["change"] < 0 for row in known),
            "same": sum(row["change"] == 0 for row in known),
        }
        if known
        else None,
    }


def _channels(tables: Tables) -> Rows:
    """Return what each funding channel pays of the plan in force."""
    if "mart_plan_money" not in tables:
        return []
    summed = (
        tables["mart_plan_money"].group_by("funding_channel").agg(pl.col("amount_agorot").sum())
    )
    paid = {row["funding_channel"]: row for row in summed.to_dicts() if row["amount_agorot"]}
    return [paid[str(one)] for one in dictionary().fields["funding_channel"].allowed if one in paid]


def _schools(tables: Tables, lines: Rows, *, is_draft: bool) -> Rows:
    """Return the schools of the plan by the alphabet, each with its money and what it is for.

    Keys: semel_mosad, name, tier (None where it is not told), cost_agorot, own (the row of
    `mart_allocation_school`, whose money is that of a draft alone), last (row of last year's money,
    or None), change (agorot, or None), lines (rows), practices (rows).
    """
    drafted = _by_school(tables, "mart_allocation_school")
    named, last = (
        drafted or _by_school(tables, "mart_need_index"),
        _by_school(tables, "mart_allocation_change"),
    )
    paid = rows_by(pl.DataFrame(lines), "semel_mosad") if lines else {}
    shown = rows_by(tables["mart_practice"], "semel_mosad") if "mart_practice" in tables else {}
    found = []
    for code in sorted({*named, *(paid.keys() - {None})}):
        own, before = named.get(code), last.get(code)
        cost = sum(line["cost_agorot"] for line in paid.get(code, []))
        known = before is not None and before["last_year_agorot"] is not None
        found.append(
            {
                "semel_mosad": code,
                "name": own["school_name_he"] if own else code,
                "tier": own["need_tier"] if own else None,
                "own": drafted.get(code) if is_draft else None,
                "cost_agorot": cost,
                "last": before if known else None,
                "change": cost - before["last_year_agorot"] if before and known else None,
                "lines": paid.get(code, []),
                "practices": shown.get(code, []),
            }
        )
    return sorted(found, key=lambda row: (row["name"], row["semel_mosad"]))


def _by_school(tables: Tables, mart: str) -> dict[str, dict[str, Any]]:
    return {row["semel_mosad"]: row for row in _rows(tables, mart, "semel_mosad")}


def _tiers(schools: Rows, *, is_draft: bool) -> Rows:
    """Return schools and money by level of need, the greatest first.

    Keys: need_tier, schools, cost_agorot; low, high (agorot per pupil of its schools; of a draft
    alone, since what was decided is not told per pupil).
    """
    found = []
    for tier in dictionary().fields["need_tier"].allowed:
        own = [row for row in schools if row["tier"] == tier]
        per_pupil = [
            row["own"]["per_pupil_agorot"]
            for row in own
            if is_draft and row["own"] and row["own"]["per_pupil_agorot"] is not None
        ]
        if own:
            found.append(
                {
                    "need_tier": str(tier),
                    "schools": len(own),
                    "cost_agorot": sum(row["cost_agorot"] for row in own),
                    "low": min(per_pupil, default=None),
                    "high": max(per_pupil, default=None),
                }
            )
    return found


def _responses(tables: Tables, lines: Rows) -> Rows:
    """Return the responses of the registry by name, with their money in the plan in force."""
    paid: dict[str, Rows] = {}
    for line in lines:
        paid.setdefault(line["response_id"], []).append(line)
    return [
        {
            **row,
            "cost_agorot": sum(line["cost_agorot"] for line in paid.get(row["response_id"], [])),
            "schools": len(
                {line["semel_mosad"] for line in paid.get(row["response_id"], [])} - {None}
            ),
            "is_of_city": any(
                line["semel_mosad"] is None for line in paid.get(row["response_id"], [])
            ),
        }
        for row in _rows(tables, "mart_response", "response_name_he")
    ]


def _replies(tables: Tables) -> Rows:
    """Return each need that people named with its reply, those that most named first.

    Keys: those of `mart_need_reply`, and parents: what parents say of it (row, or None).
    """
    if "mart_need_reply" not in tables:
        return []
    kinds = _rows(tables, "mart_form_need", "need_id")
    parents = {row["need_id"]: row for row in kinds if row["speaker_kind"] == "parents"}
    rows = tables["mart_need_reply"].sort(
        "form_people", "need_id", descending=[True, False], nulls_last=True
    )
    return [
        row
        | {
            "name": row["need_name_he"] or words.label("need_id", row["need_id"]),
            "name_key": f"name.need.{row['need_id']}"
            if row["need_name_he"]
            else f"label.need_id.{row['need_id']}",
            "parents": parents.get(row["need_id"]),
        }
        for row in rows.to_dicts()
    ]
