"""Whether equals are treated equally: money per pupil against need, between schools and streams."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats

_COVERAGE = 0.9


@dataclass(frozen=True)
class _Fit:
    """A weighted least-squares fit of money per pupil."""

    names: list[str]
    coefficients: np.ndarray
    covariance: np.ndarray | None
    freedom: int
    residual: np.ndarray


def residuals(schools: pl.DataFrame) -> pl.DataFrame:
    """How far each school's money per pupil is from what its need, or stream too, explains.

    Model: agorot per pupil = a + b·need (+ stream) + residual, by least squares weighted by pupils.
    A straight line in need: where a plan rewards need steeply, curvature shows as residual too; the
    pairs of `unequal_pairs` need no line.

    Args:
        schools: semel_mosad, stream, pupils, need, amount_agorot (null = unknown, left out).

    Returns:
        semel_mosad, per_pupil_agorot, residual_agorot, residual_with_stream_agorot, by school.
    """
    known = per_pupil(schools)
    return known.select(
        "semel_mosad",
        "per_pupil_agorot",
        residual_agorot=pl.Series(_fit(known, ()).residual, dtype=pl.Float64),
        residual_with_stream_agorot=pl.Series(
            _fit(known, _streams(known)).residual, dtype=pl.Float64
        ),
    )


def horizontal_summary(schools: pl.DataFrame) -> pl.DataFrame:
    """Largest and 90th-percentile |residual|, and the slope on need, with and without stream.

    Returns:
        model ("need", "need and stream"), schools, slope_agorot_per_need (agorot per pupil from no
        need to full need) with slope_lo and slope_hi (90 %; null where nothing is left to judge
        it by), max_residual_agorot, p90_residual_agorot.
    """
    known, rows = per_pupil(schools), []
    for model, streams in (("need", ()), ("need and stream", _streams(known))):
        fit = _fit(known, streams)
        weights = np.zeros(len(fit.names))
        weights[fit.names.index("need")] = 1
        value, low, high = _contrast(fit, weights)
        size = np.abs(fit.residual)
        p90 = float(np.quantile(size, 0.9)) if len(size) else None
        rows.append((model, known.height, value, low, high, max(size, default=None), p90))
    return pl.DataFrame(
        rows,
        schema={
            "model": pl.String,
            "schools": pl.Int64,
            "slope_agorot_per_need": pl.Float64,
            "slope_lo": pl.Float64,
            "slope_hi": pl.Float64,
            "max_residual_agorot": pl.Float64,
            "p90_residual_agorot": pl.Float64,
        },
        orient="row",
    )


def stream_differences(schools: pl.DataFrame, *, tolerance_pct: float) -> pl.DataFrame:
    """What pupils of a stream have above or below all pupils' average at equal need (R86).

    From the model with need and stream; the differences of the streams average zero over pupils.
    The plan is known, but how much of a difference is the stream and how much is need is estimated
    from few schools. A difference is a WARN where its whole interval is beyond the tolerance, and
    "cannot_tell" where the difference is but a part of its interval is not, or there is none.

    Args:
        schools: as for `residuals`.
        tolerance_pct: most that may be, in percent of all pupils' average money.

    Returns:
        stream, schools, pupils, per_pupil_agorot, difference_agorot (per pupil, at equal need) with
        difference_lo and difference_hi (90 %), difference_pct, tolerance_pct, status ("ok",
        "cannot_tell", "WARN"), by stream.

    Raises:
        ValueError: a negative tolerance.
    """
    if tolerance_pct < 0:
        raise ValueError("tolerance_pct must be zero or more.")
    known = per_pupil(schools)
    streams = _streams(known)
    fit = _fit(known, streams)
    pupils = known["pupils"].cast(pl.Float64).to_numpy()
    member = np.stack([(known["stream"] == s).to_numpy() for s in streams]) if streams else None
    total, mean = pupils.sum(), _average(known)
    rows = []
    for k, stream in enumerate(streams):
        assert member is not None
        share = member @ pupils / total
        weights = np.zeros(len(fit.names))
        # The first stream is the reference: its own coefficient is zero.
        for j in range(1, len(streams)):
            weights[fit.names.index(f"stream {streams[j]}")] = float(j == k) - share[j]
        value, low, high = _contrast(fit, weights)
        pct = 100 * value / mean if mean else 0.0
        most = tolerance_pct / 100 * abs(mean)
        status = _status(value, low, high, most)
        own = known.filter(pl.Series(member[k]))
        rows.append(
            (
                stream,
                own.height,
                int(own["pupils"].sum()),
                _average(own),
                value,
                low,
                high,
                pct,
                tolerance_pct,
                status,
            )
        )
    return pl.DataFrame(
        rows,
        schema={
            "stream": pl.String,
            "schools": pl.Int64,
            "pupils": pl.Int64,
            "per_pupil_agorot": pl.Float64,
            "difference_agorot": pl.Float64,
            "difference_lo": pl.Float64,
            "difference_hi": pl.Float64,
            "difference_pct": pl.Float64,
            "tolerance_pct": pl.Float64,
            "status": pl.String,
        },
        orient="row",
    )


def unequal_pairs(
    schools: pl.DataFrame, *, need_within: float, tolerance_agorot: float
) -> pl.DataFrame:
    """Pairs of schools of near-equal need whose money per pupil differs by more than a tolerance.

    Returns:
        semel_mosad (the one with more), semel_mosad_other, need, need_other, per_pupil_agorot,
        per_pupil_other_agorot, difference_agorot; largest difference first.
    """
    known = per_pupil(schools).sort("need", "semel_mosad")
    need, amount = known["need"].to_numpy(), known["per_pupil_agorot"].to_numpy()
    # A tolerance for decimals: .30 and .32 are within .02.
    last = np.searchsorted(need, need + need_within + 1e-12, side="right")
    first = np.repeat(np.arange(len(need)), last - np.arange(len(need)) - 1)
    starts = np.repeat(np.cumsum(last - np.arange(len(need)) - 1), last - np.arange(len(need)) - 1)
    second = last[first] - (starts - np.arange(len(first)))
    wide = np.abs(amount[first] - amount[second]) > tolerance_agorot
    first, second = first[wide], second[wide]
    more = np.where(amount[first] >= amount[second], first, second)
    less = first + second - more
    names = ["semel_mosad", "need", "per_pupil_agorot"]
    upper, lower = known.select(names)[more.tolist()], known.select(names)[less.tolist()]
    pairs = pl.concat([upper, lower.select(pl.all().name.suffix("_b"))], how="horizontal")
    return pairs.select(
        "semel_mosad",
        pl.col("semel_mosad_b").alias("semel_mosad_other"),
        "need",
        pl.col("need_b").alias("need_other"),
        "per_pupil_agorot",
        pl.col("per_pupil_agorot_b").alias("per_pupil_other_agorot"),
        difference_agorot=pl.col("per_pupil_agorot") - pl.col("per_pupil_agorot_b"),
    ).sort("difference_agorot", "semel_mosad", "semel_mosad_other", descending=[True, False, False])


def per_pupil(schools: pl.DataFrame) -> pl.DataFrame:
    """The schools with pupils whose money is known, with per_pupil_agorot, by code."""
    known = schools.drop_nulls("amount_agorot").filter(pl.col("pupils") > 0).sort("semel_mosad")
    return known.with_columns(per_pupil_agorot=pl.col("amount_agorot") / pl.col("pupils"))


def _status(value: float, low: float | None, high: float | None, most: float) -> str:
    """Whether a difference is within a tolerance, beyond it, or not told apart from it."""
    if abs(value) <= most:
        return "ok"
    if low is None or high is None:
        return "cannot_tell"
    return "WARN" if low > most or high < -most else "cannot_tell"


def _streams(known: pl.DataFrame) -> tuple[str, ...]:
    """The streams in order of their names."""
    return tuple(known["stream"].unique().sort().to_list())


def _average(known: pl.DataFrame) -> float:
    """Agorot per pupil over all pupils."""
    pupils = int(known["pupils"].sum())
    return int(known["amount_agorot"].sum()) / pupils if pupils else 0.0


def _fit(known: pl.DataFrame, streams: tuple[str, ...]) -> _Fit:
    """Least squares weighted by pupils; the first stream is the reference."""
    names = ["constant", "need", *(f"stream {stream}" for stream in streams[1:])]
    columns = [np.ones(known.height), known["need"].cast(pl.Float64).to_numpy()]
    columns += [(known["stream"] == stream).cast(pl.Float64).to_numpy() for stream in streams[1:]]
    design, money = np.stack(columns, axis=1), known["per_pupil_agorot"].to_numpy()
    root = np.sqrt(known["pupils"].cast(pl.Float64).to_numpy())
    inverse = np.linalg.pinv(design * root[:, None])
    coefficients = inverse @ (money * root)
    residual = money - design @ coefficients
    rank = int(np.linalg.matrix_rank(design * root[:, None])) if known.height else 0
    freedom = known.height - rank
    sigma2 = float(((residual * root) ** 2).sum()) / freedom if freedom > 0 else None
    covariance = sigma2 * (inverse @ inverse.T) if sigma2 is not None else None
    return _Fit(names, coefficients, covariance, freedom, residual)


def _contrast(fit: _Fit, weights: np.ndarray) -> tuple[float, float | None, float | None]:
    """A weighted sum of coefficients and its 90 % interval; none without degrees of freedom."""
    value = float(weights @ fit.coefficients)
    if fit.covariance is None:
        return value, None, None
    se = float(np.sqrt(max(weights @ fit.covariance @ weights, 0.0)))
    half = float(stats.t.ppf((1 + _COVERAGE) / 2, fit.freedom)) * se
    return value, value - half, value + half
