"""What a source said on a given day, and which content was loaded when (R22)."""

from __future__ import annotations

from datetime import datetime

import duckdb
import polars as pl

from pipelines.sources.load import exists, raw_name


def versions(connection: duckdb.DuckDBPyConnection, source_id: str) -> pl.DataFrame:
    """Return every content a source's files have had.

    Returns:
        `file_name`, `file_hash`, `rows_in`, `newest_date`, `loaded_at`, `superseded_at` (UTC; empty
        for what is loaded now), oldest first.
    """
    return connection.sql(
        "SELECT * EXCLUDE (source_id) FROM raw.raw_file_version WHERE source_id = ? ORDER BY"
        " file_name, loaded_at",
        params=[source_id],
    ).pl()


def as_of(connection: duckdb.DuckDBPyConnection, source_id: str, moment: datetime) -> pl.DataFrame:
    """Return the raw rows of a source as they were loaded at a moment (UTC)."""
    current, past = raw_name(source_id), f"history.raw_{source_id}"
    rows = f"SELECT * FROM {current}"
    if exists(connection, past):  # a content that is loaded again is in both
        rows += (
            f" UNION ALL BY NAME SELECT * FROM {past} WHERE (file_name, file_hash) NOT IN (SELECT"
            f" (file_name, file_hash) FROM {current})"
        )
    return connection.sql(
        f"SELECT * FROM ({rows}) AS held WHERE (held.file_name, held.file_hash) IN (SELECT"
        " (file_name, file_hash) FROM raw.raw_file_version WHERE source_id = ? AND loaded_at <= ?"
        " AND (superseded_at IS NULL OR superseded_at > ?)) ORDER BY file_name, file_row",
        params=[source_id, moment, moment],
    ).pl()
