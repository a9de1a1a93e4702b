"""The command a user runs: what it publishes, and when it finds nothing to do."""

import resource

import polars as pl

from pipelines.publish.release import current_release, verify
from tests.integration.conftest import hashes


def _seconds_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_a_release_has_everything_for_both_audiences(published):
    for audience in ("analyst", "committee"):
        folder = published.current / audience
        names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
        assert {
            "tikkun.duckdb",
            "workbook.xlsx",
            "index.html",
            "questions.html",
            "annex/report.html",
            "annex/quality.html",
            "mart_allocation.parquet",
        } <= names
    assert verify(published.marts) == current_release(published.marts)


def test_everything_says_synthetic(published):
    for audience in ("analyst", "committee"):
        report = (published.current / audience / "annex/report.html").read_text(encoding="utf-8")
        assert report.count("נתונים סינתטיים") >= 8  # the cover and each of the seven sections
        assert "נתונים סינתטיים" in (published.current / audience / "annex/quality.html").read_text(
            encoding="utf-8"
        )

    assert pl.read_parquet(published.current / "committee" / "mart_city.parquet")[
        "is_synthetic"
    ].item()


def test_the_committee_sees_no_internal_column(published):
    from pipelines.settings.fields import dictionary

    for path in (published.current / "committee").glob("*.parquet"):
        columns = pl.read_parquet_schema(path)
        assert {dictionary().fields[name].privacy for name in columns} == {"public"}, path.name


def test_the_second_run_is_quick_and_changes_nothing(place):
    before = hashes(place)
    started = _seconds_of_children()
    done = place.run()
    assert done.returncode == 0
    assert "nothing has changed" in done.stdout
    # Its own work, not the wall clock: other tests run beside it.
    assert _seconds_of_children() - started <= 10
    assert hashes(place) == before


def test_a_forced_run_begins_though_nothing_has_changed(published, monkeypatch):
    """That it makes the same bytes is a whole run: tests/integration/test_scenarios.py (slow)."""
    begun = []
    monkeypatch.setattr(
        "pipelines.commands.run._run", lambda *_, is_forced: begun.append(is_forced)
    )
    assert "nothing has changed" in published.call().stdout
    assert not begun
    assert published.call("--force").returncode == 1  # as the run that was begun made nothing
    assert begun == [True]
