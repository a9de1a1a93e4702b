"""What the tests of whole runs share."""

import json

import dagster as dg
import pytest
import yaml

from pipelines import definitions
from pipelines.publish.due import Due
from tests.runs import copy_of


def change_policy(place, *path, value):
    """Set a value at a path of the city's policy, which may be new there; None takes it away."""
    file = place.raw / "policy.yaml"
    raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    node = raw
    for part in path[:-1]:
        node = node.setdefault(part, {})
    if value is None:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    file.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")


def hashes(place):
    """Return the hash of every file of a place's release."""
    return json.loads((place.current / "manifest.json").read_text(encoding="utf-8"))["files"]


@pytest.fixture
def make_only(monkeypatch):
    """Let runs of this process make these assets alone, as where only scenarios have changed.

    What they need beside themselves stays as the run before made it.
    """

    def narrow(selection):
        def build_with_part(space):
            with pytest.MonkeyPatch.context() as own:
                own.setattr(definitions, "SCENARIOS", name)
                whole = build(space)
            part = dg.define_asset_job("part", selection=selection)
            return dg.Definitions.merge(whole, dg.Definitions(jobs=[part]))

        build, name = definitions.build, definitions.SCENARIOS
        monkeypatch.setattr(definitions, "build", build_with_part)
        monkeypatch.setattr(definitions, "SCENARIOS", "part")
        part = Due("scenarios", "only a part is made")
        monkeypatch.setattr("pipelines.commands.run.what_is_due", lambda _: part)

    return narrow


@pytest.fixture
def place(published, tmp_path):
    """The small city after its run, to be changed at will."""
    return copy_of(published, tmp_path)
