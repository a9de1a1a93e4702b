"""Whom a changed criterion would identify, before it is adopted (R30).

    python -m pipelines.commands.what_if CITY CRITERION --threshold 0.8 [--side at_least]

Groups of few pupils are not shown. Adopting the change means a new version in the criteria file.
"""

from __future__ import annotations

import argparse

import polars as pl

from pipelines.diagnose.what_if import compare
from pipelines.settings.access import note_access
from pipelines.settings.city import CityError
from pipelines.settings.workspace import workspace
from pipelines.warehouse.database import Warehouse


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.commands.what_if", description=__doc__
    )
    parser.add_argument("city", help="name of a folder in data_raw, after a run")
    parser.add_argument("criterion")
    parser.add_argument("--threshold", type=float, required=True)
    parser.add_argument("--side", choices=("at_least", "at_most"))
    options = parser.parse_args(arguments)
    space = workspace(options.city)
    try:
        warehouse = Warehouse(path=str(space.warehouse_path))
        with warehouse.run_lock(print):
            found = compare(
                space.city(), warehouse, options.criterion, options.threshold, options.side
            )
    except CityError as error:
        print(error)
        return 2
    note_access(space, "what_if", "analyst", options.criterion)
    with pl.Config(tbl_rows=50, tbl_cols=-1, tbl_width_chars=150):
        print(found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
