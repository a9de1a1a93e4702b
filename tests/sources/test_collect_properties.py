"""What must hold of any file: order says nothing, a broken byte breaks no other row (R22–R24)."""

import random
import shutil

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.rehearsal import rehearse
from pipelines.settings.city import load_city
from pipelines.settings.fields import dictionary
from pipelines.warehouse.checks import run_checks
from pipelines.warehouse.sql_tables import sql_tables, write_sql
from pipelines.warehouse.suites import checks_of
from tests.examples import examples
from tests.sources.tables import frame_of, write

# Where a row stood and which bytes it came in is told, and changes with the order.
PROVENANCE = {"core_source_file", "core_staged_file", "core_quarantine", "core_repair"}
# What of a raw row says only where it stood.
PLACE = {"file_name", "file_hash", "file_row"}
CORE = [n for n in dictionary().tables if n.startswith("core_") and n not in PROVENANCE]


@pytest.fixture(scope="module")
def small(small_city):
    """The small city rehearsed once; a test that changes its tables takes the change back."""
    done = rehearse(load_city(small_city), checked=False)
    yield done
    done.connection.close()


def core(done):
    """Tables of core, each by its key."""
    held = done.table("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'core'")
    return {
        name: done.table(f"SELECT * FROM core.{name}").sort(dictionary().tables[name].key)
        for name in sorted(set(CORE) & set(held["table_name"]))
    }


def core_of(folder):
    """Tables of core of a city's folder, all of whose files can be read."""
    done = rehearse(load_city(folder), checked=False)
    try:
        assert not done.unreadable
        return core(done)
    finally:
        done.connection.close()


@pytest.fixture(scope="module")
def plain(small):
    return core(small)


@pytest.fixture(scope="module")
def several(small_city, tmp_path_factory):
    """The small city with attendance in three files a year, and rows that contradict each other."""
    folder = tmp_path_factory.mktemp("several") / "demo_city"
    shutil.copytree(small_city, folder, ignore=shutil.ignore_patterns("truth"))
    in_parts(folder)
    for name, column in (
        ("z0_attendance_2025.csv", "absence_days"),
        ("schools_2026.xlsx", "תלמידים"),
        ("climate_2026.csv", "respondents"),
    ):
        path = folder / "files" / name
        frame = frame_of(path)
        twin = frame[3].with_columns(pl.lit("1").alias(column))
        write(pl.concat([frame, frame[5], twin]), path)
    done = rehearse(load_city(folder), checked=False)
    yield folder, done
    done.connection.close()


@pytest.fixture(scope="module")
def wanted(several):
    return core(several[1])


def in_parts(folder):
    """Let the attendance of each year come in three files under other names, taken by a pattern."""
    for path in sorted((folder / "files").glob("attendance_*.csv")):
        frame = frame_of(path)
        for part in range(3):
            write(frame[part::3], path.with_name(f"z{2 - part}_{path.name}"))
        path.unlink()
    text = (folder / "city.yaml").read_text(encoding="utf-8")
    changed = text.replace("attendance_{school_year}.csv", "'*_attendance_{school_year}.csv'")
    assert changed != text
    (folder / "city.yaml").write_text(changed, encoding="utf-8")


def shuffled(folder, rng):
    """Permute rows and columns of every file; rows of one year's attendance change files too."""
    files = sorted(
        path for path in (folder / "files").iterdir() if path.suffix in (".csv", ".xlsx")
    )
    for path in files:
        frame = frame_of(path)
        columns = frame.columns
        rng.shuffle(columns)
        write(frame[_order(frame, rng)].select(columns), path)
    for year in range(2022, 2027):
        paths = sorted((folder / "files").glob(f"z*_attendance_{year}.csv"))
        rows = pl.concat([frame_of(path).select(sorted(frame_of(path).columns)) for path in paths])
        rows = rows[_order(rows, rng)]
        cuts = [0, *sorted(rng.sample(range(1, rows.height), 2)), rows.height]
        for path, first, last in zip(paths, cuts[:-1], cuts[1:], strict=True):
            write(rows[first:last], path)


def _order(frame, rng):
    order = list(range(frame.height))
    rng.shuffle(order)
    return order


def equal_but_for_rounding(found, wanted):
    """Sums of floating-point numbers may differ in the last bit when their terms come otherwise."""
    assert found.keys() == wanted.keys()
    for name, frame in wanted.items():
        assert found[name].equals(frame) or _close(found[name], frame), name


def _close(one, other):
    from polars.testing import assert_frame_equal

    assert_frame_equal(one, other, check_exact=False, rel_tol=1e-12, abs_tol=1e-12)
    return True


def test_a_row_lost_on_its_way_to_staging_is_missed_in_its_file(small):
    """The staged rows of a file are counted in staging, so one that is not there is noticed."""
    done = small
    done.connection.execute("BEGIN")
    table = dictionary().tables["core_source_file"]
    [check] = [check for check in checks_of(table) if check.id == "rows_add_up"]
    try:
        [sound] = run_checks(done.connection, table, "core.core_source_file", [check])
        assert sound.is_passed
        lost = (
            "SELECT min(file_row) FROM raw.raw_attendance__pupil_years WHERE file_name ="
            " 'attendance_2025.csv'"
        )
        done.connection.execute(
            "DELETE FROM staging.stg_attendance__pupil_years WHERE school_year = 2025 AND"
            " pupil_hash = (SELECT pupil_hash FROM raw.raw_attendance__pupil_years WHERE file_name"
            f" = 'attendance_2025.csv' AND file_row = ({lost}))"
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
            "SELECT rows_in, rows_staged, rows_lost FROM core.core_source_file WHERE file_name ="
            " 'attendance_2025.csv'"
        )
        assert row.rows() == [(row["rows_in"].item(), row["rows_in"].item() - 1, 1)]
    finally:
        done.connection.execute("ROLLBACK")


