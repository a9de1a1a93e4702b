"""What people fill in survives LibreOffice: locked, with its lists, and equal (R69, R76, R102)."""

from __future__ import annotations

import shutil
from datetime import date

import polars as pl
import pytest

from pipelines.demo.write import write_city
from pipelines.settings.city import load_city
from pipelines.settings.fields import PROVENANCE, dictionary
from pipelines.settings.keys import AGOROT
from pipelines.settings.mapping import FORM_HEADER_ROW, FORM_SHEET
from pipelines.sources.files import read_source
from pipelines.sources.forms import write_form
from tests.made import made
from tests.sources.test_forms import FOLLOW_UP, GENERATED, mapped, typed

from .office import Job, through_office

STATUS = "act__plan_status"
TOLD = "participant_hash"
LINES = ["900001/milat", "900002/posh", "city/gifted_center"]
COSTS = [120_055, 10, 99_999_901]
# What a school types in each row: day, status, participants, milestone, note.
TYPED = [
    ("2026-12-28", "running", "17", "opened", "נפתח בזמן; 3 קבוצות"),
    ("2026-12-28", "not_started", "0", None, "=אין מורה"),
    ("2026-12-27", "stopped", "4", "checked", None),
]


def status_form(path, city):
    """Write the work plan's status workbook as `make forms` does, with nothing filled in."""
    contract = dictionary().contract(STATUS).contract
    held = pl.DataFrame({"plan_row_ref": LINES}).with_columns(
        pl.lit(None, pl.String).alias(name) for name in contract if name != "plan_row_ref"
    )
    beside = pl.DataFrame(
        {"בית ספר": ["אלון", "ברוש", "העיר כולה"], "עלות (₪)": [c / AGOROT for c in COSTS]}
    )
    write_form(STATUS, path, city, held.select(contract), beside)


def as_typed():
    """Return what is typed: row, column, text as the lists show it."""
    columns = dictionary().contract(STATUS).contract
    for number, row in enumerate(TYPED):
        for column, value in zip(columns[1:], row, strict=True):
            if value is not None:
                shown = dictionary().label(column, value)
                yield FORM_HEADER_ROW + number, columns.index(column), shown


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("office") / "demo_city"
    write_city(made(1, "small", with_forecast=True), place)
    return place


@pytest.fixture(scope="module")
def asked(folder):
    """The rows of each form, in the contract's spelling."""
    city = load_city(folder)
    rows = {name: read_source(city, name, (2026,)).rows.drop(PROVENANCE) for name in GENERATED}
    codes = {
        name: frame.with_columns(pl.format("k{}", pl.col(TOLD).rank("dense")).alias(TOLD))
        for name, frame in rows.items()
        if TOLD in frame.columns
    }
    follow_up = {
        name: pl.DataFrame(
            [dict.fromkeys(dictionary().contract(name).contract) | row for row in given],
            infer_schema_length=None,
        )
        for name, given in FOLLOW_UP.items()
    }
    return {name: typed(frame) for name, frame in (rows | codes).items()} | follow_up


@pytest.fixture(scope="module")
def saved(folder, asked, tmp_path_factory):
    """Every form, opened and saved by LibreOffice: its path and what was found in it."""
    place, city = tmp_path_factory.mktemp("saved"), load_city(folder)
    jobs = {
        name: Job(place / f"{name}.xlsx", place / f"{name}_saved.xlsx", FORM_SHEET)
        for name in asked
    }
    for name, rows in asked.items():
        write_form(name, jobs[name].path, city, rows)
    jobs[STATUS] = Job(
        place / "status.xlsx",
        place / "status_filled.xlsx",
        FORM_SHEET,
        # The last is a cell of the plan, which takes nothing.
        (*as_typed(), (FORM_HEADER_ROW, 0, "900009/other")),
    )
    status_form(jobs[STATUS].path, city)
    # What LibreOffice wrote is opened and saved once more.
    jobs["again"] = Job(jobs[STATUS].saved, place / "status_again.xlsx", FORM_SHEET)
    found = through_office(place, *jobs.values())
    return {
        name: (job.saved, looked) for (name, job), looked in zip(jobs.items(), found, strict=True)
    }


