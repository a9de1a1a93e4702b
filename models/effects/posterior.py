"""Prior, local estimate and posterior of each effect, side by side."""

from __future__ import annotations

import polars as pl
from scipy.stats import norm

# What a design can get wrong even with many pupils, in pupil SD (domain_methods §2d).
BIAS_SD = {"A": 0.0, "B": 0.02, "C": 0.05, "D": 0.10}
KEY = ["response_id", "subject"]


def combine(
    priors: pl.DataFrame, local: pl.DataFrame | None = None, *, level: float = 0.90
) -> pl.DataFrame:
    """Combine each effect's discounted prior with a local estimate, if there is one.

    Prior: θ ~ N(d·m, s²). The transport discount d shrinks the mean, not the spread: carrying an
    effect from elsewhere makes it smaller, and no surer. Data: θ̂ | θ ~ N(θ, se² + bias²(design)).
    The posterior is their precision-weighted mean; without a local estimate it is the prior.

    Args:
        priors: response_id, subject, prior_sd (m), prior_se_sd (s > 0), transport_discount (d),
            effects on participants in pupil SD per year.
        local: response_id, subject, local_sd, local_se_sd (> 0), design_grade ('A'..'D').
        level: probability of the interval.

    Returns:
        The priors with is_measured, local_sd, local_se_sd (bias included; null without a local
        estimate), design_grade ('E' = none), effect_sd, effect_se_sd, effect_lo_sd, effect_hi_sd
        and p_positive; sorted by response and subject.

    Raises:
        ValueError: if a prior has no positive spread, or a design grade is unknown.

    Source: R61, R62.
    """
    if not priors.select((pl.col("prior_se_sd") > 0).all()).item():
        raise ValueError("every prior effect needs a positive spread (prior_se_sd)")
    if local is None:
        local = priors.select(KEY).clear().with_columns(
            pl.lit(None, pl.Float64).alias("local_sd"), pl.lit(None, pl.Float64).alias("local_se_sd"), pl.lit(None, pl.String).alias("design_grade")
        )  # fmt: skip
    if unknown := set(local["design_grade"]) - set(BIAS_SD):
        raise ValueError(f"unknown design grade(s): {', '.join(map(str, sorted(unknown)))}")
    bias = pl.col("design_grade").replace_strict(BIAS_SD, default=None, return_dtype=pl.Float64)
    known = local.select(
        *KEY,
        "local_sd",
        (pl.col("local_se_sd") ** 2 + bias**2).sqrt().alias("local_se_sd"),
        "design_grade",
    )
    prior_precision = pl.col("prior_se_sd") ** -2
    local_precision = (pl.col("local_se_sd") ** -2).fill_null(0.0)
    discounted = pl.col("prior_sd") * pl.col("transport_discount")
    combined = priors.join(known, on=KEY, how="left").with_columns(
        pl.col("local_sd").is_not_null().alias("is_measured"),
        pl.col("design_grade").fill_null("E"),
        pl.when(pl.col("local_sd").is_null())
        .then(discounted)
        .otherwise(
            (discounted * prior_precision + pl.col("local_sd") * local_precision)
            / (prior_precision + local_precision)
        )
        .alias("effect_sd"),
        pl.when(pl.col("local_sd").is_null())
        .then(pl.col("prior_se_sd"))
        .otherwise((prior_precision + local_precision) ** -0.5)
        .alias("effect_se_sd"),
    )
    reach = float(norm.ppf(0.5 + level / 2))
    return combined.with_columns(
        (pl.col("effect_sd") - reach * pl.col("effect_se_sd")).alias("effect_lo_sd"),
        (pl.col("effect_sd") + reach * pl.col("effect_se_sd")).alias("effect_hi_sd"),
        pl.Series(
            "p_positive", norm.cdf((combined["effect_sd"] / combined["effect_se_sd"]).to_numpy())
        ),
    ).sort(KEY)
