"""The score files of a ministry from files to gap marts, beside a bare query over the same files.

python -m tests.benchmarks.ministry_run PUPILS [YEARS]

Prints one JSON object: rows, seconds of the wall and of all cores, and peak memory of both.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import duckdb

from pipelines.settings.workspace import Workspace
from tests.benchmarks.ministry import SOURCE, write_ministry

STEPS = ("classes", "gaps", "patterns")


def bare(folder: Path) -> int:
    """Mean scores of every school, grade, subject and year, by DuckDB from the CSV files alone."""
    cells = duckdb.sql(
        "SELECT semel_mosad, grade, subject, school_year, avg(TRY_CAST(score AS DOUBLE)), count(*)"
        f" FROM read_csv('{folder}/files/pupil_scores_*.csv', all_varchar = true, ignore_errors ="
        " true) GROUP BY ALL"
    ).fetchall()
    return len(cells)


def chain(folder: Path) -> int:
    """Everything that the gap marts need, made as `make run` makes it, checks included."""
    warnings.filterwarnings("ignore")
    import dagster as dg

    from pipelines import diagnose
    from pipelines.definitions import build
    from pipelines.sources.collect import all_years
    from pipelines.warehouse.assets import asset_key
    from pipelines.warehouse.database import Warehouse
    from pipelines.warehouse.tables import SCOPE

    space = Workspace(
        city_folder=str(folder),
        marts_folder=str(folder.parent / "marts"),
        work_folder=str(folder.parent / "work"),
    )
    definitions = build(space)
    assets = [asset for asset in definitions.assets or () if isinstance(asset, dg.AssetsDefinition)]
    marts = [name for step in diagnose.STEPS if step.name in STEPS for name in step.makes]
    named = dg.AssetSelection.assets(*map(asset_key, marts)).upstream()
    wanted = named.required_multi_asset_neighbors().upstream().required_multi_asset_neighbors()
    job = dg.define_asset_job("gaps", selection=wanted)
    resources = definitions.resources or {}
    made = dg.Definitions(
        assets=assets,
        asset_checks=definitions.asset_checks,
        resources=resources,
        jobs=[job],
        executor=dg.in_process_executor,
    )
    tags = {SCOPE: space.city().city.scope.name} | all_years(space.city())
    result = made.resolve_job_def("gaps").execute_in_process(tags=tags, raise_on_error=True)
    assert result.success
    with Warehouse(path=str(space.warehouse_path)).connect(read_only=True) as connection:
        staged, cells = (
            connection.sql(f"SELECT count(*) FROM {name}").fetchall()[0][0]
            for name in (f"staging.stg_{SOURCE}", "mart.mart_gap_school_subject")
        )
    print(json.dumps({"staged": staged, "cells": cells}), file=sys.stderr)
    return cells


def measured(what: str, folder: Path) -> dict[str, float]:
    """Run a part in a process of its own; return its seconds and memory."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.ministry_run", what, str(folder)],
        check=True,
        stdout=subprocess.PIPE,
        env=os.environ | {"TIKKUN_DAGSTER": str(folder.parent / "dagster")},
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cores = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    inner = json.loads(process.stdout.splitlines()[-1])
    return {"wall_s": inner["wall_s"], "started_wall_s": wall, "cpu_s": cores, "gib": inner["gib"]}


def main(arguments: list[str]) -> int:
    """Write a ministry, run both, and print what they took."""
    if arguments[0] in ("bare", "chain"):
        start = time.perf_counter()
        {"bare": bare, "chain": chain}[arguments[0]](Path(arguments[1]))
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
        print(json.dumps({"wall_s": time.perf_counter() - start, "gib": most}))
        return 0
    pupils, years = int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 5
    place = Path(tempfile.mkdtemp(prefix="ministry"))
    try:
        folder = place / "ministry"
        rows = write_ministry(folder, pupils, years=years)
        found = {"pupils": pupils, "rows": rows}
        found |= {what: measured(what, folder) for what in ("bare", "chain", "bare")}
        found["ratio_wall"] = found["chain"]["wall_s"] / found["bare"]["wall_s"]
        found["ratio_cpu"] = found["chain"]["cpu_s"] / found["bare"]["cpu_s"]
        print(json.dumps(found))
    finally:
        shutil.rmtree(place)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
