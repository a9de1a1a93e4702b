"""What was published on a day, drawn again from what is kept of it (R118).

python -m pipelines.commands.as_of CITY DAY [--out FOLDER]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.markup import escape

from pipelines.publish.known import Publication, publications, published_on
from pipelines.publish.redraw import draw_known
from pipelines.publish.release import ReleaseError, manifest
from pipelines.publish.words import day as told_day
from pipelines.settings.access import note_access
from pipelines.settings.city import CityError
from pipelines.settings.code import code_fingerprint
from pipelines.settings.workspace import Workspace, workspace
from pipelines.sources.fingerprint import CODE


def main(arguments: list[str] | None = None) -> int:
    """Tell and draw; return 0 where it is as it was published, 1 where not or where nothing was."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.commands.as_of", description=__doc__)
    parser.add_argument("city", help="folder under data_raw")
    parser.add_argument("day", type=date.fromisoformat, help="such as 2026-06-18 (its end, UTC)")
    parser.add_argument("--out", type=Path, help="leave the release that is drawn here")
    asked = parser.parse_args(arguments)
    console, space = Console(soft_wrap=True, highlight=False), workspace(asked.city)
    try:
        found = _published(space, asked.day, asked.out)
        with tempfile.TemporaryDirectory() as aside:
            folder = asked.out or Path(aside) / found.release
            differs = sorted(draw_known(found.folder, folder))
            for line in _told(space, found, asked.day):
                console.print(escape(line))
    except (CityError, ReleaseError) as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        return 1
    note_access(space, "as_of", "analyst", f"{asked.day} {found.release}")
    if not differs:
        console.print("Drawn again, equal to what was published, byte for byte.")
        console.print("צויר מחדש והוא זהה למה שפורסם.")
    else:
        same = manifest(found.folder).get("code") == code_fingerprint(CODE)
        console.print(
            f"Drawn again by {'the same' if same else 'another'} code, it differs in"
            f" {len(differs)} files: {', '.join(differs[:8])}{', …' if len(differs) > 8 else ''}."
        )
        console.print(f"צויר מחדש, ו־{len(differs)} קבצים שונים ממה שפורסם.")
    if asked.out:
        console.print(escape(str(asked.out)))
    return 1 if differs else 0


def _published(space: Workspace, day: date, out: Path | None) -> Publication:
    """Return what was current at the end of a day.

    Raises:
        CityError: if nothing was, or the folder to draw into is there already.
    """
    root = Path(space.marts_folder)
    found = published_on(root, day)
    if found is None:
        first = next(iter(publications(root)), None)
        since = f"the first on {first.moment:%Y-%m-%d}" if first else "nothing is kept yet"
        raise CityError(
            f"{space.name}: nothing was published by {day}; {since}.",
            f"{space.name}: עד {day} לא פורסם דבר.",
        )
    if out and out.exists():
        raise CityError(
            f"{out}: is there already; name a folder that is not.",
            f"{out}: התיקייה כבר קיימת; יש לבחור שם אחר.",
        )
    return found


def _told(space: Workspace, found: Publication, day: date) -> Iterator[str]:
    """Yield what was known: the release, its findings, and what was decided by then."""
    yield (
        f"{space.name}, {day}: release {found.release}, current since"
        f" {found.moment:%Y-%m-%d %H:%M} UTC"
    )
    yield f"{space.name}, {told_day(day)}: הפרסום {found.release}"
    findings = pl.read_parquet(found.folder / "analyst" / "mart_finding.parquet")
    for row in findings.sort("finding_order").iter_rows(named=True):
        yield f"  {row['finding_order']}. {row['finding_en']}"
        yield f"     {row['finding_he']}"
    decided = [one for one in space.city().decided if one.record.decided_on <= day]
    last = decided[-1].record if decided else None
    yield (
        f"Decided by then: the plan of {last.cycle}, version {last.version}, on {last.decided_on}"
        if last
        else "Decided by then: nothing"
    )
    yield f"הוחלט עד אז: {last.scenario_he} ({last.cycle})" if last else "הוחלט עד אז: דבר"


if __name__ == "__main__":
    sys.exit(main())
