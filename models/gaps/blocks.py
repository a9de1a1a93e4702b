"""Cells as one covariance block per school, stacked so that numpy solves all schools at once.

Given the fixed means, schools are independent, so the covariance of all cells is block-diagonal.
Blocks are padded to a few common sizes; a padded row has variance 1, no data and no mean, and so
adds nothing to any likelihood or estimate. Within one school a mean occurs at most once (the cell
key is the school plus the mean's group), so the design X is a selection: products with it are
gathers and sums, never matrix products.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.cells import COHORT_CORRELATION, COHORT_PERSISTENCE, MEAN_GROUP

_SIZE_STEP = 4
_MOST_ENTRIES = 100_000  # of one covariance array: a stack's working set stays in the cache


@dataclass(frozen=True)
class Stack:
    """Schools of similar size: B blocks of N cells, out of P fixed means in the whole city.

    Attributes:
        rows: (B, N) row numbers in the sorted frame of measured cells; -1 where padded.
        gap: (B, N) raw gaps, 0 where padded.
        noise: (B, N, N) covariances of the sampling errors, 1 on the diagonal where padded.
        mean: (B, N) which of the P fixed means a cell has; P where padded.
        groups: P.
        same: for each component, (B, N, N): 1 where two cells share its random effect.
    """

    rows: np.ndarray
    gap: np.ndarray
    noise: np.ndarray
    mean: np.ndarray
    groups: int
    same: tuple[np.ndarray, ...]

    def signal(self, variances: np.ndarray) -> np.ndarray:
        """Return the covariance of the true gaps around their means, (B, N, N)."""
        total = variances[0] * self.same[0]
        for variance, same in zip(variances[1:], self.same[1:], strict=True):
            total = total + variance * same
        return total

    def covariance(self, variances: np.ndarray) -> np.ndarray:
        """Return the covariance of the raw gaps, (B, N, N)."""
        return self.signal(variances) + self.noise

    def information(self, inverse: np.ndarray) -> np.ndarray:
        """Return the blocks' share of X'V⁻¹X, (P, P), from V⁻¹ (B, N, N)."""
        size = self.groups + 1
        pairs = self.mean[:, :, None] * size + self.mean[:, None, :]
        total = np.bincount(pairs.ravel(), inverse.ravel(), minlength=size * size)
        return total.reshape(size, size)[:-1, :-1]

    def score(self, weighted: np.ndarray) -> np.ndarray:
        """Return the blocks' share of X'V⁻¹y, (P,), from V⁻¹y (B, N)."""
        return np.bincount(self.mean.ravel(), weighted.ravel(), minlength=self.groups + 1)[:-1]

    def expected(self, fixed: np.ndarray) -> np.ndarray:
        """Return Xβ, (B, N), from the fixed means (P,)."""
        return np.append(fixed, 0.0)[self.mean]

    def expected_covariance(self, covariance: np.ndarray) -> np.ndarray:
        """Return X C X', (B, N, N), from the covariance C (P, P) of the fixed means."""
        return np.pad(covariance, (0, 1))[self.mean[:, :, None], self.mean[:, None, :]]


@dataclass(frozen=True)
class Solution:
    """Generalised least squares given the variances: β = C X'V⁻¹y with C = (X'V⁻¹X)⁻¹.

    Attributes:
        inverses: V⁻¹ of each stack.
        fixed: β, (P,).
        covariance: C, (P, P).
        logdet: log determinants of V and of X'V⁻¹X, added.
    """

    inverses: list[np.ndarray]
    fixed: np.ndarray
    covariance: np.ndarray
    logdet: float


def solve_means(blocks: Sequence[Stack], variances: np.ndarray) -> Solution:
    """Estimate the fixed means by generalised least squares."""
    size = blocks[0].groups
    information, score, logdet = np.zeros((size, size)), np.zeros(size), 0.0
    inverses = []
    for block in blocks:
        covariance = block.covariance(variances)
        logdet += float(np.linalg.slogdet(covariance).logabsdet.sum())
        inverse = np.linalg.inv(covariance)
        information += block.information(inverse)
        score += block.score(np.einsum("bnm,bm->bn", inverse, block.gap))
        inverses.append(inverse)
    logdet += float(np.linalg.slogdet(information).logabsdet)
    fixed_covariance = np.linalg.inv(information)
    return Solution(inverses, fixed_covariance @ score, fixed_covariance, logdet)


