"""Write the empty forms of what people fill in: cards, considerations, forms of parents and more.

    python -m pipelines.commands.forms CITY

They are written to `forms/` in the city's folder. A form that is there already is left alone: it
may hold what somebody filled in. A filled one belongs among the city's files. Beside them stand the
files of texts to translate (`forms/translations`), and the form of needs to print in each language
that the city has.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.markup import escape

from pipelines.publish.pages.outside.pages import render_form
from pipelines.publish.redraw import context_of
from pipelines.publish.translations import LANGUAGES, Text, told_of, write_translation_file
from pipelines.settings.city import CityError, CityFolder, load_city
from pipelines.settings.fields import dictionary
from pipelines.settings.keys import AGOROT
from pipelines.settings.translation_files import FOLDER as TRANSLATIONS
from pipelines.settings.workspace import workspace
from pipelines.sources.forms import form_sources, write_form

FOLDER = "forms"


STATUS = "act__plan_status"
NOT_DECIDED = (
    "written once a plan is decided and published / ייכתב אחרי שהוחלט על תוכנית והיא פורסמה"
)


def _plan_rows(release: Path) -> tuple[pl.DataFrame, pl.DataFrame] | None:
    """Return the rows of the decided work plan as a form of its status holds them.

    Returns:
        The rows in the form's contract, of which only plan_row_ref is known, and what is told
        beside them; None where no decided plan is published.
    """
    path = release / "mart_work_plan.parquet"
    plan = pl.read_parquet(path).filter("is_decided") if path.is_file() else pl.DataFrame()
    if plan.is_empty():
        return None
    plan = plan.sort("school_name_he", "response_name_he", "plan_row_id")
    fields = dictionary().fields
    held = plan.select(
        pl.col("plan_row_id").alias(name)
        if name == "plan_row_ref"
        else pl.lit(None, pl.String).alias(name)
        for name in dictionary().contract(STATUS).contract
    )
    beside = plan.select(
        pl.col("school_name_he").alias(fields["school_name_he"].he),
        pl.col("response_name_he").alias(fields["response_name_he"].he),
        pl.col("need_now_he").alias(fields["need_now_he"].he),
        pl.col("plan_owner").alias(fields["plan_owner"].he),
        pl.col("participants").alias(fields["participants"].he),
        pl.col("starts_on").alias(fields["starts_on"].he),
        pl.col("checked_by").alias(fields["checked_by"].he),
        (pl.col("cost_agorot") / AGOROT).alias(f"{fields['cost_agorot'].he} (₪)"),
    )
    return held, beside


def _write_translations(city: CityFolder, console: Console) -> None:
    """Write the files of texts to translate that are not there yet, and the forms to print anew."""
    folder = city.folder / FOLDER / TRANSLATIONS
    folder.mkdir(exist_ok=True)
    for language, name in LANGUAGES.items():
        path = folder / f"{language}.xlsx"
        if path.exists():
            console.print(f"{escape(str(path))}: there already, left as it is")
            continue
        left = write_translation_file(path, language, city, _not_measured(city))
        console.print(
            f"{escape(str(path))}: {name}, {left} texts to translate / {left} טקסטים לתרגום"
        )
    for name, count in told_of(city):
        console.print(
            f"{name}: {count} texts are not translated yet and stay in Hebrew /"
            f" {count} טקסטים טרם תורגמו ונשארים בעברית"
        )
    for language, text in render_form(context_of(city), city.policy).items():
        path = city.folder / FOLDER / f"parents_form.{language}.html"
        path.write_text(text, encoding="utf-8")
        console.print(f"{escape(str(path))}: to print / להדפסה")


def _not_measured(city: CityFolder) -> dict[str, Text]:
    """Return what the city's last release does not measure, which its pages tell too."""
    release = Path(workspace(city.folder.name).marts_folder) / "current"
    path = release / "public" / "mart_not_measured.parquet"
    if not path.is_file():
        return {}
    rows = pl.read_parquet(path, columns=["item_id", "item_he", "item_en"]).sort("item_id")
    return {f"item.{item}": Text(he, en) for item, he, en in rows.iter_rows()}


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
            if source_id == STATUS:
                rows = _plan_rows(Path(workspace(folder.name).marts_folder) / "current" / "analyst")
                if rows is None:
                    console.print(f"{escape(str(path))}: {NOT_DECIDED}")
                    continue
                write_form(source_id, path, city, *rows)
            else:
                write_form(source_id, path, city)
            console.print(f"{escape(str(path))}: {dictionary().source_he(source_id)}")
        _write_translations(city, console)
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
