"""What the pages show of people's words: the rows of `voices.html.j2` (R69–R78, R125)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from pipelines.publish.pages.base import Rows
from pipelines.settings.fields import dictionary


def voices(tables: Mapping[str, pl.DataFrame]) -> dict[str, Rows]:
    """Return the rows of each table of what people say, in the order they are read in.

    Args:
        tables: the marts, as the audience may see them.
    """
    kinds = [str(kind) for kind in dictionary().fields["voice_conflict"].allowed]
    cards = tables["mart_card"].sort("response_id")
    # Of what nobody named and no plan pays for there is nothing to say.
    is_silent = (pl.col("card_say") == "not_named") & (pl.col("plan_say") == "not_planned")
    said = tables["mart_voice_plan"].filter(~is_silent).sort("card_say", "response_id")
    stages = [str(stage) for stage in dictionary().fields["stage_id"].allowed]
    turned: dict[str, dict[str, dict[str, Any]]] = {}
    for row in tables["mart_wheel"].to_dicts():
        turned.setdefault(row["stage_id"], {})[row["perspective_level"]] = row
    needs = tables["mart_form_need"].filter(pl.col("speaker_kind") != "all")
    return {
        "plan": said.to_dicts(),
        "conflicts": tables["mart_voice_conflict"]
        .sort(pl.col("voice_conflict").replace_strict(kinds, range(len(kinds))), "response_id")
        .to_dicts(),
        "agreement": [
            row | {"picks": cards.filter(card_category=row["card_category"]).to_dicts()}
            for row in tables["mart_card_agreement"].sort("card_quota", descending=True).to_dicts()
        ],
        "families": tables["mart_voice_family"].sort("role_family").to_dicts(),
        "groups": tables["mart_voice_group"].sort("group_id").to_dicts(),
        "candidates": tables["mart_candidate"].sort("candidate_he").to_dicts(),
        "considerations": tables["mart_consideration"]
        .sort("weight_points", "consideration", descending=[True, False], nulls_last=True)
        .to_dicts(),
        "ranks": tables["mart_acceptability"]
        .sort("first_pct", "response_id", descending=[True, False], nulls_last=True)
        .to_dicts(),
        "replies": tables["mart_need_reply"]
        .sort("form_people", "need_id", descending=[True, False])
        .to_dicts(),
        "needs": needs.sort("speaker_kind", "form_people", descending=[False, True]).to_dicts(),
        "wheel": [
            {"stage_id": stage, "cells": turned[stage]} for stage in stages if stage in turned
        ],
        "practices": tables["mart_practice"]
        .sort("criteria_field", "school_name_he", "practice_he")
        .to_dicts(),
    }
