"""Every file keeps the contract of the field dictionary, in every profile."""

from __future__ import annotations

import polars as pl
import pytest

from models.demo import PROFILES, spec
from models.demo.pupils import check_digit
from models.demo.schools import REGISTER_HEADERS
from pipelines.settings.fields import dictionary
from tests.demo.defects import code_of

from .conftest import all_years

CONTRACTS = {
    "pupils": "register__pupils",
    "pupil_scores": "tests__pupil_scores",
    "school_bands": "tests__school_bands",
    "attendance": "attendance__pupil_years",
    "exits": "attendance__exits",
    "climate": "climate__facets",
    "informal": "informal__participation",
    "delivery": "programmes__delivery",
    "participation": "programmes__participation",
    "budget": "finance__budget_lines",
    "school_money": "finance__school_money",
    "entries": "attendance__entries",
    "parents_payments": "finance__parents_payments",
    "merges": "register__merges",
    "stat_areas": "context__stat_areas",
}
REGISTER_VALUES = {
    "פיקוח": {"ממלכתי", "ממלכתי דתי", "חרדי"},
    "מעמד משפטי": {"רשמי", "מוכר שאינו רשמי"},
    "שלב חינוך": {"יסודי"},
    "סוג חינוך": {"רגיל"},
    "ניהול עצמי": {"כן", "לא"},
}


def _read(city, name: str) -> pl.DataFrame:
    frame = city.files[f"{name}.csv"] if f"{name}.csv" in city.files else all_years(city, name)
    return frame.rename({"pupil_id": "pupil_hash"}, strict=False)


@pytest.mark.parametrize("profile", ["clean", "small"])
@pytest.mark.parametrize("name", CONTRACTS)
def test_file_keeps_its_contract(city_of, profile, name):
    table = dictionary().contract(CONTRACTS[name])
    frame = _read(city_of(profile), name)
    assert len(frame)
    assert tuple(frame.columns) == table.contract
    assert not frame.select(table.key).is_duplicated().any()
    for column in table.contract:
        field, values = dictionary().fields[column], frame[column]
        if column not in table.contract_nullable:
            assert values.null_count() == 0, column
        if field.allowed:
            assert set(values.drop_nulls()) <= set(field.allowed), column
        if field.pattern and field.door is None:
            assert values.drop_nulls().str.contains(field.pattern).all(), column
        if field.min is not None:
            assert (values.drop_nulls() >= field.min).all(), column
        if field.max is not None:
            assert (values.drop_nulls() <= field.max).all(), column


@pytest.mark.parametrize("profile", [name for name in PROFILES if name != "x10"])
def test_all_files_and_truth_exist(city_of, profile):
    city = city_of(profile)
    yearly = {name for name in CONTRACTS if name not in ("merges", "stat_areas")}
    expected = {f"{name}_{year}.csv" for name in yearly for year in city.years}
    expected |= {f"schools_{year}.xlsx" for year in city.years}
    expected |= {"merges.csv", "stat_areas.csv", "ratings.csv", "excerpts.csv", "cards.csv"}
    expected |= {"considerations.csv", "consideration_scores.csv", "forms.csv", "wheel.csv"}
    expected |= {"practices.csv"}
    expected |= {"ladders.csv", "criteria.csv", "decisions.csv", "assets.csv", "registry.xlsx"}
    expected |= {"meetings.csv", "decision_log.csv", "confirmations.csv"}
    assert set(city.files) == expected
    assert set(city.truth) >= {
        "true_gap",
        "true_component",
        "true_need",
        "true_effect",
        "true_assignment",
        "true_cause",
        "true_unmet_need",
        "true_overlap",
        "true_card",
        "true_new_response",
        "true_missing_voice",
        "true_first_need",
    }


def test_register_has_hebrew_headers_and_values(clean):
    for year in clean.years:
        register = clean.files[f"schools_{year}.xlsx"]
        assert register.columns == list(REGISTER_HEADERS.values())
        assert register["סמל מוסד"].is_unique().all()
        for column, values in REGISTER_VALUES.items():
            assert set(register[column]) == values
        sizes = clean.files[f"pupils_{year}.csv"]["semel_mosad"].value_counts(name="תלמידים")
        joined = register.join(sizes, left_on="סמל מוסד", right_on="semel_mosad")
        assert len(joined) == len(register)
        assert (joined["תלמידים"] == joined["תלמידים_right"]).all()


def test_the_register_tells_when_a_school_opened_and_a_merged_code_closed(clean):
    days = pl.concat(
        clean.files[f"schools_{year}.xlsx"].select(
            "שנת לימודים", "סמל מוסד", "תאריך פתיחה", "תאריך סגירה"
        )
        for year in clean.years
    ).filter(pl.any_horizontal(pl.col("תאריך פתיחה", "תאריך סגירה").is_not_null()))
    last = clean.years[-1]
    merges, new = clean.files["merges.csv"], code_of(spec.NEW_SCHOOL)
    assert merges["school_year"].to_list() == [last - 2]
    assert sorted(days.rows()) == [
        (last - 3, merges["semel_mosad_old"][0], None, f"{last - 3}-08-31"),
        (last - 1, new, f"{last - 2}-09-01", None),
    ]
    assert new not in clean.files[f"schools_{last - 2}.xlsx"]["סמל מוסד"]
    assert merges["semel_mosad_old"][0] not in clean.files[f"schools_{last - 2}.xlsx"]["סמל מוסד"]


