"""What SQL makes: one file, one table, one SELECT (`sql/<layer>/<table>.sql`).

Tables that follow from the dictionary have no file (`generated_sql.py`).

What a table reads is taken from the SQL itself, and so is which column comes from which. The
header says what a row is, its key and its stage.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.lineage import lineage

from pipelines.settings.fields import PROVENANCE, SQL_FOLDER, Table, dictionary
from pipelines.warehouse.database import SHARED_RAW
from pipelines.warehouse.generated_sql import generated_sql
from pipelines.warehouse.tables import STAGES, Write

LAYERS = ("staging", "core", "mart")
_STAGE = re.compile(r"^-- Stage: (\w+)\.$", re.MULTILINE)


@dataclass(frozen=True)
class SqlTable:
    """One SQL file: its table, stage, text and the tables it reads."""

    table: Table
    stage: str
    text: str
    reads: tuple[str, ...]


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
    return SqlTable(table=table, stage=stage[1], text=text, reads=tuple(sorted(reads)))


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
def column_lineage(sql: SqlTable) -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Return, for each column, the tables and columns that it is computed from, sorted."""
    # Untrimmed: the trimmed copies of each SELECT are for drawing, and cost three quarters of the
    # time.
    nodes = lineage(None, sql.text, _schema(sql), dialect="duckdb", trim_selects=False)
    found = {}
    for name in sql.table.columns:
        sources = {
            (leaf.source.name, leaf.name.split(".")[-1])
            for leaf in nodes[name].walk()
            if isinstance(leaf.source, exp.Table)
            and leaf.source.name not in (*SHARED_RAW, "check_result")
        }
        found[name] = tuple((table, column) for table, column in sorted(sources) if column != "*")
    return found


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


def write_sql(sql: SqlTable) -> Write:
    """Return what writes a SQL table under a name, ordered by its key."""

    def write(connection: duckdb.DuckDBPyConnection, target: str) -> None:
        ordered = ", ".join(sql.table.key)
        connection.execute(
            f"CREATE OR REPLACE TABLE {target} AS SELECT * FROM ({sql.text}) ORDER BY {ordered}"
        )

    return write
