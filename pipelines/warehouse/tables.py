"""What every table is made by: its stage, its step, its columns and types.

How a table is made of it as an asset – aside, checked, then swapped in – stands in `assets.py`;
what only draws pages or answers a question does not load what runs a run.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import polars as pl

from pipelines.settings.city import CityFolder
from pipelines.settings.fields import dictionary

STAGES = ("aim", "collect", "diagnose", "decide", "act", "review")
ANEW = "tikkun/anew"
"""Tag of a run that must compute everything, though a step remembers its last result."""
REMEMBERED = "tikkun/remembered"
"""Metadata of a table that its step did not compute, as nothing it depends on had changed."""
SCOPE = "tikkun/scope"
"""Tag of a run: which schools its plan covers (R3)."""

Tables = Mapping[str, pl.DataFrame]
Write = Callable[[duckdb.DuckDBPyConnection, str], None]
RESULT_COLUMNS = {
    "table_name": "VARCHAR",
    "check_id": "VARCHAR",
    "quality_dimension": "VARCHAR",
    "severity": "VARCHAR",
    "is_blocking": "BOOLEAN",
    "is_passed": "BOOLEAN",
    "checked_rows": "INTEGER",
    "failing_rows": "INTEGER",
    "failing_keys": "VARCHAR",
    "owner_role": "VARCHAR",
    "rule_he": "VARCHAR",
    "rule_en": "VARCHAR",
    "resolve_he": "VARCHAR",
    "resolve_en": "VARCHAR",
}


_POLARS = {
    "VARCHAR": pl.String,
    "INTEGER": pl.Int32,
    "BIGINT": pl.Int64,
    "DOUBLE": pl.Float64,
    "BOOLEAN": pl.Boolean,
    "DATE": pl.Date,
}


def schema_of(*columns: str) -> dict[str, type[pl.DataType]]:
    """Return the types of columns as the dictionary states them."""
    return {column: _POLARS[dictionary().fields[column].type] for column in columns}


def table_of(name: str, rows: Iterable[Mapping[str, Any] | tuple[Any, ...]]) -> pl.DataFrame:
    """Return rows as a table with the dictionary's columns and types.

    Args:
        name: a table of the dictionary.
        rows: records, in which what may be empty may be absent, or tuples in the order of the
            table's columns.

    Raises:
        ValueError: if a record has other columns or lacks one.
    """
    rows, table = list(rows), dictionary().tables[name]
    for row in rows:
        if isinstance(row, Mapping):
            wrong = row.keys() ^ table.columns
            if wrong - (set(table.nullable) - row.keys()):
                raise ValueError(f"{name}: not its columns, or not given: {sorted(wrong)}")
    return pl.DataFrame(rows, schema=schema_of(*table.columns), orient="row")


def nothing(name: str) -> pl.DataFrame:
    """Return a table without rows: what a step makes when the city has nothing to make it from."""
    return table_of(name, ())


@dataclass(frozen=True)
class Step:
    """A Python step of a stage: reads tables, computes frames, names the tables it makes.

    Attributes:
        name: name of the operation.
        stage: one of the six stages.
        makes: tables the step returns.
        reads: tables it is given.
        compute: the pure function; frames in, frames out.
        after: tables that must have passed their checks first, though they are not read.
        remembers: tables of its own that it is given as it last made them, so as not to compute
            again what has not changed; without rows in a first run or one that computes all anew.
    """

    name: str
    stage: str
    makes: tuple[str, ...]
    reads: tuple[str, ...]
    compute: Callable[[CityFolder, Tables], Tables]
    after: tuple[str, ...] = ()
    remembers: tuple[str, ...] = ()
