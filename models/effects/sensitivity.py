"""How strong something unmeasured would have to be to explain an estimate away."""

from __future__ import annotations

import polars as pl
from scipy.stats import norm
from scipy.stats import t as student

from models.checks import every_row

# Of a standardised difference: a risk ratio of exp(.91 d), and limits to match (at 95 %, exp(.91 d
# ∓ 1.78 se)).
LOG_RISK_PER_SD = 0.91


def sensitivity(effects: pl.DataFrame, *, level: float = 0.90) -> pl.DataFrame:
    """Add what an unmeasured confounder would need to explain each effect away.

    *E-value*: the risk ratio by which it would have to be tied both to taking part and to a high
    outcome, beyond the covariates: E = R + √(R(R − 1)) with R = exp(.91 |d|) (1 = nothing is
    needed). *Robustness value*: the share of the remaining variance, of taking part and of the
    outcome alike, that it would have to explain: √(f⁴ + 4f²)/2 − f²/2 with f = |t|/√dof. Both are
    also given for the limit of the interval that lies nearer to zero: what would make the effect
    indistinct from none.

    Neither says that such a confounder exists; ability that the earlier scores miss is the first
    candidate. With many pupils the robustness value of even a clear small effect is small.

    Args:
        effects: effect_sd, effect_se_sd (> 0), dof (residual degrees of freedom, about the pupils
            less the fitted parameters, > 1); a null effect stays null. Other columns pass through.
        level: probability of the interval whose limit is asked about.

    Returns:
        `effects` with e_value, e_value_limit, robustness_pct, robustness_limit_pct.

    Raises:
        ValueError: if an effect has no positive error or too few degrees of freedom, or level is
            not between 0 and 1.

    Source: VanderWeele & Ding (2017), table 2; Cinelli & Hazlett (2020), §4.1; R61.
    """
    if not 0 < level < 1:
        raise ValueError("level must lie between 0 and 1")
    size, error, dof = pl.col("effect_sd").abs(), pl.col("effect_se_sd"), pl.col("dof")
    fine = pl.col("effect_sd").is_finite() & (error > 0) & error.is_finite() & (dof > 1)
    known = pl.col("effect_sd").is_not_null()
    every_row(
        effects.filter(known),
        fine,
        "an effect is without a finite value, a positive effect_se_sd or a dof above 1",
    )
    critical = pl.Series(
        "critical", student.ppf(0.5 + level / 2, effects["dof"].cast(pl.Float64).to_numpy() - 1)
    )
    f = size / error / dof.sqrt()
    f_limit = (f - critical / (dof - 1).sqrt()).clip(lower_bound=0)
    log_risk = LOG_RISK_PER_SD * size
    log_limit = (log_risk - LOG_RISK_PER_SD * norm.ppf(0.5 + level / 2) * error).clip(lower_bound=0)
    return effects.with_columns(
        pl.when(known).then(value).alias(name)
        for name, value in {
            "e_value": _e_value(log_risk.exp()),
            "e_value_limit": _e_value(log_limit.exp()),
            "robustness_pct": 100 * _robustness(f),
            "robustness_limit_pct": 100 * _robustness(f_limit),
        }.items()
    )


def _e_value(risk: pl.Expr) -> pl.Expr:
    return risk + (risk * (risk - 1)).sqrt()


def _robustness(f: pl.Expr) -> pl.Expr:
    return ((f**4 + 4 * f**2).sqrt() - f**2) / 2
