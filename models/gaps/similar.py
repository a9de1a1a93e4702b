"""What schools of the same background have on average: what a published band is stated against."""

from __future__ import annotations

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from models.cells import CELL_KEY, MEAN_GROUP, component_variances, measured_cells
from models.gaps.blocks import stacks

# Says nothing of a slope, but keeps one finite that the schools cannot show: pupil SD per unit of
# background.
_SLOPE_PRIOR_SD = 1.0


@threadpool_limits.wrap(limits=1)
def similar_gaps(
    cells: pl.DataFrame, wanted: pl.DataFrame, background: pl.DataFrame, components: pl.DataFrame
) -> pl.DataFrame:
    """Return the gap that schools of a school's background have on average, with its error.

    One line per subject through the measured cells of the scales asked for, by weighted least
    squares:

        gap_raw = level[scale, subject, grade, year] + slope[subject]·background + rest

    The weights are the inverse covariance V⁻¹ of `fit_components`, so that the many cells of one
    school do not count as many schools. The components hold what the background explains too, so
    the error of the line, √(x'(X'V⁻¹X)⁻¹x), is somewhat too large rather than too small.

    Args:
        cells: measured cells, as for `fit_components`; unmeasured ones are left out.
        wanted: the key of cells whose similar schools are asked for.
        background: semel_mosad, background (null = unknown: the school is left out).
        components: component, component_sd.

    Returns:
        the key, gap_expected_sd, gap_expected_se_sd (pupil SD); sorted. Absent: schools without
        background, and cells of a (scale, subject, grade, year) in which nobody with background was
        measured.

    Raises:
        ValueError: as `fit_components` for the cells.

    Source: Aitken (1936); Raudenbush & Bryk (2002), ch. 3; domain_methods §2a; R8, R33.
    """
    known = background.select("semel_mosad", "background").drop_nulls()
    measured = measured_cells(cells).join(wanted, on="scale_id", how="semi")
    measured = measured.join(known, on="semel_mosad").sort(CELL_KEY)
    # The same order of groups as in `stacks`.
    groups = measured.select(MEAN_GROUP).unique().sort(MEAN_GROUP).with_row_index("group")
    asked = wanted.select(CELL_KEY).join(known, on="semel_mosad").join(groups, on=MEAN_GROUP)
    asked = asked.sort(CELL_KEY)
    if asked.is_empty():
        return pl.DataFrame(schema={**wanted.select(CELL_KEY).schema, **_SIMILAR})
    subjects = measured["subject"].unique().sort().to_list()
    variances = component_variances(components)
    levels, width = groups.height, groups.height + len(subjects)

    def design(rows: pl.DataFrame, group: np.ndarray) -> np.ndarray:
        made = np.zeros((rows.height, width))
        made[np.arange(rows.height), group] = 1.0
        place = [levels + subjects.index(subject) for subject in rows["subject"]]
        made[np.arange(rows.height), place] = rows["background"].to_numpy()
        return made

    mean = measured.join(groups, on=MEAN_GROUP, maintain_order="left")["group"].to_numpy()
    # A last row of zeros is what a padded place picks.
    whole = np.vstack([design(measured, mean), np.zeros(width)])
    information = np.diag([0.0] * levels + [_SLOPE_PRIOR_SD**-2] * len(subjects))
    score = np.zeros(width)
    for block in stacks(measured):
        x = whole[block.rows]
        through = np.linalg.inv(block.covariance(variances)) @ x
        information += np.einsum("bnp,bnq->pq", x, through)
        score += np.einsum("bnp,bn->p", through, block.gap)
    covariance = np.linalg.inv(information)
    line = design(asked, asked["group"].to_numpy())
    return asked.select(
        *CELL_KEY,
        pl.Series("gap_expected_sd", line @ covariance @ score),
        pl.Series("gap_expected_se_sd", np.sqrt(np.einsum("ip,pq,iq->i", line, covariance, line))),
    )


_SIMILAR = {"gap_expected_sd": pl.Float64, "gap_expected_se_sd": pl.Float64}
