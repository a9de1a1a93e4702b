"""Readers, the door and the quarantine: nothing lost, nothing personal kept, every fault named."""

import shutil
import string

import duckdb
import polars as pl
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.settings.city import CityError, load_city
from pipelines.settings.fields import dictionary
from pipelines.sources.admission import DEMO_KEY, hash_ids, pupil_key
from pipelines.sources.files import city_files_state, read_source, source_files
from pipelines.sources.quarantine import References, quarantine_query
from pipelines.warehouse.generated_sql import generated_sql
from tests.examples import examples

YEARS = (2022, 2023, 2024, 2025, 2026)


@pytest.fixture
def copy(small_city, tmp_path):
    folder = tmp_path / "demo_city"
    shutil.copytree(small_city, folder, ignore=shutil.ignore_patterns("truth"))
    return folder


def quarantined(source_id, rows, known=None):
    connection = duckdb.connect()
    connection.register("rows", rows)
    connection.execute("CREATE TABLE raw AS SELECT * FROM rows")
    return connection.sql(quarantine_query(source_id, "raw", known)).pl()


def test_hebrew_headers_and_values_of_a_workbook_become_ours(copy):
    rows = read_source(load_city(copy), "register__schools", YEARS).rows
    assert rows.columns == [
        *dictionary().contract("register__schools").contract,
        "file_name",
        "file_hash",
        "file_row",
    ]
    assert set(rows["supervision_stream"]) <= {"state", "state_religious", "haredi"}
    assert rows["file_row"].min() == 2
    assert quarantined("register__schools", rows).is_empty()


def test_pupil_ids_are_hashed_with_the_key(copy):
    city = load_city(copy)
    ids = pl.read_csv(copy / "files" / "pupils_2026.csv", infer_schema=False)["pupil_id"]
    rows = read_source(city, "register__pupils", [2026]).rows
    assert rows["pupil_hash"].n_unique() == ids.n_unique()
    assert not set(rows["pupil_hash"]) & set(ids)
    assert rows["pupil_hash"].str.contains("^[0-9a-f]{32}$").all()


def test_a_decision_without_a_reason_or_signed_by_a_person_is_set_aside(copy):
    path = copy / "files" / "decisions.csv"
    held = pl.read_csv(path, infer_schema=False)
    held[0, "reason"], held[1, "decided_by"], held[2, "decision"] = None, "דנה כהן", "לוותר"
    held.write_csv(path)
    rows = read_source(load_city(copy), "aim__decisions", YEARS).rows
    found = quarantined("aim__decisions", rows).select("file_row", "column_name", "reason_code")
    assert found.sort("file_row").rows() == [
        (2, "decision_reason", "missing"),
        (3, "decided_by_role", "not_allowed"),
    ]
    assert rows["decision"][2] == "drop"  # the label a committee writes


def test_a_real_city_may_not_use_the_demonstration_key(monkeypatch):
    disguised = (f" {DEMO_KEY}\n", DEMO_KEY.upper(), DEMO_KEY.replace("-", " -"), f"{DEMO_KEY}x")
    disguised += (
        DEMO_KEY.replace("-", "_"),
        DEMO_KEY.replace("o", "oo"),
        DEMO_KEY.replace("-", "\n"),
    )
    for value in ("", DEMO_KEY, *disguised, "short", "k" * 40, "ab" * 20):
        monkeypatch.setenv("TIKKUN_PUPIL_KEY", value)
        with pytest.raises(CityError, match="key"):
            pupil_key(is_synthetic=False)
    monkeypatch.setenv("TIKKUN_PUPIL_KEY", "0123456789abcdef" * 2)
    hashed = hash_ids(pl.Series(["991", None, "992", "991"]), is_synthetic=False)
    assert hashed[0] == hashed[3] != hashed[2]
    assert hashed[1] is None


@pytest.mark.parametrize(
    "text",
    [
        "12345678",
        "12345678.0",
        "01234567-8",
        "012 345 678",
        "'012345678",
        "1.2345678E+07",
        "012345678\u00a0",
    ],
)
def test_one_child_is_one_child_however_the_id_is_spelt(text, monkeypatch):
    monkeypatch.setenv("TIKKUN_PUPIL_KEY", "0123456789abcdef" * 2)
    same, other = hash_ids(pl.Series(["012345678", "1.23E+07"]), is_synthetic=False)
    assert hash_ids(pl.Series([text]), is_synthetic=False)[0] == same
    assert other != hash_ids(pl.Series(["12300000"]), is_synthetic=False)[0], "its digits are lost"


@pytest.mark.parametrize("real", ["990000002", "99000000-2", "990000002.0"])
def test_a_city_is_synthetic_by_its_ids_and_not_by_what_it_says(real):
    """Ids of the generator have a wrong check digit; one right one could be a child's."""
    generated = ["990000001", "990000003"]
    assert hash_ids(pl.Series(generated), is_synthetic=True).null_count() == 0
    with pytest.raises(CityError, match="is_synthetic: false") as refused:
        hash_ids(pl.Series([*generated, real]), is_synthetic=True)
    assert "99000000" not in str(refused.value)


