"""Absence as the outcome: what is saved in days, who is judged by it, and what must not pass for an
effect (R59, R61).
"""

import numpy as np
import polars as pl
import pytest

from models.effects import matched
from pipelines.decide import pupils as columns
from pipelines.decide.absence import ABSENCE, _in_sd, _matching, absences
from pipelines.decide.effects import effects, judged_by_absence
from pipelines.settings.city import load_city
from tests.validation.planted_effects import planted


@pytest.fixture(scope="module")
def city(small_city):
    return load_city(small_city)


@pytest.fixture(scope="module")
def tables():
    return planted(1, "small")[1]


@pytest.fixture(scope="module")
def told(city, tables):
    return absences(city, tables)["mart_effect_absence"]


def test_only_a_response_chosen_to_lower_absence_is_judged_by_it(told, tables):
    assert set(told["response_id"]) == set(tables["core_response_entry"]["response_id"])
    assert told.filter("is_goal")["response_id"].to_list() == ["merchav"]
    judged = pl.col("verdict").is_not_null()
    assert told.filter(judged)["response_id"].to_list() == ["merchav"]
    assert told.filter(~judged).height > 3


def test_what_is_told_is_in_days_and_shrunk_towards_nothing(told):
    rows = told.drop_nulls("absence_saved_local")
    assert rows.height > 3
    assert (rows["absence_saved"].abs() <= rows["absence_saved_local"].abs()).all()
    assert (rows["absence_saved_lo"] < rows["absence_saved"]).all()
    assert (rows["absence_saved"] < rows["absence_saved_hi"]).all()
    # A bias of a tenth of an SD is in every error of grade D: of absence, some .38 days in a
    # hundred.
    graded = rows.filter(pl.col("designs") == "matching")
    assert (graded["absence_saved_local_se"] > 0.3).all()
    assert (
        told.filter(pl.col("absence_saved_local").is_null())
        .select((pl.col("absence_saved") == 0).all())
        .item()
    )


def test_twice_the_absence_is_twice_the_days(city, tables, told):
    doubled = tables | {
        "core_pupil_level": tables["core_pupil_level"].with_columns(pl.col("absence_pct") * 2)
    }
    again = absences(city, doubled)["mart_effect_absence"]
    both = told.join(again, on="response_id", suffix="_again").drop_nulls("absence_saved_local")
    assert both["absence_saved_local_again"].to_numpy() == pytest.approx(
        2 * both["absence_saved_local"].to_numpy(), abs=1e-9
    )


def test_without_attendance_nothing_is_told(city, tables):
    silent = tables | {
        "core_pupil_level": (
            tables["core_pupil_level"].with_columns(pl.lit(None, pl.Float64).alias("absence_pct"))
        )
    }
    assert absences(city, silent)["mart_effect_absence"].is_empty()
    nobody = tables | {"core_response_entry": tables["core_response_entry"].clear()}
    assert absences(city, nobody)["mart_effect_absence"].is_empty()


def chosen(by_last_year: float, saved: float = 0.0, schools: int = 30) -> pl.DataFrame:
    """Pupil years of schools that give the response to the most absent, by lasting absence and last
    year's luck.
    """
    rng = np.random.default_rng(5)
    n = schools * 100
    lasting = rng.gamma(2.0, 3.0, n)
    earlier, before, now = (lasting + rng.gamma(2.0, 2.0, n) for _ in range(3))
    wish = lasting + by_last_year * (before - lasting) + rng.normal(0, 3, n)
    dose = (wish.reshape(schools, 100).argsort(1).argsort(1) >= 80).ravel().astype(float)
    return pl.DataFrame(
        {
            "pupil_hash": [f"p{i:05}" for i in range(n)],
            "school_year": 2026,
            "grade": 4,
            "semel_mosad": [f"9{i // 100:05}" for i in range(n)],
            "nurture_decile": rng.integers(1, 11, n),
            "is_sen_integration": rng.random(n) < 0.1,
            "is_new_immigrant": rng.random(n) < 0.1,
            "has_home_internet": rng.random(n) < 0.9,
            "absence_pct": now - saved * dose,
            "absence_before_pct": before,
            "absence_earlier_pct": earlier,
            columns.before("math"): rng.normal(0, 1, n),
            columns.dose("other"): rng.random(n),
            columns.dose("merchav"): dose,
            columns.dose_before("merchav"): 0.0,
        }
    )


