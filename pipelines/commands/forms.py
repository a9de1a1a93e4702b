"""Write the empty forms of what people fill in: cards, considerations, forms of parents and more.

    python -m pipelines.commands.forms CITY

They are written to `forms/` in the city's folder. A form that is there already is left alone: it
may hold what somebody filled in. A filled one belongs among the city's files.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from pipelines.settings.city import CityError, load_city
from pipelines.settings.fields import dictionary
from pipelines.settings.workspace import workspace
from pipelines.sources.forms import form_sources, write_form

FOLDER = "forms"


def main(arguments: list[str] | None = None) -> int:
    """Write the forms; return 0, or 1 for an error that was explained."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.commands.forms", description=__doc__)
    parser.add_argument("city", help="name of a folder in data_raw, or a path")
    options = parser.parse_args(arguments)
    console = Console(soft_wrap=True, highlight=False)
    given = Path(options.city)
    folder = given if given.is_dir() else Path(workspace(options.city).city_folder)
    try:
        city = load_city(folder)
        (folder / FOLDER).mkdir(exist_ok=True)
        for source_id in form_sources():
            path = folder / FOLDER / f"{source_id}.xlsx"
            if path.exists():
                console.print(f"{escape(str(path))}: there already, left as it is")
                continue
            write_form(source_id, path, city)
            console.print(f"{escape(str(path))}: {dictionary().source_he(source_id)}")
    except CityError as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        return 1
    console.print(
        "A filled form is put among the city's files and mapped in city.yaml by one line under"
        " sources, such as:\n  voice__cards: {form: voice__cards.xlsx}\n"
        "טופס שמולא מונח בין קובצי העיר וממופה ב־city.yaml בשורה אחת תחת sources, כמו בדוגמה."
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
