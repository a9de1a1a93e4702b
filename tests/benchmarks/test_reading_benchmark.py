"""Files through the door, beside pandas reading their bytes: a million rows of one CSV to a typed
table, and the demonstration's small files within a run.
"""

import time
from datetime import datetime

import dagster as dg
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

from models.demo import generate
from models.demo.pupils import pupil_ids
from pipelines.demo.write import write_city
from pipelines.settings.city import load_city
from pipelines.settings.fields import dictionary
from pipelines.settings.workspace import Workspace
from pipelines.sources.collect import all_years, raw_assets
from pipelines.sources.files import read_source
from pipelines.sources.load import build_raw, raw_name, record_load
from pipelines.sources.references import city_references
from pipelines.warehouse.database import LAYERS, Warehouse, qualified, swap
from pipelines.warehouse.run_store import instance
from pipelines.warehouse.sql_tables import sql_tables, write_sql

ROWS, SOURCE, YEAR = 1_000_000, "tests__pupil_scores", 2026


def city_of(folder, rows):
    """Write a small city whose scores of one year are so many rows."""
    write_city(generate(seed=1, profile="small"), folder)
    schools = (
        read_source(load_city(folder), "register__schools", (YEAR,)).rows["semel_mosad"].to_numpy()
    )
    pupil, rng = np.arange(rows) // 4, np.random.default_rng(1)
    pl.DataFrame(
        {
            "pupil_id": pupil_ids(pupil),
            "school_year": YEAR,
            "semel_mosad": schools[pupil % len(schools)],
            "grade": 1 + pupil % 6,
            "subject": np.array(["hebrew", "math", "english", "science"])[np.arange(rows) % 4],
            "test_source": "internal",
            "scale_id": "INT",
            "test_date": "02/05/2026",
            "is_tested": "כן",
            "score": np.round(rng.uniform(1, 100, rows), 1),
            "is_adapted": "לא",
            "test_form": "א",
            "link_id": "INT",
        }
    ).write_csv(folder / "files" / f"pupil_scores_{YEAR}.csv")
    return load_city(folder)


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    return city_of(tmp_path_factory.mktemp("million") / "demo_city", ROWS)


def stage(city):
    """Read, write raw, hold against the rules, and cast: what a refresh of one source does."""
    connection = duckdb.connect(config={"threads": 1})
    for layer in LAYERS:
        connection.execute(f"CREATE SCHEMA {layer}")
    for source_id, years in (
        ("register__schools", city.city.school_years.all()),
        ("register__merges", city.city.school_years.all()),
        (SOURCE, (YEAR,)),
    ):
        reading = read_source(city, source_id, years)
        build_raw(connection, source_id, reading, None)
        swap(connection, raw_name(source_id))
        record_load(
            connection,
            source_id,
            reading,
            city_references(city),
            is_whole=True,
            moment=datetime(2026, 1, 1),
        )
    [sql] = [sql for sql in sql_tables() if sql.table.name == f"stg_{SOURCE}"]
    write_sql(sql)(connection, qualified(sql.table))
    return connection.sql(f"SELECT count(*) FROM {qualified(sql.table)}").fetchall()[0][0]


def test_a_million_rows(benchmark, city):
    assert benchmark.pedantic(stage, (city,), rounds=3, iterations=1) == ROWS
    start = time.perf_counter()
    pd.read_csv(city.roots[0] / f"pupil_scores_{YEAR}.csv", dtype=str)
    benchmark.extra_info["pandas_read_only_s"] = round(time.perf_counter() - start, 2)
    assert benchmark.stats["median"] <= 10


def test_the_demonstrations_small_files_within_a_run(benchmark, tmp_path, monkeypatch):
    """Every source of the generated city, read, checked and loaded by a run that is recorded."""
    folder = tmp_path / "raw" / "demo_city"
    write_city(generate(seed=1), folder)
    files = [path for path in (folder / "files").iterdir() if path.is_file()]
    assert len(files) >= 80
    monkeypatch.setenv("TIKKUN_DAGSTER", str(tmp_path / "dagster"))
    monkeypatch.setenv("DAGSTER_HOME", "")  # the run's own is set anew, and taken back with this

    def fresh():
        work = tmp_path / f"work{time.monotonic_ns()}"
        return (Workspace(str(folder), str(work / "marts"), str(work / "work")),), {}

    def collect(space):
        years = space.city().city.school_years.all()
        warehouse = Warehouse(path=str(space.warehouse_path))
        with instance(space) as history, warehouse.held(print):
            done = dg.materialize(
                raw_assets(years),
                resources={"workspace": space, "warehouse": warehouse},
                instance=history,
                tags=all_years(space.city()),
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
        return len(done.get_asset_materialization_events())

    start = time.process_time()
    loaded = benchmark.pedantic(collect, setup=fresh, rounds=3, iterations=1)
    assert loaded == len(dictionary().sources)
    benchmark.extra_info["cpu_s"] = round((time.process_time() - start) / 3, 2)
    start = time.perf_counter()
    for path in files:
        if path.suffix == ".csv":
            pd.read_csv(path, dtype=str, encoding_errors="replace")
        elif path.suffix == ".xlsx":
            pd.read_excel(path, dtype=str)
    benchmark.extra_info["pandas_read_only_s"] = round(time.perf_counter() - start, 2)
    assert benchmark.stats["median"] <= 8
