"""Files that people fill in: each slip is set aside with its row and a sentence in both languages.

One file a source, sound rows first; each case adds one row (or two) with one slip in it.
"""

from __future__ import annotations

import re
from datetime import datetime

import duckdb
import polars as pl
import pytest

from pipelines.settings.city import load_city
from pipelines.settings.fields import dictionary
from pipelines.sources.files import read_source
from pipelines.sources.load import build_raw, keep_superseded, raw_name, record_load
from pipelines.sources.quarantine import references_of
from pipelines.warehouse.database import LAYERS, swap
from pipelines.warehouse.generated_sql import generated_sql
from tests.sources.test_forms import mapped

HEBREW = re.compile("[א-ת]")
MOMENT = datetime(2026, 7, 1)
PHONE, IDENTITY = "050-7654321", "990054321"
CARD = {
    "planning_year": "2027",
    "meeting_number": "3",
    "said_on": "2026-06-09",
    "role": "מורה",
    "voice_mode": "אדם אחד",
    "card_category": "proven",
    "response_id": "milat",
    "card_reason": "ראינו שיפור",
}
CONSIDERATION = {
    "planning_year": "2027",
    "said_on": "2026-06-09",
    "role": "מורה",
    "voice_mode": "single",
    "consideration": "pooling",
}
SCORE = CONSIDERATION | {
    "consideration": "municipal_impact",
    "response_id": "milat",
    "consideration_score": "4",
}
FORM = {
    "planning_year": "2027",
    "said_on": "2026-03-01",
    "role": "הורה",
    "need_id": "gap_math",
    "need_priority": "1",
    "has_consent": "כן",
}
WHEEL = {
    "planning_year": "2027",
    "said_on": "2026-04-21",
    "role": "מורה",
    "voice_mode": "single",
    "problem_he": "קושי בקריאה",
    "stage_id": "aim",
    "perspective_level": "vision",
    "answer_he": "כל ילד קורא",
}
PRACTICE = {
    "said_on": "2026-03-01",
    "role": "מנהלת",
    "semel_mosad": "900003",
    "criteria_field": "learning_gap",
    "practice_he": "שיחה אישית",
    "practice_since": "2024",
}
SOUND = {
    "voice__cards": CARD,
    "voice__considerations": CONSIDERATION,
    "voice__consideration_scores": SCORE,
    "voice__forms": FORM,
    "voice__wheel": WHEEL,
    "voice__practices": PRACTICE,
}
# Source, what is written otherwise in each row of one person, the column and the reason told.
CASES = (
    ("voice__cards", [{"card_reason": ""}], "card_reason", "missing"),
    ("voice__cards", [{"role": ""}], "role", "missing"),
    ("voice__cards", [{"role": "שר החינוך"}], "role", "not_allowed"),
    ("voice__cards", [{"role": "נציגת קבוצה"}], "group_id", "missing"),
    (
        "voice__cards",
        [{"role": "נציגת קבוצה", "group_id": "קבוצה שאינה"}],
        "group_id",
        "unknown_reference",
    ),
    ("voice__cards", [{"card_category": "הכי טוב"}], "card_category", "not_allowed"),
    ("voice__cards", [{"response_id": "מענה שאינו"}], "response_id", "unknown_reference"),
    ("voice__cards", [{"response_id": ""}], "response_id", "missing"),
    ("voice__cards", [{"new_response_he": "ספרייה ניידת"}], "new_response_he", "implausible"),
    ("voice__cards", [{"said_on": "2024-06-09"}], "said_on", "implausible"),
    ("voice__cards", [{"said_on": "מחר"}], "said_on", "bad_type"),
    ("voice__cards", [{"planning_year": ""}], "planning_year", "missing"),
    ("voice__cards", [{"card_reason": "=HYPERLINK(A1)"}], "card_reason", "formula"),
    ("voice__cards", [{"card_reason": "@SUM(1)"}], "card_reason", "formula"),
    ("voice__cards", [{"card_reason": "-2+3+cmd|' /C calc'!A0"}], "card_reason", "formula"),
    (
        "voice__cards",
        [{"response_id": "", "new_response_he": "+cmd"}],
        "new_response_he",
        "formula",
    ),
    ("voice__cards", [{}, {"card_reason": "אחר"}], "planning_year", "duplicate_key"),
    (
        "voice__cards",
        [
            {"card_category": "indispensable", "response_id": name}
            for name in ("milat", "merchav", "rvadim", "icei", "posh", "perach")
        ],
        "card_category",
        "over_quota",
    ),
    (
        "voice__cards",
        [{"card_category": "significant", "response_id": name} for name in ("milat", "posh")],
        "card_category",
        "over_quota",
    ),
    ("voice__considerations", [{"consideration": "other"}], "consideration_he", "missing"),
    (
        "voice__considerations",
        [{"consideration_weight": "130"}],
        "consideration_weight",
        "out_of_range",
    ),
    (
        "voice__considerations",
        [
            {"consideration_weight": "60"},
            {"consideration": "breadth", "consideration_weight": "70"},
        ],
        "consideration_weight",
        "implausible",
    ),
    ("voice__consideration_scores", [{"consideration": "pooling"}], "consideration", "computed"),
    (
        "voice__consideration_scores",
        [{"consideration_score": "9"}],
        "consideration_score",
        "out_of_range",
    ),
    (
        "voice__consideration_scores",
        [{"consideration_score": "3.5"}],
        "consideration_score",
        "bad_type",
    ),
    ("voice__forms", [{"need_id": "צורך שאינו"}], "need_id", "unknown_reference"),
    ("voice__forms", [{"need_priority": "4"}], "need_priority", "out_of_range"),
    ("voice__forms", [{"semel_mosad": "123456"}], "semel_mosad", "unknown_reference"),
    ("voice__forms", [{"role": "גזבר"}], "role", "not_allowed"),
    ("voice__forms", [{"has_consent": "לא"}], "has_consent", "no_consent"),
    ("voice__forms", [{"has_consent": ""}], "has_consent", "no_consent"),
    ("voice__forms", [{}, {"need_id": "gap_hebrew"}], "need_priority", "over_quota"),
    ("voice__wheel", [{"stage_id": "שלב שביעי"}], "stage_id", "not_allowed"),
    ("voice__wheel", [{"perspective_level": ""}], "perspective_level", "missing"),
    ("voice__wheel", [{"answer_he": "=1+1"}], "answer_he", "formula"),
    ("voice__practices", [{"semel_mosad": "999999"}], "semel_mosad", "unknown_reference"),
    ("voice__practices", [{"practice_since": "2029"}], "practice_since", "implausible"),
    ("voice__practices", [{"practice_he": "=cmd"}], "practice_he", "formula"),
)


