"""From a published cell back to what it comes from: tables, files, rows, checks, code (R116).

What a table reads is what Dagster's lineage says: the SQL of a file, or the tables a step is given.
A cell comes from all rows of them; which ones count is said by the SQL and the step.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import polars as pl

from pipelines.act.release import MADE_HERE, MARTS
from pipelines.publish.release import manifest
from pipelines.settings.city import CityError
from pipelines.settings.fields import dictionary
from pipelines.warehouse.sql_tables import sql_tables, upstream
from pipelines.warehouse.tables import Step

# A key may hold a slash, as a row of the work plan does.
_CELL = re.compile(r"(?P<table>\w+)/(?P<key>.*)/(?P<column>\w+)")
SETTINGS = ("city.yaml", "policy.yaml")


@dataclass(frozen=True)
class Cell:
    """One published cell: its address as pages carry it (`data-cell`), and its value."""

    table: str
    key: Mapping[str, str]
    column: str
    value: object


@dataclass(frozen=True)
class Origin:
    """A table on the way, how far from the cell, and what makes it: a SQL file or a step."""

    table: str
    distance: int
    made_by: str
    checks: int
    failed: int


@dataclass(frozen=True)
class File:
    """A file at the end of the way: its SHA-256, and its rows.

    How many rows it has is None where each is one child's event (`untold:` of the dictionary).
    """

    source_id: str
    name: str
    sha256: str
    rows: int | None
    aside: int | None


@dataclass(frozen=True)
class Trace:
    """All that a cell comes from.

    Attributes:
        cell: the cell.
        origins: its table, those it is made from, and so on: the nearest first.
        files: those that feed these tables, by source and name.
        settings: files of settings that feed them, and the SHA-256 of each.
        release: id of the release.
        code: SHA-256 over the code that made it; empty if the release names none.
    """

    cell: Cell
    origins: tuple[Origin, ...]
    files: tuple[File, ...]
    settings: Mapping[str, str]
    release: str
    code: str


def graph(steps: Iterable[Step]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return what makes each table, and the tables it is made from.

    Args:
        steps: the Python steps of all stages.
    """
    made = {
        sql.table.name: (f"sql/{sql.table.layer}/{sql.table.name}.sql", upstream(sql))
        for sql in sql_tables()
    }
    for step in steps:
        module = step.compute.__module__.replace(".", "/")
        made |= dict.fromkeys(step.makes, (f"{module}.py ({step.name})", step.reads))
    # What is made while publishing speaks of the whole release.
    return made | dict.fromkeys(MADE_HERE, ("pipelines/act/release.py (while publishing)", MARTS))


def trace(release: Path, address: str, steps: Iterable[Step]) -> Trace:
    """Follow a published cell back to the files it comes from.

    Args:
        release: folder of the release.
        address: as pages carry it: `table/key=value;key=value/column`.
        steps: the Python steps of all stages.

    Raises:
        CityError: if the release has no such cell.
        ReleaseError: if the release says nothing of itself.
    """
    analyst, said = release / "analyst", manifest(release)
    cell = find(analyst, address)
    made, distance = graph(steps), {cell.table: 0}
    queue = [cell.table]
    for table in queue:
        for name in made.get(table, ("", ()))[1]:
            if name not in distance:
                distance[name] = distance[table] + 1
                queue.append(name)
    quality = pl.read_parquet(analyst / "mart_data_quality.parquet")
    checks = {
        name: (count, failed)
        for name, count, failed in quality.group_by("table_name")
        .agg(pl.len(), (~pl.col("is_passed")).sum().alias("failed"))
        .iter_rows()
    }
    origins = tuple(
        Origin(name, far, made.get(name, ("the source's files", ()))[0], *checks.get(name, (0, 0)))
        for name, far in distance.items()
    )
    sources = {name.removeprefix("raw_") for name in distance if name.startswith("raw_")}
    files = pl.read_parquet(analyst / "mart_source_file.parquet").filter(
        pl.col("source_id").is_in(sources)
    )
    columns = ("source_id", "file_name", "file_hash", "rows_in", "rows_quarantined")
    # Every step is given the city's settings; SQL reads of them what a step has made a table.
    is_set = any(not made[name][0].startswith("sql/") for name in distance if name in made)
    return Trace(
        cell=cell,
        origins=origins,
        files=tuple(File(*row) for row in files.select(columns).sort(columns[:2]).iter_rows()),
        settings={name: said["files"][f"analyst/{name}"] for name in SETTINGS} if is_set else {},
        release=release.name,
        code=said.get("code", ""),
    )


def find(analyst: Path, address: str) -> Cell:
    """Return the cell of an address.

    Args:
        analyst: folder of the analysts' marts.
        address: `table/key=value;key=value/column`.

    Raises:
        CityError: saying which part of the address nothing answers to.
    """
    parts = _CELL.fullmatch(address.strip())
    if parts is None:
        _no_cell(
            address,
            "is no address of a cell; write table/key=value;key=value/column, as data-cell does",
            "אינה כתובת של תא; יש לכתוב טבלה/מפתח=ערך;מפתח=ערך/עמודה",
        )
    table, column, path = parts["table"], parts["column"], analyst / f"{parts['table']}.parquet"
    if not path.is_file():
        _no_cell(address, f"no table {table} is published", f"לא פורסמה טבלה {table}")
    frame = pl.read_parquet(path)
    key = dict(part.split("=", 1) for part in parts["key"].split(";") if "=" in part)
    if column not in frame.columns or set(key) != set(dictionary().tables[table].key):
        named = ", ".join(dictionary().tables[table].key)
        _no_cell(
            address,
            f"{table} has the key {named} and the columns {', '.join(frame.columns)}",
            f"המפתח של {table}: {named}",
        )
    rows = frame.filter(
        *(pl.col(name).cast(pl.String).fill_null("None") == value for name, value in key.items())
    )
    if rows.height != 1:
        _no_cell(address, f"{table} has no such row", f"אין שורה כזו בטבלה {table}")
    return Cell(table, key, column, rows[column].item())


def _no_cell(address: str, en: str, he: str) -> NoReturn:
    raise CityError(f"{address}: {en}.", f"{address}: {he}.")
