"""What was known on a day stays, when the folder of its release is long gone (R118).

    <marts>/known/<release>/...   manifest, Parquet files and settings, as they were published
    <marts>/known.tsv             a line a publication: the moment (UTC), the release

Pages, workbooks and databases are drawn again from it (`redraw.draw_known`). Nothing is kept here
that suppression had taken out, and a file that did not change is kept once.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path

from pipelines.settings.aside import set_aside

MOMENTS, FOLDER, MANIFEST = "known.tsv", "known", "manifest.json"
_DRAWN = (".html", ".duckdb", "workbook.xlsx")
OF_SCHOOLS = "principals"  # theirs are suppressed for themselves, and cannot be drawn from others


@dataclass(frozen=True)
class Publication:
    """A release, the moment (UTC) at which it became the current one, and what is kept of it."""

    moment: datetime
    release: str
    folder: Path


def is_kept(name: str) -> bool:
    """Whether a file of a release is kept, by its place in it; the others are drawn again."""
    return name.startswith(f"{OF_SCHOOLS}/") or not name.endswith(_DRAWN)


def keep(root: Path, release: Path, moment: datetime | None = None) -> None:
    """Keep what a release is made of, and note that it is the current one from now on.

    A release that has been kept before is only noted, if what is kept is still that. A kill in
    between leaves no half of it.

    Args:
        root: the city's marts folder.
        release: the release, whole.
        moment: when it became the current one (UTC); now if not given.
    """
    last = next(iter(reversed(publications(root))), None)
    kept = root / FOLDER / release.name
    if kept.exists() and not _holds(kept, release):
        set_aside(
            kept,
            "It holds what was published on a day; it is kept anew from the release.",
            "הוא שומר את מה שפורסם ביום מסוים, ונשמר מחדש מן הפרסום.",
        )
    if not kept.is_dir():
        building = root / FOLDER / f".building-{os.getpid()}"
        shutil.rmtree(building, ignore_errors=True)
        for path in sorted(path for path in release.rglob("*") if path.is_file()):
            name = path.relative_to(release).as_posix()
            if is_kept(name):
                _link(path, last.folder / name if last else None, building / name)
        building.rename(kept)
    if last is None or last.release != release.name:
        said = f"{(moment or datetime.now(UTC)).isoformat(timespec='seconds')}\t{release.name}\n"
        path = root / MOMENTS
        if path.exists() and not path.is_file():
            set_aside(
                path,
                "It lists what was published when; the list begins anew.",
                "הוא מונה מה פורסם ומתי; הרשימה מתחילה מחדש.",
            )
        is_torn = path.is_file() and not path.read_bytes().endswith(b"\n")
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\n{said}" if is_torn else said)


def _holds(kept: Path, release: Path) -> bool:
    """Whether what is kept is that of the release; manifests may differ in where it came from."""
    for path in release.rglob("*"):
        name = path.relative_to(release).as_posix()
        if path.is_file() and is_kept(name) and name != MANIFEST:
            copy = kept / name
            if not copy.is_file():
                return False
            if not copy.samefile(path) and copy.read_bytes() != path.read_bytes():
                return False
    try:
        return isinstance(json.loads((kept / MANIFEST).read_bytes()), dict)
    except (OSError, ValueError):
        return False


def _link(path: Path, before: Path | None, kept: Path) -> None:
    """Keep a file; what the last release held with the same content is shared with it.

    The manifest is a copy of its own: what damages one leaves the other.
    """
    kept.parent.mkdir(parents=True, exist_ok=True)
    if path.name == MANIFEST:
        shutil.copyfile(path, kept)
        return
    same = before and before.is_file() and before.read_bytes() == path.read_bytes()
    source = before if before and same else path
    try:
        os.link(source, kept)
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(source, kept)


def publications(root: Path) -> list[Publication]:
    """Return every publication that is noted, the first one first; a torn line is passed over."""
    path, found = root / MOMENTS, []
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    for line in text.splitlines():
        said, _, release = line.partition("\t")
        folder = root / FOLDER / release.replace("\0", "")
        try:
            moment = datetime.fromisoformat(said)
        except ValueError:
            continue
        if release and moment.tzinfo and (folder / MANIFEST).is_file():
            found.append(Publication(moment, release, folder))
    return found


def published_on(root: Path, day: date) -> Publication | None:
    """Return what was current at the end of a day (UTC); None where nothing was published yet."""
    end = datetime.combine(day, time.max, tzinfo=UTC)
    return next((one for one in reversed(publications(root)) if one.moment <= end), None)
