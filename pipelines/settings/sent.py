"""What was sent to whom: a row for each file of a release that went to a recipient (R105).

It stands beside the releases, in none of them, is only added to, and knows a recipient by number:
never an address or a name.
"""

from __future__ import annotations

import os
from dataclasses import astuple, dataclass, fields
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


def note_sent(marts: Path, rows: list[Sent]) -> None:
    """Add rows to the log, in one write: all of them or, if the machine stops, none."""
    lines = ["\t".join(" ".join(cell.split()) for cell in astuple(row)) for row in rows]
    with os.fdopen(
        os.open(marts / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a", encoding="utf-8"
    ) as file:
        head = [] if file.tell() else ["\t".join(_COLUMNS)]
        file.write("\n".join([*head, *lines, ""]))


def read_sent(marts: Path) -> pl.DataFrame:
    """Return the log, in its order, all columns as text; empty before anything was sent."""
    path = marts / LOG
    if not path.is_file():
        return pl.DataFrame(schema=dict.fromkeys(_COLUMNS, pl.String))
    return pl.read_csv(path, separator="\t", infer_schema=False, quote_char=None)


def copy_sent(marts: Path, into: Path, releases: set[str]) -> None:
    """Copy what the log says of some releases to another marts folder."""
    known = read_sent(marts).filter(pl.col("shown_release").is_in(list(releases)))
    if not known.is_empty():
        note_sent(into, [Sent(*row) for row in known.iter_rows()])
