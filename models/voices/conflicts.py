"""Where what people say of a response parts from what the plan gives it or the data show (R125)."""

from __future__ import annotations

import polars as pl

from models.checks import one_row_each

_EFFECTIVE = ("very_effective", "fairly_effective")
_FUNDED = ("more", "same", "funded")


def conflicts(plan: pl.DataFrame) -> pl.DataFrame:
    """Return every contradiction, those about money before those about data.

    Args:
        plan: one row a response: `response_id`, `card_say` (what more than half say), `plan_say`,
            `verdict` (null where no measure judges it).

    Returns:
        `plan`'s columns with `voice_conflict`; one row a contradiction, in the order of their kinds
        below, then by response. Without enough evidence data contradict nobody.

    Raises:
        ValueError: if a response repeats.

    Source: R125, R66.
    """
    one_row_each(plan, "response_id", "a response has one row")
    asks, holds = pl.col("card_say") == "change_or_drop", pl.col("card_say") == "indispensable"
    kinds = {
        "change_but_not_less": asks & pl.col("plan_say").is_in(_FUNDED),
        "indispensable_but_unfunded": holds & (pl.col("plan_say") == "not_funded"),
        "indispensable_but_less": holds & (pl.col("plan_say") == "less"),
        "change_but_effective": asks & pl.col("verdict").is_in(_EFFECTIVE),
        "trusted_without_effect": (
            pl.col("card_say").is_in(["indispensable", "proven", "significant"])
            & (pl.col("verdict") == "not_effective")
        ),
    }
    return pl.concat(
        plan.filter(is_so.fill_null(value=False))
        .sort("response_id")
        .with_columns(pl.lit(name).alias("voice_conflict"))
        for name, is_so in kinds.items()
    )
