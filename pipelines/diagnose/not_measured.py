"""What we cannot see: everything that could not be measured, and which results it weakens (R35)."""

from __future__ import annotations

import polars as pl

from pipelines.settings.city import CityFolder
from pipelines.warehouse.tables import Step, Tables

# What is never measured per school by any source, or not by this sources (R35): Hebrew,
# English, reason.
_NEVER = (
    (
        "cognitive_understanding",
        "הבנה קוגניטיבית",
        "Cognitive understanding",
        "אין מקור נתונים",
        "no source measures it",
        "mart_need_index",
    ),
    (
        "social_skills",
        "כישורים חברתיים",
        "Social skills",
        "אין מקור נתונים",
        "no source measures it",
        "mart_need_index",
    ),
    (
        "local_effects",
        "השפעת המענים בעיר עצמה",
        "Effects of the responses in this city",
        "עדיין לא נאמדה: מוצגת הערכה מהספרות בלבד",
        "not estimated yet: only discounted priors from the literature are shown",
        "mart_effect,mart_allocation",
    ),
)
_ABSENT_SOURCES = (
    (
        "participation",
        "core_participation",
        "השתתפות במענים",
        "Participation in responses",
        "mart_response_map,mart_response_group,mart_unmet_need,mart_over_coverage,mart_pooling,mart_topic,mart_effect,mart_allocation",
    ),
    (
        "budget_lines",
        "core_budget_line",
        "תקציב וביצוע לפי מענה",
        "Plan and actual money by response",
        "mart_plan_tracking,mart_allocation",
    ),
    (
        "attendance",
        "core_attendance",
        "היעדרות ונשירה ברמת בית הספר",
        "Absence and dropout per school",
        "mart_need_index,mart_allocation",
    ),
    (
        "climate",
        "core_climate",
        "אקלים בית ספרי",
        "School climate",
        "mart_need_index,mart_allocation",
    ),
)
BANDS_ONLY = "bands_only"
_NO_FILE = ("אין קובץ כזה בנתוני העיר", "the city's files hold no such source")


