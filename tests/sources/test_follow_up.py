"""What people write wrongly of the year's follow-up is set aside, row by row (R76, R103, R105)."""

import csv
from dataclasses import replace

import duckdb
import polars as pl
import pytest

from pipelines.settings.city import load_city
from pipelines.settings.fields import PROVENANCE, dictionary
from pipelines.sources.files import read_source
from pipelines.sources.follow_up import wrong_cells
from pipelines.sources.quarantine import References, quarantine_query, rejected_query
from tests.sources.test_forms import folder, mapped  # noqa: F401

RELEASE = "0123456789abcdef"
KNOWN = References(
    is_municipal=True,
    responses=("milat", "posh"),
    planning_year=2027,
    releases=(RELEASE, "fedcba9876543210"),
)
TICKET = {
    "ticket_id": "t1",
    "planning_year": "2027",
    "shown_release": RELEASE,
    "semel_mosad": "900001",
    "asked_by_role": "principal",
    "asked_on": "2026-10-11",
    "ticket_kind": "correct",
    "ticket_cell": "mart_gap_school/semel_mosad=900001;subject=math/gap_sd",
    "value_said": "412",
    "ticket_reason": "כיתה אחת נרשמה פעמיים",
}
ANSWER = {
    "ticket_answer": "accepted",
    "answered_by_role": "registrar",
    "answer_reason": "נבדק מול המרשם",
    "answered_on": "2026-10-18",
}
STATUS = {
    "plan_row_ref": "900001/milat",
    "status_on": "2026-11-30",
    "work_status": "running",
    "participants_now": "30",
    "milestone_done": "opened",
}
LEDGER = {
    "plan_row_ref": "900001/milat",
    "funding_channel": "municipal_own",
    "paid_month": "2026-11-01",
    "spent_nis": "1500.00",
}
RECIPIENT = {
    "recipient_id": "r1",
    "role": "principal",
    "audience": "committee",
    "semel_mosad": "900001",
    "recipient_language": "hebrew",
    "recipient_address": "office@example.org",
}
RECEIPT = {"recipient_id": "r1", "shown_release": RELEASE, "acknowledged_on": "2026-10-20"}
SOUND = {
    "act__tickets": TICKET,
    "act__plan_status": STATUS,
    "finance__ledger": LEDGER,
    "act__recipients": RECIPIENT,
    "act__receipts": RECEIPT,
}


def raw(connection, source_id, *rows):
    """Make the raw table of a source of these rows; return it."""
    contract = dictionary().contract(source_id).contract
    frame = pl.DataFrame(
        [
            dict.fromkeys(contract) | row | {"file_name": "f.csv", "file_hash": "0", "file_row": at}
            for at, row in enumerate(rows, start=2)
        ],
        schema_overrides=dict.fromkeys(contract, pl.String),
    )
    connection.register("given", frame)
    connection.execute(f"CREATE OR REPLACE TABLE raw.raw_{source_id} AS SELECT * FROM given")
    return frame


@pytest.fixture
def warehouse():
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA raw")
    connection.execute("CREATE TABLE raw.raw_register__schools AS SELECT '900001' AS semel_mosad")
    connection.execute(
        "CREATE TABLE raw.raw_register__merges AS SELECT CAST(NULL AS VARCHAR) AS semel_mosad_old"
    )
    raw(connection, "act__recipients", RECIPIENT)
    return connection


@pytest.fixture
def releases(tmp_path):
    """A folder of releases, one of which is kept."""
    place = tmp_path / "releases" / RELEASE / "committee"
    place.mkdir(parents=True)
    pl.DataFrame(
        {"semel_mosad": ["900001", "900002"], "subject": ["math", "math"], "gap_sd": [0.2, 0.1]}
    ).write_parquet(place / "mart_gap_school.parquet")
    pl.DataFrame(
        {
            "plan_row_id": ["900001/milat", "900002/milat"],
            "semel_mosad": ["900001", "900002"],
            "participants": [30, 20],
        }
    ).write_parquet(place / "mart_work_plan.parquet")
    return tmp_path / "releases"


