"""Why a school has a response or not, from the published plan, in Hebrew and English.

    python -m pipelines.commands.why CITY SCHOOL RESPONSE

The run itself turns only the closest calls. This answers for any pair: the reason, who has it and
who would make room, and what would turn it; the last two were found by solving again (R94).
Nothing is written.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.markup import escape

from models.allocation.account.answer import answer
from models.keys import PAIR
from pipelines.decide.account import TURNING
from pipelines.decide.studio import Studio
from pipelines.publish.release import ReleaseError, verify
from pipelines.settings.access import note_access
from pipelines.settings.fields import dictionary
from pipelines.settings.workspace import workspace
from pipelines.sources.normalise import code, spelling


def main(arguments: list[str] | None = None) -> int:
    """Print the answer and return the exit code: 0 answered, 1 an error that was explained."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.commands.why", description=__doc__)
    parser.add_argument("city", help="folder under data_raw")
    parser.add_argument("school", help="semel_mosad, with or without its leading zeros")
    parser.add_argument(
        "response", help="response_id, such as milat, or its Hebrew or English name"
    )
    asked = parser.parse_args(arguments)
    console = Console(soft_wrap=True, highlight=False)
    release = Path(workspace(asked.city).marts_folder) / "current" / "analyst"
    if not release.is_dir():
        console.print(
            f"[red]{release}: nothing is published there yet; run `make run CITY={asked.city}`"
            f" first\n{release}: טרם פורסם דבר; יש להריץ תחילה `make run CITY={asked.city}`[/red]"
        )
        return 1
    try:
        verify(Path(workspace(asked.city).marts_folder))
    except ReleaseError as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        return 1
    note_access(workspace(asked.city), "why", "analyst", f"{asked.school} {asked.response}")
    studio = Studio.open(release)
    asked.school = code(asked.school.strip(), dictionary().fields["semel_mosad"].digits) or (
        asked.school.strip()
    )
    asked.response = _response(release, asked.response)
    pair = pl.DataFrame([(asked.school, asked.response)], schema=PAIR, orient="row")
    if pair.join(studio.problem.options, on=PAIR, how="semi").is_empty():
        known = ", ".join(studio.problem.options["response_id"].unique().sort())
        school, response = escape(asked.school), escape(asked.response)
        console.print(
            f"[red]no school {school} with the response {response} among the plan's options;"
            f" responses are: {known}\n"
            f"אין בית ספר {school} עם המענה {response} בין אפשרויות התוכנית; המענים:"
            f" {known}[/red]"
        )
        return 1
    ties = pl.read_parquet(release / "mart_allocation_tie.parquet").join(pair, on=PAIR, how="semi")
    hebrew, english = answer(
        studio.problem,
        studio.base,
        asked.school,
        asked.response,
        months_per_sd=dictionary().references["months_per_sd"].value,
        settings=TURNING,
    )
    for line in (*lots(ties), *hebrew, "", *english):
        console.print(escape(line))
    return 0


def _response(release: Path, name: str) -> str:
    """Return the id of a response that is called by its id or one of its names, else the name."""
    known = pl.read_parquet(release / "mart_response.parquet")
    for row in known.select("response_id", "response_name_he", "response_name_en").iter_rows():
        if spelling(name) in [spelling(text) for text in row if text]:
            return str(row[0])
    return name


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


if __name__ == "__main__":
    raise SystemExit(main())
