"""What the committee decided is kept beside the city's files, and verified whenever it is read.

    <city>/decided/<cycle>/v<n>/decision.json   what was decided, and the hash of every file
    <city>/decided/<cycle>/v<n>/...             the release it was decided on, policy, plan
    <city>/decided/chain.txt                    a line a decision, in order: its place, its hash

A decision's hash is that of `decision.json`, which holds the hashes of its files and the hash of
the decision before it. So nothing can be changed, taken away or put between without being seen
(R45, R98–R100). Nothing here is ever deleted; a second decision of a cycle is a further version.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import date
from pathlib import Path
from typing import Annotated

from filelock import FileLock
from pydantic import Field

from pipelines.settings.parameters import Model, Words, Year
from pipelines.settings.yaml_files import CityError

FOLDER, CHAIN, RECORD = "decided", "chain.txt", "decision.json"
BUILDING = ".building-"
"""How the name of a folder begins in which a decision is being put together."""
LOCK, NEXT_CHAIN = ".lock", ".chain.next"
"""The chain with the decision that is being added; left behind only by a kill."""
RELEASE, POLICY = "release", "policy.yaml"
LINES, MONEY, OVERRIDES, EFFECTS = (
    f"{name}.parquet" for name in ("lines", "money", "overrides", "effects")
)
_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Count = Annotated[int, Field(ge=0, le=1000)]


class Record(Model):
    """One decision on a plan, as `decision.json` says it.

    Attributes:
        cycle: the school year that the plan is for.
        version: 1, and one more with each further decision on the same cycle.
        scenario: the plan itself (`base`) or the scenario that was chosen.
        replaces: the version that this one takes the place of.
        window: first and last school year of the data behind the estimates.
        before: hash of the decision before it, of any cycle; None = the first.
        inputs: the city's files when it was decided, and the SHA-256 of each.
        code: hash of the code that made the release.
        files: every other file of the archive and its SHA-256.
    """

    cycle: Year
    version: Annotated[int, Field(ge=1, le=99)]
    scenario: str
    scenario_he: str
    release: str
    role: str
    reason: Words
    decided_on: date
    votes_for: _Count | None = None
    votes_against: _Count | None = None
    votes_abstained: _Count | None = None
    replaces: Annotated[int, Field(ge=1, le=99)] | None = None
    window: tuple[Year, Year]
    before: _Hash | None = None
    inputs: dict[str, _Hash]
    code: _Hash
    files: dict[str, _Hash]


class DecidedPlan(Model):
    """A decision that was found whole: what it says, its hash, and where its files are."""

    record: Record
    hash: _Hash
    folder: Path

    @property
    def name(self) -> str:
        """Its place under `decided`: the cycle and the version."""
        return place_of(self.record.cycle, self.record.version)


def place_of(cycle: int, version: int) -> str:
    """Return the place of a decision under `decided`."""
    return f"{cycle}/v{version}"


def text_of(record: Record) -> str:
    """Return `decision.json`: the same record is always the same bytes."""
    return json.dumps(record.model_dump(mode="json"), ensure_ascii=False, indent=1, sort_keys=True)


def hash_of(content: bytes) -> str:
    """Return the SHA-256 of a file's bytes."""
    return hashlib.sha256(content).hexdigest()


def file_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of an archive but its record."""
    return {
        path.relative_to(folder).as_posix(): hash_of(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / RECORD
    }


def signature(city_folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return what changes when a file of the archives does: names, sizes and times.

    Nobody is kept from deciding meanwhile: what is still being built does not count, nor what is
    gone when it is looked at.
    """
    found = []
    for place, folders, names in os.walk(city_folder / FOLDER):
        folders[:] = [name for name in folders if not name.startswith(BUILDING)]
        for name in names:
            with suppress(FileNotFoundError):
                held = os.stat(os.path.join(place, name))
                if name != LOCK and stat.S_ISREG(held.st_mode):
                    found.append((os.path.join(place, name), held.st_size, held.st_mtime_ns))
    return tuple(sorted(found))


