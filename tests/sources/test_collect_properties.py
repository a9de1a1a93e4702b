"""What must hold of any file: its order says nothing, and a broken byte breaks nothing else (R22–R24)."""

import random
import shutil

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.checks.engine import run_checks
from pipelines.checks.suites import checks_of
from pipelines.city import load_city
from pipelines.fields import dictionary
from pipelines.sources.check import rehearse
from pipelines.sql_assets import sql_tables, write_sql

# Where a row stood and which bytes it came in is told, and changes with the order.
PROVENANCE = {"core_source_file", "core_staged_file", "core_quarantine", "core_repair"}
CORE = [n for n in dictionary().tables if n.startswith("core_") and n not in PROVENANCE]


def core(folder):
    done = rehearse(load_city(folder), checked=False)
    try:
        held = done.table("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'core'")
        return {
            name: done.table(f"SELECT * FROM core.{name}").sort(dictionary().tables[name].key)
            for name in sorted(set(CORE) & set(held["table_name"]))
        }, done.unreadable
    finally:
        done.connection.close()


@pytest.fixture(scope="module")
def plain(small_city):
    return core(small_city)[0]


def shuffled(folder, rng):
    """Permute the rows and the columns of every CSV; a repeated row must change nothing either."""
    for path in sorted((folder / "files").glob("*.csv")):
        frame = pl.read_csv(path, infer_schema=False)
        order = list(range(frame.height))
        rng.shuffle(order)
        columns = frame.columns
        rng.shuffle(columns)
        frame[order].select(columns).write_csv(path)


def equal_but_for_rounding(found, wanted):
    """Sums of floating-point numbers may differ in the last bit when their terms come otherwise."""
    assert found.keys() == wanted.keys()
    for name, frame in wanted.items():
        assert found[name].equals(frame) or _close(found[name], frame), name


def _close(one, other):
    from polars.testing import assert_frame_equal

    assert_frame_equal(one, other, check_exact=False, rel_tol=1e-12, abs_tol=1e-12)
    return True


def test_a_row_lost_on_its_way_to_staging_is_missed_in_its_file(small_city):
    """The staged rows of a file are counted in staging, so one that is not there is noticed."""
    done = rehearse(load_city(small_city), checked=False)
    table = dictionary().tables["core_source_file"]
    [check] = [check for check in checks_of(table) if check.id == "rows_add_up"]
    try:
        [sound] = run_checks(done.connection, table, "core.core_source_file", [check])
        assert sound.is_passed
        lost = "SELECT min(file_row) FROM raw.raw_attendance__pupil_years WHERE file_name = 'attendance_2025.csv'"
        done.connection.execute(
            f"DELETE FROM staging.stg_attendance__pupil_years WHERE school_year = 2025 AND pupil_hash = (SELECT pupil_hash FROM raw.raw_attendance__pupil_years WHERE file_name = 'attendance_2025.csv' AND file_row = ({lost}))"
        )
        for name in ("core_staged_file", "core_source_file"):
            [sql] = [sql for sql in sql_tables() if sql.table.name == name]
            done.connection.execute(f"DROP TABLE core.{name}")
            write_sql(sql)(done.connection, f"core.{name}")
        [found] = run_checks(done.connection, table, "core.core_source_file", [check])
        assert not found.is_passed
        assert found.check.blocks
        assert found.failing_keys == ("attendance__pupil_years/attendance_2025.csv",)
        row = done.table(
            "SELECT rows_in, rows_staged, rows_lost FROM core.core_source_file WHERE file_name = 'attendance_2025.csv'"
        )
        assert row.rows() == [(row["rows_in"].item(), row["rows_in"].item() - 1, 1)]
    finally:
        done.connection.close()


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(seed=st.integers(0, 10**6))
def test_the_order_of_rows_and_columns_says_nothing(small_city, plain, tmp_path_factory, seed):
    folder = tmp_path_factory.mktemp("shuffled") / "demo_city"
    shutil.copytree(small_city, folder, ignore=shutil.ignore_patterns("truth"))
    shuffled(folder, random.Random(seed))
    found, unreadable = core(folder)
    assert not unreadable
    equal_but_for_rounding(found, plain)


def test_files_split_and_renamed_give_the_same_tables(small_city, plain, tmp_path):
    """A year that comes in three parts under other names, taken by a pattern."""
    folder = tmp_path / "demo_city"
    shutil.copytree(small_city, folder, ignore=shutil.ignore_patterns("truth"))
    for year in range(2022, 2027):
        path = folder / "files" / f"attendance_{year}.csv"
        head, *lines = path.read_text(encoding="utf-8").splitlines()
        for part in range(3):
            name = f"z{2 - part}_attendance_{year}.csv"
            (folder / "files" / name).write_text("\n".join([head, *lines[part::3]]), encoding="utf-8")  # fmt: skip
        path.unlink()
    text = (folder / "city.yaml").read_text(encoding="utf-8")
    (folder / "city.yaml").write_text(
        text.replace("attendance_{school_year}.csv", "'*_attendance_{school_year}.csv'"), encoding="utf-8"
    )  # fmt: skip
    found, unreadable = core(folder)
    assert not unreadable
    equal_but_for_rounding(found, plain)


def test_an_exact_copy_of_a_row_changes_nothing(small_city, plain, tmp_path):
    folder = tmp_path / "demo_city"
    shutil.copytree(small_city, folder, ignore=shutil.ignore_patterns("truth"))
    path = folder / "files" / "attendance_2025.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines, lines[3], lines[9]]), encoding="utf-8")
    found, _ = core(folder)
    found.pop("core_source_year")
    equal_but_for_rounding(found, {k: v for k, v in plain.items() if k != "core_source_year"})


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(data=st.data())
def test_random_bytes_never_crash_and_never_reach_other_files(small_city, tmp_path_factory, data):
    """Whatever happens to a file, the others are staged as before, and what is wrong names the file."""
    folder = tmp_path_factory.mktemp("broken") / "demo_city"
    shutil.copytree(small_city, folder, ignore=shutil.ignore_patterns("truth"))
    paths = sorted((folder / "files").iterdir())
    path = data.draw(st.sampled_from([p for p in paths if "pupil_scores" not in p.name]))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    done = rehearse(load_city(folder), checked=False)
    try:
        for error in done.unreadable.values():
            assert path.name in error.en or "belongs to two responses" in error.en
        files = done.table("SELECT file_name, rows_in, rows_staged, rows_quarantined FROM core.core_source_file")  # fmt: skip
        assert files.filter(pl.col("rows_in") != pl.col("rows_staged") + pl.col("rows_quarantined")).is_empty()  # fmt: skip
        # Nothing else was set aside, but for rows that speak of a school or response the file named.
        touched = done.table(f"SELECT DISTINCT reason_code FROM core.core_quarantine WHERE file_name <> '{path.name}'")  # fmt: skip
        assert set(touched["reason_code"]) <= {"unknown_reference", "no_consent"}
    finally:
        done.connection.close()
