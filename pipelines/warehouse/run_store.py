"""The history of a city's runs: one folder a city, written without waiting for the disk.

A run stores some two thousand events. Dagster's own SQLite storage makes an engine, opens the file
and closes it for each, and every commit waits for the disk. `RunStore` keeps engines open and lets
SQLite sync at its checkpoints. Every process of a city uses it, as `dagster.yaml` names it.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as db
from dagster._core.events import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    EVENT_TYPE_TO_PIPELINE_RUN_STATUS,
)
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from filelock import FileLock
from sqlalchemy.pool import StaticPool

from pipelines.settings.aside import set_aside
from pipelines.settings.private import keep_private
from pipelines.settings.workspace import PROJECT, Workspace
from pipelines.warehouse.database import Warehouse

CITY = "tikkun/city"
"""Tag of a run: whose city it is."""
_SETTINGS = PROJECT / ".dagster" / "dagster.yaml"
_INDEX = "index"
_INSERT = SqlEventLogStorageTable.insert()
_INDEXED = {*ASSET_EVENTS, *ASSET_CHECK_EVENTS, *EVENT_TYPE_TO_PIPELINE_RUN_STATUS}
_BATCH = "DAGSTER_EVENT_BATCH_SIZE"
_PLANNED_AT_ONCE = 10_000
_KEPT_RUNS = 4
_LOOKED_AT_RUNS = 3
_BUSY_SECONDS = 30
_STARTING_SECONDS = 300


class EventLog(SqliteEventLogStorage):
    """Dagster's event log, a file a run and an index, over engines that stay open.

    `synchronous = NORMAL` is SQLite's own advice for a write-ahead log: a power failure may cost
    the last events of the history but never damages it, and a killed process loses nothing.
    """

    def __init__(self, base_dir: str) -> None:
        self._engines: dict[str, db.Engine] = {}
        self._one_at_a_time = threading.Lock()
        super().__init__(base_dir)

    def run_connection(self, run_id: str | None = None) -> Any:
        """Return a connection to a run's events, in a transaction."""
        return self._open(run_id or _INDEX)

    def index_connection(self) -> AbstractContextManager[db.Connection]:
        """Return a connection to what is asked across runs, in a transaction."""
        return self._open(_INDEX)

    @contextmanager
    def _open(self, shard: str) -> Iterator[db.Connection]:
        with self._one_at_a_time, self._engine(shard).begin() as connection:
            yield connection

    def _engine(self, shard: str) -> db.Engine:
        if shard not in self._engines:
            create = (
                super().index_connection() if shard == _INDEX else super().run_connection(shard)
            )
            with create:
                pass
            runs = [name for name in self._engines if name != _INDEX]
            for name in runs[: len(runs) + 1 - _KEPT_RUNS]:
                self._engines.pop(name).dispose()
            engine = db.create_engine(
                self.conn_string_for_shard(shard),
                poolclass=StaticPool,
                connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
            )
            db.event.listen(engine, "connect", _relax)
            self._engines[shard] = engine
        return self._engines[shard]

    def store_event(self, event: Any) -> None:
        """Store an event, and let whoever watches the run's file notice: the log beside it grows,
        the file itself does not.
        """
        self.store_event_batch([event])

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of one run: in its file, and what is asked across runs in the index.

        As Dagster does for one event, but in one transaction a file, by statements that are
        prepared once. A run plans hundreds of events when it begins.
        """
        rows = [self._event_to_row(event) for event in events]
        with self.run_connection(events[0].run_id) as connection:
            connection.execute(_INSERT, rows)
        asked = [
            (event, row)
            for event, row in zip(events, rows, strict=True)
            if event.dagster_event_type in _INDEXED
        ]
        if asked:
            self._index(asked)
        os.utime(self.path_for_shard(events[0].run_id))

    def _index(self, asked: Sequence[tuple[EventLogEntry, dict[str, Any]]]) -> None:
        checks = []
        with self.index_connection() as connection:
            for event, row in asked:
                inserted = connection.execute(_INSERT, row).inserted_primary_key
                if inserted is None:
                    raise RuntimeError("the index of runs gave an event no number")
                if event.dagster_event_type in ASSET_EVENTS:
                    self._store_asset_event_tags(connection, [event], [inserted[0]])
                    self._store_asset_event(connection, event, inserted[0])
                if event.dagster_event_type in ASSET_CHECK_EVENTS:
                    checks.append((event, inserted[0]))
        for event, number in checks:
            self.store_asset_check_event(event, number)

    def wipe(self) -> None:
        """Forget every run."""
        self._close()
        super().wipe()

    def dispose(self) -> None:
        """Close every file."""
        self._close()
        super().dispose()

    def _close(self) -> None:
        with self._one_at_a_time:
            for engine in self._engines.values():
                engine.dispose()
            self._engines.clear()


def _relax(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")


class RunStore(DagsterSqliteStorage):
    """Dagster's SQLite storage with `EventLog`; of two first processes one creates the files."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        with FileLock(Path(base_dir) / ".creating.lock"):
            super().__init__(base_dir, inst_data)
            self._events = EventLog(str(Path(base_dir) / "history" / "runs"))

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> RunStore:
        """Make the store that `dagster.yaml` describes."""
        return cls(config_value["base_dir"], inst_data)

    @property
    def event_log_storage(self) -> EventLog:
        """The events of all runs."""
        return self._events

    def register_instance(self, instance: dg.DagsterInstance) -> None:
        """Tell every part of the store whose it is."""
        super().register_instance(instance)
        if not self._events.has_instance:
            self._events.register_instance(instance)


