"""Turn measures into need between 0 (none) and 1 (greatest), with a standard error.

Need is how far a value lies between two anchors: the mean of what the value may be, held within
them. Anchors are fixed by the policy, never by the other schools, so that a school's need does not
move because others moved (OECD/JRC Handbook 2008, step 5; R43).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from scipy.optimize import minimize
from scipy.special import betainc, betaln, ndtr
from scipy.stats import norm

from models.checks import every_row

_LEAST_SPREAD = 1e-4
_EXACT = 1e-100  # stands for an error of 0
Moments = tuple[np.ndarray, np.ndarray, np.ndarray]


def need_from_anchors(values: pl.DataFrame, anchor_low: float, anchor_high: float) -> pl.DataFrame:
    """Return need = mean of (value - low) / (high - low), held within 0 and 1.

    The true value is N(value, se²): of a gap this is its posterior. The standard error is that of
    the held value, so a value far beyond an anchor is surely 0 or 1.

    Args:
        values: semel_mosad, value, se (0 where exact), n (pupils); any other columns.
        anchor_low: value that means no need; above `anchor_high` where small values are bad.
        anchor_high: value that means the greatest need.

    Returns:
        semel_mosad and other columns, indicator_value, indicator_need, indicator_need_se,
        indicator_n, p_need (probability that the value is beyond `anchor_low`); sorted by school.

    Raises:
        ValueError: if the anchors are equal, a value is empty, or an error is empty or negative.
    """
    known = pl.col("value").is_finite() & pl.col("se").is_finite() & (pl.col("se") >= 0)
    every_row(
        values, known, "each value needs an error (se), 0 where exact; drop unmeasured schools"
    )
    values = values.sort("semel_mosad", maintain_order=True)
    sign = 1.0 if anchor_high > anchor_low else -1.0
    mean = sign * values["value"].to_numpy()
    sd = np.maximum(values["se"].to_numpy(), _EXACT)

    def below(end: float) -> Moments:
        z = (end - mean) / sd
        share, density = ndtr(z), sd * norm.pdf(z)
        first = mean * share - density
        return share, first, (mean**2 + sd**2) * share - (mean + end) * density

    return _result(values, pl.col("value"), below, sign * anchor_low, sign * anchor_high)


def need_from_rate(counts: pl.DataFrame, target_rate: float, greatest_rate: float) -> pl.DataFrame:
    """Return need = mean of (rate - target) / (greatest - target), held within 0 and 1.

    The rates of all schools share a beta prior, fitted by maximum marginal (beta-binomial)
    likelihood, so a small school's chance count does not decide alone. The prior is worth at most
    all pupils seen: schools that look alike do not make the city's rate certain. Mean and standard
    error are those of the school's posterior.

    Args:
        counts: semel_mosad, events, n (pupils, > 0).
        target_rate: highest rate that is no cause for concern, between 0 and 1.
        greatest_rate: rate that means the greatest need, above `target_rate`.

    Returns:
        semel_mosad, indicator_value (events per 100 pupils), indicator_need, indicator_need_se,
        indicator_n, p_need (probability that the rate is above the target); sorted by school.

    Raises:
        ValueError: if there are more events than pupils, or no pupils; if the anchors are equal.
    """
    counts = counts.sort("semel_mosad")
    every_row(
        counts,
        (pl.col("n") > 0) & (pl.col("events") <= pl.col("n")) & (pl.col("events") >= 0),
        "each school needs 0 ≤ events ≤ n and n > 0",
    )
    events, n = counts["events"].to_numpy().astype(float), counts["n"].to_numpy().astype(float)
    prior = _beta_prior(events, n) if len(n) else (1.0, 1.0)
    a, b = prior[0] + events, prior[1] + n - events

    def below(end: float) -> Moments:
        first = a / (a + b)
        second = first * (a + 1) / (a + b + 1)
        return betainc(a, b, end), first * betainc(a + 1, b, end), second * betainc(a + 2, b, end)

    rate = 100 * pl.col("events") / pl.col("n")
    return _result(counts, rate, below, target_rate, greatest_rate)


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


def _result(
    frame: pl.DataFrame,
    value: pl.Expr,
    below: Callable[[float], Moments],
    low: float,
    high: float,
) -> pl.DataFrame:
    """Return the need of values of which `below` gives the partial moments 0, 1 and 2."""
    if low == high:
        raise ValueError(f"the two anchors of an indicator must differ; both are {abs(low):g}")
    width, at_low, at_high = high - low, below(low), below(high)
    share, first, second = (upper - lower for lower, upper in zip(at_low, at_high, strict=True))
    beyond = 1 - at_high[0]
    need = np.clip((first - low * share) / width + beyond, 0, 1)
    square = (second - 2 * low * first + low**2 * share) / width**2 + beyond
    spread = np.sqrt(np.maximum(square - need**2, 0))
    return frame.select(
        pl.exclude("value", "se", "n", "events"),
        value.cast(pl.Float64).alias("indicator_value"),
        pl.Series("indicator_need", need, dtype=pl.Float64),
        pl.Series(
            "indicator_need_se", np.where(spread < _LEAST_SPREAD, 0.0, spread), dtype=pl.Float64
        ),
        pl.col("n").cast(pl.Int32).alias("indicator_n"),
        pl.Series("p_need", 1 - at_low[0], dtype=pl.Float64),
    )