def test_a_programme_called_total_is_kept_and_a_row_of_totals_is_not(copy):
    held = pl.read_excel(copy / "files" / "registry.xlsx", infer_schema_length=0)
    code, name = held.columns[0], "מענה (באנגלית)"
    added = held.head(2).with_columns(pl.Series(code, ["tpr", 'סה"כ']))
    added = added.with_columns(pl.Series(name, ["Total Physical Response", None]))
    pl.concat([held, added]).write_csv(copy / "files" / "registry.csv")
    source = (copy / "city.yaml").read_text(encoding="utf-8")
    as_csv = source.replace("registry.xlsx\n    format: xlsx", "registry.csv\n    format: csv")
    (copy / "city.yaml").write_text(as_csv, encoding="utf-8")
    found = read_source(load_city(copy), "programmes__registry", YEARS)
    assert "tpr" in found.rows["response_id"].to_list()
    assert found.rejected["reason_code"].to_list() == ["total_row"]


def test_percents_that_are_shares_are_refused_with_what_to_write(copy):
    city = load_city(copy)
    ((path, *_), *_) = source_files(city, "climate__facets", [2026])
    mapping = city.city.sources["climate__facets"][0]
    header = mapping.columns["agree_pct"]
    held = pl.read_csv(path, infer_schema=False)
    shares = held.with_columns((pl.col(header).cast(pl.Float64) / 100).cast(pl.String))
    shares.write_csv(path)
    with pytest.raises(CityError, match=r"units: \{agree_pct: share\}") as told:
        read_source(city, "climate__facets", [2026])
    assert "אחוז אחד" in told.value.he


def test_what_an_office_programme_lays_beside_an_open_workbook_is_passed_over(copy):
    before = read_source(load_city(copy), "register__merges", YEARS).rows
    source = (copy / "city.yaml").read_text(encoding="utf-8")
    assert "file: merges.csv" in source
    changed = source.replace("file: merges.csv", "file: '*merges.csv'")
    (copy / "city.yaml").write_text(changed, encoding="utf-8")
    (copy / "files" / "~$merges.csv").write_bytes(b"\x05dana")
    assert read_source(load_city(copy), "register__merges", YEARS).rows.equals(before)


@pytest.mark.parametrize(
    ("mean", "tested", "code"),
    [
        ("540", "30", "outside_scale"),
        ("0.71", "30", "outside_scale"),
        ("-3", "30", "outside_scale"),
        ("0", "30", "implausible"),
        ("71", "0", "implausible"),
        ("71", "30", None),
    ],
)
def test_a_published_mean_lies_on_its_scale_and_stands_on_somebody(mean, tested, code):
    row = {
        "semel_mosad": "900001",
        "school_year": "2026",
        "grade": "5",
        "subject": "math",
        "scale_id": "int",
        "score_mean": mean,
        "score_sd": "12",
        "tested_pupils": tested,
        "link_id": None,
    }
    rows = pl.DataFrame(
        [row | {"file_name": "f.csv", "file_hash": "0", "file_row": 2}],
        schema_overrides=dict.fromkeys(row, pl.String),
    )
    known = References(scales={"int": (0.0, 100.0)})
    found = quarantined("tests__school_means", rows, known)
    assert found.filter(pl.col("reason_code").is_in(["outside_scale", "implausible"]))[
        "reason_code"
    ].unique().to_list() == ([code] if code else [])


