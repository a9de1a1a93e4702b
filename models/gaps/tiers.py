"""Tiers by posterior probability: what may be said of a gap, and what may not (R37)."""

from __future__ import annotations

import polars as pl

SURE, PROBABLE, IMPROBABLE, SURELY_NOT = 0.95, 0.80, 0.20, 0.05
TIERS = (
    "surely_below",
    "probably_below",
    "cannot_tell",
    "probably_at_target",
    "surely_at_target",
    "not_measured",
)


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
