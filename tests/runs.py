"""Places where a test city lives, the commands run there, and runs made once for all tests."""

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from filelock import FileLock

PROJECT = Path(__file__).resolve().parent.parent
DATABASE = "tikkun.duckdb"


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
        from pipelines.settings.workspace import workspace

        with patch.dict(os.environ, self.env):
            return workspace(self.raw.name)

    def run(self, *arguments: str, timeout: float = 1800) -> subprocess.CompletedProcess:
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
        "TIKKUN_DAGSTER": str(folder / "dagster"),
        "DAGSTER_HOME": str(folder / "dagster" / city),
        "COLUMNS": "200",
    }
    return Place(raw=folder / "raw" / city, marts=folder / "marts" / city, env=env)


def copy_of(place: Place, folder: Path) -> Place:
    """Copy a place with all that its runs left, to be changed at will."""
    # Another process may be reading the run store; what SQLite keeps beside it then comes and goes.
    passing = shutil.ignore_patterns("*-wal", "*-shm")
    top = place.marts.parent.parent
    shutil.copytree(
        top, folder, symlinks=True, dirs_exist_ok=True, ignore=passing, copy_function=copy_or_link
    )
    return place_at(folder, place.raw.name)


def copy_or_link(source: str, target: str) -> None:
    """Copy a file; the databases of a release, which nobody writes in place, are linked.

    They are nearly all of its bytes. A test that damages one replaces it.
    """
    if os.path.basename(source) == DATABASE:
        with contextlib.suppress(OSError):  # another disk
            return os.link(source, target)
    shutil.copy2(source, target)


# Runs that were made, each in a folder that its content names; `make clean` removes them.
RUNS = PROJECT / ".work" / "test_runs"
RUNS_KEPT = 8
SESSION = os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"process {os.getpid()}"
"""Of which the processes of one `make test` have the same."""


@dataclass(frozen=True)
class Run:
    """A run that has ended: where, its exit code, and all that it said."""

    place: Place
    code: int
    said: str


def run_of(city: Path, *arguments: str) -> Run:
    """Run the command over a city, once for all tests that only read what it leaves.

    It runs inside this process: a new one would only import all there is once more, and what is
    special about processes has tests of its own. Whoever asks again, in this process, in one
    beside it or in a later session, is given the same run as long as nothing that it depends on has
    another content: the code, the locked versions, the city's files, the arguments. A run that
    broke off, or whose release or warehouse something has changed since, is made again; so is one
    that failed in another session, as it may have been ended from outside. Tests that change what
    they are given copy it first.
    """
    RUNS.mkdir(parents=True, exist_ok=True)
    folder = RUNS / _content(city, arguments)
    ended = folder / "ended.json"
    with FileLock(f"{folder}.lock"):
        run = _made(folder, city.name)
        if run is None:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            done = make_place(folder, city).call(*arguments)
            # Last of all, so that a folder without it is known for one that broke off.
            end = {"code": done.returncode, "said": done.stdout, "session": SESSION}
            ended.write_text(json.dumps(end), encoding="utf-8")
            run = _made(folder, city.name)
            assert run is not None, f"{folder}: not as its run left it"
        ended.touch()
    _forget_old_runs()
    return run


def _content(city: Path, arguments: tuple[str, ...]) -> str:
    """Return the hash of all that a run depends on."""
    digest = hashlib.sha256(json.dumps([city.name, sys.version, arguments]).encode())
    code = [PROJECT / name for name in ("pipelines", "models", "sql")]
    files = [path for top in (*code, city) for path in top.rglob("*") if path.is_file()]
    for path in sorted([*files, PROJECT / "requirements.lock", Path(__file__)]):
        name = path.relative_to(city if path.is_relative_to(city) else PROJECT)
        if not {"__pycache__", "truth"} & set(name.parts):
            digest.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:24]


def _made(folder: Path, city: str) -> Run | None:
    """Return the run of a folder, if it has ended and nothing has been changed since."""
    from pipelines.publish.due import what_is_due
    from pipelines.sources.fingerprint import fingerprints
    from pipelines.warehouse.database import Warehouse

    try:
        end = json.loads((folder / "ended.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    session = end.pop("session", None)
    if end["code"] and session != SESSION:
        return None
    place = place_at(folder, city)
    if end["code"] == 0:
        space = place.workspace()
        tables_of = Warehouse(path=str(space.warehouse_path)).made_from()
        with patch.dict(os.environ, place.env):  # which says where the shared files are
            if what_is_due(space).what != "nothing":
                return None
            if tables_of != fingerprints(space.city()).upstream:
                return None
    return Run(place, **end)


def _forget_old_runs() -> None:
    """Keep the runs that were last asked for."""
    with FileLock(RUNS / "forget.lock"):
        ends = sorted(RUNS.glob("*/ended.json"), key=lambda path: path.stat().st_mtime)
        for end in ends[:-RUNS_KEPT]:
            end.unlink()
            shutil.rmtree(end.parent)
