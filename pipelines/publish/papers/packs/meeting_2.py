"""The pack of the second meeting: gaps, causes, channels of action, and the wheel (R109)."""

from __future__ import annotations

import polars as pl

from models.keys import WHOLE
from pipelines.publish import words
from pipelines.publish.pages.base import ReportContext, called, first_row, names_of
from pipelines.publish.papers.content import Line, Piece, number, said
from pipelines.publish.papers.packs.content import (
    UNTIL,
    Chart,
    Pack,
    Page,
    Tables,
    absent,
    form_of,
    interval,
    tally,
)
from pipelines.publish.papers.packs.frame import asked, pack
from pipelines.publish.papers.packs.meeting_1 import RANGE
from pipelines.settings.fields import dictionary
from pipelines.settings.keys import CITY

GOAL = ("semel_mosad", "indicator_id", "target_value", "due_on", "how_known_he", "plan_owner")
WHEEL = ("problem_he", "stage_id", "perspective_level", "answer_he")


def meeting_2(shown: Tables, context: ReportContext, release: str) -> Pack:
    """Return the pack of the second meeting.

    Args:
        shown: the committee's tables, after suppression.
        context: what pages say of the city.
        release: id of the release.
    """
    pages = (
        _groups(shown),
        _trend(shown),
        _phenomena(shown),
        _said(shown),
        _causes(shown),
        _channels(shown),
        _goals(shown),
        _wheel(shown),
        _work_plan(shown),
    )
    name = "קידום הישגים דיפרנציאלי כמענה לפערים"
    return pack(2, name, shown, context, release, pages)


def _groups(shown: Tables) -> Page:
    mart, names = "mart_gap_group", names_of(shown)
    rows = (
        shown[mart]
        .filter(subject=WHOLE)
        .drop_nulls("gap_sd")
        .join(shown["mart_group"].select("group_id", "group_dimension"), on="group_id", how="left")
        .sort("group_dimension", "group_id", nulls_last=True)
    )
    silent = [
        called(names, "group_id", row["group_id"])
        for row in shown["mart_voice_group"].to_dicts()
        if not row["has_spoken"]
    ]
    heard = [f"קבוצות בפער שלא נשמע קולן: {', '.join(sorted(silent))}."] if silent else []
    return asked(
        "בין אילו קבוצות יש פער, ועד כמה?",
        ["פער הוא המרחק של קבוצה מן היעד ומשאר התלמידים, בחודשי למידה.", *heard],
        "קבוצות של תלמידים, כל המקצועות",
        ("הקבוצה", "מהיעד (חודשי למידה)", RANGE, "משאר התלמידים", "נבחנו"),
        [
            (
                called(names, "group_id", row["group_id"]),
                number(mart, row, "gap_sd"),
                interval(mart, row, "gap_sd"),
                number(mart, row, "contrast_sd"),
                number(mart, row, "tested_pupils"),
            )
            for row in rows.to_dicts()
        ],
        chart=Chart("המרחק מהיעד של כל קבוצה", (1, 2), "ranges"),
        decided=("אילו פערים לבחור, ואת מי מן הקבוצות לשתף באיתור הגורמים.",),
        form=form_of("act__goals", *GOAL),
        missing=absent(shown, "pupil_tests", "tests__pupil_scores", "register__pupils"),
        notes=(
            "צמצום פערים אינו מטרה אלא אמצעי: מקדמים קבוצה מן המצוי אל הרצוי, ואיש אינו יורד.",
            "range",
            "association",
        ),
        annex="diagnosis",
        most=8,
    )


def _trend(shown: Tables) -> Page:
    mart = "mart_gap_trend"
    rows = (
        shown[mart]
        .filter(place=CITY)
        .drop_nulls("slope_sd")
        .sort(pl.col("subject") != WHOLE, "subject")
    )
    whole = first_row(rows.filter(subject=WHOLE))
    told = [f"בכל המקצועות: {words.label('trend', whole['trend'])}."] if whole else []
    return asked(
        "הפער גדל או קטן?",
        [*told, "פלוס – מתקרבים ליעד משנה לשנה; מינוס – מתרחקים."],
        "השינוי השנתי במרחק מהיעד, בעיר",
        ("המקצוע", "השינוי בשנה (חודשי למידה)", RANGE, "שנים שנמדדו", "המגמה"),
        [
            (
                words.label("subject", row["subject"]),
                number(mart, row, "slope_sd"),
                interval(mart, row, "slope_sd"),
                number(mart, row, "years"),
                words.label("trend", row["trend"]),
            )
            for row in rows.to_dicts()
        ],
        chart=Chart("השינוי השנתי לפי מקצוע", (1, 2), "ranges"),
        decided=("באילו מקצועות המגמה מחייבת פעולה כבר השנה.",),
        form=form_of("act__goals", *GOAL),
        missing=absent(shown, "", "tests__pupil_scores", "tests__school_means"),
        notes=("מגמה נמדדת רק בין שנים שאותו סרגל מודד; שנת חירום ומיזוג קוטעים אותה.", "range"),
        annex="diagnosis",
    )


