"""Versions of a criterion, what each would identify, and how schools' own methods differ."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from models.keys import WHOLE


def current(criteria: pl.DataFrame, day: date) -> pl.DataFrame:
    """Return the version of each criterion that holds on a day (R30).

    Args:
        criteria: `criterion_id`, `criterion_version`, `valid_from` (Date) and whatever else.
        day: the day asked for.

    Returns:
        At most one row per criterion, the newest version that had begun; sorted by criterion.
    """
    begun = criteria.filter(pl.col("valid_from") <= day)
    return (
        begun.sort("criterion_id", "valid_from", "criterion_version")
        .group_by("criterion_id", maintain_order=True)
        .last()
        .select(criteria.columns)
    )


def criterion_holds(values: pl.Series, threshold: float, side: str) -> pl.Series:
    """Return which pupils meet a criterion; a pupil without a value is unknown (null), not false.

    Args:
        values: the criterion's measure, one per pupil.
        threshold: value from which it holds, in units of the measure.
        side: `at_least` or `at_most`.

    Raises:
        ValueError: if the side is neither.
    """
    if side not in ("at_least", "at_most"):
        raise ValueError(f"threshold_side must be at_least or at_most, not '{side}'")
    return values >= threshold if side == "at_least" else values <= threshold


def what_if(
    values: pl.Series,
    groups: pl.DataFrame,
    before: tuple[float, str],
    after: tuple[float, str],
) -> pl.DataFrame:
    """Count whom a changed criterion would identify, by group, before it is adopted (R30).

    Args:
        values: the measure, one per pupil, in the order of `pupil` = 0, 1, 2, …
        groups: `pupil` (index into `values`), `group_id`; a pupil may be in several groups.
        before: threshold and side of the criterion as it is.
        after: threshold and side as proposed.

    Returns:
        `group_id`, `pupils`, `unknown` (without a value), `identified_before`, `identified_after`,
        `gained`, `lost`; the group "all" first. before + gained − lost = after.
    """
    pupils = pl.DataFrame(
        {
            "pupil": np.arange(len(values)),
            "was": criterion_holds(values, *before),
            "will": criterion_holds(values, *after),
        }
    )
    everyone = pupils.with_columns(group_id=pl.lit(WHOLE))
    by_group = pupils.join(groups.select("pupil", "group_id"), on="pupil").select(everyone.columns)
    was, will = pl.col("was").fill_null(value=False), pl.col("will").fill_null(value=False)
    counted = (
        pl.concat([everyone, by_group])
        .group_by("group_id")
        .agg(
            pupils=pl.len(),
            unknown=pl.col("was").null_count(),
            identified_before=was.sum(),
            identified_after=will.sum(),
            gained=(will & ~was).sum(),
            lost=(was & ~will).sum(),
        )
    )
    return counted.sort(pl.col("group_id") != WHOLE, "group_id")


def methods_by_school(criteria: pl.DataFrame) -> pl.DataFrame:
    """Return by which method each school identifies pupils, and how far the schools differ (R31).

    Args:
        criteria: current criteria: `criterion_scope`, `semel_mosad`, `criteria_field`,
            `identification_method`.

    Returns:
        `semel_mosad`, `criteria_field`, `identification_method`, `method_entropy`: Shannon entropy
        of the methods within the field over its greatest possible value, 0 = all alike, 1 = all
        differ; null where only one school states a method.
    """
    own = criteria.filter(
        (pl.col("criterion_scope") == "school")
        & pl.col("semel_mosad").is_not_null()
        & pl.col("identification_method").is_not_null()
    )
    own = own.select("semel_mosad", "criteria_field", "identification_method").unique()
    # Sorted, so that the sums of floating-point numbers have one order.
    counts = own.group_by("criteria_field", "identification_method").len()
    counts = counts.sort("criteria_field", "identification_method")
    share = pl.col("len") / pl.col("len").sum()
    spread = counts.group_by("criteria_field", maintain_order=True).agg(
        entropy=-(share * share.log()).sum(), n=pl.col("len").sum()
    )
    spread = spread.with_columns(
        method_entropy=pl.when(pl.col("n") > 1).then(
            (pl.col("entropy") / pl.col("n").log()).clip(0, 1)
        )
    )
    return (
        own.join(spread.select("criteria_field", "method_entropy"), on="criteria_field")
        .sort("criteria_field", "semel_mosad", "identification_method")
        .select("semel_mosad", "criteria_field", "identification_method", "method_entropy")
    )
