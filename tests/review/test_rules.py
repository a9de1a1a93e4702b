"""What was really done, held against the rules that the plan was decided by (R106)."""

import polars as pl
import pytest

from models.allocation.problem.plan import Plan
from models.allocation.rules.choice import MustKeep, ParticipantCapacity, SchoolCapacity
from models.allocation.rules.decided import ManualOverride
from models.allocation.rules.order import NeedOrder
from pipelines.review.rules import _standing, measured
from pipelines.settings.city import load_city

A, B, C = "111111", "222222", "333333"
NAMES = {"response_he": "מענה", "response_en": "a response"}
RULES = (
    SchoolCapacity("milat", 2, **NAMES),
    ParticipantCapacity("milat", 50, **NAMES),
    MustKeep(((A, "milat", 0.5), (C, "rvadim", 0.5))),
    ManualOverride("milat", B, True, "כך הוחלט", "city_council", **NAMES),
    ManualOverride("milat", C, False, "כך הוחלט", "city_council", **NAMES),
)


@pytest.fixture(scope="module")
def city(small_city):
    return load_city(small_city)


def _tables(**status):
    """Three lines as planned, 20 participants each, and what is reported of them by their row."""
    rows = [(f"{school}/milat", school, "milat") for school in (A, B)] + [
        (f"{C}/rvadim", C, "rvadim")
    ]
    lines = pl.DataFrame(
        [(*row, 1, 20) for row in rows],
        schema=["plan_row_id", "semel_mosad", "response_id", "dose_level", "participants"],
        orient="row",
    )
    told = [(row[0], *status.get(f"s{row[1]}", (None, None))) for row in rows]
    return {
        "mart_plan_line": lines,
        "mart_line_tracking": pl.DataFrame(
            told,
            schema={
                "plan_row_id": pl.String,
                "work_status": pl.String,
                "participants_now": pl.Int64,
            },
            orient="row",
        ),
        "mart_need_index": pl.DataFrame(
            {"semel_mosad": [A, B, C], "pupils": [300] * 3, "need": [0.5] * 3}
        ),
    }


def _kept(city, **status):
    plan = _standing(city, _tables(**status))
    stated = pl.DataFrame(
        [
            {
                "rule_id": rule.rule_id,
                "rule_he": "כלל",
                "rule_en": "rule",
                "unit": rule.unit,
                "rule_limit": 1.0,
                "rule_value": 1.0,
            }
            for rule in RULES
        ]
    )
    found = measured(RULES, stated, None, plan)
    return {row["rule_id"]: (row["rule_actual"], row["is_kept_actually"]) for row in found}


def test_before_anything_is_reported_nothing_is_measured(city):
    assert _standing(city, _tables()) is None
    assert _kept(city) == {}


def test_what_runs_as_planned_keeps_its_rules(city):
    found = _kept(city, s111111=("running", 22), s222222=("running", 25))
    assert all(kept for _, kept in found.values())
    assert found["participant_capacity:milat"] == (47, True)
    assert found["must_keep"] == (2, True)  # who has not reported may yet do it


def test_a_line_that_stopped_and_a_group_that_grew_break_theirs(city):
    found = _kept(city, s111111=("running", 45), s222222=("stopped", 0), s333333=("done", 20))
    assert found["override:forced:222222:milat"] == (0, False)
    assert found["override:forbidden:333333:milat"] == (0, True)
    assert found["school_capacity:milat"] == (1, True)
    found = _kept(city, s111111=("running", 45), s222222=("running", 20), s333333=("stopped", 0))
    assert found["participant_capacity:milat"] == (65, False)
    assert found["must_keep"] == (1, False)


def test_a_rule_about_what_was_chosen_is_not_measured(city):
    plan = _standing(city, _tables(s111111=("running", 20)))
    order = NeedOrder.__new__(NeedOrder)
    assert measured([order], pl.DataFrame({"rule_id": ["need_order"]}), plan, plan) == []


def test_a_rule_that_the_plan_was_not_made_by_is_left_out(city):
    plan = _standing(city, _tables(s111111=("running", 20)))
    assert isinstance(plan, Plan)
    assert measured(RULES, pl.DataFrame({"rule_id": ["other"]}), None, plan) == []
