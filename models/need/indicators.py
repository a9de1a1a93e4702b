"""Turn measures into need between 0 (none) and 1 (greatest), with a standard error.

Anchors are fixed by the policy, never by the other schools, so that a school's need does not move
because others moved (OECD/JRC Handbook 2008, step 5; R43).
"""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.optimize import minimize
from scipy.special import betaln
from scipy.stats import beta, norm

from models.checks import every_row

# Nodes and weights that integrate exactly over a standard normal.
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(41)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_LEAST_SPREAD = 1e-4


def need_from_gap(gaps: pl.DataFrame) -> pl.DataFrame:
    """Return need = posterior probability that the school is below its target.

    With z = gap / error the need is Φ(z). Its standard error is the spread of Φ(z') for a z' one
    measurement away, z' ~ N(z, 1): large where the data cannot tell, small where they can.

    Args:
        gaps: semel_mosad, value (gap, pupil SD, positive = below target), se (> 0), n (pupils).

    Returns:
        semel_mosad, indicator_value (the gap), indicator_need, indicator_need_se, indicator_n;
        sorted by school, as the last bit of a matrix product depends on the place of a row.

    Raises:
        ValueError: if a gap is empty, or its error is empty or not positive.
    """
    known = pl.col("value").is_finite() & pl.col("se").is_finite() & (pl.col("se") > 0)
    every_row(
        gaps, known, "each gap needs a value and a positive error (se); drop unmeasured schools"
    )
    gaps = gaps.sort("semel_mosad")
    z = (gaps["value"] / gaps["se"]).to_numpy()
    return _result(gaps, pl.col("value"), norm.cdf(z), _spread(norm.cdf(z[:, None] + _NODES)))


def need_from_anchors(values: pl.DataFrame, anchor_low: float, anchor_high: float) -> pl.DataFrame:
    """Return need = (value - low) / (high - low), held within 0 and 1.

    The standard error is that of the held value: a value far beyond an anchor is surely 0 or 1.

    Args:
        values: semel_mosad, value, se (0 where exact), n (pupils).
        anchor_low: value that means no need; above `anchor_high` where small values are bad.
        anchor_high: value that means the greatest need.

    Returns:
        semel_mosad, indicator_value, indicator_need, indicator_need_se, indicator_n; sorted by
        school.

    Raises:
        ValueError: if the anchors are equal, a value is empty, or an error is empty or negative.
    """
    if anchor_low == anchor_high:
        raise ValueError(f"the two anchors of an indicator must differ; both are {anchor_low}")
    known = pl.col("value").is_finite() & pl.col("se").is_finite() & (pl.col("se") >= 0)
    every_row(
        values, known, "each value needs an error (se), 0 where exact; drop unmeasured schools"
    )
    values = values.sort("semel_mosad")
    width = anchor_high - anchor_low
    need = (values["value"].to_numpy() - anchor_low) / width
    again = need[:, None] + _NODES * (values["se"].to_numpy() / abs(width))[:, None]
    return _result(values, pl.col("value"), np.clip(need, 0, 1), _spread(np.clip(again, 0, 1)))


def need_from_rate(counts: pl.DataFrame, target_rate: float) -> pl.DataFrame:
    """Return need = posterior probability that the school's true rate is above the target.

    The rates of all schools share a beta prior, fitted by maximum marginal (beta-binomial)
    likelihood, so a small school's chance count does not decide alone. The prior is worth at most
    all pupils seen: schools that look alike do not make the city's rate certain. The standard error
    is the spread of that probability if the same number of pupils were observed again.

    Args:
        counts: semel_mosad, events, n (pupils, > 0).
        target_rate: highest rate that is no cause for concern, between 0 and 1.

    Returns:
        semel_mosad, indicator_value (events per 100 pupils), indicator_need, indicator_need_se,
        indicator_n; sorted by school.

    Raises:
        ValueError: if there are more events than pupils, or no pupils.
    """
    counts = counts.sort("semel_mosad")
    every_row(
        counts,
        (pl.col("n") > 0) & (pl.col("events") <= pl.col("n")) & (pl.col("events") >= 0),
        "each school needs 0 ≤ events ≤ n and n > 0",
    )
    events, n = counts["events"].to_numpy().astype(float), counts["n"].to_numpy().astype(float)
    if not len(n):
        return _result(counts, pl.col("events"), events, events)
    a, b = _beta_prior(events, n)
    need = beta.sf(target_rate, a + events, b + n - events)
    rate = (a + events) / (a + b + n)
    again = rate[:, None] + _NODES * np.sqrt(rate * (1 - rate) / n)[:, None]
    seen = np.clip(again * n[:, None], 0, n[:, None])
    repeated = beta.sf(target_rate, a + seen, b + n[:, None] - seen)
    return _result(counts, 100 * pl.col("events") / pl.col("n"), need, _spread(repeated))


def _beta_prior(events: np.ndarray, n: np.ndarray) -> tuple[float, float]:
    """Fit the beta distribution of the schools' true rates."""
    centre = np.clip(events.sum() / n.sum(), 1e-6, 1 - 1e-6)

    def loss(parameters: np.ndarray) -> float:
        mean, size = 1 / (1 + np.exp(-parameters[0])), np.exp(parameters[1])
        a, b = mean * size, (1 - mean) * size
        return -float((betaln(a + events, b + n - events) - betaln(a, b)).sum())

    start = np.array([np.log(centre / (1 - centre)), np.log(min(50.0, max(n.sum(), 3.0)))])
    bounds = [(start[0] - 3, start[0] + 3), (np.log(2.0), np.log(max(n.sum(), 3.0)))]
    fitted = minimize(loss, start, method="L-BFGS-B", bounds=bounds).x
    mean, size = 1 / (1 + np.exp(-fitted[0])), np.exp(fitted[1])
    return mean * size, (1 - mean) * size


def _spread(again: np.ndarray) -> np.ndarray:
    """Return the standard deviation of values at the normal's nodes (last axis)."""
    return np.sqrt(np.maximum((again**2) @ _WEIGHTS - (again @ _WEIGHTS) ** 2, 0))


def _result(
    frame: pl.DataFrame, value: pl.Expr, need: np.ndarray, spread: np.ndarray
) -> pl.DataFrame:
    return frame.select(
        "semel_mosad",
        value.cast(pl.Float64).alias("indicator_value"),
        pl.Series("indicator_need", need, dtype=pl.Float64),
        pl.Series(
            "indicator_need_se", np.where(spread < _LEAST_SPREAD, 0.0, spread), dtype=pl.Float64
        ),
        pl.col("n").cast(pl.Int32).alias("indicator_n"),
    )
