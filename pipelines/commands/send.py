"""Send the current release of a city to its recipients, each the version of the own audience.

    python -m pipelines.commands.send CITY [--again]

Files go to `<marts>/<city>/outbox/<release>`, and by e-mail where city.yaml says `sending:`. Beside
them the owner of each source finds what schools say of its numbers. What was sent is in `sent.tsv`.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from pipelines.publish.release import ReleaseError, verify
from pipelines.publish.sending import AGAIN, OUTBOX, send_release, write_owners_lists
from pipelines.settings.access import note_access
from pipelines.settings.audiences import AUDIENCES
from pipelines.settings.city import CityError
from pipelines.settings.fields import dictionary
from pipelines.settings.sent import LOG, OK
from pipelines.settings.workspace import workspace
from pipelines.warehouse.database import Warehouse

_RESULTS = {
    OK: ("sent", "נשלח"),
    AGAIN: ("had it already", "כבר נשלח"),
    "no_version": ("this release has no such version", "אין בפרסום גרסה כזאת"),
    "no_pages": ("no page of this school", "אין דפים של בית הספר"),
    "too_big": (
        "too big for e-mail, it lies in the outbox",
        "גדול מדי לדוא״ל, הקבצים בתיקיית היוצאים",
    ),
}


def main(arguments: list[str] | None = None) -> int:
    """Send; return 0, 1 if somebody could not be reached, 2 for an error that was explained."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.commands.send", description=__doc__)
    parser.add_argument("city", help="folder under data_raw")
    parser.add_argument("--again", action="store_true", help="also to those who have this release")
    asked = parser.parse_args(arguments)
    console, space = Console(soft_wrap=True, highlight=False), workspace(asked.city)
    marts, warehouse = Path(space.marts_folder), Warehouse(path=str(space.warehouse_path))
    try:
        city = space.city()
        if not Path(warehouse.path).is_file():
            raise CityError(
                f"{warehouse.path}: nothing was loaded for {asked.city} yet; run it once (make run"
                f" CITY={asked.city}).",
                f"העיר {asked.city} טרם נקלטה; יש להריץ אותה פעם אחת.",
            )
        with warehouse.run_lock(console.print):
            release = verify(marts)
            held = warehouse.tables(
                ("stg_act__recipients", "stg_act__tickets", "mart_ticket_source")
            )
            if held["stg_act__recipients"].is_empty():
                raise CityError(
                    f"{space.city_folder}: nobody is on the list. Fill in"
                    " forms/act__recipients.xlsx (make forms), map it in city.yaml"
                    " (act__recipients) and run once.",
                    f"{space.city_folder}: אין נמענים. יש למלא את הטופס act__recipients.xlsx, למפות"
                    " אותו ב־city.yaml ולהריץ פעם אחת.",
                )
            outcomes = send_release(
                marts,
                release,
                held["stg_act__recipients"],
                [name for name in AUDIENCES if city.policy.audiences.of(name).schools == "own"],
                city.city.sending,
                datetime.now(UTC),
                again=asked.again,
            )
            owners = write_owners_lists(
                marts / OUTBOX / release.name, held["stg_act__tickets"], held["mart_ticket_source"]
            )
    except (CityError, ReleaseError) as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        return 2
    counted = Counter((one.audience, one.result) for one in outcomes)
    for (audience, result), count in sorted(counted.items()):
        en, he = _RESULTS.get(result, (result, "שרת הדואר לא קיבל"))
        label = dictionary().label("audience", audience)
        console.print(f"{audience}: {count} {escape(en)}\n  {label}: {count} {he}")
        note_access(space, "send", audience, f"{count} {result}")
    for source_id, count in owners.items():
        console.print(
            f"{source_id}: {count} corrections for its owner\n  {count} תיקונים לבעל המקור"
        )
    console.print(f"{marts / OUTBOX / release.name}\n{marts / LOG}")
    return 0 if {one.result for one in outcomes} <= {OK, AGAIN} else 1


if __name__ == "__main__":
    sys.exit(main())
