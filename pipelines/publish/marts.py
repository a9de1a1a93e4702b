"""Marts as readers get them: one Parquet file a table, and all tables in one DuckDB file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import duckdb
import polars as pl

from pipelines.settings.fields import dictionary

DATABASE = "tikkun.duckdb"
_BLOCK = 16384  # bytes, the least; a table takes one or more, and most marts are small


def write_marts(folder: Path, tables: Mapping[str, pl.DataFrame]) -> None:
    """Write each table as Parquet and all of them into `tikkun.duckdb`, with Hebrew column labels.

    Every table says which schools the plan covers: in the metadata of its file, in its comment
    (R3).
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in sorted(tables.items()):
        frame.write_parquet(
            folder / f"{name}.parquet",
            compression="zstd",
            compression_level=9,
            metadata={"scope": _scope(tables)},
        )
    write_database(folder, tables)


def read_marts(folder: Path) -> dict[str, pl.DataFrame]:
    """Return every table of a published folder, from its Parquet files."""
    return {path.stem: pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}


def write_database(folder: Path, tables: Mapping[str, pl.DataFrame]) -> None:
    """Write all tables into `tikkun.duckdb`, as `write_marts` does."""
    fields, scope = dictionary().fields, _scope(tables)
    connection = duckdb.connect(
        str(folder / DATABASE), config={"threads": 1, "default_block_size": _BLOCK}
    )
    try:
        connection.execute("BEGIN")  # one write to disk, not one for each label
        for name, frame in sorted(tables.items()):
            connection.register("frame", frame)
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM frame")
            connection.unregister("frame")
            said = {f"TABLE {name}": f"A row: {dictionary().tables[name].row}. Scope: {scope}"}
            said |= {
                f"COLUMN {name}.{column}": (
                    f"{fields[column].he} | {fields[column].en} [{fields[column].unit}]"
                )
                for column in frame.columns
            }
            connection.execute("; ".join(_comment(of, text) for of, text in said.items()))
        connection.execute("COMMIT")
    finally:
        connection.close()


def _scope(tables: Mapping[str, pl.DataFrame]) -> str:
    return str(tables["mart_city"]["scope"][0]) if "mart_city" in tables else "unknown"


def _comment(of: str, text: str) -> str:
    quoted = text.replace("'", "''")
    return f"COMMENT ON {of} IS '{quoted}'"


def read_database(path: Path) -> dict[str, pl.DataFrame]:
    """Return every table of a published DuckDB file, in the order it was written."""
    connection = duckdb.connect(str(path), read_only=True)
    try:
        names = [
            row[0]
            for row in connection.execute(
                "SELECT table_name FROM duckdb_tables() ORDER BY 1"
            ).fetchall()
        ]
        return {name: connection.sql(f"SELECT * FROM {name}").pl() for name in names}
    finally:
        connection.close()


def content_hash(path: Path) -> str:
    """Return a SHA-256 of a DuckDB file's content: tables, columns, types and rows in order."""
    digest = hashlib.sha256()
    for name, frame in read_database(path).items():
        digest.update(f"{name} {frame.schema}\n".encode())
        digest.update(frame.write_csv().encode())
    return digest.hexdigest()
