"""Run the checks of one table with Great Expectations and say what failed, without personal values.

A validation that could not run (a missing column, a broken connection) raises; it is never read
as bad data.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import duckdb
import pandas as pd

from pipelines.checks.suites import Check, Expectation
from pipelines.fields import Table, dictionary

KEYS_SHOWN = 10


class CheckError(Exception):
    """A check could not be carried out: a fault of the machinery, not of the data."""


@dataclass(frozen=True)
class CheckResult:
    """What one check found.

    `failing_keys` holds up to ten keys of failing rows, without personal columns.
    """

    check: Check
    is_passed: bool
    checked_rows: int
    failing_rows: int
    failing_keys: tuple[str, ...]
    failing_expectations: tuple[str, ...]


@cache
def _library() -> Any:
    """Import Great Expectations (seconds) once, with its telemetry and progress bars off."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    return gx, context.data_sources.add_pandas("tables")


def run_checks(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    relation: str,
    checks: Sequence[Check],
    aside: Mapping[str, str] | None = None,
) -> list[CheckResult]:
    """Validate `relation` (the table, perhaps still aside) against its checks.

    Args:
        connection: an open warehouse.
        table: the table's entry in the dictionary.
        relation: where its rows are now.
        checks: what must hold.
        aside: where tables that are made together with it are now, for its references.

    Raises:
        CheckError: if an expectation could not be evaluated.
    """
    columns = sorted({name for check in checks for name in (*check.columns, *_shown_key(table))})
    frame = connection.sql(f"SELECT {', '.join(columns) or '1 AS one'} FROM {relation}").df()
    schema = _schema_frame(connection, table, relation)
    parents = {
        f"keys of {parent}": connection.sql(
            f"SELECT {column} FROM {(aside or {}).get(parent, f'core.{parent}')}"
        ).fetchall()
        for column, parent in table.references
    }
    sets = {name: [row[0] for row in rows] for name, rows in parents.items()}
    return [_run(table, check, {"table": frame, "schema": schema}, sets) for check in checks]


def _shown_key(table: Table) -> tuple[str, ...]:
    return tuple(name for name in table.key if dictionary().fields[name].privacy != "personal")


def _schema_frame(
    connection: duckdb.DuckDBPyConnection, table: Table, relation: str
) -> pd.DataFrame:
    described = connection.sql(f"DESCRIBE {relation}").fetchall()
    actual = [f"{name} {type_}" for name, type_, *_ in described]
    expected = [f"{name} {dictionary().fields[name].type}" for name in table.columns]
    length = max(len(actual), len(expected))
    pad = lambda items: items + ["(absent)"] * (length - len(items))  # noqa: E731
    return pd.DataFrame({"actual": pad(actual), "expected": pad(expected)})


def _run(
    table: Table, check: Check, frames: Mapping[str, pd.DataFrame], sets: Mapping[str, list[Any]]
) -> CheckResult:
    failing_keys: list[str] = []
    failing_rows, failed = 0, []
    for on in ("schema", "table"):
        expectations = [item for item in check.expectations if item.on == on]
        if not expectations:
            continue
        key = _shown_key(table) if on == "table" else ("expected",)
        for item in _validate(frames[on], expectations, key, sets, f"{table.name}.{check.id}"):
            if item.success:
                continue
            count = item.result.get("unexpected_count")
            failing_rows = max(failing_rows, len(frames[on]) if count is None else int(count))
            failed.append(_describe(item.expectation_config))
            rows = item.result.get("unexpected_index_list") or []
            failing_keys += ["/".join(str(row[name]) for name in key) for row in rows]
    return CheckResult(
        check=check,
        is_passed=not failed,
        checked_rows=len(frames["table"]),
        failing_rows=failing_rows,
        failing_keys=tuple(sorted(set(failing_keys))[:KEYS_SHOWN]),
        failing_expectations=tuple(failed),
    )


def _validate(
    frame: pd.DataFrame,
    expectations: Iterable[Expectation],
    key: Sequence[str],
    sets: Mapping[str, list[Any]],
    name: str,
) -> list[Any]:
    gx, source = _library()
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    configurations = []
    for item in expectations:
        arguments = dict(item.arguments)
        if isinstance(arguments.get("value_set"), str):
            arguments["value_set"] = sets[arguments["value_set"]]
        configurations.append(ExpectationConfiguration(type=item.type, kwargs=arguments))
    asset = source.add_dataframe_asset(name)
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch(
        batch_parameters={"dataframe": frame}
    )
    suite = gx.ExpectationSuite(name=name, expectations=[c.to_domain_obj() for c in configurations])
    result_format = {
        "result_format": "COMPLETE",
        "unexpected_index_column_names": list(key),
        "include_unexpected_rows": False,
    }
    try:
        results = batch.validate(suite, result_format=result_format).results
    finally:
        source.delete_asset(name)
    for item in results:
        errors = item.exception_info or {}
        nested = [errors] if "raised_exception" in errors else list(errors.values())
        for error in nested:
            if error.get("raised_exception"):
                raise CheckError(
                    f"{name}: {_describe(item.expectation_config)} could not run: {error.get('exception_message')}"
                )
    return list(results)


def _describe(configuration: Any) -> str:
    arguments = configuration.kwargs
    column = (
        arguments.get("column")
        or arguments.get("column_list")
        or [arguments[name] for name in ("column_A", "column_B") if name in arguments]
    )
    return f"{configuration.type.removeprefix('expect_')}({column if isinstance(column, str) else ', '.join(column)})"
