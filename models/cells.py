"""A cell of the gap data (school, subject, grade, year, scale): its key and what cells share.

For the rooms that model gaps (`gaps`) and that ask which of them recur (`causes`).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from models.checks import every_row, one_row_each

MEAN_GROUP = ["scale_id", "subject", "grade", "school_year"]
CELL_KEY = ["semel_mosad", "subject", "grade", "school_year", "scale_id"]
# SD of a component that too few schools tell apart from chance: so wide that nothing is pooled.
UNKNOWN_SD = 2.0
LEAST_SCHOOLS = 6
"""Measured schools, at the least, that tell the parts of a variance apart."""
COMPONENTS = ("school", "school_subject", "school_year", "school_subject_year")
# Pupils who do well in one subject do well in another, and the same pupils come back a grade
# higher: the sampling errors of one cohort's cells move together (test reliability .8, persistence
# .9 a year).
COHORT_CORRELATION, COHORT_PERSISTENCE = 0.5, 0.9


def measured_cells(cells: pl.DataFrame) -> pl.DataFrame:
    """Return the measured cells in canonical order.

    Raises:
        ValueError: if a measured cell has no finite gap or no positive finite sampling error, or a
            key repeats.
    """
    measured = cells.filter(pl.col("gap_raw_sd").is_not_null()).sort(CELL_KEY)
    error = pl.col("gap_sampling_sd")
    every_row(
        measured,
        pl.col("gap_raw_sd").is_finite(),
        "measured gaps that are not finite numbers; leave gap_raw_sd empty where a cell is not"
        " measured",
        key=CELL_KEY,
    )
    every_row(
        measured,
        error.is_finite() & (error > 0),
        "measured cells without a positive sampling error",
        key=CELL_KEY,
    )
    one_row_each(
        measured,
        CELL_KEY,
        "cells repeat by school, subject, grade, school year and scale; pass one pupil group's",
    )
    return measured


def component_variances(components: pl.DataFrame) -> np.ndarray:
    """Return the variances of the components, in the order of `COMPONENTS`.

    Args:
        components: component, component_sd (null = not known: `UNKNOWN_SD`).

    Raises:
        ValueError: if a component is absent.
    """
    by_name = dict(
        components.select("component", pl.col("component_sd").fill_null(UNKNOWN_SD)).iter_rows()
    )
    if missing := [name for name in COMPONENTS if name not in by_name]:
        raise ValueError(f"variance components without a value: {', '.join(missing)}")
    return np.array([by_name[name] for name in COMPONENTS]) ** 2
