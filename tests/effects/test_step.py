"""The step `effects` on a generated city: what is judged, by which goal."""

import numpy as np
import polars as pl
import pytest

from models.effects import threshold
from pipelines.decide.effects import _from_cut_off, effects, goal_subjects
from pipelines.settings.city import load_city
from tests.validation.planted_effects import planted


@pytest.fixture(scope="module")
def city(small_city):
    return load_city(small_city)


@pytest.fixture(scope="module")
def made(city):
    _, tables, _ = planted(1, "small")
    return effects(city, tables)


def test_a_response_is_judged_by_the_goal_it_was_chosen_for_alone(city):
    judged = goal_subjects(city).group_by("response_id").agg(pl.col("subject").sort())
    judged = dict(judged.iter_rows())
    assert judged["milat"] == ["english", "hebrew", "math"]
    assert judged["makom_balev"] == ["hebrew", "math"]  # chosen to raise achievement
    assert judged["hebrew_immigrants"] == ["hebrew"]
    # Attendance, welfare, climate, technology: no test measures them.
    assert not {"merchav", "perach", "informal_clubs", "tikshuv", "hosen"} & set(judged)


def test_a_goal_that_no_test_measures_has_no_verdict_and_its_scores_stand_beside_it(city, made):
    verdict = made["mart_verdict"].filter(pl.col("group_id") == "all")
    measured = made["mart_effect"].filter("is_measured")["response_id"].unique()
    silent = [r for r in ("merchav", "perach", "informal_clubs", "tikshuv") if r in measured]
    assert silent  # else nothing is tested here
    for response_id in silent:
        own = verdict.filter(pl.col("response_id") == response_id)
        whole, beside = (
            own.filter(pl.col("subject") == "all"),
            own.filter(pl.col("subject") != "all"),
        )
        assert whole.select("verdict", "verdict_reason", "effect_sd", "p_worthwhile").row(0) == (
            "insufficient_evidence",
            "not_measured",
            None,
            None,
        )
        assert beside["verdict"].null_count() == beside.height > 0
        assert beside["effect_sd"].null_count() == 0
        assert not beside["is_placebo_moved"].any()
    assert (
        made["mart_verdict"]["response_id"].n_unique()
        == made["mart_effect"]["response_id"].n_unique()
    )


def test_a_side_effect_is_no_placebo(city, made):
    own = made["mart_verdict"].filter(
        pl.col("response_id") == "hebrew_immigrants", pl.col("group_id") == "all"
    )
    assert own.filter("is_target")["subject"].to_list() == ["all", "hebrew"]
    assert own["subject"].to_list() == ["all", "english", "hebrew", "math"]
    assert not own["is_placebo_moved"].any()


def test_a_group_keeps_what_lottery_and_threshold_tell_of_all(made):
    """The group's effect starts from the posterior on all, so no evidence on all is lost in it."""
    groups = made["mart_verdict"].filter(pl.col("group_id") != "all", pl.col("subject") != "all")
    whole = made["mart_effect"].select(
        "response_id", "subject", all_sd="effect_sd", all_se="effect_se_sd", all_prior="prior_se_sd"
    )
    rows = groups.join(whole, on=["response_id", "subject"])
    assert rows.height == groups.height > 0
    assert (groups["information_pct"] >= 0).all()
    assert (rows["effect_se_sd"] >= rows["all_se"]).all()
    assert (rows["prior_se_sd"] > rows["all_prior"]).all()
    # What a group may differ by is small, so its effect stays near that on all.
    assert ((rows["effect_sd"] - rows["all_sd"]).abs() <= 3 * 0.05 * 2**0.5).all()
    designs = made["mart_effect_design"].filter("is_used")["design"]
    assert {"matching", "lottery"} <= set(designs)  # else nothing is tested here


def scored(declined: float, late: int, effect: float = 0.0) -> pl.DataFrame:
    """Entries of a school that offers places at or below -.5, in four years, with its pupils'
    outcomes.
    """
    rng = np.random.default_rng(3)
    frames = []
    for year in range(2021, 2025):
        score = rng.normal(0, 1, 120)
        offered = score <= -0.5
        offered[rng.choice(np.flatnonzero(score > 0.5), late, replace=False)] = True
        dose = (offered & (rng.random(120) >= declined)).astype(float)
        frames.append(
            pl.DataFrame(
                {
                    "stratum": f"900010|{year}",
                    "unit": [f"{year}-{i:03}" for i in range(120)],
                    "selection_score": score,
                    "is_offered": offered,
                    "dose": dose,
                    "outcome_sd": 0.7 * score + effect * dose + rng.normal(0, 0.5, 120),
                }
            )
        )
    return pl.concat(frames)


@pytest.mark.parametrize(("declined", "late"), [(0.0, 0), (0.02, 0), (0.2, 0), (0.2, 3)])
def test_who_declines_and_who_comes_late_leave_the_cut_off_where_it_was(declined, late):
    """One who declined moved the cut-off from -.5 to the lowest such score, and the estimate was
    lost.
    """
    rows = _from_cut_off(scored(declined, late))
    cuts = (rows["selection_score"] - rows["running"]).unique()
    assert cuts.to_numpy() == pytest.approx(-0.5, abs=0.06)


def test_the_effect_on_those_who_take_the_offer_is_found_among_decliners():
    rows = _from_cut_off(scored(0.5, 3, effect=0.5))
    found = threshold(rows)
    assert found.effect_sd == pytest.approx(0.5, abs=2 * found.effect_se_sd)
    assert found.effect_sd > 1.2 * found.itt_sd > 0  # of the offer it is diluted
