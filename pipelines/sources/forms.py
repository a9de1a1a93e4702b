"""Empty forms for the sources that people fill in (`form:` in the dictionary).

Nobody invents columns: a form is a workbook, right to left, with what to do on top, a header, and
rows to fill in. Only those rows are unlocked; what has a list is chosen from it; a text stays a
text. Read back through a mapping of one line (`form: file.xlsx`), its cells mean what they say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

from pipelines.settings.city import CityFolder
from pipelines.settings.fields import Field, dictionary
from pipelines.settings.mapping import FORM_HEADER_ROW, FORM_SHEET
from pipelines.sources.files import REGISTRY, read_source
from pipelines.sources.people import OTHER

AT_THE_TABLE = (
    "voice__ratings",
    "voice__ladders",
    "voice__wheel",
    "voice__cards",
    "voice__considerations",
    "voice__consideration_scores",
)
"""What the meetings fill in on paper, in their order: the sheets of the entry sheet."""
ROWS = 300
"""Empty rows of a form, to be filled in."""
_LISTS, _SCHOOLS = "רשימות", "בתי ספר"
_CREATED = datetime(2026, 1, 1)  # a fixed date: a clock would change the bytes
_LONGEST = 500
A4 = 9
"""How a workbook names the paper (ECMA-376, 18.18.50)."""
_YES_NO = ["כן", "לא"]
_GENERAL = (
    "ממלאים רק את השורות הלבנות. כותרת כהה – חובה; כותרת בהירה – רשות. אין לכתוב שמות של אנשים, "
    "מספרי זהות, טלפונים או כתובות. מפתח משתתף הוא קוד שחולק במפגש, ואינו שם. שומרים את הקובץ "
    "בתיקיית הקבצים של העיר בלי לשנות את הכותרות."
)


def form_sources() -> tuple[str, ...]:
    """Return the sources that people fill in, in the order of the dictionary."""
    return tuple(name for name in dictionary().sources if dictionary().contract(name).form)


def choices(city: CityFolder) -> dict[str, dict[str, str]]:
    """Return what can be chosen of the things a city names: column → id → the name to choose."""
    policy, years = city.policy, city.city.school_years
    registry = read_source(city, REGISTRY, years.all()).rows
    register = read_source(city, "register__schools", (years.reference,)).rows
    registered = registry.select("response_id", "response_name_he").drop_nulls()
    schools = register.select("semel_mosad", "school_name_he").drop_nulls("semel_mosad").unique()
    return {
        "planning_year": {str(city.planning_year): str(city.planning_year)},
        "response_id": dict(registered.sort("response_id").iter_rows())
        | {key: response.name_he for key, response in policy.responses.items()},
        "goal_id": {key: goal.name_he for key, goal in policy.goals.items()},
        "group_id": {key: held[-1].name_he for key, held in policy.groups.items()},
        "cause_id": {key: cause.name_he for key, cause in policy.causes.items()},
        "need_id": {key: need.name_he for key, need in policy.response_map.needs.items()}
        | {OTHER: dictionary().label("need_id", OTHER)},
        "semel_mosad": dict(schools.sort("semel_mosad").iter_rows()),
    }


@dataclass(frozen=True)
class Form:
    """One form of a workbook.

    Attributes:
        source_id: a source with `form:` in the dictionary.
        sheet: title of its sheet.
        held: rows that stand in it already, in the contract's spelling; none if not given.
        beside: what is told of these rows right of the form, by its Hebrew head. With it what the
            rows hold is locked, and no further rows are asked for.
    """

    source_id: str
    sheet: str = FORM_SHEET
    held: pl.DataFrame | None = None
    beside: pl.DataFrame | None = None


def write_form(
    source_id: str,
    path: Path,
    city: CityFolder,
    held: pl.DataFrame | None = None,
    beside: pl.DataFrame | None = None,
) -> None:
    """Write the form of a source, as `Form` says.

    Args:
        source_id, held, beside: as of a `Form`.
        path: the workbook.
        city: whose responses, needs, groups and schools can be chosen.
    """
    write_forms(
        dictionary().contract(source_id).he,
        [Form(source_id, held=held, beside=beside)],
        path,
        city,
    )


def write_entry_sheet(
    path: Path, city: CityFolder, held: Mapping[str, pl.DataFrame] | None = None
) -> None:
    """Write the one workbook into which the papers of the meetings are typed, a sheet a source.

    Args:
        path: the workbook.
        city: whose responses, goals and causes can be chosen.
        held: rows that stand in it already, by source.
    """
    known = held or {}
    forms = [Form(name, dictionary().source_he(name), known.get(name)) for name in AT_THE_TABLE]
    write_forms("גיליון הקלדה של המפגשים", forms, path, city)


def write_forms(title: str, forms: Sequence[Form], path: Path, city: CityFolder) -> None:
    """Write a workbook of several forms, a sheet each.

    Args:
        title: of the workbook.
        forms: in order of their sheets.
        path: the workbook.
        city: whose responses, needs, groups and schools can be chosen.
    """
    named = choices(city)
    with xlsxwriter.Workbook(
        path, {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    ) as book:
        book.set_properties({"title": title, "created": _CREATED})
        style = {
            "title": book.add_format({"bold": True, "font_size": 16, "reading_order": 2}),
            "told": book.add_format({"text_wrap": True, "valign": "top", "reading_order": 2}),
            "needed": book.add_format(_HEAD | {"bg_color": "#1f3a5f", "font_color": "white"}),
            "free": book.add_format(_HEAD | {"bg_color": "#d9e2ee"}),
            "text": book.add_format(_OPEN | {"num_format": "@", "text_wrap": True}),
            "date": book.add_format(_OPEN | {"num_format": "yyyy-mm-dd"}),
            "number": book.add_format(_OPEN | {"num_format": "General"}),
            "held": book.add_format(_OPEN | {"locked": True, "bg_color": "#eef1f5"}),
        }
        sheets = [book.add_worksheet(form.sheet) for form in forms]
        lists, schools = book.add_worksheet(_LISTS), book.add_worksheet(_SCHOOLS)
        for each in (*sheets, lists, schools):
            each.right_to_left()
            each.protect("", {"format_columns": True, "format_rows": True})
        lists.hide()
        _write_lines(schools, [("סמל מוסד", "שם"), *named["semel_mosad"].items()], style["told"])
        schools.set_column(0, 1, 30)
        at = 0
        for form, sheet in zip(forms, sheets, strict=True):
            _write_sheet(form, sheet, lists, at, style, city, named)
            at += len(dictionary().contract(form.source_id).contract)


def _write_sheet(
    form: Form,
    sheet: Worksheet,
    lists: Worksheet,
    at: int,
    style: Mapping[str, Format],
    city: CityFolder,
    named: Mapping[str, Mapping[str, str]],
) -> None:
    """Write one form; what can be chosen in its columns stands in `lists`, from column `at` on."""
    table, fields = dictionary().contract(form.source_id), dictionary().fields
    held, beside = form.held, form.beside
    rows = ROWS + (0 if held is None else held.height) if beside is None else beside.height
    width = len(table.contract)
    for row, (text, look) in enumerate(
        ((table.he, "title"), (table.form, "told"), (_GENERAL, "told"))
    ):
        sheet.merge_range(row, 0, row, width - 1, text, style[look])
        sheet.set_row(row, 24 if look == "title" else 48)
    for place, name in enumerate(table.contract):
        field, look = fields[name], _look(fields[name])
        needed = "free" if name in table.contract_nullable else "needed"
        sheet.write_string(FORM_HEADER_ROW - 1, place, field.he, style[needed])
        sheet.set_column(place, place, 40 if look == "text" and not field.allowed else 18)
        options = _options(field, named)
        if options:
            _write_lines(lists, [(option,) for option in options], style["told"], at + place)
        first, last = FORM_HEADER_ROW, FORM_HEADER_ROW + rows - 1
        if rule := _rule(field, at + place, len(options), city):
            sheet.data_validation(first, place, last, place, rule)
        values = [] if held is None else held[name].to_list()
        for number in range(rows):
            value = values[number] if number < len(values) else None
            is_held = beside is not None and value is not None
            shown = _shown(field, value, named)
            _write(sheet, first + number, place, shown, style["held" if is_held else look])
    for place, head in enumerate(() if beside is None else beside.columns, start=width):
        sheet.write_string(FORM_HEADER_ROW - 1, place, head, style["free"])
        sheet.set_column(place, place, 20)
        for number, value in enumerate(beside[head] if beside is not None else ()):
            _write(sheet, FORM_HEADER_ROW + number, place, value, style["held"])
    sheet.freeze_panes(FORM_HEADER_ROW, 0)
    sheet.set_landscape()
    sheet.set_paper(A4)
    sheet.fit_to_pages(1, 0)  # whoever prints it has all columns on a page
    sheet.repeat_rows(FORM_HEADER_ROW - 1)


_HEAD = {"bold": True, "text_wrap": True, "valign": "top", "border": 1, "reading_order": 2}
_OPEN = {"locked": False, "valign": "top", "border": 1, "border_color": "#b0b0b0"}


def _look(field: Field) -> str:
    if field.type == "DATE":
        return "date"
    return "text" if field.type in ("VARCHAR", "BOOLEAN") else "number"


def _options(field: Field, named: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return what can be chosen in a column, as people read it; schools by their codes."""
    if field.name in named:
        held = named[field.name]
        return list(held) if field.name == "semel_mosad" else list(dict.fromkeys(held.values()))
    if field.type == "BOOLEAN":
        return _YES_NO
    return [dictionary().label(field.name, str(value)) for value in field.allowed]


