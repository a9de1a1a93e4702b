"""Who may read what a run leaves: its owner alone, but for what is published to others.

What is in the working warehouse, in what steps remember, in logs and run histories tells of
children; the releases of every audience but the analysts do not.
"""

from __future__ import annotations

import os
from pathlib import Path

_USUAL = os.umask(0o077)  # can only be read by setting it
os.umask(_USUAL)


def keep_private() -> None:
    """Have this process, and those it starts, make files that their owner alone may read."""
    os.umask(0o077)


def open_to_readers(path: Path) -> None:
    """Let others read a file or folder as they could if `keep_private` had not been called."""
    path.chmod((0o777 if path.is_dir() else 0o666) & ~_USUAL)


def close_to_others(path: Path) -> None:
    """Let the owner alone read a file or folder."""
    path.chmod(0o700 if path.is_dir() else 0o600)