def _phenomena(shown: Tables) -> Page:
    mart = "mart_phenomenon"
    found = shown[mart].filter("is_phenomenon")
    kinds = list(map(str, dictionary().fields["phenomenon_scope"].allowed))
    order = pl.col("phenomenon_scope").replace_strict(kinds, range(len(kinds)))
    rows: list[tuple[Line | Piece, ...]] = []
    # Schools are counted, not listed: a list of them by what recurs would be one by achievement.
    for scope, subject in (
        found.select("phenomenon_scope", "subject").unique().sort(order, "subject").iter_rows()
    ):
        of = {"phenomenon_scope": scope, "is_phenomenon": True}
        if subject is not None:
            of["subject"] = subject
        about = words.label("subject", subject) if subject else ""
        name = words.label("phenomenon_scope", scope)
        rows.append(
            (
                f"{name}: {about}" if about else name,
                *(tally(shown, mart, direction=side, **of) for side in ("below", "above")),
            )
        )
    return asked(
        "מה חוזר שוב ושוב, ואינו מקרה?",
        [
            (
                "תופעות שנמצאו: ",
                tally(shown, mart, is_phenomenon=True),
                ", מתוך ",
                tally(shown, mart),
                " צירופים שנבדקו. תופעה: מה שחוזר כמעט בכל שנה או בכל בית ספר.",
            )
        ],
        "כמה תופעות נמצאו",
        ("מה חוזר", "מתחת", "מעל"),
        rows,
        chart=Chart("בכמה מקרים חוזר פער מתחת", (1,)),
        decided=("איזו תופעה מגדירה את הבעיה שנטפל בה.",),
        form=form_of("voice__wheel", *WHEEL),
        missing=_nothing_recurs(shown),
        notes=(
            "אירוע אחד אינו תופעה. תופעה היא מה שחוזר, והיא שמגדירה את הבעיה.",
            "בין דברים רבים שנבדקים יש שיחזרו במקרה; הסף נקבע כך שאלה יהיו מעטים.",
        ),
        annex="diagnosis",
    )


def _nothing_recurs(shown: Tables) -> tuple[Line, ...]:
    if shown["mart_phenomenon"].height:
        known = tally(shown, "mart_phenomenon")
        return (("צירופים שנבדקו, ולא נמצאה בהם תופעה שחוזרת: ", known, "."),)
    return absent(shown, "", "tests__pupil_scores", "tests__school_means")


def _said(shown: Tables) -> Page:
    mart = "mart_triangulation"
    kinds = ("agree", "contradict", "mixed", "silent")
    themes = [
        theme
        for theme in map(str, dictionary().fields["theme"].allowed)
        if shown[mart].filter(theme=theme).height
    ]
    return asked(
        "האם מה שאומרים בשטח תואם את הנתונים?",
        ["בכל נושא: בכמה בתי ספר דברי המשתתפים והמדד מסכימים, סותרים או שותקים."],
        "דברי המשתתפים מול המדדים, מספר בתי ספר",
        ("הנושא", *(words.label("triangulation_label", kind) for kind in kinds)),
        [
            (
                words.label("theme", theme),
                *(tally(shown, mart, theme=theme, triangulation_label=kind) for kind in kinds),
            )
            for theme in themes
        ],
        chart=Chart(
            "בכמה בתי ספר השטח והמדד מסכימים או סותרים",
            (1, 2, 3),
            "parts",
            ("2f6b3a", "9c2a00", "e0a526"),
        ),
        decided=("היכן לשאול שוב: סקר, ריאיון או קבוצת דיון.",),
        form=form_of("voice__excerpts", "semel_mosad", "theme", "sentiment", rows=2),
        missing=absent(shown, "excerpts", "voice__excerpts"),
        notes=(
            "לא רק נתונים קשים: סקרים, ראיונות וקבוצות דיון אומרים מה שהמבחן אינו מודד.",
            "סתירה אינה טעות של מישהו; היא סיבה לשאול שוב.",
        ),
        annex="diagnosis",
    )


