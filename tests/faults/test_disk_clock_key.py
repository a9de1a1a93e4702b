"""Full and read-only disks, a clock that goes backwards, a key that is missing or weak."""

import errno
import os
import re
import shutil
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.commands.run import main
from pipelines.publish.known import keep, note, published_on
from pipelines.publish.release import ReleaseError, is_whole, publish, verify
from pipelines.settings.city import CityError
from pipelines.sources.admission import DEMO_KEY, pupil_key
from pipelines.warehouse.database import DataError, Warehouse

HEBREW = re.compile("[א-ת]{3}")
MIB = 1 << 20


def pages(size, text="a"):
    def build(folder):
        (folder / "page.html").write_text(text * size)

    return build


@pytest.fixture
def disk(tmp_path):
    """A disk of its own, of four MiB; it can be made read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("a disk of its own needs root and the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _read_only(folder):
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


# ---- disks ----


def test_a_full_disk_leaves_the_last_release_and_says_so(disk):
    first = publish(disk, pages(MIB), lambda _: None)
    with pytest.raises(ReleaseError, match="Make room") as refused:
        publish(disk, pages(5 * MIB, "b"), lambda _: None)
    assert HEBREW.search(refused.value.he)
    assert verify(disk) == first
    assert not list((disk / "releases").glob(".*"))
    assert is_whole(publish(disk, pages(MIB, "c"), lambda _: None))  # room again


@pytest.mark.parametrize("step", ["_register", "keep_known", "_make_current", "_put", "_sync"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_disk_that_fills_at_any_step_leaves_a_whole_release(tmp_path, monkeypatch, step, code):
    first = publish(tmp_path, pages(1), lambda _: None)

    def full(*_):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as filled:
        filled.setattr(f"pipelines.publish.release.{step}", full)
        with pytest.raises(ReleaseError, match=os.strerror(code)):
            publish(tmp_path, pages(1, "b"), lambda _: None)
    assert verify(tmp_path) == first
    assert verify(tmp_path) != publish(tmp_path, pages(1, "b"), lambda _: None) == verify(tmp_path)


def test_a_read_only_disk_leaves_the_last_release_and_says_so(disk):
    first = publish(disk, pages(10), lambda _: None)
    _read_only(disk)
    with pytest.raises(ReleaseError, match="cannot be written") as refused:
        publish(disk, pages(10, "b"), lambda _: None)
    assert HEBREW.search(refused.value.he)
    assert verify(disk) == first


@pytest.mark.parametrize("variable", ["TIKKUN_DATA_MARTS", "TIKKUN_WORK", "TIKKUN_DAGSTER"])
@pytest.mark.parametrize("state", ["read-only", "full"])
def test_a_run_says_at_once_which_folder_cannot_be_written(
    small_city, tmp_path, disk, variable, state, monkeypatch, capsys
):
    for name in ("TIKKUN_DATA_MARTS", "TIKKUN_WORK", "TIKKUN_DAGSTER"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("TIKKUN_DATA_RAW", str(small_city.parent))
    monkeypatch.setenv(variable, str(disk))
    if state == "full":
        (disk / "other").write_bytes(bytes(4 * MIB - 8192))
    else:
        _read_only(disk)
    assert main([small_city.name]) == 1
    said = capsys.readouterr().out
    assert variable in said
    assert str(disk) in said
    assert HEBREW.search(said)
    assert "Traceback" not in said


@pytest.mark.parametrize("state", ["read-only", "full"])
def test_a_warehouse_on_such_a_disk_is_no_damage(disk, state):
    warehouse = Warehouse(path=str(disk / "warehouse.duckdb"))
    with warehouse.connect() as connection:
        connection.execute("CREATE TABLE mart.one AS SELECT range a FROM range(1000)")
    lock = Path(f"{warehouse.path}.lock")
    lock.touch()
    if state == "full":
        rest = shutil.disk_usage(disk).free
        (disk / "other").write_bytes(bytes(rest))
        with warehouse.held(print):
            pass
    else:
        _read_only(disk)
        with pytest.raises((DataError, OSError)), warehouse.held(print):
            pass
    assert warehouse.is_whole()
    assert [path.name for path in disk.glob("warehouse*damaged*")] == []


# ---- the clock ----


def test_a_clock_that_goes_backwards_loses_no_publication(tmp_path):
    now = datetime(2026, 5, 1, 12, tzinfo=UTC)
    names = []
    for number, moment in enumerate((now, now - timedelta(days=40), now + timedelta(days=1))):
        release = tmp_path / "releases" / f"{number:016x}"
        release.mkdir(parents=True)
        (release / "manifest.json").write_text("{}")
        (tmp_path / "known").mkdir(exist_ok=True)
        keep(tmp_path, release)
        note(tmp_path, release.name, moment)
        names.append(release.name)
    # The one published later stands, whatever the clock said.
    assert published_on(tmp_path, date(2026, 5, 1)).release == names[1]
    assert published_on(tmp_path, date(2026, 5, 2)).release == names[2]
    assert published_on(tmp_path, date(2026, 3, 1)) is None


def test_a_clock_that_goes_backwards_never_deletes_the_current_release(tmp_path):
    for number in range(4):
        last = publish(tmp_path, pages(1, str(number)), lambda _: None, keep=2)
        later = datetime(2040 - number, 1, 1).timestamp()
        os.utime(last, (later, later))
    assert verify(tmp_path) == last
    old = datetime(1999, 1, 1).timestamp()
    os.utime(last, (old, old))
    assert verify(tmp_path) == publish(tmp_path, pages(1, "3"), lambda _: None, keep=1) == last


# ---- the key ----


WEAK = {
    "none": "",
    "demo": DEMO_KEY,
    "demo and a new line": f"{DEMO_KEY}\n",
    "demo and spaces": f" {DEMO_KEY} ",
    "demo in capitals": DEMO_KEY.upper(),
    "31 signs": "0123456789abcdef0123456789abcde",
    "one letter": "a" * 32,
    "spaces": " " * 32,
}


@pytest.mark.parametrize("key", WEAK.values(), ids=WEAK)
def test_a_missing_or_weak_key_is_refused(monkeypatch, key):
    monkeypatch.setenv("TIKKUN_PUPIL_KEY", key)
    monkeypatch.delenv("TIKKUN_PUPIL_KEY_FILE", raising=False)
    with pytest.raises(CityError) as refused:
        pupil_key(is_synthetic=False)
    assert HEBREW.search(refused.value.he)


@pytest.mark.parametrize("fault", ["missing", "a folder", "binary", "empty", "the demo key"])
def test_a_key_file_that_holds_no_key_is_named(monkeypatch, tmp_path, fault):
    path = tmp_path / "key"
    if fault == "a folder":
        path.mkdir()
    elif fault != "missing":
        content = {"binary": b"\xff\xfe\x00", "empty": b"", "the demo key": DEMO_KEY.encode()}
        path.write_bytes(content[fault])
    monkeypatch.delenv("TIKKUN_PUPIL_KEY", raising=False)
    monkeypatch.setenv("TIKKUN_PUPIL_KEY_FILE", str(path))
    with pytest.raises(CityError, match="TIKKUN_PUPIL_KEY_FILE") as refused:
        pupil_key(is_synthetic=False)
    assert HEBREW.search(refused.value.he)