def table(source_id):
    """The file of a source: five sound rows, then those of its cases; and the rows of each case."""
    contract = dictionary().contract(source_id).contract
    rows, places = [], {}
    own = [(number, case[1]) for number, case in enumerate(CASES) if case[0] == source_id]
    sound = [
        (f"sound{n}", [{"practice_he": f"שיחה {n}"} if "practice_he" in contract else {}])
        for n in range(5)
    ]
    for who, changes in [*sound, *own]:
        for change in changes:
            written = SOUND[source_id] | {"participant_hash": f"p{who}"} | change
            places.setdefault(who, []).append(len(rows) + 2)
            rows.append([written.get(name) or None for name in contract])
    return pl.DataFrame(rows, schema=dict.fromkeys(contract, pl.String), orient="row"), places


@pytest.fixture(scope="module")
def loaded(small_city, tmp_path_factory):
    """All files read, set aside and staged; for each case the rows of its file."""
    sources, places, frames = {}, {}, {}
    for source_id in SOUND:
        frames[source_id], found = table(source_id)
        places |= {who: rows for who, rows in found.items() if isinstance(who, int)}
        names = frames[source_id].columns
        sources[source_id] = {
            "file": f"{source_id}.csv",
            "format": "csv",
            "columns": dict(zip(names, names, strict=True)),
        }
    folder = mapped(small_city, tmp_path_factory.mktemp("people") / "demo_city", **sources)
    for source_id, frame in frames.items():
        frame.write_csv(folder / "files" / f"{source_id}.csv")
    city, held = load_city(folder), duckdb.connect()
    for layer in LAYERS:
        held.execute(f"CREATE SCHEMA {layer}")
    known = references_of(city, (), ())
    for source_id in ("register__schools", "register__merges", *SOUND):
        reading = read_source(city, source_id, (2026,))
        build_raw(held, source_id, reading, None)
        swap(held, raw_name(source_id))
        record_load(held, source_id, reading, known, is_whole=True, moment=MOMENT)
    yield held, places
    held.close()


