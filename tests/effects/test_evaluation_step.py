"""The step `evaluation`: where a first lottery or a threshold is possible, and what is not
forgotten.
"""

import polars as pl
import pytest

from models.effects import Variances, detectable
from pipelines.decide.evaluation import _entries, _with_goals_not_measured

CITY = Variances(pupil_sd=0.9, prior_r2=0.4, class_sd=0.1, class_pupils=26, school_year_sd=0.08)


@pytest.fixture
def tables():
    """One response in four schools: a lottery, a score, eligible pupils beyond the places, and all
    who are.
    """
    codes = list("abcd")
    listed = [("a", "lottery")] * 50 + [("b", "threshold")] * 40 + [("c", "need_based")] * 20
    return {
        "core_participation": pl.DataFrame(
            {
                "response_id": "milat",
                "semel_mosad": codes,
                "school_year": 2026,
                "eligible_pupils": [200, 200, 200, 20],
            }
        ),
        "core_response_entry": (
            pl.DataFrame(
                listed, schema=["semel_mosad", "assignment_mechanism"], orient="row"
            ).with_columns(response_id=pl.lit("milat"), school_year=pl.lit(2026))
        ),
        "mart_response_map": pl.DataFrame(
            {
                "response_id": "milat",
                "semel_mosad": codes,
                "is_measured": True,
                "is_served": True,
                "participants": [20, 20, 20, 20],
            }
        ),
        "core_panel_cell": pl.DataFrame(
            {"semel_mosad": codes, "school_year": 2026, "tested_pupils": 150}
        ),
    }


def test_a_first_lottery_where_places_are_scarce_and_a_threshold_where_a_score_decides(tables):
    entries = _entries(tables)
    assert entries.select("semel_mosad", "places", "applicants", "is_by_score").rows() == [
        ("a", 20, 50, False),
        ("b", 20, 40, True),
        ("c", 20, 200, False),
        ("d", 20, 20, False),
    ]
    schools = dict(detectable(entries, CITY).select("design", "schools").iter_rows())
    assert schools["lottery"] == 3  # all but the school where everybody eligible has a place
    assert schools["threshold"] == 1
    nobody_counted = tables["core_participation"].with_columns(
        eligible_pupils=pl.lit(None, pl.Int32)
    )
    entries = _entries(tables | {"core_participation": nobody_counted})
    assert entries["applicants"].to_list() == [50, 40, None, None]


def test_a_goal_that_nobody_measures_comes_last_and_is_not_forgotten():
    first = pl.DataFrame(
        {
            "place": [1],
            "response_id": ["milat"],
            "design": ["lottery"],
            "design_grade": ["A"],
            "evsi_agorot": [5],
        },
        schema_overrides={"place": pl.Int32},
    )
    effects = pl.DataFrame(
        {
            "response_id": ["tikshuv", "milat", "merchav", "nowhere"],
            "effect_sd": [None, 0.1, None, None],
        }
    )
    options = pl.DataFrame({"response_id": ["milat", "merchav", "tikshuv", "tikshuv"]})
    found = _with_goals_not_measured(first, effects, options)
    assert found.select("place", "response_id", "design", "evsi_agorot").rows() == [
        (1, "milat", "lottery", 5),
        (2, "merchav", "none", None),
        (3, "tikshuv", "none", None),
    ]
