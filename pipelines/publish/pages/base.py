"""What all pages share: context, frame, tables, and numbers that carry their mart cell (R116).

A page is a function of the marts beside its template. The template extends `base.html.j2`, and
draws tables with `show`: heads, forms, intervals, names and addresses come from the dictionary.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from models import hebrew
from pipelines.publish import words
from pipelines.settings.fields import dictionary

if TYPE_CHECKING:
    from pipelines.publish.translations import Language

Row = Mapping[str, Any]
Rows = list[dict[str, Any]]
_HERE = Path(__file__).parent
# A number with its sign, separators and percent; never the digits of an escaped character (&#39;).
NUMBER = re.compile(r"(?<![#\w])[+−-]?\d(?:[\d,./–]*\d)?%?(?![\w;])")
# What people read first, in the order of the navigation, by its place in the release.
FIRST = {
    "index": "ראשי",
    "questions": "שאלות",
    "schools": "בתי ספר",
    "responses": "מענים",
    "scenarios": "תרחישים",
    "annex/index": "נספחים",
}
# The detailed pages, by their names in the folder `annex`, and what each of them answers.
ANNEXES = {
    "report": ("הדוח המלא", "כל השלבים, מן היעד ועד המעקב, עם כל ההנחות ומילון המונחים."),
    "diagnosis": ("אבחון הפערים", "היכן הפערים, עד כמה בטוח, ומה הולך יחד איתם."),
    "wellbeing": ("התמדה, אקלים ופעילות", "היעדרות, עזיבה, אקלים ופעילות אחרי הלימודים."),
    "criteria": ("קריטריונים", "מי מאותר לכל מענה, באיזה סף, והאם הוא הוגן לקבוצות."),
    "responses": ("המענים בפירוט", "מטרה, כסף, ראיות, משוב והצעה לכל מענה, וצרכים שאינם נענים."),
    "allocation": ("נימוקי ההקצאה", "למה כל שורה, עד כמה היא יציבה, והתעודה של התוכנית."),
    "scenarios": ("התרחישים בפירוט", "כל תרחיש לפי בית ספר, מענה, זרם וקבוצה."),
    "decisions": ("החלטות", "מה הוחלט, מתי, בידי מי ומדוע, ומה עוד פתוח."),
    "plan": ("תוכנית העבודה", "מי עושה מה, מתי, ובכמה; והתקדמות בשנה שרצה."),
    "quality": ("איכות הנתונים", "אילו בדיקות עברו הנתונים, ומה חסר."),
    "guide": ("מדריך לרשות", "איך מביאים קבצים, מריצים, בודקים ומפרסמים, ומה עושים בכל ממצא."),
}

MOST_SHOWN = 200
"""Rows of a table on a page of a country."""
_OF_THE_PLAN = ("report", "responses", "allocation", "scenarios")


@dataclass(frozen=True)
class ReportContext:
    """What the page says about itself, beside the marts.

    Attributes:
        city_name_he: name of the city in Hebrew.
        is_synthetic: whether every section carries the synthetic mark.
        reference_year: school year whose register the plan stands on.
        planning_year: school year the allocation is for.
        scope_he: which schools the plan covers, in words.
        data_years_he: which years have data, in words.
        notes_he: what a reader must know before any number.
        languages: those beside Hebrew in which pages for parents and residents are drawn.
        is_country: whether readers come to schools by their district and authority.
    """

    city_name_he: str
    is_synthetic: bool
    reference_year: int
    planning_year: int
    scope_he: str
    data_years_he: str
    notes_he: tuple[str, ...]
    languages: tuple[Language, ...] = ()
    is_country: bool = False


def number(table: str | None, row: Row, column: str, form: str = "") -> Markup:
    """Return a number as text that keeps left to right, with the address of its cell.

    Args:
        table: the mart of the row; None where the number is reckoned from several cells.
        row: holds the column, and the key of the mart.
        column: says the form of the number.
        form: another form (`words.FORMS`), where each row has its own.
    """
    value = row[column]
    if value is None:
        return Markup('<span class="none">{}</span>').format(dictionary().fields[column].empty)
    shown = escape(words.FORMS[form or dictionary().form(column) or "code"](value))
    if table is None:
        return Markup(f'<bdi dir="ltr">{shown}</bdi>')
    cell = f'data-cell="{escape(address(table, row, column))}" data-value="{value}"'
    return Markup(f'<bdi dir="ltr" {cell}>{shown}</bdi>')


def address(table: str, row: Row, column: str) -> str:
    """Return the address of a cell as pages carry it: mart/key/column."""
    key = ";".join(f"{name}={row[name]}" for name in dictionary().tables[table].key)
    return f"{table}/{key}/{column}"


def interval(table: str | None, row: Row, low: str, high: str = "") -> Markup:
    """Return the two ends of an interval: two columns, or those of an estimate."""
    low, high = (low, high) if high else dictionary().fields[low].interval
    if row[low] is None:
        return Markup("")
    if dictionary().unit(low).turned:
        low, high = high, low
    ends = number(table, row, low), number(table, row, high)
    return Markup(f'<span class="interval">{ends[0]} עד {ends[1]}</span>')


def estimate(table: str | None, row: Row, column: str) -> Markup:
    """Return a number and, where its row has one, its interval."""
    ends, shown = dictionary().fields[column].interval, number(table, row, column)
    return Markup(f"{shown} {interval(table, row, *ends)}") if {*ends} & row.keys() else shown


def ratio(table: str | None, row: Row, part: str, high: str) -> Markup:
    """Return a part and the whole (`high`) that it is of."""
    return Markup(f"{number(table, row, part)} מתוך {number(table, row, high)}")


def isolated(text: str) -> Markup:
    """Return a sentence with its numbers isolated: signs and percent stay with their digits."""
    return Markup(NUMBER.sub(r'<bdi dir="ltr">\g<0></bdi>', str(escape(text))))


def mark(column: str, value: Any) -> Markup:
    """Return a category in words, with its sign where it has one; a tier has its colour too."""
    if isinstance(value, bool):
        return escape(words.flag(column, value))
    shown, sign = isolated(words.label(column, value)), dictionary().sign(column, value)
    shown = Markup(f'<span aria-hidden="true">{sign}</span> {shown}') if sign else shown
    kind = f"tier {value}" if column.endswith("_tier") else "verdict"
    return Markup(f'<span class="{kind}">{shown}</span>') if sign or kind != "verdict" else shown


def counted(count: int, one: str, many: str) -> Markup:
    """Return a count and what is counted, which agree (`models.hebrew.counted`)."""
    return isolated(hebrew.counted(count, one, many))


def first_row(frame: pl.DataFrame) -> dict[str, Any] | None:
    """Return the first row, or None where there is none."""
    return next(frame.iter_rows(named=True), None)


def counts(frame: pl.DataFrame, column: str) -> dict[str, int]:
    """Return how many rows have each value that a column may have."""
    found = dict(frame.group_by(column).len().iter_rows())
    return {name: found.get(name, 0) for name in map(str, dictionary().fields[column].allowed)}


def across(
    heads: Mapping[Any, str], draw: Callable[..., object], *more: object, text: bool = False
) -> list[tuple[object, ...]]:
    """Return a column for each key, of numbers or of text, drawn by draw(row, key, *more)."""
    return [(head if text else f"#{head}", draw, key, *more) for key, head in heads.items()]


Names = Mapping[str, Mapping[str, str]]


def names_of(tables: Mapping[str, pl.DataFrame]) -> Names:
    """Return what people call the codes of each column (`named_in` of the dictionary)."""
    return {
        column: dict(zip(*(tables[mart][c].to_list() for c in (code, name)), strict=True))
        for column, (mart, code, name) in _named().items()
        if mart in tables
    }


@cache
def _named() -> dict[str, tuple[str, ...]]:
    return {name: known.named_in for name, known in dictionary().fields.items() if known.named_in}


def called(names: Names, column: str, code: str | None) -> str:
    """Return what people call a code, or the code itself."""
    return names.get(column, {}).get(code or "") or words.label(column, code)


def columns_of(names: Names, mart: str | None, columns: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Return (column, head, whether it holds numbers, how a row's cell is drawn) for each column.

    Args:
        names: what people call codes.
        mart: whose rows they are; None for rows that are reckoned.
        columns: "column", "column: head", "column?" (empty where not known), "part/whole",
            "low–high", or (head, draw, *more) for draw(row, *more); all of the mart if none.
    """
    given = list(columns) or list(dictionary().tables[mart or ""].columns)
    apart = {part for said in given if isinstance(said, str) for part in _parts(said)[1:]}
    return [_column(names, mart, said, apart) for said in given]


