"""Gap statistics at national size, and the reading of a large file, each beside an alternative."""

import io

import numpy as np
import pandas as pd
import polars as pl

from models.gaps import fit_components, school_gaps, shrunken_gaps
from tests.gaps.cities import TRUE_SD, city

COMPONENTS = pl.DataFrame({"component": list(TRUE_SD), "component_sd": list(TRUE_SD.values())})


def nation():
    """2,600 schools × 4 subjects × 9 years of one grade."""
    return city(1, schools=2600, years=9, grades=(5,))


def test_national_gaps(benchmark):
    cells = nation()
    found = benchmark.pedantic(shrunken_gaps, (cells, COMPONENTS), rounds=3, iterations=1)
    assert found.height == 2600 * 4 * 9
    assert benchmark.stats["median"] <= 5


def test_national_components(benchmark):
    cells = nation()
    found = benchmark.pedantic(fit_components, (cells,), rounds=1, iterations=1)
    np.testing.assert_allclose(found["component_sd"], list(TRUE_SD.values()), atol=0.02)
    assert benchmark.stats["median"] <= 5


def test_national_schools(benchmark):
    cells = nation()
    found = benchmark.pedantic(school_gaps, (cells, COMPONENTS, 2026, 2028), rounds=3, iterations=1)
    assert found.height == 2600 * 5
    assert benchmark.stats["median"] <= 5


def test_city_components_and_gaps(benchmark):
    cells = city(2)
    benchmark.pedantic(lambda: shrunken_gaps(cells, fit_components(cells)), rounds=3, iterations=1)


def _rows():
    frame = pl.DataFrame({name: np.arange(200_000) % 977 for name in "abcdef"})
    return frame.write_csv().encode()


def test_reading_text_polars(benchmark):
    content = _rows()
    frame = benchmark(lambda: pl.read_csv(io.BytesIO(content), infer_schema=False))
    assert frame.height == 200_000


def test_reading_text_pandas(benchmark):
    content = _rows()
    frame = benchmark(lambda: pd.read_csv(io.BytesIO(content), dtype=str))
    assert len(frame) == 200_000