def read_back(folder, place, source_id, path):
    other = mapped(folder, place / "demo_city", **{source_id: {"form": path.name}})
    shutil.copy(path, other / "files")
    return read_source(load_city(other), source_id, (2026,))


@pytest.mark.parametrize("source_id", [*GENERATED, *FOLLOW_UP])
def test_a_form_that_libreoffice_saved_is_read_as_it_was(source_id, folder, asked, saved, tmp_path):
    path, looked = saved[source_id]
    again = read_back(folder, tmp_path, source_id, path)
    assert again.rejected.is_empty()
    told = asked[source_id].with_columns(pl.all().cast(pl.String))
    read = again.rows.drop(PROVENANCE)
    if TOLD in read.columns:
        pairs = pl.DataFrame({"a": told[TOLD], "b": read[TOLD]}).unique()
        assert pairs.height == told[TOLD].n_unique() == read[TOLD].n_unique()
        told, read = told.drop(TOLD), read.drop(TOLD)
    assert as_numbers(source_id, read).equals(as_numbers(source_id, told))
    assert looked["is_protected"]


def as_numbers(source_id, rows):
    """Return rows with numbers as numbers: 12 and 12.0 are one."""
    fields = dictionary().fields
    return rows.with_columns(
        pl.col(name).cast(pl.Float64)
        for name in dictionary().contract(source_id).contract
        if name in rows.columns and fields[name].type in ("DOUBLE", "INTEGER", "BIGINT")
    )


@pytest.mark.parametrize("source_id", [*GENERATED, *FOLLOW_UP])
def test_only_what_is_asked_for_is_open_and_what_has_a_list_keeps_it(source_id, saved):
    contract, fields = dictionary().contract(source_id).contract, dictionary().fields
    first = saved[source_id][1]["cells"][FORM_HEADER_ROW]
    for name, (_, is_locked, has_list) in zip(contract, first, strict=False):
        assert not is_locked, name
        if fields[name].allowed or name == "semel_mosad":
            assert has_list, name
    head = saved[source_id][1]["cells"][FORM_HEADER_ROW - 1]
    assert all(is_locked for _, is_locked, _ in head)


def test_the_status_that_was_filled_in_comes_back(folder, saved, tmp_path):
    for number, name in enumerate((STATUS, "again")):
        place = tmp_path / str(number)
        place.mkdir()
        again = read_back(folder, place, STATUS, saved[name][0])
        assert again.rejected.is_empty()
        read = again.rows.drop(PROVENANCE).rows()
        assert read == [(line, *row) for line, row in zip(LINES, TYPED, strict=True)]


def test_what_the_plan_wrote_in_the_status_is_locked_and_adds_up_to_the_agora(saved):
    width = len(dictionary().contract(STATUS).contract)
    assert saved[STATUS][1]["refused"] == [[FORM_HEADER_ROW, 0]]
    for name in (STATUS, "again"):
        looked = saved[name][1]
        assert looked["is_protected"]
        rows = looked["cells"][FORM_HEADER_ROW:]
        assert [row[0][0] for row in rows] == LINES
        for row in rows:
            assert all(is_locked for _, is_locked, _ in (row[0], *row[width:]))
            assert not any(is_locked for _, is_locked, _ in row[1:width])
            assert (row[2][2], row[4][2]) == (True, True), "chosen from a list"
    read = pl.read_excel(
        saved["again"][0],
        sheet_name=FORM_SHEET,
        read_options={"header_row": FORM_HEADER_ROW - 1},
    )
    assert [round(AGOROT * cost) for cost in read["עלות (₪)"]] == COSTS


def test_a_day_and_a_number_are_no_texts(saved):
    read = pl.read_excel(
        saved["again"][0],
        sheet_name=FORM_SHEET,
        read_options={"header_row": FORM_HEADER_ROW - 1},
    )
    fields = dictionary().fields
    assert read[fields["status_on"].he].to_list() == [date.fromisoformat(r[0]) for r in TYPED]
    assert read[fields["participants_now"].he].to_list() == [int(r[2]) for r in TYPED]
