"""What is new since the release before, and who is told of it once (R103)."""

import datetime

import polars as pl
import pytest

from pipelines.publish.news import news
from pipelines.settings.fields import dictionary
from pipelines.warehouse.tables import table_of

DAY = datetime.date(2026, 11, 1)
NAMES = ("mart_alert", "mart_decision_log", "mart_confirmation", "mart_line_tracking")
ALL = (*NAMES, "mart_goal", "mart_plan_line", "mart_response", "mart_need_index")


def _row(table, **given):
    """One row of a table: what is given, and something of the right type for the rest."""
    fields, schema = dictionary().fields, table_of(table, []).schema
    some = {pl.String: "x", pl.Boolean: True, pl.Date: DAY, pl.Float64: 0.5}
    row = {
        name: None if name in dictionary().tables[table].nullable else some.get(dtype, 1)
        for name, dtype in schema.items()
    }
    row |= {
        name: fields[name].allowed[0]
        for name in row
        if row[name] is not None and fields[name].allowed
    }
    return row | given


def _tables(**rows):
    return {
        name: table_of(name, [_row(name, **row) for row in rows.get(name, [])]) for name in ALL
    } | {
        "mart_response": table_of(
            "mart_response", [_row("mart_response", response_id="milat", response_name_he='מיל"ת')]
        ),
        "mart_need_index": table_of(
            "mart_need_index",
            [_row("mart_need_index", semel_mosad="111111", school_name_he="אלונים")],
        ),
    }


@pytest.fixture
def before(tmp_path):
    """The release before: one alert, one decision, one line running, one goal, 100 NIS."""

    def write(**rows):
        folder = tmp_path / "analyst"
        folder.mkdir()
        for name, frame in _tables(**rows).items():
            frame.write_parquet(folder / f"{name}.parquet")
        return tmp_path

    return write


WAS = {
    "mart_alert": [{"alert_id": "a", "alert_he": "איחור א", "alert_en": "late a"}],
    "mart_decision_log": [{"decision_id": "d1"}],
    "mart_confirmation": [],
    "mart_line_tracking": [
        {"plan_row_id": "1/milat", "work_status": "not_started"},
        {"plan_row_id": "2/milat", "work_status": "running"},
    ],
    "mart_goal": [{"goal_row_id": "g", "goal_result": "not_yet"}],
    "mart_plan_line": [{"cost_agorot": 10_000}],
}


def test_each_kind_of_news_is_told_once_and_nothing_else(before):
    now = WAS | {
        "mart_alert": [{"alert_id": "b", "alert_he": "איחור ב", "alert_en": "late b"}],
        "mart_decision_log": [
            {"decision_id": "d1"},
            {
                "decision_id": "d2",
                "decision_kind": "share",
                "decision_reason": "כך הוחלט",
                "decided_on": DAY,
            },
        ],
        "mart_confirmation": [
            {
                "response_id": "milat",
                "semel_mosad": "111111",
                "school_or_city": "111111",
                "funding_channel": "gefen_school",
                "confirmation_word": "refused",
                "asked_agorot": 500_000,
            }
        ],
        "mart_line_tracking": [
            {"plan_row_id": "1/milat", "work_status": "running"},
            {"plan_row_id": "2/milat", "work_status": "running"},
        ],
        "mart_goal": [{"goal_row_id": "g", "goal_result": "met"}],
        "mart_plan_line": [{"cost_agorot": 25_000}],
    }
    found = news(_tables(**now), before(**WAS))
    assert dict(found.select("news_kind", "news_en").iter_rows()) == {
        "plan": "The plan's sum: 250 NIS (it was 100).",
        "alert": "late b",
        "alert_gone": "late a",
        "decision": "Decision d2, 2026-11-01: share.",
        "answer": "milat, 111111, gefen_school: refused (asked: 5,000 NIS).",
        "work": "Lines of the work plan newly running: 1.",
        "goal": "Goals newly met: 1.",
    }
    assert 'מיל"ת, אלונים' in found.filter(news_kind="answer")["news_he"].item()
    assert "כך הוחלט" in found.filter(news_kind="decision")["news_he"].item()


def test_the_same_release_has_no_news_and_a_first_one_neither(before):
    assert news(_tables(**WAS), before(**WAS)).is_empty()
    assert news(_tables(**WAS), None).is_empty()


def test_a_release_of_an_older_version_is_nothing_to_compare_with(before):
    folder = before(**WAS)
    (folder / "analyst" / "mart_alert.parquet").unlink()
    assert news(_tables(**WAS), folder).is_empty()
