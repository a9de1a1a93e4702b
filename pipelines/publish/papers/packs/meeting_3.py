"""The pack of the third meeting: cards, named topics, shares, the plan, and what people said
against it (R109).
"""

from __future__ import annotations

import polars as pl

from pipelines.publish import words
from pipelines.publish.pages.base import ReportContext, called, names_of
from pipelines.publish.pages.first import facts
from pipelines.publish.papers.content import Line, Piece, number
from pipelines.publish.papers.packs.content import (
    Chart,
    Pack,
    Page,
    Tables,
    absent,
    form_of,
    named,
    tally,
)
from pipelines.publish.papers.packs.frame import asked, pack
from pipelines.publish.papers.packs.meeting_1 import DECISION
from pipelines.settings.fields import dictionary

CARDS = ("role", "voice_mode", "card_category", "response_id", "new_response_he", "card_reason")
_ANSWERS = {
    "excellence_pct": "חלקה של המצוינות בכספי הרשות: ",
    "not_school_pct": "חלקם של מענים שרק הרשות יכולה לתת, בכספי הרשות: ",
}
FIRST_TOPICS = ("gifted", "special_education", "language")


def meeting_3(shown: Tables, context: ReportContext, release: str) -> Pack:
    """Return the pack of the third meeting.

    Args:
        shown: the committee's tables, after suppression.
        context: what pages say of the city.
        release: id of the release.
    """
    topics = tuple(map(str, dictionary().fields["topic_id"].allowed))
    others = tuple(topic for topic in topics if topic not in FIRST_TOPICS)
    pages = (
        _ladder(shown),
        _cards(shown),
        _topics(shown, FIRST_TOPICS),
        _topics(shown, others),
        _kept(shown),
        _considerations(shown),
        _shares(shown),
        _plan(shown),
        _against(shown),
    )
    return pack(3, "מענים חינוכיים לצמצום פערים", shown, context, release, pages)


def _ladder(shown: Tables) -> Page:
    mart = "mart_cause"
    rows = (
        shown[mart]
        .drop_nulls("people_rank")
        .sort("consensus_place", "people_rank", "cause_id", nulls_last=True)
    )
    split = rows.filter(pl.col("is_disagreement").fill_null(False)).height
    return asked(
        "מה משפיע יותר על הפערים: סולם ההישגים",
        [
            (
                "גורמים שהמשתתפים והנתונים חלוקים בהם: ",
                tally(shown, mart, is_disagreement=True),
                ".",
            )
            if split
            else "אין גורם שהמשתתפים והנתונים חלוקים בו, מאלה ששניהם יודעים עליהם."
        ],
        "הסולם שהמשתתפים בנו, המשפיע ביותר ראשון",
        ("הגורם", "מקום מוסכם", "המקום לפי המשתתפים", "הטווח", "המקום לפי הנתונים"),
        [
            (
                row["cause_name_he"],
                number(mart, row, "consensus_place", empty="–"),
                number(mart, row, "people_rank"),
                (
                    number(mart, row, "people_rank_lo", empty="–"),
                    " עד ",
                    number(mart, row, "people_rank_hi", empty="–"),
                ),
                number(mart, row, "data_place", empty="–"),
            )
            for row in rows.to_dicts()
        ],
        chart=Chart("המקום של כל גורם לפי המשתתפים", (2, 3), "ranges", is_of_places=True),
        decided=("האם הסדר משתנה, ועל אילו גורמים נבחר מענים.",),
        form=form_of("voice__ladders", "role", "cause_id", "ladder_rung"),
        missing=absent(shown, "", "voice__ladders"),
        notes=(
            "בכל שלב של הסולם גורם אחד; סדר ההשפעה הוא דעה של המשתתפים.",
            "המקום לפי הנתונים הוא לפי קשר בלבד, ורק בין גורמים שנמדדו.",
        ),
        annex="diagnosis",
    )


