"""What we cannot see: everything that could not be measured, and which results it weakens (R35)."""

from __future__ import annotations

import polars as pl

from models.keys import WHOLE
from pipelines.settings.city import CityFolder
from pipelines.settings.fields import dictionary
from pipelines.settings.keys import CITY
from pipelines.settings.policy import Response
from pipelines.warehouse.tables import Step, Tables, table_of

# What is not measured where a table holds no row: item, table, Hebrew, English, what it weakens.
_PLAN = "mart_allocation"
_NEED = "mart_need_index,mart_allocation"
_ABSENT_SOURCES = (
    (
        "participation",
        "core_participation",
        "השתתפות במענים",
        "Participation in responses",
        "mart_response_map,mart_response_group,mart_unmet_need,mart_over_coverage,mart_pooling,mart_topic,mart_effect,mart_city_service,mart_allocation",
    ),
    (
        "budget_lines",
        "core_budget_line",
        "תקציב וביצוע לפי מענה, גם של השנה שעברה",
        "Plan and actual money by response, last year's too",
        "mart_plan_tracking,mart_alignment,mart_budget_tag,mart_allocation_change,mart_allocation",
    ),
    (
        "attendance",
        "core_attendance",
        "היעדרות, נשירה ומעבר ברמת בית הספר",
        "Absence, dropout and transfer per school",
        f"mart_pupil_share,{_NEED}",
    ),
    ("climate", "core_climate", "אקלים בית ספרי", "School climate", f"mart_climate,{_NEED}"),
    (
        "pupil_tests",
        "core_pupil_level",
        "ציונים של תלמידים, ומהם פערים בין קבוצות ורמות",
        "Scores of pupils, and from them gaps between groups and levels",
        "mart_gap_group,mart_plan_progress,mart_test_participation",
    ),
    (
        "expected_absence",
        "mart_expected_absence",
        "היעדרות כרונית צפויה",
        "Chronic absence to be expected",
        "mart_expected_absence",
    ),
    (
        "informal",
        "core_informal",
        "פעילות בלתי פורמלית",
        "Informal activity",
        "mart_pupil_share",
    ),
    ("excerpts", "core_excerpt_theme", "אמירות מן השטח", "What people say", "mart_triangulation"),
    (
        "ratings",
        "core_rating",
        "דירוגים של המענים",
        "Ratings of the responses",
        "mart_rating,mart_perception",
    ),
    (
        "cards",
        "mart_card",
        "כרטיסי התיעדוף של המפגש השלישי",
        "Prioritisation cards of the third meeting",
        "mart_voice_plan,mart_voice_family,mart_candidate",
    ),
    (
        "considerations",
        "mart_consideration",
        "השיקולים המנחים של הוועדה",
        "Guiding considerations of the committee",
        "mart_acceptability",
    ),
    (
        "forms",
        "mart_form_need",
        "טפסים של הורים, תלמידים ונציגי קבוצות",
        "Forms of parents, pupils and representatives of groups",
        "mart_need_reply",
    ),
    ("wheel", "mart_wheel", "תשובות לגלגל ההערכה", "Answers to the wheel", "mart_wheel"),
    (
        "practices",
        "mart_practice",
        "כלים ופרקטיקות שבתי ספר מציעים לראות",
        "Practices that schools offer to others",
        "mart_practice",
    ),
    (
        "parents_payments",
        "core_parents_payment",
        "תשלומי הורים לפי מענה",
        "Parents' payments by response",
        "mart_parents_payment,mart_parents_plan",
    ),
    (
        "identification",
        "mart_identification_method",
        "כיצד בתי הספר מאתרים תלמידים",
        "How schools identify pupils",
        "mart_identification_method",
    ),
    (
        "identified_pupils",
        "mart_criterion_fairness",
        "מי אותר לפי כל קריטריון",
        "Who is identified by each criterion",
        "mart_criterion_fairness",
    ),
    ("assets", "core_asset", "נכסים מעבר לתקציב", "Assets beyond the budget", _PLAN),
)
BANDS_ONLY = "bands_only"
_NO_FILE = ("אין קובץ כזה בנתוני העיר", "the city's files hold no such source")


def not_measured(city: CityFolder, tables: Tables) -> Tables:
    """Return what could not be measured, why, for how many schools, and what it weakens."""
    plan = tables["mart_need_index"]["semel_mosad"]
    total = plan.len()
    items = [
        *_domains(tables, total),
        *_local_effects(tables, total),
        *_groups(city, tables, total),
    ]
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
                    f"mart_indicator,{_NEED}",
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
    items += _in_part(tables, total)
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
    return {"mart_not_measured": table_of("mart_not_measured", items)}


