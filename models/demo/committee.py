"""What the committee chooses and says: cards, considerations, the wheel, ladders of causes.

Cards are nominations with quotas 5/4/3/2/1 and a reason each; they are no scores. A ladder orders
causes of gaps by their influence, the strongest on rung 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from models.demo import spec
from models.demo.streams import Streams

# Cards a member chooses: each rated response once, so fewer than the quotas 5/4/3/2/1 allow.
CHOSEN = {"indispensable": 3, "proven": 3, "unique": 2, "change_or_drop": 2, "significant": 1}
_REASONS = {
    "indispensable": "בלעדיו ייפגעו תלמידים רבים",
    "proven": "ראינו שיפור לאורך זמן",
    "unique": "אין לו תחליף ברשות",
    "change_or_drop": "ההיענות נמוכה ביחס לעלות",
    "significant": "ההשפעה הצפויה רחבה",
}
_ALL_TOGETHER = "הוועדה יחד"
_CONSIDERATIONS = (  # with the weight the group gives
    ("corrective_preference", "קודם למי שצריך יותר", 30),
    ("pooling", "מה שאפשר לחלוק בין בתי ספר", 15),
    ("long_term", "מה שיישאר גם בעוד שלוש שנים", 15),
    ("municipal_impact", "מה שמשנה לעיר כולה", 20),
    ("conception_fit", "מה שמתאים לתפיסה שלנו", 10),
    ("other", "רצף בין הגן לבית הספר", 10),
)
_PROBLEMS = ("קושי בקריאה בכיתות הנמוכות", "היעדרות מתמשכת", "מעט ילדים בחוגים אחר הצהריים")
_WHEEL_ANSWERS = {
    "events": "רואים זאת בכיתה כמה פעמים בשבוע",
    "patterns": "זה חוזר בכל תחילת שנה",
    "structures": "אין מי שאחראי לכך בין בית הספר לרשות",
    "mental_models": "מתרגלים לחשוב שאין מה לעשות",
    "vision": "כל ילד מקבל מענה בזמן",
}
# Causes of the achievement ladder, the first the most influential in the eyes of most members.
CAUSES = (
    "ses",
    "home_internet",
    "absence",
    "immigrant_language",
    "teacher_turnover",
    "climate",
    "late_start",
    "class_size",
)

# What was decided already when the plan is made; the other responses still wait for a decision.
_DECISIONS = (
    (
        0,
        "milat",
        "keep",
        "השעות הנוספות הן עוגן בבתי הספר במדד הטיפוח הגבוה; לבדוק שוב בשנה הבאה",
        "budget_committee",
        (6, 18),
    ),
    (
        0,
        "posh",
        "evaluate",
        "להגריל את המקומות בשנה הבאה ולמדוד לפני החלטה על הרחבה",
        "department_head",
        (6, 11),
    ),
    (
        0,
        "makom_balev",
        "keep",
        "המענה אהוד וזול; יישקל שוב לאחר הערכה",
        "budget_committee",
        (6, 18),
    ),
    (
        -1,
        "tikshuv",
        "change",
        "להעביר חלק מהציוד לבתי ספר שבהם אין חיבור בבית",
        "city_council",
        (7, 2),
    ),
    (-1, "rvadim", "keep", "שנה שנייה למענה; מוקדם להחליט", "budget_committee", (6, 20)),
)


def member_name(number: int) -> str:
    """Return the name a member signs with; the reader hashes it."""
    return f"משתתף {number + 1:02d}"


@dataclass(frozen=True)
class Table:
    """Who sits at the table of meeting 3, and what is planted of what they say.

    Attributes:
        members: name, role and group of pupils spoken for (empty but for representatives of one).
        liking: response → how it is liked; what is planted stands far from the rest.
        planted: response → the category in which most put it.
        new_response: one that is not in the registry; empty where nobody names one.
        missing: family of roles, or group of pupils, that did not come; empty where all did.
    """

    members: tuple[tuple[str, str, str], ...]
    liking: dict[str, float]
    planted: dict[str, str]
    new_response: str
    missing: str

    def truth(self) -> dict[str, pl.DataFrame]:
        """Return what is planted: `true_card`, `true_new_response`, `true_missing_voice`."""
        said = sorted(self.planted.items())
        return {
            "true_card": pl.DataFrame(said, schema=["response_id", "card_category"], orient="row"),
            "true_new_response": pl.DataFrame(
                {"new_response_he": [self.new_response] if self.new_response else []},
                schema={"new_response_he": pl.String},
            ),
            "true_missing_voice": pl.DataFrame(
                {"missing": [self.missing] if self.missing else []}, schema={"missing": pl.String}
            ),
        }


def the_table(streams: Streams) -> Table:
    """Return who sits at the table of meeting 3, and what they like."""
    rng = streams("round_table")
    missing = spec.MISSING_VOICES[rng.integers(len(spec.MISSING_VOICES))]
    absent_roles = spec.ROLES_OF_MISSING.get(missing, ())
    seated = [*((role, "") for role in spec.ROLES), *spec.REPRESENTATIVES]
    members = tuple(
        (member_name(number), role, group)
        for number, (role, group) in enumerate(seated)
        if role not in absent_roles and (not group or group != missing)
    )
    others = [name for name in spec.RATED if name not in spec.PLANTED_CARDS]
    drawn = rng.permutation(others).tolist()
    planted = {
        **spec.PLANTED_CARDS,
        **dict.fromkeys(drawn[:3], "indispensable"),
        drawn[3]: "change_or_drop",
    }
    liking = {
        name: spec.CARD_LIKING.get(planted.get(name, ""), 0.0) + rng.normal(0, spec.CARD_LIKING_SD)
        for name in spec.RATED
    }
    names_one = rng.random() < spec.NEW_RESPONSE_SHARE
    new_response = spec.NEW_RESPONSES[rng.integers(len(spec.NEW_RESPONSES))] if names_one else ""
    return Table(members, liking, planted, new_response, missing)


def cards_file(table: Table, planning_year: int, streams: Streams) -> pl.DataFrame:
    """Return the nominations of meeting 3 (contract of `voice__cards`).

    What is liked goes to the front, what is not is to be changed or dropped. The group picks
    together by what its members feel on the mean; a new response is named by the group and some.
    """
    rng = streams("cards")
    felt = {
        name: {response: value + rng.normal(0, 0.7) for response, value in table.liking.items()}
        for name, _, _ in table.members
    }
    together = {
        response: float(np.mean([own[response] for own in felt.values()]))
        for response in table.liking
    }
    who = [(name, role, group, "single", felt[name]) for name, role, group in table.members]
    who.append((_ALL_TOGETHER, "", "", "group", together))
    rows = []
    for name, role, group, mode, feeling in who:
        order = sorted(feeling, key=feeling.__getitem__, reverse=True)
        start = 0
        for category, number in CHOSEN.items():
            is_to_change = category == "change_or_drop"
            chosen = order[-number:] if is_to_change else order[start : start + number]
            start += 0 if is_to_change else number
            rows += [(name, role, group, mode, category, response, "") for response in chosen]
        if table.new_response and (mode == "group" or rng.random() < 0.3):
            rows.append((name, role, group, mode, "unique", "", table.new_response))
    names = ["participant", "role", "group_id", "voice_mode", "card_category"]
    names += ["response_id", "new_response_he"]
    frame = _said(rows, names, planning_year, date(planning_year - 1, 6, 9))
    return frame.with_columns(
        meeting_number=pl.lit(3),
        card_reason=pl.col("card_category").replace_strict(_REASONS, return_dtype=pl.String),
    )


def _said(rows: list[tuple], names: list[str], planning_year: int, day: date) -> pl.DataFrame:
    """Return what was said on a day of a cycle; an empty text is no value."""
    frame = pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)
    texts = pl.col(pl.String)
    return frame.with_columns(
        pl.when(texts != "").then(texts).name.keep(),
        planning_year=pl.lit(planning_year),
        said_on=pl.lit(day),
    )


def considerations_file(table: Table, planning_year: int) -> pl.DataFrame:
    """Return the guiding considerations, the group's with weights (`voice__considerations`)."""
    together = [
        (_ALL_TOGETHER, "", "group", consideration, words, weight)
        for consideration, words, weight in _CONSIDERATIONS
    ]
    alone = [
        (name, role, "single", _CONSIDERATIONS[(number + step) % 4][0], "", None)
        for number, (name, role, _) in enumerate(table.members)
        for step in (0, 1)
    ]
    names = ["participant", "role", "voice_mode", "consideration"]
    names += ["consideration_he", "consideration_weight"]
    day = date(planning_year - 1, 6, 9)
    frame = _said([*together, *alone], names, planning_year, day)
    return frame.with_columns(meeting_number=pl.lit(3))


