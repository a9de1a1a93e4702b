"""Shared fixtures: where the project is, where the shared real data are, one small city, one run of
it.
"""

import contextlib
import io
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

PROJECT = Path(__file__).resolve().parent.parent
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")


def pytest_addoption(parser):
    parser.addoption(
        "--renew-snapshot", action="store_true", help="write the snapshot of the definitions anew"
    )


# Processes take whole files in this order: long ones first, so that none begins one when the other
# has ended. The first does not need `published` at once, so it does not wait for the second to make
# it.
LONG = (
    "sources/test_privacy.py",
    "integration/test_run_errors.py",
    "integration/test_real_city.py",
    "integration/test_runs_together.py",
    "integration/test_run.py",
    "sources/test_dirty_city.py",
)


def pytest_collection_modifyitems(items):
    places = {PROJECT / "tests" / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, len(LONG)))


# A busy machine is no fault of the code: how long one example takes is not tested.
settings.register_profile("tikkun", deadline=None)
settings.load_profile("tikkun")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("TIKKUN_SHARED_DATA") or PROJECT / "../shared/data").resolve()
    if not folder.is_dir():
        pytest.skip(
            f"the shared real data are not at {folder}; set TIKKUN_SHARED_DATA to run this test"
        )
    return folder


# The same steps on fewer draws: what is drawn often is tested where it is modelled.
QUICK_ACCOUNT = """
account:
  draws: {value: 10, unit: draws, source: test, reason: quick}
  scenarios: {value: 3, unit: draws, source: test, reason: quick}
  flip_pairs: {value: 1, unit: pairs, source: test, reason: quick}
  gammas: {value: [0.0, 1.0, 2.0], unit: exponents, source: test, reason: quick}
"""


@pytest.fixture(scope="session")
def small_city(tmp_path_factory) -> Path:
    """A generated city of six schools, as it lies on disk."""
    from models.demo import generate
    from pipelines.demo.write import write_city

    folder = tmp_path_factory.mktemp("raw") / "demo_city"
    write_city(generate(seed=1, profile="small"), folder)
    with (folder / "policy.yaml").open("a", encoding="utf-8") as policy:
        policy.write(QUICK_ACCOUNT)
    return folder


@dataclass(frozen=True)
class Place:
    """Where a test city lives: its raw folder, its releases, and the environment of its
    commands.
    """

    raw: Path
    marts: Path
    env: dict[str, str]

    @property
    def current(self) -> Path:
        return self.marts / "current"

    def workspace(self):
        """Return the workspace the place's commands use."""
        from unittest.mock import patch

        from pipelines.settings.workspace import workspace

        with patch.dict(os.environ, self.env):
            return workspace(self.raw.name)

    def run(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess:
        """Run the command a user runs, and return what it printed."""
        return subprocess.run(
            [sys.executable, "-m", "pipelines.commands.run", self.raw.name, *arguments],
            cwd=PROJECT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def call(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run the same command inside this process, which spares the imports of a new one."""
        from unittest.mock import patch

        from pipelines.commands.run import main

        out = io.StringIO()
        with (
            patch.dict(os.environ, self.env),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(out),
        ):
            code = main([self.raw.name, *arguments])
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), "")

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start the command and return its process; what it prints is to be read when it has
        ended.
        """
        command = [sys.executable, "-m", "pipelines.commands.run", self.raw.name, *arguments]
        return subprocess.Popen(
            command,
            cwd=PROJECT,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )


def make_place(folder: Path, city: Path) -> Place:
    """Copy a city's folder into a place of its own."""
    place = place_at(folder, city.name)
    shutil.copytree(city, place.raw, ignore=shutil.ignore_patterns("truth"))
    home = folder / "dagster"
    home.mkdir()
    shutil.copy(PROJECT / ".dagster" / "dagster.yaml", home)
    return place


def place_at(folder: Path, city: str) -> Place:
    """Describe the place of a city in a folder."""
    env = os.environ | {
        "TIKKUN_DATA_RAW": str(folder / "raw"),
        "TIKKUN_DATA_MARTS": str(folder / "marts"),
        "TIKKUN_WORK": str(folder / "work"),
        "TIKKUN_SHARED_DATA": (
            os.environ.get("TIKKUN_SHARED_DATA") or str((PROJECT / "../shared/data").resolve())
        ),
        "DAGSTER_HOME": str(folder / "dagster"),
        "COLUMNS": "200",
    }
    return Place(raw=folder / "raw" / city, marts=folder / "marts" / city, env=env)


@pytest.fixture(scope="session")
def published(small_city, tmp_path_factory, worker_id) -> Place:
    """The small city after one run; tests that change it copy it first.

    Processes that test side by side make it once and read it together, so nobody runs it again.
    """
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "published"
    with FileLock(f"{folder}.lock"):
        if folder.is_dir():
            place = place_at(folder, small_city.name)
        else:
            place = make_place(folder, small_city)
            done = place.run()
            assert done.returncode == 0, done.stdout + done.stderr
    return place
