"""What was known on a day stays, when the folder of its release is long gone (R118).

    <marts>/known/<release>/...   manifest, Parquet files and settings, as they were published
    <marts>/known.tsv             a line a publication: the moment (UTC), the release

Pages, workbooks and databases are drawn again from it (`redraw.draw_known`). Nothing is kept here
that suppression had taken out, and a file that did not change is kept once.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path, PurePosixPath

from pipelines.settings.aside import set_aside
from pipelines.settings.audiences import AUDIENCES, AudienceName
from pipelines.settings.fields import dictionary
from pipelines.settings.workspace import KNOWN, PUBLISHED

MOMENTS, FOLDER, MANIFEST = "known.tsv", KNOWN, "manifest.json"
_DRAWN = (".html", ".duckdb", "workbook.xlsx")
_SCHOOL = re.compile(str(dictionary().fields["semel_mosad"].pattern))


@dataclass(frozen=True)
class Publication:
    """A release, the moment (UTC) at which it became the current one, and what is kept of it."""

    moment: datetime
    release: str
    folder: Path


def is_kept(name: str) -> bool:
    """Whether a file of a release is kept, by its place in it; the others are drawn again.

    What stands in the folder of one school is suppressed for itself, and cannot be drawn.
    """
    parts = PurePosixPath(name).parts
    is_of_school = len(parts) > 2 and bool(_SCHOOL.fullmatch(parts[1]))
    return is_of_school or not name.endswith(_DRAWN)


def of_schools(release: Path) -> tuple[AudienceName, ...]:
    """Return the audiences of a release that have a folder a school, by how it was laid out: each
    reader of them may see the own school alone. Also of what is kept of one.
    """
    return tuple(
        name
        for name in AUDIENCES
        if any(
            path.is_dir() and _SCHOOL.fullmatch(path.name) for path in (release / name).glob("*")
        )
    )


def keep(root: Path, release: Path) -> None:
    """Keep what a release is made of. A kill in between leaves no half of it.

    What is kept and no longer is what the release holds is set aside and kept anew.

    Args:
        root: the city's marts folder.
        release: the release, whole.
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


def note(root: Path, release: str, moment: datetime) -> None:
    """Note that a release is the current one from a moment on (UTC), if it was not already."""
    last = next(iter(reversed(publications(root))), None)
    if last is None or last.release != release:
        said = f"{moment.isoformat(timespec='seconds')}\t{release}\n"
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


def published_until(root: Path, release: str) -> set[str]:
    """Return the releases that were published before a release was last the current one, and it.

    By the register of published releases, which is older, and by the moments, which know also when
    a release came back.
    """
    register = root / PUBLISHED
    names = register.read_text(encoding="utf-8").split() if register.is_file() else []
    moments = [one.release for one in publications(root)]
    return {release, *_until(names, release), *_until(moments, release)}


def _until(names: list[str], last: str) -> list[str]:
    return names[: len(names) - names[::-1].index(last)] if last in names else []