def _shown(field: Field, value: Any, named: Mapping[str, Mapping[str, str]]) -> Any:
    """Return a value of the contract as it stands in a form."""
    if value is None or field.type in ("DATE", "INTEGER", "BIGINT", "DOUBLE"):
        return value
    if field.type == "BOOLEAN":
        return _YES_NO[0] if value in (True, "true") else _YES_NO[1]
    if field.name in named and field.name != "semel_mosad":
        return named[field.name].get(value, value)
    return dictionary().label(field.name, value) if field.allowed else value


def _rule(field: Field, place: int, options: int, city: CityFolder) -> dict[str, Any] | None:
    """Return what a spreadsheet is to check of a column; the reader checks all of it again."""
    said = {"input_title": field.he[:32], "error_title": field.he[:32]}
    if options:
        column = xl_col_to_name(place, col_abs=True)
        return said | {
            "validate": "list",
            "source": f"='{_LISTS}'!{column}$1:{column}${options}",
            "error_message": "יש לבחור מן הרשימה",
        }
    if field.type == "DATE":
        first, last = date(city.planning_year - 2, 9, 1), date(city.planning_year, 8, 31)
        return said | {
            "validate": "date",
            "criteria": "between",
            "minimum": first,
            "maximum": last,
            "error_message": f"יום בין {first:%d.%m.%Y} ל־{last:%d.%m.%Y}",
        }
    if field.type in ("INTEGER", "BIGINT") and None not in (field.min, field.max):
        return said | {
            "validate": "integer",
            "criteria": "between",
            "minimum": field.min,
            "maximum": field.max,
            "error_message": f"מספר שלם בין {field.min} ל־{field.max}",
        }
    if field.type not in ("VARCHAR", "BOOLEAN", "DATE") and field.min is not None:
        return said | {
            "validate": "decimal",
            "criteria": ">=",
            "value": field.min,
            "error_message": f"מספר, לפחות {field.min}",
        }
    if field.type == "VARCHAR":
        return said | {
            "validate": "length",
            "criteria": "<=",
            "value": _LONGEST,
            "error_message": f"לכל היותר {_LONGEST} תווים",
        }
    return None


def _write(sheet: Worksheet, row: int, column: int, value: Any, style: Format) -> None:
    if value is None:
        sheet.write_blank(row, column, None, style)
    elif isinstance(value, date):
        sheet.write_datetime(row, column, datetime(value.year, value.month, value.day), style)
    elif isinstance(value, str):
        sheet.write_string(row, column, value, style)
    else:
        sheet.write_number(row, column, value, style)


def _write_lines(
    sheet: Worksheet, lines: Sequence[Sequence[str]], style: Format, first: int = 0
) -> None:
    for row, line in enumerate(lines):
        for place, text in enumerate(line):
            sheet.write_string(row, first + place, text, style)
