"""What the data say of each true gap, once chance is out (best linear unbiased prediction)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from models.cells import CELL_KEY, component_variances, measured_cells
from models.gaps.blocks import Stack, band_errors, solve_means, stacks
from models.gaps.tiers import gap_tier, interval
from models.keys import WHOLE


@threadpool_limits.wrap(limits=1)
def shrunken_gaps(
    cells: pl.DataFrame, components: pl.DataFrame, level: float = 0.90
) -> pl.DataFrame:
    """Return each cell's partially pooled gap with its interval.

    The true gap is μ + u + v + w + x of `fit_components`; its prediction is the BLUP under the
    given components, and its standard error contains the uncertainty of μ and the school-year noise
    (without which "90 %" intervals cover about 82 %; domain_methods §2a). The components count as
    known: in simulated cities of 6–8 schools with a single cell each, "90 %" covers about 85 %;
    with several subjects and years, 88 %; from 12 schools, 87–90 %.

    Args:
        cells: as for `fit_components`; other columns pass through.
        components: component, component_sd.
        level: probability of the interval.

    Returns:
        The cells, sorted by key, with gap_sd, gap_se_sd, gap_lo_sd, gap_hi_sd (pupil SD),
        reliability (share of variance that is not sampling error, nor a band's), p_below_target and
        gap_tier; null and `not_measured` where a cell is not measured.

    Raises:
        ValueError: as `fit_components` for the cells; if a component is absent.

    Source: Raudenbush & Bryk (2002), ch. 3; Robinson (1991); R33, R36, R37.
    """
    measured = measured_cells(cells)
    mean, variance = np.empty(measured.height), np.empty(measured.height)
    for block, means, covariances in _posteriors(measured, components):
        real = block.rows >= 0
        mean[block.rows[real]] = means[real]
        variance[block.rows[real]] = np.diagonal(covariances, axis1=1, axis2=2)[real]
    signal = float(component_variances(components).sum())
    extra, limit = band_errors(measured)
    error = measured["gap_sampling_sd"] ** 2 + pl.Series(extra**2 + limit**2)
    estimated = measured.select(CELL_KEY).with_columns(
        *interval(mean, np.sqrt(variance), level),
        (signal / (signal + error)).alias("reliability"),
    )
    return (
        cells.join(estimated, on=CELL_KEY, how="left")
        .with_columns(gap_tier(pl.col("p_below_target")).alias("gap_tier"))
        .sort(CELL_KEY)
    )


@threadpool_limits.wrap(limits=1)
def school_gaps(
    cells: pl.DataFrame,
    components: pl.DataFrame,
    first_year: int,
    last_year: int,
    level: float = 0.90,
) -> pl.DataFrame:
    """Return each school's gap by subject, and over all subjects, in a window of years.

    A school × subject gap is the mean of its measured cells' true gaps in the window; "all" is the
    mean over its subjects. Both are exact linear combinations of the cells' joint posterior, which
    years outside the window inform too.

    Args:
        cells: as for `fit_components`.
        components: component, component_sd.
        first_year: first school year of the window.
        last_year: last school year of the window.
        level: probability of the interval.

    Returns:
        semel_mosad, subject ("all" included), is_measured, cells (number), gap_sd, gap_se_sd,
        gap_lo_sd, gap_hi_sd (pupil SD), p_below_target, gap_tier; sorted by school and subject.
        A school × subject without a measured cell in the window is there with is_measured false.
    """
    measured = measured_cells(cells)
    inside = measured["school_year"].is_between(first_year, last_year).to_numpy()
    schools, subjects = measured["semel_mosad"].to_numpy(), measured["subject"].to_numpy()
    estimates: list[tuple[str, str, int, float, float]] = []
    for block, means, covariances in _posteriors(measured, components):
        for rows, mean, covariance in zip(block.rows, means, covariances, strict=True):
            chosen = np.flatnonzero((rows >= 0) & inside[rows])
            if not len(chosen):
                continue
            of = subjects[rows[chosen]]
            names = np.unique(of)
            weights = np.stack([(of == name) / (of == name).sum() for name in names])
            weights = np.vstack([weights, weights.mean(axis=0)])
            centre = weights @ mean[chosen]
            spread = np.sqrt(
                np.einsum("ij,jk,ik->i", weights, covariance[np.ix_(chosen, chosen)], weights)
            )
            for name, value, error, row in zip(
                (*names, WHOLE), centre, spread, weights, strict=True
            ):
                estimates.append(
                    (schools[rows[chosen[0]]], str(name), int((row > 0).sum()), value, error)
                )
    estimated = pl.DataFrame(
        estimates,
        schema={
            "semel_mosad": pl.String,
            "subject": pl.String,
            "cells": pl.Int32,
            "gap_sd": pl.Float64,
            "gap_se_sd": pl.Float64,
        },
        orient="row",
    )
    estimated = estimated.with_columns(
        interval(estimated["gap_sd"].to_numpy(), estimated["gap_se_sd"].to_numpy(), level)
    )
    everyone = pl.concat(
        [
            cells.select("semel_mosad", "subject"),
            cells.select("semel_mosad", pl.lit(WHOLE).alias("subject")),
        ]
    ).unique()
    return (
        everyone.join(estimated, on=["semel_mosad", "subject"], how="left")
        .with_columns(
            pl.col("gap_sd").is_not_null().alias("is_measured"),
            pl.col("cells").fill_null(0),
            gap_tier(pl.col("p_below_target")).alias("gap_tier"),
        )
        .sort("semel_mosad", "subject")
    )


def _posteriors(
    measured: pl.DataFrame, components: pl.DataFrame
) -> Iterator[tuple[Stack, np.ndarray, np.ndarray]]:
    """Yield per stack the posterior means (B, N) and covariances (B, N, N) of the true gaps.

    With V = G + D (signal + sampling) and C = (X'V⁻¹X)⁻¹:
        mean = Xβ + G V⁻¹ (y - Xβ),   covariance = D - D V⁻¹ D + (D V⁻¹ X) C (D V⁻¹ X)'.
    """
    if measured.is_empty():
        return
    variances = component_variances(components)
    blocks = list(stacks(measured))
    solved = solve_means(blocks, variances)
    for block, inverse in zip(blocks, solved.inverses, strict=True):
        residual = np.einsum("bnm,bm->bn", inverse, block.gap - block.expected(solved.fixed))
        mean = block.gap - np.einsum("bnm,bm->bn", block.noise, residual)
        through = block.noise @ inverse
        covariance = block.noise - through @ block.noise
        covariance += (
            through @ block.expected_covariance(solved.covariance) @ through.transpose(0, 2, 1)
        )
        yield block, mean, covariance
