"""The workbooks: right to left, Hebrew headers with units, shekels, totals that add up.

Text can never become a formula, and the same tables give the same bytes.
"""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import polars as pl
import xlsxwriter
from xlsxwriter.chart import Chart
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from pipelines.publish.pages.base import ReportContext, called, names_of
from pipelines.publish.remembered import Remembered
from pipelines.publish.words import label, year
from pipelines.settings.audiences import AudienceName
from pipelines.settings.fields import Field, dictionary
from pipelines.settings.keys import AGOROT

WORKBOOK = "workbook.xlsx"
COVER = "שער"
TOTAL = "סך הכול"
LONGEST = 50_000
"""Rows of the longest sheet."""
_CREATED = datetime(2026, 1, 1)  # a fixed date: a clock would change the bytes of each run
_WIDEST, _NARROWEST = 60, 11
_BROKEN, _BOLD = 1.15, 1.35  # the room of a text broken into lines, and of a bold one
_PAGE_WIDTH = 190  # letters beside each other that can be read on a sheet of paper
_COVER_WIDTH, _LINE_HEIGHT = 70, 15  # letters that fit on a sheet of paper; points


Tables = Mapping[str, pl.DataFrame]
_SCHOOLS = "semel_mosad"  # the one code that people of a city know by heart


def tables_of_book(audience: AudienceName | str, shown: Tables) -> Tables:
    """Return the tables that an audience's workbook holds, as it reads them.

    The committee has the sheets of `committee_sheets` in the dictionary, with names for codes and
    without keys and English; everybody else has all tables. What is longer than anybody scrolls, as
    a country's tables are, is in the database alone.
    """
    shown = {name: frame for name, frame in shown.items() if frame.height <= LONGEST}
    if audience != "committee":
        return shown
    names = names_of(shown)
    return {
        name: _for_people(shown[name].drop(left_out), names)
        for name, left_out in dictionary().committee_sheets.items()
        if name in shown
    }


def _for_people(frame: pl.DataFrame, names: Mapping[str, Mapping[str, str]]) -> pl.DataFrame:
    fields = dictionary().fields
    twice = {c for c in frame.columns if {*(fields[c].named_in or ())[2:]} & {*frame.columns}}
    keys = {c for c in frame.columns if fields[c].unit == "key" and not fields[c].named_in}
    english = {c for c in frame.columns if c.endswith("_en")}
    frame = _in_shekels(frame.drop((twice | keys | english) - {_SCHOOLS}))
    return frame.with_columns(
        pl.col(column).map_elements(partial(called, names, column), return_dtype=pl.String)
        for column in frame.columns
        if fields[column].named_in and _SCHOOLS not in column
    )


