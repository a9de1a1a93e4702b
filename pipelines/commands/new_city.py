"""Start a city from its own files, or take in what came since.

    python -m pipelines.commands.new_city NAME [--answers FILE.yaml] [--ask]

The files lie in `data_raw/NAME/files`. What they do not say is asked (on a terminal, or with --ask)
or taken from a file of answers. `answers.yaml` keeps what was said, `city.yaml` how the files are
read, `policy.yaml` what the city decides. Run it again after each new file and each year: what is
settled stays, and a policy that somebody has changed is left alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.markup import escape

from pipelines.settings.city import CityError, load_city
from pipelines.settings.policy_defaults import OpenDecisionsError
from pipelines.settings.workspace import workspace
from pipelines.settings.yaml_edits import edited
from pipelines.settings.yaml_files import read_yaml
from pipelines.sources.new_city import (
    Answers,
    NewCity,
    Question,
    city_settings,
    look,
    missing_results,
)
from pipelines.sources.new_policy import is_untouched, own_response, policy_text

_HEAD = (
    "# How the files of this city are read, written by `make new-city`. Values that you change\n"
    "# here stay when it runs again, and so do remarks.\n"
)


_ANSWERS_HEAD = (
    "# What was answered to `make new-city`; it serves later files too. Write an answer in place\n"
    "# of each question mark and run it again.\n# יש לכתוב תשובה במקום כל סימן שאלה ולהריץ שוב.\n"
)


def main(arguments: list[str] | None = None) -> int:
    """Draft or renew a city's settings; return 0 if nothing is open, 1 if something is, 2 if there
    is nothing to draft from.
    """
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.commands.new_city", description=__doc__
    )
    parser.add_argument("name", help="of the city's folder in data_raw: a–z, 0–9 and _")
    parser.add_argument("--answers", type=Path, help="a YAML file: id of a question → answer")
    parser.add_argument("--ask", action="store_true", help="ask even if this is no terminal")
    options = parser.parse_args(arguments)
    console = Console(soft_wrap=True, highlight=False)
    folder = Path(options.name)
    folder = folder if folder.is_dir() else Path(workspace(options.name).city_folder)
    files = folder / "files"
    if not any(files.glob("*")):
        files.mkdir(parents=True, exist_ok=True)
        console.print(
            f"Put the city's files into {files} and run this again.\n"
            f"יש להניח את קובצי העיר בתיקייה {files} ולהריץ שוב."
        )
        return 2
    try:
        return _renew(folder, options, console)
    except CityError as error:
        console.print(escape(f"✗ {error.en}\n  {error.he}"))
        return 2


def _renew(folder: Path, options: argparse.Namespace, console: Console) -> int:
    kept = folder / "answers.yaml"
    given = {**_read(kept), **(_read(options.answers) if options.answers else {})}
    is_asked = options.ask or (sys.stdin.isatty() and not options.answers)
    answers = Answers(given, _asker(console) if is_asked else None)
    settled = _read(folder / "city.yaml")
    city = look(folder, settled, answers)
    settings = city_settings(folder.name, settled, city, answers)
    _write(kept, _ANSWERS_HEAD, answers.given)
    if not city.tables:  # nothing can be read yet: what is open says why
        _tell(city, answers, console)
        return 1
    _write(folder / "city.yaml", _HEAD, settings)
    policy = folder / "policy.yaml"
    is_drafted = not policy.is_file() or is_untouched(policy.read_text(encoding="utf-8"))
    if is_drafted:
        policy.write_text(policy_text(city, settings), encoding="utf-8")
    _tell(city, answers, console)
    try:
        whole = load_city(folder)
    except OpenDecisionsError as error:  # a draft may be open; a run and a check refuse it
        console.print(escape(f"? {error.he}\n  {error.en}"))
        return 1
    if not is_drafted:
        _tell_policy(whole.planning_year, settings["school_years"]["reference"], console)
    left_out = sorted(city.own.keys() - whole.policy.responses.keys())
    for programme in left_out:
        _tell_own(city, programme, console)
    return 1 if answers.open or left_out else 0


def _read(path: Path) -> dict[str, Any]:
    return dict(read_yaml(path)) if path.is_file() else {}


def _write(path: Path, head: str, held: dict[str, Any]) -> None:
    if path.is_file() and (before := _read(path)):  # remarks of people stay where they stand
        text = edited(path.read_text(encoding="utf-8"), before, held)
    else:
        text = yaml.safe_dump(held, allow_unicode=True, sort_keys=False, width=2**31 - 1)
        text = head + (text if held else "{}\n")
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _asker(console: Console) -> Callable[[Question], str | None]:
    def ask(question: Question) -> str | None:
        console.print(escape(f"\n{question.he}\n{question.en}"))
        for number, choice in enumerate(question.choices, start=1):
            console.print(escape(f"  {number}. {choice}"))
        shown = f" [{question.default}]" if question.default else ""
        try:
            reply = console.input(escape(f"?{shown} ")).strip()
        except EOFError:
            return None
        if reply.isdecimal() and 1 <= int(reply) <= len(question.choices):
            return question.choices[int(reply) - 1]
        return reply or question.default

    return ask


def _tell(city: NewCity, answers: Answers, console: Console) -> None:
    console.rule("files · קבצים")
    for table in city.tables:
        console.print(
            escape(f"✓ {table.path.name} → {table.source_id}, {len(table.layout.rows):,}")
        )
    for source_id, form in city.forms.items():
        console.print(escape(f"✓ {form['form']} → {source_id}"))
    for place, en, he in city.left:
        console.print(escape(f"! {place}: not read ({en})\n  {place}: לא נקרא ({he})"))
    if city.notes:
        console.rule("taken for granted · נחשב כמובן מאליו")
        for en, he in city.notes:
            console.print(escape(f"! {en}\n  {he}"))
    console.rule("missing, and for what · מה חסר ולמה")
    for en, he, sources in missing_results(city):
        console.print(escape(f"– {en}: {' / '.join(sources)}\n  {he}"))
    console.rule("open · פתוח")
    for question in answers.open:
        console.print(escape(f"? {question.he}\n  {question.en}\n  {question.id}:"))
    console.print(
        f"{len(answers.asked)} question(s), {len(answers.open)} open; next: make check, make run."
    )
    console.print(
        f"{len(answers.asked)} שאלות, {len(answers.open)} פתוחות; הצעד הבא make check, make run."
    )


def _tell_own(city: NewCity, programme: str, console: Console) -> None:
    """Print what a policy that is no draft any more lacks of a programme of the city's own."""
    console.print(
        escape(
            f"! policy.yaml lacks the programme {programme}; put this under `responses:` and fill"
            f" it in:\n  המענה {programme} חסר במדיניות; יש להוסיף תחת responses: ולמלא:"
        )
    )
    console.print(escape("\n".join(own_response(city, programme))))


def _tell_policy(planned: int, reference: int, console: Console) -> None:
    console.print("policy.yaml was changed by people and is left as it is.")
    console.print("קובץ המדיניות שונה בידי אדם ונשאר כפי שהוא.")
    if planned <= reference:
        console.print(
            f"! planning_year is {planned}, and data of {reference} are here: move it to"
            f" {reference + 1}.\n  שנת התכנון היא {planned}, וכבר יש נתונים של {reference}: יש"
            f" לעדכן אותה ל־{reference + 1}."
        )


if __name__ == "__main__":
    raise SystemExit(main())
