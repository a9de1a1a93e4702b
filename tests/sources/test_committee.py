"""What people of the committee write wrongly is set aside, with its row and a sentence (R100)."""

import duckdb
import polars as pl
import pytest

from pipelines.settings.fields import dictionary
from pipelines.sources.quarantine import References, quarantine_query

RELEASE = "0123456789abcdef"
KNOWN = References(
    is_municipal=True,
    responses=("milat", "posh"),
    planning_year=2027,
    indicators=("gap_math", "climate_safety"),
    releases=(RELEASE,),
)
LOG = {
    "decision_id": "d1",
    "planning_year": "2027",
    "decision_kind": "override",
    "response_id": "milat",
    "semel_mosad": "900001",
    "decision_value": "forced",
    "decision_reason": "הצורך גדול",
    "decided_by_role": "budget_committee",
    "decided_on": "2026-06-01",
}
LETTER = {
    "confirmation_id": "c1",
    "planning_year": "2027",
    "response_id": "milat",
    "semel_mosad": "900001",
    "funding_channel": "gefen_school",
    "confirmation_word": "confirmed",
    "confirmed_by": "principal",
    "confirmed_on": "2026-06-01",
    "confirmed_nis": "1500.00",
}
MEETING = {
    "planning_year": "2027",
    "meeting_number": "1",
    "role": "principal",
    "held_on": "2026-02-11",
    "is_expected": "true",
    "is_present": "false",
}
SOUND = {"decide__log": LOG, "finance__confirmations": LETTER, "decide__meetings": MEETING}


def set_aside(source_id, *rows):
    """Return (row, column, reason in English, in Hebrew) of what is set aside of these rows."""
    contract = dictionary().contract(source_id).contract
    frame = pl.DataFrame(
        [
            dict.fromkeys(contract) | row | {"file_name": "f.csv", "file_hash": "0", "file_row": at}
            for at, row in enumerate(rows, start=2)
        ],
        schema_overrides=dict.fromkeys(contract, pl.String),
    )
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA raw")
    connection.execute("CREATE TABLE raw.raw_register__schools AS SELECT '900001' AS semel_mosad")
    connection.execute(
        "CREATE TABLE raw.raw_register__merges AS SELECT CAST(NULL AS VARCHAR) AS semel_mosad_old"
    )
    connection.register("given", frame)
    raw = f"raw.raw_{source_id}"
    connection.execute(f"CREATE TABLE {raw} AS SELECT * FROM given")
    return (
        connection.sql(quarantine_query(source_id, raw, KNOWN))
        .pl()
        .select("file_row", "column_name", "reason_en", "reason_he")
        .rows()
    )


WRONG = [
    # decisions
    ("decide__log", {"decision_reason": None}, "decision_reason", "empty"),
    ("decide__log", {"decided_by_role": None}, "decided_by_role", "empty"),
    ("decide__log", {"decided_by_role": "mayor"}, "decided_by_role", "not one of"),
    ("decide__log", {"decision_kind": "wish"}, "decision_kind", "not one of"),
    ("decide__log", {"decided_on": None}, "decided_on", "empty"),
    ("decide__log", {"decided_on": "last week"}, "decided_on", "not of type date"),
    ("decide__log", {"decided_on": "2099-06-01"}, "decided_on", "outside the cycle"),
    ("decide__log", {"decided_on": "2025-08-31"}, "decided_on", "outside the cycle"),
    ("decide__log", {"planning_year": "2031"}, "planning_year", "does not plan that year"),
    ("decide__log", {"planning_year": "x"}, "planning_year", "whole number"),
    ("decide__log", {"release_id": "ffffffffffffffff"}, "release_id", "nobody published"),
    ("decide__log", {"release_id": "the last one"}, "release_id", "match"),
    ("decide__log", {"semel_mosad": "999999"}, "semel_mosad", "register of schools"),
    ("decide__log", {"response_id": "unheard"}, "response_id", "registry of responses"),
    ("decide__log", {"semel_mosad": None}, "decision_kind", "names a response and a school"),
    ("decide__log", {"decision_value": "maybe"}, "decision_kind", "forced"),
    ("decide__log", {"decision_value": "forbidden:2"}, "decision_kind", "forced"),
    ("decide__log", {"decision_value": None}, "decision_kind", "forced"),
    ("decide__log", {"decision_kind": "scenario"}, "decision_kind", "make decide"),
    (
        "decide__log",
        {"decision_kind": "response", "decision_value": "love"},
        "decision_kind",
        "keep",
    ),
    (
        "decide__log",
        {"decision_kind": "response", "decision_value": "keep:a lot"},
        "decision_kind",
        "keep:<NIS",
    ),
    (
        "decide__log",
        {"decision_kind": "focus", "decision_object": "sports", "decision_value": "10"},
        "decision_kind",
        "indicator of need",
    ),
    (
        "decide__log",
        {"decision_kind": "focus", "decision_object": "gap_math", "decision_value": "140"},
        "decision_kind",
        "0 to 100",
    ),
    (
        "decide__log",
        {"decision_kind": "share", "decision_object": "everything", "decision_value": "10"},
        "decision_kind",
        "excellence_min",
    ),
    (
        "decide__log",
        {"decision_kind": "share", "decision_object": "excellence_min", "decision_value": "a lot"},
        "decision_kind",
        "percent",
    ),
    (
        "decide__log",
        {"decision_kind": "stage", "decision_object": "dream", "decision_value": "closed"},
        "decision_kind",
        "aim, collect",
    ),
    ("decide__log", {"decision_kind": "goal"}, "decision_kind", "adopted or dropped"),
    ("decide__log", {"decision_kind": "criterion"}, "decision_kind", "version that holds"),
    ("decide__log", {"votes_for": "3", "votes_against": "9"}, "votes_for", "not carried"),
    ("decide__log", {"votes_for": "-3"}, "votes_for", "outside"),
    ("decide__log", {"replaces_id": "d1"}, "replaces_id", "replaces itself"),
    ("decide__log", {"replaces_id": "d77"}, "replaces_id", "not in the log"),
    ("decide__log", {"meeting_number": "0"}, "meeting_number", "outside"),
    # letters
    ("finance__confirmations", {"confirmed_nis": None}, "confirmed_nis", "an amount above 0"),
    ("finance__confirmations", {"confirmed_nis": "0"}, "confirmed_nis", "an amount above 0"),
    ("finance__confirmations", {"confirmed_nis": "-5"}, "confirmed_nis", "outside"),
    ("finance__confirmations", {"confirmed_nis": "much"}, "confirmed_nis", "decimal"),
    (
        "finance__confirmations",
        {"confirmation_word": "withdrawn"},
        "confirmed_nis",
        "has no amount",
    ),
    ("finance__confirmations", {"confirmed_by": "treasurer"}, "confirmed_by", "somebody else"),
    ("finance__confirmations", {"semel_mosad": None}, "semel_mosad", "one school"),
    ("finance__confirmations", {"funding_channel": "lottery"}, "funding_channel", "not one of"),
    ("finance__confirmations", {"confirmed_on": "2024-01-01"}, "confirmed_on", "outside the cycle"),
    ("finance__confirmations", {"response_id": "unheard"}, "response_id", "registry of responses"),
    # meetings
    ("decide__meetings", {"role": "friend"}, "role", "not one of"),
    ("decide__meetings", {"held_on": "2031-01-01"}, "held_on", "outside the cycle"),
    ("decide__meetings", {"is_present": "perhaps"}, "is_present", "not of type boolean"),
    ("decide__meetings", {"release_id": "ffffffffffffffff"}, "release_id", "nobody published"),
]


