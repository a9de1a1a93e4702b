"""A registration forecast sizes the town's plan until the register of that year comes."""

import shutil

import polars as pl
import pytest
import yaml

from pipelines.commands.check import main as check
from pipelines.commands.new_city import main as new_city
from pipelines.rehearsal import rehearse
from pipelines.settings.city import load_city, load_sources
from tests.cities.first_day import FORESEEN, account_quickly, write_forecast
from tests.cities.five_schools import SCHOOLS, write_year
from tests.runs import run_of


def sized(folder):
    done = rehearse(load_sources(folder), checked=False)
    rows = done.table("SELECT * FROM mart.mart_planned_pupils ORDER BY semel_mosad")
    return {int(row["semel_mosad"]): row for row in rows.iter_rows(named=True)}, done


def september(folder):
    """The register of the planned year comes, and the planned year stays."""
    aside = folder.parent / "aside"
    write_year(aside, 2027)
    [path] = aside.glob("מצבת*")
    shutil.copy(path, folder / "files")
    text = (folder / "policy.yaml").read_text(encoding="utf-8")
    (folder / "policy.yaml").write_text(text + "\n# checked by the council\n", encoding="utf-8")
    assert new_city([str(folder)]) == 0


def test_it_is_known_by_its_headers_and_no_year_of_data(foreseen):
    held = load_city(foreseen)
    [mapping] = held.city.sources["register__forecast"]
    assert mapping.columns["forecast_pupils"] == "צפי תלמידים"
    assert mapping.constants["school_year"] == "2027"
    assert held.city.school_years.last == held.city.school_years.reference == 2026
    assert held.policy.planning_year.value == 2027


def test_the_plan_is_sized_by_it_where_it_is_given(foreseen):
    rows, _ = sized(foreseen)
    assert {code: row["pupils"] for code, row in rows.items() if code in FORESEEN} == FORESEEN
    assert {rows[code]["planned_by"] for code in FORESEEN} == {"forecast"}
    assert rows[412316]["forecast_change_pupils"] == 500 - 412
    assert rows[414775]["planned_by"] == "last_register"
    assert rows[414775]["pupils"] == 187


def test_without_one_the_last_register_stands(town):
    rows, _ = sized(town)
    assert {row["planned_by"] for row in rows.values()} == {"last_register"}
    assert {code: row["pupils"] for code, row in rows.items()} == {s[0]: s[4] for s in SCHOOLS}


def test_the_register_of_that_year_wins(copy_foreseen):
    september(copy_foreseen)
    rows, _ = sized(copy_foreseen)
    assert {row["planned_by"] for row in rows.values()} == {"register"}
    assert {code: row["pupils"] for code, row in rows.items()} == {s[0]: s[4] + 4 for s in SCHOOLS}
    assert rows[412316]["forecast_change_pupils"] == 500 - 416
    assert rows[414775]["forecast_pupils"] is None


def test_rows_that_cannot_be_are_set_aside_with_their_reason(copy, capsys):
    rows = (
        (412316, 500),
        (412324, -3),
        (413148, 0),
        (413520, "הרבה"),
        (999999, 100),
        (412316, 480),
        (414775, 190.5),
    )
    write_forecast(copy / "files", rows)
    assert new_city([str(copy)]) == 0
    found, done = sized(copy)
    aside = done.table(
        "SELECT file_row FROM raw.raw_quarantine WHERE source_id = 'register__forecast'"
    )
    assert set(aside["file_row"]) >= {6, 7, 8, 9, 11}  # the header stands in row 4
    assert found[412324]["planned_by"] == "last_register"
    assert found[412316]["forecast_pupils"] in (500, 480, None)
    check([str(copy), "--source", "register__forecast"])
    said = capsys.readouterr().out
    assert "999999" in said or "בתי הספר" in said


def test_it_has_an_empty_form(tmp_path):
    from pipelines.sources.forms import form_sources

    assert "register__forecast" in form_sources()


def expect_sized(release, *, by_forecast):
    """The plan of a release is sized by the planned pupils, and its pages say by what."""
    shown = release / "analyst"
    planned = pl.read_parquet(shown / "mart_planned_pupils.parquet")
    need = pl.read_parquet(shown / "mart_need_index.parquet")
    schools = pl.read_parquet(shown / "mart_allocation_school.parquet")
    for frame in (need, schools):
        both = frame.join(planned, on="semel_mosad", suffix="_planned")
        assert (both["pupils"] == both["pupils_planned"]).all()
    shares = yaml.safe_load((shown / "policy.yaml").read_text(encoding="utf-8"))["responses"]
    lines = pl.read_parquet(shown / "mart_allocation.parquet").join(
        planned.select("semel_mosad", size="pupils"), on="semel_mosad"
    )
    for response, participants, size in lines.select(
        "response_id", "participants", "size"
    ).iter_rows():
        share = shares[response]["served_share"]["value"]
        assert participants == pytest.approx(share * size, abs=0.51)
    page = (shown / "annex" / "allocation.html").read_text(encoding="utf-8")
    assert "לפי תחזית הרישום" in page
    school = (shown / "schools" / "412316.html").read_text(encoding="utf-8")
    assert ("לפי תחזית הרישום" in school) is by_forecast


@pytest.mark.slow  # the release before the register comes is that of the guide (test_guide.py)
def test_a_release_says_that_the_plan_is_sized_by_the_register(copy_foreseen):
    september(copy_foreseen)
    account_quickly(copy_foreseen)
    run = run_of(copy_foreseen)
    assert run.code == 0, run.said
    expect_sized(run.place.current, by_forecast=False)
