"""The project's own files by content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from pipelines.settings.workspace import PROJECT


def project_files(patterns: Iterable[str]) -> set[Path]:
    """Return the project's files under some patterns."""
    return {path for pattern in patterns for path in PROJECT.glob(pattern) if path.is_file()}


def hashed(files: Iterable[Path]) -> str:
    """Return the SHA-256 over files, by name and content, wherever they stand."""
    held = sorted((path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files)
    return hashlib.sha256(json.dumps(held).encode()).hexdigest()


def code_fingerprint(patterns: Iterable[str], but: Iterable[str] = ()) -> str:
    """Return the SHA-256 over files of the project, by content.

    Args:
        patterns: which files.
        but: which of them not.
    """
    return hashed(project_files(patterns) - project_files(but))
