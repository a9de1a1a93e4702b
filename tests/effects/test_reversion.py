"""Mean reversion: planted choices by luck, by the last level and by lasting ability."""

import numpy as np
import polars as pl
import pytest

from models.effects.reversion import mean_reversion
from models.effects.school_panel import levels_around_start
from tests.effects.panels import pupil_levels, school_cells

SIMULATIONS = 100


def levels(simulations=SIMULATIONS, **how):
    return [pupil_levels(np.random.default_rng(seed), **how) for seed in range(simulations)]


def verdicts(simulations=SIMULATIONS, **how):
    return [mean_reversion(one) for one in levels(simulations, **how)]


def gain(units):
    """The mean gain from the last level, treated less compared, and its error."""
    gains = [
        units.filter(is_treated=treated).select(pl.col("after_sd") - pl.col("before_1_sd"))
        for treated in (True, False)
    ]
    means = [one.to_series().mean() for one in gains]
    return means[0] - means[1], np.sqrt(sum(one.to_series().var() / one.height for one in gains))


def share(found, test):
    return np.mean([test(one) for one in found])


@pytest.mark.parametrize("chosen_by", ["luck", "level"])
@pytest.mark.parametrize("keep", [1.0, 0.95])
def test_a_choice_by_the_last_year_is_seen_where_its_gain_looks_like_an_effect(chosen_by, keep):
    units = levels(chosen_by=chosen_by, keep=keep)
    gains = [gain(one) for one in units]
    assert share(gains, lambda one: one[0] > 1.645 * one[1]) >= 0.95  # and there is no effect
    found = [mean_reversion(one) for one in units]
    assert share(found, lambda one: one.selected_on == "last_level") >= 0.95


def test_a_choice_by_lasting_ability_is_not_suspected():
    found = verdicts(chosen_by="lasting", simulations=200)
    assert share(found, lambda one: one.selected_on == "last_level") <= 0.10
    assert share(found, lambda one: one.selected_on == "lasting_level") >= 0.85


def test_few_units_leave_it_open():
    found = verdicts(chosen_by="lasting", pupils=30)
    assert share(found, lambda one: one.selected_on == "unknown") >= 0.5


def test_the_formula_gives_what_a_choice_by_the_level_makes():
    units = levels(chosen_by="level", pupils=2000, keep=0.95)
    found = [mean_reversion(one) for one in units]
    truth = np.mean([gain(one)[0] for one in units])
    assert truth == pytest.approx(np.mean([one.reversion_sd for one in found]), abs=0.01)
    # Reliability a year on: .95 · .85² / (.85² + .45²).
    assert np.mean([one.reliability for one in found]) == pytest.approx(
        0.95 * 0.7225 / 0.925, abs=0.01
    )
    assert share(found, lambda one: one.reversion_lo_sd < truth < one.reversion_hi_sd) >= 0.86


def test_strata_take_out_what_their_units_share():
    one = pupil_levels(np.random.default_rng(1), chosen_by="luck")
    shift = pl.col("unit_id") % 3
    strata = one.with_columns(shift.alias("stratum_id"))
    moved = strata.with_columns(
        pl.col("before_1_sd") + shift, pl.col("after_sd") - 2 * shift, pl.col("before_2_sd") * 1
    )
    plain, other = mean_reversion(strata), mean_reversion(moved)
    assert other.dip_sd == pytest.approx(plain.dip_sd)
    assert other.dip_se_sd == pytest.approx(plain.dip_se_sd)
    assert mean_reversion(moved.sample(fraction=1, shuffle=True, seed=1)) == other


def test_contrasts_equal_least_squares():
    one = pupil_levels(np.random.default_rng(2), pupils=80).with_columns(
        (pl.col("unit_id") % 4).alias("stratum_id")
    )
    found = mean_reversion(one)
    design = np.column_stack([one["is_treated"], np.eye(4)[one["stratum_id"].to_numpy()]]).astype(
        float
    )
    dip = (one["before_1_sd"] - (one["before_2_sd"] + one["before_3_sd"]) / 2).to_numpy()
    slope, rest, *_ = np.linalg.lstsq(design, dip, rcond=None)
    error = np.sqrt(rest[0] / 75 * np.linalg.inv(design.T @ design)[0, 0])
    assert found.dip_sd == pytest.approx(slope[0])
    assert found.dip_se_sd == pytest.approx(error * 1.665425 / 1.644854, rel=1e-5)  # t with 75


def test_levels_of_schools_around_their_starts():
    cells = school_cells(np.random.default_rng(0), schools=10, treated=4, starts=2, years=6)
    grades = cells.join(pl.DataFrame({"grade": [4, 5]}), how="cross")
    found = levels_around_start(grades)
    # Starts 2023 and 2024: two schools and eight not served yet, then two and six.
    assert found.group_by("stratum_id", "is_treated").len().sort(
        "stratum_id", "is_treated"
    ).rows() == [(2023, False, 8), (2023, True, 2), (2024, False, 6), (2024, True, 2)]
    late = cells.filter(pl.col("started_year") == 2024)["semel_mosad"][0]
    level = {
        y: cells.filter(semel_mosad=late, school_year=y)["outcome_sd"][0] for y in (2023, 2024)
    }
    never = cells.filter(pl.col("started_year").is_null())
    mean = {y: never.filter(school_year=y)["outcome_sd"].mean() for y in (2023, 2024)}
    row = found.filter(unit_id=late, stratum_id=2024).row(0, named=True)
    assert row["before_1_sd"] == pytest.approx(level[2023] - mean[2023])
    assert row["after_sd"] == pytest.approx(level[2024] - mean[2024])
    shuffled = levels_around_start(grades.sample(fraction=1, shuffle=True, seed=1))
    assert shuffled.equals(found)
    assert mean_reversion(found) is not None


def test_too_few_or_faulty_units():
    units = pupil_levels(np.random.default_rng(0), pupils=40)
    assert mean_reversion(units.with_columns(is_treated=pl.lit(False))) is None
    assert mean_reversion(units.head(4)) is None
    assert mean_reversion(units.with_columns(pl.lit(None, pl.Float64).alias("after_sd"))) is None
    assert mean_reversion(units.drop("before_3_sd")) is not None
    for words, bad in {
        "lack columns: after_sd": units.drop("after_sd"),
        "is_treated must be known": units.with_columns(
            pl.lit(None, pl.Boolean).alias("is_treated")
        ),
        "twice in one stratum": pl.concat([units, units[:1]]),
    }.items():
        with pytest.raises(ValueError, match=words):
            mean_reversion(bad)
