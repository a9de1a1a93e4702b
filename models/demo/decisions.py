"""What a generated committee writes down: who met, what was decided, who confirmed which money.

Planted: roles that were expected and did not come, a letter that is withdrawn, one that confirms
half of what is asked, a decision that replaces an earlier one (`true_letter`).
"""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from models.demo.streams import Streams

# Role as the protocol spells it, and at which of the first two meetings it was missing.
_EXPECTED = {
    "מנהלת אגף החינוך": (),
    "מפקחת": (),
    "מנהלת בית ספר": (),
    "נציגת הורים": (),
    "נציג תלמידים": (1,),
    "נציג קבוצה": (1, 2),
    "יועצת חינוכית": (2,),
    "גזבר": (),
}
_HELD = {1: (2, 11), 2: (4, 15)}
_LOG = (
    ("d001", "stage", "aim", "closed", "הרצוי הוגדר והיעדים אושרו", 1, (8, 0, 1), ""),
    ("d002", "stage", "collect", "closed", "הנתונים הוצגו ונבדקו", 1, (7, 1, 1), ""),
    ("d003", "criterion", "amirim", "2", "הקריטריון המעודכן יחול משנה הבאה", 2, (6, 3, 1), ""),
    ("d004", "goal", "g02", "adopted", "היעד נמדד במבחנים של כל בית ספר", 2, (9, 0, 0), ""),
    ("d005", "goal", "g02", "adopted", "היעד נוסח מחדש לפי ההערות", 2, (8, 1, 0), "d004"),
)
_ASKED = "posh"  # paid in part by the Gefen baskets of its schools
_LETTERS = 4


def meetings_file(planning_year: int) -> pl.DataFrame:
    """Return who was expected and who came (contract of `decide__meetings`)."""
    rows = [
        (planning_year, meeting, role, date(planning_year - 1, *day), True, meeting not in missing)
        for meeting, day in _HELD.items()
        for role, missing in _EXPECTED.items()
    ]
    names = ["planning_year", "meeting", "role", "held_on", "expected", "present"]
    return pl.DataFrame(rows, schema=names, orient="row")


def log_file(planning_year: int) -> pl.DataFrame:
    """Return the committee's log so far (contract of `decide__log`)."""
    rows = [
        {
            "decision": number,
            "planning_year": planning_year,
            "kind": kind,
            "about": about,
            "response_id": "",
            "semel_mosad": "",
            "value": value,
            "reason": reason,
            "decided_by": "budget_committee",
            "decided_on": date(planning_year - 1, *_HELD[meeting]),
            "release": "",
            "meeting": meeting,
            "votes_for": votes[0],
            "votes_against": votes[1],
            "abstained": votes[2],
            "replaces": replaces,
        }
        for number, kind, about, value, reason, meeting, votes, replaces in _LOG
    ]
    return pl.DataFrame(rows)


def confirmations_file(planning_year: int, schools: list[str], streams: Streams) -> pl.DataFrame:
    """Return letters about money (contract of `finance__confirmations`).

    Some principals confirm their part of a response, the last of them takes it back; the Ministry
    confirms one response and a partner refuses another.
    """
    rng = streams("letters")
    asked = sorted(rng.choice(schools, size=min(_LETTERS, len(schools)), replace=False).tolist())
    day = date(planning_year - 1, 5, 4)
    letters: list[tuple[str, str, str, str, str, date, float | None]] = [
        (
            school,
            _ASKED,
            "gefen_school",
            "confirmed",
            "principal",
            day + timedelta(number),
            60_000.0,
        )
        for number, school in enumerate(asked)
    ]
    letters += [
        (asked[-1], _ASKED, "gefen_school", "withdrawn", "principal", day + timedelta(20), None),
        ("", "milat", "ministry_other", "confirmed", "ministry", day + timedelta(9), 9_000_000.0),
        ("", "hebrew_immigrants", "ministry_other", "confirmed", "ministry", day, 1.0),
        ("", "rvadim", "partner_ngo", "refused", "partner", day + timedelta(12), None),
    ]
    rows = [
        {
            "letter": f"c{number:03d}",
            "planning_year": planning_year,
            "response_id": response_id,
            "semel_mosad": school,
            "channel": channel,
            "answer": answer,
            "answered_by": who,
            "answered_on": on,
            "amount": amount,
            "reference": f"מכתב {number}/{planning_year - 1}",
        }
        for number, (school, response_id, channel, answer, who, on, amount) in enumerate(letters, 1)
    ]
    return pl.DataFrame(rows, schema_overrides={"amount": pl.Float64})


def letters_truth(letters: pl.DataFrame) -> pl.DataFrame:
    """Return what holds of each answer: the last letter on the same money, of the same school."""
    return letters.sort("answered_on", "letter").unique(
        ["response_id", "semel_mosad", "channel"], keep="last", maintain_order=True
    )
