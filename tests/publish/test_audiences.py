"""Who sees what: the policy's table of audiences, and what each of them really got."""

import shutil
from pathlib import Path

import fastexcel
import polars as pl
import pytest

from pipelines.publish.audiences import (
    Reader,
    check_reader,
    columns_of_schools,
    readers_of,
    schools_of,
    tables_for,
)
from pipelines.publish.marts import DATABASE, read_database
from pipelines.publish.suppression import PrivacyError, Thresholds
from pipelines.publish.workbook import WORKBOOK
from pipelines.settings.audiences import AUDIENCES, Audience, is_open
from pipelines.settings.city import load_city
from pipelines.settings.yaml_files import CityError

LIMITS = Thresholds(mean_pupils=10, count_pupils=5)
OUTSIDE = ("parents", "public")
# Words of what no outsider may be told of a school, as the dictionary's units name it.
CLOSED = ("SD", "pupils", "percent", "index", "rank", "share", "probability", "participants")


@pytest.fixture(scope="module")
def released(published):
    return {
        name: read_database(published.current / name / DATABASE)
        for name in AUDIENCES
        if name != "principals"
    }


def test_each_audience_gets_a_version_and_the_committee_all_of_it(released, published):
    found = {path.name for path in published.current.iterdir() if path.is_dir()}
    assert found == set(AUDIENCES)
    assert set(released["inspectors"]) < set(released["committee"])
    for name in OUTSIDE:
        assert "mart_plan_money" in released[name]
        assert set(released[name]) < set(released["committee"])


@pytest.mark.parametrize("name", OUTSIDE)
def test_outsiders_see_money_and_tiers_of_schools_and_no_number_of_children(released, name):
    from pipelines.settings.fields import dictionary

    of_schools = {n: f for n, f in released[name].items() if columns_of_schools(f)}
    assert {"mart_allocation_school", "mart_plan_money"} <= set(of_schools)
    for table, frame in of_schools.items():
        units = {column: dictionary().fields[column].unit for column in frame.columns}
        assert not [c for c, unit in units.items() if any(word in unit for word in CLOSED)], table
    assert {"need_tier", "cost_agorot"} <= set(released[name]["mart_allocation_school"].columns)
    assert released[name]["mart_gap_city"]["gap_sd"].count()  # of the city all is told


def test_a_principal_sees_the_own_school_and_public_money_of_others(published):
    schools = schools_of(read_database(published.current / "analyst" / DATABASE))
    folders = {path.name for path in (published.current / "principals").iterdir()}
    assert folders == set(schools)
    for school in schools[:2]:
        book = fastexcel.read_excel(published.current / "principals" / school / WORKBOOK)
        for title in book.sheet_names:
            told = book.load_sheet(title, header_row=None, dtypes="string").to_polars()
            cells = {str(c) for column in told.get_columns() for c in column.drop_nulls()}
            others = cells & set(schools) - {school}
            assert not others or _is_money(title), (title, others)


def _is_money(title):
    from pipelines.settings.fields import dictionary

    names = {he: name for name, he in dictionary().sheets.items()}
    return all(is_open(c) for c in dictionary().tables[names[title]].columns)


def _reader(schools, tables=("*",), name="public"):
    return Reader(name, Audience(tables=tables, schools=schools), LIMITS)


NEED = pl.DataFrame(
    {
        "semel_mosad": ["111111", "222222"],
        "school_name_he": ["א", "ב"],
        "need_tier": ["high", "low"],
        "need": [0.7, 0.2],
        "cost_agorot": [100, 200],
    }
)


