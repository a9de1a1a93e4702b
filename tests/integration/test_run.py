"""The command a user runs: publishes, repeats itself to the byte, survives being killed."""

import json
import random
import resource
import signal
import time

import polars as pl

from pipelines.publish.release import current_release, verify
from tests.integration.conftest import change_policy


def _seconds_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def hashes(place):
    return json.loads((place.current / "manifest.json").read_text(encoding="utf-8"))["files"]


def test_a_release_has_everything_for_both_audiences(published):
    for audience in ("analyst", "committee"):
        names = {path.name for path in (published.current / audience).iterdir()}
        assert {
            "tikkun.duckdb",
            "workbook.xlsx",
            "report.html",
            "quality.html",
            "mart_allocation.parquet",
        } <= names
    assert verify(published.marts) == current_release(published.marts)


def test_everything_says_synthetic(published):
    for audience in ("analyst", "committee"):
        report = (published.current / audience / "report.html").read_text(encoding="utf-8")
        assert report.count("נתונים סינתטיים") >= 8  # the cover and each of the seven sections
        assert "נתונים סינתטיים" in (published.current / audience / "quality.html").read_text(
            encoding="utf-8"
        )

    assert pl.read_parquet(published.current / "committee" / "mart_city.parquet")[
        "is_synthetic"
    ].item()


def test_the_committee_sees_no_internal_column(published):
    from pipelines.fields import dictionary

    for path in (published.current / "committee").glob("*.parquet"):
        columns = pl.read_parquet_schema(path)
        assert {dictionary().fields[name].privacy for name in columns} == {"public"}, path.name


def test_no_pupil_id_leaves_the_door(published):
    ids = set(
        pl.read_csv(published.raw / "files" / "pupils_2026.csv", infer_schema=False)["pupil_id"]
    )
    some = sorted(ids)[:40]
    for path in published.marts.parent.parent.rglob("*"):
        if (
            path.is_file()
            and "raw" not in path.relative_to(published.marts.parent.parent).parts[:1]
        ):
            content = path.read_bytes()
            assert not any(pupil.encode() in content for pupil in some), path


def test_the_second_run_is_quick_and_changes_nothing(published):
    before = hashes(published)
    started = _seconds_of_children()
    done = published.run()
    assert done.returncode == 0
    assert "nothing has changed" in done.stdout
    # Its own work, not the wall clock: other tests run beside it.
    assert _seconds_of_children() - started <= 10
    assert hashes(published) == before


def test_a_forced_run_makes_the_same_bytes(published):
    before, release = hashes(published), current_release(published.marts)
    done = published.run("--force")
    assert done.returncode == 0, done.stdout
    assert hashes(published) == before
    assert current_release(published.marts) == release


def test_killed_at_any_moment_the_last_release_stays(place):
    change_policy(place, "channels", "municipal_own", "budget", "value", value=1_500_000)
    generator = random.Random(7)
    release = current_release(place.marts)
    for _ in range(3):
        process = place.start("--force")
        time.sleep(generator.uniform(6, 24))
        process.send_signal(signal.SIGKILL)
        killed = process.wait() == -signal.SIGKILL
        assert verify(place.marts).is_dir()
        if killed:
            continue
        assert (
            current_release(place.marts) != release
        )  # it had ended by itself, with the new policy
    done = place.run()
    assert done.returncode == 0, done.stdout
    assert verify(place.marts) != release
    assert not list((place.marts / "releases").glob(".building-*"))


def test_two_runs_at_once_wait_for_each_other(place):
    change_policy(place, "equity_gamma", "value", value=2.0)
    first, second = place.start("--force"), place.start("--force")
    assert first.wait(timeout=300) == 0
    assert second.wait(timeout=300) == 0
    assert verify(place.marts)
