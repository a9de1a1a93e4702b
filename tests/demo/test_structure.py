"""The structure of the city: exact counts, programmes, merged and new schools, pupils over
years.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.demo import PROFILES, generate, spec
from models.demo.schools import largest_remainder

from .conftest import all_years

FULL = ["clean", "null", "systemic", "local", "one_subject"]
STREAMS = {"ממלכתי": (17, 8019), "ממלכתי דתי": (12, 4291), "חרדי": (7, 1744)}
SERVED = {
    "milat": 10,
    "merchav": 7,
    "rvadim": 9,
    "icei": 2,
    "makom_balev": 2,
    "amirim": 36,
    "shefach": 36,
    "national_360": 12,
    "perach": 20,
    "posh": 6,
    "hosen": 36,
    "library_lending": 36,
}


@pytest.mark.parametrize("profile", FULL)
def test_source_counts_are_exact(city_of, profile):
    city = city_of(profile)
    register = city.files["schools_2026.xlsx"]
    counts = register.group_by("פיקוח").agg(pl.len(), pl.col("תלמידים").sum())
    assert {row[0]: row[1:] for row in counts.rows()} == STREAMS
    delivery = city.files["delivery_2026.csv"].group_by("response_id").len()
    served = dict(delivery.rows())
    assert {name: served[name] for name in SERVED} == SERVED
    assert city.expected["pupils.official"] == 12_310
    assert city.expected["pupils.all"] == len(city.files["pupils_2026.csv"]) == 14_054
    assert {f"served.{name}": n for name, n in served.items()}.items() <= city.expected.items()


def test_programmes_overlap_as_specified():
    schools = {
        p: {s.label for s in spec.SCHOOLS if p in s.programmes}
        for p in ("milat", "merchav", "rvadim", "icei", "makom_balev")
    }
    pairs = [
        ("milat", "merchav", 3),
        ("milat", "rvadim", 3),
        ("merchav", "rvadim", 2),
        ("milat", "icei", 1),
    ]
    for a, b, n in pairs:
        assert len(schools[a] & schools[b]) == n, (a, b)
    eligible = [s for s in spec.SCHOOLS if s.nurture >= spec.ELIGIBLE_NURTURE["milat"]]
    assert len(eligible) == 29
    assert schools["milat"] <= {s.label for s in eligible}


def test_nurture_of_pupils_follows_the_table(clean):
    table = {str(spec.FIRST_CODE + i): s.nurture for i, s in enumerate(spec.SCHOOLS)}
    means = (
        clean.files["pupils_2026.csv"].group_by("semel_mosad").agg(pl.col("nurture_decile").mean())
    )
    for code, mean in means.rows():
        assert mean == pytest.approx(table[code], abs=0.05), code
    register = clean.files["schools_2026.xlsx"]
    assert dict(register.select("סמל מוסד", "מדד טיפוח").rows()) == table


def test_classes_have_the_published_size(clean):
    register = (
        clean.files["schools_2026.xlsx"]
        .group_by("פיקוח")
        .agg(size=pl.col("תלמידים").sum() / pl.col("כיתות").sum())
    )
    sizes = dict(register.rows())
    assert sizes["ממלכתי"] == pytest.approx(26.9, abs=0.5)
    assert sizes["ממלכתי דתי"] == pytest.approx(25.3, abs=0.5)
    assert sizes["חרדי"] == pytest.approx(24.6, abs=0.5)
    classes = (
        clean.files["pupils_2026.csv"]
        .group_by("semel_mosad")
        .agg(pl.struct("grade", "class_id").n_unique().alias("classes"))
    )
    declared = clean.files["schools_2026.xlsx"].select(semel_mosad="סמל מוסד", declared="כיתות")
    assert (
        classes.join(declared, on="semel_mosad")
        .filter(pl.col("classes") != pl.col("declared"))
        .is_empty()
    )


def test_merged_and_new_school(clean):
    merge = clean.files["merges.csv"].row(0, named=True)
    codes = {year: set(clean.files[f"schools_{year}.xlsx"]["סמל מוסד"]) for year in clean.years}
    for year in clean.years:
        assert (merge["semel_mosad_old"] in codes[year]) == (year < merge["school_year"])
        assert merge["semel_mosad"] in codes[year]
        assert ("900036" in codes[year]) == (year >= clean.years[-1] - 1)
    assert merge["school_year"] == clean.years[-1] - 2


def test_pupils_stay_the_same_people(clean):
    pupils = all_years(clean, "pupils")
    for column in ("sex", "birth_year", "nurture_decile", "parent_education_years", "stat_area"):
        assert pupils.group_by("pupil_id").agg(pl.col(column).n_unique())[column].max() == 1
    nexts = pupils.select("pupil_id", pl.col("school_year") - 1, next_grade="grade")
    follow = pupils.join(nexts, on=["pupil_id", "school_year"])
    assert (follow["next_grade"] == follow["grade"] + 1).all()
    assert len(follow) > 0.75 * len(pupils.filter(pl.col("school_year") < clean.years[-1]))


def test_whoever_disappears_has_left(clean):
    """A pupil of grades 1–5 missing next year has an exit, and nobody else leaves the city."""
    pupils, exits = all_years(clean, "pupils"), all_years(clean, "exits")
    key = ["pupil_id", "school_year"]
    before_last = pupils.filter((pl.col("school_year") < clean.years[-1]) & (pl.col("grade") < 6))
    nexts = pupils.select("pupil_id", pl.col("school_year") - 1)
    gone = before_last.join(nexts, on=key, how="anti")
    assert gone.join(exits, on=key, how="anti").is_empty()
    back = exits.join(nexts, on=key)
    assert set(back["destination"]) == {"other_stream"}


def test_small_and_large_city(city_of):
    small = city_of("small")
    assert sum(n for key, n in small.expected.items() if key.startswith("schools.")) == 6
    assert small.expected["schools.recognised_unofficial"] == 1
    assert {"served.milat", "served.rvadim", "served.merchav", "served.posh"} <= set(small.expected)


def test_ten_times_the_city():
    city = generate(profile="x10", years=[2026])
    codes = city.files["schools_2026.xlsx"]["סמל מוסד"]
    assert codes.to_list() == [str(900_001 + i) for i in range(360)]
    assert city.expected["pupils.all"] == pytest.approx(140_540, rel=0.02)
    assert city.files["pupils_2026.csv"]["pupil_id"].is_unique().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"profile": "dirtyy"}, "known profiles: clean, small"),
        ({"years": [2024, 2026]}, "consecutive"),
        ({"years": []}, "consecutive"),
        ({"seed": -1}, "negative"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        generate(**arguments)


def test_a_single_year_is_enough():
    city = generate(profile="small", years=[2030])
    assert city.expected["pupils.all"] == 2_146
    assert set(city.files["pupil_scores_2030.csv"]["scale_id"]) == {"INT", "L2"}


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=20))
def test_largest_remainder_keeps_the_total(totals):
    parts = largest_remainder(np.array(totals), np.array(spec.GRADE_SHARES))
    assert parts.sum(1).tolist() == totals
    assert (abs(parts - np.outer(totals, spec.GRADE_SHARES)) < 1).all()


def test_profiles_are_named_after_themselves():
    assert all(name == profile.name for name, profile in PROFILES.items())
