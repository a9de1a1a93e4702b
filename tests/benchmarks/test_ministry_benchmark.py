"""Score files of a ministry from files to gap marts, beside a bare query over the same files.

A tenth of a ministry here; `python -m tests.benchmarks.ministry_run 2000000` runs the whole.
"""

import json
import os
import subprocess
import sys

PUPILS = 200_000


def test_a_tenth_of_a_ministry(benchmark):
    command = [sys.executable, "-m", "tests.benchmarks.ministry_run", str(PUPILS)]

    def run():
        done = subprocess.run(command, check=True, capture_output=True, env=os.environ.copy())
        return json.loads(done.stdout.splitlines()[-1])

    found = benchmark.pedantic(run, rounds=1)
    benchmark.extra_info.update(found)
    print(found)
    assert found["rows"] >= 20 * PUPILS
    assert found["chain"]["gib"] <= 8
    assert found["chain"]["wall_s"] <= 240