def _cards(shown: Tables) -> Page:
    mart, names, cards = "mart_card_agreement", names_of(shown), shown["mart_card"]

    def picked(category: str, flag: str) -> str:
        found = cards.filter(pl.col(flag).fill_null(False), card_category=category)
        return named(called(names, "response_id", one) for one in found["response_id"])

    rows = shown[mart].sort("card_quota", descending=True).to_dicts()
    return asked(
        "אילו מענים נכניס לתוכנית השנה הבאה?",
        ["המספרים הם מכסות של כרטיסים, ולא ציונים. בחירת הקבוצה יחד היא הקובעת."],
        "מה נבחר בכל קטגוריה",
        ("הקטגוריה", "המכסה", "הקבוצה יחד", "היחידים", "בשתיהן"),
        [
            (
                words.label("card_category", row["card_category"]),
                number(mart, row, "card_quota"),
                picked(row["card_category"], "is_joint_pick"),
                picked(row["card_category"], "is_single_pick"),
                number(mart, row, "both_picks", empty="–"),
            )
            for row in rows
        ],
        chart=Chart("כמה מענים נבחרו גם יחד וגם ביחידים", (4,)),
        decided=(
            "מענה אחד בכל כרטיס, עם נימוק: אי־אפשר בלעדיו, יעילותו הוכחה, ייחודי, לשנות, משמעותי.",
        ),
        form=form_of("voice__cards", *CARDS),
        missing=absent(shown, "cards", "voice__cards"),
        notes=(
            "הקבוצה בוחרת יחד בכל פעם כמה כרטיסים, ומנמקת.",
            "קטגוריית ”לשנות או לשקול לוותר“ היא שלילית: מי שנבחר בה אינו נבחר לטובה.",
        ),
        annex="responses",
    )


def _topics(shown: Tables, topics: tuple[str, ...]) -> Page:
    mart = "mart_topic_aspect"
    rows: list[tuple[Line | Piece, ...]] = []
    told: list[str] = []
    for topic in topics:
        whole = shown["mart_topic"].filter(topic_id=topic)
        name = words.label("topic_id", topic)
        for row in whole.to_dicts():
            told.append(f"{name}: {words.label('topic_coverage', row['topic_coverage'])}")
        sides = shown[mart].filter(topic_id=topic).sort("aspect_id")
        apart = sides.filter(pl.col("aspect_id") != "all") if sides.height > 1 else sides
        for row in apart.to_dicts():
            is_whole = row["aspect_id"] == "all"
            rows.append(
                (
                    name if is_whole else f"{name}: {row['aspect_name_he']}",
                    words.label("topic_coverage", row["topic_coverage"]),
                    number(mart, row, "schools_served", empty="–"),
                    number(mart, row, "participants", empty="–"),
                    row["responses_he"] or "אין מענה רשום",
                )
            )
    question = (
        "מחוננים ומצטיינים, חינוך מיוחד ושפה: מה יש ומה חסר?"
        if topics == FIRST_TOPICS
        else "אוריינות דיגיטלית ומיומנויות אחרות: מה יש ומה חסר?"
    )
    return asked(
        question,
        [", ".join(told) + "."] if told else [],
        "הנושאים שבשיחה, לפי היבט",
        ("הנושא וההיבט", "המצב", "בתי ספר", "משתתפים", "המענים"),
        rows,
        chart=Chart("בכמה בתי ספר יש מענה לכל היבט", (2,)),
        decided=("לכל היבט: לשמר, להוסיף או לוותר; היכן שאין מענה – האם להציע חדש.",),
        form=form_of("voice__cards", *CARDS),
        missing=absent(shown, "", "programmes__registry"),
        lacking=()
        if shown["mart_topic"]["is_measured"].any()
        else absent(shown, "participation", "programmes__participation"),
        notes=(
            "עוברים היבט היבט, גם היכן שאין שום מענה: שם השאלה היא אם יש צורך.",
            "מענה חדש כותבים בכרטיס בעמודה ”מענה חדש“; הוא נבחן כשיש לו מחיר ויעד.",
            "unknown",
        ),
        annex="responses",
        most=8,
    )


