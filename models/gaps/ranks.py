"""How surely a school ranks among the others, and who is far above the target."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.stats import norm


def rank_summary(
    schools: pl.DataFrame, worst_k: int, *, draws: int = 4000, seed: int = 1, level: float = 0.90
) -> pl.DataFrame:
    """Return what may be said of a school's place among the others: never a single rank.

    From draws of all schools' gaps: the interval of the rank and the probability to be among the k
    with the widest gaps (over the schools these sum to k). Where the distribution of gaps is shown,
    plain posterior means are too much alike; `gap_constrained_sd` stretches them so that their
    variance is the expected variance of the true gaps (constrained empirical Bayes).

        gap_constrained = m̄ + a·(m - m̄),   a² = 1 + mean(se²) / var(m)

    Args:
        schools: semel_mosad, gap_sd, gap_se_sd (measured schools only).
        worst_k: how many schools are "the worst"; at most all of them count.
        draws: posterior draws.
        seed: seed of the draws.
        level: probability of the interval.

    Returns:
        semel_mosad, gap_rank_lo, gap_rank_hi (1 = widest gap), p_worst_k, gap_constrained_sd;
        sorted.

    Source: Ghosh (1992); Louis (1984); Goldstein & Spiegelhalter (1996); R37.
    """
    ordered = schools.sort("semel_mosad")
    mean, error = ordered["gap_sd"].to_numpy(), ordered["gap_se_sd"].to_numpy()
    count = len(mean)
    if not count:
        return pl.DataFrame(schema=_RANKS)
    drawn = mean + error * np.random.default_rng(seed).standard_normal((draws, count))
    ranks = np.argsort(np.argsort(-drawn, axis=1), axis=1) + 1
    tail = (1 - level) / 2
    low, high = np.quantile(ranks, [tail, 1 - tail], axis=0, method="closest_observation")
    spread = mean.var(ddof=1) if count > 1 else 0.0
    stretch = np.sqrt(1 + (error**2).mean() / spread) if spread > 0 else 1.0
    return pl.DataFrame(
        {
            "semel_mosad": ordered["semel_mosad"],
            "gap_rank_lo": low.astype(np.int32),
            "gap_rank_hi": high.astype(np.int32),
            "p_worst_k": (ranks <= worst_k).mean(axis=0),
            "gap_constrained_sd": mean.mean() + stretch * (mean - mean.mean()),
        },
        schema=_RANKS,
    )


_RANKS = {
    "semel_mosad": pl.String,
    "gap_rank_lo": pl.Int32,
    "gap_rank_hi": pl.Int32,
    "p_worst_k": pl.Float64,
    "gap_constrained_sd": pl.Float64,
}


def excellence(schools: pl.DataFrame, above_sd: float, sure: float = 0.95) -> pl.DataFrame:
    """Return which places are surely far above their target: excellence is located like a gap is.

    Args:
        schools: gap_sd, gap_se_sd (null = not measured); other columns pass through.
        above_sd: how far above the target counts, pupil SD.
        sure: probability that counts as sure.

    Returns:
        `schools` with p_excellent and is_excellent_school (null where not measured).

    Source: R40.
    """
    z = (-above_sd - pl.col("gap_sd")) / pl.col("gap_se_sd")
    chance = z.map_batches(
        lambda s: pl.Series(norm.cdf(s.to_numpy())), return_dtype=pl.Float64
    ).fill_nan(None)
    return schools.with_columns(chance.alias("p_excellent")).with_columns(
        (pl.col("p_excellent") >= sure).alias("is_excellent_school")
    )
