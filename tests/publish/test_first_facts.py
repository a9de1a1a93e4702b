"""What the first pages reckon from the marts, and what they say where a city does not know it."""

import re
from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from pipelines.publish.pages.first import facts
from pipelines.publish.pages.first.index import MOST_CHOICES, _choices, _unknown, render_index
from pipelines.publish.pages.first.questions import render_questions
from pipelines.publish.pages.first.scenarios import render_plans
from tests.publish.layer import visible
from tests.words.reading import Page


def test_changes_are_counted_by_tier_and_unknown_schools_are_left_out():
    rows = pl.DataFrame(
        {
            "semel_mosad": ["1", "2", "3", "4", "5", "6"],
            "change_agorot": [300, -100, 0, -50, 70, None],
        }
    )
    need = pl.DataFrame({"semel_mosad": ["1", "2", "3", "4", "6"], "need_tier": list("AAADB")})
    assert facts.changes({"mart_allocation_change": rows, "mart_need_index": need}) == [
        {"need_tier": "A", "schools_gaining": 1, "schools_losing": 1, "change_agorot": 200},
        {"need_tier": "D", "schools_gaining": 0, "schools_losing": 1, "change_agorot": -50},
    ]


@pytest.mark.parametrize(
    ("paid", "times"),
    [([300, 200, 100], 3.0), ([300], None), ([], None), ([300, 0], None), ([None, 100], None)],
)
def test_times_are_the_first_group_over_the_last(paid, times):
    assert facts.times([{"per_pupil_agorot": one} for one in paid]) == times


@pytest.mark.parametrize(
    ("paid", "ordered"),
    [([300, 200, 200, 100], True), ([270, 100, 323, 66], False), ([300, None, 100], False)],
)
def test_a_multiple_is_told_only_where_money_rises_with_need(paid, ordered):
    assert facts.is_ordered([{"per_pupil_agorot": one} for one in paid]) is ordered


@pytest.mark.parametrize(
    ("sources", "whose"),
    [
        (["last_year", "last_year"], "last_year"),
        (["decision", "policy"], "committee"),
        (["decision", "last_year"], "both"),
        ([], "committee"),
    ],
)
def test_an_amount_of_last_year_is_not_the_committee_s(sources, whose):
    rows = pl.DataFrame(
        {"amount_source": sources, "amount_agorot": [5] * len(sources)},
        schema={"amount_source": pl.String, "amount_agorot": pl.Int64},
    )
    assert facts.whose_amounts({"mart_committee_amount": rows}) == whose


def test_what_happened_since_is_told_once_something_is_reported():
    def tables(status_on, spent):
        return {
            "mart_line_tracking": pl.DataFrame(
                {
                    "status_on": pl.Series([status_on, None], dtype=pl.Date),
                    "due_agorot": [500, 300],
                    "spent_agorot": [spent, 0],
                }
            ),
            "mart_alert": pl.DataFrame({"alert_kind": ["overdue", "rule_broken"]}),
        }

    assert facts.since_decided(tables(None, 0)) is None
    told = facts.since_decided(tables(date(2027, 2, 28), 450))
    assert told == {
        "alerts": 2,
        "broken": 1,
        "day": date(2027, 2, 28),
        "due_agorot": 800,
        "spent_agorot": 450,
    }
    assert facts.since_decided(tables(None, 450))["day"] is None


def test_the_city_s_own_pupils_are_one_kind_of_evidence():
    rows = pl.DataFrame(
        {
            "evidence_kind": ["assumed", "committee", "literature", "own_a", "own_d"],
            "worth_share_pct": [10.0, None, 50.0, 25.0, 15.0],
            "cost_agorot": [1, 90, 1, 1, 1],
        }
    )
    told = facts.evidence({"mart_plan_evidence": rows})
    assert [(row["kind"], row["worth_share_pct"]) for row in told] == [
        ("own", 40.0),
        ("literature", 50.0),
        ("assumed", 10.0),
    ]
    assert facts.uncounted({"mart_plan_evidence": rows})["cost_agorot"] == 90
    assert facts.evidence({"mart_plan_evidence": rows.clear()}) == []
    assert facts.uncounted({"mart_plan_evidence": rows.head(1)}) is None