def not_measured(city: CityFolder, tables: Tables) -> Tables:
    """Return what could not be measured, why, for how many schools, and what it weakens."""
    plan = tables["mart_need_index"]["semel_mosad"]
    total = plan.len()
    items = [(*item[:5], total, total, item[5]) for item in _NEVER]
    for item_id, table, he, en, weakens in _ABSENT_SOURCES:
        if tables[table].is_empty():
            items.append((item_id, he, en, *_NO_FILE, total, total, weakens))
    by_indicator = (
        tables["mart_need_indicator"]
        .group_by("indicator_id", "indicator_name_he", maintain_order=True)
        .agg((~pl.col("is_measured")).sum().alias("absent"))
    )
    for indicator_id, name_he, absent in by_indicator.sort("indicator_id").iter_rows():
        if absent:
            items.append(
                (
                    f"indicator.{indicator_id}",
                    name_he,
                    f"Need indicator {indicator_id}",
                    "אין נתון לבתי ספר אלה בשנות החלון",
                    "no value for these schools in the years of the window",
                    absent,
                    total,
                    "mart_need_index,mart_allocation",
                )
            )
    nowhere = tables["mart_need_index"]["outcome_need"].null_count()
    if nowhere:
        items.append(
            (
                "schools_without_outcome",
                "בתי ספר שלא נמדדה בהם אף תוצאה",
                "Schools of which no outcome is measured",
                (
                    "תוצאותיהם נספרות כממוצע של שאר בתי הספר, עם כל הפיזור שביניהם: היעדר נתון אינו"
                    " מקדם ואינו מאחר איש"
                ),
                (
                    "their outcomes count at the mean of the other schools, with the whole spread"
                    " between them: nobody is put first or last by silence"
                ),
                nowhere,
                total,
                "mart_need_index,mart_allocation",
            )
        )
    register = tables["core_school"]
    outside = register.filter(~pl.col("is_in_plan")).height
    if outside:
        items.append(
            (
                "schools_not_counted",
                "בתי ספר אחרים בעיר",
                "Other schools of the city",
                (
                    "שלב, סוג או מעמד שאינם בהיקף התוכנית, או בית ספר ללא תלמידים: אינם נספרים באף"
                    " פער, מונה או מכנה"
                ),
                (
                    "of a stage, type or legal status outside the plan's scope, or without pupils;"
                    " no gap, count or denominator holds them"
                ),
                outside,
                register.height,
                "mart_gap_city,mart_gap_school,mart_gap_component",
            )
        )
    imputed = tables["core_gap_cell"].filter("tested_pupils_is_imputed")["semel_mosad"].n_unique()
    if imputed:
        items.append(
            (
                "tested_pupils",
                "מספר הנבחנים וסטיית התקן בכל בית ספר",
                "Number tested and SD per school",
                "המקור מפרסם ממוצע בלבד; מספר הנבחנים נגזר ממספר התלמידים",
                "the source publishes means only; the number tested is derived from enrolment",
                imputed,
                total,
                "mart_gap_school_subject,mart_gap_school,mart_need_index",
            )
        )
    items += _bands(tables, total)
    background = tables["core_school_year"].filter(
        "nurture_index_is_imputed", pl.col("semel_mosad").is_in(plan.implode())
    )
    if background.height:
        items.append(
            (
                "nurture_index_exact",
                "מדד טיפוח מדויק",
                "Exact nurture index",
                "פורסם החמישון בלבד; המדד נקרא כאמצע החמישון",
                "only the quintile is published; the index is read as its midpoint",
                background["semel_mosad"].n_unique(),
                total,
                "mart_need_index,mart_response_map,mart_allocation",
            )
        )
    columns = (
        "item_id",
        "item_he",
        "item_en",
        "reason_he",
        "reason_en",
        "schools_not_measured",
        "schools",
        "weakens",
    )
    return {"mart_not_measured": pl.DataFrame(items, schema=columns, orient="row")}


def _bands(tables: Tables, total: int) -> list[tuple]:
    """Return what is known only as a band, and the bands from which nothing could be read."""
    used = tables["mart_gap_school_subject"].filter("is_band")
    test = ["semel_mosad", "subject", "grade", "school_year"]
    unread = tables["core_band_cell"].join(used, on=test, how="anti")
    weakens = "mart_gap_school_subject,mart_gap_school,mart_need_index"
    items = (
        (
            BANDS_ONLY,
            "תוצאות שידועות רק כרצועה",
            "Results known only as a band",
            "פורסם רק היכן בית הספר מול בתי ספר דומים, לא הציון; הטווח רחב יותר",
            (
                "only where the school lies beside similar schools is published, no score; the"
                " interval is wider"
            ),
            used["semel_mosad"].n_unique(),
        ),
        (
            "bands_unread",
            "רצועות שאי אפשר לקרוא",
            "Bands from which nothing can be read",
            (
                "לאף בית ספר בעיר אין ציון באותו מבחן, חסר מדד טיפוח, או שהמדיניות אינה אומרת מה"
                " גבולות הרצועות"
            ),
            (
                "no school of the city has a score of that test, the nurture index is missing, or"
                " the policy does not say where the bands lie (diagnose.bands)"
            ),
            unread["semel_mosad"].n_unique(),
        ),
    )
    return [(*item, total, weakens) for item in items if item[-1]]


STEPS = (
    Step(
        "not_measured",
        "diagnose",
        makes=("mart_not_measured",),
        reads=(
            "core_participation",
            "core_budget_line",
            "core_attendance",
            "core_climate",
            "core_school",
            "core_gap_cell",
            "core_band_cell",
            "core_school_year",
            "mart_gap_school_subject",
            "mart_need_indicator",
            "mart_need_index",
        ),
        compute=not_measured,
    ),
)
