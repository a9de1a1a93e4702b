"""Stage `collect`: what do the sources say, and can we trust them.

Each logical source becomes one raw table (text, with file, hash and row), its bad rows going to
quarantine with a reason. Staging and core follow as SQL. A source with a school year can be
refreshed for one year alone: the other years' rows stay as they are.
"""

from collections.abc import Sequence

import dagster as dg
import duckdb
import polars as pl

from pipelines.checks.engine import run_checks
from pipelines.checks.suites import RAW_MAPPED, RAW_ROWS, Check
from pipelines.city import CityFolder
from pipelines.fields import Table, dictionary
from pipelines.sources.files import read_source
from pipelines.sources.quarantine import quarantine_query
from pipelines.tables import (
    FRESHNESS,
    OWNERS,
    POOL,
    as_dagster,
    asset_key,
    check_specs,
    failure,
    record_results,
)
from pipelines.warehouse import ASIDE, Warehouse, swap
from pipelines.workspace import Workspace

_QUARANTINE_COLUMNS = """
    source_id VARCHAR, file_name VARCHAR, file_row INTEGER, column_name VARCHAR,
    reason_code VARCHAR, masked_value VARCHAR, reason_he VARCHAR, reason_en VARCHAR
"""
_FILE_COLUMNS = "source_id VARCHAR, file_name VARCHAR, file_hash VARCHAR, rows_in INTEGER"


def year_key(school_year: int) -> str:
    """Return the partition key of a school year: 2026 is '2025-26'."""
    return f"{school_year - 1}-{school_year % 100:02d}"


def school_year(key: str) -> int:
    """Return the school year of a partition key: '2025-26' is 2026."""
    return int(key[:4]) + 1


def raw_asset(source_id: str, partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """Return the asset of one logical source's raw table."""
    table = dictionary().contract(source_id)
    key = asset_key(f"raw_{source_id}")
    by_year = "school_year" in table.contract
    checks = (RAW_ROWS, RAW_MAPPED)

    @dg.asset(
        key=key,
        description=f"{source_id} as the city's files hold it, as text. A row: {table.row}.",
        metadata={"dagster/column_schema": dg.TableSchema(columns=_raw_columns(table))},
        group_name="collect",
        owners=OWNERS,
        kinds={"duckdb", "file"},
        pool=POOL,
        check_specs=check_specs(key, checks),
        freshness_policy=FRESHNESS,
        partitions_def=partitions if by_year else None,
        backfill_policy=dg.BackfillPolicy.single_run() if by_year else None,
    )
    def _raw(context: dg.AssetExecutionContext, workspace: Workspace, warehouse: Warehouse):
        city = workspace.city()
        every_year = city.city.school_years.all()
        years = (
            [school_year(k) for k in context.partition_keys]
            if context.has_partition_key_range
            else every_year
        )
        rows = read_source(city, source_id, years)
        with warehouse.connect() as connection:
            target = f"raw.raw_{source_id}"
            _write_aside(connection, target, rows, years if set(years) != set(every_year) else None)
            results = run_checks(
                connection, _raw_table(table), target + ASIDE, _applicable(checks, city, source_id)
            )
            record_results(connection, f"raw_{source_id}", results)
            for result in results:
                yield as_dagster(key, result)
            blocked = [(f"raw_{source_id}", r) for r in results if not r.is_passed]
            if blocked:
                connection.execute(f"DROP TABLE {target}{ASIDE}")
                raise failure(blocked)
            swap(connection, target)
            set_aside = _set_aside(connection, source_id, target)
            files = _register_files(connection, source_id, target)
            count = connection.sql(f"SELECT count(*) FROM {target}").fetchall()[0][0]
        yield dg.MaterializeResult(
            asset_key=key,
            metadata={
                "dagster/row_count": count,
                "rows_quarantined": set_aside,
                "files": files,
                "is_mapped": source_id in city.city.sources,
            },
        )

    return _raw


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
            "file_row", type="INTEGER", description="row in the file, the header being row 1"
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


def _applicable(checks: Sequence[Check], city: CityFolder, source_id: str) -> list[Check]:
    """A source that the city does not map is empty, and that is no fault."""
    return [
        check
        if check is not RAW_MAPPED or source_id in city.city.sources
        else Check(check.id, check.severity, check.sentence, ())
        for check in checks
    ]


def _write_aside(
    connection: duckdb.DuckDBPyConnection,
    target: str,
    rows: pl.DataFrame,
    only_years: Sequence[int] | None,
) -> None:
    connection.register("rows", rows)
    kept = ""
    if only_years is not None and _exists(connection, target):
        listed = ", ".join(f"'{year}'" for year in only_years)
        kept = f"SELECT * FROM {target} WHERE school_year NOT IN ({listed}) UNION ALL "
    connection.execute(
        f"CREATE OR REPLACE TABLE {target}{ASIDE} AS SELECT * FROM ({kept}SELECT * FROM rows) ORDER BY file_name, file_row"
    )
    connection.unregister("rows")


def _exists(connection: duckdb.DuckDBPyConnection, target: str) -> bool:
    layer, name = target.split(".")
    query = (
        "SELECT count(*) FROM information_schema.tables WHERE table_schema = ? AND table_name = ?"
    )
    return bool(connection.execute(query, [layer, name]).fetchall()[0][0])


def _set_aside(connection: duckdb.DuckDBPyConnection, source_id: str, target: str) -> int:
    connection.execute(f"CREATE TABLE IF NOT EXISTS raw.raw_quarantine ({_QUARANTINE_COLUMNS})")
    connection.execute("BEGIN")
    connection.execute("DELETE FROM raw.raw_quarantine WHERE source_id = ?", [source_id])
    connection.execute(f"INSERT INTO raw.raw_quarantine {quarantine_query(source_id, target)}")
    connection.execute("COMMIT")
    query = (
        "SELECT count(DISTINCT (file_name, file_row)) FROM raw.raw_quarantine WHERE source_id = ?"
    )
    return connection.execute(query, [source_id]).fetchall()[0][0]


def _register_files(connection: duckdb.DuckDBPyConnection, source_id: str, target: str) -> int:
    connection.execute(f"CREATE TABLE IF NOT EXISTS raw.raw_file ({_FILE_COLUMNS})")
    connection.execute("BEGIN")
    connection.execute("DELETE FROM raw.raw_file WHERE source_id = ?", [source_id])
    connection.execute(
        f"INSERT INTO raw.raw_file SELECT '{source_id}', file_name, max(file_hash), CAST(count(*) AS INTEGER) FROM {target} GROUP BY file_name"
    )
    connection.execute("COMMIT")
    return connection.execute(
        "SELECT count(*) FROM raw.raw_file WHERE source_id = ?", [source_id]
    ).fetchall()[0][0]


def raw_assets(years: Sequence[int]) -> list[dg.AssetsDefinition]:
    """Return the raw assets of all logical sources, partitioned by the city's school years."""
    partitions = dg.StaticPartitionsDefinition([year_key(year) for year in years])
    return [raw_asset(source_id, partitions) for source_id in dictionary().sources]
