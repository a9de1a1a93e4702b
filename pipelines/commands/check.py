"""How a city's mapping fares, without loading anything: read, stage and check in memory.

    python -m pipelines.commands.check CITY [--source SOURCE_ID]

Nothing blocks here: an unreadable file leaves its source empty, a failed check lets the rest go on,
so that one look shows everything there is to correct. The warehouse is not touched. A folder of
files and their mapping is enough: it needs no policy.
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
from pipelines.settings.city import CityError, CityFolder, load_sources
from pipelines.settings.fields import NO_FAULT, dictionary
from pipelines.settings.workspace import workspace
from pipelines.sources.collect import city_knows
from pipelines.sources.files import read_source, source_files, where_mapped
from pipelines.sources.load import raw_name, settle, write_aside
from pipelines.warehouse.checks import CheckResult, run_checks
from pipelines.warehouse.database import LAYERS, create_typed, qualified, swap
from pipelines.warehouse.sql_assets import sql_tables, write_sql
from pipelines.warehouse.suites import checks_of
from pipelines.warehouse.tables import nothing

_REGISTERS = {"register__schools", "register__school_background"}


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
            checks = checks_of(table)
            if name == "core_school" and not _REGISTERS & city.city.sources.keys():
                # A folder that maps no register, such as one of national files, has no schools.
                checks = tuple(check for check in checks if check.id != "city_has_schools")
            found = run_checks(connection, table, qualified(table), checks)
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
            made = steps[name].compute(city, given)[name]
            # A frame without rows, as of a folder without scales or goals, may know no columns.
            frame = nothing(name) if made.is_empty() else made
            create_typed(connection, table, frame, qualified(table))
        yield name


def _mapped_at(
    city: CityFolder, source_id: str, file: str, column: str, code: str
) -> tuple[str, str]:
    """Return the sheet a column of a file stands on, and the line of city.yaml to look at."""
    found = source_files(city, source_id, city.city.school_years.all())
    number = next(number for path, _, number in found if path.name == file)
    mapping = city.city.sources[source_id][number]
    sheet: str | int = mapping.sheet if mapping.format in ("xlsx", "xls") else ""
    option: tuple[str | int, ...] = ("columns", column)
    for place, other in enumerate(mapping.beside):
        if column in other.added:
            sheet, option = other.sheet, ("beside", place, "columns", column)
    if column in mapping.constants:
        option = ("constants", column)
    if code == "skipped":
        option = ("skip_where", column)
    line = where_mapped(city, source_id, number, *option).removeprefix(
        str(city.folder / "city.yaml")
    )
    return str(sheet), line.split(":")[1]


def main(arguments: list[str] | None = None) -> int:
    """Print how each file fared; return 0 if nothing stands in the way of loading, else 1."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.commands.check", description=__doc__)
    parser.add_argument("city", help="name of a folder in data_raw, or a path")
    parser.add_argument("--source", help="show this source only")
    options = parser.parse_args(arguments)
    console = Console()
    try:
        folder = Path(options.city)
        city = load_sources(
            folder if folder.is_dir() else Path(workspace(options.city).city_folder)
        )
        done = rehearse(city)
    except CityError as error:
        console.print(escape(str(error)), style="red")
        return 2
    return _report(city, done, options.source, console)


def _report(city: CityFolder, done: Rehearsal, source: str | None, console: Console) -> int:
    for source_id, error in done.unreadable.items():
        if source in (None, source_id):
            console.print(f"[red]✗ {escape(error.en)}[/red]\n  {escape(error.he)}")
    files = Grid(
        "source",
        "file",
        "rows",
        "staged",
        "set aside",
        "left out by design",
        title="files: rows = staged + set aside + left out",
    )
    by_design = ", ".join(f"'{code}'" for code in NO_FAULT)
    where = f"WHERE source_id = '{source}'" if source in dictionary().sources else ""
    for row in done.table(f"""
        SELECT source_id, file_name, rows_in, rows_staged,
            rows_quarantined - coalesce(left_out, 0), coalesce(left_out, 0)
        FROM core.core_source_file
        LEFT JOIN (
            SELECT source_id, file_name, count(DISTINCT file_row) AS left_out
            FROM core.core_quarantine WHERE reason_code IN ({by_design}) GROUP BY ALL
        ) USING (source_id, file_name)
        {where} ORDER BY ALL
        """).iter_rows():
        files.add_row(*map(str, row))
    console.print(files)
    reasons = Grid(
        "file",
        "sheet",
        "row",
        "column",
        "line of city.yaml",
        "reason",
        "סיבה",
        title="set aside: first row of each reason",
    )
    for row in done.table(
        "SELECT file_name, source_id, min(file_row) AS file_row, column_name, reason_code,"
        " concat(reason_en, ' (', count(*), ')') AS reason, reason_he FROM core.core_quarantine"
        f" {where} GROUP BY file_name, source_id, column_name, reason_code, reason_en, reason_he"
        " ORDER BY ALL"
    ).iter_rows():
        file, source_id, number, column, code, *said = row
        sheet, line = _mapped_at(city, source_id, file, column, code)
        reasons.add_row(
            *(escape(str(value)) for value in (file, sheet, number, column, line, *said))
        )
    if reasons.row_count:
        console.print(reasons)
    failed = [(name, result) for name, result in done.results if not result.is_passed]
    for name, result in failed:
        mark = "[red]✗[/red]" if result.check.severity == "ERROR" else "[yellow]![/yellow]"
        console.print(
            f"{mark} {name}.{result.check.id}: {escape(result.check.sentence)}"
            f" {result.failing_rows} of {result.checked_rows}:"
            f" {escape(', '.join(result.failing_keys))}\n  {escape(result.check.says.he)}"
            f" {escape(result.check.says.resolve_he)}"
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
