"""What the committee's members choose: prioritisation cards and ladders of causes.

Cards are nominations with quotas 5/4/3/2/1 and a reason each; they are no scores. A ladder orders
causes of gaps by their influence, the strongest on rung 1.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from models.demo import spec
from models.demo.streams import Streams

# Cards a member chooses: each rated response once, so fewer than the quotas 5/4/3/2/1 allow.
CHOSEN = {"indispensable": 4, "proven": 3, "unique": 2, "change_or_drop": 2, "significant": 1}
_REASONS = {
    "indispensable": "בלעדיו ייפגעו תלמידים רבים",
    "proven": "ראינו שיפור לאורך זמן",
    "unique": "אין לו תחליף ברשות",
    "change_or_drop": "ההיענות נמוכה ביחס לעלות",
    "significant": "ההשפעה הצפויה רחבה",
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


def cards_file(streams: Streams) -> pl.DataFrame:
    """Return the nominations (contract of `voice__cards`); what is liked goes to the front."""
    rng = streams("cards")
    liking = dict(zip(spec.RATED, rng.normal(0, 1, len(spec.RATED)), strict=True))
    liking |= {"makom_balev": 2.0, "posh": -2.0}
    rows = []
    for member, role in enumerate(spec.ROLES):
        felt = {response: value + rng.normal(0, 0.7) for response, value in liking.items()}
        order = sorted(felt, key=felt.__getitem__, reverse=True)
        start = 0
        for category, number in CHOSEN.items():
            chosen = (
                order[-number:] if category == "change_or_drop" else order[start : start + number]
            )
            start += number if category != "change_or_drop" else 0
            rows += [
                (member_name(member), role, category, response, _REASONS[category])
                for response in chosen
            ]
    names = ["participant", "role", "card_category", "response_id", "card_reason"]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


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
