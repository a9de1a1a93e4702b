"""A release is all or nothing: built aside, audited, and made current by replacing one symlink.

    <root>/releases/<id>/...   complete releases; the id is the hash of their content
    <root>/current             a symlink to one of them

Whatever happens in between (an error, a failed audit, a killed process), `current` stays at the
last complete release. A release holds no time stamps, so the same content has the same id (R97,
R115). Its manifest also says, outside the hash, which inputs it was last made from (`made_from`)
and which release it was compared with (`compared_with`).

No folder is trusted by its name: a release is whole if its id is the hash of its manifest and each
file is as that says. What is not whole is never compared with and never made current; a run that
makes the same content again puts it in its place.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from filelock import FileLock

from pipelines.publish.known import FOLDER as KNOWN
from pipelines.publish.known import MANIFEST, is_kept, publications
from pipelines.publish.known import keep as keep_known
from pipelines.publish.known import note as note_known
from pipelines.publish.marts import content_hash
from pipelines.settings.aside import set_aside
from pipelines.settings.city import CityError
from pipelines.settings.private import close_to_others, open_to_readers
from pipelines.settings.workspace import PUBLISHED

_BUILDING, _GOING, _LOCK = ".building-", ".going-", ".publishing.lock"
_COMPLETE = re.compile(r"[0-9a-f]{16}")
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
ORIGIN = ("made_from", "inputs", "code", "compared_with")
"""What a manifest says of where a release came from: no part of what its id is made of."""


PRIVATE = (("analyst",),)
"""Parts of a release that hold internal columns."""


class ReleaseError(CityError):
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
        origin: where it came from (`ORIGIN`); kept in the manifest, but no part of what the id is
            made of.

    Raises:
        ReleaseError: if the folder cannot be written, or the disk is full.
        Exception: whatever `build` or `audit` raise; `current` is then unchanged.
    """
    releases = root / "releases"
    try:
        _make_open(releases)
        lock = FileLock(root / _LOCK)
        lock.acquire()  # whoever publishes without the run lock, as `make pages` does, waits here
    except OSError as error:
        raise _unwritable(releases, error) from error
    try:
        return _publish(root, build, audit, keep, about, origin)
    finally:
        lock.release()


def _publish(
    root: Path,
    build: Callable[[Path], None],
    audit: Callable[[Path], None],
    keep: int,
    about: Mapping[str, str] | None,
    origin: Mapping[str, Any] | None,
) -> Path:
    releases = root / "releases"
    try:
        for left in (*releases.glob(f"{_BUILDING}*"), *releases.glob(f"{_GOING}*")):
            shutil.rmtree(left)
        building = releases / f"{_BUILDING}{os.getpid()}"
        building.mkdir()
    except OSError as error:
        raise _unwritable(releases, error) from error
    _note_current(root)  # a kill may have come between the link and its line
    try:
        build(building)
        audit(building)
        files = hashes(building)
        content = {**(about or {}), "files": files}
        release = releases / _id(content)
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
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise _unwritable(releases, error) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    _forget_old(releases, release, keep)
    return release


def _unwritable(releases: Path, error: OSError) -> ReleaseError:
    return ReleaseError(
        f"{releases}: the release cannot be written there ({error.strerror}). Make room, make the"
        " folder writable, or name another with TIKKUN_DATA_MARTS.",
        f"{releases}: לא ניתן לכתוב לשם את הפרסום. יש לפנות מקום בדיסק, לאפשר כתיבה לתיקייה או"
        " לבחור תיקייה אחרת (TIKKUN_DATA_MARTS).",
    )


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
    path = release / MANIFEST
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        said = error
    if not isinstance(said, dict) or not isinstance(said.get("files"), dict):
        why = said if isinstance(said, Exception) else "it lists no files"
        raise ReleaseError(
            f"{path}: cannot be read ({why}). Run again to publish anew.",
            f"{path}: לא ניתן לקריאה. יש להריץ שוב כדי לפרסם מחדש.",
        )
    return said


def baseline(root: Path, inputs: str | None) -> Path | None:
    """Return the release that a new one is compared with, or None if there is none.

    It is the current one; but what is made again from the same inputs is compared with what that
    was compared with, so that it makes the same bytes (R97). Where a release is damaged or gone,
    what is kept of it (`known.py`) stands for it.

    Args:
        root: the city's marts folder.
        inputs: fingerprint of what the new release is made from, if that is known.
    """
    name = last_published(root)
    current = _standing(root, name)
    if current is None:
        return None
    held = manifest(current)
    made_from = held.get("made_from")
    whole = made_from.get("whole") if isinstance(made_from, dict) else None
    if inputs is None or whole != inputs:
        return current
    before = held.get("compared_with")
    return _standing(root, str(before)) if before and _is_there(root, before) else None


def earlier(root: Path, last: Path | None) -> list[Path]:
    """Return the releases that readers may have: the last one, what that was compared with, and so
    on, as far as they are kept whole.
    """
    found: list[Path] = []
    while last is not None and last not in found:
        found.append(last)
        before = manifest(last).get("compared_with")
        last = _standing(root, str(before)) if before and _is_there(root, before) else None
    return found


def last_published(root: Path) -> str | None:
    """Return the id of what was published last, also where nothing is left of it but its name."""
    current = current_release(root)
    if current is not None:
        return current.name
    last = next(iter(reversed(publications(root))), None)
    return last.release if last else None


