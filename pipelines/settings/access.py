"""Who read what: a row for each command that reads or exports a city's results (R113).

It stands beside the releases, in none of them, and names the role that the environment gives
(`TIKKUN_ROLE`), never a person.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from pipelines.settings.workspace import Workspace

LOG = "access.tsv"
_HEAD = "read_at\trole\tcommand\taudience\trelease\twhat\n"


def note_access(space: Workspace, command: str, audience: str, what: str = "") -> None:
    """Add a row; where it cannot be written, say so and let the reader read.

    Args:
        space: the city.
        command: the command that reads or exports.
        audience: whose version is read.
        what: which part: codes of schools and responses, never anything of a person.
    """
    log, current = Path(space.marts_folder) / LOG, Path(space.marts_folder) / "current"
    release = current.resolve().name if current.exists() else ""
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    role = os.environ.get("TIKKUN_ROLE", "")
    row = "\t".join(
        " ".join(cell.split()) for cell in (moment, role, command, audience, release, what)
    )
    try:
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a") as file:
            file.write(("" if file.tell() else _HEAD) + row + "\n")
    except OSError as error:
        sys.stderr.write(f"{log}: who read cannot be noted ({error.strerror}).\n")
