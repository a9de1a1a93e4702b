"""Who may read what a run leaves: its owner alone, but for what is published to others.

What is in the working warehouse, in what steps remember, in logs and run histories tells of
children; the releases of every audience but the analysts do not.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_UMASK = "TIKKUN_UMASK"
"""Tells the processes that this one starts what the mask was before `keep_private`."""


def _usual() -> int:
    told = os.environ.get(_UMASK, "")
    if re.fullmatch("[0-7]{1,3}", told):
        return int(told, 8)
    usual = os.umask(0o077)  # can only be read by setting it
    os.umask(usual)
    return usual


_USUAL = _usual()


def keep_private() -> None:
    """Have this process, and those it starts, make files that their owner alone may read."""
    os.environ[_UMASK] = f"{_USUAL:03o}"
    os.umask(0o077)


def open_to_readers(path: Path) -> None:
    """Let others read a file or folder as they could if `keep_private` had not been called."""
    path.chmod((0o777 if path.is_dir() else 0o666) & ~_USUAL)


def close_to_others(path: Path) -> None:
    """Let the owner alone read a file or folder."""
    path.chmod(0o700 if path.is_dir() else 0o600)