def _kept(shown: Tables) -> Page:
    mart, names = "mart_proposal", names_of(shown)
    kinds = list(map(str, dictionary().fields["proposal"].allowed))
    proposals = shown[mart].sort("response_id")
    services = {
        row["response_id"]: row
        for row in shown["mart_city_service"].drop_nulls("cost_agorot").to_dicts()
    }

    def money(response_id: str) -> Piece:
        if response_id in services:
            return number("mart_city_service", services[response_id], "cost_agorot")
        if shown["mart_allocation"].is_empty():
            return "–"
        return tally(shown, "mart_allocation", "cost_agorot", response_id=response_id)

    rank = pl.col("proposal").replace_strict(kinds[::-1], range(len(kinds)), return_dtype=pl.Int32)
    order = proposals.sort(rank, ~pl.col("needs_decision").fill_null(False), "response_id")
    found: list[Piece] = []
    for kind in kinds:
        found += [f"{words.label('proposal', kind)}: ", tally(shown, mart, proposal=kind), ", "]
    return asked(
        "מה לשמר ועל מה לוותר?",
        [("הצעות לפי הראיות והצורך: ", *found[:-1], ".")] if proposals.height else [],
        "ההצעה, ההחלטה והכסף",
        ("המענה", "ההצעה", "הראיות", "מה הוחלט", "בתוכנית (₪)"),
        [
            (
                called(names, "response_id", row["response_id"]),
                words.label("proposal", row["proposal"]),
                words.label("verdict", row["verdict"]),
                words.label("decision", row["decision"]) or "טרם הוחלט",
                money(row["response_id"]),
            )
            for row in order.to_dicts()
        ],
        chart=Chart("הכסף בתוכנית לכל מענה (₪)", (4,)),
        decided=("לכל מענה: לשמר, לשנות, לוותר או להעריך. ההצעה אינה החלטה.",),
        form=form_of("aim__decisions", "response_id", "decision", "decision_reason"),
        missing=absent(shown, "", "programmes__registry", "finance__budget_lines"),
        notes=(
            "הצעה נשארת הצעה עד שמחליטים. החלטה נרשמת עם נימוק, תפקיד ויום.",
            "להעריך פירושו לבדוק במסודר לפני שמרחיבים.",
        ),
        annex="responses",
    )


def _considerations(shown: Tables) -> Page:
    mart = "mart_consideration"
    rows = shown[mart].sort(
        "weight_points",
        "consideration",
        "worded_he",
        descending=[True, False, False],
        nulls_last=True,
    )
    return asked(
        "אילו שיקולים ינחו אותנו?",
        ["המשקל הוא מה שהקבוצות נתנו, מתוך מאה. שיקול בלי משקל נאמר, ולא נשקל."],
        "השיקולים המנחים",
        ("השיקול", "בלשון המשתתפים", "המשקל", "הזכירו אותו"),
        [
            (
                words.label("consideration", row["consideration"]),
                row["consideration_he"] or "–",
                number(mart, row, "weight_points", empty="לא נשקל"),
                number(mart, row, "holding_people", empty="–"),
            )
            for row in rows.to_dicts()
        ],
        chart=Chart("המשקל שנתנו הקבוצות לכל שיקול", (2,)),
        decided=("אילו שיקולים מנחים, ומה משקלו של כל אחד.",),
        form=form_of(
            "voice__considerations",
            "role",
            "consideration",
            "consideration_he",
            "consideration_weight",
        ),
        missing=absent(shown, "considerations", "voice__considerations"),
        notes=(
            "איגום משאבים, העדפה מתקנת, טווח קצר מול ארוך, אימפקט רשותי והתאמה לתפיסה.",
            "שיקול שהנתונים אינם יכולים לתת לו ציון – נותנים בטופס ציוני המענים.",
        ),
        annex="responses",
    )


def _shares(shown: Tables) -> Page:
    mart = "mart_allocation_channel"
    answers = {row["answer_id"]: row for row in shown["mart_allocation_answer"].to_dicts()}
    rows = shown[mart].sort("allocated_agorot", "funding_channel", descending=[True, False])
    told: list[Line] = []
    for name, text in _ANSWERS.items():
        if name in answers:
            share = number("mart_allocation_answer", answers[name], "answer_value", "percent")
            told.append((text, share, "."))
    own = [row for row in rows.to_dicts() if row["allocated_agorot"]]
    return asked(
        "איך מתחלק הכסף: רשות, בתי ספר, מצוינות?",
        told,
        "ערוצי המימון, בשקלים",
        ("הערוץ", "התקציב", "מוקצה", "נותר"),
        [
            (
                words.label("funding_channel", row["funding_channel"]),
                number(mart, row, "budget_agorot", empty="ללא תקרה"),
                number(mart, row, "allocated_agorot"),
                number(mart, row, "left_agorot", empty="–"),
            )
            for row in own
        ],
        chart=Chart("הכסף שמוקצה בכל ערוץ (₪)", (2,)),
        decided=(
            "איזה חלק מן התקציב למצוינות, ומה משלם בית הספר.",
            "מה הערך המוסף של כספי הרשות.",
        ),
        form=form_of("decide__log", *DECISION),
        missing=(("אין עדיין תוכנית: לא נמצאה הקצאה שמקיימת את הכללים.",),),
        notes=(
            *(
                f"{words.label('funding_channel', row['funding_channel'])}: {row['left_reason_he']}"
                for row in own
                if row["left_reason_he"]
            ),
            "שמונה שאלות התקציב נענות בדף השאלות של המהדורה, משפט ומספר לכל אחת.",
            "החלטה על חלק נרשמת ביומן ונכנסת לחישוב הבא; המחיר שלה מוצג.",
        ),
        annex="allocation",
    )


