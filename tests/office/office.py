"""An office beside the tests: workbooks go in, and come back as LibreOffice saved them."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("in_office.py")
PYTHON = "/usr/bin/python3"
SECONDS = 300


@dataclass(frozen=True)
class Job:
    """A workbook to open, what to type in it, and where to save it.

    Attributes:
        path: the workbook.
        saved: where LibreOffice saves it.
        sheet: the sheet that is filled in.
        typed: row and column from 0 on, and the text.
    """

    path: Path
    saved: Path
    sheet: str
    typed: tuple[tuple[int, int, str], ...] = ()


def require_office():
    """Skip where LibreOffice or its Python bridge is absent."""
    bridge = [PYTHON, "-c", "import uno"]
    has_bridge = (
        Path(PYTHON).is_file() and not subprocess.run(bridge, capture_output=True).returncode
    )
    if not shutil.which("soffice") or not has_bridge:
        pytest.skip(
            "LibreOffice Calc and python3-uno are not installed (tests/office/setup.sh installs"
            " them where it can)"
        )


def through_office(folder: Path, *jobs: Job) -> list[dict]:
    """Have LibreOffice do the jobs; return what it found in each workbook (see `in_office`)."""
    require_office()
    pipe = f"tikkun_{folder.name}".replace("-", "_")
    office = subprocess.Popen(
        [
            "soffice",
            f"-env:UserInstallation={(folder / 'office_profile').as_uri()}",
            "--headless",
            "--norestore",
            f"--accept=pipe,name={pipe};urp;",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        asked = [
            {"path": str(j.path), "saved": str(j.saved), "sheet": j.sheet, "typed": j.typed}
            for j in jobs
        ]
        done = subprocess.run(
            [PYTHON, str(SCRIPT), pipe],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    finally:
        office.terminate()
        office.wait(timeout=60)
