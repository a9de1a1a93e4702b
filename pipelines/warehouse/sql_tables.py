"""What SQL makes: one file, one table, one SELECT (`sql/<layer>/<table>.sql`).

Tables that follow from the dictionary have no file (`generated_sql.py`).

What a table reads is taken from the SQL itself, and so is which column comes from which. The
header says what a row is, its key and its stage.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from pipelines.settings.code import code_fingerprint
from pipelines.settings.fields import PROVENANCE, SQL_FOLDER, Table, dictionary
from pipelines.settings.workspace import PROJECT
from pipelines.warehouse.database import SHARED_RAW, all_threads, qualified, rows_of
from pipelines.warehouse.engines import Spark
from pipelines.warehouse.generated_sql import generated_sql
from pipelines.warehouse.tables import STAGES, Write

LAYERS = ("staging", "core", "mart")
_STAGE = re.compile(r"^-- Stage: (\w+)\.$", re.MULTILINE)
_EXACT = re.compile(r"^-- Sums: exact\b", re.MULTILINE)
LARGE = 1_000_000
"""Rows of a table from which on what reads it is made by all cores, where it is exact."""


@dataclass(frozen=True)
class SqlTable:
    """One SQL file: its table, stage, text and the tables it reads."""

    table: Table
    stage: str
    text: str
    reads: tuple[str, ...]

    @property
    def is_exact(self) -> bool:
        """Whether the order of what it reads decides nothing, not even the last digit of a sum.

        Every core may then take part. The header says so; staged tables have no sums.
        """
        return self.table.layer == "staging" or _EXACT.search(self.text) is not None


def load_sql(path: Path, reads: Sequence[str] | None = None) -> SqlTable:
    """Read one file.

    Args:
        path: the file.
        reads: the tables it reads, where they are known; else they are read off it.

    Raises:
        ValueError: if the file is not one SELECT, its table is in no dictionary or in another
            layer, or its header names no stage.
    """
    table = dictionary().tables.get(path.stem)
    if table is None or table.layer != path.parent.name:
        raise ValueError(
            f"{path}: no table '{path.stem}' of layer '{path.parent.name}' in sql/fields.yaml"
        )
    return _sql_table(table, path.read_text(encoding="utf-8"), path, reads)


def _sql_table(table: Table, text: str, path: Path, reads: Sequence[str] | None = None) -> SqlTable:
    stage = _STAGE.search(text)
    if stage is None or stage[1] not in STAGES:
        raise ValueError(
            f"{path}: the header needs a line '-- Stage: <one of {', '.join(STAGES)}>.'"
        )
    reads = _reads(text, path) if reads is None else reads
    return SqlTable(table=table, stage=stage[1], text=text, reads=tuple(reads))


def _reads(text: str, path: Path) -> list[str]:
    """Return the tables that a SELECT reads, sorted."""
    import sqlglot
    from sqlglot import exp

    statements = sqlglot.parse(text, dialect="duckdb")
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise ValueError(f"{path}: the file must be exactly one SELECT")
    found = statements[0].find_all(exp.Table)
    return sorted({f"{item.db}.{item.name}" for item in found if item.db})


@cache
def sql_tables() -> tuple[SqlTable, ...]:
    """Return every table that SQL makes: from its file, else as the dictionary defines it."""
    known = _kept("reads") or {}
    files = [path for layer in LAYERS for path in (SQL_FOLDER / layer).glob("*.sql")]
    made = {path.stem: load_sql(path, known.get(path.stem)) for path in files}
    for name, text in generated_sql(dictionary()).items():
        if name not in made:
            table, path = dictionary().tables[name], Path("generated_sql.py")
            made[name] = _sql_table(table, text, path, known.get(name))
    if not known:
        _keep("reads", {name: sql.reads for name, sql in made.items()})
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


Lineage = Mapping[str, Sequence[tuple[str, str]]]
"""Column → the tables and columns that it is computed from, sorted."""


def column_lineage(sql: SqlTable) -> Lineage:
    """Return, for each column, the tables and columns that it is computed from."""
    return _lineages()[sql.table.name]


@cache
def _lineages() -> Mapping[str, Lineage]:
    """Return the lineage of every table that SQL makes, by name."""
    found = _kept("lineage")
    if found is None:
        found = {sql.table.name: _lineage(sql) for sql in sql_tables()}
        _keep("lineage", found)
    return {
        name: {column: [(table, of) for table, of in behind] for column, behind in own.items()}
        for name, own in found.items()
    }


def _lineage(sql: SqlTable) -> Lineage:
    from sqlglot import exp
    from sqlglot.lineage import lineage

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
        found[name] = [(table, column) for table, column in sorted(sources) if column != "*"]
    return found


# What is read off the SQL takes a second or two, and follows from the project's files alone.
_FROM = ("sql/**/*.sql", "sql/fields.yaml", "pipelines/warehouse/*.py", "requirements.lock")


def _place(what: str) -> Path:
    return PROJECT / ".work" / "sql" / f"{what}-{code_fingerprint(_FROM)}"


def _kept(what: str) -> Any:
    """Return what was read off the SQL as it is now; None where it is not kept whole."""
    with suppress(OSError, ValueError):
        whole, _, said = _place(what).read_text(encoding="utf-8").partition("\n")
        if hashlib.sha256(said.encode()).hexdigest() == whole:
            return json.loads(said)
    return None


def _keep(what: str, found: object) -> None:
    """Keep what was read off the SQL, as it is now; where it cannot be, it is read again."""
    place, said = _place(what), json.dumps(found)
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = place.with_name(f".{what}-{os.getpid()}")
        aside.write_text(f"{hashlib.sha256(said.encode()).hexdigest()}\n{said}", encoding="utf-8")
        aside.replace(place)
        for other in set(place.parent.glob(f"{what}-*")) - {place}:
            other.unlink(missing_ok=True)


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


def write_sql(sql: SqlTable, spark: Spark | None = None) -> Write:
    """Return what writes a SQL table under a name, ordered by its key.

    Large staged tables stay in the order of their files.

    Args:
        sql: the table.
        spark: makes its rows, where DuckDB does not.
    """

    def write(connection: duckdb.DuckDBPyConnection, target: str) -> None:
        is_large = sql.is_exact and any(rows_of(connection, name) >= LARGE for name in sql.reads)
        ordered = f"ORDER BY {', '.join(sql.table.key)}"
        if is_large and sql.table.layer == "staging":
            ordered = ""
        rows = sql.text if spark is None else _rows_of_spark(connection, sql, spark)
        with all_threads(connection) if is_large else nullcontext():
            connection.execute(
                f"CREATE OR REPLACE TABLE {target} AS SELECT * FROM ({rows}) {ordered}"
            )

    return write


def _rows_of_spark(connection: duckdb.DuckDBPyConnection, sql: SqlTable, spark: Spark) -> str:
    """Let Spark make the rows of a table, and return the SELECT that reads them.

    What Spark has made in this run it reads where it lies; the rest is written out for it.
    """
    given = dict(spark.made)
    for name in set(sql.reads) - set(given):
        given[name] = spark.given(name)
        given[name].parent.mkdir(parents=True, exist_ok=True)
        connection.execute(f"COPY {name} TO '{given[name]}' (FORMAT parquet)")
    # Engines differ in the types of what they compute.
    types = {name: dictionary().fields[name].type for name in sql.table.columns}
    columns = ", ".join(f"CAST({name} AS {type_}) AS {name}" for name, type_ in types.items())
    typed = f"SELECT {columns} FROM ({sql.text}) AS made"
    made = spark.make(qualified(sql.table), typed, {name: given[name] for name in sql.reads})
    if made is None:
        nothing = ", ".join(f"CAST(NULL AS {type_}) AS {name}" for name, type_ in types.items())
        return f"SELECT {nothing} WHERE false"
    return f"SELECT {columns} FROM read_parquet('{made}/*.parquet')"
