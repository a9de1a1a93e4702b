"""Kill what writes at random moments, and look at what a reader then finds."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from tests.runs import PROJECT, Place

_PUBLISHER = """
import itertools, sys
from pathlib import Path
from pipelines.publish.release import publish
root = Path(sys.argv[1])
def build(number):
    def write(folder):
        for name in ("analyst", "committee"):
            (folder / name).mkdir()
            for part in range(12):
                (folder / name / f"{part}.parquet").write_bytes(bytes([number]) * 50_000)
    return write
print("ready", flush=True)
for turn in itertools.count():
    publish(root, build(turn % 5), lambda _: None, keep=2)
"""
_DECIDER = """
from datetime import date
from pipelines.act.deciding import Decision, decide
from pipelines.settings.workspace import workspace
space = workspace()
print("ready", flush=True)
while True:
    last = max([one.record.version for one in space.city().decided], default=None)
    decide(space, Decision("base", "budget_committee", "כך הוחלט", date(2026, 6, 20),
                           replaces=last), date(2026, 7, 30))
"""
SIGNALS = (signal.SIGKILL, signal.SIGTERM)


@dataclass(frozen=True)
class Kill:
    """One kill: of what, how, when (seconds after it began to write), and what was found."""

    of: str
    how: str
    after_seconds: float
    found: str

    @property
    def is_well(self) -> bool:
        return not self.found.startswith("BROKEN")


def _killed(process: subprocess.Popen, how: signal.Signals, after: float) -> int:
    time.sleep(after)
    assert process.poll() is None, "it ended by itself"
    process.send_signal(how)
    return process.wait(timeout=120)


def _child(script: str, *arguments: str, env: dict[str, str]) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=PROJECT,
        env=env | {"PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def release_found(root: Path) -> str:
    """What a reader finds: every release that bears a name is whole, or nothing is published."""
    from pipelines.publish.known import publications
    from pipelines.publish.release import current_release, is_whole

    # What was renamed is not yet deleted, and bears no name of a release.
    named = [path for path in (root / "releases").glob("*") if len(path.name) == 16]
    halves = [path.name for path in named if not is_whole(path)]
    kept = [one.release for one in publications(root) if not is_whole(one.folder)]
    current = current_release(root)
    if halves or kept or (current is not None and not is_whole(current)):
        return f"BROKEN: half a release {halves}, half kept {kept}, current {current}"
    return f"current whole, {len(named)} releases whole" if current else "nothing published yet"


def publishing(folder: Path, times: int, seed: int = 1) -> Iterator[Kill]:
    """Kill a process that publishes five contents in turn and keeps two."""
    draw = random.Random(seed)
    for turn in range(times):
        how, after = SIGNALS[turn % 2], draw.uniform(0, 0.5)
        _killed(_child(_PUBLISHER, str(folder), env=dict(os.environ)), how, after)
        yield Kill("publishing", how.name, after, release_found(folder))


def deciding(place: Place, times: int, seed: int = 2) -> Iterator[Kill]:
    """Kill a process that decides on the plan again and again."""
    from pipelines.settings.city import CityError

    draw = random.Random(seed)
    env = place.env | {"TIKKUN_CITY": place.raw.name}
    for turn in range(times):
        how, after = SIGNALS[turn % 2], draw.uniform(0, 10)
        _killed(_child(_DECIDER, env=env), how, after)
        try:
            with patch.dict(os.environ, env):
                versions = [one.record.version for one in place.workspace().city().decided]
            is_chain = versions == list(range(1, len(versions) + 1))
            found = f"{len(versions)} decisions, chain whole"
            yield Kill("deciding", how.name, after, found if is_chain else f"BROKEN: {versions}")
        except CityError as error:
            yield Kill("deciding", how.name, after, f"BROKEN: {error.en}")


def running(place: Place, times: int, longest: float = 45, seed: int = 3) -> Iterator[Kill]:
    """Kill whole runs: by turns one that makes all anew and one of what a scenario changes."""
    draw = random.Random(seed)
    aside = place.raw / "scenarios" / "need_blind.yaml"
    text = aside.read_bytes()
    for turn in range(times):
        is_forced = turn % 4 < 2
        how, after = SIGNALS[turn % 2], draw.uniform(1, longest if is_forced else 25)
        if not is_forced:
            aside.unlink() if aside.exists() else aside.write_bytes(text)
        process = place.start(*(["--force"] if is_forced else []))
        time.sleep(after)
        has_ended = process.poll() is not None
        process.send_signal(how)
        process.communicate(timeout=300)
        found = release_found(place.marts)
        kind = "a whole run" if is_forced else "a run of scenarios"
        yield Kill(kind, how.name, after, found + (" (it had ended)" if has_ended else ""))
    aside.write_bytes(text)


def table(kills: list[Kill]) -> str:
    """The kills as lines of text."""
    head = f"{'killed':20}{'by':9}{'after s':>8}  found"
    lines = [f"{k.of:20}{k.how:9}{k.after_seconds:8.2f}  {k.found}" for k in kills]
    return "\n".join([head, *lines])
