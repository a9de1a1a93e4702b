"""Forms: written empty, filled in, read through the door as any other file, equal (R69–R75)."""

from __future__ import annotations

import shutil
import zipfile
from datetime import date

import fastexcel
import polars as pl
import pytest
import yaml

from pipelines.commands.forms import STATUS, main
from pipelines.commands.propose import main as propose
from pipelines.demo.write import write_city
from pipelines.settings.city import CityError, load_city
from pipelines.settings.fields import PROVENANCE, dictionary
from pipelines.settings.mapping import FORM_HEADER_ROW, FORM_SHEET
from pipelines.sources.files import read_source
from pipelines.sources.forms import (
    AT_THE_TABLE,
    ROWS,
    form_sources,
    write_entry_sheet,
    write_form,
)
from pipelines.sources.quarantine import quarantine_query, references_of
from tests.made import made
from tests.sources.test_load import connection  # noqa: F401

OF_PEOPLE = form_sources()
# A generated city has not begun its year, and adopts the goals that are drafted.
GENERATED = [name for name in OF_PEOPLE if not name.startswith("act__")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("forms") / "demo_city"
    write_city(made(1, "small", with_forecast=True), place)
    return place


def mapped(folder, place, **sources):
    """Return the city with some sources mapped otherwise, in a folder of its own."""
    shutil.copytree(folder, place)
    settings = yaml.safe_load((place / "city.yaml").read_text(encoding="utf-8"))
    settings["sources"] |= sources
    (place / "city.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    return place


def test_every_source_of_people_has_a_form():
    said = {name for name in dictionary().sources if name.startswith(("voice__", "decide__"))}
    filled_in_elsewhere = {"voice__excerpts", "voice__ratings", "voice__ladders"}
    assert said - filled_in_elsewhere <= set(OF_PEOPLE)


@pytest.mark.parametrize("source_id", GENERATED)
def test_what_is_filled_in_is_read_as_it_was_meant(source_id, folder, tmp_path):
    """The generated answers, written in a form in the words of people and read back."""
    city = load_city(folder)
    given = read_source(city, source_id, (2026,)).rows.drop(PROVENANCE)
    other = mapped(folder, tmp_path / "demo_city", **{source_id: {"form": "filled.xlsx"}})
    written = given
    if "participant_hash" in given.columns:
        # Codes are hashed at the door: what is read twice is hashed twice, and equal once sorted.
        codes = {key: f"k{n}" for n, key in enumerate(given["participant_hash"].unique().sort())}
        written = given.with_columns(pl.col("participant_hash").replace(codes))
    write_form(source_id, other / "files" / "filled.xlsx", city, typed(written))
    again = read_source(load_city(other), source_id, (2026,))
    read = again.rows.drop(PROVENANCE)
    assert again.rejected.is_empty()
    assert given.height > 4
    if "participant_hash" in given.columns:
        pairs = pl.DataFrame({"a": given["participant_hash"], "b": read["participant_hash"]})
        assert pairs.unique().height == given["participant_hash"].n_unique()
        given, read = (frame.drop("participant_hash") for frame in (given, read))
    assert read.equals(given)


def typed(rows: pl.DataFrame) -> pl.DataFrame:
    """Return texts of the contract as the types in which a form holds them."""
    fields = dictionary().fields
    read = {
        "DATE": lambda name: pl.col(name).str.to_date(),
        "INTEGER": lambda name: pl.col(name).cast(pl.Int64),
        "DOUBLE": lambda name: pl.col(name).cast(pl.Float64),
    }
    return rows.with_columns(
        read[fields[name].type](name) for name in rows.columns if fields[name].type in read
    )


@pytest.mark.parametrize("source_id", GENERATED)
def test_a_form_that_comes_back_is_known_for_what_it_is(source_id, folder, tmp_path, capsys):
    """Under another name, with rows: the draft is the one line that city.yaml needs."""
    city = load_city(folder)
    rows = read_source(city, source_id, (2026,)).rows.drop(PROVENANCE)
    write_form(source_id, tmp_path / "חזר מהוועדה.xlsx", city, typed(rows.head(3)))
    assert propose([str(tmp_path / "חזר מהוועדה.xlsx")]) == 0
    drafted = yaml.safe_load(capsys.readouterr().out)["sources"]
    assert drafted == {source_id: {"form": "חזר מהוועדה.xlsx"}}
    place = mapped(folder, tmp_path / "demo_city", **drafted)
    assert load_city(place).city.sources[source_id][0].sheet == FORM_SHEET


def test_the_command_writes_each_form_once_and_touches_none_that_is_there(folder, capsys):
    assert main([str(folder)]) == 0
    paths = sorted((folder / "forms").glob("*.xlsx"))
    assert [path.stem for path in paths] == sorted({*form_sources()} - {STATUS})
    paths[0].write_bytes(b"filled in by somebody")
    assert main([str(folder)]) == 0
    assert "left as it is" in capsys.readouterr().out
    assert paths[0].read_bytes() == b"filled in by somebody"


@pytest.mark.parametrize("source_id", OF_PEOPLE)
def test_a_form_is_right_to_left_locked_with_lists_and_its_columns(source_id, folder, tmp_path):
    path = tmp_path / "form.xlsx"
    write_form(source_id, path, load_city(folder))
    table, fields = dictionary().contract(source_id), dictionary().fields
    with zipfile.ZipFile(path) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        styles = book.read("xl/styles.xml").decode()
    assert 'rightToLeft="1"' in sheet
    assert "<sheetProtection" in sheet
    assert 'protection locked="0"' in styles
    listed = [name for name in table.contract if fields[name].allowed or name == "semel_mosad"]
    assert sheet.count('type="list"') >= len(listed)
    read = fastexcel.read_excel(path).load_sheet(FORM_SHEET, header_row=FORM_HEADER_ROW - 1)
    assert [column.name for column in read.available_columns()] == [
        fields[name].he for name in table.contract
    ]


def test_an_empty_form_holds_no_row(folder, tmp_path):
    city = load_city(folder)
    other = mapped(folder, tmp_path / "demo_city", voice__wheel={"form": "empty.xlsx"})
    write_form("voice__wheel", other / "files" / "empty.xlsx", city)
    assert read_source(load_city(other), "voice__wheel", (2026,)).rows.is_empty()


def test_the_same_form_twice_is_the_same_bytes(folder, tmp_path):
    city = load_city(folder)
    for name in ("a.xlsx", "b.xlsx"):
        write_form("voice__cards", tmp_path / name, city)
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()


def test_a_form_of_a_source_without_one_is_refused_in_both_languages(folder, tmp_path):
    other = mapped(folder, tmp_path / "demo_city", tests__pupil_scores={"form": "x.xlsx"})
    with pytest.raises(CityError, match="no form is written for source") as error:
        load_city(other)
    assert "אין טופס למקור" in error.value.he


def test_a_form_filled_in_carelessly_is_told_by_its_rows(folder, tmp_path, connection):  # noqa: F811
    """What a locked list would refuse can be pasted all the same: the reader checks it again."""
    city = load_city(folder)
    rows = read_source(city, "voice__practices", (2026,)).rows.drop(PROVENANCE).head(2)
    rows = rows.with_columns(criteria_field=pl.Series(["learning_gap", "no such field"]))
    other = mapped(folder, tmp_path / "demo_city", voice__practices={"form": "p.xlsx"})
    write_form("voice__practices", other / "files" / "p.xlsx", city, typed(rows))
    read = read_source(load_city(other), "voice__practices", (2026,)).rows
    connection.register("read", read)
    connection.execute("CREATE TABLE raw.raw_register__schools AS SELECT '900001' AS semel_mosad")
    connection.execute(
        "CREATE TABLE raw.raw_register__merges AS SELECT '900001' AS semel_mosad_old"
    )
    query = quarantine_query("voice__practices", "read", references_of(city, (), ()))
    found = connection.sql(query).pl().filter(column_name="criteria_field")
    assert found["file_row"].to_list() == [FORM_HEADER_ROW + 2]


def test_the_status_of_the_work_plan_comes_back_as_it_was_filled_in(folder, tmp_path):
    """Rows of the plan stand in it, locked, with what is told beside them; months come back."""
    city = load_city(folder)
    filled = pl.DataFrame(
        {
            "plan_row_ref": ["900001/milat", "city/gifted_center"],
            "status_on": [date(2026, 11, 28), date(2026, 11, 28)],
            "work_status": ["running", "not_started"],
            "participants_now": [12, 0],
            "milestone_done": ["opened", None],
            "status_note": [None, "נפתח באיחור של שבועיים"],
        }
    )
    beside = pl.DataFrame({"בית ספר": ["אלון", "העיר כולה"], "עלות (₪)": [1200.5, 0.0]})
    source = {"act__plan_status": {"form": "status.xlsx"}}
    other = mapped(folder, tmp_path / "demo_city", **source)
    path = other / "files" / "status.xlsx"
    write_form("act__plan_status", path, city, filled, beside)
    read = read_source(load_city(other), "act__plan_status", (2026,)).rows.drop(PROVENANCE)
    told = filled.with_columns(pl.col("status_on", "participants_now").cast(pl.String))
    assert read.sort("plan_row_ref").equals(told.sort("plan_row_ref"))
    with zipfile.ZipFile(path) as packed:
        sheet = packed.read("xl/worksheets/sheet1.xml").decode()
    assert "<sheetProtection" in sheet
    assert sheet.count("<row ") <= FORM_HEADER_ROW + filled.height, "no row is asked for twice"


def test_goals_come_back_as_they_were_filled_in(folder, tmp_path):
    filled = pl.DataFrame(
        {
            "goal_row_id": ["g1"],
            "planning_year": [2027],
            "semel_mosad": ["900003"],
            "indicator_id": ["gap_math"],
            "target_value": [0.1],
            "due_on": [date(2027, 6, 10)],
            "how_known_he": ["מבחן העיר בסוף השנה"],
            "plan_owner": ["רכז/ת מתמטיקה"],
        }
    )
    other = mapped(folder, tmp_path / "demo_city", act__goals={"form": "goals.xlsx"})
    write_form("act__goals", other / "files" / "goals.xlsx", load_city(folder), filled)
    read = read_source(load_city(other), "act__goals", (2026,)).rows.drop(PROVENANCE)
    assert read.equals(filled.with_columns(pl.all().cast(pl.String)))


FOLLOW_UP = {
    "act__tickets": [
        {
            "ticket_id": "t1",
            "planning_year": 2027,
            "shown_release": "0123456789abcdef",
            "semel_mosad": "900001",
            "asked_by_role": "principal",
            "asked_on": date(2026, 10, 11),
            "ticket_kind": "correct",
            "ticket_cell": "mart_gap_school/semel_mosad=900001;subject=math/gap_sd",
            "value_said": "0.25",
            "ticket_reason": "כיתה אחת נרשמה פעמיים",
            "ticket_answer": "accepted",
            "answered_by_role": "registrar",
            "answer_reason": "נבדק מול המרשם",
            "answered_on": date(2026, 10, 18),
        },
        {
            "ticket_id": "t2",
            "planning_year": 2027,
            "shown_release": "0123456789abcdef",
            "semel_mosad": "900002",
            "asked_by_role": "teacher",
            "asked_on": date(2026, 11, 1),
            "ticket_kind": "ask",
            "ticket_cell": "mart_work_plan/plan_row_id=900002/milat/cost_agorot",
            "ticket_reason": "מה כלול בעלות?",
        },
    ],
    "act__recipients": [
        {
            "recipient_id": "r1",
            "role": "principal",
            "audience": "principals",
            "semel_mosad": "900001",
            "recipient_language": "hebrew",
            "recipient_address": "office@example.org",
        },
        {
            "recipient_id": "r2",
            "role": "council_member",
            "audience": "committee",
            "recipient_language": "english",
            "recipient_address": "council.member@example.org",
        },
    ],
    "act__receipts": [
        {
            "recipient_id": "r1",
            "shown_release": "0123456789abcdef",
            "acknowledged_on": date(2026, 10, 20),
        }
    ],
}


@pytest.mark.parametrize("source_id", FOLLOW_UP)
def test_tickets_and_lists_come_back_as_they_were_filled_in(source_id, folder, tmp_path):
    city, columns = load_city(folder), dictionary().contract(source_id).contract
    given = [dict.fromkeys(columns) | row for row in FOLLOW_UP[source_id]]
    other = mapped(folder, tmp_path / "demo_city", **{source_id: {"form": "filled.xlsx"}})
    filled = pl.DataFrame(given, infer_schema_length=None)
    write_form(source_id, other / "files" / "filled.xlsx", city, filled)
    read = read_source(load_city(other), source_id, (2026,))
    assert read.rejected.is_empty()
    expected = [
        {name: None if value is None else str(value) for name, value in row.items()}
        for row in given
    ]
    assert read.rows.drop(PROVENANCE).to_dicts() == expected


def test_without_a_decided_plan_there_is_no_status_to_fill_in(folder, capsys, monkeypatch):
    monkeypatch.setenv("TIKKUN_DATA_MARTS", str(folder / "nowhere"))
    assert main([str(folder)]) == 0
    assert "once a plan is decided" in capsys.readouterr().out
    assert not (folder / "forms" / "act__plan_status.xlsx").exists()


def test_what_is_typed_from_the_papers_is_read_back_sheet_by_sheet(folder, tmp_path, capsys):
    """The one entry sheet: filled with what the generated city says, mapped as `propose` drafts."""
    city = load_city(folder)
    given, written = {}, {}
    for source_id in AT_THE_TABLE:
        rows = read_source(city, source_id, (2026,)).rows.drop(PROVENANCE)
        codes = {key: f"k{n}" for n, key in enumerate(rows["participant_hash"].unique().sort())}
        given[source_id] = rows
        written[source_id] = typed(
            rows.with_columns(pl.col("participant_hash").replace(codes)).head(ROWS)
        )
    path = tmp_path / "entry.xlsx"
    write_entry_sheet(path, city, written)
    assert propose([str(path)]) == 0
    drafted = yaml.safe_load(capsys.readouterr().out)["sources"]
    assert drafted == {
        source_id: {"form": "entry.xlsx", "sheet": dictionary().source_he(source_id)}
        for source_id in AT_THE_TABLE
    }
    other = mapped(folder, tmp_path / "demo_city", **drafted)
    shutil.copyfile(path, other / "files" / "entry.xlsx")
    for source_id in AT_THE_TABLE:
        again = read_source(load_city(other), source_id, (2026,))
        assert again.rejected.is_empty(), source_id
        read = again.rows.drop(*PROVENANCE, "participant_hash")
        expected = given[source_id].head(ROWS).drop("participant_hash")
        assert expected.height > 4
        assert read.equals(expected), source_id
        assert again.rows["participant_hash"].n_unique() == (
            given[source_id].head(ROWS)["participant_hash"].n_unique()
        )


def test_an_empty_entry_sheet_holds_no_row_and_is_known_for_what_it_is(folder, tmp_path):
    city = load_city(folder)
    sheets = {
        source_id: {"form": "entry.xlsx", "sheet": dictionary().source_he(source_id)}
        for source_id in AT_THE_TABLE
    }
    other = mapped(folder, tmp_path / "demo_city", **sheets)
    write_entry_sheet(other / "files" / "entry.xlsx", city)
    for source_id in AT_THE_TABLE:
        assert read_source(load_city(other), source_id, (2026,)).rows.is_empty()
    for name in ("a.xlsx", "b.xlsx"):
        write_entry_sheet(tmp_path / name, city)
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()
