"""Run the checks of one table with Great Expectations and say what failed, without personal values.

A validation that could not run (a missing column, a broken connection) raises; it is never read
as bad data.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from pipelines.settings.fields import Table, dictionary
from pipelines.warehouse.database import all_threads
from pipelines.warehouse.suites import Check, Expectation

KEYS_SHOWN = 10
LARGE = 1_000_000
"""Rows of a table from which on it is counted where it is, and only doubtful rows are looked at."""


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


def load_beside() -> None:
    """Begin to load Great Expectations beside other work, as it takes seconds: where a table is to
    be made that it had something to say of, or of which nobody knows.
    """
    _loading()


@cache
def _loading() -> Future[Any]:
    return ThreadPoolExecutor(1).submit(_load)


def _library() -> Any:
    return _loading().result()


def _load() -> Any:
    """Import Great Expectations, with its telemetry and progress bars off."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}  # type: ignore[assignment]
    asset = context.data_sources.add_pandas("tables").add_dataframe_asset("table")
    return gx, asset.add_batch_definition_whole_dataframe("all")


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
    rows = connection.sql(f"SELECT count(*) FROM {relation}").fetchall()[0][0]
    columns = sorted({name for check in checks for name in check.columns})
    shown = sorted({*columns, *_shown_key(table)}) if columns else []
    schema = _schema_frame(connection, table, relation)
    parents = {
        f"keys of {parent}": (
            connection.sql(
                f"SELECT {column} FROM {(aside or {}).get(parent, f'core.{parent}')}"
            ).fetchall()
        )
        for column, parent in table.references
    }
    sets = {name: [row[0] for row in rows] for name, rows in parents.items()}
    where = ""
    if rows >= LARGE:
        asked = [item for check in checks for item in check.expectations if item.on == "table"]
        where = _doubtful(connection, relation, asked, sets)
    frame = (
        connection.sql(f"SELECT {', '.join(shown)} FROM {relation} {where}").df()
        if shown
        else pd.DataFrame()
    )
    frames = {"table": (frame, _shown_key(table)), "schema": (schema, ("expected",))}
    failed: dict[str, list[_Failed]] = {check.id: [] for check in checks}
    for on, (content, key) in frames.items():
        wanted = [
            (check.id, item)
            for check in checks
            for item in check.expectations
            # Of a large table only doubtful rows are in the frame, and they are not counted.
            if item.on == on and not (rows >= LARGE and _counts_rows(item))
        ]
        for check_id, found in _failures(content, wanted, key, sets, f"{table.name}.{on}"):
            failed[check_id].append(found)
    return [_result(check, failed[check.id], rows) for check in checks]


def _counts_rows(item: Expectation) -> bool:
    return item.type == "expect_table_row_count_to_be_between" and set(item.arguments) == {
        "min_value"
    }


def _doubtful(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    wanted: Sequence[Expectation],
    sets: Mapping[str, list[Any]],
) -> str:
    """Return the WHERE clause of the rows of a large table that do not surely meet everything.

    A table of tens of millions of rows is counted where it is; empty if an expectation is of a kind
    that is not known here, so that all rows are to be looked at.
    """
    conditions = []
    for item in wanted:
        if _counts_rows(item):
            continue
        condition = _failing(relation, item, sets)
        if condition is None:
            return ""
        conditions.append(condition)
    failing = []
    with all_threads(connection):
        for condition in conditions:
            found = connection.sql(f"SELECT count(*) FROM {relation} WHERE {condition}").fetchall()
            failing += [f"({condition})" for _ in range(found[0][0] > 0)]
    return f"WHERE {' OR '.join(failing) or 'false'}"


