"""Cells as one covariance block per school, stacked so that numpy solves all schools at once.

Given the fixed means, schools are independent, so the covariance of all cells is block-diagonal.
Blocks are padded to a few common sizes; a padded row has variance 1, no data and no design, and
so adds nothing to any likelihood or estimate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

# Pupils who do well in one subject do well in another, and the same pupils come back a grade higher:
# the sampling errors of one cohort's cells move together (test reliability .8, persistence .9 a year).
COHORT_CORRELATION, COHORT_PERSISTENCE = 0.5, 0.9
MEAN_GROUP = ["scale_id", "subject", "grade", "school_year"]
CELL_KEY = ["semel_mosad", "subject", "grade", "school_year", "scale_id"]
_SIZES = (4, 8, 16, 32, 64, 128, 256, 512)


@dataclass(frozen=True)
class Stack:
    """Schools of similar size: B blocks of N cells with P fixed means.

    Attributes:
        rows: (B, N) row numbers in the sorted frame of measured cells; -1 where padded.
        gap: (B, N) raw gaps, 0 where padded.
        noise: (B, N, N) covariances of the sampling errors, 1 on the diagonal where padded.
        design: (B, N, P) one-hot design of the fixed means.
        same: for each component, (B, N, N): 1 where two cells share its random effect.
    """

    rows: np.ndarray
    gap: np.ndarray
    noise: np.ndarray
    design: np.ndarray
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


def measured_cells(cells: pl.DataFrame) -> pl.DataFrame:
    """Return the measured cells in canonical order.

    Raises:
        ValueError: if a measured cell has no positive sampling error, or a key repeats.
    """
    measured = cells.filter(pl.col("gap_raw_sd").is_not_null()).sort(CELL_KEY)
    bad = measured.filter(~(pl.col("gap_sampling_sd") > 0).fill_null(False))
    if bad.height:
        raise ValueError(
            f"measured cells without a positive sampling error: {bad.select(CELL_KEY).head(3).rows()}"
        )
    if measured.select(CELL_KEY).is_duplicated().any():
        raise ValueError("cells are not unique by school, subject, grade, school year and scale")
    return measured


def stacks(measured: pl.DataFrame) -> Iterator[Stack]:
    """Yield the blocks of all schools, grouped by size."""
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
    year = measured["school_year"].to_numpy().astype(float)
    cohort = year - measured["grade"].to_numpy()
    sizes = np.array([next((s for s in _SIZES if s >= n), int(n)) for n in lengths])
    for size in np.unique(sizes):
        chosen = np.flatnonzero(sizes == size)
        offsets = np.arange(size)[None, :]
        real = offsets < lengths[chosen][:, None]
        rows = np.where(real, starts[chosen][:, None] + offsets, -1)
        design = np.zeros((len(chosen), size, groups))
        block, place = np.nonzero(real)
        design[block, place, means[rows[real]]] = 1.0
        both_real = real[:, :, None] & real[:, None, :]

        def shares(
            column: int, rows: np.ndarray = rows, both_real: np.ndarray = both_real
        ) -> np.ndarray:
            code = codes[rows, column]
            return ((code[:, :, None] == code[:, None, :]) & both_real).astype(float)

        yield Stack(
            rows=rows,
            gap=np.where(real, gap[rows], 0.0),
            noise=_noise(np.where(real, error[rows], 1.0), year[rows], cohort[rows], both_real),
            design=design,
            same=(both_real.astype(float), shares(1), shares(2), shares(3)),
        )


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
