"""Keys and words of tables that several rooms and stages mean alike; the generator has its own."""

from __future__ import annotations

from typing import Literal

import polars as pl

WHOLE = "all"  # as subject, pupil group, role or response: all of them together
PAIR = ["semel_mosad", "response_id"]  # key of a school and a response
OPTION = [*PAIR, "dose_level"]  # key of what may be bought: a response in a school at a dose level
OPTION_TYPES = {"semel_mosad": pl.String, "response_id": pl.String, "dose_level": pl.Int32}
# Kinds of rules of an allocation, the first to give way first where a policy sets no order.
RuleKind = Literal[
    "rise_cap",
    "share_max",
    "share_min",
    "excellence_share_max",
    "excellence_share_min",
    "hold_harmless",
    "neediest_kept",
    "parents_payments",
    "school_cap",
    "school_floor",
    "exclusive",
    "budget",
    "school_channel_cap",
    "school_capacity",
    "participant_capacity",
    "asset_hours",
    "minimum_group",
    "committee_amount",
    "must_drop",
    "must_keep",
    "every_school_served",
    "decided_drop",
    "decided_keep",
    "notice_period",
    "override",
    "commitment",
]