def _domains(tables: Tables, total: int) -> list[tuple]:
    """Return the domains of learning that nothing in the city's data measures, even nearly."""
    absent = tables["mart_domain"].filter(domain_status="not_measured").sort("domain_id")
    names = dictionary().labels["domain_id"]
    return [
        (
            f"domain.{domain_id}",
            names[domain_id],
            domain_id.replace("_", " ").capitalize(),
            "אין בנתוני העיר מקור שמודד אותו, גם לא בקירוב",
            "no source of the city measures it, even nearly",
            total,
            total,
            "mart_domain,mart_need_index",
        )
        for domain_id in absent["domain_id"]
    ]


def _groups(city: CityFolder, tables: Tables, total: int) -> list[tuple]:
    """Return the groups that a response is for and nobody counted: it is given to no school."""
    known = set(tables["core_group_school"]["group_id"])
    wanted: dict[str, list[Response]] = {}
    for _, response in sorted(city.policy.responses.items()):
        if response.serves_group and response.serves_group not in known:
            wanted.setdefault(response.serves_group, []).append(response)
    return [
        (
            f"group.{group_id}",
            f"מספר התלמידים בכל בית ספר מן הקבוצה של: {', '.join(r.name_he for r in responses)}",
            f"How many pupils of each school are of the group of: "
            f"{', '.join(r.name_en for r in responses)}",
            "אין רשימת תלמידים שאפשר לספור ממנה, ולכן המענה אינו ניתן לאף בית ספר לפי חישוב",
            "no list of pupils tells, so no calculation gives the response to any school",
            total,
            total,
            "mart_response_map,mart_allocation",
        )
        for group_id, responses in sorted(wanted.items())
    ]


def _local_effects(tables: Tables, total: int) -> list[tuple]:
    """Return the effects that were not estimated on the city's own pupils; no row if all were.

    What is missing are responses, not schools: schools are counted only where there is none.
    """
    estimated = tables["mart_effect"].group_by("response_id").agg(pl.col("is_measured").any())
    known, every = int(estimated["is_measured"].sum()), estimated.height
    if known == every:
        return []
    return [
        (
            "local_effects",
            f"השפעה שנאמדה בעיר עצמה: חסרה ב־{every - known} מתוך {every} המענים שהשפעתם רשומה",
            f"Effects estimated in this city: absent for {every - known} of {every} responses"
            " with a registered effect",
            "אין מי שהשתתפו בו ונבחנו, או שאין עם מי להשוותם: מוצגת הספרות לאחר הפחתה",
            "nobody took part and was tested, or nobody compares: the discounted literature stands",
            None if known else total,
            None if known else total,
            "mart_effect,mart_effect_side,mart_allocation",
        )
    ]


def _in_part(tables: Tables, total: int) -> list[tuple]:
    """Return what is measured in some schools, subjects or years and not in others."""
    pairs = tables["mart_gap_school"].filter(~pl.col("is_measured"), pl.col("subject") != WHOLE)
    shares = tables["mart_pupil_share"].filter(~pl.col("is_measured"), pl.col("place") != CITY)
    items = (
        (
            "subject_results",
            "תוצאות במקצוע אחד לפחות",
            "Results in one subject at least",
            "אין נבחנים במקצוע הזה בשנות החלון",
            "nobody was tested in it in the years of the window",
            pairs["semel_mosad"].n_unique(),
            total,
            "mart_gap_school,mart_cause_contribution,mart_allocation_remaining",
        ),
        (
            "pupil_shares",
            "היעדרות, עזיבה או פעילות בשנה אחת לפחות",
            "Absence, leaving or activity in one year at least",
            "בית הספר לא דיווח באותה שנה",
            "the school did not report in that year",
            shares["place"].n_unique(),
            total,
            "mart_pupil_share",
        ),
    )
    return [item for item in items if item[5]]


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
        "act",
        makes=("mart_not_measured",),
        reads=(
            *(table for _, table, *_ in _ABSENT_SOURCES),
            "core_group_school",
            "core_school",
            "core_gap_cell",
            "core_band_cell",
            "core_school_year",
            "mart_gap_school",
            "mart_gap_school_subject",
            "mart_pupil_share",
            "mart_need_indicator",
            "mart_need_index",
            "mart_domain",
            "mart_effect",
        ),
        compute=not_measured,
    ),
)
