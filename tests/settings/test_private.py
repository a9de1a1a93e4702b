"""What is published can be read by others, also where a process that keeps private started it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.settings.workspace import PROJECT

STARTER = """
import subprocess, sys
from pipelines.settings.private import keep_private
keep_private()
sys.exit(subprocess.run([sys.executable, "-c", sys.argv[1], *sys.argv[2:]]).returncode)
"""
PUBLISHER = """
import sys
from pathlib import Path
from pipelines.settings.private import keep_private, open_to_readers
Path(sys.argv[1]).write_text("private")
Path(sys.argv[2]).write_text("published")
keep_private()
open_to_readers(Path(sys.argv[2]))
Path(sys.argv[3]).mkdir()
open_to_readers(Path(sys.argv[3]))
"""


@pytest.mark.parametrize(
    ("usual", "file", "folder"), [(0o022, 0o644, 0o755), (0o027, 0o640, 0o750)]
)
def test_what_a_served_night_publishes_is_as_open_as_without_the_server(
    tmp_path, usual, file, folder
):
    paths = [tmp_path / name for name in ("private", "published", "folder")]
    env = {name: value for name, value in os.environ.items() if name != "TIKKUN_UMASK"}
    for command in (STARTER, PUBLISHER), (STARTER, STARTER, PUBLISHER):
        for path in paths:
            path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
        subprocess.run(
            [sys.executable, "-c", *command, *map(str, paths)],
            cwd=PROJECT,
            env=env,
            umask=usual,
            check=True,
        )
        assert [_mode(path) for path in paths] == [0o600, file, folder]


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777