class TestTables:
    def test_bands_leave_out_numbers(self):
        found = tables_for(_reader("bands"), {"mart_allocation_school": NEED})
        assert found["mart_allocation_school"].columns == [
            "semel_mosad",
            "school_name_he",
            "need_tier",
            "cost_agorot",
        ]

    def test_own_keeps_the_row_of_the_school_alone_with_its_numbers(self):
        reader = _reader("own", name="principals")
        found = tables_for(reader, {"mart_allocation_school": NEED}, "222222")
        assert found["mart_allocation_school"].rows() == [("222222", "ב", "low", 0.2, 200)]
        open_money = NEED.drop("need")
        found = tables_for(reader, {"mart_allocation_school": open_money}, "222222")
        assert found["mart_allocation_school"].height == 2

    def test_a_table_of_pairs_of_schools_has_no_version_for_one(self):
        peers = pl.DataFrame(
            {
                "semel_mosad": ["111111"],
                "subject": ["math"],
                "peer_semel_mosad": ["222222"],
                "peer_place": [1],
                "distance_sd": [0.1],
                "p_better": [0.9],
            }
        )
        reader = _reader("own", name="principals")
        assert tables_for(reader, {"mart_peer_school": peers}, "111111") == {}
        with pytest.raises(PrivacyError, match="mart_peer_school"):
            check_reader(reader, {"mart_peer_school": peers}, "111111")

    @pytest.mark.parametrize("schools", ["own", "bands"])
    def test_a_ranking_in_pairs_and_a_sentence_with_a_number_stay_inside(self, schools):
        pairs = pl.DataFrame(
            {"semel_mosad": ["111111"], "less_needy_semel_mosad": ["222222"], "p_needier": [0.99]}
        )
        spoken = pl.DataFrame(
            {"alert_id": ["a"], "semel_mosad": ["222222"], "alert_he": ["29 משתתפים מתוך 68"]}
        )
        by_value = pl.DataFrame({"division_id": ["222222"], "school_year": [2026], "pupils": [412]})
        told = {
            "mart_allocation_school": NEED.drop("need"),
            "mart_need_order": pairs,
            "mart_alert": spoken,
            "mart_parents_plan": by_value,
        }
        reader = _reader(schools, name="principals" if schools == "own" else "public")
        found = tables_for(reader, told, "111111")
        assert "mart_need_order" not in found
        assert not found.get("mart_alert", NEED.clear()).height or schools == "bands"
        assert "alert_he" not in found.get("mart_alert", pl.DataFrame()).columns or (
            found["mart_alert"].is_empty()
        )
        kept = found.get("mart_parents_plan", pl.DataFrame())
        assert "pupils" not in kept.columns or kept.is_empty()
        check_reader(reader, found, "111111")
        for name in ("mart_need_order", "mart_alert", "mart_parents_plan"):
            alone = {"mart_allocation_school": told["mart_allocation_school"], name: told[name]}
            with pytest.raises(PrivacyError, match=name):
                check_reader(reader, alone, "111111")

    def test_a_school_named_twice_in_a_row_is_no_pair(self):
        letters = pl.DataFrame(
            {
                "planning_year": [2027, 2027],
                "response_id": ["milat", "milat"],
                "funding_channel": ["gefen_school", "partner_ngo"],
                "school_or_city": ["222222", "city"],
                "semel_mosad": ["222222", None],
                "asked_agorot": [5, 6],
            }
        )
        reader = _reader("own", name="principals")
        found = tables_for(reader, {"mart_confirmation": letters}, "111111")
        assert found["mart_confirmation"].height == 2

    def test_the_check_catches_what_the_choice_let_through(self):
        with pytest.raises(PrivacyError, match=r"public would see mart_allocation_school \(need"):
            check_reader(_reader("bands"), {"mart_allocation_school": NEED})
        with pytest.raises(PrivacyError, match="of 1 schools"):
            check_reader(
                _reader("own", name="principals"), {"mart_allocation_school": NEED}, "111111"
            )
        with pytest.raises(PrivacyError, match="public would see mart_need_index"):
            check_reader(
                _reader("bands", tables=("mart_city",)), {"mart_need_index": pl.DataFrame()}
            )


class TestPolicy:
    @pytest.fixture
    def city(self, small_city, tmp_path) -> Path:
        shutil.copytree(small_city, tmp_path / "demo_city")
        return tmp_path / "demo_city"

    def _with(self, city, text):
        with (city / "policy.yaml").open("a", encoding="utf-8") as policy:
            policy.write(text)
        return load_city(city).policy

    def test_a_city_closes_an_audience_and_asks_for_larger_cells(self, city):
        ten = "{value: 10, unit: pupils, source: city, reason: ours}"
        policy = self._with(
            city, f"audiences:\n  parents: {{tables: []}}\n  public: {{count_pupils: {ten}}}\n"
        )
        found = {reader.name: reader.thresholds.count_pupils for reader in readers_of(policy)}
        assert "parents" not in found
        assert (found["public"], found["committee"]) == (10, 5)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("  public: {tables: [mart_gap_schol]}", "no published table is called"),
            ("  public: {schools: every}", "no list of schools by score"),
            ("  principals: {schools: every}", "no list of schools by score"),
            ("  committee: {tables: [mart_city]}", "answer for the whole plan"),
            ("  analyst: {schools: bands}", "answer for the whole plan"),
            ("  press: {tables: ['*'], schools: bands}", "press"),
            (
                "  public: {count_pupils: {value: 3, unit: pupils, source: s, reason: r}}",
                "greater than or equal to 5",
            ),
        ],
    )
    def test_what_no_city_may_choose_is_refused_with_its_line(self, city, text, said):
        with pytest.raises(CityError, match=said) as refused:
            self._with(city, f"audiences:\n{text}\n")
        assert "policy.yaml" in str(refused.value)
