"""The pack of the first meeting: state, criteria, map, ratings, and what to focus on (R109)."""

from __future__ import annotations

import polars as pl

from models.keys import WHOLE
from pipelines.publish import words
from pipelines.publish.pages.base import ReportContext, called, first_row, names_of
from pipelines.publish.papers.content import Line, Piece, number
from pipelines.publish.papers.packs.content import (
    GREEN,
    RED,
    YELLOW,
    Chart,
    Pack,
    Page,
    Tables,
    absent,
    form_of,
    interval,
    named,
    tally,
)
from pipelines.publish.papers.packs.frame import asked, pack
from pipelines.settings.fields import dictionary
from pipelines.settings.keys import CITY

MONTHS = "המרחק מהיעד (חודשי למידה)"
RANGE = "הטווח"
SOME = 4  # schools that are named where there is a row a need
DECISION = ("decision_object", "decision_value", "decision_reason", "decided_by_role", "votes_for")


def meeting_1(shown: Tables, context: ReportContext, release: str) -> Pack:
    """Return the pack of the first meeting.

    Args:
        shown: the committee's tables, after suppression.
        context: what pages say of the city.
        release: id of the release.
    """
    pages = (
        _state(shown),
        _places(shown),
        _need(shown),
        _criteria(shown),
        _map(shown),
        _unmet(shown),
        _ratings(shown),
        _alignment(shown),
        _focus(shown),
    )
    name = "אילו הישגים נרצה לקדם וכיצד?"
    return pack(1, name, shown, context, release, pages)


def _state(shown: Tables) -> Page:
    mart = "mart_gap_city"
    rows = shown[mart].drop_nulls("gap_sd").sort(pl.col("subject") != WHOLE, "subject")
    whole = first_row(rows.filter(subject=WHOLE))
    pattern = first_row(shown["mart_subject_pattern"].filter(place=CITY))
    answer = [
        *([f"כל הרשות או חלקה: {words.label('pattern', whole['pattern'])}."] if whole else []),
        *(
            [f"כללי או במקצוע אחד: {words.label('subject_pattern', pattern['subject_pattern'])}."]
            if pattern
            else []
        ),
    ]
    return asked(
        "מה מצב ההישגים: ברשות כולה או בחלקה?",
        answer,
        "העיר לפי מקצוע, בשנות החלון",
        ("המקצוע", MONTHS, RANGE, "מתחת ליעד בוודאות (בתי ספר)", "מתוך", "התמונה"),
        [
            (
                words.label("subject", row["subject"]),
                number(mart, row, "gap_sd"),
                interval(mart, row, "gap_sd"),
                number(mart, row, "schools_surely_below"),
                number(mart, row, "schools_measured"),
                words.label("pattern", row["pattern"]),
            )
            for row in rows.to_dicts()
        ],
        chart=Chart("המרחק מהיעד לפי מקצוע: מינוס – מתחת ליעד", (1, 2), "ranges"),
        decided=("אילו הישגים, ובאילו תחומים, נבחן במפגשים הבאים.",),
        form=form_of("decide__log", *DECISION),
        missing=absent(shown, "", "tests__pupil_scores", "tests__school_means"),
        notes=(
            "קוראים מימין לשמאל: המקצוע, המרחק מהיעד, וכמה בטוח. היעד הוא זה שהאגף קבע.",
            "range",
        ),
        annex="diagnosis",
    )


def _places(shown: Tables) -> Page:
    mart = "mart_gap_area"
    rows = (
        shown[mart]
        .filter(area_kind="nurture_band", subject=WHOLE)
        .drop_nulls("gap_sd")
        .sort("area", descending=True)
    )
    return asked(
        "היכן בעיר ההישגים רחוקים מהיעד?",
        ["מדד טיפוח גבוה פירושו רקע חלש יותר. בתי הספר אינם מסודרים לפי הישג."],
        "כל המקצועות, לפי רצועה של מדד הטיפוח",
        ("מדד הטיפוח", MONTHS, RANGE, "בתי ספר שנמדדו", "המצב"),
        [
            (
                row["area"].replace("_", "–"),
                number(mart, row, "gap_sd"),
                interval(mart, row, "gap_sd"),
                number(mart, row, "schools_measured"),
                words.label("gap_tier", row["gap_tier"]),
            )
            for row in rows.to_dicts()
        ],
        chart=Chart("המרחק מהיעד לפי רצועה של מדד הטיפוח", (1, 2), "ranges"),
        decided=("האם להתמקד ברצועות שבהן המרחק גדול, או בכל הרשות.",),
        form=form_of("decide__log", *DECISION),
        missing=absent(shown, "", "register__school_background"),
        notes=(
            "הרצועות הן של רקע, לא של איכות בתי הספר. בית ספר חזק יכול להיות בכל רצועה.",
            "range",
            "association",
        ),
        annex="diagnosis",
    )


