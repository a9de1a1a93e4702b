"""Run the whole chain for one city and say where the results are.

python -m pipelines.commands.run [CITY] [--force] [--scope official|all]
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.markup import escape

from pipelines.publish.due import Due, what_is_due
from pipelines.publish.notices import tell_recovery
from pipelines.publish.release import ReleaseError, current_release, verify, what_stays
from pipelines.publish.translations import read_translations
from pipelines.settings.city import CityError
from pipelines.settings.scenario_files import load_scenarios
from pipelines.settings.workspace import Workspace, workspace
from pipelines.warehouse.database import Warehouse

_LEAST_ROOM = 1 << 20  # bytes
SYNTHETIC = "   (synthetic data: it describes no real school or pupil)"


def main(arguments: list[str] | None = None) -> int:
    """Run and return the exit code: 0 published or nothing to do, 1 an error that was explained."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.commands.run", description=__doc__)
    parser.add_argument("city", nargs="?", help="folder under data_raw (default: demo_city)")
    parser.add_argument("--force", action="store_true", help="run even if nothing has changed")
    parser.add_argument(
        "--scope",
        choices=("official", "all"),
        help="which schools the plan covers (default: as city.yaml says)",
    )
    asked = parser.parse_args(arguments)
    console = Console(soft_wrap=True, highlight=False)
    space = workspace(asked.city, asked.scope)
    try:
        city = space.city()
        load_scenarios(city)
        read_translations(city)
        for folder, variable in (
            (Path(space.marts_folder), "TIKKUN_DATA_MARTS"),
            (Path(space.work_folder), "TIKKUN_WORK"),
            (space.runs_folder, "TIKKUN_DAGSTER"),
        ):
            _check_writable(folder, variable)
        console.print(
            f"[bold]{city.city.city.name_en}[/bold]   scope: {city.city.scope.name}"
            + (SYNTHETIC if city.city.city.is_synthetic else "")
        )
        # Of two runs at once the second waits here, and then mostly finds nothing left to do.
        with Warehouse(path=str(space.warehouse_path)).run_lock(console.print):
            due = what_is_due(space)
            if due.what == "nothing" and not asked.force:
                console.print(due.why)
            elif not _run(space, console, due, is_forced=asked.force):
                return 1
            else:
                verify(Path(space.marts_folder))
        for unsent in tell_recovery(space, city.city.notices):
            console.print(f"[yellow]{escape(unsent)}[/yellow]")
    except (CityError, ReleaseError) as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        return 1
    _tell(Path(space.marts_folder), console)
    return 0


def _check_writable(folder: Path, variable: str) -> None:
    """Fail before the work, not after it, when the results cannot be written.

    Raises:
        CityError: naming the folder.
    """
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            probe.write_bytes(bytes(_LEAST_ROOM))  # a full disk makes an empty file all the same
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise CityError(
            f"{folder}: the results cannot be written there ({error.strerror}). Make the folder"
            f" writable, or name another with {variable}.",
            f"{folder}: לא ניתן לכתוב את התוצאות לתיקייה זו. יש לאפשר כתיבה או לבחור תיקייה אחרת"
            f" ({variable}).",
        ) from None


def _run(space: Workspace, console: Console, due: Due, *, is_forced: bool) -> bool:
    warnings.filterwarnings("ignore")
    import dagster as dg

    from pipelines.definitions import CHAIN, SCENARIOS, build
    from pipelines.sources.collect import all_years
    from pipelines.warehouse.progress import Progress
    from pipelines.warehouse.run_store import end_broken_runs, instance, usual_seconds
    from pipelines.warehouse.tables import ANEW, SCOPE

    definitions = build(space)
    is_short = not is_forced and due.what == "scenarios"
    if is_short:
        console.print(due.why)
    job = definitions.resolve_job_def(SCENARIOS if is_short else CHAIN)
    tags = {SCOPE: space.city().city.scope.name} | ({} if is_short else all_years(space.city()))
    made = {node.name for node in job.nodes}
    stages = {
        asset.node_def.name: next(iter(asset.group_names_by_key.values()))
        for asset in definitions.assets or ()
        if isinstance(asset, dg.AssetsDefinition) and asset.node_def.name in made
    }
    with (
        instance(space) as history,
        Progress(console, stages, usual_seconds(history, job.name) if console.is_terminal else {}),
    ):
        end_broken_runs(history, Warehouse(path=str(space.warehouse_path)))
        result = job.execute_in_process(
            instance=history,
            tags=tags | ({ANEW: "yes"} if is_forced else {}),
            run_config={"loggers": {"progress": {}}},
            raise_on_error=False,
        )
    for event in result.all_events:
        if event.is_step_failure:
            console.print(
                f"\n[red]{event.step_key}[/red]: {escape(_reason(event.step_failure_data.error))}"
            )
    if not result.success:
        # What keeps a run from beginning, such as a warehouse in use, belongs to no step.
        for event in result.all_events:
            failed = event.job_failure_data.error if event.is_job_failure else None
            if failed and not any(event.is_step_failure for event in result.all_events):
                console.print(f"\n[red]{escape(_reason(failed))}[/red]")
        console.print(
            f"\n{what_stays(Path(space.marts_folder))[0]} Details: make ui CITY={space.name},"
            f" run {result.run_id}."
        )
    return result.success


def _reason(error) -> str:
    """Return the innermost message of a step's error, without the stack."""
    while error.cause:
        error = error.cause
    return (
        error.message.split(": ", 1)[-1].strip()
        if error.cls_name in ("CityError", "DataError", "ReleaseError", "Failure")
        else error.message.strip()
    )


def _tell(marts: Path, console: Console) -> None:
    release = current_release(marts)
    if release is None:
        return
    findings = pl.read_parquet(release / "analyst" / "mart_finding.parquet").sort("finding_order")
    console.print("\n[bold]What the plan stands on, and the main findings[/bold]")
    for order, he, en in findings.select("finding_order", "finding_he", "finding_en").iter_rows():
        console.print(f"  {order}. {en}")
        console.print(f"     {he}")
    shown = marts / "current"
    console.print("\n[bold]Where it is[/bold]")
    console.print(f"  pages     {shown / 'committee' / 'index.html'}")
    console.print(f"  workbook  {shown / 'committee' / 'workbook.xlsx'}")
    console.print(f"  marts     {shown / 'analyst'}  (Parquet and tikkun.duckdb)")
    console.print(f"  quality   {shown / 'analyst' / 'annex' / 'quality.html'}")


if __name__ == "__main__":
    sys.exit(main())
