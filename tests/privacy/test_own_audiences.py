"""Audiences with folders or thresholds of their own: what each was told is attacked by itself."""

import polars as pl
import pytest

from pipelines.publish.audiences import Reader, tables_for
from pipelines.publish.build import intrude_each
from pipelines.publish.disclosure import fewest_told, hide, read, round_off
from pipelines.publish.marts import write_marts
from pipelines.publish.pages.base import ReportContext, number
from pipelines.publish.suppression import (
    PrivacyError,
    Thresholds,
    protect_each,
    suppress,
    without_few,
)
from pipelines.publish.told import before_by_thresholds, told_by
from pipelines.publish.workbook import WORKBOOK, write_workbook
from pipelines.settings.audiences import Audience

CITY, OWN = Thresholds(10, 5), Thresholds(20, 10)
SCHOOLS = ("900001", "900002")
CONTEXT = ReportContext("עיר", True, 2026, 2027, "כל בתי הספר", "2024–2026", ())
KEY = ["semel_mosad", "response_id", "group_id"]


def reader(name, schools, thresholds):
    return Reader(name, Audience(tables=("*",), schools=schools), thresholds)


ANALYSTS = reader("analyst", "every", CITY)
PRINCIPALS = reader("principals", "own", OWN)
INSPECTORS = reader("inspectors", "every", OWN)


def marts(boys=7, others=(33, 24, 36)):
    """Two schools whose girls and boys take part in a response: seven boys of the first do."""
    girls, second_girls, second_boys = others
    rows = [
        *(("900001", "all", 140, girls + boys), ("900001", "girls", 70, girls)),
        *(("900001", "boys", 70, boys), ("900002", "all", 160, second_girls + second_boys)),
        *(("900002", "girls", 80, second_girls), ("900002", "boys", 80, second_boys)),
    ]
    columns = ["semel_mosad", "group_id", "group_pupils", "participants"]
    groups = [("girls", "בנות", "sex"), ("boys", "בנים", "sex")]
    asked = [
        ("policy.suppression.count_pupils", "5"),
        ("policy.audiences.principals.count_pupils", "10"),
        ("policy.audiences.inspectors.count_pupils", "10"),
    ]
    return {
        "mart_city": pl.DataFrame(
            {"scope": ["all"], "window_first_year": [2024], "window_last_year": [2026]}
        ),
        "mart_group": pl.DataFrame(
            groups, ["group_id", "group_name_he", "group_dimension"], orient="row"
        ),
        "mart_parameter": pl.DataFrame(asked, ["parameter_id", "parameter_value"], orient="row"),
        "mart_response_group": pl.DataFrame(rows, columns, orient="row").with_columns(
            response_id=pl.lit("milat"),
            goal_id=pl.lit("literacy"),
            dose=pl.lit(1.0),
            cell_pupils=pl.lit(30),
        ),
    }


def written(folder, readers, tables, before=None, shown=None):
    """Write what each audience gets, as a release does; `shown` is what one gets instead."""
    found = protect_each(tables, [one.thresholds for one in readers], before)
    for one in readers:
        told = (shown or {}).get(one.name)
        if told is None:
            told = suppress(tables, one.name, one.thresholds, found[one.thresholds])
            told = {name: told[name] for name in tables}
        if one.may.schools != "own":
            write_marts(folder / one.name, tables_for(one, told))
            continue
        for school in SCHOOLS:
            (folder / one.name / school).mkdir(parents=True)
            own = tables_for(one, told, school)
            write_workbook(folder / one.name / school / WORKBOOK, own, CONTEXT)
    return folder


def counts(frame, school="900001"):
    rows = frame.filter(semel_mosad=school).select("group_id", "participants")
    return dict(rows.iter_rows())


def page(tables, **at):
    """A page of the first school on which one number stands."""
    rows = tables["mart_response_group"].filter(semel_mosad="900001", group_id=at["group"])
    return f"<p>{number('mart_response_group', rows.row(0, named=True), at['column'])}"


@pytest.fixture
def release(tmp_path):
    return written(tmp_path, (ANALYSTS, PRINCIPALS), marts())


def test_seven_are_told_to_analysts_and_to_no_principal(release):
    intrude_each(release, (ANALYSTS, PRINCIPALS), marts())
    by_group = {
        name: {
            c.at[0][1]: c
            for c in told_by(release, name).cells.values()
            if c.count == "participants"
        }
        for name in ("analyst", "principals")
    }
    assert all(cell.is_told for cell in by_group["analyst"].values())
    cells = told_by(release, "principals").cells
    first = {
        n: c.is_told for n, c in cells.items() if n.startswith("participants") and "900001" in n
    }
    assert sorted(first.values()) == [False, False, True], "the boys, and who would tell them"


def test_a_sheet_of_one_school_that_tells_more_is_refused(release):
    own = tables_for(PRINCIPALS, marts(), "900001")
    write_workbook(release / "principals" / "900001" / WORKBOOK, own, CONTEXT)
    with pytest.raises(PrivacyError, match=r"principals: .* of participants"):
        intrude_each(release, (ANALYSTS, PRINCIPALS), marts())


