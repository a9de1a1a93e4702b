"""What is damaged is found, said in both languages, set aside, and whole again after the next run.

Nothing that is kept for good is deleted on the way.
"""

import contextlib
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from pipelines.publish.known import FOLDER, MOMENTS, publications
from pipelines.publish.release import (
    ReleaseError,
    baseline,
    current_release,
    earlier,
    is_whole,
    publish,
    verify,
)
from pipelines.settings.aside import MARK
from pipelines.settings.workspace import PUBLISHED
from pipelines.warehouse.database import DataError, Warehouse
from tests.examples import ARE_ALL
from tests.integration.conftest import hashes
from tests.integration.random_policies import DRAWN_ANEW
from tests.runs import copy_of

HEBREW = re.compile("[א-ת]{3}")


def released(root, text, **origin):
    def build(folder):
        (folder / "analyst").mkdir()
        (folder / "analyst" / "a.parquet").write_text(text)
        (folder / "page.html").write_text(text)

    return publish(root, build, lambda _: None, about={"scope": "all"}, origin=origin)


def _manifest(change):
    def damage(root, release):
        said = json.loads((release / "manifest.json").read_text())
        (release / "manifest.json").write_text(json.dumps(change(said)))

    return damage


def _agreeing(root, release):
    """A changed file, and a manifest that was changed to agree with it."""
    import hashlib

    (release / "page.html").write_text("9")
    files = {"page.html": hashlib.sha256(b"9").hexdigest()}
    _manifest(lambda said: said | {"files": said["files"] | files})(root, release)


def _instead_of_current(make):
    def damage(root, release):
        (root / "current").unlink()
        make(root / "current")

    return damage


def _folder(path):
    path.mkdir()
    (path / "kept by hand").write_text("x")


def _a_file_instead(root, release):
    shutil.rmtree(release)
    release.write_text("x")


RELEASES = {
    "manifest missing": lambda root, release: (release / "manifest.json").unlink(),
    "manifest torn": lambda root, release: (release / "manifest.json").write_text('{"files": {'),
    "manifest no object": _manifest(lambda said: [said]),
    "manifest without files": _manifest(lambda said: {}),
    "manifest binary": lambda root, release: (release / "manifest.json").write_bytes(b"\xff\x00"),
    "manifest deeply nested": lambda root, release: (release / "manifest.json").write_text(
        "[" * 200_000
    ),
    "manifest changed to agree": _agreeing,
    "file missing": lambda root, release: (release / "analyst" / "a.parquet").unlink(),
    "byte changed": lambda root, release: (release / "page.html").write_text("2"),
    "file added": lambda root, release: (release / "b.html").write_text("2"),
    "release a file": _a_file_instead,
    "release gone": lambda root, release: shutil.rmtree(release),
    "release half deleted": lambda root, release: shutil.rmtree(release / "analyst"),
    "current a folder": _instead_of_current(_folder),
    "current a file": _instead_of_current(lambda path: path.write_text("x")),
    "current to nowhere": _instead_of_current(lambda path: path.symlink_to("releases/none")),
    "current to itself": _instead_of_current(lambda path: path.symlink_to("current")),
    "current to elsewhere": _instead_of_current(lambda path: path.symlink_to("/usr")),
    "current missing": _instead_of_current(lambda path: None),
}


@pytest.mark.parametrize("damage", RELEASES)
def test_a_damaged_release_is_refused_and_heals(tmp_path, damage):
    older = released(tmp_path, "0")
    release = released(tmp_path, "1", made_from=None, compared_with=older.name)
    RELEASES[damage](tmp_path, release)
    with pytest.raises(ReleaseError) as refused:
        verify(tmp_path)
    assert HEBREW.search(refused.value.he)
    assert released(tmp_path, "1") == release == verify(tmp_path)
    assert {path.name for path in (tmp_path / "releases").iterdir()} == {older.name, release.name}
    assert is_whole(older)
    assert all(is_whole(one.folder) for one in publications(tmp_path))
    # What a person has put there is not lost.
    if damage == "current a folder":
        assert (tmp_path / f"current{MARK}1" / "kept by hand").is_file()


@pytest.mark.parametrize("damage", sorted(set(RELEASES) - {"manifest changed to agree"}))
def test_a_damaged_release_is_compared_with_nothing_but_what_is_kept_of_it(tmp_path, damage):
    """Comparisons and the privacy of what was told go on from the copy that is whole."""
    released(tmp_path, "0")
    release = released(tmp_path, "1", made_from={"whole": "inputs"}, compared_with=None)
    RELEASES[damage](tmp_path, release)
    before = baseline(tmp_path, "other inputs")
    assert before is not None
    assert is_whole(before)
    assert before.name == release.name
    assert (before / "analyst" / "a.parquet").read_text() == "1"
    assert earlier(tmp_path, before) == [before]