def _causes(shown: Tables) -> Page:
    mart = "mart_cause"
    rows = shown[mart].sort(
        "data_place",
        "mean_contribution_sd",
        "people_rank",
        "cause_id",
        descending=[False, True, False, False],
        nulls_last=True,
    )
    return asked(
        "מה הולך יחד עם הפערים?",
        [
            "כמה מן הפער בין בתי הספר הולך יחד עם כל גורם, ומה חושבים המשתתפים. זה קשר בנתונים,"
            " ואין בו הוכחה שהגורם יוצר את הפער."
        ],
        "גורמים אפשריים",
        ("הגורם", "חלק ממוצע (חודשי למידה)", "לפי הנתונים", "לפי המשתתפים", "בידי הרשות"),
        [
            (
                row["cause_name_he"],
                number(mart, row, "mean_contribution_sd"),
                number(mart, row, "data_place", empty="–"),
                number(mart, row, "people_rank", empty="–"),
                words.flag("is_in_power", row["is_in_power"]),
            )
            for row in rows.to_dicts()
        ],
        chart=Chart("החלק הממוצע של כל גורם (חודשי למידה)", (1,)),
        decided=("אילו גורמים רלוונטיים כאן, ואילו מהם בידינו.",),
        form=form_of("voice__ladders", "role", "cause_id", "ladder_rung"),
        missing=absent(shown, "", "voice__ladders", "tests__pupil_scores"),
        notes=(
            "גורם שאין לו נתונים מוצג לפי שיקול דעת בלבד.",
            "אין פתרון קסם: לפער יש כמה גורמים בעת ובעונה אחת.",
            "גורם שלא נאמד אינו גורם שאינו קיים.",
        ),
        annex="diagnosis",
    )


def _channels(shown: Tables) -> Page:
    channels = map(str, dictionary().fields["action_channel"].allowed)
    money = shown["mart_work_plan"]
    rows: list[tuple[Line | Piece, ...]] = []
    for channel in channels:
        causes = shown["mart_cause"].filter(action_channel=channel)
        rows.append(
            (
                words.label("action_channel", channel),
                tally(shown, "mart_cause", action_channel=channel),
                tally(shown, "mart_response", action_channel=channel),
                tally(shown, "mart_work_plan", "cost_agorot", action_channel=channel)
                if money.height
                else "–",
                ", ".join(sorted(causes["cause_name_he"])) or "–",
            )
        )
    links = {
        link: tally(shown, "mart_chain", has_gap=True, chain_link=link)
        for link in map(str, dictionary().fields["chain_link"].allowed)
    }
    lead: list[Piece] = ["השרשרת פער–גורם–פעולה בבתי הספר שיש בהם פער: "]
    for link, told in links.items():
        lead += [f"{words.label('chain_link', link)} ", told, ", "]
    lead[-1] = "."
    has_chain = shown["mart_chain"].filter("has_gap").height
    return asked(
        "אילו ערוצי פעולה עומדים לרשותנו?",
        [tuple(lead)] if has_chain else [],
        "ארבעת ערוצי הפעולה",
        ("הערוץ", "גורמים", "מענים רשומים", "בתוכנית (₪)", "אילו גורמים"),
        rows,
        chart=Chart("כמה מענים רשומים בכל ערוץ", (2,)),
        decided=("באיזה ערוץ לפעול על כל גורם, ועם מי לאגם משאבים.",),
        form=form_of("voice__wheel", *WHEEL),
        notes=(
            "מרכיבים שלשות: פער, גורם אפשרי, פעולה אפשרית. שלשה שחסר בה חלק היא שאלה פתוחה.",
            "לא הכול בידי הרשות: בוחרים ערוצים שיש בהם ערך מוסף.",
            "association",
        ),
        annex="diagnosis",
    )


