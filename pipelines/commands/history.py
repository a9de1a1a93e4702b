"""What a source said on a given day, and which content was loaded when (R22).

    python -m pipelines.commands.history CITY SOURCE_ID [--as-of 2026-03-01] [--out rows.csv]

Without `--as-of` the versions of the source's files are listed.
"""

from __future__ import annotations

import argparse
from datetime import UTC, date, datetime, time
from pathlib import Path

import polars as pl

from pipelines.settings.access import note_access
from pipelines.settings.city import CityError
from pipelines.settings.fields import dictionary
from pipelines.settings.workspace import workspace
from pipelines.sources.history import as_of, versions
from pipelines.sources.spreadsheet import write_csv
from pipelines.warehouse.database import Warehouse


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.commands.history", description=__doc__
    )
    parser.add_argument("city", help="name of a folder in data_raw")
    parser.add_argument("source", choices=dictionary().sources)
    parser.add_argument(
        "--as-of", type=date.fromisoformat, help="day, such as 2026-03-01 (its end, UTC)"
    )
    parser.add_argument("--out", type=Path, help="write the rows to this CSV file")
    options = parser.parse_args(arguments)
    space = workspace(options.city)
    try:
        warehouse = Warehouse(path=str(space.warehouse_path))
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
    note_access(space, "history", "analyst", options.source)
    if options.out:
        write_csv(found, options.out)
        print(f"{options.out}: {len(found):,} rows")
    else:
        with pl.Config(tbl_rows=50, tbl_cols=-1, tbl_width_chars=180):
            print(found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
