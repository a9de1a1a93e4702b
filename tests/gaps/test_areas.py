"""Gaps by area add up to the gap of the city, whatever the areas are (R6)."""

from types import SimpleNamespace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.gaps import city_gaps
from models.keys import WHOLE
from pipelines.diagnose.areas import areas, need_areas, nurture_bands
from tests.examples import examples
from tests.gaps.cities import city
from tests.gaps.test_totals import TRUE, sized

CITY = SimpleNamespace()  # the step reads no setting
CELLS = sized(city(7, years=2)).with_columns(
    pl.lit(WHOLE).alias("group_id"), pl.lit(value=True).alias("is_measured")
)
CODES = CELLS["semel_mosad"].unique().sort()
YEARS = CELLS["school_year"]


def made(clusters, cells=CELLS, of_city=None):
    tables = {
        "core_gap_cell": cells,
        "core_school": (
            pl.DataFrame(
                {"semel_mosad": CODES, "choice_cluster": clusters, "is_in_plan": True},
                schema_overrides={"choice_cluster": pl.String},
            ).with_columns(stat_area=pl.lit(None, pl.String))
        ),
        "core_school_year": pl.DataFrame(
            {"semel_mosad": CODES, "school_year": 2026, "nurture_index": None},
            schema_overrides={"nurture_index": pl.Float64},
        ),
        "core_city": pl.DataFrame(
            {"window_first_year": [YEARS.min()], "window_last_year": [YEARS.max()]}
        ),
        "mart_gap_component": TRUE.with_columns(variance_share_pct=0.0),
        "mart_gap_city": city_gaps(cells if of_city is None else of_city, TRUE, schools=len(CODES)),
    }
    return areas(CITY, tables)["mart_gap_area"]


@settings(max_examples=examples(15))
@given(st.lists(st.sampled_from(["א", "ב", "ג", None]), min_size=len(CODES), max_size=len(CODES)))
def test_the_areas_of_a_subject_sum_to_the_city(clusters):
    found = made(clusters)
    if not any(clusters):
        assert found.is_empty()
        return
    by_subject = (
        found.filter(pl.col("subject") != WHOLE)
        .group_by("subject")
        .agg(
            pl.col("area_part_sd").sum(),
            pl.col("city_gap_sd").first(),
            pl.col("sum_less_city_sd").abs().max(),
        )
    )
    for _, parts, whole, off in by_subject.iter_rows():
        assert parts == pytest.approx(whole, abs=1e-12)
        assert off < 1e-9
    assert found.filter(subject=WHOLE)["schools"].sum() == len(CODES)


def test_one_area_is_the_city_and_a_part_of_it_is_less_sure():
    whole = made(["א"] * len(CODES)).filter(subject="math").row(0, named=True)
    city_row = city_gaps(CELLS, TRUE, schools=len(CODES)).filter(subject="math").row(0, named=True)
    for column in ("gap_sd", "gap_se_sd", "gap_lo_sd", "tested_pupils"):
        assert whole[column] == pytest.approx(city_row[column])
    halves = made(["א", "ב"] * (len(CODES) // 2)).filter(subject="math")
    assert (halves["gap_se_sd"] > whole["gap_se_sd"]).all()


def test_a_school_that_is_not_measured_leaves_its_area_unsure():
    lost = CODES[0]
    found = made(["א"] * 3 + ["ב"] * (len(CODES) - 3), CELLS.filter(pl.col("semel_mosad") != lost))
    row = found.filter(area="א", subject="math").row(0, named=True)
    assert (row["schools"], row["schools_measured"]) == (3, 2)
    full = made(["א"] * 3 + ["ב"] * (len(CODES) - 3)).filter(area="א", subject="math")
    assert row["gap_se_sd"] > full["gap_se_sd"].item()


def test_a_school_that_the_city_counts_and_no_area_does_is_told():
    found = made(["א"] * len(CODES), CELLS.filter(pl.col("semel_mosad") != CODES[0]), CELLS)
    off = found.filter(pl.col("subject") != WHOLE)["sum_less_city_sd"]
    assert (off.abs() > 1e-9).all()


def test_bands_of_the_nurture_index_are_areas_and_their_need_is_that_of_pupils():
    years = pl.DataFrame(
        {
            "semel_mosad": ["1", "1", "2", "3", "4"],
            "school_year": [2025, 2026, 2026, 2026, 2026],
            "nurture_index": [2.0, 7.9, 4.0, 8.0, None],
        }
    )
    assert dict(nurture_bands(years).sort("semel_mosad").iter_rows()) == {
        "1": "4_7",  # the latest year decides
        "2": "4_7",
        "3": "8_10",
        "4": None,
    }
    need = pl.DataFrame(
        {
            "semel_mosad": ["1", "2", "3", "4"],
            "pupils": [110, 250, 100, 90],  # foreseen
            "last_registered_pupils": [100, 300, 100, 100],
            "need": [0.1, 0.3, 0.5, 0.2],
            "need_lo": [0.0, 0.2, 0.4, 0.1],
            "need_hi": [0.2, 0.4, 0.6, 0.3],
        }
    )
    made = need_areas(CITY, {"core_school_year": years, "mart_need_index": need})
    rows = {row["area"]: row for row in made["mart_need_area"].to_dicts()}
    assert set(rows) == {"all", "none", "4_7", "8_10"}
    band = rows["4_7"]
    assert (band["schools"], band["pupils"]) == (2, 400)
    ends = [band[end] for end in ("need", "need_lo", "need_hi")]
    assert ends == pytest.approx([0.25, 0.15, 0.35])
    assert rows["all"]["need"] == pytest.approx((10 + 90 + 50 + 20) / 600)
    assert dict(made["mart_school_area"].select("semel_mosad", "area").iter_rows())["4"] == "none"
