"""How many pupils are in need, and how many of them no response reaches (R54)."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.stats import beta, norm

from models.checks import every_row, one_row_each

INTERVAL = 0.90
NOT_MEASURED, NO_RESPONSE, BELOW_NEED = "not_measured", "no_response", "below_need"
_LEAST_PUPILS = 1.0  # a need of less than one pupil is met


def far_below(gaps: pl.DataFrame, below_sd: float) -> pl.DataFrame:
    """Return the expected share of pupils who are at least `below_sd` below their target.

    Pupils spread normally by one pupil SD around a school (or group) that is g below its target, so
    the share is Φ(g - below_sd). With g known as N(gap, se²) its mean is exactly
    Φ((gap - below_sd) / √(1 + se²)); the interval's ends are the share at the ends of the gap's.

    Args:
        gaps: gap_sd (pupil SD, positive = below target), gap_se_sd, gap_lo_sd, gap_hi_sd; any other
            columns.
        below_sd: how far below the target a pupil counts as in need, pupil SD.

    Returns:
        the frame with share, share_lo and share_hi (90 %), between 0 and 1.

    Raises:
        ValueError: if a gap or its error is empty, not finite, or the error negative.
    """
    known = pl.all_horizontal(pl.col("gap_sd", "gap_se_sd").is_finite().fill_null(False))
    every_row(
        gaps,
        known & (pl.col("gap_se_sd") >= 0),
        "each gap needs a value and an error of at least 0; drop unmeasured rows",
    )
    gap, se = gaps["gap_sd"].to_numpy(), gaps["gap_se_sd"].to_numpy()
    ends = {name: gaps[f"gap_{name}_sd"].to_numpy() for name in ("lo", "hi")}
    return gaps.with_columns(
        pl.Series("share", norm.cdf((gap - below_sd) / np.sqrt(1 + se**2)), dtype=pl.Float64),
        *(
            pl.Series(f"share_{name}", norm.cdf(end - below_sd), dtype=pl.Float64)
            for name, end in ends.items()
        ),
    )


def rate_share(rates: pl.DataFrame) -> pl.DataFrame:
    """Return an observed rate as a share with its Jeffreys interval (Brown, Cai and DasGupta 2001).

    Args:
        rates: rate_pct (events per 100 pupils), n (pupils, > 0); any other columns.

    Returns:
        the frame with share, share_lo and share_hi (90 %).

    Raises:
        ValueError: if a rate is empty or not between 0 and 100, or n is not positive.
    """
    held = (pl.col("rate_pct").is_between(0, 100) & (pl.col("n") > 0)).fill_null(False)
    every_row(rates, held, "each rate needs 0 ≤ rate_pct ≤ 100 and n > 0; drop unmeasured rows")
    share, n = rates["rate_pct"].to_numpy() / 100, rates["n"].to_numpy().astype(float)
    events, tail = share * n, (1 - INTERVAL) / 2
    low, high = (
        beta.ppf(end, events + 0.5, n - events + 0.5) if len(n) else n for end in (tail, 1 - tail)
    )
    # At no event, or nothing but events, the interval reaches the end it stands at.
    return rates.with_columns(
        pl.Series("share", share, dtype=pl.Float64),
        pl.Series("share_lo", np.where(events <= 0, 0.0, low), dtype=pl.Float64),
        pl.Series("share_hi", np.where(events >= n, 1.0, high), dtype=pl.Float64),
    )


def unmet_needs(needs: pl.DataFrame, significant: float) -> pl.DataFrame:
    """Return the needs that no response meets, or fewer full doses than there are pupils in need.

    Pupils in need = share × pupils of the group; unmet = pupils in need - participants at full
    dose, at least 0. That takes every participant for a pupil in need, so unmet need is a least
    number. A need is listed where it is surely enough there (or follows from a rule) and one pupil
    or more is left; needs are ordered by size × unmet pupils (R54), equal ones by need and school.

    Args:
        needs: need_id, semel_mosad, is_rule (the need follows from a rule and has no probability),
            p_need, need_size (0 none to 1 greatest), group_pupils (those who can have the need;
            empty or 0 = nobody), share, share_lo, share_hi (ends may be empty), is_measured
            (participation is known), participants,
            participants_full (empty where it is not); any other columns.
        significant: least probability of a need that counts, between 0 and 1.

    Returns:
        the listed rows with need_coverage, in_need_pupils, in_need_lo_pupils, in_need_hi_pupils,
        unmet_pupils, unmet_lo_pupils, unmet_hi_pupils, unmet_need, unmet_order (1 = greatest); the
        last five are empty where participation is not measured. Sorted by need and school.

    Raises:
        ValueError: if a need × school comes twice, a probability, size or share is empty or not
            between 0 and 1, or participation is called measured but empty.
    """
    one_row_each(needs, ["need_id", "semel_mosad"], "a need comes twice in one school")
    between = pl.all_horizontal(
        pl.col("need_size", "share").is_between(0, 1).fill_null(False),
        pl.col("is_rule") | pl.col("p_need").is_between(0, 1).fill_null(False),
    )
    whole = ~pl.col("is_measured") | pl.col("participants_full").is_not_null()
    every_row(
        needs,
        between & whole,
        "each need has a probability, a size and a share between 0 and 1, and participants where"
        " measured",
    )
    size = pl.col("group_pupils").fill_null(0)
    reached = pl.when("is_measured").then("participants_full")
    unmet = pl.col("unmet_pupils")
    listed = (
        needs.filter(pl.col("is_rule") | (pl.col("p_need") >= significant))
        .with_columns(
            (size * pl.col(f"share{end}")).alias(f"in_need{end}_pupils")
            for end in ("", "_lo", "_hi")
        )
        .filter(pl.col("in_need_pupils") >= _LEAST_PUPILS)
        .with_columns(
            (pl.col(f"in_need{end}_pupils") - reached)
            .clip(lower_bound=0)
            .alias(f"unmet{end}_pupils")
            for end in ("", "_lo", "_hi")
        )
        .filter(unmet.is_null() | (unmet >= _LEAST_PUPILS))
    )
    ordered = (
        listed.with_columns(
            (pl.col("need_size") * unmet).alias("unmet_need"),
            pl.when(~pl.col("is_measured"))
            .then(pl.lit(NOT_MEASURED))
            .when(pl.col("participants") == 0)
            .then(pl.lit(NO_RESPONSE))
            .otherwise(pl.lit(BELOW_NEED))
            .alias("need_coverage"),
        )
        .sort(
            "unmet_need", "need_id", "semel_mosad", descending=[True, False, False], nulls_last=True
        )
        .with_row_index("unmet_order", offset=1)
    )
    return ordered.with_columns(
        pl.when(unmet.is_not_null()).then(pl.col("unmet_order")).cast(pl.Int32).alias("unmet_order")
    ).sort("need_id", "semel_mosad")
