"""Hard and qualitative evidence side by side: they agree, contradict, or one of them is silent."""

from __future__ import annotations

import polars as pl
from scipy.stats import norm

from models.checks import every_row, one_row_each

_KEY = ["place", "theme"]


def triangulate(
    hard: pl.DataFrame,
    excerpts: pl.DataFrame,
    *,
    least_excerpts: int = 3,
    majority: float = 2 / 3,
    level: float = 0.90,
) -> pl.DataFrame:
    """Return, per place and theme, how what people say stands to what is measured.

    With n excerpts, of which a share s is negative:

        silent      n < least_excerpts (`people` are silent), is_weak empty (`data` are), or `both`
        people say  weak if s ≥ majority, strong if 1 - s ≥ majority, else they are divided
        mixed       neither is silent, and people are divided
        agree       they say weak of what is measured as weak, or strong of what is not
        contradict  they say the opposite

    Beside s stands its Wilson interval: a label on few excerpts is a weak one. Measured weakness is
    taken as given; its probability is passed on.

    Args:
        hard: place, theme (any keys), is_weak (null = not measured), p_weak (probability that it is
            weak; null where not known).
        excerpts: place, theme, sentiment (`positive` or `negative`), n (excerpts, 0 or more);
            several rows of one kind add up.
        least_excerpts: fewest excerpts that count as people having spoken.
        majority: least share of one sentiment for people to be of one mind, above 1/2.
        level: probability of the Wilson interval.

    Returns:
        place, theme, is_weak, p_weak, excerpts (n), excerpts_negative, negative_pct,
        negative_lo_pct, negative_hi_pct (null without excerpts), people_say (`weak`, `strong`,
        `divided`; null where silent), label, silent_side (`people`, `data`, `both`; null unless
        silent); every place and theme of either side, sorted.

    Raises:
        ValueError: if a place and theme has two measures, p_weak is outside 0..1 or given without
            is_weak, a sentiment is unknown, n is empty or negative, or a setting is out of range.

    Source: Wilson (1927); R50.
    """
    if least_excerpts < 1:
        raise ValueError(f"least_excerpts must be 1 or more; got {least_excerpts}")
    if not 0.5 < majority <= 1:
        raise ValueError(f"majority is a share above 1/2, up to 1; got {majority}")
    if not 0 < level < 1:
        raise ValueError(f"level is a probability between 0 and 1; got {level}")
    _check(hard, excerpts)
    said = excerpts.group_by(_KEY).agg(
        pl.col("n").sum().cast(pl.Int32).alias("excerpts"),
        pl.col("n")
        .filter(pl.col("sentiment") == "negative")
        .sum()
        .cast(pl.Int32)
        .alias("excerpts_negative"),
    )
    number, share = pl.col("excerpts"), pl.col("excerpts_negative") / pl.col("excerpts")
    z2 = float(norm.ppf(0.5 + level / 2)) ** 2
    centre = (share + z2 / (2 * number)) / (1 + z2 / number)
    reach = (z2 * (share * (1 - share) / number + z2 / (4 * number**2))).sqrt() / (1 + z2 / number)
    has_spoken = number >= least_excerpts
    is_heard, is_measured = pl.col("people_say").is_not_null(), pl.col("is_weak").is_not_null()
    return (
        hard.select(*_KEY, "is_weak", "p_weak")
        .join(said, on=_KEY, how="full", coalesce=True)
        .with_columns(pl.col("excerpts", "excerpts_negative").fill_null(0))
        .with_columns(
            pl.when(number > 0).then(100 * value).alias(name)
            for name, value in (
                ("negative_pct", share),
                ("negative_lo_pct", (centre - reach).clip(0, 1)),
                ("negative_hi_pct", (centre + reach).clip(0, 1)),
            )
        )
        .with_columns(
            pl.when(~has_spoken)
            .then(None)
            .when(share >= majority)
            .then(pl.lit("weak"))
            .when((number - pl.col("excerpts_negative")) / number >= majority)
            .then(pl.lit("strong"))
            .otherwise(pl.lit("divided"))
            .alias("people_say")
        )
        .with_columns(
            pl.when(~is_heard | ~is_measured)
            .then(pl.lit("silent"))
            .when(pl.col("people_say") == "divided")
            .then(pl.lit("mixed"))
            .when((pl.col("people_say") == "weak") == pl.col("is_weak"))
            .then(pl.lit("agree"))
            .otherwise(pl.lit("contradict"))
            .alias("label"),
            pl.when(~is_heard & ~is_measured)
            .then(pl.lit("both"))
            .when(~is_heard)
            .then(pl.lit("people"))
            .when(~is_measured)
            .then(pl.lit("data"))
            .alias("silent_side"),
        )
        .sort(_KEY)
    )


def _check(hard: pl.DataFrame, excerpts: pl.DataFrame) -> None:
    one_row_each(hard, _KEY, "a place and theme has two measures; pass one row for each")
    p = pl.col("p_weak")
    wrong = p.is_not_null() & (~p.is_between(0, 1) | p.is_nan() | pl.col("is_weak").is_null())
    if hard.select(wrong.any()).item():
        raise ValueError("p_weak is a probability between 0 and 1, and belongs to a known is_weak")
    is_known = pl.col("sentiment").is_in(["positive", "negative"]).fill_null(False)
    every_row(
        excerpts,
        is_known,
        "a sentiment is neither 'positive' nor 'negative'; code it, or leave it out",
    )
    every_row(excerpts, pl.col("n") >= 0, "n counts excerpts; it must be 0 or more in every row")
    if hard.select(_KEY).null_count().sum_horizontal().item() or (
        excerpts.select(_KEY).null_count().sum_horizontal().item()
    ):
        raise ValueError("a row has no place or no theme; leave it out, or say what it speaks of")
