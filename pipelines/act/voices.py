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
    """Return what groups and single people say of a response, each with how many they are."""
    asks = row["card_say"] == "change_or_drop"
    what_he = "לשנות או לוותר" if asks else dictionary().label("card_say", row["card_say"])
    what_en = "to change or drop" if asks else row["card_say"]
    parts_he, parts_en = [], []
    if row["groups_playing"]:
        groups = row["asking_groups"] if asks else row["favouring_groups"]
        whole = row["groups_playing"]
        parts_he.append(
            f"הקבוצה בחרה יחד ”{what_he}“"
            if whole == 1
            else f"{groups} מתוך {whole} קבוצות בחרו {'בכך' if asks else 'בו לטובה'} (”{what_he}“)"
        )
        parts_en.append(f"{groups} of {whole} group(s) together chose '{what_en}'")
    if row["card_players"]:
        people = row["asking_people"] if asks else row["favouring_people"]
        whole = row["card_players"]
        parts_he.append(
            f"{people} מתוך {whole} משתתפים {'ביקשו לשנות או לוותר' if asks else 'בחרו בו לטובה'}"
        )
        parts_en.append(
            f"{people} of {whole} people {'ask to change or drop it' if asks else 'favour it'}"
        )
    return ", ו־".join(parts_he), " and ".join(parts_en)


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
    if row["is_at_most"]:
        he += " – כל מה שהזכאות והקיבולת מאפשרות"
        en += ": all that eligibility and capacity allow"
    return he, en


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
