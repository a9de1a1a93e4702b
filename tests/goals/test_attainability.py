"""Goals: what can be seen, how likely they are, and whether they were reached."""

import numpy as np
import polars as pl
import pytest

from models.goals import attainability, draft_targets, results

ROW = {
    "target_value": 0.1,
    "baseline": 0.3,
    "baseline_se": 0.03,
    "next_se": 0.05,
    "forecast": 0.28,
    "forecast_se": 0.05,
    "goal_gain": 0.1,
    "goal_gain_se": 0.02,
}


def _one(**changes):
    schema = dict.fromkeys(ROW, pl.Float64)
    return attainability(pl.DataFrame([ROW | changes], schema_overrides=schema)).row(0, named=True)


def test_the_chance_is_that_of_the_simulated_state():
    rng = np.random.default_rng(1)
    n = 400_000
    state = (
        ROW["forecast"]
        + ROW["forecast_se"] * rng.normal(size=n)
        - ROW["goal_gain"]
        - ROW["goal_gain_se"] * rng.normal(size=n)
    )
    assert _one()["p_reach"] == pytest.approx((state <= ROW["target_value"]).mean(), abs=0.003)


def test_what_two_measurements_differ_by_in_nine_of_ten_cases_is_not_seen():
    rng = np.random.default_rng(2)
    two = rng.normal(0, [[ROW["baseline_se"]], [ROW["next_se"]]], size=(2, 400_000))
    found = _one()["detectable"]
    assert (np.abs(two[0] - two[1]) > found).mean() == pytest.approx(0.10, abs=0.003)
    assert not _one()["is_below_detectable"]
    assert _one(target_value=0.25)["is_below_detectable"]


def test_without_a_trend_no_chance_is_told():
    assert _one(forecast=None, forecast_se=None)["p_reach"] is None
    assert _one(goal_gain=None, goal_gain_se=None)["p_reach"] < _one()["p_reach"]


def test_a_draft_asks_for_what_can_be_seen_and_for_no_more_than_all():
    frame = pl.DataFrame(
        {"baseline": [0.5, 0.02], "baseline_se": 0.03, "next_se": 0.04, "aim": 0.0}
    )
    made = draft_targets(frame)["target_value"].to_list()
    assert made == pytest.approx([0.5 - 1.6448536 * 0.05, 0.0])


@pytest.mark.parametrize(
    ("now", "se", "is_due", "result"),
    [
        (0.0, 0.02, True, "met"),
        (0.3, 0.02, True, "not_met"),
        (0.1, 0.02, True, "unclear"),
        (0.0, 0.02, False, "not_yet"),
        (None, None, True, "not_measured"),
    ],
)
def test_a_goal_is_met_by_the_whole_interval_only(now, se, is_due, result):
    frame = pl.DataFrame(
        [{"target_value": 0.1, "now": now, "now_se": se, "is_due": is_due}],
        schema_overrides={"now": pl.Float64, "now_se": pl.Float64},
    )
    assert results(frame)["goal_result"].to_list() == [result]