def _parts(said: str) -> list[str]:
    return re.split("[/–]", said.partition(": ")[0].rstrip("?"))


def _column(names: Names, mart: str | None, said: Any, apart: set[str]) -> tuple[Any, ...]:
    if not isinstance(said, str):
        head, draw, *more = said
        return "", head.removeprefix("#"), head[:1] == "#", lambda row: draw(row, *more)
    (column, *second), (spec, _, head) = _parts(said), said.partition(": ")
    known, unit = dictionary().fields[column], dictionary().unit(column).he
    head = head or (f"{known.he} ({unit})" if unit not in known.he else known.he)
    if dictionary().form(column) is None:
        return column, head, False, partial(_text, names, column)
    draw = number if apart.intersection(known.interval) else estimate
    if second:
        draw = partial(ratio if "/" in spec else interval, high=second[0])
    is_open = spec.endswith("?")
    return (
        column,
        head,
        True,
        lambda row: "" if is_open and row[column] is None else draw(mart, row, column),
    )


def _text(names: Names, column: str, row: Row) -> Markup:
    """Return what a cell without a number says."""
    value, known = row[column], dictionary().fields[column]
    if value is None:
        return Markup("")
    if known.type == "DATE":
        return isolated(words.day(value))
    if known.unit == "year":
        return isolated(words.year(value))
    return isolated(called(names, column, value)) if known.named_in else mark(column, value)


