"""How the files of a city fare, without loading anything.

    python -m pipelines.commands.check CITY [--source SOURCE_ID]

One look shows everything there is to correct: files that cannot be read, rows set aside and why,
checks that fail.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from pipelines.rehearsal import Rehearsal, rehearse
from pipelines.settings.city import CityError, CityFolder, load_sources
from pipelines.settings.fields import NO_FAULT, dictionary
from pipelines.settings.workspace import workspace
from pipelines.sources.files import source_files, where_mapped


def main(arguments: list[str] | None = None) -> int:
    """Print how each file fared; return 0 if nothing stands in the way of loading, else 1."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.commands.check", description=__doc__)
    parser.add_argument("city", help="name of a folder in data_raw, or a path")
    parser.add_argument("--source", help="show this source only")
    options = parser.parse_args(arguments)
    console = Console()
    try:
        folder = Path(options.city)
        city = load_sources(
            folder if folder.is_dir() else Path(workspace(options.city).city_folder)
        )
        done = rehearse(city)
    except CityError as error:
        console.print(escape(str(error)), style="red")
        return 2
    return _report(city, done, options.source, console)


def _report(city: CityFolder, done: Rehearsal, source: str | None, console: Console) -> int:
    for source_id, error in done.unreadable.items():
        if source in (None, source_id):
            console.print(f"[red]✗ {escape(error.en)}[/red]\n  {escape(error.he)}")
    files = Grid(
        "source",
        "file",
        "rows",
        "staged",
        "set aside",
        "left out by design",
        title="files: rows = staged + set aside + left out",
    )
    by_design = ", ".join(f"'{code}'" for code in NO_FAULT)
    where = f"WHERE source_id = '{source}'" if source in dictionary().sources else ""
    for row in done.table(f"""
        SELECT source_id, file_name, rows_in, rows_staged,
            rows_quarantined - coalesce(left_out, 0), coalesce(left_out, 0)
        FROM core.core_source_file
        LEFT JOIN (
            SELECT source_id, file_name, count(DISTINCT file_row) AS left_out
            FROM core.core_quarantine WHERE reason_code IN ({by_design}) GROUP BY ALL
        ) USING (source_id, file_name)
        {where} ORDER BY ALL
        """).iter_rows():
        files.add_row(*map(str, row))
    console.print(files)
    reasons = Grid(
        "file",
        "sheet",
        "row",
        "column",
        "line of city.yaml",
        "reason",
        "סיבה",
        title="set aside: first row of each reason",
    )
    for row in done.table(
        "SELECT file_name, source_id, min(file_row) AS file_row, column_name, reason_code,"
        " concat(reason_en, ' (', count(*), ')') AS reason, reason_he FROM core.core_quarantine"
        f" {where} GROUP BY file_name, source_id, column_name, reason_code, reason_en, reason_he"
        " ORDER BY ALL"
    ).iter_rows():
        file, source_id, number, column, code, *said = row
        sheet, line = _mapped_at(city, source_id, file, column, code)
        reasons.add_row(
            *(escape(str(value)) for value in (file, sheet, number, column, line, *said))
        )
    if reasons.row_count:
        console.print(reasons)
    failed = [(name, result) for name, result in done.results if not result.is_passed]
    for name, result in failed:
        mark = "[red]✗[/red]" if result.check.severity == "ERROR" else "[yellow]![/yellow]"
        console.print(
            f"{mark} {name}.{result.check.id}: {escape(result.check.sentence)}"
            f" {result.failing_rows} of {result.checked_rows}:"
            f" {escape(', '.join(result.failing_keys))}\n  {escape(result.check.says.he)}"
            f" {escape(result.check.says.resolve_he)}"
        )
    blocked = [name for name, result in failed if result.check.blocks]
    console.print(
        f"{len(failed)} checks fail, {len(blocked)} of them would stop the run; nothing was loaded."
        if failed or done.unreadable
        else "Everything passes; nothing was loaded."
    )
    return 1 if blocked or done.unreadable else 0


def _mapped_at(
    city: CityFolder, source_id: str, file: str, column: str, code: str
) -> tuple[str, str]:
    """Return the sheet a column of a file stands on, and the line of city.yaml to look at."""
    found = source_files(city, source_id, city.city.school_years.all())
    number = next(number for path, _, number in found if path.name == file)
    mapping = city.city.sources[source_id][number]
    sheet: str | int = mapping.sheet if mapping.format in ("xlsx", "xls") else ""
    option: tuple[str | int, ...] = ("columns", column)
    for place, other in enumerate(mapping.beside):
        if column in other.added:
            sheet, option = other.sheet, ("beside", place, "columns", column)
    if column in mapping.constants:
        option = ("constants", column)
    if code == "skipped":
        option = ("skip_where", column)
    line = where_mapped(city, source_id, number, *option).removeprefix(
        str(city.folder / "city.yaml")
    )
    return str(sheet), line.split(":")[1]


if __name__ == "__main__":
    raise SystemExit(main())
