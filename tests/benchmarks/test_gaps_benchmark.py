"""Gap statistics of a country: 2,600 schools × 4 subjects × 9 years, beside a loop over schools."""

from __future__ import annotations

import time

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_limits

from models.gaps import COMPONENTS, fit_components, school_gaps, shrunken_gaps
from models.gaps.blocks import COHORT_CORRELATION, COHORT_PERSISTENCE
from tests.gaps.cities import TRUE_SD, city

TRUE = pl.DataFrame({"component": list(TRUE_SD), "component_sd": list(TRUE_SD.values())})
KEY = ["semel_mosad", "subject", "grade", "school_year", "scale_id"]
FIGURE_S = 5.0


@pytest.fixture(scope="module")
def country() -> pl.DataFrame:
    return city(1, schools=2600, years=9, grades=(5,))


def test_components_of_a_country(benchmark, country):
    found = benchmark.pedantic(fit_components, args=(country,), rounds=3)
    for component, value in found.iter_rows():
        assert value == pytest.approx(TRUE_SD[component], abs=0.01)
    if benchmark.enabled:
        assert benchmark.stats.stats.max <= FIGURE_S


def test_gaps_of_a_country(benchmark, country):
    def both() -> tuple[pl.DataFrame, pl.DataFrame]:
        return shrunken_gaps(country, TRUE), school_gaps(country, TRUE, 2026, 2028)

    cells, schools = benchmark.pedantic(both, rounds=3)
    assert (cells.height, schools.height) == (2600 * 36, 2600 * 5)
    start = time.perf_counter()
    plain = school_by_school(country)
    if benchmark.enabled:
        took = benchmark.stats.stats
        benchmark.extra_info["loop_ratio"] = (time.perf_counter() - start) / took.min
        assert took.max <= FIGURE_S
    np.testing.assert_allclose(cells["gap_sd"], plain, atol=1e-9)


@threadpool_limits.wrap(limits=1)
def school_by_school(cells: pl.DataFrame) -> np.ndarray:
    """The obvious alternative: the same prediction, one school after another, means only."""
    variances = [TRUE_SD[name] ** 2 for name in COMPONENTS]
    cells = cells.sort(KEY).with_columns(
        (pl.struct("subject", "grade", "school_year").rank("dense") - 1).alias("mean")
    )
    size = cells["mean"].max() + 1
    information, score, solved = np.zeros((size, size)), np.zeros(size), []
    for school in cells.partition_by("semel_mosad", maintain_order=True):
        subject = (s := school["subject"].to_numpy())[:, None] == s
        year = (t := school["school_year"].to_numpy())[:, None] == t
        signal = variances[0] + variances[1] * subject + variances[2] * year
        signal = signal + variances[3] * (subject & year)
        cohort = (c := t - school["grade"].to_numpy())[:, None] == c
        related = COHORT_CORRELATION * COHORT_PERSISTENCE ** np.abs(t[:, None] - t) * cohort
        np.fill_diagonal(related, 1.0)
        error = school["gap_sampling_sd"].to_numpy()
        inverse = np.linalg.inv(signal + related * error[:, None] * error)
        design = np.eye(size)[school["mean"].to_numpy()]
        gap = school["gap_raw_sd"].to_numpy()
        information += design.T @ inverse @ design
        score += design.T @ inverse @ gap
        solved.append((signal, inverse, design, gap))
    fixed = np.linalg.solve(information, score)
    return np.concatenate(
        [x @ fixed + g @ inverse @ (y - x @ fixed) for g, inverse, x, y in solved]
    )
