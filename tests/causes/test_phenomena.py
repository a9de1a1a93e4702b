"""Phenomena: what recurs is found, what happened once is not, and chance is kept in its place."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.causes import phenomena
from tests.gaps.cities import city

NOISE = {"school": 0.0, "school_subject": 0.0, "school_year": 0.06, "school_subject_year": 0.06}
COMPONENTS = pl.DataFrame({"component": list(NOISE), "component_sd": list(NOISE.values())})


def flat(seed, schools=24):
    """A city without lasting differences, at its target in every subject and grade."""
    cells = city(seed, schools=schools, true_sd=NOISE)
    mean = pl.col("gap_raw_sd").mean().over("subject", "grade", "school_year")
    return cells.with_columns((pl.col("gap_raw_sd") - mean).alias("gap_raw_sd"))


def shifted(cells, where, by):
    value = pl.when(where).then(pl.col("gap_raw_sd") + by).otherwise("gap_raw_sd")
    return cells.with_columns(value.alias("gap_raw_sd"))


def listed(cells, **options):
    return phenomena(cells, COMPONENTS, **options).filter("is_phenomenon")


SCHOOL = pl.col("semel_mosad") == "900003"
MATH = pl.col("subject") == "math"


def test_a_recurring_gap_of_a_school_in_a_subject_is_found():
    found = [listed(shifted(flat(seed), SCHOOL & MATH, 0.5)) for seed in range(10)]
    hit = [
        rows.filter(pl.col("scope") == "school_subject", SCHOOL, MATH, pl.col("direction") == "below").height
        for rows in found
    ]  # fmt: skip
    assert np.mean(hit) >= 0.8
    row = found[0].filter(pl.col("scope") == "school_subject").row(0, named=True)
    assert row["gap_mean_lo_sd"] < 0.5 < row["gap_mean_hi_sd"]
    assert row["years_measured"] == 4


def test_excellence_recurs_too():
    rows = listed(shifted(flat(1), SCHOOL & MATH, -0.6))
    assert rows.filter(SCHOOL, MATH)["direction"].to_list() == ["above"]


def test_one_bad_year_is_an_event():
    once = pl.col("school_year") == 2022
    hits = [listed(shifted(flat(seed), SCHOOL & MATH & once, 0.9)).filter(SCHOOL, MATH).height for seed in range(10)]  # fmt: skip
    assert np.mean(hits) <= 0.1


def test_a_subject_of_the_whole_city_is_one_phenomenon():
    rows = listed(shifted(flat(2), MATH, 0.4))
    whole = rows.filter(pl.col("scope") == "subject")
    assert whole["subject"].to_list() == ["math"]
    assert whole["schools_seen"].item() >= 12
    # What is typical of the city is no school's own gap.
    assert rows.filter(pl.col("scope").is_in(["school", "school_subject"])).height <= 1


def test_all_subjects_make_it_the_school_s():
    rows = listed(shifted(flat(3), SCHOOL, 0.5))
    assert rows.filter(pl.col("scope") == "school")["semel_mosad"].to_list() == ["900003"]


def test_chance_is_kept_in_its_place():
    false = [listed(flat(seed)).height for seed in range(15)]
    assert np.mean(np.array(false) > 0) <= 0.2  # 10 % is held over 50 seeds in make validate


def test_settings_and_bad_cells_are_refused():
    with pytest.raises(ValueError, match="at least 2 years"):
        phenomena(flat(1), COMPONENTS, years=1)
    with pytest.raises(ValueError, match="fdr"):
        phenomena(flat(1), COMPONENTS, fdr=0)
    with pytest.raises(ValueError, match="margin"):
        phenomena(flat(1), COMPONENTS, margin_sd=-1)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_order_says_nothing(seed):
    cells = flat(4, schools=8)
    assert phenomena(cells, COMPONENTS).equals(phenomena(cells.sample(fraction=1, shuffle=True, seed=seed), COMPONENTS))  # fmt: skip
