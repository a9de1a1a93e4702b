"""How likely a goal is reached, what of it can be seen, and whether it was (R101, R106).

A goal lowers an indicator of need: a gap, a share of absent pupils. Its baseline is known with an
error; where a trend is known, so is a forecast for the goal's day, which the plan's gain lowers. A
change can be told from chance only if it is larger than what two measurements differ by.
"""

from __future__ import annotations

import polars as pl
from scipy.special import ndtr

_REACH = 1.6448536269514722
"""Half of a 90 % interval in errors of a normal."""
_DETECTABLE = _REACH * (pl.col("baseline_se") ** 2 + pl.col("next_se") ** 2).sqrt()


def attainability(goals: pl.DataFrame) -> pl.DataFrame:
    """Add the chance to reach each goal and whether its change can be seen.

    Args:
        goals: target_value, baseline, baseline_se, next_se (error of the next measurement),
            forecast and forecast_se (for the goal's day; null = no trend is known), goal_gain and
            goal_gain_se (what the plan takes off; null = nothing that is counted), all in one unit
            and lower = better.

    Returns:
        The rows with detectable (smallest change that two measurements tell from chance at 90 %),
        is_below_detectable (the change asked for is smaller; null without a baseline) and p_reach:
        P(forecast − gain ≤ target), normal, null where no trend is known.
    """
    expected = pl.col("forecast") - pl.col("goal_gain").fill_null(0.0)
    error = (pl.col("forecast_se") ** 2 + pl.col("goal_gain_se").fill_null(0.0) ** 2).sqrt()
    z = (pl.col("target_value") - expected) / error
    return goals.with_columns(
        detectable=_DETECTABLE,
        is_below_detectable=pl.col("baseline") - pl.col("target_value") < _DETECTABLE,
        p_reach=z.map_batches(
            lambda held: pl.Series(ndtr(held.to_numpy())), return_dtype=pl.Float64
        ).fill_nan(None),
    )


def draft_targets(goals: pl.DataFrame) -> pl.DataFrame:
    """Add target_value: the smallest change that the next measurement can show, up to the aim.

    Args:
        goals: baseline, baseline_se, next_se and aim (what is wanted in the end), in one unit.
    """
    return goals.with_columns(
        target_value=pl.max_horizontal(pl.col("baseline") - _DETECTABLE, "aim")
    )


def results(goals: pl.DataFrame) -> pl.DataFrame:
    """Add goal_result by the interval of the value now: met, not_met or unclear (R106).

    Args:
        goals: target_value, now, now_se (null = not measured), is_due.

    Returns:
        The rows with goal_result; not_yet where the day has not come, not_measured without a value.
    """
    low, high = (pl.col("now") + side * _REACH * pl.col("now_se") for side in (-1, 1))
    return goals.with_columns(
        goal_result=pl.when(~pl.col("is_due"))
        .then(pl.lit("not_yet"))
        .when(pl.col("now").is_null() | pl.col("now_se").is_null())
        .then(pl.lit("not_measured"))
        .when(high <= pl.col("target_value"))
        .then(pl.lit("met"))
        .when(low > pl.col("target_value"))
        .then(pl.lit("not_met"))
        .otherwise(pl.lit("unclear"))
    )
