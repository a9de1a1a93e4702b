"""Serve a city's Dagster page and run its nights: `python -m pipelines.commands.serve [CITY]`.

Two processes, the page and the daemon that keeps the schedule and the sensors. One that ends is
started again; SIGTERM or Ctrl-C ends both.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pipelines.guard import guarded
from pipelines.settings.city import CityError
from pipelines.settings.workspace import PROJECT, workspace

_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 1.0, 60.0
_WELL_AFTER_SECONDS = 60.0
_GRACE_SECONDS = 20.0


class Kept:
    """A process that is started again whenever it ends, later each time while it ends at once."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str]) -> None:
        self.name, self._command, self._env = name, command, env
        self._wait, self._again_at = _FIRST_WAIT_SECONDS, 0.0
        self._process: subprocess.Popen | None = None
        self._started = 0.0

    def look(self) -> None:
        """Start the process if it does not run and its time has come."""
        now = time.monotonic()
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            self._stop_group(signal.SIGKILL)  # what it had started itself
            self._process = None
            is_well = now - self._started >= _WELL_AFTER_SECONDS
            self._wait = (
                _FIRST_WAIT_SECONDS if is_well else min(2 * self._wait, _LONGEST_WAIT_SECONDS)
            )
            self._again_at = now + self._wait
            print(f"{self.name} ended ({code}); again in {self._wait:.0f} s", flush=True)
        if now >= self._again_at:
            self._process = subprocess.Popen(
                self._command, cwd=PROJECT, env=dict(self._env), start_new_session=True
            )
            self._started = now
            print(f"{self.name} started, process {self._process.pid}", flush=True)

    def ask_to_end(self) -> None:
        """Ask the process to end."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def end(self, by: float) -> None:
        """Wait until `by` (monotonic seconds), then end it and all that it started."""
        if self._process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=max(0.0, by - time.monotonic()))
        self._stop_group(signal.SIGKILL)
        self._process.wait()

    def _stop_group(self, how: signal.Signals) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, how)


async def _nothing(*_: object) -> None:
    """Answer nothing: what the page is served with is looked at before it is there."""


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to end; return 0, or 1 if the city's folder is not valid."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.commands.serve", description=__doc__)
    parser.add_argument("city", nargs="?", help="folder under data_raw (default: demo_city)")
    parser.add_argument("--host", default="127.0.0.1", help="beyond this machine: TIKKUN_TOKEN")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--view", action="store_true", help="the page shows and starts nothing")
    parser.add_argument(
        "--by-hand", action="store_true", help="the schedule waits until it is switched on"
    )
    asked = parser.parse_args(arguments)
    space = workspace(asked.city)
    try:
        space.city()
        guarded(_nothing, asked.host, asked.port, os.environ)  # else refused before all else
    except CityError as error:
        print(error)
        return 1
    from pipelines.definitions import NIGHT
    from pipelines.warehouse.database import Warehouse
    from pipelines.warehouse.run_store import end_broken_runs, instance

    with instance(space) as history:
        end_broken_runs(history, Warehouse(path=str(space.warehouse_path)))
    env = {
        **os.environ,
        "TIKKUN_CITY": space.name,
        "PYTHONPATH": str(PROJECT),
        NIGHT: "" if asked.by_hand else "yes",
    }
    programs, of_city = Path(sys.executable).parent, ("-m", "pipelines.definitions")
    page = (
        *(sys.executable, "-m", "pipelines.commands.page", "--host", asked.host),
        *("--port", str(asked.port), *(["--view"] if asked.view else [])),
    )
    kept = (
        Kept("page", page, env),
        Kept("daemon", (str(programs / "dagster-daemon"), "run", *of_city), env),
    )
    print(f"{space.name}: http://{asked.host}:{asked.port}", flush=True)
    is_over = threading.Event()
    for told in (signal.SIGTERM, signal.SIGINT):
        signal.signal(told, lambda *_: is_over.set())
    while not is_over.is_set():
        for process in kept:
            process.look()
        is_over.wait(0.5)
    for process in kept:
        process.ask_to_end()
    by = time.monotonic() + _GRACE_SECONDS
    for process in kept:
        process.end(by)
    print("ended", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