def _in_shekels(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table whose rows name their unit, money in shekels as everywhere in the book."""
    if "unit" not in frame.columns:
        return frame
    is_money = pl.col("unit").str.starts_with("agorot")
    measured = [c for c in frame.columns if dictionary().fields[c].unit == "as named"]
    return frame.with_columns(
        *(pl.when(is_money).then(pl.col(c) / AGOROT).otherwise(c).alias(c) for c in measured),
        pl.col("unit").str.replace("^agorot", "NIS"),
    )


Asked = tuple[Path, Mapping[str, pl.DataFrame], ReportContext]
"""What `write_workbook` is asked for."""


@contextmanager
def written_beside(
    remembered: Remembered | None = None,
) -> Iterator[Callable[[Sequence[Asked]], None]]:
    """Write workbooks in a process of their own while the body runs; they are there at its end.

    The process starts with the body, which asks for all its workbooks at once. Writing is Python
    alone, so that a thread would only take the body's time. What is remembered is copied.

    Args:
        remembered: what publishing has made before, if it may be used.

    Raises:
        Exception: as `write_workbook`, at the end of the body.
    """
    command = [sys.executable, "-c", f"from {__name__} import serve; serve()"]
    pipe = subprocess.PIPE
    with (
        subprocess.Popen(command, stdin=pipe, stdout=pipe) as process,
        ThreadPoolExecutor(1) as waiting,
    ):
        answers: list[Future[tuple[bytes, bytes]]] = []

        def ask(asked: Sequence[Asked]) -> None:
            # It reads none of the languages.
            alone = [(path, own, replace(whole, languages=())) for path, own, whole in asked]
            question = pickle.dumps((alone, remembered))
            answers.append(waiting.submit(process.communicate, question))

        try:
            yield ask
            failed = pickle.loads(answers[0].result()[0]) if answers else None
        except BaseException:
            process.kill()
            raise
    if failed is not None:
        raise failed


def serve() -> None:
    """Write the workbooks asked for on the standard input; the answer is an error, or None."""
    failed: Exception | None = None
    try:
        dictionary()  # while what is asked for is still being made
        asked, remembered = pickle.load(sys.stdin.buffer)
        write_books(asked, remembered)
    except Exception as error:  # raised where it was asked for
        failed = error
    pickle.dump(failed, sys.stdout.buffer)


def write_books(asked: Sequence[Asked], remembered: Remembered | None) -> None:
    """Write workbooks; what is remembered is copied, and what was written is kept."""
    made: list[tuple[Path, Path]] = []
    for path, tables, context in asked:
        if remembered:
            book = remembered.book(tables, context)
            if remembered.copy_book(book, path):
                continue
            made.append((book, path))
        write_workbook(path, tables, context)
    if remembered:
        remembered.keep_books(made)


def write_workbook(path: Path, tables: Mapping[str, pl.DataFrame], context: ReportContext) -> None:
    """Write the workbook: a cover sheet, then a sheet a table.

    Money columns are whole agorot in the tables and shekels with two decimals here; the columns
    that add up have a total in their last row.
    """
    book = xlsxwriter.Workbook(
        str(path),
        {
            "in_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        },
    )
    book.set_properties({"title": f"Tikkun – {context.city_name_he}", "created": _CREATED})
    book.set_size(1600, 1000)
    styles = {
        "title": book.add_format({"bold": True, "font_size": 16, "reading_order": 2}),
        "head": book.add_format(
            {
                "bold": True,
                "bg_color": "#1f3a5f",
                "font_color": "white",
                "text_wrap": True,
                "valign": "top",
                "border": 1,
                "reading_order": 2,
            }
        ),
        "text": book.add_format({"text_wrap": True, "valign": "top", "reading_order": 2}),
        "link": book.add_format({"font_color": "#1f3a5f", "underline": 1, "reading_order": 2}),
        "warn": book.add_format(
            {"bold": True, "font_color": "#9c2a00", "text_wrap": True, "reading_order": 2}
        ),
        "code": book.add_format({"num_format": "@", "valign": "top"}),
        # Signs and digits keep their order inside a right-to-left sheet.
        "money": book.add_format(
            {"num_format": "#,##0.00;-#,##0.00", "valign": "top", "reading_order": 1}
        ),
        "integer": book.add_format(
            {"num_format": "#,##0;-#,##0", "valign": "top", "reading_order": 1}
        ),
        "year": book.add_format({"num_format": "0", "valign": "top", "reading_order": 1}),
        "decimal": book.add_format(
            {"num_format": "0.000;-0.000", "valign": "top", "reading_order": 1}
        ),
        "total": book.add_format(
            {"num_format": "#,##0.00;-#,##0.00", "bold": True, "top": 2, "reading_order": 1}
        ),
        "total_text": book.add_format({"bold": True, "top": 2, "reading_order": 2}),
    }
    _cover(book.add_worksheet(COVER), tables, context, styles)
    for name, title in dictionary().sheets.items():
        if name in tables:
            sheet = book.add_worksheet(title)
            _sheet(sheet, name, tables[name], styles, context)
            if name in dictionary().charts and not tables[name].is_empty():
                sheet.insert_chart(tables[name].height + 3, 0, _chart(book, name, tables[name]))
    book.close()


def _chart(book: xlsxwriter.Workbook, name: str, frame: pl.DataFrame) -> Chart:
    """Return the chart of a sheet: bars of one of its columns, named by another, right to left."""
    title, (named, measured) = dictionary().sheets[name], dictionary().charts[name]
    ends = [(1, at, frame.height, at) for at in map(frame.columns.index, (named, measured))]
    chart = book.add_chart({"type": "column"})
    chart.add_series(
        {
            "name": head_of(measured),
            "categories": [title, *ends[0]],
            "values": [title, *ends[1]],
            "fill": {"color": "#1f3a5f"},
        }
    )
    chart.set_title(
        {"name": f"{title}: {dictionary().fields[measured].he}", "name_font": {"size": 12}}
    )
    chart.set_legend({"none": True})
    chart.set_x_axis({"reverse": True})
    chart.set_y_axis(
        {
            "name": dictionary().unit(measured).he,
            "num_format": "#,##0",
            "major_gridlines": {"visible": True},
        }
    )
    chart.set_size({"width": 900, "height": 380})
    return chart


def _cover(
    sheet: Worksheet,
    tables: Mapping[str, pl.DataFrame],
    context: ReportContext,
    styles: Mapping[str, Format],
) -> None:
    sheet.right_to_left()
    sheet.hide_gridlines(2)
    sheet.set_column(0, 0, _COVER_WIDTH)
    sheet.set_paper(9)  # A4
    sheet.fit_to_pages(1, 0)
    found = tables.get("mart_finding")
    findings = [] if found is None else found.sort("finding_order")["finding_he"].to_list()
    lines = [
        (f"הקצאת משאבים מבוססת נתונים – {context.city_name_he}", "title"),
        *(
            [("נתונים סינתטיים: אינם מתארים בית ספר, תלמיד או עיר כלשהם", "warn")]
            if context.is_synthetic
            else []
        ),
        (
            (
                f"שנת התכנון: {year(context.planning_year)}. שנת הייחוס:"
                f" {year(context.reference_year)}. היקף: {context.scope_he}."
            ),
            "text",
        ),
        *((note, "text") for note in context.notes_he),
        ("איך קוראים", "title"),
        (
            (
                "מרחק מהיעד הוא המצב המצוי פחות המצב הרצוי, בסטיות תקן של תלמידים (ס״ת): מספר"
                " שלילי פירושו מתחת ליעד. בדפים הוא בחודשי למידה."
            ),
            "text",
        ),
        (
            (
                "לכל אומדן יש גבול תחתון וגבול עליון (90%). תא ריק פירושו לא נמדד או מעט מדי"
                " תלמידים – לעולם לא אפס."
            ),
            "text",
        ),
        (
            (
                "מקומו של בית ספר הוא תמיד טווח של 90%: ”1 עד 1“ פירושו שבכל הטווח הוא הראשון."
                " אין בחוברת סדר של בתי ספר לפי הישג."
            ),
            "text",
        ),
        *((said, "text") for said in findings),
        ("הסכומים בשקלים; הסכום בשורה האחרונה שווה לסכום השורות.", "text"),
    ]
    for row, (text, style) in enumerate(lines):
        if style == "text":  # not every program makes wrapped rows as high as they need
            sheet.set_row(row, _LINE_HEIGHT * math.ceil(len(text) / _COVER_WIDTH))
        sheet.write_string(row, 0, text, styles[style])
    titles = [title for name, title in dictionary().sheets.items() if name in tables]
    if context.is_country:
        lines.append((f"טבלאות של יותר מ־{LONGEST:,} שורות אינן בחוברת; הן במסד הנתונים.", "text"))
        sheet.write_string(len(lines) - 1, 0, lines[-1][0], styles["text"])
    sheet.write_string(len(lines), 0, "הגיליונות", styles["title"])
    for row, title in enumerate(titles, start=len(lines) + 1):
        sheet.write_url(row, 0, f"internal:'{title}'!A1", styles["link"], title)


def _sheet(
    sheet: Worksheet,
    name: str,
    frame: pl.DataFrame,
    styles: Mapping[str, Format],
    context: ReportContext,
) -> None:
    fields, frame = dictionary().fields, _turned(frame)
    sheet.right_to_left()
    sheet.freeze_panes(1, 0)
    sheet.repeat_rows(0)
    sheet.set_landscape()
    sheet.set_paper(9)  # A4
    sheet.set_footer("&C&P / &N")
    if context.is_synthetic:
        sheet.set_header("&C&10נתונים סינתטיים")
    lines, wide = [1] * (frame.height + 1), 0.0
    for column, column_name in enumerate(frame.columns):
        field, head = fields[column_name], head_of(column_name)
        texts = [_shown(field, value) for value in frame[column_name]]
        sheet.write_string(0, column, head, styles["head"])
        _write(sheet, column, field, texts, styles)
        lengths = [len(_plain(value)) for value in texts]
        longest = max(lengths, default=0)
        own = min(max(longest + 3, len(field.he) * 0.7, _NARROWEST), _WIDEST)
        sheet.set_column(column, column, own)
        wide += own
        lines[0] = max(lines[0], math.ceil(_BOLD * len(head) / own))
        if longest > own - 1:
            for row, length in enumerate(lengths, start=1):
                if length > own - 1:
                    lines[row] = max(lines[row], math.ceil(_BROKEN * length / own))
    for row, count in enumerate(lines):
        if count > 1:  # not every program makes wrapped rows as high as they need
            sheet.set_row(row, _LINE_HEIGHT * count)
    # Of a wide sheet several pages side by side can be read, each with the first columns.
    sheet.fit_to_pages(math.ceil(wide / _PAGE_WIDTH), 0)
    if wide > _PAGE_WIDTH:
        sheet.repeat_columns(0, min(1, len(frame.columns) - 1))
    if frame.height:
        sheet.autofilter(0, 0, frame.height, len(frame.columns) - 1)
        _totals(sheet, name, frame, styles)


def head_of(column: str) -> str:
    """Return the head of a column: its Hebrew name, and its unit where it has one."""
    name, known = dictionary().fields[column].he, dictionary().unit(column)
    unit = known.annex_he or known.he
    return f"{name} [{unit}]" if unit else name


def _turned(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table as readers see it: what is told as its negative is, with its ends swapped."""
    fields = dictionary().fields
    other = {
        end: opposite
        for name in frame.columns
        if len(ends := fields[name].interval) == 2
        for end, opposite in (ends, ends[::-1])
    }
    return frame.with_columns(
        (-pl.col(other.get(name, name))).alias(name)
        for name in frame.columns
        if dictionary().unit(name).turned
    )


def _totals(sheet: Worksheet, name: str, frame: pl.DataFrame, styles: Mapping[str, Format]) -> None:
    added = [c for c in frame.columns if c in dictionary().total(name)]
    if not added:
        return
    row = frame.height + 1
    first = frame.columns[0]
    if first not in added:
        sheet.write_string(row, 0, TOTAL, styles["total_text"])
    for column in added:
        if frame[column].null_count() < frame.height:
            sheet.write_number(
                row, frame.columns.index(column), frame[column].sum() / AGOROT, styles["total"]
            )


def _shown(field: Field, value: object) -> object:
    if value is None:
        return None
    if field.unit.startswith("agorot") and isinstance(value, int):
        return value / AGOROT
    if isinstance(value, bool):
        return "כן" if value else "לא"
    if (
        isinstance(value, str) and not field.named_in
    ):  # codes stay codes: people look rows up by them
        return label(field.name, value)
    return value


def as_written(column: str, value: object) -> str | float | None:
    """Return a value as a reader of the sheet finds it: a number, or a text."""
    shown = _shown(dictionary().fields[column], value)
    if shown is None or isinstance(shown, str):
        return shown
    return float(shown) if isinstance(shown, (int, float)) else str(shown)


def _plain(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value or "")


def _write(
    sheet: Worksheet,
    column: int,
    field: Field,
    values: Sequence[object],
    styles: Mapping[str, Format],
) -> None:
    """Write the values of a column below its head; what is not known stays empty."""
    is_money, is_year = field.unit.startswith("agorot"), field.unit == "year"
    of_number = styles["money"] if is_money else styles["year"] if is_year else None
    whole, broken = of_number or styles["integer"], of_number or styles["decimal"]
    text = styles["code" if field.unit in ("code", "key") else "text"]
    for row, value in enumerate(values, start=1):
        if isinstance(value, (int, float)):
            sheet.write_number(row, column, value, whole if isinstance(value, int) else broken)
        elif value is not None:
            sheet.write_string(row, column, str(value), text)
