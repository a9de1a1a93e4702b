"""How a city's mapping fares, without loading anything: read, stage and check in memory.

Nothing blocks here: an unreadable file leaves its source empty, a failed check lets the rest go on,
so that one look shows everything there is to correct. The warehouse is not touched. A folder of
files and their mapping is enough: it needs no policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from graphlib import TopologicalSorter

import duckdb
import polars as pl

from pipelines import aim
from pipelines.settings.city import CityError, CityFolder
from pipelines.settings.fields import dictionary
from pipelines.sources.files import read_source
from pipelines.sources.load import RawRows, build_raw, raw_name, record_load
from pipelines.sources.order import held_against, in_order
from pipelines.sources.references import city_references
from pipelines.sources.whole_files import findings, record_findings
from pipelines.warehouse.checks import CheckResult, run_checks
from pipelines.warehouse.database import (
    LAYERS,
    create_typed,
    qualified,
    swap,
    without_values,
)
from pipelines.warehouse.sql_tables import sql_tables, write_sql
from pipelines.warehouse.suites import checks_of

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
    unreadable, known, moment = {}, city_references(city), datetime.now(UTC).replace(tzinfo=None)
    years = city.city.school_years.all()
    hashed: dict[str, str] = {}
    for source_id in in_order(held_against()):
        try:
            reading = read_source(city, source_id, years, hashed, RawRows(connection, source_id))
        except CityError as error:
            unreadable[source_id] = error
            reading = read_source(_without(city, source_id), source_id, years)
        odd = findings(connection, city, source_id, reading)
        build_raw(connection, source_id, reading, None)
        swap(connection, raw_name(source_id))
        held = known.with_wrong_cells(source_id, reading.rows)
        record_load(connection, source_id, reading, held, is_whole=True, moment=moment)
        record_findings(connection, source_id, reading, odd)
    results = []
    for name in _make(connection, city):
        if checked:
            table = dictionary().tables[name]
            checks = checks_of(table)
            if name == "core_school_code" and not _REGISTERS & city.city.sources.keys():
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
    made: dict[str, pl.DataFrame] = {}
    for name in order:
        table = dictionary().tables[name]
        with without_values(name):
            if name in files:
                write_sql(files[name])(connection, qualified(table))
            else:
                if name not in made:
                    given = {
                        read: connection.sql(f"SELECT * FROM staging.{read}").pl()
                        for read in steps[name].reads
                    }
                    made |= steps[name].compute(city, given)
                create_typed(connection, table, made[name], qualified(table))
        yield name