def test_the_registry_says_since_when_and_for_how_many(clean):
    registry = clean.files["registry.xlsx"].select(
        pl.col("תאריך התחלה", "תאריך סיום").str.to_date(), pl.col("מספר מקומות").cast(pl.Int64)
    )
    assert registry["תאריך התחלה"].null_count() == 0
    assert 0 < registry["תאריך סיום"].count() < registry.height
    assert (registry["תאריך סיום"] > registry["תאריך התחלה"]).all()
    assert registry["מספר מקומות"].drop_nulls().min() > 0


def test_pupil_ids_can_never_be_real(clean):
    ids = all_years(clean, "pupils")["pupil_id"].unique().sort()
    assert ids.str.contains(r"^99\d{7}$").all()
    number = ids.cast(pl.Int64).to_numpy()
    assert (check_digit(number // 10) != number % 10).all()


def test_check_digit_is_the_israeli_one():
    pupil = pl.Series([12345678, 0, 99999999]).to_numpy()
    assert check_digit(pupil).tolist() == [2, 0, 8]  # 123456782 is the textbook valid id


def test_untested_pupils_are_present_without_a_score(clean):
    scores = all_years(clean, "pupil_scores")
    assert (scores["is_tested"] == scores["score"].is_not_null()).all()
    assert scores["score"].drop_nulls().min() > 0


def test_scales_change_in_the_year_before_last(clean):
    external = all_years(clean, "pupil_scores").filter(pl.col("test_source") == "external")
    last = clean.years[-1]
    assert set(external.filter(pl.col("school_year") <= last - 2)["scale_id"]) == {"L1"}
    assert set(external.filter(pl.col("school_year") >= last - 1)["scale_id"]) == {"L2"}


@pytest.mark.parametrize(
    "name", ["pupil_scores", "attendance", "exits", "informal", "participation"]
)
def test_pupils_are_registered_where_other_files_see_them(clean, name):
    key = ["pupil_id", "school_year", "semel_mosad"]
    astray = all_years(clean, name).join(all_years(clean, "pupils").select(key), on=key, how="anti")
    assert astray.is_empty()


@pytest.mark.parametrize("name", ["school_bands", "climate", "delivery", "budget", "school_money"])
def test_schools_are_registered_where_other_files_see_them(clean, name):
    for year in clean.years:
        registered = set(clean.files[f"schools_{year}.xlsx"]["סמל מוסד"])
        assert set(clean.files[f"{name}_{year}.csv"]["semel_mosad"]) <= registered


QUOTAS = {"indispensable": 5, "proven": 4, "unique": 3, "change_or_drop": 2, "significant": 1}


def test_cards_keep_their_quotas_and_ladders_their_rungs(clean):
    cards, ladders = clean.files["cards.csv"], clean.files["ladders.csv"]
    tally = cards.group_by("participant", "card_category").len()
    assert all(n <= QUOTAS[category] for _, category, n in tally.iter_rows())
    named = cards.drop_nulls("response_id")
    assert not named.select("participant", "response_id").is_duplicated().any()
    assert cards.filter(pl.col("response_id").is_null())["new_response_he"].null_count() == 0
    rungs = ladders.group_by("participant").agg(pl.col("ladder_rung").sort())["ladder_rung"]
    assert set(map(tuple, rungs)) == {tuple(range(1, 9))}


def test_the_registry_holds_the_21_initiatives_once(clean):
    registry = clean.files["registry.xlsx"]
    numbers = registry["מספר המיזם"].drop_nulls().cast(pl.Int64).sort().to_list()
    assert numbers == list(range(1, 22))
    names = [
        name.strip()
        for row in registry.select("שם המענה", "שמות נוספים").iter_rows()
        for text in row
        for name in (text or "").split("|")
        if name
    ]
    assert len(names) == len(set(names))


def test_every_field_has_a_criterion_and_one_is_bound_to_nothing(clean):
    criteria = clean.files["criteria.csv"]
    assert {"excellence", "learning_gap", "art", "music", "sport", "leadership"} <= set(
        criteria["criteria_field"]
    )
    assert criteria.filter(pl.col("measure_id").is_null()).height > 0
    assert criteria.filter(pl.col("criterion_id") == "amirim")["criterion_version"].to_list() == [
        "1",
        "2",
    ]


def test_who_joined_was_not_there_the_year_before(clean):
    before = clean.files["pupils_2025.csv"].select("pupil_id", was_in="semel_mosad")
    joined = clean.files["entries_2026.csv"].join(before, on="pupil_id", how="left")
    same_city = joined.filter(pl.col("origin") == "same_city")
    assert same_city.height > 0
    assert (same_city["semel_mosad"] != same_city["was_in"]).all()
    assert joined.filter(pl.col("origin") != "same_city")["was_in"].null_count() == (
        joined.height - same_city.height
    )


def test_a_forecast_is_added_and_changes_nothing_else():
    from models.demo import generate
    from models.demo.forecast import FORECAST

    without = generate(seed=3, profile="small", years=(2025, 2026))
    city = generate(seed=3, profile="small", years=(2025, 2026), with_forecast=True)
    assert set(city.files) - set(without.files) == {FORECAST}
    assert all(city.files[name].equals(frame) for name, frame in without.files.items())
    frame, table = city.files[FORECAST], dictionary().contract("register__forecast")
    assert tuple(frame.columns) == table.contract
    assert set(frame["school_year"]) == {2027}
    known = city.truth["true_forecast"].join(frame, on="semel_mosad", how="left")
    assert known["forecast_pupils"].null_count() == 1  # one school sent none
    miss = (known["forecast_pupils"] / known["coming_pupils"] - 1).drop_nulls()
    assert miss.abs().max() < 0.12
