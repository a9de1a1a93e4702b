"""Tiers by posterior probability: what may be said of a gap, and what may not (R37)."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.stats import norm

SURE, PROBABLE, IMPROBABLE, SURELY_NOT = 0.95, 0.80, 0.20, 0.05


def interval(gap: np.ndarray, error: np.ndarray, level: float) -> list[pl.Series]:
    """Return gap_sd, gap_se_sd, gap_lo_sd, gap_hi_sd and p_below_target of normal gaps.

    Args:
        gap: posterior means, pupil SD.
        error: their standard deviations, pupil SD.
        level: probability of the interval.
    """
    reach = norm.ppf(0.5 + level / 2) * error
    return [
        pl.Series("gap_sd", gap),
        pl.Series("gap_se_sd", error),
        pl.Series("gap_lo_sd", gap - reach),
        pl.Series("gap_hi_sd", gap + reach),
        pl.Series("p_below_target", norm.cdf(gap / error)),
    ]


def gap_tier(p_below: pl.Expr) -> pl.Expr:
    """Return the tier of a posterior probability of being below target; null is not measured."""
    return (
        pl.when(p_below.is_null())
        .then(pl.lit("not_measured"))
        .when(p_below >= SURE)
        .then(pl.lit("surely_below"))
        .when(p_below >= PROBABLE)
        .then(pl.lit("probably_below"))
        .when(p_below > IMPROBABLE)
        .then(pl.lit("cannot_tell"))
        .when(p_below > SURELY_NOT)
        .then(pl.lit("probably_at_target"))
        .otherwise(pl.lit("surely_at_target"))
    )
