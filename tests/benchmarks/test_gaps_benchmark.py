"""Gap statistics at national size, and the reading of a large file, each beside an alternative."""

import io
import resource
import time

import numpy as np
import pandas as pd
import polars as pl
import pytest
import statsmodels.formula.api as smf

from models.gaps import city_gaps, fit_components, school_gaps, shrunken_gaps, whole_or_part
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


def test_national_answers(benchmark):
    """What the page says of 2,600 schools: gaps of schools and of the country, whole or part,
    trends.
    """
    cells = nation().with_columns(pl.lit(60, pl.Int32).alias("tested_pupils"))

    def answers():
        schools = school_gaps(cells, COMPONENTS, 2026, 2028)
        window = cells.filter(pl.col("school_year") >= 2026)
        return whole_or_part(schools, city_gaps(window, COMPONENTS, schools=2600), COMPONENTS)

    found = benchmark.pedantic(answers, rounds=3, iterations=1)
    assert found.height == 5
    assert benchmark.stats["median"] <= 5


@pytest.mark.parametrize("count", [20_000, 100_000])
def test_gaps_of_a_large_country(benchmark, count):
    """Components, gaps and schools of so many schools × 4 × 9, in seconds of CPU."""
    cells = city(1, schools=count, years=9, grades=(5,))

    def model():
        start = time.process_time()
        components = fit_components(cells)
        shrunken_gaps(cells, components)
        found = school_gaps(cells, components, 2026, 2028)
        return found, time.process_time() - start

    found, cpu_s = benchmark.pedantic(model, rounds=1, iterations=1)
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    benchmark.extra_info.update(cpu_s=cpu_s, gib=gib)
    print(f"{count:,} schools: {cpu_s:.0f} s of CPU, {gib:.2f} GiB")
    assert found.height == count * 5
    assert cpu_s <= 30 * count / 20_000


def test_national_mixed_model_of_one_subject(benchmark):
    """The alternative: statsmodels' MixedLM, a random intercept of schools, for one subject of the
    four.
    """
    cells = nation().filter(pl.col("subject") == "math").to_pandas()

    def fit():
        return smf.mixedlm("gap_raw_sd ~ C(school_year)", cells, groups="semel_mosad").fit(
            reml=True
        )

    found = benchmark.pedantic(fit, rounds=1, iterations=1)
    # It sees the schools' lasting differences (school and school × subject in one), not the years'
    # noise.
    lasting = np.sqrt(TRUE_SD["school"] ** 2 + TRUE_SD["school_subject"] ** 2)
    assert float(found.cov_re.iloc[0, 0]) ** 0.5 == pytest.approx(lasting, abs=0.02)


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
