"""A table is left as it stands only where all that it was made from is as it was."""

import duckdb
import pytest

from pipelines.settings.city import load_city
from pipelines.warehouse.assets import make_tables
from pipelines.warehouse.database import ASIDE, LAYERS, Warehouse, swap
from pipelines.warehouse.stamps import Stamp, content, key_of, of_table, put, standing

NAME = "core.one"


@pytest.fixture
def connection():
    """An empty warehouse in memory."""
    with duckdb.connect(config={"threads": 1}) as held:
        for layer in LAYERS:
            held.execute(f"CREATE SCHEMA {layer}")
        yield held


def made(connection, values, stamp=None, name=NAME, type_="DOUBLE"):
    """Put a table of one column in its place, with or without a stamp."""
    connection.execute(f"CREATE TABLE {name}{ASIDE} (number {type_})")
    connection.executemany(f"INSERT INTO {name}{ASIDE} VALUES (?)", [[v] for v in values])
    swap(connection, name, stamp and of_table(connection, f"{name}{ASIDE}", stamp))


def stamped(connection, values, key="key", seen=None, name=NAME):
    """Put a table in its place that was made of a key."""
    made(connection, values, Stamp(len(values), key, seen or {}), name)


@pytest.mark.parametrize(
    ("one", "other"), [([1, 2], [2, 1]), ([0.0], [-0.0]), ([1], [1, 1]), ([None], [0.0])]
)
def test_every_difference_of_rows_is_one_of_content(connection, one, other):
    stamped(connection, one)
    first = content(connection, NAME)
    stamped(connection, one)
    assert content(connection, NAME) == first
    stamped(connection, other)
    assert content(connection, NAME) != first


def test_columns_are_content(connection):
    made(connection, [1])
    first = content(connection, NAME)
    made(connection, [1], type_="INTEGER")
    assert content(connection, NAME) != first


def test_of_what_is_filled_piece_by_piece_the_order_tells_nothing(connection):
    made(connection, [1, 2, 2])
    first = content(connection, NAME)
    made(connection, [2, 1, 2])
    assert content(connection, NAME) == first
    made(connection, [1, 2])
    assert content(connection, NAME) != first
    assert content(connection, "core.none") == ""


def test_a_key_is_of_what_is_read_and_said(connection):
    stamped(connection, [1])
    first = key_of(connection, [NAME], ["said"])
    assert key_of(connection, [NAME], ["said"]) == first
    assert key_of(connection, [NAME], ["other"]) != first
    assert key_of(connection, [NAME, "core.none"], ["said"]) != first
    stamped(connection, [2])
    assert key_of(connection, [NAME], ["said"]) != first


def test_a_table_stands_while_its_key_and_settings_are_the_same(connection, small_city):
    city = load_city(small_city)
    stamped(connection, [1], seen={".planning_year": "another"})
    assert standing(connection, NAME, "key", city) is None
    assert standing(connection, NAME, "key", None) is None
    stamped(connection, [1])
    assert standing(connection, NAME, "key", city).rows == 1
    assert standing(connection, NAME, "other", city) is None
    connection.execute(f"DROP TABLE {NAME}")
    assert standing(connection, NAME, "key", city) is None


def test_what_replaces_a_table_drops_its_stamp(connection):
    stamped(connection, [1])
    made(connection, [1])
    assert standing(connection, NAME, "key") is None
    put(connection, NAME, Stamp(1, "key", {}))
    assert standing(connection, NAME, "key").rows == 1
    made(connection, [1], Stamp(1, None, {}))  # made, and to be made again in the next run
    assert standing(connection, NAME, "key") is None


def test_a_table_whose_checks_are_run_again_and_fail_has_no_stamp(tmp_path):
    """The last good table stays, but not as one whose checks have passed."""
    warehouse = Warehouse(path=str(tmp_path / "warehouse.duckdb"))
    name = "core_city_code"

    def rows(values):
        def write(connection, target):
            connection.execute(
                f"CREATE OR REPLACE TABLE {target} AS SELECT unnest({values}) AS semel_mosad_old,"
                " '111111' AS semel_mosad"
            )

        return {name: write}

    list(make_tables(warehouse, rows(["111111"]), made_of={name: "key"}))
    with warehouse.connect() as connection:
        assert standing(connection, f"core.{name}", "key") is not None
    with pytest.raises(Exception, match="Blocked"):
        list(make_tables(warehouse, rows(["111111", "111111"]), made_of={name: "other"}))
    with warehouse.connect() as connection:
        assert standing(connection, f"core.{name}", "key") is None
        assert connection.execute(f"SELECT count(*) FROM core.{name}").fetchone() == (1,)