def _is_there(root: Path, name: object) -> bool:
    """Whether a release was not pruned."""
    return (root / "releases" / str(name)).exists()


def _standing(root: Path, name: str | None) -> Path | None:
    """Return a release if it is whole, else what is kept of it if that is."""
    places = (root / part / str(name) for part in ("releases", KNOWN))
    return next((place for place in places if name and is_whole(place)), None)


def is_whole(release: Path) -> bool:
    """Whether a folder is the release that its name says, with every file as it was published; of
    what is kept (`known.py`), every file that is kept.
    """
    try:
        return release.is_dir() and not _damage(release)
    except ReleaseError:
        return False


def current_release(root: Path) -> Path | None:
    """Return the folder of the current release; None before the first, and where `current` leads
    to no release of this city.
    """
    link, releases = root / "current", root / "releases"
    found = link.resolve() if link.is_symlink() and link.is_dir() else None
    return found if found is not None and found.parent == releases.resolve() else None


def verify(root: Path) -> Path:
    """Return the current release after comparing every file with the manifest.

    Raises:
        ReleaseError: naming the files that are missing, changed or extra.
    """
    release = current_release(root)
    if release is None:
        raise ReleaseError(
            f"{root}: there is no current release. Run to publish one.",
            f"{root}: אין פרסום נוכחי. יש להריץ כדי לפרסם.",
        )
    refuse_damaged(release)
    return release


def refuse_damaged(release: Path) -> None:
    """Compare every file of a release with its manifest.

    Raises:
        ReleaseError: naming the files that are missing, changed or extra.
    """
    if wrong := _damage(release):
        named = ", ".join(wrong[:10])
        raise ReleaseError(
            f"{release}: not as published: {named}. Run again to publish anew.",
            f"{release}: אינו כפי שפורסם: {named}. יש להריץ שוב כדי לפרסם מחדש.",
        )


def _damage(release: Path) -> list[str]:
    """Return the files of a release that are missing, changed or extra, its manifest among them."""
    said, found = manifest(release), hashes(release)
    listed = said["files"]
    if release.parent.name == KNOWN:
        listed = {name: whole for name, whole in listed.items() if is_kept(name)}
    wrong = {name for name in listed.keys() | found.keys() if listed.get(name) != found.get(name)}
    if _id({key: value for key, value in said.items() if key not in ORIGIN}) != release.name:
        wrong.add(MANIFEST)
    return sorted(wrong)


def _id(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(manifest_text(content).encode()).hexdigest()[:16]


def manifest_text(content: Mapping[str, Any]) -> str:
    """Return a manifest as it is written: the same content gives the same bytes."""
    return json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True)


def _put(building: Path, release: Path) -> None:
    """Put a release in its place; where the same content stands whole, only its origin is new."""
    if is_whole(release):
        (building / MANIFEST).replace(release / MANIFEST)
        return
    # One step behind the other, as a folder that is not empty cannot be replaced.
    if release.exists() or release.is_symlink():
        _remove(release)
    building.rename(release)


def _remove(release: Path) -> None:
    """Delete a release: under another name first, so that a kill leaves no half of it."""
    going = release.with_name(f"{_GOING}{release.name}")
    release.rename(going)
    if going.is_dir() and not going.is_symlink():
        shutil.rmtree(going)
    else:
        going.unlink()


_HASHED: dict[tuple[int, ...], str] = {}  # files that stay are hashed once, under any name


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file; of a DuckDB file that of its content, not its bytes.

    A file that cannot be read has none, and is then like no file that was published.
    """
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MANIFEST]
    with ThreadPoolExecutor(2) as pool:  # to read and to hash needs nothing of Python meanwhile
        return {
            str(path.relative_to(folder)): whole
            for path, whole in zip(paths, pool.map(_hash, paths), strict=True)
        }


def _hash(path: Path) -> str:
    held = path.stat()
    identity = (held.st_dev, held.st_ino, held.st_size, held.st_mtime_ns)
    if identity not in _HASHED:
        is_database = path.suffix == ".duckdb"
        try:
            _HASHED[identity] = (
                content_hash(path) if is_database else hashlib.sha256(path.read_bytes()).hexdigest()
            )
        except (OSError, duckdb.Error):
            return ""
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
    try:
        known = register.read_text(encoding="utf-8").split() if register.exists() else []
    except (OSError, UnicodeDecodeError):
        known = [""]
    if not all(map(_COMPLETE.fullmatch, known)):
        set_aside(
            register,
            "It lists published releases; it is made anew from those that are kept.",
            "הוא מונה את מה שפורסם, ונבנה מחדש ממה שנשמר.",
        )
        kept = [one.release for one in publications(root)]
        kept += sorted(
            path.name for part in ("releases", KNOWN) for path in (root / part).glob("*")
        )
        known = [one for one in dict.fromkeys(kept) if _COMPLETE.fullmatch(one) and one != name]
    if name not in known:
        aside = root / f".{PUBLISHED}.next"
        aside.write_text("\n".join([*known, name, ""]), encoding="utf-8")
        open_to_readers(aside)
        aside.replace(register)


def _make_current(root: Path, release: Path) -> None:
    if (root / "current").exists() and not (root / "current").is_symlink():
        set_aside(
            root / "current",
            "It is a link to the current release and was a file or folder; the link is made anew.",
            "זה קישור לפרסום הנוכחי, ובמקומו היה קובץ או תיקייה; הקישור נוצר מחדש.",
        )
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
        _remove(path)
