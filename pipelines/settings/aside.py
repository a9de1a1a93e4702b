"""What is found damaged is moved out of the way, never deleted, and said in both languages."""

from __future__ import annotations

import sys
from pathlib import Path

MARK = ".damaged-"


def set_aside(path: Path, en: str, he: str) -> Path:
    """Rename what cannot be used, so that it is made anew beside it; return its new place.

    Args:
        path: a file, folder or link of the product's own: no file that a city gave.
        en: what is lost by it, or how it comes back.
        he: the same in Hebrew.

    Raises:
        OSError: if it cannot be renamed, as on a read-only disk.
    """
    taken = {other.name for other in path.parent.iterdir()}
    number = next(n for n in range(1, len(taken) + 2) if f"{path.name}{MARK}{n}" not in taken)
    aside = path.with_name(f"{path.name}{MARK}{number}")
    path.rename(aside)
    sys.stderr.write(
        f"{path}: damaged; set aside as {aside.name}. {en}\n"
        f"{path}: פגום; הועבר הצידה בשם {aside.name}. {he}\n"
    )
    return aside
