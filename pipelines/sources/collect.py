"""Stage `collect`: what do the sources say, and can we trust them.

Each logical source becomes one raw table (text, with file, hash and row), its bad rows going to
quarantine with a reason. Staging and core follow as SQL. A source with a school year can be
refreshed for one year alone: the other years' rows stay as they are.

A source is loaded behind those it is held against, wherever the dictionary declares it. As few
operations as that allows load all of them, yearly sources and others by turns, since every
operation of a run costs a third of a second; each source is an asset that can be materialised by
itself.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import dagster as dg
import duckdb

from pipelines.settings.city import CityError, CityFolder
from pipelines.settings.fields import Table, dictionary
from pipelines.settings.seen import Watched
from pipelines.settings.workspace import Workspace
from pipelines.sources.files import Reading, has_large_files, read_source
from pipelines.sources.load import (
    RawRows,
    build_raw,
    keep_superseded,
    prepare,
    raw_name,
    record_load,
    refuse_older,
    replaces_others,
)
from pipelines.sources.order import held_against, is_yearly, operations
from pipelines.sources.quarantine import References
from pipelines.sources.references import city_references
from pipelines.sources.standing import FOLDER, read_from
from pipelines.sources.standing import held_against as asked_about
from pipelines.sources.whole_files import findings, record_findings, refuse_broken
from pipelines.warehouse.assets import (
    FRESHNESS,
    OWNERS,
    POOL,
    as_dagster,
    as_it_stands,
    asset_key,
    check_specs,
    failure,
    record_results,
    told_of,
)
from pipelines.warehouse.checks import CheckResult, run_checks
from pipelines.warehouse.database import ASIDE, Warehouse, swap
from pipelines.warehouse.stamps import Stamp, key_of, put, standing
from pipelines.warehouse.suites import RAW_MAPPED, RAW_ROWS, Check
from pipelines.warehouse.tables import ANEW

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
_CHECKS = (RAW_ROWS, RAW_MAPPED)


def year_key(school_year: int) -> str:
    """Return the partition key of a school year: 2026 is '2025-26'."""
    return f"{school_year - 1}-{school_year % 100:02d}"


def all_years(city: CityFolder) -> dict[str, str]:
    """Return the run tags that ask for every school year of the city."""
    years = city.city.school_years
    return {RANGE_START: year_key(years.first), RANGE_END: year_key(years.last)}


def school_year(key: str) -> int:
    """Return the school year of a partition key: '2025-26' is 2026."""
    return int(key[:4]) + 1


def raw_assets(years: Sequence[int]) -> list[dg.AssetsDefinition]:
    """Return the raw assets of all logical sources, the yearly ones partitioned by school year."""
    partitions = dg.StaticPartitionsDefinition([year_key(year) for year in years])
    before, made = held_against(), []
    turns = operations(before)
    for number, sources in enumerate(turns, start=1):
        own = is_yearly(sources[0])
        name = f"raw_{number}_{'yearly' if own else 'timeless'}"
        later = [source_id for turn in turns[number:] for source_id in turn]
        made.append(_raw_assets(name, sources, later, before, partitions if own else None))
    return made


def _raw_assets(
    name: str,
    sources: Sequence[str],
    later: Sequence[str],
    before: Mapping[str, Sequence[str]],
    partitions: dg.PartitionsDefinition | None,
) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=name,
        specs=[_spec(source_id, before[source_id]) for source_id in sources],
        check_specs=[
            spec
            for source_id in sources
            for spec in check_specs(asset_key(f"raw_{source_id}"), _CHECKS)
        ],
        can_subset=True,
        pool=POOL,
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run() if partitions else None,
    )
    def _raw(
        context: dg.AssetExecutionContext,
        workspace: dg.ResourceParam[Workspace],
        warehouse: dg.ResourceParam[Warehouse],
    ):
        city = workspace.city()
        years = city.city.school_years.all()
        is_anew = ANEW in context.run.tags or not warehouse.may_stand
        if context.has_partition_key_range:
            years = tuple(school_year(key) for key in context.partition_keys)
        selected = [
            source_id
            for source_id in sources
            if asset_key(f"raw_{source_id}") in context.selected_asset_keys
        ]
        faults: list[str] = []
        moment = datetime.now(UTC).replace(tzinfo=None)
        known = city_references(city, workspace.published(), workspace.known_folder)
        with warehouse.connect() as connection:
            prepare(connection)
            for source in _ahead(city, selected, years, connection, known, is_anew=is_anew):
                yield from _collect(source, years, connection, known, moment, faults)
        if faults:
            if len(selected) == len(sources):  # all are loaded, and what waits is not reached
                faults += _unreadable(city, later)
            raise dg.Failure(description="\n".join(faults), allow_retries=False)

    return _raw


def _unreadable(city: CityFolder, sources: Sequence[str]) -> list[str]:
    """Say which sources cannot be read, so that a run that stops names all of them at once."""
    said, years = [], city.city.school_years.all()
    for source_id in sources:
        try:
            if not has_large_files(city, source_id, years):
                read_source(city, source_id, years)
        except CityError as error:
            said.append(str(error))
    return said


@dataclass(frozen=True)
class _Source:
    """A source whose turn it is.

    Attributes:
        id: the logical source.
        settings: the city.
        city: the same, which notes what is read of it for this source.
        held_from: what the source would be read from, as `standing.read_from` says it.
        is_anew: whether it is read though nothing has changed.
        read: returns what its files hold.
    """

    id: str
    settings: CityFolder
    city: CityFolder
    held_from: str | None
    is_anew: bool
    read: Callable[[], Reading]

    def key(self, connection: duckdb.DuckDBPyConnection) -> str | None:
        """Return the key over all that its raw table is made from, but for the settings."""
        if self.held_from is None:
            return None
        against = {f"raw.{raw}" for raw in map("raw_{}".format, held_against()[self.id])}
        return key_of(connection, against | asked_about(self.held_from, self.id), (self.held_from,))

    def standing(self, connection: duckdb.DuckDBPyConnection) -> Stamp | None:
        """Return the stamp of its raw table, if that need not be read again."""
        key = None if self.is_anew else self.key(connection)
        if key is None:
            return None
        return standing(connection, raw_name(self.id), key, self.settings, but=(FOLDER,))


def _ahead(
    city: CityFolder,
    sources: Sequence[str],
    years: Sequence[int],
    connection: duckdb.DuckDBPyConnection,
    known: References,
    *,
    is_anew: bool,
) -> Iterator[_Source]:
    """Yield sources in their order, the next one being read while one is loaded.

    A source with large files is read when its turn comes: it goes into the warehouse at once. So is
    one that seems to stand: only what it is held against, loaded before it, can say otherwise.
    """
    hashed: dict[str, str] = {}
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting: list[_Source] = []
        for source_id in sources:
            watched: CityFolder = Watched(city)  # type: ignore[assignment]
            asked = (watched, source_id, years)
            held_from = read_from(city, source_id, years, known)
            source = _Source(
                source_id, city, watched, held_from, is_anew, partial(read_source, *asked, hashed)
            )
            if has_large_files(city, source_id, years):
                store = RawRows(connection, source_id)
                read = partial(read_source, *asked, None, store)
                waiting.append(replace(source, read=read))
            elif source.standing(connection):
                waiting.append(source)
            else:
                future = pool.submit(read_source, *asked, hashed)
                waiting.append(replace(source, read=future.result))
            if len(waiting) > 1:
                yield waiting.pop(0)
        yield from waiting


def _collect(
    source: _Source,
    years: Sequence[int],
    connection: duckdb.DuckDBPyConnection,
    known: References,
    moment: datetime,
    faults: list[str],
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Load one source; what stops it is added to `faults`, so that the others are still loaded."""
    city, source_id = source.city, source.id
    key, table = asset_key(f"raw_{source_id}"), dictionary().contract(source_id)
    target = raw_name(source_id)
    if stamp := source.standing(connection):
        yield from as_it_stands(f"raw_{source_id}", stamp, stamp.more or {})
        return
    is_whole = set(years) == set(city.city.school_years.all()) or not is_yearly(source_id)
    made_of = source.key(connection) if is_whole else None
    try:
        reading = source.read()
        refuse_older(connection, city, source_id, reading)
        found = findings(connection, city, source_id, reading)
        refuse_broken(city, source_id, reading, found)
        known = known.with_wrong_cells(source_id, reading.rows)
    except CityError as error:
        RawRows(connection, source_id).drop()
        faults.append(str(error))
        return
    if replaces_others(connection, source_id, reading):
        made_of = None  # what was found odd beside them is not found in the next run
    build_raw(connection, source_id, reading, None if is_whole else years)
    results = run_checks(
        connection, _raw_table(table), target + ASIDE, _applicable(city, source_id)
    )
    record_results(connection, f"raw_{source_id}", results)
    told = told_of(results)
    yield from as_dagster(key, told)
    if blocked := _failed(source_id, results):
        connection.execute(f"DROP TABLE {target}{ASIDE}")
        faults.append(str(failure(blocked).description))
        return
    keep_superseded(connection, source_id, reading)
    swap(connection, target)
    record_findings(connection, source_id, reading, found)
    set_aside = record_load(connection, source_id, reading, known, is_whole=is_whole, moment=moment)
    count = connection.sql(f"SELECT count(*) FROM {target}").fetchall()[0][0]
    more = {
        "rows_quarantined": set_aside,
        "files": len(reading.files),
        "is_mapped": source_id in city.city.sources,
    }
    put(connection, target, Stamp(count, made_of, city.seen, told, more))  # type: ignore[attr-defined]
    yield dg.MaterializeResult(asset_key=key, metadata={"dagster/row_count": count, **more})


