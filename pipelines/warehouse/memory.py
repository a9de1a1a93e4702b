"""What each step has made, kept by content, so that only what has changed is computed again.

A result depends on the rows that the step was given, on the parts of the city's files that it read
(by what they say, not by their bytes) and on the code. All of that is noted beside the result, and
a result is taken up only where all of it is the same; a table that comes out the same lets
everything after it stand. What the clock has cut short is never kept
(`models.allocation.solve.clock`), and a file that was damaged or half written is no result.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl

from models.allocation.solve import clock
from pipelines.settings.aside import set_aside
from pipelines.settings.city import CityFolder
from pipelines.settings.code import code_fingerprint
from pipelines.settings.content import content_of
from pipelines.settings.seen import Watched, is_as_seen

Tables = Mapping[str, pl.DataFrame]
_CODE = (
    "models/**/*.py",
    "pipelines/**/*.py",
    "pipelines/settings/*.yaml",
    "sql/fields.yaml",
    "requirements.lock",
)
_DRAWS = ("pipelines/publish/**/*", "pipelines/commands/*")
_KEPT = 4
"""Results kept of one step: those of the last few policies that were tried."""
_FOLDER = ".folder"


@dataclass(frozen=True)
class Memory:
    """The results of steps in a folder of their own.

    Attributes:
        folder: where they are; made when first written.
    """

    folder: Path

    def made(
        self,
        step: str,
        city: CityFolder,
        given: Tables,
        compute: Callable[[CityFolder, Tables], Tables],
        *,
        is_anew: bool = False,
    ) -> tuple[Tables, Mapping[str, str] | None]:
        """Return what a step makes of tables: remembered if it can be, else computed and kept.

        Args:
            step: its name.
            city: the city; what is read of it is noted.
            given: the tables it reads.
            compute: makes its tables.
            is_anew: whether to compute whatever is remembered.

        Returns:
            Its tables, and what was read of the city for them; None where they are not kept.
        """
        place = self.folder / step / _key(given)
        if not is_anew and (found := _recalled(place, city)) is not None:
            return found
        watched, before = Watched(city), clock.stops()
        made = compute(watched, given)  # type: ignore[arg-type]
        # Files read straight from the city's folder are not seen here.
        if clock.stops() == before and _FOLDER not in watched.seen:
            _keep(place, watched.seen, made)
            _forget_oldest(place.parent, place)
            return made, watched.seen
        return made, None


@cache  # the code that runs is the code that was loaded
def code() -> bytes:
    """Return a hash of the code that makes tables."""
    return code_fingerprint(_CODE, _DRAWS).encode()


def _key(given: Tables) -> str:
    """A hash over the code and the rows given, whatever their tables' order."""
    whole = hashlib.sha256(code())
    for name in sorted(given):
        whole.update(f"{name} {content_of(given[name])}\n".encode())
    return whole.hexdigest()


def _bytes_of(table: pl.DataFrame) -> bytes:
    held = io.BytesIO()
    table.rechunk().write_ipc(held, compression="uncompressed")
    return held.getvalue()


def _recalled(place: Path, city: CityFolder) -> tuple[Tables, Mapping[str, str]] | None:
    """The result of the same inputs and what was read of the city; None where none is whole."""
    for note in sorted(place.glob("*.json")):
        try:
            held = json.loads(note.read_bytes())
            if is_as_seen(city, held["seen"]):
                tables = {
                    name: _read(place / f"{note.stem}.{name}.arrow", expected)
                    for name, expected in held["made"].items()
                }
                os.utime(place)
                return tables, held["seen"]
        # A note of another shape is damaged as well.
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            pl.exceptions.PolarsError,
        ):
            continue
    return None


def _read(path: Path, expected: str) -> pl.DataFrame:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != expected:
        raise ValueError(f"{path}: not what was written")
    return pl.read_ipc(io.BytesIO(content))


def _keep(place: Path, seen: Mapping[str, str], made: Tables) -> None:
    """Write a result, its note last: without it there is none."""
    for part in (place.parent.parent, place.parent, place):
        if part.exists() and not part.is_dir():
            set_aside(
                part,
                "Steps keep their results there; they are kept anew.",
                "שלבים שומרים שם את תוצאותיהם, והן נשמרות מחדש.",
            )
    place.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(json.dumps(sorted(seen.items())).encode()).hexdigest()[:16]
    hashes = {}
    for table, rows in made.items():
        content = _bytes_of(rows)
        hashes[table] = hashlib.sha256(content).hexdigest()
        _write(place / f"{name}.{table}.arrow", content)
    note = json.dumps({"seen": dict(sorted(seen.items())), "made": hashes})
    _write(place / f"{name}.json", note.encode())


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, also beside another run."""
    handle, aside = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(aside).replace(path)


def _forget_oldest(step: Path, place: Path) -> None:
    """Keep the rows used last of a step, and of these rows the settings used last."""
    for other in _oldest(step.iterdir()):
        shutil.rmtree(other, ignore_errors=True)
    for note in _oldest(place.glob("*.json")):
        note.unlink(missing_ok=True)
        for rows in place.glob(f"{note.stem}.*"):
            rows.unlink(missing_ok=True)


def _oldest(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT:]
