"""Decide on the plan or on a scenario: it is archived with all it rests on, and kept (R45, R100).

    python -m pipelines.commands.decide CITY --scenario base --role budget_committee --reason "..."

What was decided is the plan from then on: work plan, tracking and the floor of the next year read
it. A second decision of the same cycle says which version it replaces.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import date

from rich.console import Console
from rich.markup import escape

from pipelines.act.deciding import Decision, decide
from pipelines.publish.release import ReleaseError
from pipelines.settings.access import note_access
from pipelines.settings.city import CityError
from pipelines.settings.workspace import workspace


def main(arguments: list[str] | None = None) -> int:
    """Decide and return the exit code: 0 decided, 1 an error that was explained."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.commands.decide", description=__doc__
    )
    parser.add_argument("city", help="folder under data_raw")
    parser.add_argument("--scenario", default="base", help="the plan (base) or a scenario's id")
    parser.add_argument("--release", help="the release that was shown (default: the current one)")
    parser.add_argument("--role", required=True, help="who decides, such as budget_committee")
    parser.add_argument(
        "--reason",
        default=os.environ.get("REASON", ""),
        help="why, in a sentence (default: the environment's REASON)",
    )
    parser.add_argument("--day", type=date.fromisoformat, help="day of the decision, 2026-06-18")
    parser.add_argument("--replaces", type=int, help="version of this cycle that it replaces")
    parser.add_argument(
        "--votes", type=_votes, help="for/against/abstained, such as 9/2/1 (default: not noted)"
    )
    asked = parser.parse_args(arguments)
    console, space, today = (
        Console(soft_wrap=True, highlight=False),
        workspace(asked.city),
        date.today(),
    )
    try:
        kept = decide(
            space,
            Decision(
                asked.scenario,
                asked.role,
                asked.reason,
                asked.day or today,
                asked.release,
                asked.replaces,
                asked.votes,
            ),
            today,
        )
    except (CityError, ReleaseError) as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        return 1
    note_access(space, "decide", "analyst", kept.name)
    record = kept.record
    console.print(
        f"Decided: {record.cycle}, version {record.version}, on release {record.release}.\n"
        f"  kept in  {kept.folder}\n"
        f"  hash     {kept.hash}\n"
        f"  follows  {record.before or 'nothing: it is the first'}\n"
        f"Run `make run CITY={asked.city}`: work plan and tracking then follow the decision.\n"
        f"הוחלט: {record.cycle}, גרסה {record.version}. ההחלטה נשמרה ולא תשתנה."
    )
    return 0


def _votes(text: str) -> tuple[int, int, int]:
    favour, against, abstained = map(int, text.split("/"))
    return favour, against, abstained


if __name__ == "__main__":
    sys.exit(main())
