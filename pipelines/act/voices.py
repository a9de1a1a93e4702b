"""Where what people say of a response parts from the plan or the data, in words (R125).

Each sentence is made from the numbers of its row; groups, who choose together, stand first.
"""

from __future__ import annotations

from typing import Any

from models.voices import conflicts
from pipelines.publish import words
from pipelines.settings.city import CityFolder
from pipelines.settings.fields import dictionary
from pipelines.warehouse.tables import Step, Tables, table_of

# Contradictions with what the plan gives; the others are with the evidence.
_MONEY = ("change_but_not_less", "indispensable_but_unfunded", "indispensable_but_less")
_REACH = {
    "every_eligible": (" – כל בית ספר זכאי", ": every eligible school"),
    "at_capacity": (
        " – המספר הגדול ביותר שהמדיניות מתירה",
        ": the largest number that the policy allows",
    ),
}


def told_conflicts(_: CityFolder, tables: Tables) -> Tables:
    """Return each contradiction in words made from its numbers."""
    names = tables["core_response"].select("response_id", "response_name_he", "response_name_en")
    found = conflicts(tables["mart_voice_plan"]).join(names, on="response_id", how="left")
    rows = []
    for row in found.iter_rows(named=True):
        he, en = people_say(row)
        more_he, more_en = plan_says(row) if row["voice_conflict"] in _MONEY else data_say(row)
        rows.append(
            {
                "response_id": row["response_id"],
                "voice_conflict": row["voice_conflict"],
                "voice_conflict_he": f"{row['response_name_he']}: {he}; {more_he}.",
                "voice_conflict_en": f"{row['response_name_en']}: {en}; {more_en}.",
            }
        )
    return {"mart_voice_conflict": table_of("mart_voice_conflict", rows)}


def people_say(row: dict[str, Any]) -> tuple[str, str]:
    """Return what groups and single people say of a response, each with how many they are.

    The category is told of those whose say it is: the groups, or single people without them.
    """
    groups, parts = row["groups_playing"], []
    if groups == 1:
        category = _category(row)
        parts.append(
            ("הקבוצה ביקשה יחד לשנות או לוותר", "the group together asks to change or drop it")
            if _asks(row)
            else (f"הקבוצה בחרה בו יחד {category[0]}", f"the group together chose it {category[1]}")
        )
    elif groups:
        parts.append(_counted(row, "groups", ("קבוצות", "groups"), groups, is_say=True))
    if row["card_players"]:
        who = ("משתתפים", "people")
        parts.append(_counted(row, "people", who, row["card_players"], is_say=not groups))
    return ", ו־".join(he for he, _ in parts), " and ".join(en for _, en in parts)


def _asks(row: dict[str, Any]) -> bool:
    return row["card_say"] == "change_or_drop"


def _category(row: dict[str, Any]) -> tuple[str, str]:
    label = dictionary().label("card_say", row["card_say"])
    return f"בקטגוריה ”{label}“", f"as '{row['card_say']}'"


def _counted(
    row: dict[str, Any], column: str, who: tuple[str, str], whole: int, *, is_say: bool
) -> tuple[str, str]:
    """Return how many of some chose so, and their category where the say is theirs."""
    if _asks(row):
        count, he, en = (
            row[f"asking_{column}"],
            "ביקשו לשנות או לוותר",
            "ask to change or drop it",
        )
    else:
        count, he, en = row[f"favouring_{column}"], "בחרו בו לטובה", "favour it"
        if is_say:
            category = _category(row)
            he, en = f"{he}, יותר ממחצית {category[0]}", f"{en}, more than half {category[1]}"
    return f"{count} מתוך {whole} {who[0]} {he}", f"{count} of {whole} {who[1]} {en}"


def plan_says(row: dict[str, Any]) -> tuple[str, str]:
    """Return what the plan gives a response, against last year and against what is possible."""
    given, last = row["allocated_agorot"], row["last_year_agorot"]
    if row["plan_say"] == "not_funded":
        he, en = "התוכנית אינה מממנת אותו", "the plan does not fund it"
    else:
        he = f"התוכנית נותנת לו {words.nis(given)} ₪"
        en = f"the plan gives it {words.nis(given)} NIS"
    if last is not None:
        he += f" (אשתקד {words.nis(last)} ₪)"
        en += f" (last year {words.nis(last)} NIS)"
    if row["schools"]:
        he += ", " + ("בבית ספר אחד" if row["schools"] == 1 else f"ב־{row['schools']:,} בתי ספר")
        en += f", in {row['schools']} school(s)"
    more_he, more_en = _REACH.get(row["plan_reach"], ("", ""))
    return he + more_he, en + more_en


def data_say(row: dict[str, Any]) -> tuple[str, str]:
    """Return what the evidence says of a response."""
    verdict = dictionary().label("verdict", row["verdict"])
    return f"מסקנת הראיות: {verdict}", f"the evidence says: {row['verdict'].replace('_', ' ')}"


STEPS = (
    Step(
        "voice_conflicts",
        "act",
        makes=("mart_voice_conflict",),
        reads=("mart_voice_plan", "core_response"),
        compute=told_conflicts,
    ),
)