def _failing(relation: str, item: Expectation, sets: Mapping[str, list[Any]]) -> str | None:
    """Return in SQL which rows do not meet an expectation; None for a kind not known here."""
    asked = dict(item.arguments)
    is_both = asked.pop("ignore_row_if", None) == "either_value_is_missing"
    column = asked.get("column", "")
    first, second = asked.get("column_A", ""), asked.get("column_B", "")

    def listed() -> str:
        allowed = asked["value_set"]
        values = sets[allowed] if isinstance(allowed, str) else allowed
        return ", ".join(_literal(value) for value in values) or "NULL"

    match item.type.removeprefix("expect_"), sorted(asked):
        case "column_values_to_not_be_null", ["column"]:
            return f"{column} IS NULL"
        case "column_values_to_be_between", ["column", "max_value", "min_value"]:
            low, high = asked["min_value"], asked["max_value"]
            parts = [f"{column} < {low}" for _ in range(low is not None)]
            parts += [f"{column} > {high}" for _ in range(high is not None)]
            return " OR ".join([*parts, f"isnan(CAST({column} AS DOUBLE))"])
        case "column_values_to_be_in_set", ["column", "value_set"]:
            return f"{column} IS NOT NULL AND coalesce({column} NOT IN ({listed()}), true)"
        case "column_values_to_not_be_in_set", ["column", "value_set"]:
            return f"{column} IN ({listed()})"
        case "column_values_to_be_unique", ["column"]:
            return _repeated(relation, [column])
        case "compound_columns_to_be_unique", ["column_list"]:
            return _repeated(relation, asked["column_list"])
        case "column_pair_values_to_be_equal", ["column_A", "column_B"]:
            told = f"{first} = {second}"
            return f"NOT ({told})" if is_both else f"NOT coalesce({told}, false)"
        case "column_pair_values_a_to_be_greater_than_b", ["column_A", "column_B", "or_equal"]:
            told = f"{first} {'>=' if asked['or_equal'] else '>'} {second}"
            return f"NOT ({told})" if is_both else f"NOT coalesce({told}, false)"
    return None


def _repeated(relation: str, columns: Sequence[str]) -> str:
    """Return in SQL which rows share a key."""
    key = ", ".join(columns)
    return (
        f"hash({key}) IN (SELECT hash({key}) AS one FROM {relation} GROUP BY one HAVING count(*) >"
        " 1)"
    )


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value)


@dataclass(frozen=True)
class _Failed:
    """One expectation that does not hold."""

    description: str
    rows: int
    keys: tuple[str, ...]


def _result(check: Check, failed: Sequence[_Failed], checked_rows: int) -> CheckResult:
    return CheckResult(
        check=check,
        is_passed=not failed,
        checked_rows=checked_rows,
        failing_rows=max((item.rows for item in failed), default=0),
        failing_keys=tuple(sorted({key for item in failed for key in item.keys})[:KEYS_SHOWN]),
        failing_expectations=tuple(item.description for item in failed),
    )


def _shown_key(table: Table) -> tuple[str, ...]:
    return tuple(name for name in table.key if dictionary().fields[name].privacy != "personal")


def _schema_frame(
    connection: duckdb.DuckDBPyConnection, table: Table, relation: str
) -> pd.DataFrame:
    described = connection.sql(f"DESCRIBE {relation}").fetchall()
    actual = [f"{name} {type_}" for name, type_, *_ in described]
    expected = [f"{name} {dictionary().fields[name].type}" for name in table.columns]
    pairs = zip_longest(actual, expected, fillvalue="(absent)")
    return pd.DataFrame(pairs, columns=["actual", "expected"])


def _failures(
    frame: pd.DataFrame,
    wanted: Sequence[tuple[str, Expectation]],
    key: Sequence[str],
    sets: Mapping[str, list[Any]],
    name: str,
) -> Iterator[tuple[str, _Failed]]:
    """Yield the check and the failure of each expectation that does not hold.

    What is met beyond doubt is not asked of the library, which takes milliseconds for each. It is
    asked yes or no for the rest, and only what failed again for its rows, which costs more.
    """
    doubted = [(check_id, item) for check_id, item in wanted if not surely_met(frame, item, sets)]
    passed = _validate(frame, doubted, sets, name, {"result_format": "BOOLEAN_ONLY"})
    again = [
        (check_id, item)
        for (check_id, item), result in zip(doubted, passed, strict=True)
        if not result.success
    ]
    details = {
        "result_format": "COMPLETE",
        "unexpected_index_column_names": list(key),
        "include_unexpected_rows": False,
    }
    for (check_id, _), result in zip(
        again, _validate(frame, again, sets, name, details), strict=True
    ):
        count = result.result.get("unexpected_count")
        rows = result.result.get("unexpected_index_list") or []
        yield (
            check_id,
            _Failed(
                description=_describe(result.expectation_config),
                rows=len(frame) if count is None else int(count),
                keys=tuple("/".join(str(row[part]) for part in key) for row in rows),
            ),
        )


