"""Has anything changed since the last release: the city's files, its policy, or the code itself.

A run whose fingerprint equals that of the current release would make the same bytes again (R97),
so it is skipped. The fingerprint is kept in the working folder, not in the release.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pipelines.city import CityFolder
from pipelines.sources.files import source_files
from pipelines.workspace import PROJECT

_CODE = (
    "pipelines/**/*.py",
    "pipelines/**/*.j2",
    "pipelines/**/*.html",
    "models/**/*.py",
    "sql/**/*.sql",
    "sql/fields.yaml",
    "requirements.lock",
)


def fingerprint(city: CityFolder) -> str:
    """Return the SHA-256 over every input of a run, by content.

    Raises:
        CityError: if a file of the city is missing.
    """
    files = {city.folder / "city.yaml", city.folder / "policy.yaml"}
    for source_id in city.city.sources:
        files |= {
            path for path, _, _ in source_files(city, source_id, city.city.school_years.all())
        }
    for pattern in _CODE:
        files |= set(PROJECT.glob(pattern))
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def remember(work_folder: Path, mark: str, release: Path) -> None:
    """Note which fingerprint the release came from."""
    before = _note(work_folder)
    baseline = before.get("baseline" if before.get("fingerprint") == mark else "release")
    note = json.dumps({"fingerprint": mark, "release": release.name, "baseline": baseline})
    aside = work_folder / "last_run.json.next"
    aside.write_text(note, encoding="utf-8")
    aside.replace(work_folder / "last_run.json")


def last_release(work_folder: Path, mark: str) -> str | None:
    """Return the name of the release made from this fingerprint, if the last run made one."""
    note = _note(work_folder)
    return note["release"] if note.get("fingerprint") == mark else None


def release_before(work_folder: Path, marts_folder: Path, mark: str) -> Path | None:
    """Return the release that a new one is compared with, or None if there is none.

    A forced run over the same input is compared with what the release was compared with then, so
    that it makes the same bytes (R97).
    """
    note = _note(work_folder)
    name = note.get("baseline" if note.get("fingerprint") == mark else "release")
    folder = marts_folder / "releases" / name if name else None
    return folder if folder and folder.is_dir() else None


def _note(work_folder: Path) -> dict[str, str]:
    try:
        return json.loads((work_folder / "last_run.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
