"""How every table of the warehouse is made: under another name, checked, then swapped in.

A blocking check stops what comes after but does not undo a bad write, so nothing replaces the last
good table until its checks have passed (write, audit, publish). `make_tables` makes all of them,
those of SQL and those of Python.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg
import duckdb

from pipelines.settings.city import CityFolder
from pipelines.settings.fields import Table, dictionary
from pipelines.settings.workspace import Workspace
from pipelines.warehouse.checks import CheckResult, run_checks
from pipelines.warehouse.database import (
    ASIDE,
    Warehouse,
    create_typed,
    ensure_table,
    forget_inputs,
    qualified,
    swap,
    without_values,
)
from pipelines.warehouse.memory import Memory
from pipelines.warehouse.suites import Check, checks_of
from pipelines.warehouse.tables import (
    ANEW,
    REMEMBERED,
    RESULT_COLUMNS,
    Step,
    Tables,
    Write,
    nothing,
)

POOL = "warehouse"
OWNERS = ["team:education-department"]
FRESHNESS = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(days=3), warn_window=timedelta(hours=30)
)


def asset_key(name: str) -> dg.AssetKey:
    """Return the asset key of a table: its layer and its name."""
    layer = "raw" if name.startswith("raw_") else dictionary().tables[name].layer
    return dg.AssetKey([layer, name])


def table_spec(table: Table, stage: str, reads: Sequence[str], *, kinds: set[str]) -> dg.AssetSpec:
    """Describe a table to Dagster: what a row is, its columns, its stage and what it reads.

    A table its codes refer to is upstream too: its keys are what the codes are checked against.
    """
    fields = dictionary().fields
    columns = [
        dg.TableColumn(
            name,
            type=fields[name].type,
            description=(
                f"{fields[name].en} [{fields[name].unit}]: {fields[name].description}"
                f" ({fields[name].he})"
            ),
            constraints=dg.TableColumnConstraints(
                nullable=name in table.nullable, unique=table.key == (name,)
            ),
        )
        for name in table.columns
    ]
    return dg.AssetSpec(
        asset_key(table.name),
        deps=[asset_key(name) for name in sorted({*reads, *dict(table.references).values()})],
        description=f"A row: {table.row}. Key: {', '.join(table.key)}.",
        metadata={"dagster/column_schema": dg.TableSchema(columns=columns)},
        group_name=stage,
        owners=OWNERS,
        kinds={"duckdb", *kinds},
        freshness_policy=FRESHNESS,
    )


HOLDS = "holds"
"""The check of a table on the Dagster page. An event costs milliseconds and a city has some eight
hundred checks, so Dagster is told of one a table; `mart_data_quality` has a row for each.
"""


def check_specs(key: dg.AssetKey, checks: Sequence[Check]) -> list[dg.AssetCheckSpec]:
    """Describe the checks of one table to Dagster, and which of them stop the chain."""
    if not checks:
        return []
    stops = {True: " It stops the chain.", False: ""}
    told = "\n".join(f"- {check.id}: {check.sentence}{stops[check.blocks]}" for check in checks)
    is_blocking = any(check.blocks for check in checks)
    return [dg.AssetCheckSpec(HOLDS, asset=key, description=told, blocking=is_blocking)]


def make_tables(
    warehouse: Warehouse,
    writers: Mapping[str, Write],
    metadata: Callable[[str], Mapping[str, Any]] = lambda _: {},
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Build tables aside, check them all, and swap them in only if no blocking check fails.

    Args:
        warehouse: where the tables live.
        writers: for each table, what writes it under the name given.
        metadata: extra metadata for each table's materialisation.

    Raises:
        dagster.Failure: naming each failed blocking check; the last good tables stay in place.
        DataError: if a value does not fit its column.
    """
    tables = [dictionary().tables[name] for name in writers]
    aside = {table.name: qualified(table) + ASIDE for table in tables}
    blocked = []
    with warehouse.connect() as connection:
        for name, write in writers.items():
            with without_values(name):
                write(connection, aside[name])
        for table in tables:
            results = run_checks(connection, table, aside[table.name], checks_of(table), aside)
            record_results(connection, table.name, results)
            yield from as_dagster(asset_key(table.name), results)
            blocked += [(table.name, r) for r in results if not r.is_passed and r.check.blocks]
        if blocked:
            for relation in aside.values():
                connection.execute(f"DROP TABLE IF EXISTS {relation}")
            raise failure(blocked)
        counts = {}
        for table in tables:
            swap(connection, qualified(table))
            counts[table.name] = connection.sql(
                f"SELECT count(*) FROM {qualified(table)}"
            ).fetchall()[0][0]
    for name, count in counts.items():
        yield dg.MaterializeResult(
            asset_key=asset_key(name), metadata={"dagster/row_count": count, **metadata(name)}
        )


