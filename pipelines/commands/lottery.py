"""Draw the places of a response by the registered seed.

    python -m pipelines.commands.lottery CITY RESPONSE ENTRANTS --places N

The release names the seed before the year begins (mart_evaluation), so that anyone with the list of
entrants can draw again and find the same places (R63). The list is read and the result written
where the user says; neither is kept, and no id is shown.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from models.lottery import draw_lottery
from pipelines.decide.lottery import entrants_of, registered_seed
from pipelines.settings.access import note_access
from pipelines.settings.workspace import workspace
from pipelines.settings.yaml_files import CityError
from pipelines.sources.spreadsheet import write_csv


def main(arguments: list[str] | None = None) -> int:
    """Draw, write the result, and return the exit code: 0 drawn, 1 an error that was explained."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.commands.lottery", description=__doc__
    )
    parser.add_argument("city", help="folder under data_raw")
    parser.add_argument("response", help="response_id, such as milat")
    parser.add_argument(
        "entrants", type=Path, help="CSV or xlsx with a column `unit`, the id of each entrant"
    )
    parser.add_argument(
        "--places", type=int, required=True, help="places, in each stratum if there are strata"
    )
    parser.add_argument(
        "--by", default="", help="columns that make strata, with commas between them"
    )
    parser.add_argument(
        "--out", type=Path, help="where to write; default: ENTRANTS with .drawn.csv"
    )
    asked = parser.parse_args(arguments)
    console = Console(soft_wrap=True, highlight=False)
    by = [name for name in asked.by.split(",") if name]
    try:
        space = workspace(asked.city)
        seed = registered_seed(Path(space.marts_folder), asked.response)
        drawn = draw_lottery(entrants_of(asked.entrants, by), asked.places, seed=seed, by=by)
    except (CityError, ValueError) as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        return 1
    out = asked.out or asked.entrants.with_suffix(".drawn.csv")
    write_csv(drawn, out)
    note_access(space, "lottery", "committee", asked.response)
    offered = int(drawn["is_offered"].sum())
    console.print(
        f"{asked.response}: {offered} of {drawn.height} entrants have a place; seed {seed}; written"
        f" to {escape(str(out))}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
