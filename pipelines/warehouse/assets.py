"""How every table of the warehouse is made: under another name, checked, then swapped in.

A blocking check stops what comes after but does not undo a bad write, so nothing replaces the last
good table until its checks have passed (write, audit, publish). `make_tables` makes all of them,
those of SQL and those of Python.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import dagster as dg
import duckdb

from pipelines.settings.city import CityFolder
from pipelines.settings.fields import Table, dictionary
from pipelines.settings.workspace import Workspace
from pipelines.warehouse.checks import CheckResult, load_beside, run_checks
from pipelines.warehouse.database import (
    ASIDE,
    Warehouse,
    create_typed,
    drop_stamp,
    ensure_table,
    forget_inputs,
    qualified,
    swap,
    without_values,
)
from pipelines.warehouse.memory import Memory
from pipelines.warehouse.stamps import Stamp, key_of, of_table, referred, standing
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
    made_of: Mapping[str, str] | None = None,
    seen: Mapping[str, str] | None = None,
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Build tables aside, check them all, and swap them in only if no blocking check fails.

    Args:
        warehouse: where the tables live.
        writers: for each table, what writes it under the name given.
        metadata: extra metadata for each table's materialisation.
        made_of: for each table the key over what it is made from (`stamps.key_of`); where there is
            none it will be made again, whatever is the same.
        seen: what was read of the city's files for them.

    Raises:
        dagster.Failure: naming each failed blocking check; the last good tables stay in place.
        DataError: if a value does not fit its column.
    """
    tables = [dictionary().tables[name] for name in writers]
    aside = {table.name: qualified(table) + ASIDE for table in tables}
    blocked, told = [], dict[str, Told | None]()
    with warehouse.connect() as connection:
        for name, write in writers.items():
            with without_values(name):
                write(connection, aside[name])
        for table in tables:
            results = run_checks(connection, table, aside[table.name], checks_of(table), aside)
            record_results(connection, table.name, results)
            told[table.name] = told_of(results)
            yield from as_dagster(asset_key(table.name), told[table.name])
            blocked += [(table.name, r) for r in results if not r.is_passed and r.check.blocks]
        if blocked:
            for relation in aside.values():
                connection.execute(f"DROP TABLE IF EXISTS {relation}")
            raise failure(blocked)
        counts = {}
        for table in tables:
            relation = aside[table.name]
            counts[table.name] = connection.sql(f"SELECT count(*) FROM {relation}").fetchall()[0][0]
            key = (made_of or {}).get(table.name)
            stamp = Stamp(counts[table.name], key, seen or {}, told[table.name])
            swap(connection, qualified(table), of_table(connection, relation, stamp))
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


Told = Mapping[str, Any]
"""What the checks of a table say to Dagster: `passed`, `is_blocked` and `metadata`."""


def told_of(results: Sequence[CheckResult]) -> Told | None:
    """Return what a table's results say: what failed with counts and keys, no values."""
    if not results:
        return None
    failed = [result for result in results if not result.is_passed]
    return {
        "passed": not failed,
        "is_blocked": any(result.check.blocks for result in failed),
        "metadata": {"checks": len(results), "checked_rows": results[0].checked_rows}
        | {result.check.id: _told(result) for result in failed},
    }


def as_dagster(key: dg.AssetKey, told: Told | None) -> Iterator[dg.AssetCheckResult]:
    """Yield what a table's checks say for the Dagster page.

    Dagster stops at a failed check of severity ERROR, so that is kept for what blocks.
    """
    if told is None:
        return
    severity = dg.AssetCheckSeverity
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name=HOLDS,
        passed=told["passed"],
        severity=severity.ERROR if told["is_blocked"] else severity.WARN,
        metadata=told["metadata"],
    )


def as_it_stands(
    name: str, stamp: Stamp, metadata: Mapping[str, Any]
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Tell Dagster of a table that need not be made again.

    Args:
        name: the table.
        stamp: what is known of it.
        metadata: what else is told of it.
    """
    yield from as_dagster(asset_key(name), stamp.told)
    yield dg.MaterializeResult(
        asset_key=asset_key(name), metadata={"dagster/row_count": stamp.rows, **metadata}
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
    ensure_table(connection, "audit.check_result", RESULT_COLUMNS)
    drop_stamp(connection, name)
    connection.execute("BEGIN")
    forget_inputs(connection)
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
    connection.execute("COMMIT")


def expect_doubts(warehouse: Warehouse, names: Iterable[str]) -> None:
    """Have what judges doubts loaded beside the making of tables that it is likely asked of.

    Args:
        warehouse: which knows what the last checks found.
        names: the tables that are about to be made.
    """
    wanted = [name for name in names if checks_of(dictionary().tables[name])]
    if not wanted:
        return
    passed = 0
    with warehouse.connect() as connection, suppress(duckdb.CatalogException):
        query = (
            "SELECT count(*) FROM (SELECT table_name FROM audit.check_result WHERE"
            " list_contains(?, table_name) GROUP BY table_name HAVING bool_and(is_passed))"
        )
        passed = connection.execute(query, [wanted]).fetchall()[0][0]
    if passed < len(wanted):
        load_beside()


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
        is_anew, city = ANEW in context.run.tags, workspace.city()
        keys, stamps = _stamps_of(warehouse, step, tables, city)
        if warehouse.may_stand and not is_anew and all(stamps.values()):
            for name, stamp in stamps.items():
                if stamp:
                    yield from as_it_stands(name, stamp, {REMEMBERED: True})
            return
        expect_doubts(warehouse, step.makes)
        given = warehouse.tables(step.reads) if step.reads else {}
        held = {} if is_anew or not step.remembers else warehouse.last(step.remembers)
        given |= {name: held.get(name, nothing(name)) for name in step.remembers}
        computed = []

        def compute(city: CityFolder, tables: Tables) -> Tables:
            computed.append(step.name)
            with without_values(step.name):
                return step.compute(city, tables)

        memory = Memory(workspace.memory_path)
        made, seen = memory.made(step.name, city, given, compute, is_anew=is_anew)
        writers = {
            table.name: lambda connection, target, table=table: create_typed(
                connection, table, made[table.name], target
            )
            for table in tables
        }
        yield from make_tables(
            warehouse,
            writers,
            lambda _: {} if computed else {REMEMBERED: True},
            {} if seen is None else keys,
            seen,
        )

    return _make


def _stamps_of(
    warehouse: Warehouse, step: Step, tables: Sequence[Table], city: CityFolder
) -> tuple[dict[str, str], dict[str, Stamp | None]]:
    """Return the key of each table of a step, and the stamp of each that need not be made again.

    What a step remembers of itself only spares it work, and is in no key.
    """
    with warehouse.connect() as connection:
        reads = [qualified(dictionary().tables[name]) for name in step.reads]
        own = {qualified(table) for table in tables}
        checked = {name for table in tables for name in referred(table)} - own
        key = key_of(connection, (*reads, *checked), (step.name,))
        stamps = {table.name: standing(connection, qualified(table), key, city) for table in tables}
    return dict.fromkeys(stamps, key), stamps
