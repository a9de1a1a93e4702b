"""Dagster's run history, without waiting for the disk at every event.

A run stores some two thousand events. Dagster opens and closes SQLite for each; every commit waits
for the disk, and closing the last connection folds the write-ahead log back, which waits again. On
a busy machine this is half of a run. It makes a new SQLAlchemy engine each time too, which writes
the same statements out anew: a tenth of a run.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from filelock import FileLock
from sqlalchemy import event
from sqlalchemy.engine import Engine


def instance() -> dg.DagsterInstance:
    """Return the instance at DAGSTER_HOME; of two first runs at once, one creates its databases.

    Dagster creates each when it is first asked for, and fails if another process does so meanwhile.
    """
    with FileLock(Path(os.environ["DAGSTER_HOME"]) / ".creating.lock"):
        found = dg.DagsterInstance.get()
        _ = found.run_storage, found.event_log_storage, found.schedule_storage
    return found


@contextmanager
def without_disk_waits() -> Iterator[None]:
    """Let the run history of this process reach the disk in its own time.

    `synchronous = NORMAL` is SQLite's own advice for a write-ahead log: a power failure may cost
    the last events of the history but never damages it, and a killed process loses nothing. One
    connection per file stays open, so that none is the last to close, and one engine. Tables and
    releases are not touched.
    """
    held: dict[str, sqlite3.Connection] = {}

    def relax(connection: Any, _: Any) -> None:
        if not isinstance(connection, sqlite3.Connection):
            return
        connection.execute("PRAGMA synchronous = NORMAL")
        path = connection.execute("PRAGMA database_list").fetchone()[2]
        if path in held or connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            return
        held[path] = sqlite3.connect(path, check_same_thread=False)
        held[path].execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens the log

    create_engine = sqlite_event_log.create_engine
    engines: dict[str, Engine] = {}

    def kept(address: str, **settings: Any) -> Engine:
        if address not in engines:
            engines[address] = create_engine(address, **settings)
        return engines[address]

    event.listen(Engine, "connect", relax)
    sqlite_event_log.create_engine = kept  # type: ignore[assignment]
    try:
        yield
    finally:
        sqlite_event_log.create_engine = create_engine
        event.remove(Engine, "connect", relax)
        for connection in held.values():
            connection.close()
