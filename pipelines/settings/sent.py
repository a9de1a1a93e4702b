"""What was sent to whom: a row for each file of a release that went to a recipient (R105).

It stands beside the releases, in none of them, is only added to, and knows a recipient by number:
never an address or a name.
"""

from __future__ import annotations

import os
import sys
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from pathlib import Path

import polars as pl

LOG = "sent.tsv"
OK = "ok"
"""The result of a file that went out; any other says why it did not."""


@dataclass(frozen=True)
class Sent:
    """One file that was sent, or was to be.

    Attributes:
        sent_at: moment, UTC.
        recipient_id: number of the recipient.
        audience: whose version.
        shown_release: the release.
        file: below the audience's folder.
        sha256: of the file; empty where there was none.
        how: `outbox` or `email`.
        result: `ok`, or what went wrong.
    """

    sent_at: str
    recipient_id: str
    audience: str
    shown_release: str
    file: str
    sha256: str
    how: str
    result: str


_COLUMNS = tuple(field.name for field in fields(Sent))
_HEAD = "\t".join(_COLUMNS)


def note_sent(marts: Path, rows: list[Sent]) -> None:
    """Add rows to the log and have them on disk; a line that a stopped machine tore stays apart."""
    path = marts / LOG
    lines = ["\t".join(" ".join(cell.split()) for cell in astuple(row)) for row in rows]
    before = path.read_bytes() if path.is_file() else b""
    head = "" if before.endswith(b"\n") else "\n" if before else f"{_HEAD}\n"
    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a", encoding="utf-8"
    ) as file:
        file.write(head + "".join(f"{line}\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())


def read_sent(marts: Path) -> pl.DataFrame:
    """Return the log, in its order, all columns as text; empty before anything was sent.

    Lines that are no row of it are passed over, and how many is said.
    """
    path = marts / LOG
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    lines = [line.split("\t") for line in text.splitlines() if line and line != _HEAD]
    rows = [cells for cells in lines if _is_row(cells)]
    if wrong := len(lines) - len(rows):
        sys.stderr.write(
            f"{path}: {wrong} lines are torn or malformed and were passed over: whoever they name"
            " may get a release again.\n"
            f"{path}: דילגנו על {wrong} שורות קטועות או פגומות; מי שנרשם בהן עשוי לקבל את הפרסום"
            " שוב.\n"
        )
    return pl.DataFrame(rows, schema=dict.fromkeys(_COLUMNS, pl.String), orient="row")


def _is_row(cells: list[str]) -> bool:
    """Whether a line has all cells and begins with a moment."""
    try:
        datetime.fromisoformat(cells[0])
    except ValueError:
        return False
    return len(cells) == len(_COLUMNS)


def copy_sent(marts: Path, into: Path, releases: set[str]) -> None:
    """Copy what the log says of some releases to another marts folder."""
    known = read_sent(marts).filter(pl.col("shown_release").is_in(list(releases)))
    if not known.is_empty():
        note_sent(into, [Sent(*row) for row in known.iter_rows()])
