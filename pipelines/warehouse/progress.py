"""Progress of a run, a line a stage, from Dagster's own events."""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict

import dagster as dg
from rich.console import Console

from pipelines.warehouse.tables import STAGES

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
    """Prints each stage once all its tables are made, with their number and seconds."""

    def __init__(self, console: Console, stage_of: dict[str, str]) -> None:
        super().__init__()
        self._console, self._stage_of = console, stage_of
        self._left = Counter(stage_of.values())
        self._total = Counter(stage_of.values())
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
        if event is None or step not in self._stage_of:
            return
        stage = self._stage_of[step]
        if event.event_type_value == "STEP_START":
            self._started[step] = time.monotonic()
            self._status.update(f"{stage}: {step}")
        elif event.event_type_value in ("STEP_SUCCESS", "STEP_FAILURE"):
            self._spent[stage] += time.monotonic() - self._started[step]
            self._left[stage] -= 1
            if event.event_type_value == "STEP_FAILURE":
                self._console.print(f"  [red]✗[/red] {stage:<9} {step} failed")
            elif not self._left[stage]:
                self._console.print(
                    f"  [green]✓[/green] {STAGES.index(stage) + 1}/6 {stage:<9}"
                    f" {self._total[stage]:>3} steps {self._spent[stage]:6.1f} s  "
                    f" {QUESTIONS[stage]}"
                )


@dg.logger(config_schema={}, description="One line a stage.")
def progress_logger(_: dg.InitLoggerContext) -> logging.Logger:
    """Return the logger that feeds the progress display."""
    return _LOGGER