def test_firmness_is_of_money_and_not_of_lines():
    pair = {"semel_mosad": ["1", "1", "2"], "response_id": ["a", "b", "a"]}
    tables = {
        "mart_allocation": pl.DataFrame({**pair, "cost_agorot": [60, 30, 10]}),
        "mart_allocation_stability": pl.DataFrame(
            {**pair, "stability": ["firm", "coin_flip", "coin_flip"]}
        ),
    }
    assert facts.firmness(tables) == {"firm": 60.0, "coin_flip": 40.0}
    assert facts.firmness({name: frame.clear() for name, frame in tables.items()}) == {}


def test_money_of_a_response_holds_services_of_the_city():
    tables = {
        "mart_allocation": pl.DataFrame({"response_id": ["a", "a", "b"], "cost_agorot": [1, 2, 0]}),
        "mart_city_service": pl.DataFrame({"response_id": ["c", "d"], "cost_agorot": [5, None]}),
    }
    assert facts.by_response(tables).rows() == [("a", 3), ("c", 5)]


def said(render, tables, context):
    return re.sub(r"\s+", " ", visible(Page(render(tables, context))))


def without(tables, *names):
    return {**tables, **{name: tables[name].clear() for name in names}}


@pytest.mark.parametrize(
    ("render", "absent", "words"),
    [
        (render_index, ["mart_audit_group"], "דרגות הצורך אינן ידועות."),
        (render_index, ["mart_allocation_change"], "תקציב אשתקד לפי בית ספר אינו ידוע."),
        (render_questions, ["mart_audit_group"], "מדד הטיפוח אינו ידוע."),
        (render_questions, ["mart_plan_progress"], "התקדמות לפי רמת התלמידים לא נספרה."),
    ],
)
def test_what_a_city_does_not_know_is_said(render, absent, words, tables, context):
    assert words not in said(render, tables, context)
    assert words in said(render, without(tables, *absent), context)


def test_a_plan_without_scenarios_has_nothing_to_be_compared_with(tables, context):
    alone = {
        **tables,
        "mart_scenario": tables["mart_scenario"].filter(scenario_id="base"),
    }
    text = said(render_plans, alone, context)
    assert "לא הוגדרו תרחישים" in text
    assert "מי מקבל פחות, ומי יותר" not in text


def test_an_expected_benefit_that_nobody_knows_is_no_zero(tables, context):
    benefit = [name for name in tables["mart_scenario"].columns if name.startswith("benefit_")]
    unknown = tables["mart_scenario"].with_columns(
        pl.lit(None, dtype=pl.Float64).alias(name) for name in benefit
    )
    text = said(render_index, {**tables, "mart_scenario": unknown}, context)
    assert "לאף מענה אין השפעה רשומה שאפשר לספור" in text


def test_choices_have_their_order_and_stand_only_where_there_is_one(tables):
    kinds = [item["kind"] for item in _choices(tables)]
    order = ["unconfirmed", "falls", "voices", "proposals", "preference", "budget"]
    assert kinds == [kind for kind in order if kind in kinds]
    assert 3 <= len(kinds) <= MOST_CHOICES
    left = without(tables, "mart_scenario", "mart_allocation_next")
    assert not {"unconfirmed", "preference", "budget"} & {item["kind"] for item in _choices(left)}


def test_of_what_is_measured_nowhere_the_weightiest_stand_and_the_others_are_counted(tables):
    rows = pl.DataFrame(
        {
            "item_id": [f"i{number}" for number in range(8)],
            "schools_not_measured": [3, None, 3, 2, 3, 3, 3, 3],
            "schools": [3, None, 3, 3, 3, 3, 3, 3],
            "weakens": ["a", "a", "a,b,c", "a,b,c,d", "a", "a,b", "a", "a"],
        }
    )
    told = _unknown({"mart_not_measured": rows})
    assert [row["item_id"] for row in told["rows"]] == ["i2", "i5", "i0", "i1"]
    assert told["more"] == 3
    assert _unknown({"mart_not_measured": rows.clear()}) == {"rows": [], "more": 0}


def test_a_city_s_notes_stand_on_the_first_page(tables, context):
    noted = replace(context, notes_he=("הנתונים מסתיימים ב־2017.",), is_synthetic=False)
    assert "הנתונים מסתיימים ב־ 2017 ." in said(render_index, tables, noted)
    # That a city is synthetic is said above every page, and need not be said again.
    assert "2017" not in said(render_index, tables, replace(noted, is_synthetic=True))
