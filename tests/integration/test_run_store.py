"""The history of runs: quick, shared by every process of a city, and free of runs that died."""

import os
import threading
import time

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from pipelines.settings.workspace import workspace
from pipelines.warehouse.database import Warehouse
from pipelines.warehouse.run_store import EventLog, end_broken_runs, instance


@pytest.fixture
def history(tmp_path, monkeypatch):
    monkeypatch.setenv("TIKKUN_DAGSTER", str(tmp_path / "dagster"))
    monkeypatch.setenv("TIKKUN_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("DAGSTER_HOME", "")
    with instance(workspace("town")) as found:
        yield found


@dg.asset
def table():
    return None


def test_the_history_waits_for_no_disk_and_another_process_reads_it(history):
    done = dg.materialize([table], instance=history)
    with history.event_log_storage.run_connection(done.run_id) as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1  # NORMAL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    other = dg.DagsterInstance.from_ref(history.get_ref())
    try:
        assert type(other.event_log_storage) is type(history.event_log_storage)
        assert other.get_run_by_id(done.run_id).is_success
        assert len(other.all_logs(done.run_id)) == len(history.all_logs(done.run_id)) > 0
    finally:
        other.dispose()


def test_many_runs_are_read_with_few_files_open(history):
    runs = [dg.materialize([table], instance=history).run_id for _ in range(7)]
    assert all(history.all_logs(run) for run in runs)
    names = [os.readlink(f"/proc/self/fd/{fd}") for fd in _open_files()]
    assert sum(name.endswith(".db") and any(run in name for run in runs) for name in names) <= 4


@dg.asset(check_specs=[dg.AssetCheckSpec("holds", asset="checked")], deps=[table])
def checked():
    yield dg.MaterializeResult(metadata={"rows": 3}, tags={"a": "b"})
    yield dg.AssetCheckResult(passed=False, metadata={"why": "x"})


def test_events_are_kept_as_dagster_keeps_them(history, tmp_path):
    """One by one or many at once: every row of every table is as in Dagster's own store."""
    done = dg.materialize([table, checked], instance=history)
    events = [entry for entry in history.all_logs(done.run_id) if entry.is_dagster_event]
    assert {"ASSET_CHECK_EVALUATION", "ASSET_MATERIALIZATION_PLANNED", "PIPELINE_SUCCESS"} <= {
        event.dagster_event_type.value for event in events
    }
    held = []
    for kind, name, at_once in (
        (SqliteEventLogStorage, "dagsters", False),
        (EventLog, "singly", False),
        (EventLog, "together", True),
    ):
        store = kind(str(tmp_path / name))
        if at_once:
            store.store_event_batch(events)
        else:
            for event in events:
                store.store_event(event)
        held.append((_rows_of(store, done.run_id), _rows_of(store, None)))
        store.dispose()
    assert held[0] == held[1] == held[2]
    assert sum(map(len, held[0][1].values())) > 10


def _rows_of(store, run_id):
    """All rows of a run's file, or of the index."""
    opened = store.run_connection(run_id) if run_id else store.index_connection()
    with opened as connection:
        names = (
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'secondary_indexes'"
        )
        found = {}
        for (name,) in connection.exec_driver_sql(names).fetchall():
            rows = connection.exec_driver_sql(f"SELECT * FROM {name}").mappings()
            # When the row itself was made is no part of the event.
            kept = [{k: v for k, v in row.items() if k != "create_timestamp"} for row in rows]
            found[name] = sorted(map(repr, kept))
        return found


def _open_files():
    for fd in os.listdir("/proc/self/fd"):
        if os.path.islink(f"/proc/self/fd/{fd}"):
            yield fd


def test_a_page_that_watches_a_run_sees_its_events(history):
    other = dg.DagsterInstance.from_ref(history.get_ref())
    run = history.create_run_for_job(_job())
    is_seen = threading.Event()
    other.watch_event_logs(run.run_id, None, lambda *_: is_seen.set())
    try:
        for _ in range(3):
            history.report_engine_event("something happened", run)
        assert is_seen.wait(20)
    finally:
        other.dispose()


def _job():
    return dg.Definitions(assets=[table]).resolve_implicit_global_asset_job_def()


def test_a_run_whose_process_was_killed_ends_and_one_that_works_does_not(history, monkeypatch):
    run = history.create_run_for_job(_job())
    history.report_dagster_event(
        dg.DagsterEvent(event_type_value="PIPELINE_START", job_name=run.job_name), run.run_id
    )
    warehouse = Warehouse(path=str(workspace("town").warehouse_path))
    end_broken_runs(history, warehouse)
    assert history.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.STARTED  # it may live
    late = time.time() + 600
    monkeypatch.setattr(time, "time", lambda: late)
    end_broken_runs(history, warehouse)
    assert history.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