def home(space: Workspace) -> Path:
    """Return the folder of a city's run history (DAGSTER_HOME), with its settings in it."""
    keep_private()  # what is run from here on writes logs, stores and the warehouse
    folder = space.runs_folder
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    settings = _SETTINGS.read_text(encoding="utf-8")
    held = folder / "dagster.yaml"
    if not held.is_file() or held.read_text(encoding="utf-8") != settings:
        aside = folder / f".dagster.yaml.{os.getpid()}"
        aside.write_text(settings, encoding="utf-8")
        aside.replace(held)
    return folder


@contextmanager
def instance(space: Workspace) -> Iterator[dg.DagsterInstance]:
    """Open the run history of a city, and make it DAGSTER_HOME of this process."""
    folder = home(space)
    os.environ["DAGSTER_HOME"] = str(folder)
    # Of all events those that a run plans when it begins come in batches.
    os.environ.setdefault(_BATCH, str(_PLANNED_AT_ONCE))
    _set_damaged_aside(folder)
    with dg.DagsterInstance.get() as found:
        yield found


def _set_damaged_aside(home: Path) -> None:
    """Set aside what SQLite cannot read of a city's run history, so that it is begun anew."""
    parts = (
        ("history", "The history of runs begins anew.", "היסטוריית ההרצות מתחילה מחדש."),
        (
            "schedules",
            "What was switched on or off on the page is as at first again.",
            "מה שהופעל או הופסק בדף חזר למצבו הראשון.",
        ),
    )
    with FileLock(home / ".creating.lock"):
        for name, en, he in parts:
            part = home / name
            if part.exists() and not all(map(_is_readable, sorted(part.rglob("*.db")) or [part])):
                set_aside(part, en, he)


def _is_readable(path: Path) -> bool:
    """Whether SQLite finds a file sound. One that another process is writing to is left alone."""
    if path.is_dir():
        return True
    if not path.is_file():
        return False
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS)
    try:
        return connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    except sqlite3.OperationalError as error:
        return "malformed" not in str(error) and "disk I/O" not in str(error)
    except sqlite3.DatabaseError:
        return False
    finally:
        connection.close()


def usual_seconds(found: dg.DagsterInstance, job: str) -> dict[str, float]:
    """Return the most seconds each step took in the last runs of a job that ended well.

    The most, as a step that was remembered once may have to be computed now.
    """
    ended = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS])
    seconds: dict[str, float] = {}
    for run in found.get_runs(ended, limit=_LOOKED_AT_RUNS):
        for step in found.get_run_step_stats(run.run_id):
            if step.start_time and step.end_time:
                took = step.end_time - step.start_time
                seconds[step.step_key] = max(took, seconds.get(step.step_key, 0.0))
    return seconds


def end_broken_runs(found: dg.DagsterInstance, warehouse: Warehouse) -> None:
    """Record as failed the runs whose process was killed; else they would hold up the queue.

    A run holds the warehouse's lock to its end or waits for it. So where the lock is free, a run
    that began minutes ago has no process any more.
    """
    begun = time.time() - _STARTING_SECONDS
    records = found.get_run_records(dg.RunsFilter(statuses=list(IN_PROGRESS_RUN_STATUSES)))
    old = [record for record in records if (record.start_time or time.time()) < begun]
    if old and warehouse.is_free():
        for record in old:
            found.report_run_failed(
                record.dagster_run, "the process of this run was killed before it had ended"
            )
