"""The faults that were thought of: one a row of `catalogue.tsv`, and the test that plays it.

A test is named as `file::function`, and `[text` where only the cases whose name holds that text
are meant.
"""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.runs import PROJECT

FILE = Path(__file__).with_name("catalogue.tsv")
KINDS = (
    "files",
    "policy",
    "money",
    "privacy",
    "key",
    "crash",
    "disk",
    "damage",
    "servers",
    "concurrency",
    "clock",
    "upgrade",
)


@dataclass(frozen=True)
class Fault:
    """What goes wrong, how it is brought about, what must happen, and what happened before."""

    id: str
    kind: str
    fault: str
    injected: str
    must: str
    before: str
    test: str

    @property
    def function(self) -> str:
        """Where the test stands."""
        return self.test.partition("[")[0]

    def is_played_by(self, node: str) -> bool:
        """Whether a test that ran is one of this fault's."""
        function, _, case = node.partition("[")
        return function == self.function and self.test.partition("[")[2] in case.replace("\\", "")


def catalogue() -> list[Fault]:
    """Return every fault, in order."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return [
            Fault(**row) for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]


@dataclass(eq=False)  # pytest keeps plugins in sets
class Outcomes:
    """A plugin of pytest that notes how each test ended; skipped ones with the reason."""

    ended: dict[str, str] = field(default_factory=dict)
    collected: list[str] = field(default_factory=list)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.collected = [item.nodeid for item in items]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.ended[report.nodeid] = "FAILED"
        elif report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            self.ended[report.nodeid] = f"not played: {reason}"
        elif report.when == "call":
            self.ended.setdefault(report.nodeid, "as it must")

    def of(self, fault: Fault) -> str:
        """What happened: the worst of the fault's tests."""
        found = {said for node, said in self.ended.items() if fault.is_played_by(node)}
        if not found:
            return "FAILED: no test plays it"
        if "FAILED" in found:
            return "FAILED"
        skipped = sorted(found - {"as it must"})
        return skipped[0] if skipped else "as it must"


def nodes(faults: Sequence[Fault]) -> list[str]:
    """The functions that play faults, each once."""
    return [str(PROJECT / one) for one in dict.fromkeys(fault.function for fault in faults)]


def play(faults: Sequence[Fault], *options: str) -> Outcomes:
    """Run the tests of faults, or collect them alone (`--collect-only`)."""
    outcomes = Outcomes()
    pytest.main(
        ["-q", "--no-header", "-p", "no:warnings", *options, *nodes(faults)], plugins=[outcomes]
    )
    return outcomes


def main() -> int:
    """Play all faults and print the table; return 1 if one did not end as it must."""
    faults, begun = catalogue(), time.monotonic()
    outcomes = play(faults)
    print(f"\n{'id':5}{'kind':12}{'fault':66}{'before':16}now")
    for one in faults:
        print(f"{one.id:5}{one.kind:12}{one.fault[:64]:66}{one.before[:14]:16}{outcomes.of(one)}")
    counted = Counter(outcomes.of(one).partition(":")[0] for one in faults)
    seconds = time.monotonic() - begun
    print(f"\n{len(faults)} faults in {seconds:.0f} s: {dict(counted)}")
    return 1 if counted["FAILED"] else 0
