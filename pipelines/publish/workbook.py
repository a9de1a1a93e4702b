"""The committee's workbook: right to left, Hebrew headers with units, shekels, totals that add up.

Text can never become a formula, and the same tables give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import polars as pl
import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from pipelines.publish.pages.base import ReportContext
from pipelines.publish.words import label, year
from pipelines.settings.fields import Field, dictionary
from pipelines.settings.keys import AGOROT

# Sheet name -> table. Excel allows 31 characters and no punctuation in a sheet's name.
SHEETS = {
    "ממצאים": "mart_finding",
    "פערים לפי בית ספר": "mart_gap_school",
    "פערים לפי שכבה ושנה": "mart_gap_school_subject",
    "פערים לפי אזור": "mart_gap_area",
    "שינוי משנה לשנה": "mart_trend",
    "מדד צורך": "mart_need_index",
    "מחווני הצורך": "mart_need_indicator",
    "הקצאה לבית ספר": "mart_allocation_school",
    "הקצאה לפי מענה": "mart_allocation",
    "כסף לפי ערוץ": "mart_allocation_money",
    "ערוצי מימון": "mart_allocation_channel",
    "נכסים בתכנית": "mart_allocation_asset",
    "כללי ההקצאה": "mart_allocation_rule",
    "נימוקי ההקצאה": "mart_allocation_reason",
    "יציבות ההקצאה": "mart_allocation_stability",
    "לעומת אשתקד": "mart_allocation_change",
    "כסף לפי צורך וזרם": "mart_audit_group",
    "מדדי ריכוז": "mart_audit_index",
    "מידת ההעדפה המתקנת": "mart_frontier",
    "מחיר הכללים": "mart_rule_price",
    "תעודת ההקצאה": "mart_allocation_certificate",
    "תרחישים": "mart_scenario",
    "מה משנה כל תרחיש": "mart_scenario_change",
    "תרחישים לפי קבוצה": "mart_scenario_group",
    "תרחישים לפי מענה": "mart_scenario_response",
    "תרחישים לפי בית ספר": "mart_scenario_school",
    "מענים וראיות": "mart_effect",
    "ספרות מול מקומי": "mart_effect_side",
    "מערכים שנבדקו": "mart_effect_design",
    "השפעה על היעדרות": "mart_effect_absence",
    "מסקנות": "mart_verdict",
    "כסף מול השפעה": "mart_alignment",
    "כסף לפי מענה": "mart_response_money",
    "מה להעריך": "mart_evaluation",
    "הצעות": "mart_proposal",
    "החלטות": "mart_decision",
    "דירוגים": "mart_rating",
    "דירוגים לפי תפקיד": "mart_rating_role",
    "על מה נשענים הדירוגים": "mart_rating_evidence",
    "דירוג מול אומדן": "mart_perception",
    "מרשם הראיות": "mart_evidence",
    "מפת מענים": "mart_response_map",
    "מענים לפי קבוצה": "mart_response_group",
    "צרכים ללא מענה": "mart_unmet_need",
    "התמדה ופעילות": "mart_pupil_share",
    "אקלים": "mart_climate",
    "מי לא נבחן": "mart_test_participation",
    "קריטריונים": "mart_criterion",
    "ממצאים על קריטריונים": "mart_criterion_lint",
    "הוגנות הקריטריונים": "mart_criterion_fairness",
    "שיטות איתור": "mart_identification_method",
    "איגום לפי מענה": "mart_pooling",
    "איגום – קבוצות": "mart_pooling_set",
    "איגום – בתי ספר": "mart_pooling_school",
    "תוכנית עבודה": "mart_work_plan",
    "תכנון מול ביצוע": "mart_plan_tracking",
    "תקציב לפי תיוג": "mart_budget_tag",
    "תשלומי הורים": "mart_parents_payment",
    "מה לא נמדד": "mart_not_measured",
    "תלמידים ובתי ספר": "mart_pupil_total",
    "העיר": "mart_city",
    "פרמטרים": "mart_parameter",
    "איכות הנתונים": "mart_data_quality",
    "שורות בהסגר": "mart_quarantine",
}
_CREATED = datetime(2026, 1, 1)  # a fixed date: a clock would change the bytes of each run
_WIDEST, _NARROWEST = 60, 11


def write_workbook(path: Path, tables: Mapping[str, pl.DataFrame], context: ReportContext) -> None:
    """Write the workbook: a cover sheet, then a sheet a table.

    Money columns are whole agorot in the tables and shekels with two decimals here; the columns
    that add up have a total in their last row.
    """
    book = xlsxwriter.Workbook(
        str(path),
        {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False},
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
    _cover(book.add_worksheet("שער"), context, styles)
    for title, name in SHEETS.items():
        if name in tables:
            _sheet(book.add_worksheet(title), name, tables[name], styles, context)
    book.close()


def _cover(sheet: Worksheet, context: ReportContext, styles: Mapping[str, Format]) -> None:
    sheet.right_to_left()
    sheet.hide_gridlines(2)
    sheet.set_column(0, 0, 110)
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
                "פער הוא המצב הרצוי פחות המצב המצוי, בסטיות תקן של תלמידים: מספר חיובי פירושו מתחת"
                " ליעד."
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
        ("אין בחוברת דירוג בתי ספר: דרגות, הסתברויות וטווחים בלבד.", "text"),
        ("השפעת המענים היא אומדן מהספרות המקצועית ולא תוצאה שנמדדה בעיר.", "text"),
        ("הסכומים בשקלים; הסכום בשורה האחרונה שווה לסכום השורות.", "text"),
    ]
    for row, (text, style) in enumerate(lines):
        sheet.write_string(row, 0, text, styles[style])


def _sheet(
    sheet: Worksheet,
    name: str,
    frame: pl.DataFrame,
    styles: Mapping[str, Format],
    context: ReportContext,
) -> None:
    fields = dictionary().fields
    sheet.right_to_left()
    sheet.freeze_panes(1, 0)
    if context.is_synthetic:
        sheet.set_header("&C&10נתונים סינתטיים")
    for column, column_name in enumerate(frame.columns):
        field = fields[column_name]
        texts = [_shown(field, value) for value in frame[column_name]]
        sheet.write_string(
            0, column, f"{field.he} [{_unit(field)}]" if _unit(field) else field.he, styles["head"]
        )
        for row, value in enumerate(texts, start=1):
            _write(sheet, row, column, field, value, styles)
        longest = max((len(_plain(value)) for value in texts), default=0)
        sheet.set_column(
            column, column, min(max(longest + 3, len(field.he) * 0.7, _NARROWEST), _WIDEST)
        )
    if frame.height:
        sheet.autofilter(0, 0, frame.height, len(frame.columns) - 1)
        _totals(sheet, name, frame, styles)


# Rows of these overlap (one response by several kinds of money, one school under several scenarios,
# the same lines under several tags, parts beside their total) or do not add up (values of knowing).
_NO_TOTAL = (
    "mart_allocation_certificate",
    "mart_allocation_rule",
    "mart_alignment",
    "mart_budget_tag",
    "mart_evaluation",
    "mart_parents_payment",
    "mart_scenario",
    "mart_scenario_group",
    "mart_scenario_response",
    "mart_scenario_school",
)


def _totals(sheet: Worksheet, name: str, frame: pl.DataFrame, styles: Mapping[str, Format]) -> None:
    added = [c for c in frame.columns if dictionary().fields[c].unit == "agorot"]
    if not added or name in _NO_TOTAL:
        return
    row = frame.height + 1
    first = frame.columns[0]
    if first not in added:
        sheet.write_string(row, 0, "סך הכול", styles["total_text"])
    for column in added:
        if frame[column].null_count() < frame.height:
            sheet.write_number(
                row, frame.columns.index(column), frame[column].sum() / AGOROT, styles["total"]
            )


def _unit(field: Field) -> str:
    if field.unit.startswith("agorot"):
        return "₪" + field.unit.removeprefix("agorot").replace(" per pupil", " לתלמיד").replace(
            " per school", " לבית ספר"
        ).replace(" per participant", " למשתתף").replace(" per payer", " למשלם").replace(
            " in all", ""
        )
    return {
        "pupils": "תלמידים",
        "schools": "בתי ספר",
        "percent": "%",
        "probability": "הסתברות",
        "pupil SD": "ס״ת",
        "pupil SD per year": "ס״ת לשנה",
        "decile": "עשירון",
    }.get(field.unit, "")


def _shown(field: Field, value: object) -> object:
    if value is None:
        return None
    if field.unit.startswith("agorot") and isinstance(value, int):
        return value / AGOROT
    if isinstance(value, bool):
        return "כן" if value else "לא"
    if isinstance(value, str):
        return label(field.name, value)
    return value


def _plain(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value or "")


def _write(
    sheet: Worksheet,
    row: int,
    column: int,
    field: Field,
    value: object,
    styles: Mapping[str, Format],
) -> None:
    if value is None:
        return
    if isinstance(value, (int, float)):
        style = (
            "money"
            if field.unit.startswith("agorot")
            else (
                "year"
                if field.unit == "year"
                else "integer"
                if isinstance(value, int)
                else "decimal"
            )
        )
        sheet.write_number(row, column, value, styles[style])
    else:
        sheet.write_string(
            row, column, str(value), styles["code" if field.unit in ("code", "key") else "text"]
        )