@pytest.mark.parametrize("last", ["1", "2"])
def test_a_half_deleted_old_release_never_becomes_current(tmp_path, last):
    """The content of a release whose deletion was killed comes back."""
    old = released(tmp_path, "1")
    released(tmp_path, "2")
    shutil.rmtree(old / "analyst")
    (old / "manifest.json").unlink()
    assert is_whole(released(tmp_path, last))
    assert verify(tmp_path) == current_release(tmp_path)


def test_a_release_is_deleted_under_another_name(tmp_path, monkeypatch):
    for number in range(3):
        released(tmp_path, str(number))
    seen = []

    def remove(path, *_, **__):
        seen.append(path.name)
        if not path.name.startswith(".building-"):
            raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr("pipelines.publish.release.shutil.rmtree", remove)
        with pytest.raises(KeyboardInterrupt):
            publish(tmp_path, lambda folder: (folder / "a").write_text("9"), lambda _: None, keep=1)
    assert any(name.startswith(".going-") for name in seen)
    named = [path for path in (tmp_path / "releases").iterdir() if len(path.name) == 16]
    assert all(map(is_whole, named))
    released(tmp_path, "1")
    assert not [*(tmp_path / "releases").glob(".*")]


def test_two_publishers_wait_for_each_other(tmp_path):
    """Neither sweeps away what the other is building."""
    is_building, may_go_on = Event(), Event()

    def slow(folder):
        is_building.set()
        assert may_go_on.wait(60)
        (folder / "a").write_text("slow")

    with ThreadPoolExecutor() as pool:
        first = pool.submit(publish, tmp_path, slow, lambda _: None)
        assert is_building.wait(60)
        second = pool.submit(
            publish, tmp_path, lambda folder: (folder / "a").write_text("2"), lambda _: None
        )
        assert not second.done()
        may_go_on.set()
        made = first.result(60), second.result(60)
    assert all(map(is_whole, made))
    assert verify(tmp_path) == made[1] != made[0]


REGISTERS = {
    "register binary": (PUBLISHED, lambda path: path.write_bytes(b"\xff\xfe\x00")),
    "register of other words": (PUBLISHED, lambda path: path.write_text("hello\n../..\n")),
    "register a folder": (PUBLISHED, lambda path: (path.unlink(), path.mkdir())),
    "moments binary": (MOMENTS, lambda path: path.write_bytes(b"\xff\xfe\x00\n")),
    "moments torn": (MOMENTS, lambda path: path.write_text("2026-01\t0123456789abcdef\n2026")),
    "moments without a zone": (
        MOMENTS,
        lambda path: path.write_text(path.read_text().replace("+00:00", "")),
    ),
    "moments a folder": (MOMENTS, lambda path: (path.unlink(), path.mkdir())),
}


@pytest.mark.parametrize("damage", REGISTERS)
def test_a_damaged_register_is_made_anew(tmp_path, damage):
    first, second = released(tmp_path, "1"), released(tmp_path, "2")
    name, break_ = REGISTERS[damage]
    break_(tmp_path / name)
    third = released(tmp_path, "3")
    assert verify(tmp_path) == third
    assert [one.release for one in publications(tmp_path)][-1] == third.name
    assert {first.name, second.name, third.name} <= {
        *(tmp_path / PUBLISHED).read_text().split(),
        *(path.name for path in (tmp_path / FOLDER).iterdir()),
    }
    if name == PUBLISHED:
        assert {first.name, second.name} < set((tmp_path / PUBLISHED).read_text().split())


@pytest.mark.parametrize("damage", ["file missing", "byte changed", "manifest torn"])
def test_what_is_kept_for_good_is_kept_again_and_the_damaged_copy_too(tmp_path, damage, capsys):
    release = released(tmp_path, "1")
    kept = tmp_path / FOLDER / release.name
    if damage == "file missing":
        (kept / "analyst" / "a.parquet").unlink()
    elif damage == "byte changed":
        (kept / "analyst" / "a.parquet").unlink()
        (kept / "analyst" / "a.parquet").write_text("2")
    else:
        (kept / "manifest.json").write_text("{")
    released(tmp_path, "1")
    assert is_whole(kept)
    assert kept.with_name(f"{kept.name}{MARK}1").is_dir()
    assert HEBREW.search(capsys.readouterr().err)


# ---- the warehouse -----------------------------------------------------------------------------


@pytest.fixture
def warehouse(tmp_path):
    made = Warehouse(path=str(tmp_path / "work" / "warehouse.duckdb"))
    (tmp_path / "work").mkdir()
    with made.connect() as connection:
        connection.execute("CREATE TABLE mart.one AS SELECT range a FROM range(300000)")
        connection.execute("CHECKPOINT")
    return made


def _flipped(path):
    content = bytearray(path.read_bytes())
    for place in range(12_400, len(content) - 4096, 50_000):
        content[place] ^= 0xFF
    path.write_bytes(content)


WAREHOUSES = {
    "garbage": lambda path: path.write_bytes(b"\x00garbage" * 4000),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-200_000]),
    "cut to its head": lambda path: path.write_bytes(path.read_bytes()[:5000]),
    "bits flipped": _flipped,
    "a text": lambda path: path.write_text("a,b\n1,2\n"),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", WAREHOUSES)
