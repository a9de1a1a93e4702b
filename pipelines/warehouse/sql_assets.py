"""SQL as assets: one file, one table, one SELECT (`sql/<layer>/<table>.sql`).

Tables that follow from the dictionary have no file (`generated_sql.py`).

What a table reads is taken from the SQL itself, and so is which column comes from which. The
header says what a row is, its key and its stage.
"""

import re
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.lineage import lineage

from pipelines.settings.fields import PROVENANCE, SQL_FOLDER, Table, dictionary
from pipelines.warehouse.database import SHARED_RAW, Warehouse, all_threads, rows_of
from pipelines.warehouse.generated_sql import generated_sql
from pipelines.warehouse.suites import checks_of
from pipelines.warehouse.tables import (
    POOL,
    STAGES,
    Write,
    asset_key,
    check_specs,
    make_tables,
    table_spec,
)

LAYERS = ("staging", "core", "mart")
_STAGE = re.compile(r"^-- Stage: (\w+)\.$", re.MULTILINE)
_EXACT = re.compile(r"^-- Sums: exact\b", re.MULTILINE)
LARGE = 1_000_000
"""Rows of a table from which on what reads it is made by all cores, where it is exact."""


@dataclass(frozen=True)
class SqlTable:
    """One SQL file: its table, stage, text and the tables it reads.

    Attributes:
        is_exact: whether the order of what it reads decides nothing, not even the last digit of a
            sum, so that every core may take part (the header says so; casts have no sums).
    """

    table: Table
    stage: str
    text: str
    reads: tuple[str, ...]
    is_exact: bool = False


def load_sql(path: Path) -> SqlTable:
    """Read one file.

    Raises:
        ValueError: if the file is not one SELECT, its table is in no dictionary or in another
            layer, or its header names no stage.
    """
    table = dictionary().tables.get(path.stem)
    if table is None or table.layer != path.parent.name:
        raise ValueError(
            f"{path}: no table '{path.stem}' of layer '{path.parent.name}' in sql/fields.yaml"
        )
    return _sql_table(table, path.read_text(encoding="utf-8"), path)


def _sql_table(table: Table, text: str, path: Path) -> SqlTable:
    stage = _STAGE.search(text)
    if stage is None or stage[1] not in STAGES:
        raise ValueError(
            f"{path}: the header needs a line '-- Stage: <one of {', '.join(STAGES)}>.'"
        )
    statements = sqlglot.parse(text, dialect="duckdb")
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise ValueError(f"{path}: the file must be exactly one SELECT")
    reads = {f"{item.db}.{item.name}" for item in statements[0].find_all(exp.Table) if item.db}
    is_exact = table.layer == "staging" or _EXACT.search(text) is not None
    return SqlTable(table, stage[1], text, tuple(sorted(reads)), is_exact)


@cache
def sql_tables() -> tuple[SqlTable, ...]:
    """Return every table that SQL makes: from its file, else as the dictionary defines it."""
    files = [path for layer in LAYERS for path in (SQL_FOLDER / layer).glob("*.sql")]
    made = {path.stem: load_sql(path) for path in files}
    for name, text in generated_sql(dictionary()).items():
        if name not in made:
            made[name] = _sql_table(dictionary().tables[name], text, Path("generated_sql.py"))
    return tuple(
        sorted(made.values(), key=lambda sql: (LAYERS.index(sql.table.layer), sql.table.name))
    )


def upstream(sql: SqlTable) -> tuple[str, ...]:
    """Return the tables (assets) a SQL table reads."""
    if any(name.startswith("audit.") for name in sql.reads):
        # What the checks said is known once every other table has been checked.
        return tuple(name for name in dictionary().tables if name != sql.table.name)
    names = {name.split(".")[1] for name in sql.reads}
    shared = names & set(SHARED_RAW)
    names -= shared
    if shared and sql.table.layer != "staging":
        names |= {f"raw_{source}" for source in dictionary().sources}
    return tuple(sorted(names))


@cache
def column_lineage(sql: SqlTable) -> dg.TableColumnLineage:
    """Return, for each column, the columns of other tables it is computed from."""
    # Untrimmed: the trimmed copies of each SELECT are for drawing, and cost three quarters of the
    # time.
    nodes = lineage(None, sql.text, _schema(sql), dialect="duckdb", trim_selects=False)
    deps = {}
    for name in sql.table.columns:
        node = nodes[name]
        sources = {
            (leaf.source.name, leaf.name.split(".")[-1])
            for leaf in node.walk()
            if isinstance(leaf.source, exp.Table)
            and leaf.source.name not in (*SHARED_RAW, "check_result")
        }
        deps[name] = [
            dg.TableColumnDep(asset_key(table), column)
            for table, column in sorted(sources)
            if column != "*"
        ]
    return dg.TableColumnLineage(deps_by_column=deps)


def _schema(sql: SqlTable) -> dict[str, dict[str, dict[str, str]]]:
    schema: dict[str, dict[str, dict[str, str]]] = {}
    for read in sql.reads:
        layer, name = read.split(".")
        if name in SHARED_RAW:
            columns = tuple(SHARED_RAW[name])
        elif layer == "raw":
            columns = (*dictionary().contract(name.removeprefix("raw_")).contract, *PROVENANCE)
        elif layer == "audit":
            columns = dictionary().tables["mart_data_quality"].columns
        else:
            columns = dictionary().tables[name].columns
        schema.setdefault(layer, {})[name] = dict.fromkeys(columns, "VARCHAR")
    return schema


def sql_assets() -> list[dg.AssetsDefinition]:
    """Turn every SQL file into a Dagster asset with its checks.

    Staging tables read nothing but their own raw table, so they are one operation; every operation
    of a run costs a third of a second.
    """
    staged = [sql for sql in sql_tables() if sql.table.layer == "staging"]
    later = [sql for sql in sql_tables() if sql.table.layer != "staging"]
    return [_sql_assets("staging", staged), *(_sql_assets(sql.table.name, [sql]) for sql in later)]


def _sql_assets(name: str, files: Sequence[SqlTable]) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=name,
        specs=[table_spec(sql.table, sql.stage, upstream(sql), kinds={"sql"}) for sql in files],
        check_specs=[
            spec
            for sql in files
            for spec in check_specs(asset_key(sql.table.name), checks_of(sql.table))
        ],
        can_subset=True,
        pool=POOL,
    )
    def _make(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]):
        chosen = {
            sql.table.name: sql
            for sql in files
            if asset_key(sql.table.name) in context.selected_asset_keys
        }

        def metadata(table_name: str) -> dict[str, Any]:
            sql = chosen[table_name]
            return {
                "dagster/column_lineage": column_lineage(sql),
                "sql": dg.MetadataValue.md(f"```sql\n{sql.text}\n```"),
            }

        writers = {table_name: write_sql(sql) for table_name, sql in chosen.items()}
        yield from make_tables(warehouse, writers, metadata)

    return _make


def write_sql(sql: SqlTable) -> Write:
    """Return what writes a SQL table under a name, ordered by its key.

    Large staged tables stay in the order of their files, as what reads them is exact.
    """

    def write(connection: duckdb.DuckDBPyConnection, target: str) -> None:
        is_large = sql.is_exact and any(rows_of(connection, name) >= LARGE for name in sql.reads)
        ordered = f"ORDER BY {', '.join(sql.table.key)}"
        if is_large and sql.table.layer == "staging":
            ordered = ""
        with all_threads(connection) if is_large else nullcontext():
            connection.execute(
                f"CREATE OR REPLACE TABLE {target} AS SELECT * FROM ({sql.text}) {ordered}"
            )

    return write