def _has_files(city: CityFolder, source_id: str) -> bool:
    """Whether the city expects rows of a source: it is mapped, and for at least one year."""
    return any(mapping.years != () for mapping in city.city.sources.get(source_id, ()))


def _failed(source_id: str, results: Sequence[CheckResult]) -> list[tuple[str, CheckResult]]:
    return [(f"raw_{source_id}", result) for result in results if not result.is_passed]


def _spec(source_id: str, before: Sequence[str]) -> dg.AssetSpec:
    table = dictionary().contract(source_id)
    return dg.AssetSpec(
        asset_key(f"raw_{source_id}"),
        deps=[asset_key(f"raw_{name}") for name in before],
        description=f"{source_id} as the city's files hold it, as text. A row: {table.row}.",
        metadata={"dagster/column_schema": dg.TableSchema(columns=_raw_columns(table))},
        group_name="collect",
        owners=OWNERS,
        kinds={"duckdb", "file"},
        freshness_policy=FRESHNESS,
    )


def _raw_columns(table: Table) -> list[dg.TableColumn]:
    described = [
        dg.TableColumn(name, type="VARCHAR", description=dictionary().fields[name].en)
        for name in table.contract
    ]
    return [
        *described,
        dg.TableColumn("file_name", type="VARCHAR", description="file as it arrived"),
        dg.TableColumn("file_hash", type="VARCHAR", description="SHA-256 of the file's bytes"),
        dg.TableColumn(
            "file_row", type="INTEGER", description="row in the file, from 1 at its top"
        ),
    ]


def _raw_table(table: Table) -> Table:
    """Return the raw twin of a staged table, keyed by file and row."""
    return Table(
        name=f"raw_{table.name.removeprefix('stg_')}",
        row=table.row,
        key=("file_name", "file_row"),
        columns=(*table.contract, "file_name", "file_hash", "file_row"),
        nullable=frozenset(table.contract),
        contract=table.contract,
        contract_nullable=table.contract_nullable,
        references=(),
    )


def _applicable(city: CityFolder, source_id: str) -> list[Check]:
    """A source that the city does not map is empty, and that is no fault."""
    return [
        (
            check
            if check is not RAW_MAPPED or _has_files(city, source_id)
            else replace(check, expectations=())
        )
        for check in _CHECKS
    ]
