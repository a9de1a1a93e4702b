"""How many of the places that a list names may be there by chance; for every room."""

from __future__ import annotations

import polars as pl
from scipy.stats import false_discovery_control


def q_values(p: pl.Expr) -> pl.Expr:
    """Return the smallest false discovery rate at which each hypothesis is on the list.

    Args:
        p: p-values; null = not tested, and then null in the result.

    Source: Benjamini & Hochberg (1995).
    """

    def adjusted(values: pl.Series) -> pl.Series:
        known = values.drop_nulls()
        if known.is_empty():
            return values
        q = pl.Series(false_discovery_control(known.to_numpy()))
        return values.clone().scatter(values.is_not_null().arg_true(), q)

    return p.map_batches(adjusted, return_dtype=pl.Float64)