def surely_met(frame: pd.DataFrame, item: Expectation, sets: Mapping[str, list[Any]]) -> bool:
    """Return whether every row meets an expectation beyond doubt.

    False says nothing: a kind that is not known here, a column that is absent or of another type.
    Never true where Great Expectations would find a failing row: a test holds the two together.
    """
    asked = dict(item.arguments)
    names = [asked[name] for name in ("column", "column_A", "column_B") if name in asked]
    if not {*names, *asked.get("column_list", ())} <= set(frame.columns):
        return False
    if asked.get("ignore_row_if") == "either_value_is_missing":
        del asked["ignore_row_if"]
        frame = frame.dropna(subset=names)
    columns = [frame[name] for name in names]
    values = columns[0].dropna() if columns else pd.Series(dtype=object)
    match item.type.removeprefix("expect_"), sorted(asked):
        case "column_values_to_not_be_null", ["column"]:
            return len(values) == len(frame)
        case "column_values_to_be_between", ["column", "max_value", "min_value"]:
            low, high = asked["min_value"], asked["max_value"]
            is_number = is_numeric_dtype(values) and not is_bool_dtype(values)
            over, under = low is None or values >= low, high is None or values <= high
            return is_number and bool(np.all(over) and np.all(under))
        case "column_values_to_be_in_set", ["column", "value_set"]:
            allowed = asked["value_set"]
            return bool(values.isin(sets[allowed] if isinstance(allowed, str) else allowed).all())
        case "column_values_to_match_regex", ["column", "regex"]:
            return bool(values.astype(str).str.contains(asked["regex"], regex=True).all())
        case "column_values_to_be_unique", ["column"]:
            return values.is_unique
        case "compound_columns_to_be_unique", ["column_list"]:
            return not frame.duplicated(asked["column_list"]).any()
        case "column_pair_values_to_be_equal", ["column_A", "column_B"]:
            return bool((columns[0] == columns[1]).fillna(False).all())
        case "column_pair_values_a_to_be_greater_than_b", ["column_A", "column_B", "or_equal"]:
            are_numbers = all(is_numeric_dtype(c) and not is_bool_dtype(c) for c in columns)
            return are_numbers and bool((columns[0] >= columns[1]).fillna(False).all())
        case "column_values_to_not_be_in_set", ["column", "value_set"]:
            return not values.isin(asked["value_set"]).any()
        case "table_row_count_to_be_between", ["min_value"]:
            return len(frame) >= asked["min_value"]
    return False


def _validate(
    frame: pd.DataFrame,
    wanted: Sequence[tuple[str, Expectation]],
    sets: Mapping[str, list[Any]],
    name: str,
    result_format: dict[str, Any],
) -> list[Any]:
    """Return one result per expectation, in the order asked.

    Raises:
        CheckError: if an expectation could not be evaluated.
    """
    if not wanted:
        return []
    gx, frames = _library()
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    expectations = []
    for place, (_, item) in enumerate(wanted):
        arguments = dict(item.arguments)
        if isinstance(arguments.get("value_set"), str):
            arguments["value_set"] = sets[arguments["value_set"]]
        configuration = ExpectationConfiguration(
            type=item.type, kwargs=arguments, meta={"place": place}
        )
        expectations.append(configuration.to_domain_obj())
    batch = frames.get_batch(batch_parameters={"dataframe": frame})
    suite = gx.ExpectationSuite(name=name, expectations=expectations)
    results = batch.validate(suite, result_format=result_format).results
    for item in results:
        info = item.exception_info or {}
        for error in [info] if "raised_exception" in info else list(info.values()):
            if error.get("raised_exception"):
                raise CheckError(
                    f"{name}: {_describe(item.expectation_config)} could not run; what the library"
                    " says of it is not passed on, as it may hold values"
                )
    return sorted(results, key=lambda item: item.expectation_config.meta["place"])


def _describe(configuration: Any) -> str:
    arguments = configuration.kwargs
    column = (
        arguments.get("column")
        or arguments.get("column_list")
        or [arguments[name] for name in ("column_A", "column_B") if name in arguments]
    )
    named = column if isinstance(column, str) else ", ".join(column)
    return f"{configuration.type.removeprefix('expect_')}({named})"
