"""Small cells are not published (R111). Primary suppression by audience.

Complementary suppression (no cell recoverable from totals) comes with a later issue; until then no
published table holds both small counts and their totals over pupils.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from pipelines.settings.fields import dictionary

Audience = Literal["analyst", "committee"]
_COUNTS = ("pupils",)


class PrivacyError(Exception):
    """Something was about to be published that must not be."""


@dataclass(frozen=True)
class Thresholds:
    """Least pupils behind a published mean, and behind a published count."""

    mean_pupils: int
    count_pupils: int


def suppress(
    tables: Mapping[str, pl.DataFrame], audience: Audience, thresholds: Thresholds
) -> dict[str, pl.DataFrame]:
    """Return the tables as an audience may see them.

    A value that stands on fewer pupils than the threshold becomes empty, and so does a small count
    itself. Internal columns are for analysts only.

    Raises:
        PrivacyError: if a table has a personal column.
    """
    return {
        name: _suppress_one(name, frame, audience, thresholds) for name, frame in tables.items()
    }


def _suppress_one(
    name: str, frame: pl.DataFrame, audience: Audience, thresholds: Thresholds
) -> pl.DataFrame:
    fields = dictionary().fields
    personal = [column for column in frame.columns if fields[column].privacy == "personal"]
    if personal:
        raise PrivacyError(f"{name}: personal column(s) {', '.join(personal)} cannot be published")
    if audience == "committee":
        frame = frame.select(
            column for column in frame.columns if fields[column].privacy == "public"
        )
    changes: dict[str, pl.Expr] = {}
    for count in (column for column in frame.columns if fields[column].n_for):
        number = pl.col(count)
        small_mean = number.is_not_null() & (number < thresholds.mean_pupils)
        for column in fields[count].n_for:
            if column not in frame.columns:
                continue
            limit = (
                thresholds.count_pupils
                if fields[column].unit in _COUNTS
                else thresholds.mean_pupils
            )
            small = number.is_not_null() & (number < limit)
            # A value may stand on two counts; the smaller decides.
            kept = changes.get(column, pl.col(column))
            changes[column] = pl.when(small).then(None).otherwise(kept).alias(column)
        for column in _companions(frame, count):
            changes[column] = pl.when(small_mean).then(None).otherwise(pl.col(column)).alias(column)
        changes[count] = (
            pl.when((number > 0) & (number < thresholds.count_pupils))
            .then(None)
            .otherwise(number)
            .alias(count)
        )
    return frame.with_columns(changes.values())


def _companions(frame: pl.DataFrame, count: str) -> list[str]:
    """Return the interval columns that go with a suppressed gap: they would give it away."""
    if "gap_sd" not in dictionary().fields[count].n_for:
        return []
    return [
        c
        for c in (
            "gap_se_sd",
            "gap_lo_sd",
            "gap_hi_sd",
            "p_below_target",
            "gap_sampling_sd",
            "reliability",
            "within_se_sd",
            "within_lo_sd",
            "within_hi_sd",
        )
        if c in frame.columns
    ]


def gate(tables: Mapping[str, pl.DataFrame], audience: Audience, thresholds: Thresholds) -> None:
    """Refuse tables that break the rule; written apart from `suppress`, so as to catch its faults.

    Raises:
        PrivacyError: naming each table and column.
    """
    fields, faults = dictionary().fields, []
    for name, frame in tables.items():
        for column in frame.columns:
            privacy = fields[column].privacy
            if privacy == "personal" or (audience == "committee" and privacy != "public"):
                faults.append(f"{name}.{column} is {privacy}")
        for row_count in frame.columns:
            for column in fields[row_count].n_for:
                if column not in frame.columns:
                    continue
                least = (
                    thresholds.count_pupils
                    if fields[column].unit == "pupils"
                    else thresholds.mean_pupils
                )
                shown = frame.filter(pl.col(column).is_not_null())
                small = shown.filter(pl.col(row_count) < least).height
                if small:
                    faults.append(f"{name}.{column}: {small} value(s) on fewer than {least} pupils")
    if faults:
        raise PrivacyError("not published: " + "; ".join(faults))
