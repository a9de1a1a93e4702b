"""Progress of a run, a line a stage, from Dagster's own events."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Mapping

import dagster as dg
from rich.console import Console

from pipelines.warehouse.tables import REMEMBERED, STAGES

QUESTIONS = {
    "aim": "what do we want, for whom, by which rules",
    "collect": "what do the sources say, and can we trust them",
    "diagnose": "where are the gaps, how sure, what drives them",
    "decide": "which responses work, what to fund",
    "act": "who does what when, and who is told",
    "review": "what happened against the plan",
}
_LOGGER = logging.Logger("progress")


class Progress(logging.Handler):
    """Prints each stage once all its tables are made, in the order of the stages.

    Args:
        console: where it prints.
        stage_of: step → its stage, of the steps that this run makes.
        usual: step → seconds it took in earlier runs; without it no time left is told.
    """

    def __init__(
        self, console: Console, stage_of: Mapping[str, str], usual: Mapping[str, float]
    ) -> None:
        super().__init__()
        self._console, self._stage_of, self._usual = console, stage_of, usual
        self._left = {stage: self._of(stage) for stage in STAGES}
        self._told = 0
        self._remembered: set[str] = set()
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._started: dict[str, float] = {}
        self._status = console.status("")

    def __enter__(self) -> Progress:
        """Start the spinner, and let runs of this process report here."""
        _LOGGER.addHandler(self)
        self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the spinner."""
        _LOGGER.removeHandler(self)
        self._status.stop()

    def emit(self, record: logging.LogRecord) -> None:
        """Follow the start and end of each step."""
        event = getattr(record, "dagster_meta", {}).get("dagster_event")
        step = event.step_key if event else None
        if event is None or step is None or step not in self._stage_of:
            return
        stage = self._stage_of[step]
        match event.event_type_value:
            case "STEP_START":
                self._started[step] = time.monotonic()
                self._status.update(f"{stage}: {step}{self._time_left()}")
            case "ASSET_MATERIALIZATION" if REMEMBERED in event.materialization.metadata:
                self._remembered.add(step)
            case "STEP_SUCCESS" | "STEP_FAILURE" as end:
                self._spent[stage] += time.monotonic() - self._started[step]
                if end == "STEP_FAILURE":
                    self._console.print(f"  [red]✗[/red] {stage:<9} {step} failed")
                else:
                    self._left[stage].discard(step)
                    self._tell()

    def _of(self, stage: str) -> set[str]:
        return {step for step, own in self._stage_of.items() if own == stage}

    def _tell(self) -> None:
        """Print the stages that have ended and have none before them that has not."""
        while self._told < len(STAGES) and not self._left[STAGES[self._told]]:
            stage = STAGES[self._told]
            self._told += 1
            steps = self._of(stage)
            if steps:
                known = len(steps & self._remembered)
                remembered = f", {known} remembered" if known else ""
                self._console.print(
                    f"  [green]✓[/green] {self._told}/6 {stage:<9} {len(steps):>3} steps"
                    f" {self._spent[stage]:6.1f} s   {QUESTIONS[stage]}{remembered}"
                )

    def _time_left(self) -> str:
        left = sum(self._usual.get(step, 0.0) for steps in self._left.values() for step in steps)
        return f"  (about {left:.0f} s left, as earlier runs went)" if left >= 1 else ""


@dg.logger(config_schema={}, description="One line a stage.")
def progress_logger(_: dg.InitLoggerContext) -> logging.Logger:
    """Return the logger that feeds the progress display."""
    return _LOGGER
