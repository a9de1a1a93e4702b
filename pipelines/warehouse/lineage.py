"""Which sources a column of a table comes from, by what tables are made of."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from pipelines.settings.fields import dictionary
from pipelines.warehouse.sql_tables import SqlTable, column_lineage, sql_tables, upstream
from pipelines.warehouse.tables import Step

Cell = tuple[str, str]
"""A table and one of its columns; no column = all of them."""
_SOURCES = ("stg_", "raw_")


@cache
def sources_behind(table: str, column: str, steps: Sequence[Step]) -> tuple[str, ...]:
    """Return the ids of the sources that a column is computed from, sorted.

    SQL says it column by column. Of a Python step its tables are known alone: a column that one of
    them has under the same name is taken to come from there, as a quantity has one name
    everywhere; any other may come from all of them.

    Args:
        table: a table of the dictionary.
        column: one of its columns.
        steps: what is made in Python; what is in none of them and no SQL has no source.
    """
    made = {name: step for step in steps for name in step.makes}
    found, seen, ahead = set(), set(), [(table, column)]
    while ahead:
        cell = ahead.pop()
        if cell in seen:
            continue
        seen.add(cell)
        if cell[0].startswith(_SOURCES):
            found.add(cell[0][len(_SOURCES[0]) :])
        elif cell[0] in _by_sql():
            ahead += _of_sql(_by_sql()[cell[0]], cell[1])
        elif cell[0] in made:
            ahead += _of_step(made[cell[0]], cell[1])
    return tuple(sorted(found & set(dictionary().sources)))


@cache
def _by_sql() -> dict[str, SqlTable]:
    return {sql.table.name: sql for sql in sql_tables()}


def _of_sql(sql: SqlTable, column: str) -> list[Cell]:
    if not column or any(name.startswith("audit.") for name in sql.reads):
        return [(name, "") for name in upstream(sql)]
    return list(column_lineage(sql)[column])


def _of_step(step: Step, column: str) -> list[Cell]:
    tables = dictionary().tables
    same = [
        (name, column) for name in step.reads if name in tables and column in tables[name].columns
    ]
    return same or [(name, "") for name in step.reads]