def set_aside(connection, source_id, *rows, releases=None):
    """Return (row, column, reason in English, in Hebrew) of what is set aside of these rows."""
    frame, known = raw(connection, source_id, *rows), KNOWN
    if source_id == "act__tickets":
        known = replace(known, wrong_cells=wrong_cells(frame, releases))
    return (
        connection.sql(quarantine_query(source_id, f"raw.raw_{source_id}", known))
        .pl()
        .select("file_row", "column_name", "reason_en", "reason_he")
        .rows()
    )


def about(cell):
    return {"ticket_cell": cell}


WRONG = [
    # tickets
    ("act__tickets", {"shown_release": "f" * 16}, "shown_release", "nobody published"),
    ("act__tickets", {"shown_release": None}, "shown_release", "empty"),
    ("act__tickets", {"semel_mosad": "999999"}, "semel_mosad", "register of schools"),
    ("act__tickets", {"asked_by_role": "parent"}, "asked_by_role", "not one of"),
    ("act__tickets", {"asked_on": "2029-01-01"}, "asked_on", "outside the cycle"),
    ("act__tickets", {"planning_year": "2031"}, "planning_year", "does not plan that year"),
    ("act__tickets", {"ticket_kind": "complain"}, "ticket_kind", "not one of"),
    ("act__tickets", about("the number of pupils"), "ticket_cell", "does not match"),
    ("act__tickets", about("mart_none/semel_mosad=900001/pupils"), "ticket_cell", "no page shows"),
    (
        "act__tickets",
        about("mart_gap_school/semel_mosad=900001;subject=math/score"),
        "ticket_cell",
        "no page shows",
    ),
    (
        "act__tickets",
        about("mart_gap_school/semel_mosad=900001/gap_sd"),
        "ticket_cell",
        "no page shows",
    ),
    ("act__tickets", about("mart_city/city_id=x/city_name_he"), "ticket_cell", "of no school"),
    (
        "act__tickets",
        about("mart_gap_school/semel_mosad=900002;subject=math/gap_sd"),
        "ticket_cell",
        "another school",
    ),
    (
        "act__tickets",
        about("mart_work_plan/plan_row_id=900002/milat/participants"),
        "ticket_cell",
        "another school",
    ),
    (
        "act__tickets",
        about("mart_gap_school/semel_mosad=900001;subject=art/gap_sd"),
        "ticket_cell",
        "holds no such number",
    ),
    ("act__tickets", {"value_said": None}, "value_said", "says the right value"),
    ("act__tickets", {"ticket_kind": "confirm"}, "value_said", "nothing else does"),
    ("act__tickets", {"ticket_reason": None}, "ticket_reason", "empty"),
    ("act__tickets", {"ticket_reason": "=A1"}, "ticket_reason", "formula"),
    ("act__tickets", ANSWER | {"answered_by_role": None}, "answered_by_role", "four parts"),
    ("act__tickets", ANSWER | {"answer_reason": None}, "answer_reason", "four parts"),
    ("act__tickets", ANSWER | {"answered_on": None}, "answered_on", "four parts"),
    ("act__tickets", ANSWER | {"answered_on": "2026-10-01"}, "answered_on", "before it was asked"),
    ("act__tickets", ANSWER | {"ticket_answer": "answered"}, "ticket_answer", "accepted or"),
    ("act__tickets", ANSWER | {"answered_by_role": "mayor"}, "answered_by_role", "not one of"),
    # recipients
    ("act__recipients", {"recipient_id": "dana"}, "recipient_id", "does not match"),
    ("act__recipients", {"recipient_address": "by hand"}, "recipient_address", "does not match"),
    ("act__recipients", {"recipient_address": "a@b.org, c@d.org"}, "recipient_address", "match"),
    ("act__recipients", {"audience": "everybody"}, "audience", "not one of"),
    ("act__recipients", {"audience": "analyst"}, "audience", "these roles alone"),
    (
        "act__recipients",
        {"audience": "principals", "semel_mosad": None},
        "semel_mosad",
        "name the school",
    ),
    ("act__recipients", {"recipient_language": "french"}, "recipient_language", "not one of"),
    # receipts
    ("act__receipts", {"recipient_id": "r9"}, "recipient_id", "nobody on the list"),
    ("act__receipts", {"shown_release": "f" * 16}, "shown_release", "nobody published"),
    ("act__receipts", {"acknowledged_on": "2099-01-01"}, "acknowledged_on", "a day after August"),
    ("act__receipts", {"acknowledged_on": "soon"}, "acknowledged_on", "not of type date"),
]


