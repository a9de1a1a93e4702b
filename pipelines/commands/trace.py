"""What a published number comes from: tables, files with their hashes, rows, checks, code (R116).

python -m pipelines.commands.trace CITY CELL
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from pipelines.act.trace import Trace, trace
from pipelines.publish.release import ReleaseError, verify
from pipelines.settings.access import note_access
from pipelines.settings.city import CityError, CityFolder
from pipelines.settings.code import code_fingerprint
from pipelines.settings.fields import dictionary
from pipelines.settings.workspace import workspace
from pipelines.sources.files import source_files
from pipelines.sources.fingerprint import CODE


def main(arguments: list[str] | None = None) -> int:
    """Trace and print; return 0, or 1 with what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.commands.trace", description=__doc__)
    parser.add_argument("city", help="folder under data_raw")
    parser.add_argument("cell", help="as pages carry it: table/key=value;key=value/column")
    asked = parser.parse_args(arguments)
    console, space = Console(soft_wrap=True, highlight=False), workspace(asked.city)
    from pipelines.definitions import STEPS

    try:
        found = trace(verify(Path(space.marts_folder)), asked.cell, STEPS)
        for line in _told(space.city(), found):
            console.print(escape(line))
    except (CityError, ReleaseError) as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        return 1
    note_access(space, "trace", "analyst", asked.cell)
    return 0


def _told(city: CityFolder, found: Trace) -> Iterator[str]:
    cell, words = found.cell, dictionary()
    field = words.fields[cell.column]
    yield f"{field.he} | {field.en}: {cell.value} [{field.unit}]"
    yield f"  {words.tables[cell.table].row}; {', '.join(f'{k} {v}' for k, v in cell.key.items())}"
    now = code_fingerprint(CODE)
    code = "none named" if not found.code else found.code[:16]
    yield f"Release · פרסום: {found.release}; code · קוד: {code}{_since(found.code, now)}"
    yield f"Tables · טבלאות ({len(found.origins)}), the nearest first:"
    for origin in found.origins:
        failed = f", {origin.failed} failed · נכשלו" if origin.failed else ""
        checks = f"{origin.checks} checks · בדיקות{failed}"
        yield f"  {'  ' * min(origin.distance, 8)}{origin.table}  ←  {origin.made_by}; {checks}"
    yield f"Files · קבצים ({len(found.files) + len(found.settings)}):"
    places = {
        (source_id, path.name): path
        for source_id in {file.source_id for file in found.files}
        for path, _, _ in source_files(city, source_id, city.city.school_years.all())
    }
    for file in found.files:
        path = places.get((file.source_id, file.name))
        read = (
            "rows not told · שורות: לא נמסר" if file.rows is None else f"{file.rows:,} rows · שורות"
        )
        rows = f"{read}, {file.aside:,} set aside · בהסגר"
        since = _since(file.sha256, _hash(path) if path else "")
        yield f"  {file.name}  sha256 {file.sha256}{since}  {rows}"
    for name, sha256 in found.settings.items():
        yield f"  {name}  sha256 {sha256}, as kept in the release · כפי שנשמר בפרסום"


def _since(was: str, now: str) -> str:
    """Say whether something is today as it was."""
    if not was:
        return ""
    return ", the same today · כך גם היום" if was == now else ", another today · היום אחר"


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


if __name__ == "__main__":
    sys.exit(main())
