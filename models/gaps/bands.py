"""Results published as bands: what they rule out, never their midpoints."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.stats import truncnorm

from models.gaps.blocks import CELL_KEY
from models.gaps.posterior import shrunken_gaps
from models.gaps.unmeasured import SAYS_NOTHING_SD


def band_cells(
    cells: pl.DataFrame, bands: pl.DataFrame, components: pl.DataFrame, sweeps: int = 20
) -> pl.DataFrame:
    """Turn results published as bands into cells the gap model can read, by what they rule out.

    A band says that the raw gap lies between two limits; it is never read as its midpoint. For each
    banded cell the other cells predict the true gap, N(m, v); the raw gap is N(m, v + s²) cut to the
    limits, whose first two moments give the posterior of the true gap, and that is expressed as the
    measurement N(gap_raw_sd, gap_sampling_sd²) which would have led to it (expectation propagation). Bands of one
    school inform each other, so this is repeated until nothing moves.

    Args:
        cells: measured cells, as for `fit_components`; each (scale, subject, grade, year) of a band
            needs its mean known: give banded cells the scale whose mean they are stated against.
        bands: the cell's key, gap_lo_sd, gap_hi_sd (limits of the raw gap; null = open), gap_sampling_sd.
        components: component, component_sd.
        sweeps: most repetitions.

    Returns:
        the cell's key, gap_raw_sd, gap_sampling_sd: to be stacked with `cells`; sorted. A band that
        says nothing the other cells did not say already is absent.

    Raises:
        ValueError: if a lower limit is not below its upper one.

    Source: Minka (2001); domain_methods §2a ("interval-censored likelihood"); R8, R33.
    """
    if bands.filter(pl.col("gap_lo_sd") >= pl.col("gap_hi_sd")).height:
        raise ValueError("a band's lower limit must be below its upper one")
    key = bands.select(CELL_KEY)
    low = bands["gap_lo_sd"].fill_null(-np.inf).to_numpy()
    high = bands["gap_hi_sd"].fill_null(np.inf).to_numpy()
    noise = bands["gap_sampling_sd"].to_numpy() ** 2
    measured = cells.filter(pl.col("gap_raw_sd").is_not_null()).select(
        *CELL_KEY, "gap_raw_sd", "gap_sampling_sd"
    )
    precision, shift = np.full(len(low), SAYS_NOTHING_SD**-2), np.zeros(len(low))
    for _ in range(sweeps):
        sites = key.with_columns(
            pl.Series("gap_raw_sd", shift / precision),
            pl.Series("gap_sampling_sd", precision**-0.5),
        )
        whole = shrunken_gaps(pl.concat([measured, sites]), components)
        now = key.join(whole, on=CELL_KEY, how="left", maintain_order="left")
        mean, variance = now["gap_sd"].to_numpy(), now["gap_se_sd"].to_numpy() ** 2
        free = 1 / np.maximum(1 / variance - precision, 1e-8)
        centre = free * (mean / variance - shift)
        wide = np.sqrt(free + noise)
        cut = truncnorm((low - centre) / wide, (high - centre) / wide, loc=centre, scale=wide)
        gain = free / (free + noise)
        new_mean = centre + gain * (cut.mean() - centre)
        new_variance = gain * noise + gain**2 * cut.var()
        wanted = np.maximum(1 / new_variance - 1 / free, SAYS_NOTHING_SD**-2)
        wanted_shift = new_mean / new_variance - centre / free
        moved = np.abs(wanted - precision).max(initial=0) / (1 + precision.max(initial=0))
        # Half steps: neighbours that move at once would overshoot each other.
        precision, shift = (precision + wanted) / 2, (shift + wanted_shift) / 2
        if moved < 1e-6:
            break
    said = precision > 2 * SAYS_NOTHING_SD**-2
    return (
        key.with_columns(
            pl.Series("gap_raw_sd", shift / precision),
            pl.Series("gap_sampling_sd", precision**-0.5),
        )
        .filter(pl.Series(said))
        .sort(CELL_KEY)
    )
