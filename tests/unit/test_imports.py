"""What a command loads: a start costs what it imports, and none imports what only a run needs."""

import subprocess
import sys

import pytest

from tests.runs import PROJECT

RUNS = {"dagster", "great_expectations", "sqlalchemy"}
DRAWS = {"altair", "vl_convert"}
MODELS = {"pandas", "sklearn", "scipy", "highspy"}


@pytest.mark.parametrize(
    ("commands", "never"),
    [
        # A run that has something to do loads them then.
        (("pages", "run", "papers", "policy"), RUNS | DRAWS | MODELS),
        (("why", "check"), RUNS | DRAWS),
    ],
)
def test_a_command_loads_only_what_it_needs(commands, never):
    """Where all of these together load none of what is named, none of them does."""
    said = "".join(f"import pipelines.commands.{name}\n" for name in commands)
    said += "import sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", said], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "polars" in loaded
    assert loaded & never == set()