def _need(shown: Tables) -> Page:
    mart = "mart_need_index"
    schools = shown[mart].drop_nulls("need_tier")
    rows: list[tuple[Line | Piece, ...]] = []
    for tier in map(str, dictionary().fields["need_tier"].allowed):
        own = schools.filter(need_tier=tier)
        if own.height:
            rows.append(
                (
                    words.label("need_tier", tier),
                    tally(shown, mart, need_tier=tier),
                    tally(shown, mart, "pupils", need_tier=tier),
                    named(own["school_name_he"].drop_nulls()),
                )
            )
    return asked(
        "באילו בתי ספר הצורך גדול?",
        ["מדד הצורך מחבר תוצאות ורקע במשקלות שבמדיניות. בתוך מדרג הסדר הוא לפי האלף־בית."],
        "בתי הספר לפי מדרג הצורך",
        ("המדרג", "בתי ספר", "תלמידים", "אילו"),
        rows,
        chart=Chart("כמה בתי ספר בכל מדרג", (1,)),
        decided=("האם המדרג תואם את מה שאתם מכירים; מה חסר במדד.",),
        form=form_of("act__tickets", "semel_mosad", "ticket_kind", "value_said", "ticket_reason"),
        missing=absent(shown, "", "tests__pupil_scores", "tests__school_means"),
        notes=(
            "המדרג אומר עד כמה בית ספר זקוק לתמיכה, לא עד כמה הוא טוב.",
            "מי שמזהה טעות בנתון של בית ספר כותב פנייה; הנתון מתוקן במקור.",
        ),
        annex="report",
    )


def _criteria(shown: Tables) -> Page:
    mart = "mart_criterion"
    current = shown[mart].filter("is_current_version")
    faults = shown["mart_criterion_lint"]
    unfair = shown["mart_criterion_fairness"].filter(pl.col("is_unfair").fill_null(False))
    fields = {row["criterion_id"]: row["criteria_field"] for row in current.to_dicts()}
    rows = [
        (
            words.label("criteria_field", field),
            tally(
                shown,
                mart,
                criteria_field=field,
                criterion_scope="authority",
                is_current_version=True,
            ),
            tally(
                shown,
                mart,
                "semel_mosad",
                distinct=True,
                criteria_field=field,
                criterion_scope="school",
                is_current_version=True,
            ),
            tally(shown, "mart_criterion_lint", criteria_field=field),
            _unfair_groups(shown, {i for i, of in fields.items() if of == field}),
        )
        for field in map(str, dictionary().fields["criteria_field"].allowed)
        if current.filter(criteria_field=field).height or faults.filter(criteria_field=field).height
    ]
    told = (
        "נמצאו קבוצות שמאותרות פחות מתלמידים בעלי הישג דומה."
        if unfair.height
        else "לא נמצאה קבוצה שמאותרת פחות מתלמידים בעלי הישג דומה."
        if shown["mart_criterion_fairness"].height
        else "לא ידוע מי אותר לפי כל קריטריון, ולכן ההוגנות לא נבדקה."
    )
    return asked(
        "לפי מה מאתרים תלמידים, והאם זה מדיד והוגן?",
        [told],
        "קריטריונים בתוקף לפי תחום",
        ("התחום", "רשומים של הרשות", "בתי ספר עם קריטריון רשום", "ליקויים בניסוח", "מאותרים פחות"),
        rows,
        chart=Chart("כמה ליקויים בניסוח בכל תחום (ספציפי, מדיד, באחריות)", (3,)),
        decided=("אילו קריטריונים לשנות או להוסיף.", "האם הם מעודדים את ההישגים שחשובים לנו."),
        form=form_of(
            "aim__criteria",
            "criterion_name_he",
            "criteria_field",
            "identification_method",
            "threshold",
            "criterion_owner",
        ),
        missing=absent(shown, "identification", "aim__criteria"),
        notes=(
            "ליקוי בניסוח: קריטריון בלי מדד, בלי סף, בלי אחראי או שאינו של השנה.",
            "association",
        ),
        annex="criteria",
    )


def _unfair_groups(shown: Tables, criteria: set[str]) -> str:
    found = shown["mart_criterion_fairness"].filter(
        pl.col("is_unfair").fill_null(False), pl.col("criterion_id").is_in(list(criteria))
    )
    known = shown["mart_criterion_fairness"].filter(pl.col("criterion_id").is_in(list(criteria)))
    if known.is_empty():
        return "לא נבדק"
    names = names_of(shown)
    return named({called(names, "group_id", group) for group in found["group_id"]})


