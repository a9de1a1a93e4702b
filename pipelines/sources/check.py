"""How a city's mapping fares, without loading anything: read, stage and check in memory.

    python -m pipelines.sources.check CITY [--source SOURCE_ID]

Nothing blocks here: an unreadable file leaves its source empty, a failed check lets the rest go on,
so that one look shows everything there is to correct. The warehouse is not touched.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from pathlib import Path

import duckdb
import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from pipelines import aim
from pipelines.checks.engine import CheckResult, run_checks
from pipelines.checks.suites import checks_of
from pipelines.city import CityError, CityFolder, load_city
from pipelines.collect import city_knows
from pipelines.fields import dictionary
from pipelines.sources.files import read_source
from pipelines.sources.load import raw_name, settle, write_aside
from pipelines.sql_assets import sql_tables, write_sql
from pipelines.warehouse import LAYERS, create_typed, qualified, swap
from pipelines.workspace import workspace


@dataclass(frozen=True)
class Rehearsal:
    """What a city's files would have led to.

    Attributes:
        connection: the tables `raw`, `staging` and `core` in memory.
        unreadable: source → why its files could not be read.
        results: table and result of every check up to `core`.
    """

    connection: duckdb.DuckDBPyConnection
    unreadable: dict[str, CityError]
    results: list[tuple[str, CheckResult]]

    def table(self, query: str) -> pl.DataFrame:
        """Run one SELECT over the rehearsed tables."""
        return self.connection.sql(query).pl()


def rehearse(city: CityFolder, *, checked: bool = True) -> Rehearsal:
    """Read, stage and check a city's files in memory, from raw to core.

    Args:
        city: the city.
        checked: whether to run the checks, which take longer than the tables themselves.
    """
    connection = duckdb.connect(config={"threads": 1})
    for layer in LAYERS:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {layer}")
    unreadable, known, moment = {}, city_knows(city), datetime.now(UTC).replace(tzinfo=None)
    years = city.city.school_years.all()
    for source_id in dictionary().sources:
        try:
            reading = read_source(city, source_id, years)
        except CityError as error:
            unreadable[source_id] = error
            reading = read_source(_without(city, source_id), source_id, years)
        write_aside(connection, source_id, reading, None)
        swap(connection, raw_name(source_id))
        settle(connection, source_id, reading, known, is_whole=True, moment=moment)
    results = []
    for name in _make(connection, city):
        if checked:
            table = dictionary().tables[name]
            found = run_checks(connection, table, qualified(table), checks_of(table))
            results += [(name, result) for result in found]
    return Rehearsal(connection, unreadable, results)


def _without(city: CityFolder, source_id: str) -> CityFolder:
    sources = {key: value for key, value in city.city.sources.items() if key != source_id}
    return city.model_copy(update={"city": city.city.model_copy(update={"sources": sources})})


def _make(connection: duckdb.DuckDBPyConnection, city: CityFolder) -> Iterator[str]:
    """Make the tables of aim and collect in the order they need one another, naming each."""
    files = {sql.table.name: sql for sql in sql_tables() if sql.stage == "collect"}
    steps = {name: step for step in aim.STEPS for name in step.makes}
    needs = {
        name: {read.split(".")[1] for read in sql.reads} | set(dict(sql.table.references).values())
        for name, sql in files.items()
    } | {name: set(step.reads) for name, step in steps.items()}
    order = TopologicalSorter(
        {name: needed & needs.keys() for name, needed in needs.items()}
    ).static_order()
    for name in order:
        table = dictionary().tables[name]
        if name in files:
            write_sql(files[name])(connection, qualified(table))
        else:
            given = {
                read: connection.sql(f"SELECT * FROM staging.{read}").pl()
                for read in steps[name].reads
            }
            create_typed(
                connection, table, steps[name].compute(city, given)[name], qualified(table)
            )
        yield name


def main(arguments: list[str] | None = None) -> int:
    """Print how each file fared; return 0 if nothing stands in the way of loading, else 1."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.sources.check", description=__doc__)
    parser.add_argument("city", help="name of a folder in data_raw, or a path")
    parser.add_argument("--source", help="show this source only")
    options = parser.parse_args(arguments)
    console = Console()
    try:
        folder = Path(options.city)
        done = rehearse(load_city(folder) if folder.is_dir() else workspace(options.city).city())
    except CityError as error:
        console.print(escape(str(error)), style="red")
        return 2
    return _report(done, options.source, console)


def _report(done: Rehearsal, source: str | None, console: Console) -> int:
    for source_id, error in done.unreadable.items():
        if source in (None, source_id):
            console.print(f"[red]✗ {escape(error.en)}[/red]\n  {escape(error.he)}")
    files = Grid("source", "file", "rows", "staged", "set aside", title="files")
    where = f"WHERE source_id = '{source}'" if source in dictionary().sources else ""
    for row in done.table(
        f"SELECT source_id, file_name, rows_in, rows_staged, rows_quarantined FROM core.core_source_file {where} ORDER BY ALL"
    ).iter_rows():
        files.add_row(*map(str, row))
    console.print(files)
    reasons = Grid("file", "row", "column", "reason", "סיבה", title="set aside: first row of each reason")  # fmt: skip
    for row in done.table(
        f"SELECT file_name, min(file_row) AS file_row, column_name, concat(reason_en, ' (', count(*), ')') AS reason, reason_he FROM core.core_quarantine {where} GROUP BY file_name, column_name, reason_en, reason_he ORDER BY ALL"
    ).iter_rows():
        reasons.add_row(*(escape(str(value)) for value in row))
    if reasons.row_count:
        console.print(reasons)
    failed = [(name, result) for name, result in done.results if not result.is_passed]
    for name, result in failed:
        mark = "[red]✗[/red]" if result.check.severity == "ERROR" else "[yellow]![/yellow]"
        console.print(
            f"{mark} {name}.{result.check.id}: {escape(result.check.sentence)} "
            f"{result.failing_rows} of {result.checked_rows}: {escape(', '.join(result.failing_keys))}"
        )
    blocked = [name for name, result in failed if result.check.blocks]
    console.print(
        f"{len(failed)} checks fail, {len(blocked)} of them would stop the run; nothing was loaded."
        if failed or done.unreadable
        else "Everything passes; nothing was loaded."
    )
    return 1 if blocked or done.unreadable else 0


if __name__ == "__main__":
    raise SystemExit(main())
