"""A release is all or nothing: built aside, audited, and made current by replacing one symlink.

    <root>/releases/<id>/...   complete releases; the id is the hash of their content
    <root>/current             a symlink to one of them

Whatever happens in between (an error, a failed audit, a killed process), `current` stays at the
last complete release. A release holds no time stamps, so the same content has the same id (R97,
R115). Its manifest also says, outside the hash, which inputs it was last made from (`made_from`)
and which release it was compared with (`compared_with`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.publish.known import FOLDER as KNOWN
from pipelines.publish.known import MANIFEST
from pipelines.publish.known import keep as keep_known
from pipelines.publish.known import note as note_known
from pipelines.publish.marts import content_hash
from pipelines.settings.private import close_to_others, open_to_readers
from pipelines.settings.workspace import PUBLISHED

_BUILDING = ".building-"
_COMPLETE = re.compile(r"[0-9a-f]{16}")


PRIVATE = (("analyst",),)
"""Parts of a release that hold internal columns."""


class ReleaseError(Exception):
    """A release could not be written, or is not what its manifest says."""


def publish(
    root: Path,
    build: Callable[[Path], None],
    audit: Callable[[Path], None],
    keep: int = 5,
    about: Mapping[str, str] | None = None,
    origin: Mapping[str, Any] | None = None,
) -> Path:
    """Build, audit and publish a release; return its folder.

    Args:
        root: the city's marts folder.
        build: writes the release into the folder it is given.
        audit: raises if what was written must not be published.
        keep: how many releases to keep, the current one included.
        about: what the release is of, such as its scope; kept in the manifest.
        origin: where it came from; kept in the manifest, but no part of what the id is made of.

    Raises:
        ReleaseError: if the folder cannot be written.
        Exception: whatever `build` or `audit` raise; `current` is then unchanged.
    """
    releases = root / "releases"
    try:
        _make_open(releases)
        for left in releases.glob(f"{_BUILDING}*"):
            shutil.rmtree(left)
        building = releases / f"{_BUILDING}{os.getpid()}"
        building.mkdir()
    except OSError as error:
        raise ReleaseError(
            f"{releases}: the release cannot be written there ({error.strerror}). Make the folder"
            " writable, or name another with TIKKUN_DATA_MARTS."
        ) from error
    _note_current(root)  # a kill may have come between the link and its line
    try:
        build(building)
        audit(building)
        files = hashes(building)
        content = {**(about or {}), "files": files}
        release = releases / hashlib.sha256(manifest_text(content).encode()).hexdigest()[:16]
        (building / MANIFEST).write_text(
            manifest_text({**content, **(origin or {})}), encoding="utf-8"
        )
        _say_who_reads(building)
        _sync(building)
        _put(building, release)
        _register(root, release.name)
        keep_known(root, release)
        _make_current(root, release)
        _note_current(root)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    _forget_old(releases, release, keep)
    return release


def _make_open(folder: Path) -> None:
    """Make a folder that readers of releases can reach; one that is there stays as it is."""
    for missing in reversed([p for p in (folder, *folder.parents) if not p.exists()]):
        missing.mkdir()
        open_to_readers(missing)


def _say_who_reads(release: Path) -> None:
    """Leave the analysts' files to their owner, and let others read the rest."""
    for path in (release, *sorted(release.rglob("*"))):
        is_private = path.relative_to(release).parts[:1] in PRIVATE
        (close_to_others if is_private else open_to_readers)(path)