def test_rows_the_mapping_leaves_out_are_kept_apart_with_their_rows(copy):
    settings = yaml.safe_load((copy / "city.yaml").read_text(encoding="utf-8"))
    settings["sources"]["climate__facets"]["skip_where"] = {"facet": "rel.*", "agree_pct": ""}
    (copy / "city.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    whole = pl.concat(pl.read_csv(copy / "files" / f"climate_{year}.csv") for year in YEARS)
    left_out = whole.filter(pl.col("facet") == "relations").height
    read = read_source(load_city(copy), "climate__facets", YEARS)
    assert read.files["rows_in"].sum() == whole.height == read.rows.height + left_out
    assert set(read.rejected.select("column_name", "reason_code").rows()) == {("facet", "skipped")}
    assert read.rejected.height == left_out > 0
    assert "relations" not in read.rows["facet"]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"skip_where": {"school": "x"}}, "not among the mapped columns"),
        ({"skip_where": {"facet": "("}}, "no pattern"),
        ({"beside": [{"sheet": "b", "key": "facet", "columns": {"facet": "x"}}]}, "has no sheets"),
    ],
)
def test_an_option_that_means_nothing_is_refused_with_its_line(copy, option, said):
    settings = yaml.safe_load((copy / "city.yaml").read_text(encoding="utf-8"))
    settings["sources"]["climate__facets"] |= option
    (copy / "city.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    with pytest.raises(CityError, match=rf"line \d+, column \d+: sources.climate__facets.*{said}"):
        load_city(copy)


def test_missing_file_says_which_where_and_how(copy):
    (copy / "files" / "climate_2024.csv").unlink()
    with pytest.raises(CityError, match=r"climate_2024.csv.*not in any of.*files") as caught:
        read_source(load_city(copy), "climate__facets", YEARS)
    assert "climate_2024.csv" in caught.value.he


def test_wrong_column_names_those_that_are_there(copy):
    path = copy / "files" / "merges.csv"
    path.write_text(
        path.read_text(encoding="utf-8").replace("semel_mosad_old", "old_code"), encoding="utf-8"
    )
    with pytest.raises(CityError, match=r"merges.csv.*'semel_mosad_old'.*Columns there: old_code"):
        read_source(load_city(copy), "register__merges", YEARS)


def test_empty_year_is_not_read_as_nothing_happened(copy):
    path = copy / "files" / "attendance_2023.csv"
    path.write_text(path.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    with pytest.raises(CityError, match=r"attendance_2023.csv.*2023.*no rows"):
        read_source(load_city(copy), "attendance__pupil_years", YEARS)


def test_wrong_encoding_names_the_file(copy):
    raw = yaml.safe_load((copy / "city.yaml").read_text(encoding="utf-8"))
    raw["sources"]["context__stat_areas"]["encoding"] = "ascii"
    (copy / "city.yaml").write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    with pytest.raises(CityError, match=r"stat_areas.csv: cannot be read as csv \(ascii\)"):
        read_source(load_city(copy), "context__stat_areas", YEARS)


def test_one_year_reads_only_that_year(copy):
    rows = read_source(load_city(copy), "climate__facets", [2025]).rows
    assert set(rows["school_year"]) == {"2025"}
    assert set(rows["file_name"]) == {"climate_2025.csv"}
    # A file that holds many years is one thing: it is read whole.
    assert set(read_source(load_city(copy), "register__merges", [2025]).rows["school_year"]) == {
        "2024"
    }


def test_changed_file_changes_the_state(copy):
    city = load_city(copy)
    before = city_files_state(city)
    assert city_files_state(city) == before
    (copy / "files" / "merges.csv").write_bytes(b"semel_mosad_old,semel_mosad,school_year\n")
    assert city_files_state(city) != before


def _facets(**columns):
    base = {
        "semel_mosad": "900001",
        "school_year": "2026",
        "grade": "5",
        "facet": "safety",
        "agree_pct": "80.5",
        "respondents": "40",
        "eligible_pupils": "50",
    } | columns
    return pl.DataFrame(
        [base | {"file_name": "f.csv", "file_hash": "0", "file_row": 2}],
        schema_overrides=dict.fromkeys(base, pl.String),
    )


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("semel_mosad", None, "missing"),
        ("semel_mosad", "12", "bad_pattern"),
        ("grade", "5.5", "bad_type"),
        ("grade", "13", "out_of_range"),
        ("facet", "colour", "not_allowed"),
        ("agree_pct", "many", "bad_type"),
        ("agree_pct", "nan", "bad_type"),
        ("agree_pct", "-1", "out_of_range"),
    ],
)
def test_each_fault_has_its_reason(column, value, code):
    found = quarantined("climate__facets", _facets(**{column: value}))
    assert found.select("column_name", "reason_code").rows() == [(column, code)]
    assert any("א" <= letter <= "ת" for letter in found["reason_he"][0])


def test_a_personal_value_is_never_shown():
    base = {
        "pupil_hash": "a" * 32,
        "school_year": "2026",
        "semel_mosad": "900001",
        "school_days": "215",
        "absence_days": "999999",
        "absence_days_justified": "1",
        "file_name": "f",
        "file_hash": "0",
        "file_row": 2,
    }
    found = quarantined("attendance__pupil_years", pl.DataFrame([base]))
    assert set(found["reason_code"]) == {"out_of_range", "implausible"}
    assert "999999" not in str(found.to_dicts())


@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.tuples(
            st.text(string.printable + "אב", max_size=6),
            st.sampled_from(["80", "x", "", "101", "7e3"]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_rows_in_are_rows_staged_plus_rows_quarantined_for_any_garbage(values):
    rows = pl.DataFrame(
        [
            {
                "semel_mosad": code or None,
                "school_year": "2026",
                "grade": "5",
                "facet": "safety",
                "agree_pct": share or None,
                "respondents": "40",
                "eligible_pupils": "50",
                "file_name": "f.csv",
                "file_hash": "0",
                "file_row": i + 2,
            }
            for i, (code, share) in enumerate(values)
        ],
        schema_overrides={"semel_mosad": pl.String, "agree_pct": pl.String},
    )
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA raw")
    connection.register("rows", rows)
    connection.execute("CREATE TABLE raw.raw_climate__facets AS SELECT * FROM rows")
    connection.execute(
        "CREATE TABLE raw.raw_quarantine AS"
        f" {quarantine_query('climate__facets', 'raw.raw_climate__facets')}"
    )
    staged = connection.sql(generated_sql(dictionary())["stg_climate__facets"]).pl()
    aside = connection.sql("SELECT DISTINCT file_row FROM raw.raw_quarantine").pl()
    assert staged.height + aside.height == rows.height
    assert staged.select("semel_mosad", "grade").is_duplicated().sum() == 0
