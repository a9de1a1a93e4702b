"""What is met beyond doubt is not asked of Great Expectations: it would have said so too."""

import math

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.warehouse.checks import _validate, surely_met
from pipelines.warehouse.suites import Expectation
from tests.examples import examples

SETS = {"keys of parent": ["a", "b", "7"]}
TEXTS = st.sampled_from([None, "a", "b", "", "7", "é", "nan"])
WHOLE = st.one_of(st.none(), st.integers(-3, 3))
NUMBERS = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.0, 2.5, 1e300, math.nan, math.inf]))
FLAGS = st.sampled_from([None, True, False])
COLUMNS = {"t": ("VARCHAR", TEXTS), "u": ("VARCHAR", TEXTS), "i": ("INTEGER", WHOLE)} | {
    "d": ("DOUBLE", NUMBERS),
    "f": ("BOOLEAN", FLAGS),
}
NAME = st.sampled_from(list(COLUMNS))


def is_range(low, high):
    """Whether two limits are not both absent, and in order."""
    return (low, high) != (None, None) and (None in (low, high) or low <= high)


IGNORED = st.sampled_from([{}, {"ignore_row_if": "either_value_is_missing"}])
LIMIT = st.one_of(st.none(), st.sampled_from([-1, 0, 1, 2.5]))
EXPECTATIONS = st.one_of(
    st.builds(lambda c: ("column_values_to_not_be_null", {"column": c}), NAME),
    st.builds(lambda c: ("column_values_to_be_unique", {"column": c}), NAME),
    st.builds(
        lambda c, low, high: (
            "column_values_to_be_between",
            {"column": c, "min_value": low, "max_value": high},
        ),
        st.sampled_from(["i", "d"]),
        LIMIT,
        LIMIT,
    ).filter(lambda asked: is_range(*(asked[1][end] for end in ("min_value", "max_value")))),
    st.builds(
        lambda c, allowed: ("column_values_to_be_in_set", {"column": c, "value_set": allowed}),
        NAME,
        st.sampled_from([["a", "b"], [0, 1, 2], [True, False], [1.0], "keys of parent"]),
    ),
    st.builds(
        lambda c, regex: ("column_values_to_match_regex", {"column": c, "regex": regex}),
        st.sampled_from(["t", "u"]),
        st.sampled_from(["^[a-z]$", "a|b", "^$", "7"]),
    ),
    st.builds(
        lambda cs: ("compound_columns_to_be_unique", {"column_list": cs}),
        st.lists(NAME, min_size=2, max_size=3, unique=True),
    ),
    st.builds(
        lambda c, others: (
            "column_values_to_not_be_in_set",
            {"column": c, "value_set": others},
        ),
        NAME,
        st.sampled_from([["a", "b"], [0, 1], [True], [1.0]]),
    ),
    st.builds(
        lambda pair, ignored: (
            "column_pair_values_to_be_equal",
            {"column_A": pair[0], "column_B": pair[1], **ignored},
        ),
        st.sampled_from(["tu", "id"]),
        IGNORED,
    ),
    st.builds(
        lambda pair, ignored: (
            "column_pair_values_a_to_be_greater_than_b",
            {"column_A": pair[0], "column_B": pair[1], "or_equal": True, **ignored},
        ),
        st.sampled_from(["id", "di"]),
        IGNORED,
    ),
    st.builds(
        lambda least: ("table_row_count_to_be_between", {"min_value": least}), st.integers(0, 4)
    ),
)
ROWS = st.lists(st.tuples(*(values for _, values in COLUMNS.values())), max_size=5)


def frame_of(rows):
    """The rows as a check sees them: out of DuckDB."""
    with duckdb.connect() as connection:
        spelled = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
        connection.execute(f"CREATE TABLE t ({spelled})")
        if rows:
            connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", rows)
        return connection.sql("SELECT * FROM t").df()


@settings(max_examples=examples(150), deadline=None, derandomize=True)
@given(ROWS, st.lists(EXPECTATIONS, min_size=1, max_size=6))
def test_what_is_surely_met_is_met(rows, asked):
    frame = frame_of(rows)
    items = [Expectation(f"expect_{kind}", arguments) for kind, arguments in asked]
    sure = [item for item in items if surely_met(frame, item, SETS)]
    results = _validate(
        frame, [("check", item) for item in sure], SETS, "t", {"result_format": "BOOLEAN_ONLY"}
    )
    assert [(item, True) for item in sure] == [
        (item, result.success) for item, result in zip(sure, results, strict=True)
    ]


@pytest.mark.parametrize(
    ("item", "is_met"),
    [
        (Expectation("expect_column_values_to_not_be_null", {"column": "t"}), True),
        (Expectation("expect_column_values_to_not_be_null", {"column": "none"}), False),
        (Expectation("expect_column_values_to_not_be_in_set", {"column": "t"}), False),
        (
            Expectation(
                "expect_column_values_to_not_be_in_set", {"column": "t", "value_set": ["c"]}
            ),
            True,
        ),
        (Expectation("expect_table_row_count_to_be_between", {"min_value": 2}), True),
        (Expectation("expect_table_row_count_to_be_between", {"min_value": 3}), False),
        (Expectation("expect_column_values_to_be_unique", {"column": "t"}), True),
        (Expectation("expect_column_values_to_be_unique", {"column": "n"}), False),
        (
            Expectation(
                "expect_column_values_to_be_between",
                {"column": "n", "min_value": 1, "max_value": None},
            ),
            True,
        ),
        (
            Expectation(
                "expect_column_values_to_be_between",
                {"column": "n", "min_value": 2, "max_value": None},
            ),
            False,
        ),
    ],
)
def test_most_of_what_is_met_is_seen(item, is_met):
    frame = pd.DataFrame({"t": ["a", "b"], "n": [1, 1]})
    assert surely_met(frame, item, {}) is is_met
