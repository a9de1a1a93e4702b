"""The file that the reading benchmark times is one the city's mapping takes, whole."""

import polars as pl

from tests.benchmarks.test_reading_benchmark import SOURCE, YEAR, city_of, stage


def test_the_benchmark_s_city_is_staged_whole(tmp_path):
    city = city_of(tmp_path / "demo_city", 400)
    [mapping] = city.city.sources[SOURCE]
    held = pl.read_csv(city.roots[0] / f"pupil_scores_{YEAR}.csv", infer_schema=False)
    assert set(held.columns) == set(mapping.columns.values())
    assert stage(city) == 400