def manifest(release: Path) -> dict[str, Any]:
    """Return what a release says of itself.

    Raises:
        ReleaseError: if it says nothing, or nothing that can be read.
    """
    try:
        return json.loads((release / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ReleaseError(
            f"{release / MANIFEST}: cannot be read ({error}). Run again to publish anew."
        ) from None


def baseline(root: Path, inputs: str | None) -> Path | None:
    """Return the release that a new one is compared with, or None if there is none.

    It is the current one; but what is made again from the same inputs is compared with what that
    was compared with, so that it makes the same bytes (R97).

    Args:
        root: the city's marts folder.
        inputs: fingerprint of what the new release is made from, if that is known.
    """
    current = current_release(root)
    if current is None:
        return None
    try:
        held = manifest(current)
    except ReleaseError:
        return None
    if inputs is None or (held.get("made_from") or {}).get("whole") != inputs:
        return current
    before = root / "releases" / str(held.get("compared_with"))
    return before if before.is_dir() else None


def earlier(root: Path, last: Path | None) -> list[Path]:
    """Return the releases that readers may have: the last one, what that was compared with, and so
    on, as far as they are kept.
    """
    found: list[Path] = []
    while last is not None and last.is_dir() and last not in found:
        found.append(last)
        try:
            before = manifest(last).get("compared_with")
        except ReleaseError:
            break
        last = root / "releases" / before if before else None
    return found


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
    refuse_damaged(release)
    return release


def refuse_damaged(release: Path) -> None:
    """Compare every file of a release with its manifest.

    Raises:
        ReleaseError: naming the files that are missing, changed or extra.
    """
    if wrong := _damage(release):
        raise ReleaseError(
            f"{release}: not as published: {', '.join(wrong[:10])}. Run again to publish anew."
        )


def _damage(release: Path) -> list[str]:
    """Return the files of a release that are missing, changed or extra."""
    listed, found = manifest(release)["files"], hashes(release)
    return sorted(
        name for name in listed.keys() | found.keys() if listed.get(name) != found.get(name)
    )


def manifest_text(content: Mapping[str, Any]) -> str:
    """Return a manifest as it is written: the same content gives the same bytes."""
    return json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True)


def _put(building: Path, release: Path) -> None:
    """Put a release in its place; where the same content stands whole, only its origin is new."""
    try:
        is_whole = release.is_dir() and not _damage(release)
    except ReleaseError:
        is_whole = False
    if is_whole:
        (building / MANIFEST).replace(release / MANIFEST)
        return
    if release.exists():
        # One step behind the other, as a folder that is not empty cannot be replaced.
        aside = building.with_name(f"{building.name}-damaged")
        release.rename(aside)
        building.rename(release)
        shutil.rmtree(aside)
    else:
        building.rename(release)


_HASHED: dict[tuple[int, ...], str] = {}  # files that stay are hashed once, under any name


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file; of a DuckDB file that of its content, not its bytes."""
    return {
        str(path.relative_to(folder)): _hash(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }


def _hash(path: Path) -> str:
    held = path.stat()
    identity = (held.st_dev, held.st_ino, held.st_size, held.st_mtime_ns)
    if identity not in _HASHED:
        is_database = path.suffix == ".duckdb"
        whole = content_hash(path) if is_database else hashlib.sha256(path.read_bytes()).hexdigest()
        _HASHED[identity] = whole
    return _HASHED[identity]


def what_stays(root: Path) -> tuple[str, str]:
    """Return, in English and in Hebrew, what readers see after a run that published nothing."""
    if current_release(root) is None:
        return (
            "Nothing was published, and there is no earlier release.",
            "דבר לא פורסם, ואין פרסום קודם.",
        )
    return (
        f"Nothing was published; the last complete release stays in {root / 'current'}.",
        f"דבר לא פורסם; הפרסום השלם האחרון נשאר בתיקייה {root / 'current'}.",
    )


def _sync(folder: Path) -> None:
    """Have everything on disk before it becomes current."""
    for path in (*folder.rglob("*"), folder):
        if path.is_file() and path.stat().st_nlink > 1:
            continue  # a file of the release before: it is on disk
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _register(root: Path, name: str) -> None:
    """Note that a release was published: its folder is pruned one day, its name stays known."""
    register = root / PUBLISHED
    known = register.read_text(encoding="utf-8").split() if register.is_file() else []
    if name not in known:
        aside = root / f".{PUBLISHED}.next"
        aside.write_text("\n".join([*known, name, ""]), encoding="utf-8")
        open_to_readers(aside)
        aside.replace(register)


def _make_current(root: Path, release: Path) -> None:
    aside = root / ".current.next"
    aside.unlink(missing_ok=True)
    aside.symlink_to(Path("releases") / release.name)
    os.replace(aside, root / "current")


def _note_current(root: Path) -> None:
    """Note since when the current release is the current one: since its link was made."""
    current = current_release(root)
    if current is not None and (root / KNOWN / current.name).is_dir():
        made = (root / "current").lstat().st_mtime
        note_known(root, current.name, datetime.fromtimestamp(made, UTC))


def _forget_old(releases: Path, current: Path, keep: int) -> None:
    old = [
        path for path in releases.iterdir() if _COMPLETE.fullmatch(path.name) and path != current
    ]
    for path in sorted(old, key=lambda p: p.stat().st_mtime, reverse=True)[keep - 1 :]:
        shutil.rmtree(path)