@pytest.mark.parametrize(("source_id", "change", "column", "says"), WRONG)
def test_a_malformed_row_is_set_aside(warehouse, releases, source_id, change, column, says):
    found = set_aside(warehouse, source_id, SOUND[source_id] | change, releases=releases)
    told = [(row, en) for row, name, en, _ in found if name == column]
    assert any(row == 2 and says in en for row, en in told), found
    assert all(any("א" <= letter <= "ת" for letter in he) for *_, he in found)


@pytest.mark.parametrize("source_id", SOUND)
def test_a_sound_row_stays(warehouse, releases, source_id):
    assert set_aside(warehouse, source_id, SOUND[source_id], releases=releases) == []


@pytest.mark.parametrize(
    "change",
    [
        ANSWER,
        ANSWER | {"ticket_answer": "declined"},
        {"ticket_kind": "confirm", "value_said": None, "ticket_reason": None},
        ANSWER | {"ticket_kind": "ask", "value_said": None, "ticket_answer": "answered"},
        about("mart_work_plan/plan_row_id=900001/milat/participants"),
        {"value_said": "-0.25"},
    ],
    ids=["accepted", "declined", "confirmed", "asked", "line", "below_zero"],
)
def test_sound_tickets_stay(warehouse, releases, change):
    assert set_aside(warehouse, "act__tickets", TICKET | change, releases=releases) == []


def test_a_release_that_was_pruned_is_judged_by_the_address_alone(warehouse, releases):
    gone = TICKET | {"shown_release": "fedcba9876543210"}
    unseen = about("mart_gap_school/semel_mosad=900001;subject=art/gap_sd")
    assert set_aside(warehouse, "act__tickets", gone | unseen, releases=releases) == []
    other = about("mart_gap_school/semel_mosad=900002;subject=math/gap_sd")
    assert set_aside(warehouse, "act__tickets", gone | other, releases=releases)


PERSON = "דנה כהן 052-1234567"
# File of the source, its rows and cells changed, the column it is told by, and what is said.
FILES = [
    ("act__plan_status", {"plan_row_ref": "900001"}, "plan_row_ref", "does not match"),
    ("act__plan_status", {"plan_row_ref": ""}, "plan_row_ref", "empty"),
    ("act__plan_status", {"plan_row_ref": "999999/milat"}, "plan_row_ref", "no school"),
    ("act__plan_status", {"plan_row_ref": "900001/unheard"}, "plan_row_ref", "no response"),
    ("act__plan_status", {"status_on": ""}, "status_on", "empty"),
    ("act__plan_status", {"status_on": "בסוף החודש"}, "status_on", "not of type date"),
    ("act__plan_status", {"status_on": "2099-11-30"}, "status_on", "a day after August"),
    ("act__plan_status", {"work_status": "בערך"}, "work_status", "not one of"),
    ("act__plan_status", {"work_status": ""}, "work_status", "empty"),
    ("act__plan_status", {"work_status": "not_started"}, "work_status", "not started, but"),
    ("act__plan_status", {"participants_now": "-3"}, "participants_now", "outside"),
    ("act__plan_status", {"participants_now": "12.5"}, "participants_now", "whole number"),
    ("act__plan_status", {"participants_now": PERSON}, "participants_now", "whole number"),
    ("act__plan_status", {"participants_now": "521234567"}, "participants_now", "whole number"),
    ("act__plan_status", {"participants_now": "#REF!"}, "participants_now", "error of the spread"),
    ("act__plan_status", {"milestone_done": PERSON}, "milestone_done", "not one of"),
    ("act__plan_status", {"status_note": "=HYPERLINK(1)"}, "status_note", "formula"),
    ("finance__ledger", {"plan_row_ref": PERSON}, "plan_row_ref", "does not match"),
    ("finance__ledger", {"plan_row_ref": "999999/milat"}, "plan_row_ref", "no school"),
    ("finance__ledger", {"plan_row_ref": "city/unheard"}, "plan_row_ref", "no response"),
    ("finance__ledger", {"funding_channel": "קופה קטנה"}, "funding_channel", "not one of"),
    ("finance__ledger", {"funding_channel": ""}, "funding_channel", "empty"),
    ("finance__ledger", {"paid_month": "2026-11-15"}, "paid_month", "by its first day"),
    ("finance__ledger", {"paid_month": "2031-01-01"}, "paid_month", "a day after August"),
    ("finance__ledger", {"paid_month": "13/2026"}, "paid_month", "not of type date"),
    ("finance__ledger", {"spent_nis": ""}, "spent_nis", "empty"),
    ("finance__ledger", {"spent_nis": "-100"}, "spent_nis", "outside"),
    ("finance__ledger", {"spent_nis": "אלף"}, "spent_nis", "decimal"),
    ("finance__ledger", {"spent_nis": "#N/A"}, "spent_nis", "error of the spread"),
    ("finance__ledger", {"spent_nis": PERSON}, "spent_nis", "decimal"),
]


