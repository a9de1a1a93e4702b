"""A goal about a gap is judged by the tests of its own year (R106)."""

import polars as pl
import pytest

from models.goals import results
from pipelines.act.plan import _in_year, how_known
from pipelines.settings.city import load_city

CELLS = pl.DataFrame(
    [
        # school, subject, grade, year, measured, pupils, raw gap, its sampling error
        ("111111", "math", 2, 2026, True, 60, 0.8, 0.10),
        ("111111", "math", 4, 2026, True, 20, 0.4, 0.20),
        ("111111", "math", 4, 2025, True, 50, 1.0, 0.10),
        ("111111", "math", 6, 2026, False, None, None, None),
        ("222222", "hebrew", 4, 2026, True, None, 0.5, 0.10),  # a band: nobody was counted
        ("222222", "science", 5, 2026, True, 30, 0.2, None),
    ],
    schema={
        "semel_mosad": pl.String,
        "subject": pl.String,
        "grade": pl.Int32,
        "school_year": pl.Int32,
        "is_measured": pl.Boolean,
        "tested_pupils": pl.Int32,
        "gap_raw_sd": pl.Float64,
        "gap_sampling_sd": pl.Float64,
    },
    orient="row",
).with_columns(scale_id=pl.lit("s"))


def test_the_year_is_the_mean_over_grades_by_pupils_with_its_error(small_city):
    found = _in_year(load_city(small_city), {"mart_gap_school_subject": CELLS})
    rows = {row["planning_year"]: row for row in found.to_dicts()}
    assert set(found["semel_mosad"]) == {"111111"}  # no error, or nobody counted: not measured
    assert rows[2026]["year_value"] == pytest.approx(0.7)
    assert rows[2026]["year_se"] == pytest.approx((6**2 + 4**2) ** 0.5 / 80)
    assert (rows[2025]["year_value"], rows[2025]["indicator_id"]) == (1.0, "gap_math")


def test_a_year_that_fell_is_met_though_the_years_before_were_worse():
    goals = pl.DataFrame(
        {
            "target_value": [0.9, 0.9, 0.9, 0.9],
            "now": [0.7, 1.0, 0.85, None],
            "now_se": [0.09, 0.05, 0.1, None],
            "is_due": [True] * 4,
        }
    )
    assert results(goals)["goal_result"].to_list() == ["met", "not_met", "unclear", "not_measured"]


def test_how_a_goal_will_be_known_follows_the_years_of_what_measured_it(small_city):
    city = load_city(small_city)
    last = city.city.school_years.last
    cells = CELLS.with_columns(
        school_year=pl.when(pl.col("semel_mosad") == "111111").then(last).otherwise(last - 3)
    )
    asked = [
        *[("111111", key) for key in ("gap_math", "chronic_absence", "climate_safety")],
        *[("222222", key) for key in ("gap_hebrew", "overt_dropout")],
        ("111111", "nurture_index"),
    ]
    years = {"semel_mosad": ["111111", "222222"], "school_year": [last, last]}
    tables = {
        "mart_gap_school_subject": cells,
        "mart_need_indicator": pl.DataFrame(
            asked, schema=["semel_mosad", "indicator_id"], orient="row"
        ),
        "core_attendance": pl.DataFrame(
            years | {"attendance_pupils": [90, 80], "overt_dropout_pupils": [1, None]}
        ),
        "core_climate": pl.DataFrame(years | {"facet": ["belonging", "safety"]}),
    }
    said = {row[:2]: row[2] for row in how_known(city, tables).iter_rows()}
    assert said["111111", "gap_math"].startswith(
        f"מבחן במקצוע של שנת התוכנית, אם יהיה כמו ב־{last}"
    )
    assert f"אם יהיה כמו ב־{last}" in said["111111", "chronic_absence"]
    assert f"הידוע האחרון הוא משנת {last - 3}; יש לקבוע" in said["222222", "gap_hebrew"]
    # A year without a report of leavers, and a survey that did not ask about safety.
    assert "לא ידוע מאיזו שנה" in said["222222", "overt_dropout"]
    assert "לא ידוע מאיזו שנה" in said["111111", "climate_safety"]
    assert ("111111", "nurture_index") not in said  # no goal is set on the background
