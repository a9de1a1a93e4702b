"""At whatever moment a process is killed, readers find whole releases and a whole chain."""

from pathlib import Path

import pytest

from pipelines.act.release import MADE_HERE
from tests.faults.kills import deciding, publishing, running, table
from tests.integration.conftest import hashes
from tests.runs import copy_of


def expect(kills):
    kills = list(kills)
    print(table(kills))
    assert kills
    assert all(kill.is_well for kill in kills), table(kills)
    return kills


def test_a_few_moments_of_publishing(tmp_path):
    expect(publishing(tmp_path, 4))


@pytest.mark.slow
def test_many_moments_of_publishing(tmp_path):
    expect(publishing(tmp_path, 20))


@pytest.mark.slow
def test_many_moments_of_deciding(published, tmp_path):
    kills = expect(deciding(copy_of(published, tmp_path), 12))
    assert not kills[-1].found.startswith("0 decisions")


@pytest.mark.slow
def test_many_moments_of_runs_and_the_next_one_makes_the_same_tables(published, tmp_path):
    place = copy_of(published, tmp_path)
    expect(running(place, 12))
    done = place.call()
    assert done.returncode == 0, done.stdout
    assert _same_tables(place, published)


def _same_tables(place, other):
    """All tables but those that compare with the release before: runs that had ended made some."""

    def tables(which):
        return {
            name: whole
            for name, whole in hashes(which).items()
            if name.endswith(".parquet") and Path(name).stem not in MADE_HERE
        }

    assert len(tables(place)) > 100
    return tables(place) == tables(other)