@pytest.mark.parametrize(
    "number", range(len(CASES)), ids=lambda n: f"{CASES[n][0]}-{CASES[n][3]}-{n}"
)
def test_each_slip_is_told_with_its_row_in_both_languages(number, loaded):
    held, places = loaded
    source_id, _, column, reason = CASES[number]
    found = held.sql("SELECT * FROM raw.raw_quarantine").pl()
    found = found.filter(pl.col("file_row").is_in(places[number]), source_id=source_id)
    told = found.filter(reason_code=reason, column_name=column)
    assert sorted(told["file_row"]) == places[number]
    for row in told.iter_rows(named=True):
        assert HEBREW.search(row["reason_he"])
        assert row["reason_en"]
        assert not HEBREW.search(row["reason_en"])


@pytest.mark.parametrize("source_id", SOUND)
def test_sound_rows_and_no_others_are_staged(source_id, loaded):
    held, _ = loaded
    table_name = dictionary().contract(source_id).name
    staged = held.sql(generated_sql(dictionary())[table_name]).pl()
    assert staged.height == 5


def test_no_formula_is_shown_where_it_was_set_aside(loaded):
    held, _ = loaded
    shown = (
        held.sql("SELECT masked_value FROM raw.raw_quarantine").pl()["masked_value"].drop_nulls()
    )
    assert not shown.str.contains(r"^\s*[=+@]").any()


def test_what_names_a_person_is_masked_in_every_text_of_people(small_city, tmp_path):
    """Every free text of a form loses an id number and a phone, whatever its source (R78, R110)."""
    texts = {
        source_id: [
            name
            for name in dictionary().contract(source_id).contract
            if dictionary().fields[name].door == "mask"
        ]
        for source_id in SOUND
    }
    assert all(texts.values())
    sources = {}
    for source_id in texts:
        columns = {name: name for name in dictionary().contract(source_id).contract}
        sources[source_id] = {"file": f"{source_id}.csv", "format": "csv", "columns": columns}
    folder = mapped(small_city, tmp_path / "demo_city", **sources)
    for source_id, names in texts.items():
        written = SOUND[source_id] | {"participant_hash": "p"}
        written |= dict.fromkeys(names, f"מספרו {IDENTITY}, טלפון {PHONE}")
        columns = sources[source_id]["columns"]
        frame = pl.DataFrame({name: [written.get(name)] for name in columns}, strict=False)
        frame.write_csv(folder / "files" / f"{source_id}.csv")
    city = load_city(folder)
    for source_id, names in texts.items():
        row = read_source(city, source_id, (2026,)).rows.row(0, named=True)
        for name in names:
            assert "•••" in row[name]
            assert IDENTITY not in row[name]
            assert PHONE not in row[name]


def test_a_withdrawn_consent_is_gone_from_the_past_too(small_city, tmp_path):
    """Whoever agrees no more is deleted from the history of the forms (R19)."""
    columns = {name: name for name in dictionary().contract("voice__forms").contract}
    mapping = {"file": "f.csv", "format": "csv", "columns": columns}
    folder = mapped(small_city, tmp_path / "demo_city", voice__forms=mapping)
    held = duckdb.connect()
    for layer in LAYERS:
        held.execute(f"CREATE SCHEMA {layer}")
    said = FORM | {"participant_hash": "p", "comment_he": "חסרה עזרה"}
    for consent in ("כן", "לא"):
        row = said | {"has_consent": consent}
        frame = pl.DataFrame({name: [row.get(name)] for name in columns}, strict=False)
        frame.write_csv(folder / "files" / "f.csv")
        city = load_city(folder)
        reading = read_source(city, "voice__forms", (2026,))
        build_raw(held, "voice__forms", reading, None)
        keep_superseded(held, "voice__forms", reading)
        swap(held, raw_name("voice__forms"))
        record_load(
            held, "voice__forms", reading, references_of(city, (), ()), is_whole=True, moment=MOMENT
        )
    for schema in ("raw", "history"):
        assert held.sql(f"SELECT count(*) FROM {schema}.raw_voice__forms").fetchall() == [(0,)]
