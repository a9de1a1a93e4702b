"""What must hold of each table, as Great Expectations configurations grouped into named checks.

The general checks (schema, key, values, references) follow from the field dictionary. What only
one table must satisfy stands in `SPECIAL`, each with the sentence a reader acts on.

This module knows the names and arguments of expectations but does not import the library, whose
import takes seconds: definitions load without it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from pipelines.fields import Table, dictionary

Severity = Literal["ERROR", "WARN"]


@dataclass(frozen=True)
class Expectation:
    """One expectation: its Great Expectations type and arguments.

    `on` says which frame it looks at: the table itself, or its schema (one row per column).
    """

    type: str
    arguments: dict[str, Any]
    on: Literal["table", "schema"] = "table"


@dataclass(frozen=True)
class Check:
    """A named check of one table; it passes when all its expectations do.

    Attributes:
        id: short name, unique within the table.
        severity: ERROR blocks what follows, WARN does not.
        sentence: what it means and what to do when it fails.
        columns: columns of the table it reads.
    """

    id: str
    severity: Severity
    sentence: str
    expectations: tuple[Expectation, ...]
    columns: tuple[str, ...] = field(default=())


_SCHEMA = Check(
    id="schema",
    severity="ERROR",
    sentence="The table must have exactly the dictionary's columns, order and types; change sql/fields.yaml and the table together.",
    expectations=(
        Expectation("expect_column_pair_values_to_be_equal", {"column_A": "actual", "column_B": "expected"}, on="schema"),
    ),
)  # fmt: skip


def _not_null(column: str) -> Expectation:
    return Expectation("expect_column_values_to_not_be_null", {"column": column})


def _key(table: Table) -> Check:
    unique = (
        Expectation("expect_column_values_to_be_unique", {"column": table.key[0]})
        if len(table.key) == 1
        else Expectation("expect_compound_columns_to_be_unique", {"column_list": list(table.key)})
    )
    return Check(
        id="key",
        severity="ERROR",
        sentence=f"Each row must be {table.row}: the key ({', '.join(table.key)}) is complete and unique. A repeated key means that a join fans out or a file came twice.",
        expectations=(unique, *(_not_null(column) for column in table.key)),
        columns=table.key,
    )


def _values(table: Table) -> Check | None:
    expectations, columns = [], []
    for name in table.columns:
        item = dictionary().fields[name]
        found = []
        if name not in table.nullable and name not in table.key:
            found.append(_not_null(name))
        if item.allowed:
            found.append(
                Expectation(
                    "expect_column_values_to_be_in_set",
                    {"column": name, "value_set": list(item.allowed)},
                )
            )
        if item.pattern:
            found.append(
                Expectation(
                    "expect_column_values_to_match_regex", {"column": name, "regex": item.pattern}
                )
            )
        if item.min is not None or item.max is not None:
            found.append(
                Expectation(
                    "expect_column_values_to_be_between",
                    {"column": name, "min_value": item.min, "max_value": item.max},
                )
            )
        if found:
            columns.append(name)
            expectations += found
    if not expectations:
        return None
    return Check(
        id="values",
        severity="ERROR",
        sentence="Required values are there, and every value is one the dictionary allows (list, pattern, range).",
        expectations=tuple(expectations),
        columns=tuple(columns),
    )


def _references(table: Table) -> Check | None:
    if not table.references:
        return None
    return Check(
        id="references",
        severity="ERROR",
        sentence="Every code must exist where it is defined: "
        + ", ".join(f"{column} in {parent}" for column, parent in table.references)
        + ". An unknown code usually means a missing row in the register or the registry.",
        expectations=tuple(
            Expectation(
                "expect_column_values_to_be_in_set",
                {"column": column, "value_set": f"keys of {parent}"},
            )
            for column, parent in table.references
        ),
        columns=tuple(column for column, _ in table.references),
    )


def _between(column: str, low: float | None, high: float | None) -> Expectation:
    return Expectation(
        "expect_column_values_to_be_between",
        {"column": column, "min_value": low, "max_value": high},
    )


def _special(
    id_: str,
    severity: Severity,
    sentence: str,
    *expectations: Expectation,
    columns: tuple[str, ...],
) -> Check:
    return Check(id_, severity, sentence, expectations, columns)


_EQUAL_COUNTS = Expectation(
    "expect_column_pair_values_to_be_equal",
    {"column_A": "expected_value", "column_B": "observed_value"},
)

SPECIAL: dict[str, tuple[Check, ...]] = {
    "core_reconciliation": (
        _special(
            "counts_agree", "ERROR",
            "Every count that city.yaml declares (schools and pupils by stream and scope, schools per response) equals the data, and rows in = rows staged + rows quarantined. Correct the file, or the declared count if it is the one that is wrong.",
            _EQUAL_COUNTS, columns=("expected_value", "observed_value"),
        ),
    ),
    "core_direction": (
        _special(
            "nurture_direction", "ERROR",
            "Needier schools must not clearly score higher: a correlation beyond .4 the wrong way means the nurture index or SES column is reversed (1 = strong, 10 = weak).",
            _between("signed_correlation", -0.4, None), columns=("signed_correlation",),
        ),
    ),
    "core_quarantine": (
        _special(
            "nothing_set_aside", "WARN",
            "No row is in quarantine. Each row here names its file, row, column and reason: correct the file and run again.",
            Expectation("expect_table_row_count_to_equal", {"value": 0}), columns=("source_id",),
        ),
    ),
    "core_source_file": (
        _special(
            "quarantined_share", "ERROR",
            "At most 5 % of a file's rows are in quarantine; more means that the mapping or the file is wrong as a whole.",
            _between("quarantined_pct", 0, 5), columns=("quarantined_pct",),
        ),
    ),
    "core_school": (
        _special(
            "city_has_schools", "ERROR",
            "The register holds schools of this city. If not, `authority` in city.yaml is spelt otherwise than in the register.",
            Expectation("expect_table_row_count_to_be_between", {"min_value": 1}), columns=("semel_mosad",),
        ),
    ),
    "core_budget_line": (
        _special(
            "year_type", "WARN",
            "Budget lines are by school year; a calendar-year amount must be converted before the two are added (R7).",
            Expectation("expect_column_values_to_be_in_set", {"column": "year_type", "value_set": ["school_year"]}),
            columns=("year_type",),
        ),
    ),
    "core_climate": (
        _special(
            "respondents_within_eligible", "ERROR",
            "No facet has more respondents than eligible pupils.",
            Expectation(
                "expect_column_pair_values_a_to_be_greater_than_b",
                {"column_A": "eligible_pupils", "column_B": "respondents", "or_equal": True},
            ),
            columns=("eligible_pupils", "respondents"),
        ),
    ),
    "core_school_subject_year": (
        _special(
            "tested_share", "WARN",
            "At least 80 % of a cell's pupils were tested; below that the mean may rest on an exclusion of weak pupils (R26).",
            _between("tested_share_pct", 80, None), columns=("tested_share_pct",),
        ),
    ),
    "mart_allocation_rule": (
        _special(
            "rules_kept", "ERROR",
            "Every rule, recomputed without the solver, is kept by the plan.",
            Expectation("expect_column_values_to_be_in_set", {"column": "is_satisfied", "value_set": [True]}),
            columns=("is_satisfied",),
        ),
    ),
    "mart_allocation_certificate": (
        _special(
            "gap_is_small", "WARN",
            "The plan is proven to be within 0.1 % of the best possible one.",
            _between("optimality_gap_pct", 0, 0.1), columns=("optimality_gap_pct",),
        ),
    ),
    "mart_need_index": (
        _special(
            "interval_holds_value", "ERROR",
            "The need index lies within its own interval.",
            Expectation(
                "expect_column_pair_values_a_to_be_greater_than_b",
                {"column_A": "need", "column_B": "need_lo", "or_equal": True},
            ),
            Expectation(
                "expect_column_pair_values_a_to_be_greater_than_b",
                {"column_A": "need_hi", "column_B": "need", "or_equal": True},
            ),
            columns=("need", "need_lo", "need_hi"),
        ),
    ),
}  # fmt: skip

RAW_ROWS = _special(
    "provenance", "ERROR",
    "Every raw row carries its file, the file's hash and its row, once.",
    Expectation("expect_compound_columns_to_be_unique", {"column_list": ["file_name", "file_row"]}),
    *(_not_null(column) for column in ("file_name", "file_hash", "file_row")),
    columns=("file_name", "file_hash", "file_row"),
)  # fmt: skip
RAW_MAPPED = _special(
    "has_rows", "ERROR",
    "A source that city.yaml maps has rows.",
    Expectation("expect_table_row_count_to_be_between", {"min_value": 1}),
    columns=("file_row",),
)  # fmt: skip


def checks_of(table: Table) -> tuple[Check, ...]:
    """Return the checks of a staged, core or mart table.

    A staged row has passed the same rules on its way out of quarantine, so only the schema is left.
    """
    if table.layer == "staging":
        return (_SCHEMA,)
    general = (_SCHEMA, _key(table), _values(table), _references(table))
    return tuple(check for check in (*general, *SPECIAL.get(table.name, ())) if check is not None)
