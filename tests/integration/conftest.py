"""What the tests of whole runs share."""

import shutil

import pytest
import yaml

from tests.conftest import make_place


def change_policy(place, *path, value):
    file = place.raw / "policy.yaml"
    raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    node = raw
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    file.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")


@pytest.fixture
def place(published, tmp_path):
    """The small city after its run, to be changed at will."""
    copy = make_place(tmp_path, published.raw)
    shutil.copytree(published.marts, copy.marts, symlinks=True)
    return copy