def failure(blocked: Sequence[tuple[str, CheckResult]]) -> dg.Failure:
    """Return the error of a blocked write, which no retry can heal."""
    sentences = [
        f"{name}.{result.check.id}: {_told(result)} {result.check.says.he}"
        f" {result.check.says.resolve_he}"
        for name, result in blocked
    ]
    return dg.Failure(
        description="Blocked, the last good table stays in place. " + " | ".join(sentences),
        allow_retries=False,
    )


def as_dagster(key: dg.AssetKey, results: Sequence[CheckResult]) -> Iterator[dg.AssetCheckResult]:
    """Yield a table's results for the Dagster page: what failed with counts and keys, no values.

    Dagster stops at a failed check of severity ERROR, so that is kept for what blocks.
    """
    if not results:
        return
    failed = [result for result in results if not result.is_passed]
    is_blocked = any(result.check.blocks for result in failed)
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name=HOLDS,
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR if is_blocked else dg.AssetCheckSeverity.WARN,
        metadata={"checks": len(results), "checked_rows": results[0].checked_rows}
        | {result.check.id: _told(result) for result in failed},
    )


def _told(result: CheckResult) -> str:
    """Return what failed in a sentence: counts, expectations and keys."""
    return (
        f"{result.failing_rows} of {result.checked_rows} row(s) fail"
        f" ({'; '.join(result.failing_expectations)}); keys:"
        f" {', '.join(result.failing_keys) or 'none to show'}. {result.check.sentence}"
    )


def record_results(
    connection: duckdb.DuckDBPyConnection, name: str, results: Sequence[CheckResult]
) -> None:
    """Keep the last results of a table's checks for the quality page."""
    forget_inputs(connection)
    ensure_table(connection, "audit.check_result", RESULT_COLUMNS)
    connection.execute("DELETE FROM audit.check_result WHERE table_name = ?", [name])
    rows = [
        [
            name,
            r.check.id,
            r.check.dimension,
            r.check.severity,
            r.check.blocks,
            r.is_passed,
            r.checked_rows,
            r.failing_rows,
            ", ".join(r.failing_keys) or None,
            r.check.owner,
            r.check.says.he,
            r.check.says.en,
            r.check.says.resolve_he,
            r.check.says.resolve_en,
        ]
        for r in results
    ]
    if rows:
        row = f"({', '.join('?' * len(RESULT_COLUMNS))})"
        connection.execute(
            f"INSERT INTO audit.check_result VALUES {', '.join([row] * len(rows))}",
            [value for values in rows for value in values],
        )


def python_asset(step: Step) -> dg.AssetsDefinition:
    """Turn a step into one Dagster asset per table it makes."""
    tables = [dictionary().tables[name] for name in step.makes]

    @dg.multi_asset(
        name=step.name,
        specs=[
            table_spec(table, step.stage, (*step.reads, *step.after), kinds={"python"})
            for table in tables
        ],
        check_specs=[
            spec
            for table in tables
            for spec in check_specs(asset_key(table.name), checks_of(table))
        ],
        pool=POOL,
    )
    def _make(
        context: dg.AssetExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        workspace: dg.ResourceParam[Workspace],
    ):
        given = warehouse.tables(step.reads) if step.reads else {}
        is_anew = ANEW in context.run.tags
        held = {} if is_anew or not step.remembers else warehouse.last(step.remembers)
        given |= {name: held.get(name, nothing(name)) for name in step.remembers}
        computed = []

        def compute(city: CityFolder, tables: Tables) -> Tables:
            computed.append(step.name)
            with without_values(step.name):
                return step.compute(city, tables)

        memory = Memory(workspace.memory_path)
        made = memory.made(step.name, workspace.city(), given, compute, is_anew=is_anew)
        writers = {
            table.name: lambda connection, target, table=table: create_typed(
                connection, table, made[table.name], target
            )
            for table in tables
        }
        yield from make_tables(warehouse, writers, lambda _: {} if computed else {REMEMBERED: True})

    return _make
