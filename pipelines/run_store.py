"""Dagster's run history, without waiting for the disk at every event.

A run stores some two thousand events. Dagster opens and closes SQLite for each; every commit waits
for the disk, and closing the last connection folds the write-ahead log back, which waits again.
On a busy machine this is half of a run.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine


@contextmanager
def unhurried() -> Iterator[None]:
    """Let the run history of this process reach the disk in its own time.

    `synchronous = NORMAL` is SQLite's own advice for a write-ahead log: a power failure may cost the
    last events of the history but never damages it, and a killed process loses nothing. One connection
    per file stays open, so that none is the last to close. Tables and releases are not touched.
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

    event.listen(Engine, "connect", relax)
    try:
        yield
    finally:
        event.remove(Engine, "connect", relax)
        for connection in held.values():
            connection.close()
