"""The policy document: what the plan is, why, and what people said against it (R104)."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from pipelines.publish import words
from pipelines.publish.pages.base import ReportContext, called, first_row, names_of
from pipelines.publish.pages.criteria import measure_name
from pipelines.publish.papers.content import (
    Block,
    Heading,
    Paper,
    Paragraph,
    Piece,
    count,
    number,
    said,
    table,
)

Tables = Mapping[str, pl.DataFrame]


def policy_document(shown: Tables, context: ReportContext, release: str) -> Paper:
    """Return the policy document of a release.

    Args:
        shown: the committee's tables, after suppression.
        context: what pages say of the city.
        release: id of the release: the hash of its content.
    """
    title = f"מסמך מדיניות: הקצאת משאבים לחינוך – {context.city_name_he}"
    blocks: list[Block] = [
        *_standing(shown, context, release),
        *_principles(shown),
        *_criteria(shown),
        *_money(shown),
        *_people(shown),
        *_firmness(shown),
        *_goals(shown),
        *_dates(shown),
        *_limits(shown, context),
        *_english(shown, context, release),
    ]
    mark = "נתונים סינתטיים · " if context.is_synthetic else ""
    return Paper(title, f"{mark}{context.city_name_he} · מהדורה {release}", tuple(blocks))


def _standing(shown: Tables, context: ReportContext, release: str) -> list[Block]:
    decided = first_row(
        shown["mart_decided"].filter("is_in_force", planning_year=context.planning_year)
    )
    year = words.year(context.planning_year)
    if decided is None:
        standing = (*said(f"התוכנית לשנת {year} היא טיוטה: טרם הוחלט עליה."),)
    else:
        on = f"על התוכנית לשנת {year} הוחלט ביום {words.day(decided['decided_on'])}, גרסה "
        standing = (*said(on), number("mart_decided", decided, "decision_version"), ".")
    lines: list[tuple[Piece, ...]] = [
        standing,
        said(f"היקף: {context.scope_he}. {context.data_years_he}."),
        ("גיבוב התוכן של המהדורה (לפיו היא נקראת): ", *said(release), "."),
        *(said(note) for note in context.notes_he),
    ]
    if context.is_synthetic:
        lines.insert(0, ("נתונים סינתטיים: אינם מתארים בית ספר, תלמיד או עיר כלשהם.",))
    return [Paragraph(line) for line in lines]


def _principles(shown: Tables) -> list[Block]:
    rules = shown["mart_allocation_rule"].to_dicts()
    return [
        Heading("עקרונות"),
        Paragraph(
            (
                "העדפה מתקנת: יותר היכן שהצורך גדול יותר. מה שאינו ידוע אינו נחשב לאפס, וכל מספר"
                " במסמך הוא של טבלה שבמהדורה.",
            )
        ),
        Paragraph(("הכללים שהתוכנית מקיימת:",)),
        *(Paragraph(said(rule["rule_he"]), is_item=True) for rule in rules),
    ]


def _criteria(shown: Tables) -> list[Block]:
    current = shown["mart_criterion"].filter("is_current_version", criterion_scope="authority")
    mart = "mart_criterion"
    rows = [
        (
            row["criterion_name_he"],
            words.label("identification_method", row["identification_method"]),
            measure_name(row["measure_id"]) if row["measure_id"] else "אין",
            words.label("threshold_side", row["threshold_side"]),
            number(mart, row, "threshold", empty="–"),
            row["criterion_owner"] or "",
        )
        for row in current.to_dicts()
    ]
    heads = ("הקריטריון", "איך מאתרים", "המדד", "הצד", "הסף", "באחריות")
    return [Heading("קריטריונים"), table("הקריטריונים של הרשות שבתוקף", heads, rows)]


def _money(shown: Tables) -> list[Block]:
    certificate = shown["mart_allocation_certificate"].row(0, named=True)
    told = "mart_allocation_certificate"
    channels, schools = shown["mart_allocation_channel"], shown["mart_allocation_school"]
    people = shown["mart_voice_plan"]
    names = names_of(shown)
    return [
        Heading("הכסף"),
        Paragraph(
            (
                "התוכנית עולה ",
                number(told, certificate, "cost_agorot"),
                " ₪, מהם ",
                number(told, certificate, "municipal_agorot"),
                " ₪ מתקציב הרשות ו־",
                number(told, certificate, "city_services_agorot"),
                " ₪ לשירותים של העיר כולה.",
            )
        ),
        table(
            "ערוצי המימון, בשקלים",
            ("הערוץ", "התקציב", "מוקצה", "נותר"),
            [
                (
                    words.label("funding_channel", row["funding_channel"]),
                    number("mart_allocation_channel", row, "budget_agorot", empty="ללא תקרה"),
                    number("mart_allocation_channel", row, "allocated_agorot"),
                    number("mart_allocation_channel", row, "left_agorot", empty="–"),
                )
                for row in channels.to_dicts()
            ],
        ),
        table(
            "הכסף לפי מענה, בשקלים",
            ("המענה", "אשתקד", "בתוכנית", "בתי ספר"),
            [
                (
                    called(names, "response_id", row["response_id"]),
                    number("mart_voice_plan", row, "last_year_agorot", empty="–"),
                    number("mart_voice_plan", row, "allocated_agorot", empty="–"),
                    number("mart_voice_plan", row, "schools", empty="–"),
                )
                for row in people.to_dicts()
            ],
        ),
        table(
            "בתי הספר לפי האלף־בית: מדרג הצורך והכסף, בשקלים",
            ("בית הספר", "מדרג הצורך", "מוקצה", "לתלמיד"),
            [
                (
                    row["school_name_he"],
                    words.label("need_tier", row["need_tier"]),
                    number("mart_allocation_school", row, "cost_agorot"),
                    number("mart_allocation_school", row, "per_pupil_agorot"),
                )
                for row in schools.sort("school_name_he", "semel_mosad").to_dicts()
            ],
        ),
    ]


def _people(shown: Tables) -> list[Block]:
    conflicts, replies = shown["mart_voice_conflict"], shown["mart_need_reply"]
    mart = "mart_need_reply"
    return [
        Heading("מה אמרו אנשים, והיכן התוכנית שונה"),
        *(Paragraph(said(text), is_item=True) for text in conflicts["voice_conflict_he"]),
        *([] if conflicts.height else [Paragraph(("לא נמצא מקום שבו התוכנית סותרת מה שנאמר.",))]),
        table(
            "צרכים שאנשים ציינו, ומה התוכנית עושה בהם",
            ("הצורך", "מי שציינו", "מי שמילאו", "המענים", "מוקצה (₪)"),
            [
                (
                    row["need_name_he"] or words.label("need_id", row["need_id"]),
                    number(mart, row, "form_people"),
                    number(mart, row, "speakers"),
                    row["responses_he"] or "אין",
                    number(mart, row, "allocated_agorot", empty="–"),
                )
                for row in replies.to_dicts()
            ],
        ),
    ]


def _firmness(shown: Tables) -> list[Block]:
    funded = shown["mart_allocation_stability"].drop_nulls("plan_dose_level")
    found = dict(funded.group_by("stability").len().iter_rows())
    blocks: list[Block] = [
        Heading("עד כמה זה יציב"),
        table(
            "השורות הממומנות לפי יציבותן כשהאומדנים משתנים בטווח שלהם",
            ("היציבות", "שורות"),
            [
                (words.label("stability", name), count(lines))
                for name, lines in sorted(found.items())
            ],
        ),
    ]
    if (bound := first_row(shown["mart_allocation_bound"])) is not None:
        gap = number("mart_allocation_bound", bound, "recomputed_gap_pct")
        line = ("שום תוכנית שמקיימת את הכללים אינה שווה יותר מזו ביותר מ־", gap, ".")
        blocks.append(Paragraph(line))
    return blocks


def _goals(shown: Tables) -> list[Block]:
    names, mart = names_of(shown), "mart_goal"

    def value(row: dict[str, object], column: str) -> Piece:
        in_sd = row["unit"] == "pupil SD"
        return number(mart, row, column, "months_from_target" if in_sd else "percent")

    rows = [
        (
            called(names, "semel_mosad", row["semel_mosad"]),
            row["indicator_name_he"],
            value(row, "baseline"),
            value(row, "target_value"),
            number(mart, row, "p_reach"),
        )
        for row in shown["mart_goal"].to_dicts()
    ]
    caption = "היעדים; בפערים: המרחק מהיעד בחודשי למידה (מינוס = מתחת ליעד)"
    heads = ("בית הספר", "המדד", "היום", "היעד", "הסיכוי")
    return [Heading("יעדים"), table(caption, heads, sorted(rows, key=str))]


def _dates(shown: Tables) -> list[Block]:
    plan = shown["mart_work_plan"]
    moments = {
        "starts_on": "מתחילים",
        "opened_by": "המענה פועל עד",
        "checked_by": "בדיקת ביניים עד",
        "measured_by": "מדידה עד",
        "ends_on": "מסיימים",
    }
    rows = [
        (name, said(words.day(day)), count(lines))
        for column, name in moments.items()
        for day, lines in plan.drop_nulls(column).group_by(column).len().sort(column).iter_rows()
    ]
    return [Heading("מועדי מעקב"), table("מועדים", ("מה", "מתי", "שורות בתוכנית"), rows)]


def _limits(shown: Tables, context: ReportContext) -> list[Block]:
    return [
        Heading("מה לא נמדד"),
        *(
            Paragraph(said(f"{row['item_he']}: {row['reason_he']}."), is_item=True)
            for row in shown["mart_not_measured"].to_dicts()
        ),
    ]


def _english(shown: Tables, context: ReportContext, release: str) -> list[Block]:
    certificate = shown["mart_allocation_certificate"].row(0, named=True)
    told = "mart_allocation_certificate"
    synthetic = "All data are synthetic. " if context.is_synthetic else ""
    return [
        Heading("English summary", is_english=True),
        Paragraph(
            (
                f"{synthetic}Plan for the school year {context.planning_year - 1}/"
                f"{context.planning_year % 100:02d}, release {release}: ",
                number(told, certificate, "cost_agorot"),
                " NIS in ",
                number(told, certificate, "schools"),
                " schools, ",
                number(told, certificate, "municipal_agorot"),
                " NIS of them from the municipality's own budget.",
            ),
            is_english=True,
        ),
        *(
            Paragraph(said(text), is_item=True, is_english=True)
            for text in shown["mart_finding"].sort("finding_order")["finding_en"]
        ),
    ]