def cells(drawn: Iterable[tuple[Any, ...]], row: Row) -> Markup:
    """Return the cells of a row; the first one names it."""
    shown = [(' class="n"' if is_number else "", draw(row)) for _, _, is_number, draw in drawn]
    (first, name), *others = [(form, escape(text)) for form, text in shown]
    rest = "".join(f"<td{form}>{text}</td>" for form, text in others)
    return Markup(f'<th scope="row"{first}>{name}</th>{rest}')


def totals(drawn: Iterable[tuple[Any, ...]], rows: Iterable[Row]) -> dict[str, Markup]:
    """Return the sums of the columns that add up."""
    added = [column for column, *_ in drawn if column and dictionary().unit(column).adds_up]
    sums = {column: sum(row[column] or 0 for row in rows) for column in added}
    return {column: number(None, sums, column) for column in sums}


@cache
def environment() -> Environment:
    """Return the template environment of all pages; output is always escaped."""
    env = Environment(
        loader=FileSystemLoader(_HERE),
        bytecode_cache=FileSystemBytecodeCache(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "label": lambda value, field: words.label(field, value),
        "year": words.year,
        "isolated": isolated,
        "subjects": words.subjects,
    }
    env.globals |= {
        "number": number,
        "interval": interval,
        "estimate": estimate,
        "address": address,
        "ratio": ratio,
        "mark": mark,
        "across": across,
        "totals": totals,
        "cells": cells,
        "plain": lambda value: Markup(f'<bdi dir="ltr">{escape(value)}</bdi>'),
        "signs": dictionary().signs,
        "labels": dictionary().labels,
        "words": words,
        "counted": counted,
        "meanings": dictionary().meanings,
        "first_layer": FIRST,
        "annexes": ANNEXES,
        "most_shown": MOST_SHOWN,
        "script": script,
        "security_policy": security_policy,
    }
    return env


def place_of(
    tables: Mapping[str, pl.DataFrame], context: ReportContext, root: str
) -> Callable[[str], str]:
    """Return where a page tells of a school, by its code: its own, or that of its authority."""
    if not context.is_country:
        return lambda code: f"{root}schools/{code}.html"
    if "mart_authority_school" not in tables:  # outside the administration, who reads no authority
        return lambda code: ""
    authority = dict(tables["mart_authority_school"].iter_rows())
    return lambda code: f"{root}authorities/{authority.get(code, '0')}.html#s{code}"


def decision_of(
    tables: Mapping[str, pl.DataFrame], context: ReportContext
) -> dict[str, Any] | None:
    """Return the decision in force on the planned year (`mart_decided`), if there is one."""
    return first_row(
        tables["mart_decided"].filter("is_in_force", planning_year=context.planning_year)
    )


def _standing(tables: Mapping[str, pl.DataFrame], context: ReportContext, root: str) -> Markup:
    """Return whether the plan that the pages show was decided, or is a draft."""
    if "mart_decided" not in tables:
        return Markup("")
    year, decided = isolated(words.year(context.planning_year)), decision_of(tables, context)
    if decided is None:
        return Markup("התוכנית לשנת {} היא טיוטה: טרם הוחלט עליה.").format(year)
    return Markup(
        "על התוכנית לשנת {} הוחלט ביום {} (גרסה {}). מה שמחושב כאן הוא מה שנתוני היום היו נותנים,"
        ' לידיעה בלבד; <a href="{}annex/decisions.html">מה הוחלט</a>.'
    ).format(
        year,
        isolated(words.day(decided["decided_on"])),
        number("mart_decided", decided, "decision_version"),
        root,
    )


def _not_measured(tables: Mapping[str, pl.DataFrame]) -> Rows:
    return tables["mart_not_measured"].to_dicts() if "mart_not_measured" in tables else []


def script(name: str) -> Markup:
    """Return our own inline script of that name; pages hold no other (`is_plain`)."""
    return Markup("<script>{}</script>").format(Markup(_scripts()[name]))


@cache
def _scripts() -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in (_HERE / "first").glob("*.js")}


