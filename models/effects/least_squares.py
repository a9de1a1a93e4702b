"""Least squares inside strata, with errors that know which rows belong together."""

from __future__ import annotations

import numpy as np
import polars as pl


class Undetermined(ValueError):  # noqa: N818 - a finding, not a fault
    """No slope follows from the rows: a column follows from others, or rows are too few."""


def dense(column: pl.Series) -> np.ndarray:
    """Return each value's number: 0, 1, … in the order of the values."""
    return (column.rank("dense") - 1).cast(pl.Int64).to_numpy()


def within(values: np.ndarray, stratum: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Return values less the (weighted) mean of their stratum."""
    w = np.ones(len(values)) if weight is None else weight
    total = np.bincount(stratum, w)
    return values - (np.bincount(stratum, w * values) / np.maximum(total, 1e-300))[stratum]


def independent(columns: list[np.ndarray]) -> np.ndarray:
    """Return, side by side, the columns that do not follow from those before them."""
    kept: list[np.ndarray] = []
    basis = np.empty((len(columns[0]) if columns else 0, 0))
    for column in columns:
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)  # twice, for what rounding left
        size = np.linalg.norm(rest)
        if size > 1e-4 * max(float(np.linalg.norm(column)), 1e-9):
            kept.append(column)
            basis = np.column_stack([basis, rest / size])
    return np.column_stack(kept) if kept else basis


def clustered(
    outcome: np.ndarray,
    columns: np.ndarray,
    cluster: np.ndarray,
    *,
    lost: int = 0,
    weight: np.ndarray | None = None,
    instrument: np.ndarray | None = None,
) -> tuple[float, float]:
    """Return the first column's slope and its cluster-robust error.

    (Weighted) least squares, or two-stage least squares where the first column has an instrument.
    The error is the sandwich over clusters, times G/(G-1) · (n-1)/(n-k) with k the columns and what
    was lost to strata (CR1).

    Args:
        outcome: n values.
        columns: n × k, the first is the one asked for.
        cluster: number of each row's cluster.
        lost: degrees of freedom already used, such as the means of strata.
        weight: n weights; None = equal.
        instrument: n values that stand in for the first column.

    Raises:
        Undetermined: if the columns (or the instrument) do not determine the slope, or nothing is
            left to estimate its error from.
    """
    n, k = columns.shape
    if n <= k + lost:
        raise Undetermined(f"{n} rows cannot determine {k + lost} unknowns and an error")
    w = np.ones(len(outcome)) if weight is None else weight
    z = columns if instrument is None else np.column_stack([instrument, columns[:, 1:]])
    cross = (z * w[:, None]).T @ columns
    if np.linalg.matrix_rank(cross) < cross.shape[0]:
        raise Undetermined("the columns do not determine a slope: one follows from the others")
    inverse = np.linalg.inv(cross)
    slopes = inverse @ ((z * w[:, None]).T @ outcome)
    rest = outcome - columns @ slopes
    scores = z * (w * rest)[:, None]
    groups = int(cluster.max()) + 1
    summed = np.stack([np.bincount(cluster, s, groups) for s in scores.T], axis=1)
    correction = groups / max(groups - 1, 1) * (n - 1) / (n - k - lost)
    covariance = inverse @ (summed.T @ summed) @ inverse.T * correction
    return float(slopes[0]), float(np.sqrt(covariance[0, 0]))