def write(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.DictWriter(file, list(rows[0]))
        lines.writeheader()
        lines.writerows(rows)


@pytest.fixture(scope="module")
def place(folder, tmp_path_factory):  # noqa: F811
    """A city that maps a file of reports and one of payments."""
    names = {"act__plan_status": "status.csv", "finance__ledger": "ledger.csv"}
    sources = {
        source_id: {
            "file": name,
            "format": "csv",
            "columns": {column: column for column in dictionary().contract(source_id).contract},
        }
        for source_id, name in names.items()
    }
    return mapped(folder, tmp_path_factory.mktemp("follow_up") / "demo_city", **sources)


def fare(warehouse, place, source_id, rows):
    """Return the rows that stay and what is told of the others, of a file of these rows."""
    columns = dictionary().contract(source_id).contract
    name = {"act__plan_status": "status.csv", "finance__ledger": "ledger.csv"}[source_id]
    write(place / "files" / name, [dict.fromkeys(columns, "") | row for row in rows])
    read = read_source(load_city(place), source_id, (2026,))
    warehouse.register("held", read.rows)
    warehouse.register("rejected", read.rejected)
    warehouse.execute(f"CREATE OR REPLACE TABLE raw.raw_{source_id} AS SELECT * FROM held")
    told = warehouse.sql(
        f"{quarantine_query(source_id, f'raw.raw_{source_id}', KNOWN)} UNION ALL BY NAME"
        f" {named(rejected_query(source_id, 'rejected'))}"
    ).pl()
    stay = read.rows.filter(~pl.col("file_row").is_in(told["file_row"].implode()))
    return stay, told


def named(query):
    heads = "source_id, file_name, file_row, column_name, reason_code, masked_value, reason_he"
    return f"SELECT * FROM ({query}) AS told({heads}, reason_en)"


@pytest.mark.parametrize(("source_id", "change", "column", "says"), FILES)
def test_a_malformed_file_loses_its_bad_row_alone(
    warehouse, place, source_id, change, column, says
):
    day = {"act__plan_status": "status_on", "finance__ledger": "paid_month"}[source_id]
    sound = SOUND[source_id] | {day: "2026-10-01"}
    bad = SOUND[source_id] | change
    stay, told = fare(warehouse, place, source_id, [sound, bad])
    assert stay["file_row"].to_list() == [2]
    assert set(told["file_row"]) == {3}
    found = told.filter(column_name=column)
    assert found["reason_en"].str.contains(says, literal=True).any(), told["reason_en"].to_list()
    assert told["reason_he"].str.contains("[א-ת]").all()
    everything = told.write_csv() + stay.drop(PROVENANCE).write_csv()
    assert not any(part in everything for part in ("דנה", "1234567"))


@pytest.mark.parametrize("source_id", ["act__plan_status", "finance__ledger"])
def test_a_row_that_stands_twice_counts_once_and_two_that_differ_not_at_all(
    warehouse, place, source_id
):
    sound, column = SOUND[source_id], {"finance__ledger": "spent_nis"}.get(source_id)
    stay, told = fare(warehouse, place, source_id, [sound, sound])
    assert stay.height == 1
    assert told["reason_code"].to_list() == ["duplicate_key"]
    other = sound | {column or "participants_now": "7"}
    stay, told = fare(warehouse, place, source_id, [sound, other])
    assert stay.is_empty()
    assert set(told["file_row"]) == {2, 3}