def test_a_damaged_warehouse_is_set_aside_and_said(warehouse, tmp_path, damage, capfd):
    from pathlib import Path

    assert warehouse.is_whole()
    warehouse.set_made_from("inputs")
    WAREHOUSES[damage](Path(warehouse.path))
    if damage != "a folder":
        assert warehouse.made_from() is None
    with warehouse.held(print):
        assert warehouse.read("SELECT 1 a")["a"].to_list() == [1]
    said = capfd.readouterr().err
    assert f"warehouse.duckdb{MARK}1" in said
    assert HEBREW.search(said)
    assert (tmp_path / "work" / f"warehouse.duckdb{MARK}1").exists()


def test_a_log_beside_a_damaged_warehouse_goes_with_it(warehouse, tmp_path):
    (tmp_path / "work" / "warehouse.duckdb").write_bytes(b"x" * 9000)
    (tmp_path / "work" / "warehouse.duckdb.wal").write_bytes(b"x" * 9000)
    with warehouse.held(print):
        pass
    assert (tmp_path / "work" / f"warehouse.duckdb.wal{MARK}1").is_file()
    assert warehouse.is_whole()


def test_a_reader_on_the_warehouse_is_no_damage(warehouse):
    """Another program that has the file open is named as the reason, in both languages."""
    script = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True);"
        " sys.stdin.read()"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", script, warehouse.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert reader.stdout.readline() == "open\n"
        with pytest.raises(DataError, match="Close the program") as refused, warehouse.held(print):
            pass
        assert HEBREW.search(refused.value.he)
        assert warehouse.made_from() is None
    finally:
        reader.communicate("")
    assert warehouse.is_whole()


# ---- the history of runs -------------------------------------------------------------------------


STORES = {
    "runs garbage": ("history/runs.db", b"garbage" * 2000),
    "index garbage": ("history/runs/index.db", b"garbage" * 2000),
    "schedules garbage": ("schedules/schedules.db", b"garbage" * 2000),
    "runs cut": ("history/runs.db", None),
}


@pytest.mark.parametrize("damage", STORES)
def test_a_damaged_run_history_is_set_aside_and_begun_anew(tmp_path, damage, monkeypatch, capsys):
    from pipelines.settings.workspace import Workspace
    from pipelines.warehouse.run_store import instance

    monkeypatch.setenv("TIKKUN_DAGSTER", str(tmp_path / "dagster"))
    monkeypatch.setenv("DAGSTER_HOME", "")
    space = Workspace(str(tmp_path / "city"), str(tmp_path / "marts"), str(tmp_path / "work"))
    with instance(space) as history:
        assert history.get_runs() == []
        assert history.all_instigator_state() == []
    name, content = STORES[damage]
    path = tmp_path / "dagster" / "city" / name
    assert path.is_file()
    path.write_bytes(content if content else path.read_bytes()[:6000])
    with instance(space) as history:
        assert history.get_runs() == []
        assert history.all_instigator_state() == []
    said = capsys.readouterr().err
    assert MARK in said
    assert HEBREW.search(said)


def test_a_run_history_that_another_process_writes_to_is_left_alone(tmp_path):
    from pipelines.warehouse.run_store import _is_readable

    with contextlib.closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as writer:
        writer.execute("CREATE TABLE a (b)")
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO a VALUES (1)")
        assert _is_readable(tmp_path / "a.db")
        writer.execute("ROLLBACK")


# ---- a whole city ------------------------------------------------------------------------------


# A damaged note is one, whatever step it is of; to solve again takes longest (`make validate`).
SOLVING = {*DRAWN_ANEW, "allocate_plan", "explain_plan", "plan_audit", "plan_bound"}
SOLVING |= {"solve_scenarios", "compare_scenarios", "effects"}


@pytest.mark.sampled
def test_a_city_damaged_everywhere_is_whole_after_the_next_run(published, tmp_path):
    """A Parquet file gone, warehouse, run history and last manifest broken: one run heals all, to
    the same bytes.
    """
    place = copy_of(published, tmp_path)
    before = hashes(place)
    (place.current / "analyst" / "mart_city.parquet").unlink()
    page = place.current / "committee" / "index.html"
    page.write_bytes(page.read_bytes() + b" ")
    work, dagster = tmp_path / "work" / place.raw.name, tmp_path / "dagster" / place.raw.name
    (work / "warehouse.duckdb").write_bytes(b"\x00garbage" * 4000)
    (dagster / "history" / "runs.db").write_bytes(b"garbage" * 2000)
    notes = sorted((work / "memory").rglob("*.json"))
    damaged = [note for note in notes if ARE_ALL or note.parents[1].name not in SOLVING][2::3]
    assert len(damaged) > 8
    for note in damaged:
        note.write_text("[1]")
    done = place.call()
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout
    assert done.stdout.count(MARK) >= 4  # warehouse and history, in two languages
    assert hashes(place) == before
    assert is_whole(place.current.resolve())