def test_a_sheet_that_tells_whoever_would_tell_the_few_is_refused(release):
    tables = marts()
    few = {n for n, c in read(tables).cells.items() if c.value == 7}
    own = tables_for(PRINCIPALS, hide(tables, few), "900001")
    assert counts(own["mart_response_group"])["girls"] == 33
    write_workbook(release / "principals" / "900001" / WORKBOOK, own, CONTEXT)
    with pytest.raises(PrivacyError, match=r"principals: .* of participants"):
        intrude_each(release, (ANALYSTS, PRINCIPALS), tables)


def test_a_page_of_one_school_that_tells_more_is_refused(release):
    path = release / "principals" / "900001" / "index.html"
    path.write_text(page(marts(), group="all", column="group_pupils"), encoding="utf-8")
    intrude_each(release, (ANALYSTS, PRINCIPALS), marts())
    path.write_text(page(marts(), group="girls", column="participants"), encoding="utf-8")
    with pytest.raises(PrivacyError, match=r"principals: .* of participants"):
        intrude_each(release, (ANALYSTS, PRINCIPALS), marts())


def test_tables_of_an_audience_with_larger_cells_are_attacked_by_its_own(tmp_path):
    readers = (ANALYSTS, INSPECTORS)
    intrude_each(written(tmp_path / "a", readers, marts()), readers, marts())
    by_city = written(tmp_path / "b", readers, marts(), shown={"inspectors": marts()})
    with pytest.raises(PrivacyError, match=r"inspectors: .* of participants"):
        intrude_each(by_city, readers, marts())


def test_two_audiences_do_not_hide_another_cell_each_for_the_same_count(tmp_path):
    """Three boys: analysts miss the girls beside them, and principals must not be told these."""
    tables, readers = marts(boys=3), (ANALYSTS, PRINCIPALS)
    found = protect_each(tables, [one.thresholds for one in readers])
    assert found[CITY].hidden <= found[OWN].hidden
    intrude_each(written(tmp_path / "a", readers, tables), readers, tables)
    few = {n for n, c in read(tables).cells.items() if c.value == 3}
    names = {
        n for n, c in read(tables).cells.items() if c.count == "participants" and "900001" in n
    }
    girls = {n for n in names if "group=girls" in n}
    shown = {
        "analyst": hide(tables, few | girls),
        "principals": hide(tables, few | (names - few - girls)),
    }
    other = written(tmp_path / "b", readers, tables, shown=shown)
    for one in readers:
        intrude_each(other, (one,), tables)
    with pytest.raises(PrivacyError, match=r"all audiences together: .* of participants"):
        intrude_each(other, readers, tables)


def test_an_audience_is_held_against_what_itself_was_told(tmp_path):
    """One night the girls are hidden beside the boys, the next the total would be."""
    readers, tables = (ANALYSTS, PRINCIPALS), marts()
    first = written(tmp_path / "first", readers, tables)
    before = before_by_thresholds(readers, [first])
    assert {len(told) for told in before.values()} == {1}
    intrude_each(written(tmp_path / "same", readers, tables, before), readers, tables, before)
    cells = told_by(first, "principals").cells
    names = {n for n in cells if n.startswith("participants") and "900001" in n}
    told = {n for n in names if cells[n].is_told}
    few = {n for n in names if "group=boys" in n}
    assert len(told) == 1
    swapped = written(
        tmp_path / "swapped", readers, tables, shown={"principals": hide(tables, few | told)}
    )
    intrude_each(swapped, readers, tables)
    with pytest.raises(PrivacyError, match=r"principals: .* of participants"):
        intrude_each(swapped, readers, tables, before)


def test_what_is_kept_of_an_audience_with_the_analysts_thresholds_is_theirs(tmp_path):
    readers = (ANALYSTS, reader("inspectors", "every", CITY))
    plain = marts()
    plain["mart_parameter"] = plain["mart_parameter"].head(1)
    release = written(tmp_path, readers, plain)
    (told,) = before_by_thresholds(readers, [release])[CITY]
    assert told.cells == told_by(release, "analyst").cells


def untested(n, pct):
    return {
        "mart_parameter": marts()["mart_parameter"],
        "mart_test_participation": pl.DataFrame(
            {
                "semel_mosad": ["900001"],
                "school_year": [2026],
                "test_source": ["meitzav"],
                "listed_pupils": [n],
                "untested_pct": [pct],
                "untested_lo_pct": [0.0],
                "untested_hi_pct": [9.0],
                "small_pupils": [None],
            },
            schema_overrides={"small_pupils": pl.Int32},
        ),
    }


@pytest.mark.parametrize("cases", range(0, 401, 13))
def test_larger_cells_round_shares_by_their_own_size_and_say_no_more_than_the_finer(cases):
    tables = untested(400, cases / 4)
    finer, coarser = (
        without_few(tables, "committee", limits)["mart_test_participation"].row(0, named=True)
        for limits in (CITY, OWN)
    )
    assert (finer["untested_pct"] % 2, coarser["untested_pct"] % 5) == (0, 0)
    twice = untested(400, finer["untested_pct"])["mart_test_participation"]
    again = round_off("mart_test_participation", twice, fewest_told(tables, 10))
    assert coarser["untested_pct"] == again["untested_pct"].item()
    assert coarser["untested_lo_pct"] <= finer["untested_lo_pct"] + 1e-6
    assert coarser["untested_hi_pct"] >= finer["untested_hi_pct"] - 1e-6
