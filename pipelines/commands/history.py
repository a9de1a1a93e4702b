"""What a source said on a given day, and which content was loaded when (R22).

    python -m pipelines.commands.history CITY SOURCE_ID [--as-of 2026-03-01] [--out rows.csv]

Without `--as-of` the versions of the source's files are listed.
"""

from __future__ import annotations

import argparse
from datetime import UTC, date, datetime, time
from pathlib import Path

import duckdb
import polars as pl

from pipelines.settings.city import CityError
from pipelines.settings.fields import dictionary
from pipelines.settings.workspace import workspace
from pipelines.sources.load import raw_name
from pipelines.sources.spreadsheet import write_csv
from pipelines.warehouse.database import Warehouse


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
    held = connection.execute(
        "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'history' AND"
        " table_name = ?",
        [f"raw_{source_id}"],
    ).fetchall()[0][0]
    rows = f"SELECT * FROM {current}"
    if held:  # a content that is loaded again is in both
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


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.commands.history")
    parser.add_argument("city", help="name of a folder in data_raw")
    parser.add_argument("source", choices=dictionary().sources)
    parser.add_argument(
        "--as-of", type=date.fromisoformat, help="day, such as 2026-03-01 (its end, UTC)"
    )
    parser.add_argument("--out", type=Path, help="write the rows to this CSV file")
    options = parser.parse_args(arguments)
    try:
        warehouse = Warehouse(path=str(workspace(options.city).warehouse_path))
        if not Path(warehouse.path).is_file():
            raise CityError(
                f"{warehouse.path}: nothing was loaded for {options.city} yet; run it once (make"
                f" run CITY={options.city}).",
                f"העיר {options.city} טרם נקלטה; יש להריץ אותה פעם אחת.",
            )
        with warehouse.run_lock(print), warehouse.connect(read_only=True) as connection:
            if options.as_of is None:
                found = versions(connection, options.source)
            else:
                moment = datetime.combine(options.as_of, time.max, tzinfo=UTC)
                found = as_of(connection, options.source, moment.replace(tzinfo=None))
    except CityError as error:
        print(error)
        return 2
    if options.out:
        write_csv(found, options.out)
        print(f"{options.out}: {len(found):,} rows")
    else:
        with pl.Config(tbl_rows=50, tbl_cols=-1, tbl_width_chars=180):
            print(found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
