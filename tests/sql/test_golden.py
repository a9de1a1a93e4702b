"""Golden tests of the SQL: small inputs, the exact rows expected (`cases/<table>/<case>.yaml`)."""

from functools import cache
from pathlib import Path

import duckdb
import polars as pl
import pytest
import yaml

from pipelines.settings.fields import PROVENANCE, SQL_FOLDER, dictionary
from pipelines.warehouse.database import SHARED_RAW
from pipelines.warehouse.generated_sql import generated_sql
from pipelines.warehouse.sql_tables import column_lineage, sql_tables, upstream
from pipelines.warehouse.tables import RESULT_COLUMNS as CHECKED

CASES = sorted((Path(__file__).parent / "cases").glob("*/*.yaml"))
SQL = {sql.table.name: sql for sql in sql_tables()}


def types(name):
    fields = dictionary().fields
    if name in SHARED_RAW:
        return SHARED_RAW[name]
    if name.startswith("raw_"):
        return dict.fromkeys((*dictionary().contract(name[4:]).contract, *PROVENANCE), "VARCHAR")
    if name == "check_result":
        return CHECKED
    columns = dictionary().tables[name].columns
    return {column: fields[column].type if column in fields else "VARCHAR" for column in columns}


def run(name, given):
    """Run one SQL file over the given rows; tables not given are empty, columns not given are
    null.
    """
    connection = _empty_tables()
    connection.execute("BEGIN")
    try:
        for read in SQL[name].reads:
            if rows := given.get(read.split(".")[1]):
                held = pl.DataFrame(rows, infer_schema_length=None, strict=False)
                connection.register("held", held)
                connection.execute(f"INSERT INTO {read} BY NAME SELECT * FROM held")
        return connection.sql(
            f"SELECT * FROM ({SQL[name].text}) ORDER BY {', '.join(SQL[name].table.key)}"
        ).pl()
    finally:
        connection.execute("ROLLBACK")


@cache
def _empty_tables():
    """Every table that some SQL file reads, empty; whoever fills one takes it back."""
    connection = duckdb.connect(config={"threads": 1})
    reads = sorted({read for sql in SQL.values() for read in sql.reads})
    made = [f"CREATE SCHEMA {layer};" for layer in sorted({r.split(".")[0] for r in reads})]
    for read in reads:
        columns = ", ".join(f"{c} {type_}" for c, type_ in types(read.split(".")[1]).items())
        made.append(f"CREATE TABLE {read} ({columns});")
    connection.execute("".join(made))
    return connection


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_golden(path):
    case = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    found = run(path.parent.name, case["given"])
    columns = list(case["expect"][0]) if case["expect"] else []
    rows = [
        {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in row.items()
        }
        for row in found.select(columns).to_dicts()
    ]
    assert rows == case["expect"], case["says"]


@pytest.mark.parametrize("name", sorted(SQL))
def test_columns_and_types_are_the_dictionary_s(name):
    found = run(name, {})
    assert tuple(found.columns) == SQL[name].table.columns
    connection = _empty_tables()
    connection.register("found", found)
    described = {row[0]: row[1] for row in connection.sql("DESCRIBE found").fetchall()}
    expected = {column: dictionary().fields[column].type for column in SQL[name].table.columns}
    assert described == expected


@pytest.mark.parametrize("name", sorted(SQL))
def test_lineage_names_only_real_columns(name):
    lineage = column_lineage(SQL[name])
    assert set(lineage) == set(SQL[name].table.columns)
    for behind in lineage.values():
        for table, column in behind:
            assert column in types(table)


def test_every_table_is_made_exactly_once():
    from pipelines import act, aim, decide, diagnose, review
    from pipelines.act.release import MADE_HERE

    made = [
        *SQL,
        *(
            name
            for module in (aim, diagnose, decide, act, review)
            for step in module.STEPS
            for name in step.makes
        ),
    ]
    # What tells of releases is made while publishing.
    assert sorted([*made, *MADE_HERE]) == sorted(dictionary().tables)


@pytest.mark.parametrize("counts", ["core_staged_file", "core_staged_count"])
def test_every_source_is_counted_from_file_to_staging(counts):
    staged = {f"staging.stg_{source}" for source in dictionary().sources}
    assert staged <= set(SQL[counts].reads)


def test_a_file_takes_the_place_of_what_the_dictionary_would_generate():
    """Only sources that need more than casts have a file: an assignment nobody wrote down."""
    written = {path.stem for path in (SQL_FOLDER / "staging").glob("*.sql")}
    assert written == {"stg_programmes__delivery", "stg_programmes__participation"}
    for name in written:
        assert SQL[name].text != generated_sql(dictionary())[name]
        assert "coalesce(assignment_mechanism, 'unknown')" in SQL[name].text


def test_every_core_and_mart_select_has_a_golden_case():
    covered = {path.parent.name for path in CASES}
    copies = {
        name for name, sql in SQL.items() if len(upstream(sql)) <= 1 or sql.table.layer == "staging"
    }
    assert {name for name in SQL if name not in copies} - covered == set()