def consideration_scores_file(planning_year: int, streams: Streams) -> pl.DataFrame:
    """Return the group's scores on what data cannot give (`voice__consideration_scores`)."""
    rng = streams("consideration_scores")
    rows = [
        (
            _ALL_TOGETHER,
            "",
            "group",
            consideration,
            words if consideration == "other" else "",
            response,
            int(rng.integers(1, 6)),
        )
        for consideration, words, _ in _CONSIDERATIONS
        if consideration in ("municipal_impact", "conception_fit", "other")
        for response in spec.RATED
    ]
    names = ["participant", "role", "voice_mode", "consideration", "consideration_he"]
    names += ["response_id", "consideration_score"]
    return _said(rows, names, planning_year, date(planning_year - 1, 6, 9))


def wheel_file(planning_year: int, streams: Streams) -> pl.DataFrame:
    """Return what three groups of meeting 2 answered to the wheel (`voice__wheel`).

    The last stage is planted empty: nobody asks how it will be known that something worked.
    """
    rng = streams("wheel")
    rows = [
        (f"שולחן {number + 1}", "", "group", problem, stage, level, _WHEEL_ANSWERS[level])
        for number, problem in enumerate(_PROBLEMS)
        for stage in ("aim", "collect", "diagnose", "decide", "act")
        for level in _WHEEL_ANSWERS
        if rng.random() < 0.7
    ]
    names = ["participant", "role", "voice_mode", "problem_he"]
    names += ["stage_id", "perspective_level", "answer_he"]
    frame = _said(rows, names, planning_year, date(planning_year - 1, 4, 21))
    return frame.with_columns(meeting_number=pl.lit(2))


def decisions_file(planning_year: int) -> pl.DataFrame:
    """Return what was decided on responses for two planned years (contract of `aim__decisions`)."""
    names = ["planning_year", "response_id", "decision", "reason", "decided_by", "decided_on"]
    rows = [
        (
            planning_year + since,
            response_id,
            decision,
            reason,
            role,
            date(planning_year + since - 1, *day),
        )
        for since, response_id, decision, reason, role, day in _DECISIONS
    ]
    return pl.DataFrame(rows, schema=names, orient="row")


def ladders_file(streams: Streams) -> pl.DataFrame:
    """Return every member's ladder of causes (contract of `voice__ladders`)."""
    rng = streams("ladders")
    rows = []
    for member, role in enumerate(spec.ROLES):
        felt = np.arange(len(CAUSES)) + rng.normal(0, 2, len(CAUSES))
        rows += [
            (member_name(member), role, CAUSES[cause], rung + 1)
            for rung, cause in enumerate(np.argsort(felt, kind="stable"))
        ]
    return pl.DataFrame(
        rows,
        schema={
            "participant": pl.String,
            "role": pl.String,
            "cause_id": pl.String,
            "ladder_rung": pl.Int64,
        },
        orient="row",
    )
