"""Where people's words part from the plan and the data: which it is, and in which words (R125)."""

from __future__ import annotations

import polars as pl
import pytest

from models.voices import conflicts
from pipelines.act.findings import _voices
from pipelines.act.voices import told_conflicts
from pipelines.warehouse.tables import table_of

PLAN = {
    "response_id": "posh",
    "card_say": "change_or_drop",
    "said_by": "single",
    "groups_playing": None,
    "asking_groups": None,
    "favouring_groups": None,
    "single_say": "change_or_drop",
    "card_players": 14,
    "asking_people": 11,
    "favouring_people": 2,
    "verdict": "insufficient_evidence",
    "plan_say": "more",
    "last_year_agorot": 1_000_000,
    "allocated_agorot": 1_500_000,
    "schools": 12,
    "eligible_schools": 36,
    "plan_reach": "at_capacity",
}


def plan(*rows: dict) -> pl.DataFrame:
    return table_of("mart_voice_plan", [PLAN | row for row in rows])


@pytest.mark.parametrize(
    ("row", "kinds"),
    [
        ({}, {"change_but_not_less"}),
        ({"plan_say": "same"}, {"change_but_not_less"}),
        ({"plan_say": "funded"}, {"change_but_not_less"}),
        ({"plan_say": "less"}, set()),
        ({"plan_say": "not_funded"}, set()),
        ({"plan_say": "less", "verdict": "very_effective"}, {"change_but_effective"}),
        ({"verdict": "fairly_effective"}, {"change_but_not_less", "change_but_effective"}),
        ({"verdict": None, "plan_say": "less"}, set()),
        ({"card_say": "indispensable", "plan_say": "less"}, {"indispensable_but_less"}),
        ({"card_say": "indispensable", "plan_say": "not_funded"}, {"indispensable_but_unfunded"}),
        ({"card_say": "indispensable", "plan_say": "more"}, set()),
        ({"card_say": "proven", "verdict": "not_effective"}, {"trusted_without_effect"}),
        ({"card_say": "proven", "verdict": "insufficient_evidence"}, set()),
        ({"card_say": "no_majority", "verdict": "not_effective"}, set()),
        ({"card_say": "not_named"}, set()),
        ({"plan_say": "not_planned"}, set()),
    ],
)
def test_each_kind_is_what_it_says(row, kinds):
    assert set(conflicts(plan(row))["voice_conflict"]) == kinds


def test_a_response_with_two_rows_is_refused():
    with pytest.raises(ValueError, match="one row"):
        conflicts(plan({}, {}))


def said(*rows: dict) -> pl.DataFrame:
    ids = [(PLAN | row)["response_id"] for row in rows]
    responses = pl.DataFrame(
        {
            "response_id": ids,
            "response_name_he": [f"מענה {name}" for name in ids],
            "response_name_en": [f"Response {name}" for name in ids],
        }
    )
    tables = {"mart_voice_plan": plan(*rows), "core_response": responses}
    return told_conflicts(None, tables)["mart_voice_conflict"]


def test_the_words_are_made_from_the_numbers():
    row = said({}).row(0, named=True)
    assert row["voice_conflict_he"] == (
        "מענה posh: 11 מתוך 14 משתתפים ביקשו לשנות או לוותר; התוכנית נותנת לו 15,000 ₪ (אשתקד"
        " 10,000 ₪), ב־12 בתי ספר – המספר הגדול ביותר שהמדיניות מתירה."
    )
    assert row["voice_conflict_en"] == (
        "Response posh: 11 of 14 people ask to change or drop it; the plan gives it 15,000 NIS"
        " (last year 10,000 NIS), in 12 school(s): the largest number that the policy allows."
    )


def test_groups_stand_first_and_are_counted_where_there_are_several():
    one = {"groups_playing": 1, "asking_groups": 1, "said_by": "group"}
    assert "הקבוצה ביקשה יחד לשנות או לוותר, ו־11 מתוך 14" in said(one)["voice_conflict_he"][0]
    many = one | {"groups_playing": 3, "asking_groups": 2}
    assert "2 מתוך 3 קבוצות ביקשו לשנות או לוותר, ו־11" in said(many)["voice_conflict_he"][0]


def test_the_category_is_told_of_those_whose_say_it_is():
    """A say of groups is not put into the mouth of people, nor all favour into one category."""
    kept = {"card_say": "indispensable", "plan_say": "less", "plan_reach": "fewer"}
    alone = said(kept)["voice_conflict_he"][0]
    assert "2 מתוך 14 משתתפים בחרו בו לטובה, יותר ממחצית בקטגוריה ”אי־אפשר בלעדיהם“" in alone
    groups = {"groups_playing": 3, "favouring_groups": 3, "said_by": "group"}
    together = said(kept | groups)["voice_conflict_he"][0]
    assert "3 מתוך 3 קבוצות בחרו בו לטובה, יותר ממחצית בקטגוריה" in together
    assert together.count("בקטגוריה") == 1
    assert "2 מתוך 14 משתתפים בחרו בו לטובה;" in together


def test_what_is_not_known_is_not_said():
    alone = {
        "groups_playing": 1,
        "asking_groups": 1,
        "card_players": None,
        "asking_people": None,
        "favouring_people": None,
        "last_year_agorot": None,
        "plan_say": "funded",
        "plan_reach": None,
        "schools": 1,
    }
    words = said(alone)["voice_conflict_he"][0]
    assert "משתתפים" not in words
    assert "אשתקד" not in words
    assert "בבית ספר אחד" in words
    assert "–" not in words


def test_the_finding_tells_the_fullest_contradiction_first_and_names_the_others():
    rows = (
        {"response_id": "a", "plan_reach": "fewer", "asking_people": 13},
        {"response_id": "b", "plan_reach": "every_eligible", "asking_people": 9},
    )
    names = pl.DataFrame(
        {
            "response_id": ["a", "b", "c"],
            "response_name_he": ["מענה a", "מענה b", "מענה c"],
            "response_name_en": ["A", "B", "C"],
        }
    )
    tables = {
        "mart_voice_plan": plan(*rows),
        "mart_voice_conflict": said(*rows),
        "mart_response": names,
    }
    ((he, en, table),) = _voices(tables)
    assert table == "mart_voice_conflict"
    assert "מענה b: 9 מתוך 14" in he
    assert he.endswith("גם ב: מענה a.")
    assert en.endswith("Also: A.")
    nothing = tables | {"mart_voice_conflict": tables["mart_voice_conflict"].clear()}
    assert _voices(nothing) == []