@cache
def security_policy() -> Markup:
    """Return what a browser lets a page do: draw its own style, run our scripts, ask nobody."""
    hashes = (
        b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in _scripts().values()
    )
    scripts = " ".join(f"'sha256-{one}'" for one in sorted(hashes)) or "'none'"
    return Markup(f"default-src 'none'; style-src 'unsafe-inline'; script-src {scripts}")


def is_plain(text: str) -> bool:
    """Whether a page runs no script but our own, word for word."""
    for own in _scripts():
        text = text.replace(script(own), "")
    return re.search(r"<script|\son\w+\s*=|javascript:", text, re.IGNORECASE) is None


@cache
def _style(template: str) -> Markup:
    """Return the style of a page: what all share, its layer's, that of its parts, and its own."""
    folder = template.rpartition("/")[0]
    layer = _HERE / folder / "first.css" if folder else _HERE / "base.css"
    text = (_HERE / f"{template}.html.j2").read_text(encoding="utf-8")
    parts = [_HERE / f"{name}.css" for name in re.findall(r"{% from '(.+)\.html\.j2'", text)]
    own = (layer, _HERE / "navigation.css", *parts, _HERE / f"{template}.css")
    css = [path for path in own if path.exists()]
    return Markup("\n".join(path.read_text(encoding="utf-8") for path in css))


def page(
    template: str,
    tables: Mapping[str, pl.DataFrame],
    context: ReportContext,
    at: str = "",
    names: Names | None = None,
    **values: Any,
) -> str:
    """Return a page as one HTML text without requests, its style inside.

    Args:
        template: of the page, beside this module or in `first/`; it may have a style of its own.
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
        at: the page's place in the release, without `.html`: `schools/900001`; by default that of
            its template: `first/index` is drawn as `index`, and `report` as `annex/report`.
        names: `names_of` the tables, where many pages are drawn of the same.
        values: what the template reads beside the marts.
    """
    folder, _, name = template.rpartition("/")
    at = at or (name if folder else f"annex/{name}")
    root = "../" * at.count("/")
    names = names_of(tables) if names is None else names
    name_of = partial(called, names)
    is_of_the_plan = bool(folder) or name in _OF_THE_PLAN
    return (
        environment()
        .get_template(f"{template}.html.j2")
        .render(
            page_name=name,
            at=at,
            root=root,
            context=context,
            style=_style(template),
            tables=tables,
            rows=lambda mart: tables[mart].to_dicts(),
            not_measured={row["item_id"]: row for row in _not_measured(tables)},
            sections=[],
            plan_standing=_standing(tables, context, root) if is_of_the_plan else "",
            columns_of=partial(columns_of, names),
            name=name_of,
            school=partial(name_of, "semel_mosad"),
            school_place=place_of(tables, context, root),
            response=partial(name_of, "response_id"),
            **values,
        )
    )
