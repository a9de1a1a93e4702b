"""How long a run of the demonstration takes after one change, and `make pages`, beside the figures.

`make bench` has run the demonstration; each change is made in a copy of what that run left.
"""

import os
import re
import resource
import shutil
import subprocess
import sys
import time

import pytest

from tests.runs import PROJECT, place_at

CITY = "demo_city"


def nothing(raw):
    """Change no file."""


def comment(raw):
    """Say more about the policy, and decide nothing."""
    path = raw / "policy.yaml"
    path.write_text(f"# {path.stem}\n{path.read_text(encoding='utf-8')}", encoding="utf-8")


def rating(raw):
    """Turn one rating of one participant."""
    path = raw / "files" / "ratings.csv"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(",not_effective,", ",fairly_effective,", 1), encoding="utf-8")


def budget(raw):
    """Take a tenth of the municipality's budget."""
    path = raw / "policy.yaml"
    text = path.read_text(encoding="utf-8")
    less = re.sub(r"(municipal_own: \{budget: \{value: )9000000", r"\g<1>8100000", text)
    assert less != text
    path.write_text(less, encoding="utf-8")


def score(raw):
    """Correct one score of one pupil."""
    path = raw / "files" / "pupil_scores_2026.csv"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(",76.0,", ",77.0,", 1), encoding="utf-8")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The folders of the demonstration after a run."""
    folder = tmp_path_factory.mktemp("ran")
    for part, place in (
        ("raw", "data_raw"),
        ("marts", "data_marts"),
        ("work", ".work"),
        ("dagster", ".dagster"),
    ):
        shutil.copytree(PROJECT / place / CITY, folder / part / CITY, symlinks=True)
    # A copy is as what it is copied from: the first run over it finds nothing to do.
    return place_at(folder, CITY)


def run(place, command):
    """Run a command, and return its seconds, on the clock and of the processor."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", f"pipelines.commands.{command}", CITY],
        cwd=PROJECT,
        env=place.env,
        capture_output=True,
        text=True,
        check=False,
    )
    took, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout + done.stderr
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    ("command", "change", "most"),
    [
        ("run", nothing, 3),
        ("run", comment, 4),
        ("run", rating, 15),
        ("run", budget, 20),
        ("run", score, 45),
        ("pages", nothing, 5),
    ],
)
def test_what_changed_is_made_again_and_nothing_else(
    benchmark, ran, tmp_path, command, change, most
):
    shutil.copytree(ran.marts.parent.parent, tmp_path, symlinks=True, dirs_exist_ok=True)
    place = place_at(tmp_path, CITY)
    change(place.raw)
    found = benchmark.pedantic(run, (place, command), rounds=1, iterations=1)
    print(
        f"{command} after {change.__name__}: {found[0]:.1f} s ({found[1]:.1f} s of the processor,"
        f" {os.cpu_count()} cores); figure {most} s"
    )
    assert found[0] <= most
