"""Run every SQL table on DuckDB and on Spark over one warehouse, and compare row by row.

python -m tests.engines.compare WAREHOUSE SPARK_PYTHON [TABLE …]

Whole numbers, texts, flags and days must be equal; other numbers to nine digits.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from pipelines.warehouse.engines import in_dialect
from pipelines.warehouse.sql_tables import SqlTable, sql_tables

_DIGITS = 1e-9


@dataclass(frozen=True)
class Outcome:
    """How one table compares: `rows` in DuckDB, and what differs; empty if all is equal."""

    table: str
    rows: int
    differs: str


def write_work(warehouse: Path, folder: Path, only: Collection[str] = ()) -> list[SqlTable]:
    """Write what an engine needs, and DuckDB's own results; return the tables compared.

    Tables that read one which the warehouse has not are left out, and those not asked for if some
    are.
    """
    for part in ("given", "wanted", "found"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    tables = []
    with duckdb.connect(str(warehouse), read_only=True, config={"threads": 1}) as connection:
        held = {
            f"{layer}.{name}"
            for layer, name in connection.execute(
                "SELECT schema_name, table_name FROM duckdb_tables()"
            ).fetchall()
        }
        for sql in sql_tables():
            if set(sql.reads) <= held and (not only or sql.table.name in only):
                tables.append(sql)
                place = folder / "wanted" / f"{sql.table.name}.parquet"
                connection.execute(f"COPY ({sql.text}) TO '{place}'")
        for read in sorted({read for sql in tables for read in sql.reads}):
            connection.execute(f"COPY {read} TO '{folder / 'given' / read}.parquet'")
    work = {sql.table.name: in_dialect(sql.text, "spark") for sql in tables}
    (folder / "work.json").write_text(json.dumps(work, ensure_ascii=False, indent=1))
    return tables


def compared(sql: SqlTable, folder: Path, failed: dict[str, str]) -> Outcome:
    """Compare the rows of one table."""
    name = sql.table.name
    wanted = pl.read_parquet(folder / "wanted" / f"{name}.parquet")
    if name in failed:
        return Outcome(name, wanted.height, failed[name])
    parts = list((folder / "found" / name).glob("*.parquet"))
    found = pl.concat([pl.read_parquet(part) for part in parts])
    return Outcome(name, wanted.height, difference(wanted, found, sql.table.key))


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
    """Compare all tables, print a line for each, and return 1 if any differs."""
    warehouse, python = Path(arguments[0]), arguments[1]
    folder = Path(tempfile.mkdtemp(prefix="engines"))
    tables = write_work(warehouse, folder, arguments[2:])
    script = Path(__file__).with_name("on_spark.py")
    subprocess.run([python, str(script), str(folder)], check=True, cwd=folder)
    failed = json.loads((folder / "failed.json").read_text())
    outcomes = [compared(sql, folder, failed) for sql in tables]
    for outcome in outcomes:
        print(f"{outcome.table:34} {outcome.rows:8,}  {outcome.differs or 'equal'}")
    wrong = [outcome for outcome in outcomes if outcome.differs]
    print(f"\n{len(outcomes) - len(wrong)} of {len(outcomes)} tables are equal")
    shutil.rmtree(folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