def estimate(people):
    in_sd, spread = _in_sd(people)
    listed = people.filter(pl.col("dose_merchav") > 0).select(
        *columns.PUPIL_YEAR, "semel_mosad", assignment_mechanism=pl.lit("teacher_choice")
    )
    return _matching(in_sd, listed, "merchav", 1), spread


def test_a_planted_saving_is_found_and_none_where_none_is():
    found, spread = estimate(chosen(0.0, saved=1.5))
    assert found.effect_sd * spread == pytest.approx(1.5, abs=0.5)
    assert found.doubts == ("no_placebo",)
    nothing, _ = estimate(chosen(0.0))
    assert abs(nothing.effect_sd) < 0.1  # the bias that grade D allows for


def test_who_is_usually_absent_is_not_taken_for_one_made_absent():
    """With both earlier years held constant alone, the chosen seem to be made absent: -.4 days and
    more.
    """
    people = chosen(0.0)
    in_sd, spread = _in_sd(people)
    given = in_sd.rename(
        {
            "pupil_hash": "pupil_id",
            columns.score(ABSENCE): "outcome_sd",
            "dose_merchav": "dose",
            "dose_before_merchav": "dose_before",
        }
    )
    held = matched(
        given, covariates=[columns.before(ABSENCE), columns.earlier(ABSENCE)], priors=[], seed=1
    )
    assert held.effect_sd * spread < -0.4
    assert abs(estimate(people)[0].effect_sd) < abs(held.effect_sd) / 3


def test_that_last_year_s_bad_luck_passes_by_itself_is_no_saving():
    """Chosen for one bad year, pupils come back to their usual absence whatever is done for
    them.
    """
    unlucky, spread = estimate(chosen(3.0, saved=1.5))
    assert "chosen_by_score" in unlucky.doubts
    assert unlucky.effect_sd * spread == pytest.approx(1.5, abs=0.5)


def test_where_absence_is_luck_alone_earlier_years_are_held_constant_and_one_is_the_placebo():
    rng = np.random.default_rng(6)
    luck = chosen(0.0).with_columns(
        pl.Series(name, rng.gamma(4.0, 2.5, 3000))
        for name in ("absence_pct", "absence_before_pct", "absence_earlier_pct")
    )
    found, _ = estimate(luck)
    assert found.placebo_sd is not None
    assert found.doubts == ()
    # Chosen for last year, though it says nothing of this one: the placebo tells.
    spoilt, _ = estimate(
        luck.with_columns(pl.col("absence_before_pct") + 4 * pl.col("dose_merchav"))
    )
    assert spoilt.doubts == ("placebo_fails",)


def test_the_verdict_on_absence_stands_for_the_response_and_no_effect_in_sd(city, tables, told):
    silent = effects(city, tables)["mart_verdict"]
    judged = judged_by_absence(silent, told)
    key = ["response_id", "group_id", "subject"]
    changed = judged.join(silent, on=key, suffix="_was").filter(
        pl.col("verdict").ne_missing(pl.col("verdict_was"))
        | pl.col("design_grade").ne_missing(pl.col("design_grade_was"))
    )
    assert changed.select(key).rows() == [("merchav", "all", "all")]
    row = changed.to_dicts()[0]
    own = told.filter(pl.col("response_id") == "merchav").to_dicts()[0]
    for name in ("verdict", "verdict_reason", "p_positive", "p_worthwhile", "design_grade"):
        assert row[name] == own[name]
    assert row["effect_sd"] is None
    assert judged.drop("verdict").columns == silent.drop("verdict").columns
