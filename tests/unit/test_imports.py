"""What a command loads: a start costs what it imports, and none imports what only a run needs."""

import subprocess
import sys

import pytest

from tests.runs import PROJECT

RUNS = {"dagster", "great_expectations", "sqlalchemy"}
DRAWS = {"altair", "vl_convert"}
MODELS = {"pandas", "sklearn", "scipy", "highspy"}


@pytest.mark.parametrize(
    ("command", "never"),
    [
        ("pages", RUNS | DRAWS | MODELS),
        ("run", RUNS | DRAWS | MODELS),  # a run that has something to do loads them then
        ("papers", RUNS | DRAWS | MODELS),
        ("why", RUNS | DRAWS),
        ("check", RUNS | DRAWS),
        ("policy", RUNS | DRAWS | MODELS),
    ],
)
def test_a_command_loads_only_what_it_needs(command, never):
    said = f"import pipelines.commands.{command}, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", said], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "polars" in loaded
    assert loaded & never == set()
