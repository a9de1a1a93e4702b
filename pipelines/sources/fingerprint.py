"""Has anything changed since the last release: the city's files, its policy, or the code itself.

A run whose fingerprint equals that of the current release would make the same bytes again (R97),
so it is skipped. Where only scenario files differ, only they and what follows are made again. The
fingerprint is kept in the working folder, not in the release.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipelines.settings.city import CityFolder
from pipelines.settings.scenario_files import scenario_files
from pipelines.settings.workspace import PROJECT
from pipelines.sources.files import source_files

_CODE = (
    "pipelines/**/*.py",
    "pipelines/**/*.j2",
    "pipelines/**/*.html",
    "models/**/*.py",
    "sql/**/*.sql",
    "sql/fields.yaml",
    "requirements.lock",
)


@dataclass(frozen=True)
class Fingerprints:
    """Fingerprints of a run's inputs: all of them, and all but the scenarios."""

    whole: str
    upstream: str


def fingerprints(city: CityFolder) -> Fingerprints:
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
    scope = city.city.scope.model_dump_json()  # a run may plan for another scope than the file's
    upstream = hashlib.sha256((_hashed(files) + scope).encode()).hexdigest()
    whole = hashlib.sha256((upstream + _hashed(scenario_files(city.folder))).encode())
    return Fingerprints(whole.hexdigest(), upstream)


def code_fingerprint(patterns: Iterable[str]) -> str:
    """Return the SHA-256 over files of the project, by content."""
    return _hashed(path for pattern in patterns for path in PROJECT.glob(pattern))


def _hashed(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def record_release(work_folder: Path, inputs: Fingerprints, release: Path) -> None:
    """Note which inputs the release came from, and the warehouse it was published from."""
    before = _last_run(work_folder)
    baseline = before.get("baseline" if before.get("fingerprint") == inputs.whole else "release")
    note = {
        "fingerprint": inputs.whole,
        "upstream": inputs.upstream,
        "warehouse": _state(work_folder),
        "release": release.name,
        "baseline": baseline,
    }
    aside = work_folder / "last_run.json.next"
    aside.write_text(json.dumps(note), encoding="utf-8")
    aside.replace(work_folder / "last_run.json")


def only_scenarios_changed(work_folder: Path, inputs: Fingerprints) -> bool:
    """Tell whether nothing but scenarios changed since the release that left this warehouse.

    A warehouse that any other run has written to since, whole or not, is not trusted.
    """
    note, held = _last_run(work_folder), _state(work_folder)
    return held is not None and (note.get("upstream"), note.get("warehouse")) == (
        inputs.upstream,
        held,
    )


def _state(work_folder: Path) -> str | None:
    """When the working warehouse was last written to, and its size; unknown if a run broke off."""
    if (work_folder / "warehouse.duckdb.wal").exists():
        return None
    try:
        held = (work_folder / "warehouse.duckdb").stat()
    except FileNotFoundError:
        return None
    return f"{held.st_mtime_ns} {held.st_size}"


def last_release(work_folder: Path, inputs: Fingerprints) -> str | None:
    """Return the name of the release made from these inputs, if the last run made one."""
    note = _last_run(work_folder)
    return note["release"] if note.get("fingerprint") == inputs.whole else None


def release_before(work_folder: Path, marts_folder: Path, inputs: Fingerprints) -> Path | None:
    """Return the release that a new one is compared with, or None if there is none.

    A forced run over the same input is compared with what the release was compared with then, so
    that it makes the same bytes (R97).
    """
    note = _last_run(work_folder)
    name = note.get("baseline" if note.get("fingerprint") == inputs.whole else "release")
    folder = marts_folder / "releases" / name if name else None
    return folder if folder and folder.is_dir() else None


def _last_run(work_folder: Path) -> dict[str, str]:
    try:
        return json.loads((work_folder / "last_run.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
