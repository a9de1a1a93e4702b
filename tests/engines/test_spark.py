"""Tables made by Spark beside the warehouse: the same rows, and errors that tell no value.

What Spark itself says is in `make validate-spark` and in the slow test; here stands in its place a
process that reads Spark's SQL back into DuckDB's.
"""

import os
import sys
from contextlib import closing

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from pipelines.warehouse.engines import PYTHON, Spark, SparkError, in_spark
from pipelines.warehouse.sql_tables import sql_tables, write_sql
from tests.comparer.__main__ import main as tells_no_difference
from tests.runs import copy_of

STAND_IN = """
import json, os, sys
from pathlib import Path
import duckdb, sqlglot

folder, said = Path(sys.argv[1]), os.fdopen(int(sys.argv[2]), "w")
for line in sys.stdin:
    asked, rows = json.loads(line), duckdb.connect()
    for name, path in asked["given"].items():
        rows.execute(f"CREATE SCHEMA IF NOT EXISTS {name.split('.')[0]}")
        files = f"{path}/*.parquet" if Path(path).is_dir() else path
        rows.execute(f"CREATE VIEW {name} AS SELECT * FROM '{files}'")
    place = folder / asked["name"]
    place.mkdir(parents=True)
    (text,) = sqlglot.transpile(asked["text"], read="spark", write="duckdb")
    rows.execute(f"COPY ({text}) TO '{place}/part.parquet' (FORMAT parquet)")
    print(json.dumps({"failed": "", "told": ""}), file=said, flush=True)
"""
"""Reads no function that only Spark has."""

REFUSES = """
import json, os, sys
for line in sys.stdin:
    answer = {"failed": "AnalysisException", "told": "no such pupil 123456782"}
    os.write(int(sys.argv[2]), (json.dumps(answer) + "\\n").encode())
"""


@pytest.fixture
def standing_in(tmp_path, monkeypatch):
    """Return what puts a script in the place of Spark."""

    def put(script):
        code, python = tmp_path / "stand_in.py", tmp_path / "python"
        code.write_text(script)
        python.write_text(f'#!/bin/sh\nexec {sys.executable} {code} "$2" "$3"\n')
        python.chmod(0o755)
        monkeypatch.setenv(PYTHON, str(python))

    return put


@pytest.fixture
def tables(published):
    """The tables of the small city, to be read."""
    with closing(duckdb.connect(config={"threads": 1})) as connection:
        path = published.workspace().warehouse_path
        connection.execute(f"ATTACH '{path}' AS held (READ_ONLY); USE held")
        yield connection


def test_what_it_makes_of_tables_given_and_made_is_the_same(standing_in, tables, tmp_path):
    standing_in(STAND_IN)
    asked = {sql.table.name: sql for sql in sql_tables()}
    with Spark(tmp_path) as spark:
        # The second reads the first where it lies.
        for name in ("core_school_year", "core_pupil_total", "mart_school_money"):
            write_sql(asked[name])(tables, "memory.main.wanted")
            write_sql(asked[name], spark)(tables, "memory.main.found")
            wanted = tables.sql("FROM memory.main.wanted").pl()
            found = tables.sql("FROM memory.main.found").pl()
            assert wanted.height > 0
            assert found.equals(wanted)
            assert found.schema == wanted.schema
            assert spark.made[f"{asked[name].table.layer}.{name}"].is_dir()


def test_where_it_writes_no_file_the_table_is_empty(standing_in, tables, tmp_path):
    """As Sail does where there is no row."""
    standing_in(REFUSES.replace("AnalysisException", ""))
    (sql,) = (one for one in sql_tables() if one.table.name == "core_pupil_total")
    with Spark(tmp_path) as spark:
        write_sql(sql)(tables, "memory.main.wanted")
        write_sql(sql, spark)(tables, "memory.main.found")
        assert not spark.made
    found = tables.sql("FROM memory.main.found").pl()
    assert found.equals(tables.sql("FROM memory.main.wanted").pl().clear())


def test_every_table_has_words_of_spark():
    for sql in sql_tables():
        said = sqlglot.parse_one(in_spark(sql.text), read="spark")
        assert isinstance(said, exp.Query), sql.table.name
        reads = {f"{one.db}.{one.name}" for one in said.find_all(exp.Table) if one.db}
        assert reads == set(sql.reads), sql.table.name


def test_what_spark_says_of_rows_is_not_told(standing_in, tmp_path):
    standing_in(REFUSES)
    with Spark(tmp_path) as spark, pytest.raises(SparkError) as told:
        spark.make("core.core_school", "SELECT 1", {})
    assert "core.core_school" in str(told.value)
    assert "AnalysisException" in str(told.value)
    assert "123456782" not in str(told.value)


def test_a_spark_that_ends_or_is_not_there_is_told(standing_in, tmp_path, monkeypatch):
    standing_in("raise SystemExit(3)")
    with Spark(tmp_path) as spark, pytest.raises(SparkError, match="ended before"):
        spark.make("core.core_school", "SELECT 1", {})
    monkeypatch.setenv(PYTHON, str(tmp_path / "none"))
    with Spark(tmp_path) as spark, pytest.raises(SparkError, match="make spark-setup") as told:
        spark.make("core.core_school", "SELECT 1", {})
    assert "יש להריץ" in str(told.value)


@pytest.mark.slow
def test_a_city_comes_to_the_same_release_on_spark(published, tmp_path):
    """`engine: spark` in city.yaml, and nothing else."""
    if not os.environ.get(PYTHON):
        pytest.skip(f"{PYTHON} names no Python with pyspark (make spark-setup)")
    place = copy_of(published, tmp_path)
    with (place.raw / "city.yaml").open("a", encoding="utf-8") as settings:
        settings.write("engine: spark\n")
    place.env[PYTHON] = os.environ[PYTHON]
    ran = place.run("--force")
    assert ran.returncode == 0, ran.stdout
    assert tells_no_difference([str(published.current), str(place.current)]) == 0