@settings(
    max_examples=examples(10, part=5),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 10**6))
def test_the_order_of_rows_columns_and_files_says_nothing(several, wanted, tmp_path_factory, seed):
    """CSV and workbooks, several files of one year, rows that contradict each other (R22)."""
    folder = tmp_path_factory.mktemp("shuffled") / "demo_city"
    shutil.copytree(several[0], folder)
    shuffled(folder, random.Random(seed))
    equal_but_for_rounding(core_of(folder), wanted)
    shutil.rmtree(folder)


def test_contradicting_rows_are_set_aside_in_the_shuffled_city(several):
    """What is permuted does hold contradictions: both rows of each pair are set aside."""
    held = several[1].table(
        "SELECT source_id, count(*) AS n FROM core.core_quarantine WHERE reason_code ="
        " 'duplicate_key' GROUP BY ALL"
    )
    assert dict(held.iter_rows()) == {
        "attendance__pupil_years": 3,
        "register__schools": 2,
        "climate__facets": 3,
    }


def test_files_split_and_renamed_give_the_same_tables(small_city, plain, tmp_path):
    """A year that comes in three parts under other names, taken by a pattern."""
    folder = tmp_path / "demo_city"
    shutil.copytree(small_city, folder, ignore=shutil.ignore_patterns("truth"))
    in_parts(folder)
    equal_but_for_rounding(core_of(folder), plain)


def test_an_exact_copy_of_a_row_changes_nothing(small_city, plain, tmp_path):
    folder = tmp_path / "demo_city"
    shutil.copytree(small_city, folder, ignore=shutil.ignore_patterns("truth"))
    path = folder / "files" / "attendance_2025.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines, lines[3], lines[9]]), encoding="utf-8")
    found = core_of(folder)
    found.pop("core_source_year")
    equal_but_for_rounding(found, {k: v for k, v in plain.items() if k != "core_source_year"})


def layers(done):
    """Raw rows with the line they came in, staged rows, quarantine, and what could not be read."""
    held = {}
    for layer, name in done.connection.sql(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE schema_name IN ('raw',"
        " 'staging')"
    ).fetchall():
        held[name] = done.table(f"SELECT * FROM {layer}.{name}")
    lost = done.table("SELECT file_name FROM core.core_source_file WHERE rows_lost <> 0")
    return held, done.unreadable, lost


def layers_of(folder):
    done = rehearse(load_city(folder), checked=False)
    try:
        return layers(done)
    finally:
        done.connection.close()


@pytest.fixture(scope="module")
def sound(small):
    held, unreadable, lost = layers(small)
    assert not unreadable
    assert lost.is_empty()
    return held


# What others refer to: a code that it no longer holds sets their rows aside.
REFERRED_TO = {"register__schools", "register__merges", "programmes__registry", "aim__goals"}


@settings(
    max_examples=examples(12, part=6),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_random_bytes_never_crash_and_never_reach_other_rows(
    small_city, sound, tmp_path_factory, data
):
    """Whatever happens to a file, all other rows are as before; errors name the file."""
    folder = tmp_path_factory.mktemp("broken") / "demo_city"
    shutil.copytree(small_city, folder, ignore=shutil.ignore_patterns("truth"))
    read = sorted(sound["raw_file"]["file_name"])
    path = folder / "files" / data.draw(st.sampled_from(read))
    content = bytearray(path.read_bytes())
    touched = set()
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(content) - 1))
        line = content[:place].count(b"\n") + 1
        touched |= {line, line + 1}  # a line break that is gone joins two
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    held, unreadable, lost = layers_of(folder)
    shutil.rmtree(folder)
    assert lost.is_empty()
    for error in unreadable.values():
        assert path.name in error.en or "belongs to two responses" in error.en
    files = sound["raw_file"]
    [source_id] = files.filter(pl.col("file_name") == path.name)["source_id"]
    for name, before in sound.items():
        if not name.startswith("stg_") or name[4:] == source_id or name[4:] in unreadable:
            continue
        # Not one row more; and not one less, but where a register that it refers to was hit.
        assert held[name].join(before, on=before.columns, how="anti", nulls_equal=True).is_empty()
        assert held[name].height == before.height or source_id in REFERRED_TO, name
    if source_id in unreadable:
        return
    raw, now = sound[f"raw_{source_id}"], held[f"raw_{source_id}"]
    columns = [name for name in raw.columns if name not in PLACE]
    # A quotation mark may open a record of several lines, so a broken one takes no more than its
    # own.
    other = raw.filter(
        (pl.col("file_name") != path.name) | ~pl.col("file_row").is_in(list(touched))
    )
    assert other.join(now, on=columns, how="anti", nulls_equal=True).is_empty()


def test_a_bad_byte_in_the_scores_sets_aside_one_row(small_city, sound, tmp_path):
    """The largest file, read with encoding `auto`: one row less, the rest staged as it was."""
    folder = tmp_path / "demo_city"
    shutil.copytree(small_city, folder, ignore=shutil.ignore_patterns("truth"))
    path = folder / "files" / "pupil_scores_2026.csv"
    lines = path.read_bytes().split(b"\n")
    lines[9] = lines[9].replace(b",", b",\xff", 2)
    path.write_bytes(b"\n".join(lines))
    held, unreadable, lost = layers_of(folder)
    assert not unreadable
    assert lost.is_empty()
    for name, before in sound.items():
        if name.startswith("stg_"):
            missing = before.join(held[name], on=before.columns, how="anti", nulls_equal=True)
            assert missing.height == (name == "stg_tests__pupil_scores"), name
            assert held[name].height == before.height - missing.height
