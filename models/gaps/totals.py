"""Gaps of the whole city and of its groups: weighted means of cells with the error of the whole.

Every school is in the mean, so differences between schools are part of what is measured and add no
error; what adds error are the pupils and classes that happened to sit the test, and schools that
were not measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.stats import norm

from models.cells import CELL_KEY, COMPONENTS, component_variances, measured_cells
from models.gaps.blocks import stacks
from models.gaps.tiers import gap_tier, interval
from models.keys import WHOLE


def city_gaps(
    cells: pl.DataFrame,
    components: pl.DataFrame,
    *,
    schools: int,
    by: Sequence[str] = (),
    level: float = 0.90,
) -> pl.DataFrame:
    """Return the city's gap by subject and over all subjects, each pupil counting once.

    gap = Σ n·gap_raw / Σ n over the cells of a subject; "all" is the mean over subjects. With a the
    weights of one school's cells and D their error covariance (one cohort's errors move together),

        variance = Σ_schools a'D a + σ²(u)·Σ (b - 1/M)² + σ²(v)·Σ (c - 1/M)²/K²

    where b is a measured school's share in the mean of K subjects, c its share in one of them, and
    M schools there are: those not measured may differ. Of one subject with m measured schools the
    last two are (1 - m/M)·(σ²(u) + σ²(v))/m. `gap_lasting_se_sd` adds a'(σ²(w)W + σ²(x)X)a: how
    far this window's result may lie from the lasting state, which a comparison of years needs.

    Args:
        cells: semel_mosad, subject, grade, school_year, scale_id, gap_raw_sd, gap_sampling_sd,
            tested_pupils, and the columns of `by`.
        components: component, component_sd of `fit_components`.
        schools: how many schools the city has (M).
        by: further columns to split by, such as school_year.
        level: probability of the interval.

    Returns:
        subject ("all" included), the columns of `by`, schools_measured, tested_pupils, gap_sd,
        gap_se_sd, gap_lasting_se_sd, gap_lo_sd, gap_hi_sd (pupil SD), p_below_target, gap_tier;
        sorted.

    Raises:
        ValueError: as `fit_components`; if fewer schools are stated than are measured.

    Source: Cochran (1977), ch. 2; R34, R38.
    """
    measured = measured_cells(cells)
    seen = measured["semel_mosad"].n_unique()
    if schools < seen:
        raise ValueError(f"{seen} schools are measured, but the city is said to have {schools}")
    variances = component_variances(components)
    key = [*by, "subject"]
    target = measured.select(pl.struct(key).rank("dense").cast(pl.Int64) - 1).to_series().to_numpy()
    size = measured["tested_pupils"].cast(pl.Float64).to_numpy()
    count = int(target.max(initial=-1)) + 1
    weights = np.zeros((measured.height, count))
    weights[np.arange(measured.height), target] = size
    weights /= weights.sum(axis=0)
    there = np.zeros((seen, count))
    there[measured.select(pl.col("semel_mosad").rank("dense") - 1).to_series(), target] = 1.0
    there /= there.sum(axis=0)
    one = measured.group_by(key).agg(
        pl.col("semel_mosad").n_unique().alias("schools_measured"), pl.col("tested_pupils").sum()
    )
    rows = one.sort(key)
    mixed, whole_rows = _over_subjects(rows, list(by))
    mix = np.hstack([np.eye(count), mixed])
    weights = weights @ mix
    rows = pl.concat([rows, whole_rows.select(rows.columns)])
    estimate, sampling, lasting = _combine(measured, weights, variances)
    alike = ((there @ mix) ** 2).sum(axis=0) - 1 / schools
    apart = ((there**2).sum(axis=0) - 1 / schools) @ mix**2
    unseen = np.clip(variances[0] * alike + variances[1] * apart, 0.0, None)
    gap, error, *ends = interval(estimate, np.sqrt(sampling + unseen), level)
    return (
        rows.with_columns(
            pl.col("schools_measured", "tested_pupils").cast(pl.Int32),
            gap,
            error,
            pl.Series("gap_lasting_se_sd", np.sqrt(lasting + unseen)),
            *ends,
        )
        .with_columns(gap_tier(pl.col("p_below_target")).alias("gap_tier"))
        .sort(key)
    )


def _over_subjects(rows: pl.DataFrame, by: list[str]) -> tuple[np.ndarray, pl.DataFrame]:
    """Return the weight of each row in the means over subjects, and the rows these stand for."""
    numbered = rows.with_row_index("place").with_columns(pl.lit(0).alias("whole"))
    groups = numbered.group_by(by or ["whole"], maintain_order=True)
    whole = groups.agg(
        "place", pl.col("schools_measured").max(), pl.col("tested_pupils").sum()
    ).with_columns(pl.lit(WHOLE).alias("subject"))
    mix = np.zeros((rows.height, whole.height))
    for column, places in enumerate(whole["place"].to_list()):
        mix[places, column] = 1 / len(places)
    return mix, whole


def _combine(
    measured: pl.DataFrame, weights: np.ndarray, variances: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Σ a·gap, Σ a'Da and Σ a'(D + year noise)a for each column of weights."""
    estimate = weights.T @ measured["gap_raw_sd"].to_numpy()
    sampling, lasting = np.zeros(weights.shape[1]), np.zeros(weights.shape[1])
    for block in stacks(measured):
        chosen = np.where((block.rows >= 0)[:, :, None], weights[block.rows], 0.0)
        yearly = block.noise + variances[2] * block.same[2] + variances[3] * block.same[3]
        sampling += np.einsum("bnt,bnt->t", chosen, block.noise @ chosen)
        lasting += np.einsum("bnt,bnt->t", chosen, yearly @ chosen)
    return estimate, sampling, lasting