@pytest.mark.parametrize(("source_id", "change", "column", "says"), WRONG)
def test_a_malformed_row_is_set_aside_with_its_sentence(source_id, change, column, says):
    found = set_aside(source_id, SOUND[source_id] | change)
    told = [(row, en) for row, name, en, _ in found if name == column]
    assert any(row == 2 and says in en for row, en in told), found
    assert all(any("א" <= letter <= "ת" for letter in he) for *_, he in found)


@pytest.mark.parametrize("source_id", SOUND)
def test_a_sound_row_stays(source_id):
    assert set_aside(source_id, SOUND[source_id]) == []


def test_a_second_decision_says_which_it_replaces():
    second = LOG | {"decision_id": "d2", "decision_value": "forbidden", "decided_on": "2026-06-08"}
    found = set_aside("decide__log", LOG, second)
    assert [(row, column) for row, column, *_ in found] == [(3, "replaces_id")]
    assert "which one it replaces" in found[0][2]
    assert set_aside("decide__log", LOG, second | {"replaces_id": "d1"}) == []
    elsewhere = second | {"response_id": "posh"}
    assert set_aside("decide__log", LOG, elsewhere) == []


def test_a_decision_that_stands_twice_is_nobody_s():
    found = set_aside("decide__log", LOG, LOG | {"decision_value": "forbidden"})
    assert {row for row, *_ in found} == {2, 3}


def test_two_decisions_do_not_replace_the_same_one():
    rows = [
        LOG,
        LOG | {"decision_id": "d2", "decided_on": "2026-06-08", "replaces_id": "d1"},
        LOG | {"decision_id": "d3", "decided_on": "2026-06-09", "replaces_id": "d1"},
    ]
    found = set_aside("decide__log", *rows)
    assert {row for row, _, en, _ in found if "replace the same one" in en} == {3, 4}


@pytest.mark.parametrize(
    "change",
    [{"response_id": "posh"}, {"decided_on": "2026-05-01"}],
    ids=["other", "later"],
)
def test_a_decision_replaces_an_earlier_one_on_the_same_thing(change):
    second = LOG | {"decision_id": "d2", "decided_on": "2026-06-08", "replaces_id": "d1"} | change
    found = set_aside("decide__log", LOG, second)
    assert any(row == 3 and "on another thing, or a later one" in en for row, _, en, _ in found)


def test_a_row_corrected_after_one_without_a_reason_stays():
    first = LOG | {"decision_reason": None}
    second = LOG | {"decision_id": "d2", "decided_on": "2026-06-08"}
    assert {row for row, *_ in set_aside("decide__log", first, second)} == {2}


def test_on_one_day_the_number_says_nothing_of_which_came_first():
    tenth = LOG | {"decision_id": "d10", "decision_value": "forbidden", "replaces_id": "d9"}
    assert set_aside("decide__log", LOG | {"decision_id": "d9"}, tenth) == []
