"""Results published as bands: what they rule out, never their midpoints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from scipy.stats import truncnorm
from threadpoolctl import threadpool_limits

from models.cells import CELL_KEY, MEAN_GROUP, component_variances, measured_cells
from models.checks import every_row
from models.gaps.blocks import solve_means, stacks

_SAYS_NOTHING = 1e4  # variance of a band before it is read, SD²
_SETTLED = 1e-6


def band_limits(
    bands: pl.DataFrame, similar: pl.DataFrame, reference_se_sd: float = 0.0
) -> pl.DataFrame:
    """Turn bands around similar schools into limits of the raw gap.

    A gap is desired less actual, a band the school's mean less that of similar schools. With e the
    gap of similar schools, a band from `low` to `high` says

        e - high ≤ gap ≤ e - low

    Args:
        bands: the cell's key, band_lo_sd, band_hi_sd (pupil SD; null = open), gap_sampling_sd.
        similar: the key, gap_expected_sd, gap_expected_se_sd of `similar_gaps`.
        reference_se_sd: how far the similar schools of the publisher may lie from those of the city
            at the same background (standard deviation, pupil SD).

    Returns:
        the key, gap_lo_sd, gap_hi_sd (null = open), gap_sampling_sd, gap_limit_sd (error of the
        limits): input of `band_cells`. Absent: bands open on both sides, and those without similar
        schools.

    Raises:
        ValueError: if reference_se_sd is negative.

    Source: R8, R33.
    """
    if reference_se_sd < 0:
        raise ValueError("reference_se_sd must not be negative")
    said = bands.filter(pl.any_horizontal(pl.col("band_lo_sd", "band_hi_sd").is_not_null()))
    expected = pl.col("gap_expected_sd")
    return (
        said.join(similar, on=CELL_KEY)
        .select(
            *CELL_KEY,
            (expected - pl.col("band_hi_sd")).alias("gap_lo_sd"),
            (expected - pl.col("band_lo_sd")).alias("gap_hi_sd"),
            "gap_sampling_sd",
            (pl.col("gap_expected_se_sd") ** 2 + reference_se_sd**2).sqrt().alias("gap_limit_sd"),
        )
        .sort(CELL_KEY)
    )


@threadpool_limits.wrap(limits=1)
def band_cells(
    cells: pl.DataFrame, bands: pl.DataFrame, components: pl.DataFrame, sweeps: int = 500
) -> pl.DataFrame:
    """Turn results published as bands into cells the gap model can read, by what they rule out.

    A band says that the raw gap y = true gap + sampling error lies between two limits; it is never
    read as its midpoint. Each band stands as a Gaussian measurement z of y with an error of its
    own, N(0, τ²), independent of all else (expectation propagation). With P = V⁻¹ -
    V⁻¹X(X'V⁻¹X)⁻¹X'V⁻¹ and V the covariance of all cells, what all the others say of y is

        cavity mean = z - (Pz) / P[ii],   cavity variance = 1 / P[ii] - τ²

    Cut to the limits, it has a mean and a variance; z and τ are those that lead to them. Bands
    inform each other, so this is repeated until nothing moves. Limits that are themselves
    uncertain, by N(0, gap_limit_sd²) and alike for all bands of a school, are limits of y plus that
    error.

    Args:
        cells: measured cells, as for `fit_components`; each (scale, subject, grade, year) of a band
            needs a measured cell, from which its mean is known.
        bands: the cell's key, gap_lo_sd, gap_hi_sd (limits of the raw gap, positive = below target;
            null = open), gap_sampling_sd, gap_limit_sd (error of the limits; exact where absent).
            `band_limits` makes them.
        components: component, component_sd.
        sweeps: most repetitions; bands that contradict the scores need many, others about thirty.

    Returns:
        the cell's key, gap_raw_sd (z), gap_sampling_sd and gap_limit_sd (as given), gap_extra_sd
        (τ): to be stacked with `cells`; sorted. A band that says nothing is absent.

    Raises:
        ValueError: as `fit_components` for the cells; if a lower limit is not below its upper one,
            a band is of a measured cell or of a group nobody was measured in, or nothing settles.

    Source: Minka (2001); domain_methods §2a ("interval-censored likelihood"); R8, R33.
    """
    ordered = (pl.col("gap_lo_sd") < pl.col("gap_hi_sd")).fill_null(True)
    every_row(bands, ordered, "a band's lower limit must be below its upper one")
    seen = cells.filter(pl.col("gap_raw_sd").is_not_null())
    if bands.join(seen, on=CELL_KEY, how="semi").height:
        raise ValueError("a band is of a measured cell; keep one of the two")
    if (alone := bands.join(seen, on=MEAN_GROUP, how="anti")).height:
        raise ValueError(
            f"bands of groups nobody was measured in: {alone.select(MEAN_GROUP).head(3).rows()}; "
            "give them the scale whose mean they are stated against"
        )
    if "gap_limit_sd" not in bands.columns:
        bands = bands.with_columns(pl.lit(0.0).alias("gap_limit_sd"))
    said = bands.select(*CELL_KEY, "gap_lo_sd", "gap_hi_sd", "gap_sampling_sd", "gap_limit_sd")
    both = measured_cells(
        pl.concat(
            [
                seen.select(*CELL_KEY, "gap_raw_sd", "gap_sampling_sd"),
                said.with_columns(pl.lit(0.0).alias("gap_raw_sd")),
            ],
            how="diagonal_relaxed",
        ).with_columns(pl.Series("is_band", [False] * seen.height + [True] * said.height))
    )
    places = np.flatnonzero(both["is_band"].to_numpy())
    if not len(places):
        return pl.DataFrame(schema={**said.select(CELL_KEY).schema, **_MADE})
    chosen = both[places]
    low = chosen["gap_lo_sd"].fill_null(-np.inf).to_numpy()
    high = chosen["gap_hi_sd"].fill_null(np.inf).to_numpy()
    variances = component_variances(components)
    blocks = list(stacks(both))
    extra, gap = np.zeros(both.height), both["gap_raw_sd"].to_numpy().copy()
    precision, shift = np.full(len(places), 1 / _SAYS_NOTHING), np.zeros(len(places))
    for _ in range(sweeps):
        extra[places], gap[places] = 1 / precision, shift / precision
        weighted, diagonal = np.empty(both.height), np.empty(both.height)
        now = []
        for block in blocks:
            real = block.rows >= 0
            own = np.where(real, extra[block.rows], 0.0)
            noise = block.noise + own[:, :, None] * np.eye(own.shape[1])
            now.append(replace(block, noise=noise, gap=np.where(real, gap[block.rows], 0.0)))
        solved = solve_means(now, variances)
        for block, inverse in zip(now, solved.inverses, strict=True):
            real = block.rows >= 0
            residual = block.gap - block.expected(solved.fixed)
            weighted[block.rows[real]] = np.einsum("bnm,bm->bn", inverse, residual)[real]
            spread = inverse @ block.expected_covariance(solved.covariance) @ inverse
            own = np.diagonal(inverse - spread, axis1=1, axis2=2)
            diagonal[block.rows[real]] = own[real]
        centre = gap[places] - weighted[places] / diagonal[places]
        free = 1 / diagonal[places] - extra[places]
        wide = np.sqrt(free)
        cut = truncnorm((low - centre) / wide, (high - centre) / wide, loc=centre, scale=wide)
        mean, variance = cut.mean(), cut.var()
        wanted = np.maximum(1 / variance - 1 / free, 1 / _SAYS_NOTHING)
        wanted_shift = mean / variance - centre / free
        moved = max(
            np.abs(wanted - precision).max() / (1 + precision.max()),
            np.abs(wanted_shift - shift).max() / (1 + np.abs(shift).max()),
        )
        # Half steps: neighbours that move at once would overshoot each other.
        precision, shift = (precision + wanted) / 2, (shift + wanted_shift) / 2
        if moved < _SETTLED:
            break
    else:
        raise ValueError(f"the bands did not settle in {sweeps} sweeps; the last moved {moved:.1e}")
    return chosen.select(
        *CELL_KEY,
        pl.Series("gap_raw_sd", shift / precision),
        "gap_sampling_sd",
        "gap_limit_sd",
        pl.Series("gap_extra_sd", precision**-0.5),
    ).filter(pl.Series(precision > 2 / _SAYS_NOTHING))


_MADE = {
    "gap_raw_sd": pl.Float64,
    "gap_sampling_sd": pl.Float64,
    "gap_limit_sd": pl.Float64,
    "gap_extra_sd": pl.Float64,
}
