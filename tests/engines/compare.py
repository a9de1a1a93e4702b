"""Run every SQL table on DuckDB and on Spark over one warehouse, and compare row by row.

python -m tests.engines.compare WAREHOUSE [TABLE …]

Whole numbers, texts, flags and days must be equal; other numbers to nine digits.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import polars as pl

from pipelines.warehouse.database import qualified
from pipelines.warehouse.engines import Spark, in_spark
from pipelines.warehouse.sql_tables import SqlTable, sql_tables

_DIGITS = 1e-9


@dataclass(frozen=True)
class Outcome:
    """How one table compares: `rows` in DuckDB, and what differs; empty if all is equal."""

    table: str
    rows: int
    differs: str


def compared(
    connection: duckdb.DuckDBPyConnection, sql: SqlTable, spark: Spark, given: Mapping[str, Path]
) -> Outcome:
    """Make one table on both engines of the same rows, and compare."""
    wanted, name = connection.sql(sql.text).pl(), qualified(sql.table)
    told = spark.asked(name, in_spark(sql.text), {read: given[read] for read in sql.reads})
    if told["failed"]:
        return Outcome(sql.table.name, wanted.height, f"{told['failed']}: {told['told']}")
    parts = sorted((spark.folder / "made" / name).glob("*.parquet"))
    found = pl.concat(pl.read_parquet(part) for part in parts) if parts else wanted.clear()
    return Outcome(sql.table.name, wanted.height, difference(wanted, found, sql.table.key))


def difference(wanted: pl.DataFrame, found: pl.DataFrame, key: tuple[str, ...]) -> str:
    """Return the first difference of two tables in words, empty if there is none."""
    if wanted.columns != found.columns:
        return f"columns {found.columns} instead of {wanted.columns}"
    if wanted.height != found.height:
        return f"{found.height} rows instead of {wanted.height}"
    wanted, found = (frame.sort(key, nulls_last=True) for frame in (wanted, found))
    for name in wanted.columns:
        one, other = wanted[name], found[name]
        if one.dtype.is_float() or other.dtype.is_float():
            pairs = zip(one.cast(pl.Float64), other.cast(pl.Float64), strict=True)
            off = [(a, b) for a, b in pairs if not _near(a, b)]
        else:
            same = one.cast(pl.String).eq_missing(other.cast(pl.String))
            off = list(zip(one.filter(~same), other.filter(~same), strict=True))
        if off:
            return f"{name}: {len(off)} of {wanted.height} differ, such as {off[0]}"
    return ""


def _near(one: float | None, other: float | None) -> bool:
    if one is None or other is None or math.isnan(one) or math.isnan(other):
        return one is other or (one is not None and other is not None and math.isnan(one + other))
    return math.isclose(one, other, rel_tol=_DIGITS, abs_tol=_DIGITS)


def main(arguments: list[str]) -> int:
    """Compare all tables, or those asked for, print a line for each, and return 1 if any differs.

    Tables that read one which the warehouse has not are left out.
    """
    only, wrong, given = arguments[1:], 0, dict[str, Path]()
    with (
        duckdb.connect(arguments[0], read_only=True, config={"threads": 1}) as connection,
        TemporaryDirectory(prefix="engines") as folder,
        Spark(Path(folder)) as spark,
    ):
        names = connection.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables()")
        held = {name for (name,) in names.fetchall()}
        tables = [
            sql
            for sql in sql_tables()
            if set(sql.reads) <= held and (not only or sql.table.name in only)
        ]
        spark.given("").parent.mkdir(parents=True)
        for read in sorted({read for sql in tables for read in sql.reads}):
            given[read] = spark.given(read)
            connection.execute(f"COPY {read} TO '{given[read]}'")
        for sql in tables:
            outcome = compared(connection, sql, spark, given)
            print(f"{outcome.table:34} {outcome.rows:8,}  {outcome.differs or 'equal'}", flush=True)
            wrong += bool(outcome.differs)
    print(f"\n{len(tables) - wrong} of {len(tables)} tables are equal")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
