"""What publishing has made before, kept by content so that only what has changed is made again.

Beside what steps remember (`warehouse/memory.py`): workbooks and pages by the tables they hold,
marks of what the intruder has found nothing in, and what was chosen to be hidden. All are kept by
the code too; what was damaged or half written is passed over, and a run that computes all anew
reads none of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from pipelines.settings.code import code_fingerprint
from pipelines.settings.content import content_of

_CODE = (
    "models/**/*.py",
    "pipelines/**/*.py",
    "pipelines/**/*.yaml",
    "sql/fields.yaml",
    "requirements.lock",
)
# What drawings are made of besides.
_DRAWN_BY = (
    *(f"pipelines/publish/**/*.{kind}" for kind in ("j2", "js", "css", "yaml")),
    "docs/guide.he.md",
)
_DRAWINGS_KEPT = 4  # of one page, or one family of pages
_MARK = 32  # bytes of a mark
_MARKS_KEPT = 50_000
_BOOKS_KEPT = 200
_CHOICES_KEPT = 20


@dataclass(frozen=True)
class Drawing:
    """A page, or pages by name, and what it was drawn from.

    Attributes:
        names: of all tables, if it went through them; else None.
        found: by name, the content of each table that it asked for; empty where there was none.
        made: the page's text, or texts by name.
    """

    names: tuple[str, ...] | None
    found: Mapping[str, str]
    made: str | Mapping[str, str]


@dataclass(frozen=True)
class Remembered:
    """What publishing remembers in a folder of its own.

    Attributes:
        folder: where it is; made when first written.
        is_anew: whether all is made again, whatever is remembered.
    """

    folder: Path
    is_anew: bool = False

    @cached_property
    def _code(self) -> str:
        return code_fingerprint(_CODE)

    def safe(self) -> set[bytes]:
        """Return marks of what the intruder found nothing in (`models.privacy.attack`)."""
        held = self._marks
        if self.is_anew or not held.is_file():
            return set()
        content = held.read_bytes()
        return {content[at : at + _MARK] for at in range(0, len(content), _MARK)}

    def keep_safe(self, marks: set[bytes], before: set[bytes]) -> None:
        """Keep marks; where they grow too many, those that were not there before.

        Args:
            marks: all of them.
            before: those of `safe`.
        """
        kept = marks if len(marks) <= _MARKS_KEPT else marks - before
        self._write(self._marks, b"".join(sorted(kept)))
        for other in set(self.folder.glob("safe-*.bin")) - {self._marks}:
            other.unlink(missing_ok=True)  # of code that is no more

    @property
    def _marks(self) -> Path:
        return self.folder / f"safe-{self._code}.bin"

    def hidden(self, told: bytes) -> tuple[frozenset[str], frozenset[str]] | None:
        """Return what was chosen to be hidden of what is told, and what nothing protects.

        Args:
            told: a mark of all that the choice depends on.

        Returns:
            None where it is not remembered, or not whole.
        """
        if self.is_anew:
            return None
        held = self._choice(told)
        try:
            whole, _, said = held.read_bytes().partition(b"\n")
            if hashlib.sha256(said).hexdigest().encode() != whole:
                return None
            os.utime(held)
        except OSError:
            return None
        more, known = json.loads(said)
        return frozenset(more), frozenset(known)

    def keep_hidden(self, told: bytes, more: frozenset[str], known: frozenset[str]) -> None:
        """Keep what was chosen; the choices used last stay."""
        said = json.dumps([sorted(more), sorted(known)], ensure_ascii=False).encode()
        whole = hashlib.sha256(said).hexdigest().encode()
        self._write(self._choice(told), whole + b"\n" + said)
        kept = sorted(self.folder.glob("hidden-*.json"), key=lambda path: path.stat().st_mtime)
        for old in kept[:-_CHOICES_KEPT]:
            old.unlink(missing_ok=True)

    def _choice(self, told: bytes) -> Path:
        key = hashlib.sha256(self._code.encode() + told).hexdigest()
        return self.folder / f"hidden-{key}.json"

    def drawings(self, page: str, said: str) -> Iterator[Drawing]:
        """Yield what was drawn of a page, or a family of pages; what is not whole is passed over.

        Args:
            page: what draws it.
            said: what else it is drawn from.
        """
        if self.is_anew:
            return
        for held in sorted(self._drawn(page, said).glob("*.json")):
            content = held.read_bytes()
            if hashlib.sha256(content).hexdigest() == held.stem:
                names, found, made = json.loads(content)
                os.utime(held)
                yield Drawing(None if names is None else tuple(names), found, made)

    def keep_drawing(self, page: str, said: str, drawing: Drawing) -> None:
        """Keep what was drawn; the drawings of the same page used last stay."""
        made = drawing.made if isinstance(drawing.made, str) else dict(drawing.made)
        held = json.dumps([drawing.names, dict(drawing.found), made], ensure_ascii=False).encode()
        place = self._drawn(page, said)
        place.mkdir(parents=True, exist_ok=True)
        for other in place.parent.glob(f"{page}-*"):
            if other != place:  # of code that is no more, or of another city's words
                shutil.rmtree(other, ignore_errors=True)
        self._write(place / f"{hashlib.sha256(held).hexdigest()}.json", held)
        kept = sorted(place.glob("*.json"), key=lambda path: path.stat().st_mtime)
        for old in kept[:-_DRAWINGS_KEPT]:
            old.unlink(missing_ok=True)

    def _drawn(self, page: str, said: str) -> Path:
        key = hashlib.sha256(f"{self._code} {self._pages} {said}".encode()).hexdigest()[:32]
        return self.folder / "pages" / f"{page}-{key}"

    @cached_property
    def _pages(self) -> str:
        return code_fingerprint(_DRAWN_BY)

    def book(self, tables: Mapping[str, pl.DataFrame], said: object) -> Path:
        """Return where the workbook of some tables is kept, without the ending of its content.

        Args:
            tables: what it holds.
            said: what else it is made of.
        """
        parts = [self._code, repr(said)]
        parts += [f"{name} {content_of(frame)}" for name, frame in tables.items()]
        return self.folder / hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def copy_book(self, book: Path, to: Path) -> bool:
        """Write a workbook as it is kept; return whether there is one, and it is whole."""
        if self.is_anew:
            return False
        for held in self.folder.glob(f"{book.name}-*.xlsx"):
            content = held.read_bytes()
            if hashlib.sha256(content).hexdigest() == held.stem.partition("-")[2]:
                to.write_bytes(content)
                os.utime(held)
                return True
        return False

    def keep_books(self, books: Iterable[tuple[Path, Path]]) -> None:
        """Keep workbooks: each by its `book`, as it was written; those used last stay."""
        for book, written in books:
            content = written.read_bytes()
            name = f"{book.name}-{hashlib.sha256(content).hexdigest()}.xlsx"
            self._write(self.folder / name, content)
        kept = sorted(self.folder.glob("*.xlsx"), key=lambda path: path.stat().st_mtime)
        for old in kept[:-_BOOKS_KEPT]:
            old.unlink(missing_ok=True)

    def _write(self, path: Path, content: bytes) -> None:
        """Write a file whole or not at all, also beside another run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(dir=self.folder)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(aside).replace(path)
