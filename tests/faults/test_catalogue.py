"""The catalogue is whole: every fault is of a kind, says what must happen, and a test plays it."""

import json
import subprocess
import sys

from tests.faults.catalogue import KINDS, Outcomes, catalogue
from tests.runs import PROJECT


def test_there_are_a_hundred_faults_and_more_of_every_kind():
    faults = catalogue()
    assert len(faults) >= 100
    assert len({one.id for one in faults}) == len(faults)
    assert {one.kind for one in faults} == set(KINDS)
    assert all((one.fault, one.injected, one.must, one.test) for one in faults)
    assert sum(bool(one.before) for one in faults) == 82  # those that were tried first


def collected_alone():
    """Collect the tests of the catalogue in a process of its own: pytest does not run in itself."""
    script = (
        "import json; from tests.faults.catalogue import catalogue, play;"
        "print('\\n' + json.dumps(play(catalogue(), '--collect-only').collected))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_a_test_plays_every_fault(collected):
    files = {one.function.partition("::")[0] for one in catalogue()}
    whole = files <= {node.partition("::")[0] for node in collected}
    nodes = collected if whole else collected_alone()
    unplayed = [
        (one.id, one.test)
        for one in catalogue()
        if not any(one.is_played_by(node) for node in nodes)
    ]
    assert unplayed == []


def test_the_worst_of_a_faults_tests_is_told():
    one = catalogue()[0]
    outcomes = Outcomes()
    assert outcomes.of(one) == "FAILED: no test plays it"
    outcomes.ended[f"{one.function}[a]"] = "as it must"
    assert outcomes.of(one) == "as it must"
    outcomes.ended[f"{one.function}[b]"] = "not played: no browser"
    assert outcomes.of(one) == "not played: no browser"
    outcomes.ended[f"{one.function}[c]"] = "FAILED"
    assert outcomes.of(one) == "FAILED"
