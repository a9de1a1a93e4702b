"""Gaps against what background leads one to expect: to learn from peers, never for aid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.optimize import minimize_scalar
from scipy.stats import norm, t

from models.checks import one_row_each
from models.gaps.tiers import gap_tier

SCHOOLS_PER_COVARIATE = 10


def adjusted_gaps(
    gaps: pl.DataFrame, background: pl.DataFrame, covariates: Sequence[str], level: float = 0.90
) -> pl.DataFrame:
    """Return each gap less the gap that schools of the same background have on average.

    For one subject, over schools j (random-effects meta-regression, Fay–Herriot):

        gap[j] = x[j]'β + d[j] + error[j],   d ~ N(0, τ²),   error ~ N(0, se²)

    τ² by restricted maximum likelihood; d is predicted by shrinking gap - x'β with γ = τ²/(τ² +
    se²). With C = (X'V⁻¹X)⁻¹ and W = 2/Σ(τ² + se²)⁻², the variance of τ² itself, the squared error
    is

        γ se² + γ² x'Cx + 2 W se⁴/(τ² + se²)³

    so that it holds what β and τ² are uncertain by: with τ² = 0 the schools are not surely alike.
    What is left is not the school's merit: it is what these covariates do not explain. Aid goes by
    the raw gap, because a child's need is no smaller for being expected (R42); the adjusted one
    only says from whom to learn.

    Args:
        gaps: semel_mosad, subject, gap_sd, gap_se_sd (null where not measured).
        background: semel_mosad and the covariates (null = unknown: the school is left out).
        covariates: columns of `background`; one for every ten schools at most.
        level: probability of the interval.

    Returns:
        semel_mosad, subject, gap_expected_sd, gap_adjusted_sd, gap_adjusted_se_sd,
        gap_adjusted_lo_sd, gap_adjusted_hi_sd, gap_adjusted_tier; sorted. Absent: schools without a
        gap or background, and subjects with too few schools for the covariates.

    Raises:
        ValueError: if no covariate is named, a key repeats, a gap has no positive finite error, or
            covariates are collinear.

    Source: Fay & Herriot (1979); Prasad & Rao (1990); Datta & Lahiri (2000); Leckie & Goldstein
        (2017); R42.
    """
    if not covariates:
        raise ValueError("name at least one covariate of the background")
    one_row_each(
        gaps, ["semel_mosad", "subject"], "gaps: a school × subject repeats; keep one row of each"
    )
    one_row_each(background, "semel_mosad", "background: a school repeats; keep one row of each")
    known = (
        gaps.select("semel_mosad", "subject", "gap_sd", "gap_se_sd")
        .join(background.select("semel_mosad", *covariates), on="semel_mosad")
        .fill_nan(None)
        .drop_nulls()
        .sort("subject", "semel_mosad")
    )
    if not (known["gap_se_sd"].is_finite() & (known["gap_se_sd"] > 0)).all():
        raise ValueError("each gap needs a positive error (gap_se_sd); leave unmeasured gaps empty")
    frames = [
        _adjust(part, covariates, level)
        for _, part in known.group_by("subject", maintain_order=True)
        if part.height >= SCHOOLS_PER_COVARIATE * len(covariates)
    ]
    if not frames:
        return pl.DataFrame(schema=_ADJUSTED)
    return pl.concat(frames).sort("semel_mosad", "subject")


_ADJUSTED = {
    "semel_mosad": pl.String,
    "subject": pl.String,
    "gap_expected_sd": pl.Float64,
    "gap_adjusted_sd": pl.Float64,
    "gap_adjusted_se_sd": pl.Float64,
    "gap_adjusted_lo_sd": pl.Float64,
    "gap_adjusted_hi_sd": pl.Float64,
    "gap_adjusted_tier": pl.String,
}


def _adjust(part: pl.DataFrame, covariates: Sequence[str], level: float) -> pl.DataFrame:
    raw = part.select(covariates).cast(pl.Float64).to_numpy()
    spread = np.where(raw.std(axis=0) > 0, raw.std(axis=0), 1.0)
    varies = raw.std(axis=0) > 0
    design = np.column_stack([np.ones(len(raw)), ((raw - raw.mean(axis=0)) / spread)[:, varies]])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise ValueError(f"the covariates {', '.join(covariates)} are collinear: leave one out")
    gap, noise = part["gap_sd"].to_numpy(), part["gap_se_sd"].to_numpy() ** 2

    def fit(between: float) -> tuple[np.ndarray, np.ndarray, float]:
        weight = 1 / (between + noise)
        information = design.T @ (design * weight[:, None])
        coefficients = np.linalg.solve(information, design.T @ (weight * gap))
        residual = gap - design @ coefficients
        deviance = -np.log(weight).sum() + np.linalg.slogdet(information)[1] + weight @ residual**2
        return coefficients, np.linalg.inv(information), float(deviance)

    most = 4 * float(gap.var()) + 1e-6
    inner = minimize_scalar(
        lambda v: fit(v)[2], bounds=(0.0, most), method="bounded", options={"xatol": 1e-9 * most}
    )
    # The bounded search never reaches its bound, which is where the best may lie.
    between = float(inner.x) if inner.fun < fit(0.0)[2] else 0.0
    coefficients, covariance, _ = fit(between)
    expected = design @ coefficients
    keep = between / (between + noise)
    adjusted = keep * (gap - expected)
    of_line = np.einsum("ij,jk,ik->i", design, covariance, design)
    of_spread = 2 / ((between + noise) ** -2).sum() * noise**2 / (between + noise) ** 3
    error = np.sqrt(keep * noise + keep**2 * of_line + 2 * of_spread)
    reach = t.ppf(0.5 + level / 2, len(gap) - design.shape[1]) * error
    return part.select(
        "semel_mosad",
        "subject",
        pl.Series("gap_expected_sd", expected),
        pl.Series("gap_adjusted_sd", adjusted),
        pl.Series("gap_adjusted_se_sd", error),
        pl.Series("gap_adjusted_lo_sd", adjusted - reach),
        pl.Series("gap_adjusted_hi_sd", adjusted + reach),
        pl.Series("p", norm.cdf(adjusted / error)),
    ).select(pl.exclude("p"), gap_tier(pl.col("p")).alias("gap_adjusted_tier"))


_ASKERS = 1000
"""Rows of askers whose pairs with all others are held at once."""


def peer_schools(
    adjusted: pl.DataFrame,
    background: pl.DataFrame,
    covariates: Sequence[str],
    *,
    most: int = 3,
    caliper: float = 1.0,
    sure: float = 0.80,
    same: Sequence[str] = (),
) -> pl.DataFrame:
    """Suggest from whom to learn: schools of like background that surely do better.

    Distance is Euclidean over the covariates in standard deviations; peers lie within the caliper
    and have P(adjusted gap smaller than the asker's) ≥ sure, as independent normals. The nearest
    come first; equal distances go by probability, then by code. A school without such a peer is
    absent: "no comparable school does surely better" is an answer.

    Args:
        adjusted: semel_mosad, subject, gap_adjusted_sd, gap_adjusted_se_sd of `adjusted_gaps`.
        background: semel_mosad, the covariates and the columns of `same`.
        covariates: columns of `background`.
        most: peers per school and subject.
        caliper: farthest distance, in standard deviations.
        sure: least probability that the peer does better.
        same: columns of `background` in which the peer must equal the asker (as the stream).

    Returns:
        semel_mosad, subject, peer_semel_mosad, peer_place (1 = nearest), distance_sd, p_better;
        sorted.

    Source: R57.
    """
    # Sorted, so that means and deviations are sums of one order.
    known = background.select("semel_mosad", *covariates, *same).drop_nulls().sort("semel_mosad")
    scaled = known.select(
        "semel_mosad",
        *same,
        *(
            ((pl.col(name) - pl.col(name).mean()) / pl.col(name).std())
            .fill_nan(0.0)
            .fill_null(0.0)
            .alias(name)
            for name in covariates
        ),
    )
    own = adjusted.select("semel_mosad", "subject", "gap_adjusted_sd", "gap_adjusted_se_sd").join(
        scaled, on="semel_mosad"
    )
    distance = pl.sum_horizontal(
        (pl.col(name) - pl.col(f"{name}_peer")) ** 2 for name in covariates
    ).sqrt()
    z = (pl.col("gap_adjusted_sd") - pl.col("gap_adjusted_sd_peer")) / (
        pl.col("gap_adjusted_se_sd") ** 2 + pl.col("gap_adjusted_se_sd_peer") ** 2
    ).sqrt()
    better = z.map_batches(lambda s: pl.Series(norm.cdf(s.to_numpy())), return_dtype=pl.Float64)
    order = ["semel_mosad", "subject"]

    def peers_of(askers: pl.DataFrame) -> pl.DataFrame:
        return (
            askers.join(own, on=["subject", *same], suffix="_peer")
            .filter(pl.col("semel_mosad") != pl.col("semel_mosad_peer"))
            .with_columns(distance.alias("distance_sd"), better.alias("p_better"))
            .filter(pl.col("distance_sd") <= caliper, pl.col("p_better") >= sure)
            .sort(
                *order,
                "distance_sd",
                "p_better",
                "semel_mosad_peer",
                descending=[False, False, False, True, False],
            )
            .with_columns(
                (pl.int_range(pl.len()).over(order) + 1).cast(pl.Int32).alias("peer_place")
            )
            .filter(pl.col("peer_place") <= most)
            .select(
                *order,
                pl.col("semel_mosad_peer").alias("peer_semel_mosad"),
                "peer_place",
                "distance_sd",
                "p_better",
            )
        )

    # A country's pairs of schools do not all find room at once.
    parts = list(own.sort(order).iter_slices(_ASKERS)) or [own]
    return pl.concat(map(peers_of, parts))
