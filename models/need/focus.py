"""The focus of a year: the committee weighs some indicators of need otherwise (R43, meeting 1)."""

from __future__ import annotations

import polars as pl


def focused_weights(declared: pl.DataFrame, focus: pl.DataFrame) -> pl.DataFrame:
    """Return the weights under a focus: those decided as they are, the others in what remains.

    The others keep their proportions to each other, so a focus says nothing about what it does not
    name. Without a focus the weights are the declared ones.

    Args:
        declared: indicator_id, weight_pct; they sum to 100.
        focus: indicator_id, weight_pct of what the committee put in focus; may be empty.

    Returns:
        indicator_id, weight_pct, in the order of `declared`; they sum to 100.

    Raises:
        ValueError: if a focus names no declared indicator, or one twice, if its weights are
            negative or more than 100 together, or if they are less and nothing else has a weight.
    """
    unknown = focus.join(declared, on="indicator_id", how="anti")["indicator_id"].to_list()
    if unknown or focus["indicator_id"].is_duplicated().any():
        raise ValueError(
            f"the focus names {', '.join(map(str, unknown)) or 'an indicator twice'}; indicators"
            f" of need are {', '.join(declared['indicator_id'])}"
        )
    named = float(focus["weight_pct"].sum())
    others = declared.join(focus, on="indicator_id", how="anti")
    rest = float(others["weight_pct"].sum())
    if named > 100 or (focus["weight_pct"] < 0).any() or (named < 100 and rest <= 0):
        raise ValueError(
            f"the weights of the focus sum to {named:g} %: they must be at least 0 and at most 100"
            " together, and exactly 100 where no other indicator has a weight"
        )
    factor = (100 - named) / rest if rest else 0.0
    return declared.join(
        focus.rename({"weight_pct": "decided_pct"}),
        on="indicator_id",
        how="left",
        maintain_order="left",
    ).select(
        "indicator_id",
        weight_pct=pl.coalesce("decided_pct", pl.col("weight_pct") * factor)
        if focus.height
        else pl.col("weight_pct"),
    )