def read_archives(city_folder: Path) -> tuple[DecidedPlan, ...]:
    """Return the decisions of a city in the order they were taken, each verified.

    Raises:
        CityError: naming the archive, if a file is missing, changed or extra, or the chain broken.
    """
    root = city_folder / FOLDER
    if not root.is_dir():
        return ()
    # Whoever decides holds the lock: what is half added is neither read nor finished.
    with lock(root):
        found = sorted(
            path.relative_to(root).as_posix() for path in root.glob("*/v*") if path.is_dir()
        )
        if not found and not (root / CHAIN).exists():
            return ()
        _finish(root, found)
        chain = list(_chain(root / CHAIN))
    if astray := sorted({*found} ^ {place for place, _ in chain}):
        raise _broken(
            root / CHAIN,
            f"the chain and the folders differ: {', '.join(astray)}",
            f"השרשרת והתיקיות אינן תואמות: {', '.join(astray)}",
        )
    read, before = [], None
    for place, expected in chain:
        decided = _verified(root / place, place, expected)
        if decided.record.before != before:
            raise _broken(
                root / place,
                "it does not follow the decision before it in the chain",
                "ההחלטה אינה ממשיכה את ההחלטה שלפניה בשרשרת",
            )
        read.append(decided)
        before = decided.hash
    return tuple(read)


def lock(root: Path) -> AbstractContextManager[object]:
    """Return the lock of a city's archives; none where nobody may write, as on a read-only disk."""
    if not os.access(root, os.W_OK):
        return nullcontext()
    return FileLock(root / LOCK, is_singleton=True)


def in_force(decided: tuple[DecidedPlan, ...], cycle: int) -> DecidedPlan | None:
    """Return the last decision on a cycle; None where nothing was decided on it."""
    return next((one for one in reversed(decided) if one.record.cycle == cycle), None)


def _finish(root: Path, found: list[str]) -> None:
    """Make good a kill between an archive's coming into place and its line in the chain."""
    following = root / NEXT_CHAIN
    if following.is_file() and sorted(place for place, _ in _chain(following)) == found:
        following.replace(root / CHAIN)


def _chain(path: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise _broken(path, "the chain cannot be read", "לא ניתן לקרוא את השרשרת") from None
    for number, line in enumerate(lines, start=1):
        match line.split():
            case [place, expected]:
                yield place, expected
            case _:
                raise _broken(
                    path,
                    f"line {number} is no place and hash",
                    f"שורה {number} אינה מקום וטביעה",
                )


def _verified(folder: Path, place: str, expected: str) -> DecidedPlan:
    path = folder / RECORD
    try:
        content = path.read_bytes()
    except OSError:
        raise _broken(path, "it is missing", "הקובץ חסר") from None
    if hash_of(content) != expected:
        raise _broken(path, "it was changed after the decision", "הקובץ השתנה אחרי ההחלטה")
    try:
        record = Record.model_validate_json(content)
    except ValueError:
        raise _broken(path, "it is no record of a decision", "הקובץ אינו רישום של החלטה") from None
    if place_of(record.cycle, record.version) != place:
        raise _broken(
            path, f"it is the record of another place than {place}", "הרישום שייך למקום אחר"
        )
    hashes = file_hashes(folder)
    if wrong := sorted(
        name for name in {*hashes, *record.files} if hashes.get(name) != record.files.get(name)
    ):
        named = ", ".join(wrong[:5])
        raise _broken(
            folder,
            f"not as archived: {named}",
            f"אינו כפי שנשמר: {named}",
        )
    return DecidedPlan(record=record, hash=expected, folder=folder)


def _broken(where: Path, en: str, he: str) -> CityError:
    return CityError(
        f"{where}: the archive of a decision is damaged: {en}. Put it back from the backup; what"
        " was decided is never made again.",
        f"{where}: ארכיון ההחלטה פגום: {he}. יש לשחזר אותו מהגיבוי; החלטה אינה נוצרת מחדש.",
    )