def _map(shown: Tables) -> Page:
    mart = "mart_response"
    responses, groups = shown[mart], "mart_response_group"
    is_known = bool(shown[groups]["is_measured"].any())
    rows: list[tuple[Line | Piece, ...]] = []
    for kind in map(str, dictionary().fields["response_class"].allowed):
        own = responses.filter(response_class=kind)
        all_pupils = {"response_class": kind, "group_id": WHOLE}
        rows.append(
            (
                words.label("response_class", kind),
                tally(shown, mart, response_class=kind),
                tally(
                    shown,
                    groups,
                    "response_id",
                    distinct=True,
                    above_zero="participants",
                    **all_pupils,
                )
                if is_known
                else "לא נמדד",
                tally(
                    shown,
                    groups,
                    "semel_mosad",
                    distinct=True,
                    above_zero="participants",
                    **all_pupils,
                )
                if is_known
                else "לא נמדד",
                named(own["response_name_he"].drop_nulls()),
            )
        )
    return asked(
        "אילו מענים יש לנו היום, ולמי?",
        ["חמש הקבוצות הן של הכלי למיפוי מענים. מענה אחד שייך לקבוצה אחת."],
        "מפת המענים",
        ("הקבוצה", "מענים רשומים", "פועלים", "בבתי ספר", "אילו"),
        rows if responses.height else [],
        chart=Chart("כמה מענים רשומים בכל קבוצה", (1,)),
        decided=("אילו מענים חסרים במפה, ואילו כבר אינם פועלים.",),
        form=form_of(
            "programmes__registry", "response_name_he", "target_group", "goal_id", "action_channel"
        ),
        missing=absent(shown, "", "programmes__registry"),
        lacking=() if is_known else absent(shown, "participation", "programmes__participation"),
        notes=("עוברים על כל קבוצה ושואלים: מה חסר כאן, ומה כבר אינו פועל?", "unknown"),
        annex="responses",
    )


def _unmet(shown: Tables) -> Page:
    mart = "mart_unmet_need"
    measured = shown[mart].filter("is_measured")
    order = measured.group_by("need_id", "need_name_he").agg(pl.col("unmet_order").min())
    names = names_of(shown)
    rows: list[tuple[Line | Piece, ...]] = []
    for need in order.sort("unmet_order", "need_id", nulls_last=True).to_dicts():
        own = measured.filter(need_id=need["need_id"])
        none = own.filter(need_coverage="no_response")
        rows.append(
            (
                need["need_name_he"],
                tally(
                    shown,
                    mart,
                    need_id=need["need_id"],
                    need_coverage="no_response",
                    is_measured=True,
                ),
                tally(
                    shown,
                    mart,
                    need_id=need["need_id"],
                    need_coverage="below_need",
                    is_measured=True,
                ),
                named(
                    (called(names, "semel_mosad", code) for code in none["semel_mosad"].unique()),
                    SOME,
                ),
            )
        )
    return asked(
        "אילו צרכים אינם נענים?",
        ["צורך שאינו נענה: בית ספר שיש בו צורך, ואין בו מענה או שהמענה קטן ממנו."],
        "צרכים לפי מה שעולה מן הנתונים, הגדול ראשון",
        ("הצורך", "בתי ספר בלי מענה", "בתי ספר עם מענה קטן", "היכן אין מענה, למשל"),
        rows,
        chart=Chart("בכמה בתי ספר אין מענה לצורך", (1,)),
        decided=("אילו צרכים לקחת למפגש השלישי, גם אם אין להם היום מענה.",),
        form=form_of("voice__forms", "role", "need_id", "need_priority", "comment_he"),
        missing=absent(shown, "participation", "programmes__participation", "tests__pupil_scores"),
        notes=("זו רשימה של צרכים, לא דירוג של בתי ספר.", "unknown"),
        annex="responses",
        most=7,
    )