def _plan(shown: Tables) -> Page:
    mart, told = "mart_audit_group", "mart_allocation_certificate"
    rows = facts.tiers(shown)
    certificate = shown[told].to_dicts()
    lead: list[Line] = []
    for row in certificate:
        lead.append(
            (
                "התוכנית עולה ",
                number(told, row, "cost_agorot"),
                " ₪, מהם ",
                number(told, row, "municipal_agorot"),
                " ₪ מתקציב הרשות, ב־",
                number(told, row, "schools"),
                " בתי ספר.",
            )
        )
    return asked(
        "מי מקבל יותר, ולמה?",
        lead,
        "הכסף לפי דרגת הצורך, מן הגבוהה",
        ("דרגת הצורך", "בתי ספר", "תלמידים", "סך הכול (₪)", "לתלמיד (₪)", "מן הכסף"),
        [
            (
                words.label("need_tier", row["audit_group"]),
                number(mart, row, "schools"),
                number(mart, row, "pupils"),
                number(mart, row, "amount_agorot"),
                number(mart, row, "per_pupil_agorot"),
                number(mart, row, "money_share_pct"),
            )
            for row in rows
        ],
        chart=Chart("כמה מקבל תלמיד בכל דרגת צורך, בשקלים", (4,)),
        decided=("האם זו העדפה מתקנת במידה שאנו רוצים.", "אילו החלטות לקבל ביד, ומה מחירן."),
        form=form_of("decide__log", *DECISION),
        missing=absent(shown, "", "tests__pupil_scores", "register__schools"),
        notes=(
            "למה כל בית ספר ומענה – בדף של בית הספר; מי קיבל במקומו ומה היה משנה.",
            "מה שיוחלט נשמר כפי שהוא, עם המהדורה שעליה הוא נסמך.",
        ),
        annex="allocation",
    )


def _against(shown: Tables) -> Page:
    mart = "mart_need_reply"
    conflicts = shown["mart_voice_conflict"].sort("voice_conflict", "response_id")
    replies = shown[mart].sort("form_people", "need_id", descending=[True, False], nulls_last=True)
    lead: list[Line | str] = [
        *(row["voice_conflict_he"] for row in conflicts.head(2).to_dicts()),
        *(
            [
                (
                    "מקומות שבהם התוכנית שונה ממה שאנשים אמרו: ",
                    tally(shown, "mart_voice_conflict"),
                    ". הפירוט במסמך המדיניות.",
                )
            ]
            if conflicts.height > 2
            else []
        ),
    ]
    if shown["mart_voice_plan"].height and not conflicts.height:
        lead = ["לא נמצא מקום שבו התוכנית סותרת מה שאנשים אמרו."]
    return asked(
        "מה אמרו אנשים נגד, ומה התוכנית עושה בזה?",
        lead,
        "צרכים שהורים, תלמידים ונציגים ציינו, ומה התוכנית עושה בהם",
        ("הצורך", "ציינו", "מתוך", "המענים בתוכנית", "מוקצה (₪)"),
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
        chart=Chart("כמה ציינו כל צורך", (1,)),
        decided=("היכן משנים את התוכנית, והיכן מסבירים למה לא.",),
        form=form_of("decide__log", *DECISION),
        missing=absent(shown, "forms", "voice__forms"),
        notes=(
            "מי שביקש וקיבל ”לא“ זכאי לתשובה: הנימוק נרשם ביומן ההחלטות.",
            "קולות נספרים, ואינם נשקלים.",
        ),
        annex="decisions",
        most=6,
    )
