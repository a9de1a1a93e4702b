"""The figures of the eight questions by hand, and what schools can buy themselves (R84, R99)."""

from types import SimpleNamespace

import polars as pl
import pytest

from pipelines.decide.allocation import with_replaceable
from pipelines.decide.answers import answers


def tables():
    lines = pl.DataFrame(
        [
            ("1", "milat", 1_000, 600, 2.0),
            ("1", "amirim", 500, 400, 1.0),
            ("2", "milat", 500, 0, 3.0),
        ],
        schema=[
            "semel_mosad",
            "response_id",
            "cost_agorot",
            "municipal_agorot",
            "benefit_sd_pupils",
        ],
        orient="row",
    )
    money = pl.DataFrame(
        [
            ("1", "milat", "municipal_own", 600),
            ("1", "milat", "gefen_school", 400),
            ("1", "amirim", "municipal_own", 400),
            ("1", "amirim", "parents", 100),
            ("2", "milat", "gefen_school", 500),
        ],
        schema=["semel_mosad", "response_id", "funding_channel", "amount_agorot"],
        orient="row",
    )
    return {
        "mart_allocation": lines,
        "mart_allocation_money": money,
        "mart_allocation_stability": lines.select(
            "semel_mosad", "response_id", stability=pl.Series(["firm", "firm", "contested"])
        ),
        "mart_city_service": pl.DataFrame(
            [("amirim", 4, 300, 100), ("shefach", None, None, None)],
            schema=["response_id", "places", "cost_agorot", "municipal_agorot"],
            orient="row",
        ),
        "mart_city_service_money": pl.DataFrame(
            [("amirim", "municipal_own", 100), ("amirim", "ministry_other", 200)],
            schema=["response_id", "funding_channel", "amount_agorot"],
            orient="row",
        ),
        "mart_asset": pl.DataFrame({"asset_id": ["a", "b"], "hours_free_per_week": [3.0, 4.0]}),
        "mart_response": pl.DataFrame(
            [
                ("milat", "g1", "long", False),
                ("amirim", "g2", "short", True),
                ("posh", "g3", "short", False),
            ],
            schema=["response_id", "goal_id", "horizon", "is_excellence"],
            orient="row",
        ),
    }


def test_every_figure_by_hand():
    found = answers(None, tables())["mart_allocation_answer"]
    assert dict(found.select("answer_id", "answer_value").iter_rows()) == pytest.approx(
        {
            "benefit": 6,
            "excellence_agorot": 500,
            "excellence_pct": 100 * 500 / 1_100,
            "excellence_all_agorot": 500 + 300,  # of the school's line and the city's service
            "excellence_all_pct": 100 * 800 / 2_300,
            "total_agorot": 2_300,
            "municipal_agorot": 1_100,
            "not_school_agorot": 500,
            "not_school_pct": 100 * 500 / 1_100,
            "goals": 2,
            "goals_all": 3,
            "several": 1,
            "long_pct": 100 * 1_500 / 2_300,
            "assets": 2,
            "hours_free": 7,
            "firm": 2,
            "contested": 1,
            "coin_flip": 0,
        }
    )
    assert found["question"].is_sorted()


def test_a_plan_that_buys_nothing_has_answers_too():
    none = {
        name: table.clear() if name.startswith(("mart_allocation", "mart_city")) else table
        for name, table in tables().items()
    }
    values = dict(
        answers(None, none)["mart_allocation_answer"]
        .select("answer_id", "answer_value")
        .iter_rows()
    )
    assert values["excellence_pct"] == values["total_agorot"] == 0


def test_municipal_money_on_what_a_school_can_buy_itself_is_flagged():
    """Schools can buy milat; where the municipality pays none of it nothing is flagged."""

    def response(can_buy):
        return SimpleNamespace(schools_can_buy=SimpleNamespace(value=can_buy))

    undecided = SimpleNamespace(schools_can_buy=None)
    planted = {"milat": response(True), "amirim": response(False), "posh": undecided}
    city = SimpleNamespace(policy=SimpleNamespace(responses=planted))
    assert with_replaceable(city, tables()["mart_allocation"])["is_replaceable"].to_list() == [
        True,
        False,
        False,
    ]
