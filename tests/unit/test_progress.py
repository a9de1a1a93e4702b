"""What a run says of itself: stages in their order, what was remembered, how long is left."""

import io
import logging
from types import SimpleNamespace

import pytest
from rich.console import Console

from pipelines.warehouse.progress import Progress
from pipelines.warehouse.tables import REMEMBERED

STAGE_OF = {"read": "collect", "gaps": "diagnose", "plan": "decide", "solve": "decide"} | {
    "past": "review",
    "work": "act",
}


@pytest.fixture
def run():
    """A run whose events are told by hand: `tell` a step and what happened, `said` so far."""
    written = io.StringIO()
    console = Console(file=written, soft_wrap=True, highlight=False)
    progress = Progress(console, STAGE_OF, {"plan": 40.0, "solve": 100.0})

    def tell(step, kind, **metadata):
        event = SimpleNamespace(
            step_key=step,
            event_type_value=kind,
            materialization=SimpleNamespace(metadata=metadata),
        )
        record = logging.LogRecord("run", logging.INFO, "", 0, "", None, None)
        record.dagster_meta = {"dagster_event": event}
        progress.emit(record)

    def make(*steps, **metadata):
        for step in steps:
            tell(step, "STEP_START")
            tell(step, "ASSET_MATERIALIZATION", **metadata)
            tell(step, "STEP_SUCCESS")

    return SimpleNamespace(
        tell=tell, make=make, said=lambda: written.getvalue().splitlines(), progress=progress
    )


def stages(run):
    return [line.split()[1:3] for line in run.said()]


def test_stages_stand_in_their_order_however_they_end(run):
    run.make("read", "gaps")
    assert stages(run) == [["2/6", "collect"], ["3/6", "diagnose"]]
    run.make("past", "solve")
    assert len(run.said()) == 2, "review has ended, but neither decide nor act before it"
    run.make("plan", "work")
    assert [stage for _, stage in stages(run)[2:]] == ["decide", "act", "review"]


def test_what_was_remembered_is_told(run):
    run.make("read", "gaps")
    run.make("solve", **{REMEMBERED: True})
    run.make("plan")
    collect, _, decide = run.said()
    assert "remembered" not in collect
    assert "2 steps" in decide
    assert decide.endswith("1 remembered")


def test_a_stage_with_a_failure_has_not_ended(run):
    run.make("read", "gaps", "plan")
    run.tell("solve", "STEP_START")
    run.tell("solve", "STEP_FAILURE")
    run.make("work", "past")
    assert "solve failed" in run.said()[-1]
    assert stages(run)[:-1] == [["2/6", "collect"], ["3/6", "diagnose"]]


def test_the_time_left_is_that_of_earlier_runs(run):
    def left(step):
        run.tell(step, "STEP_START")
        text = run.progress._status.status
        run.tell(step, "STEP_SUCCESS")
        return text

    assert "about 140 s left" in left("read")
    assert "about 140 s left" in left("plan")
    assert "about 100 s left" in left("solve")
    assert "left" not in left("gaps")
