"""A release is all or nothing: built aside, audited, and made current by replacing one symlink.

    <root>/releases/<id>/...   complete releases; the id is the hash of their content
    <root>/current             a symlink to one of them

Whatever happens in between (an error, a failed audit, a killed process), `current` stays at the
last complete release. A release holds no time stamps, so the same content has the same id (R97,
R115).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from pipelines.publish.marts import content_hash

MANIFEST = "manifest.json"
_BUILDING = ".building-"
_COMPLETE = re.compile(r"[0-9a-f]{16}")


class ReleaseError(Exception):
    """A release could not be written, or is not what its manifest says."""


def publish(
    root: Path,
    build: Callable[[Path], None],
    audit: Callable[[Path], None],
    keep: int = 5,
    about: Mapping[str, str] | None = None,
) -> Path:
    """Build, audit and publish a release; return its folder.

    Args:
        root: the city's marts folder.
        build: writes the release into the folder it is given.
        audit: raises if what was written must not be published.
        keep: how many releases to keep, the current one included.
        about: what the release is of, such as its scope; kept in the manifest.

    Raises:
        ReleaseError: if the folder cannot be written.
        Exception: whatever `build` or `audit` raise; `current` is then unchanged.
    """
    releases = root / "releases"
    try:
        releases.mkdir(parents=True, exist_ok=True)
        for left in releases.glob(f"{_BUILDING}*"):
            shutil.rmtree(left)
        building = releases / f"{_BUILDING}{os.getpid()}"
        building.mkdir()
    except OSError as error:
        raise ReleaseError(
            f"{releases}: the release cannot be written there ({error.strerror}). Make the folder"
            " writable, or name another with TIKKUN_DATA_MARTS."
        ) from error
    try:
        build(building)
        audit(building)
        files = _hashes(building)
        text = json.dumps(
            {**(about or {}), "files": files}, ensure_ascii=False, indent=1, sort_keys=True
        )
        (building / MANIFEST).write_text(text, encoding="utf-8")
        release = releases / hashlib.sha256(text.encode()).hexdigest()[:16]
        _sync(building)
        if not release.exists():
            building.rename(release)
        _make_current(root, release)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    _forget_old(releases, release, keep)
    return release


def current_release(root: Path) -> Path | None:
    """Return the folder of the current release, or None before the first."""
    link = root / "current"
    return link.resolve() if link.is_symlink() and link.exists() else None


def verify(root: Path) -> Path:
    """Return the current release after comparing every file with the manifest.

    Raises:
        ReleaseError: naming the files that are missing, changed or extra.
    """
    release = current_release(root)
    if release is None:
        raise ReleaseError(f"{root}: there is no current release")
    listed = json.loads((release / MANIFEST).read_text(encoding="utf-8"))["files"]
    found = _hashes(release)
    wrong = sorted(
        name for name in listed.keys() | found.keys() if listed.get(name) != found.get(name)
    )
    if wrong:
        raise ReleaseError(
            f"{release}: not as published: {', '.join(wrong[:10])}. Run again to publish anew."
        )
    return release


def _hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file; of a DuckDB file that of its content, not its bytes."""
    return {
        str(path.relative_to(folder)): (
            content_hash(path)
            if path.suffix == ".duckdb"
            else hashlib.sha256(path.read_bytes()).hexdigest()
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }


def _sync(folder: Path) -> None:
    """Have everything on disk before it becomes current."""
    for path in (*folder.rglob("*"), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _make_current(root: Path, release: Path) -> None:
    aside = root / ".current.next"
    aside.unlink(missing_ok=True)
    aside.symlink_to(Path("releases") / release.name)
    os.replace(aside, root / "current")


def _forget_old(releases: Path, current: Path, keep: int) -> None:
    old = [
        path for path in releases.iterdir() if _COMPLETE.fullmatch(path.name) and path != current
    ]
    for path in sorted(old, key=lambda p: p.stat().st_mtime, reverse=True)[keep - 1 :]:
        shutil.rmtree(path)