def group_contrasts(cells: pl.DataFrame, level: float = 0.90) -> pl.DataFrame:
    """Return how far each group is behind the other pupils, within schools and between them.

    For each cell in which both the group and other pupils were tested, the others' gap follows from
    the cell's: gap_rest = (N·gap_all - n·gap_group) / (N - n). With n as weights,

        contrast = gap_group - gap_rest = within + between,
        within = Σ n·(gap_group - gap_rest of the same cell) / Σ n,

    and between is what is left: the group's pupils sit in schools and grades that are behind
    anyway. The two parts add up exactly. School and school-year effects cancel in `within`, so its
    error is that of the pupils alone. Cells without the one or the other stay out. An association,
    not an effect of belonging to the group.

    Args:
        cells: group_id ("all" included), semel_mosad, subject, grade, school_year, scale_id,
            gap_raw_sd, gap_sampling_sd, tested_pupils.
        level: probability of the interval of `within`.

    Returns:
        group_id, subject ("all" = all subjects), schools_measured, tested_pupils (of the group),
        contrast_sd, within_sd, within_se_sd, within_lo_sd, within_hi_sd, between_sd (pupil SD;
        positive = the group is behind); sorted.

    Source: Raudenbush & Bryk (2002), ch. 5; R34, R41.
    """
    whole = cells.filter(pl.col("group_id") == WHOLE, pl.col("gap_raw_sd").is_not_null())
    part = cells.filter(pl.col("group_id") != WHOLE, pl.col("gap_raw_sd").is_not_null())
    n, total = pl.col("tested_pupils"), pl.col("tested_pupils_all")
    error, error_all = pl.col("gap_sampling_sd"), pl.col("gap_sampling_sd_all")
    both = (
        part.join(
            whole.select(*CELL_KEY, "gap_raw_sd", "gap_sampling_sd", "tested_pupils"),
            on=CELL_KEY,
            suffix="_all",
        )
        .filter((n > 0) & (total > n))
        .with_columns(
            ((total * pl.col("gap_raw_sd_all") - n * pl.col("gap_raw_sd")) / (total - n)).alias(
                "gap_rest_sd"
            ),
            (total - n).alias("rest_pupils"),
            # The error of so many other pupils, read off the whole cell's.
            (error**2 + error_all**2 * total / (total - n)).sqrt().alias("difference_se_sd"),
        )
    )
    frames = []
    for (group_id,), rows in both.sort("group_id", *CELL_KEY).group_by(
        "group_id", maintain_order=True
    ):
        for subject in [*rows["subject"].unique().sort(), WHOLE]:
            some = rows if subject == WHOLE else rows.filter(pl.col("subject") == subject)
            frames.append(_contrast(some, str(group_id), subject, level))
    if not frames:
        return pl.DataFrame(schema=_CONTRAST)
    return pl.DataFrame(frames, schema=_CONTRAST, orient="row").sort("group_id", "subject")


_CONTRAST = {
    "group_id": pl.String,
    "subject": pl.String,
    "schools_measured": pl.Int32,
    "tested_pupils": pl.Int32,
    "contrast_sd": pl.Float64,
    "within_sd": pl.Float64,
    "within_se_sd": pl.Float64,
    "within_lo_sd": pl.Float64,
    "within_hi_sd": pl.Float64,
    "between_sd": pl.Float64,
}


def _contrast(rows: pl.DataFrame, group_id: str, subject: str, level: float) -> tuple:
    difference = rows.select(
        *CELL_KEY,
        (pl.col("gap_raw_sd") - pl.col("gap_rest_sd")).alias("gap_raw_sd"),
        pl.col("difference_se_sd").alias("gap_sampling_sd"),
        "tested_pupils",
    )
    measured = measured_cells(difference)
    size = measured["tested_pupils"].cast(pl.Float64).to_numpy()
    weights = (size / size.sum())[:, None]
    within, sampling, _ = _combine(measured, weights, np.zeros(len(COMPONENTS)))
    here, others = rows["tested_pupils"].to_numpy(), rows["rest_pupils"].to_numpy()
    contrast = np.average(rows["gap_raw_sd"].to_numpy(), weights=here) - np.average(
        rows["gap_rest_sd"].to_numpy(), weights=others
    )
    spread = float(np.sqrt(sampling[0]))
    reach = float(norm.ppf(0.5 + level / 2)) * spread
    centre = float(within[0])
    return (
        group_id,
        subject,
        rows["semel_mosad"].n_unique(),
        int(here.sum()),
        float(contrast),
        centre,
        spread,
        centre - reach,
        centre + reach,
        float(contrast) - centre,
    )