def _ratings(shown: Tables) -> Page:
    mart = "mart_rating"
    names = names_of(shown)
    first = ("differently", "cannot_tell", "alike")
    rows = shown[mart].sort(
        pl.col("rated").replace_strict(first, range(3), return_dtype=pl.Int32),
        "disagreement",
        "response_id",
        descending=[False, True, False],
        nulls_last=True,
    )
    split = shown[mart].filter(rated="differently").height
    return asked(
        "עד כמה המענים יעילים בעיניכם?",
        [
            (
                "יעילות נבחנת לפי היעד שלשמו נבחר המענה. מענים שדורגו באופן שונה: ",
                tally(shown, mart, rated="differently"),
                ", מתוך ",
                tally(shown, mart),
                ".",
            )
        ]
        if rows.height
        else [],
        "הדירוגים, מי שדורגו באופן שונה ראשונים" if split else "הדירוגים",
        ("המענה", "אדום: לא יעיל", "צהוב: יעיל במידה סבירה", "ירוק: יעיל מאוד", "האם הסכימו"),
        [
            (
                called(names, "response_id", row["response_id"]),
                *(number(mart, row, f"{tone}_raters") for tone in ("red", "yellow", "green")),
                words.label("rated", row["rated"]),
            )
            for row in rows.to_dicts()
        ],
        chart=Chart("כמה דירגו כל מענה בכל צבע", (1, 2, 3), "parts", (RED, YELLOW, GREEN)),
        decided=(
            "אילו מענים דירגנו אחרת, ולמה; איך בדקנו יעילות הלכה למעשה.",
            "האם הסתמכנו על משוב מן השטח.",
        ),
        form=form_of("voice__ratings", "role", "response_id", "rating", "rating_evidence"),
        missing=absent(shown, "ratings", "voice__ratings"),
        notes=(
            "הדירוג הוא דעה של מי שדירגו. מה שהנתונים אומרים על השפעה מוצג בנפרד.",
            "לא מספרים מי דירג מה: תפקיד שדירגו בו מעטים אינו מוצג לבדו.",
        ),
        annex="responses",
    )


def _alignment(shown: Tables) -> Page:
    mart, names = "mart_alignment", names_of(shown)
    rows = shown[mart].filter(money_kind="municipal").sort("alignment_place", nulls_last=True)
    money = {
        row["response_id"]: row
        for row in shown["mart_response_money"].to_dicts()
        if row["gefen_plan_agorot"] is not None
    }
    flagged = tally(shown, mart, money_kind="municipal", is_flagged=True)
    return asked(
        "האם הכסף הולך לאן שיש השפעה?",
        [("כסף רב בלי השפעה שנמצאה, לבדיקה ראשונה: ", flagged, " מענים.")] if rows.height else [],
        "כספי הרשות במענים, הדורשים בדיקה ראשונים",
        ("המענה", "כספי הרשות (₪)", 'מגפ"ן (₪)', "בנפרד (₪)", "הכסף והראיות"),
        [
            (
                called(names, "response_id", row["response_id"]),
                number(mart, row, "amount_agorot"),
                *(
                    number("mart_response_money", money[row["response_id"]], column)
                    if row["response_id"] in money
                    else "–"
                    for column in ("gefen_plan_agorot", "separate_plan_agorot")
                ),
                words.label("quadrant", row["quadrant"]),
            )
            for row in rows.to_dicts()
        ],
        chart=Chart("כספי הרשות לכל מענה (₪)", (1,)),
        decided=("אילו מענים שיש בהם כסף רב לבחון מחדש.",),
        form=form_of("aim__decisions", "response_id", "decision", "decision_reason"),
        missing=absent(shown, "budget_lines", "finance__budget_lines"),
        notes=(
            'פותחים את התיק הרשותי ומבחינים בין מה שממומן מגפ"ן ובין מה שמתוקצב בנפרד.',
            "אין די ראיות אינו ”לא יעיל“: זה מה שעוד לא יודעים.",
            "association",
        ),
        annex="responses",
    )


def _focus(shown: Tables) -> Page:
    mart = "mart_focus"
    rows = shown[mart].sort("weight_pct", "indicator_id", descending=[True, False])
    chosen = rows.filter(pl.col("is_focus").fill_null(False))["indicator_name_he"].to_list()
    told = (
        f"המוקד שהוחלט עליו: {named(chosen)}."
        if chosen
        else "עוד לא הוחלט על מוקד: כל מחוון שוקל כפי שבמדיניות."
    )
    return asked(
        "במה נתמקד השנה?",
        [told],
        "מחווני הצורך ומשקלם",
        ("המחוון", "המשקל במדיניות", "המשקל היום", "במוקד"),
        [
            (
                row["indicator_name_he"],
                number(mart, row, "declared_weight_pct"),
                number(mart, row, "weight_pct"),
                words.flag("is_focus", row["is_focus"]),
            )
            for row in rows.to_dicts()
        ],
        chart=Chart("המשקל של כל מחוון היום", (2,)),
        decided=("אילו הישגים ותחומים יהיו במוקד השנה, ומדוע.",),
        form=form_of("decide__log", *DECISION),
        missing=absent(shown, "", "tests__pupil_scores", "tests__school_means"),
        notes=(
            "החלטה על מוקד משנה את המשקלות של מדד הצורך, ודרכן את הטיוטה הבאה של התוכנית.",
            "רושמים את ההחלטה ביומן ההחלטות, עם נימוק ותפקיד.",
        ),
        annex="decisions",
        most=10,
    )
