"""Why a school has a response or not, from the published plan.

    python -m pipelines.commands.why CITY SCHOOL RESPONSE

The run itself turns only the closest calls. This answers for any pair, and every turning point it
names was found and verified by solving again (R94). Nothing is written.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.markup import escape

from models.allocation.account.explain import Explanation, explain
from models.allocation.account.turning_points import turning_points
from models.keys import PAIR
from pipelines.decide.studio import Studio
from pipelines.settings.keys import AGOROT
from pipelines.settings.workspace import workspace

_LEVER = {
    "need": "the school's need",
    "budget": "the budget",
    "rule": "without the rule",
}
_STATUS = {
    "not_found": "does not turn it, up to the limit",
    "within_gap": "the two plans are worth the same",
    "not_possible": "no plan keeps the rules at the limit",
    "not_searched": "not searched",
}
_UNIT = {"budget": AGOROT, "need": 1, "rule": 1}


def main(arguments: list[str] | None = None) -> int:
    """Print the answer and return the exit code: 0 answered, 1 an error that was explained."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.commands.why", description=__doc__)
    parser.add_argument("city", help="folder under data_raw")
    parser.add_argument("school", help="semel_mosad")
    parser.add_argument("response", help="response_id, such as milat")
    asked = parser.parse_args(arguments)
    console = Console(soft_wrap=True, highlight=False)
    release = Path(workspace(asked.city).marts_folder) / "current" / "analyst"
    if not release.is_dir():
        console.print(
            f"[red]{release}: nothing is published there yet; run `make run CITY={asked.city}`"
            " first[/red]"
        )
        return 1
    studio = Studio.open(release)
    pair = pl.DataFrame([(asked.school, asked.response)], schema=PAIR, orient="row")
    if pair.join(studio.problem.options, on=PAIR, how="semi").is_empty():
        known = ", ".join(studio.problem.options["response_id"].unique().sort())
        console.print(
            f"[red]no school {escape(asked.school)} with the response {escape(asked.response)}"
            f" among the plan's options; responses are: {known}[/red]"
        )
        return 1
    found = explain(studio.problem, studio.base, pair)
    ties = pl.read_parquet(release / "mart_allocation_tie.parquet").join(pair, on=PAIR, how="semi")
    for line in (*lots(ties), *answer(found, turning_points(studio.problem, studio.base, pair))):
        console.print(escape(line))
    return 0


def lots(ties: pl.DataFrame) -> list[str]:
    """Return that the lottery decided, where it did, in both languages."""
    return [
        sentence
        for row in ties.sort("tie_number").iter_rows(named=True)
        for sentence in (
            f"The registered lottery decided: {row['tied_schools']} schools were equal for"
            f" {row['tied_places']} place(s), a chance of {row['chance_pct']:.0f} % each; this one"
            f" was {'' if row['is_drawn'] else 'not '}drawn (seed {row['lottery_seed']}).",
            f"ההגרלה הרשומה הכריעה: {row['tied_schools']} בתי ספר היו שווים על {row['tied_places']}"
            f" מקומות, סיכוי של {row['chance_pct']:.0f}% לכל אחד; בית ספר זה"
            f" {'עלה' if row['is_drawn'] else 'לא עלה'} בגורל (זרע {row['lottery_seed']}).",
        )
    ]


def answer(found: Explanation, levers: pl.DataFrame) -> list[str]:
    """Return the reason of one pair, what its benefit is made of, and what would turn it."""
    row = found.pairs.row(0, named=True)
    parts = found.parts.select("part", "worth").iter_rows()
    return [
        row["reason_en"],
        row["reason_he"],
        (
            f"cost {row['cost_agorot'] / AGOROT:,.0f} NIS; need {row['need']:.2f}; need-weighted SD"
            " × pupils:"
        ),
        *(f"  {worth:+9.3f}  {name}" for name, worth in parts),
        f"  {found.surplus['surplus'][0]:+9.3f}  = left of it",
        "What would turn it (each solved again):",
        *(_turn(lever) for lever in levers.sort("lever", "rule_id").iter_rows(named=True)),
    ]


def _turn(lever: dict[str, Any]) -> str:
    """One lever in a line: where the decision stands and where it was seen to turn."""
    name = " ".join(filter(None, (_LEVER[lever["lever"]], lever["rule_id"])))
    if lever["status"] != "found":
        return f"  {name}: {_STATUS[lever['status']]}"
    if lever["value_turned"] is None:
        return f"  {name}: turns"
    now, stands, turned = (
        f"{lever[value] / _UNIT[lever['lever']]:,.2f}"
        for value in ("value_now", "value_not_turned", "value_turned")
    )
    return f"  {name}: now {now}; stands at {stands}, turns at {turned}"


if __name__ == "__main__":
    raise SystemExit(main())
