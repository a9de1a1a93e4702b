"""Prior, local estimate and posterior of each effect, side by side."""

from __future__ import annotations

import polars as pl
from scipy.stats import norm

from models.checks import every_row, one_row_each
from models.effects.local import KEY


def combine(
    priors: pl.DataFrame, local: pl.DataFrame | None = None, *, level: float = 0.90
) -> pl.DataFrame:
    """Combine each effect's discounted prior with a local estimate, if there is one.

    Prior: θ ~ N(d·m, s²). The transport discount d shrinks the mean, not the spread: carrying an
    effect from elsewhere makes it smaller, and no surer. Data: θ̂ | θ ~ N(θ, se² + bias²).
    The posterior is their precision-weighted mean; without a local estimate it is the prior.

    Args:
        priors: response_id, subject, prior_sd (m), prior_se_sd (s > 0), transport_discount (d),
            effects on participants in pupil SD per year.
        local: rows of `local_estimates`: response_id, subject, local_sd, local_se_sd (> 0),
            local_bias_sd (≥ 0), design_grade, design_shares, treated_pupils, schools, doubts,
            is_weak; a row without local_sd is no estimate.
        level: probability of the interval.

    Returns:
        The priors with is_measured, local_sd, local_se_sd (bias included; null without a local
        estimate), local_luck_sd (without), design_grade ('E' = none), design_shares,
        treated_pupils, schools, doubts, is_weak, effect_sd, effect_se_sd, effect_lo_sd,
        effect_hi_sd and p_positive; sorted by response and subject.

    Raises:
        ValueError: if a prior is empty or has no positive spread; if a local estimate has no
            positive error, no bias or no prior; if a key repeats.

    Source: R61, R62.
    """
    _check(priors, "prior effect", "prior_sd", "prior_se_sd")
    every_row(
        priors,
        pl.col("transport_discount").is_finite(),
        "every prior effect needs a transport_discount",
    )
    if local is None:
        local = (
            priors.select(KEY)
            .clear()
            .with_columns(
                *(
                    pl.lit(None, pl.Float64).alias(f"local_{name}sd")
                    for name in ("", "se_", "bias_")
                ),
                pl.lit(None, pl.String).alias("design_grade"),
                pl.lit(None, pl.String).alias("design_shares"),
                pl.lit(None, pl.Int32).alias("treated_pupils"),
                pl.lit(None, pl.Int32).alias("schools"),
                pl.lit(None, pl.String).alias("doubts"),
                pl.lit(None, pl.Boolean).alias("is_weak"),
            )
        )
    local = local.filter(pl.col("local_sd").is_not_null())
    _check(local, "local estimate", "local_sd", "local_se_sd")
    every_row(
        local,
        pl.col("local_bias_sd") >= 0,
        "every local estimate needs a bias (local_bias_sd) of 0 or more",
    )
    lone = local.join(priors, on=KEY, how="anti").select(KEY).sort(KEY)
    if lone.height:
        raise ValueError(f"local estimates without a prior to combine with: {lone.rows()}")
    known = local.select(
        *KEY,
        "local_sd",
        (pl.col("local_se_sd") ** 2 + pl.col("local_bias_sd") ** 2).sqrt().alias("local_se_sd"),
        pl.col("local_se_sd").alias("local_luck_sd"),
        "design_grade",
        "design_shares",
        "treated_pupils",
        "schools",
        "doubts",
        "is_weak",
    )
    prior_precision = pl.col("prior_se_sd") ** -2
    local_precision = (pl.col("local_se_sd") ** -2).fill_null(0.0)
    discounted = pl.col("prior_sd") * pl.col("transport_discount")
    combined = priors.join(known, on=KEY, how="left").with_columns(
        pl.col("local_sd").is_not_null().alias("is_measured"),
        pl.col("design_grade").fill_null("E"),
        pl.col("is_weak").fill_null(False),
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


def _check(frame: pl.DataFrame, what: str, value: str, error: str) -> None:
    known = pl.col(value).is_finite() & pl.col(error).is_finite() & (pl.col(error) > 0)
    every_row(frame, known, f"every {what} needs {value} and a positive spread ({error})", key=KEY)
    one_row_each(frame, KEY, f"a {what} is given twice for one response and subject")