def _goals(shown: Tables) -> Page:
    mart = "mart_goal"
    goals = shown[mart]
    rows: list[tuple[Line | Piece, ...]] = [
        (
            name,
            tally(shown, mart, indicator_id=indicator),
            tally(shown, mart, indicator_id=indicator, is_draft=True),
            tally(shown, mart, indicator_id=indicator, is_below_detectable=True),
            tally(shown, mart, "semel_mosad", distinct=True, indicator_id=indicator)
            if goals.filter(indicator_id=indicator)["semel_mosad"].null_count() == 0
            else "כל העיר",
        )
        for indicator, name in goals.select("indicator_id", "indicator_name_he")
        .unique()
        .sort("indicator_name_he", "indicator_id")
        .iter_rows()
    ]
    return asked(
        "מהו היעד, ואיך נדע שהגענו אליו?",
        ["לכל יעד נקודת מוצא, יעד, מועד ואחראי. יעד קטן מכדי להיראות לא ייבדק במדידה הבאה."],
        "היעדים לפי מחוון",
        ("המחוון", "יעדים", "טיוטה", "קטנים מכדי להיראות", "בתי ספר"),
        rows,
        chart=Chart("כמה יעדים לכל מחוון", (1,)),
        decided=("אילו יעדים מאשרים, מי אחראי, ואיך נדע.",),
        form=form_of("act__goals", *GOAL),
        missing=absent(shown, "", "act__goals", "tests__pupil_scores"),
        notes=(
            "יעד טוב אומר ממה, אל מה, עד מתי, ואיך נדע. מה שלא ייראה במדידה – מגדילים או מחליפים.",
            "range",
        ),
        annex="plan",
        most=8,
    )


def _wheel(shown: Tables) -> Page:
    mart = "mart_wheel"
    levels = list(map(str, dictionary().fields["perspective_level"].allowed))
    held = {(row["stage_id"], row["perspective_level"]): row for row in shown[mart].to_dicts()}
    stages = [
        stage
        for stage in map(str, dictionary().fields["stage_id"].allowed)
        if any((stage, level) in held for level in levels)
    ]
    return asked(
        "היכן אנחנו בגלגל ההערכה לשם שיפור?",
        ["כמה תשובות נכתבו בכל שלב ורמה. תא של אפס הוא שאלה שאיש לא ענה עליה."],
        "התשובות לפי שלב ורמת חשיבה",
        (
            "השלב",
            "סך הכול",
            *(words.label("perspective_level", level) for level in levels),
        ),
        [
            (
                words.label("stage_id", stage),
                tally(shown, mart, "wheel_answers", stage_id=stage),
                *(
                    number(mart, held[stage, level], "wheel_answers")
                    if (stage, level) in held
                    else "–"
                    for level in levels
                ),
            )
            for stage in stages
        ],
        chart=Chart("כמה תשובות נכתבו בכל שלב", (1,)),
        decided=("לאיזה שלב לחזור: הגלגל ספירלי, ותמיד אפשר לחזור אחורה.",),
        form=form_of("voice__wheel", *WHEEL),
        missing=absent(shown, "wheel", "voice__wheel"),
        notes=("מתחילים מן התוצאה הרצויה, ולא מן המענה. מה שנכתב אינו מתפרסם, רק כמה נכתב.",),
        annex="decisions",
    )


def _work_plan(shown: Tables) -> Page:
    mart = "mart_work_plan"
    plan = shown[mart]

    def days(channel: str, column: str) -> Line:
        found = plan.filter(action_channel=channel)[column].drop_nulls().unique().sort().to_list()
        ends = found[:1] + found[1:][-1:]
        return said(UNTIL.join(words.day(day) for day in ends) or "–")

    rows = [
        (
            words.label("action_channel", channel),
            tally(shown, mart, action_channel=channel),
            tally(shown, mart, "cost_agorot", action_channel=channel),
            days(channel, "starts_on"),
            days(channel, "checked_by"),
            days(channel, "measured_by"),
        )
        for channel in map(str, dictionary().fields["action_channel"].allowed)
        if plan.filter(action_channel=channel).height
    ]
    return asked(
        "מה עושים, מתי בודקים ומתי מודדים?",
        [
            (
                "שורות בתוכנית העבודה: ",
                tally(shown, mart),
                ". לכל שורה אחראי, מועדים וכסף; הפירוט בנספח.",
            )
        ],
        "תוכנית העבודה לפי ערוץ פעולה",
        ("הערוץ", "שורות", "הכסף (₪)", "מתחילים", "בדיקת ביניים", "מדידה"),
        rows,
        chart=Chart("הכסף בתוכנית העבודה לפי ערוץ (₪)", (2,)),
        decided=("מנגנוני המעקב והבקרה: מי מדווח, ובאיזה מועד.",),
        form=form_of(
            "act__plan_status", "plan_row_ref", "status_on", "work_status", "participants_now"
        ),
        missing=(("אין עדיין תוכנית: לא נמצאה הקצאה שמקיימת את הכללים.",),),
        notes=("תוכנית פעולה בלי מעקב אינה תוכנית: קובעים עכשיו מתי נפגשים לבדוק.",),
        annex="plan",
    )