def stacks(measured: pl.DataFrame) -> Iterator[Stack]:
    """Yield the blocks of all schools, grouped by size; none where nothing is measured."""
    if measured.is_empty():
        return
    means = (
        measured.select(pl.struct(MEAN_GROUP).rank("dense").cast(pl.Int64) - 1)
        .to_series()
        .to_numpy()
    )
    codes = measured.select(
        pl.col("semel_mosad").rank("dense").alias("school"),
        pl.col("subject").rank("dense"),
        pl.col("school_year").rank("dense"),
        pl.struct("subject", "school_year").rank("dense").alias("both"),
    ).to_numpy()
    groups = int(means.max()) + 1
    starts = np.flatnonzero(np.diff(codes[:, 0], prepend=-1))
    lengths = np.diff(np.append(starts, len(codes)))
    gap, error = measured["gap_raw_sd"].to_numpy(), measured["gap_sampling_sd"].to_numpy()
    # What a band leaves open is no sampling error: no other cell of the cohort shares it.
    extra, limit = band_errors(measured)
    year = measured["school_year"].to_numpy().astype(float)
    cohort = year - measured["grade"].to_numpy()
    sizes = -(-lengths // _SIZE_STEP) * _SIZE_STEP
    for chosen in _cut(sizes):
        size = sizes[chosen[0]]
        offsets = np.arange(size)[None, :]
        real = offsets < lengths[chosen][:, None]
        rows = np.where(real, starts[chosen][:, None] + offsets, -1)
        both_real = real[:, :, None] & real[:, None, :]

        def shares(
            column: int, rows: np.ndarray = rows, both_real: np.ndarray = both_real
        ) -> np.ndarray:
            code = codes[rows, column]
            return ((code[:, :, None] == code[:, None, :]) & both_real).astype(float)

        yield Stack(
            rows=rows,
            gap=np.where(real, gap[rows], 0.0),
            noise=_noise(np.where(real, error[rows], 1.0), year[rows], cohort[rows], both_real)
            + np.where(real, extra[rows], 0.0)[:, :, None] ** 2 * np.eye(int(size))
            + np.where(real, limit[rows], 0.0)[:, :, None]
            * np.where(real, limit[rows], 0.0)[:, None, :],
            mean=np.where(real, means[rows], groups),
            groups=groups,
            same=(both_real.astype(float), shares(1), shares(2), shares(3)),
        )


def band_errors(measured: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return what a band leaves open, and the error of its limits (SD): 0 where a score is known.

    The limits of all bands of a school are taken to be off by the same: similar schools are found
    by the school's one background.
    """
    return tuple(
        (
            measured[name].fill_null(0.0).to_numpy()
            if name in measured.columns
            else np.zeros(measured.height)
        )
        for name in ("gap_extra_sd", "gap_limit_sd")
    )  # type: ignore[return-value]


def _cut(sizes: np.ndarray) -> Iterator[np.ndarray]:
    """Yield places of equal size, so many at a time that a stack is no larger than it should be."""
    for size in np.unique(sizes):
        places = np.flatnonzero(sizes == size)
        most = max(_MOST_ENTRIES // int(size) ** 2, 1)
        yield from (places[start : start + most] for start in range(0, len(places), most))


def _noise(
    error: np.ndarray, year: np.ndarray, cohort: np.ndarray, both_real: np.ndarray
) -> np.ndarray:
    """Return the covariances of sampling errors: cells of one cohort share pupils."""
    apart = np.abs(year[:, :, None] - year[:, None, :])
    shared = (cohort[:, :, None] == cohort[:, None, :]) & both_real
    correlation = np.where(shared, COHORT_CORRELATION * COHORT_PERSISTENCE**apart, 0.0)
    index = np.arange(error.shape[1])
    correlation[:, index, index] = 1.0
    return correlation * error[:, :, None] * error[:, None, :]
