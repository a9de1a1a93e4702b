"""The claims of design C over many simulated cities of 36 schools (make validate)."""

import numpy as np
import polars as pl
import pytest

from models.effects import BIAS_SD
from models.effects.panel import panel
from tests.effects.group_time import group_time
from tests.effects.panels import school_cells

pytestmark = pytest.mark.slow
Z = 1.6448536


def estimates(simulations, seed, **how):
    design = {name: how.pop(name) for name in ("anticipation_years", "draws") if name in how}
    for number in range(simulations):
        cells = school_cells(np.random.default_rng(seed + number), **how)
        yield panel(cells, seed=1, **({"draws": 199} | design))


def is_effective(one):
    """Effective as the posterior would have it without a prior: the design's bias counts as
    error.
    """
    error = np.hypot(one.effect_se_sd, BIAS_SD[one.design_grade])
    return one.effect_sd > Z * error


@pytest.mark.parametrize("carried", [0.0, 0.7])
@pytest.mark.parametrize(("treated", "starts"), [(2, 1), (2, 2), (5, 2), (10, 3)])
def test_intervals_cover_and_nothing_is_found_where_nothing_is(treated, starts, carried):
    how = {"treated": treated, "starts": starts, "carried": carried}
    found = list(estimates(250, 20000, effect=0.3, **how))
    value, error = (
        np.array([getattr(one, n) for one in found]) for n in ("effect_sd", "effect_se_sd")
    )
    inside = np.mean(np.abs(value - 0.3) < Z * error)
    null = list(estimates(250, 5000, **how))
    rejected = np.mean([one.p_value < 0.10 for one in null])
    effective = np.mean([is_effective(one) for one in null])
    spread = value.std()
    print(
        f"{treated} served, {starts} starts, carried {carried}: mean {value.mean():.3f} (truth .3),"
        f" spread {spread:.3f}, error {np.sqrt(np.mean(error**2)):.3f}, coverage {inside:.3f}, null"
        f" rejected {rejected:.3f}, effective {effective:.3f}"
    )
    assert abs(value.mean() - 0.3) < 3 * spread / np.sqrt(250)
    assert inside >= 0.86
    assert rejected <= 0.10 + 2 * np.sqrt(0.1 * 0.9 / 250)
    assert effective <= 0.10


def test_the_facts_of_one_response_like_milat():
    """Domain_methods §2d: 10 served of 36, 2 years before and 3 after, truth .026 ITT, one
    grade.
    """
    how = {"years": 5, "first": 2, "grades": 1, "effect": 0.12}
    needy = {"chosen_by": lambda lasting, _: lasting + np.random.default_rng(0).normal(0, 0.1, 36)}
    found, naive = [], []
    for number in range(400):
        cells = school_cells(np.random.default_rng(9000 + number), **how, **needy)
        found.append(panel(cells, seed=1, draws=99))
        after = cells.filter(pl.col("school_year") >= 2022)
        served = pl.col("served_share") > 0
        naive.append(
            after.filter(served)["outcome_sd"].mean() - after.filter(~served)["outcome_sd"].mean()
        )
    value = np.array([one.itt_sd for one in found])
    smallest = np.mean([one.mde_sd for one in found])
    print(
        f"naive {np.mean(naive):.3f}; ITT mean {value.mean():.4f} (truth .026), spread"
        f" {value.std():.3f}; MDE {smallest * 0.22:.3f} ITT, {smallest:.2f} per participant"
    )
    assert np.mean(naive) < -0.1
    assert value.mean() == pytest.approx(0.0264, abs=3 * value.std() / 20)
    assert value.std() == pytest.approx(0.057, abs=0.012)
    assert smallest * 0.22 == pytest.approx(0.16, abs=0.03)


def two_way(cells):
    """Two-way fixed effects: the level on school, year and served share."""
    school, year = (
        cells.select(pl.col(n).rank("dense")).to_series().to_numpy() - 1
        for n in ("semel_mosad", "school_year")
    )
    design = np.column_stack(
        [cells["served_share"], np.eye(school.max() + 1)[school], np.eye(year.max() + 1)[year]]
    )
    return np.linalg.lstsq(design, cells["outcome_sd"].to_numpy(), rcond=None)[0][0]


def test_growing_effects_and_many_starts_bias_two_way_effects_but_not_these():
    plan = {"treated": 30, "starts": 4, "years": 8, "first": 2, "effect": 0.2, "growth": 0.2}
    ours, theirs, truths = [], [], []
    for number in range(150):
        cells = school_cells(np.random.default_rng(number), **plan)
        table = group_time(cells, seed=1, draws=1).filter(~pl.col("is_placebo"))
        weight = table["treated_pupils"] * table["served_share"]
        truths.append(((0.2 + 0.2 * table["event_year"]) * weight).sum() / weight.sum())
        ours.append((table["itt_sd"] * table["treated_pupils"]).sum() / weight.sum())
        theirs.append(two_way(cells))
    ours, theirs, truth = np.array(ours), np.array(theirs), np.mean(truths)
    print(
        f"truth {truth:.3f}; group-time {ours.mean():.3f}; two-way {theirs.mean():.3f} (spread"
        f" {ours.std():.3f})"
    )
    assert ours.mean() == pytest.approx(truth, abs=3 * ours.std() / np.sqrt(150))
    assert theirs.mean() < 0.6 * truth


CHOICES = {
    "luck": lambda lasting, level: level - lasting,
    "level": lambda lasting, level: level,
    "lasting": lambda lasting, level: lasting + np.random.default_rng(0).normal(0, 0.1, 36),
}


@pytest.mark.parametrize("first", [2, 3, 4])
@pytest.mark.parametrize("choice", sorted(CHOICES))
def test_choosing_schools_by_a_bad_year_is_no_effect(choice, first):
    how = {"first": first, "years": first + 3, "chosen_by": CHOICES[choice]}
    found = list(estimates(200, 300, **how))
    seen = np.mean(["mean_reversion" in one.doubts for one in found])
    handled = np.mean(
        [
            bool({"mean_reversion", "level_adjusted", "reversion_unchecked"} & {*one.doubts})
            for one in found
        ]
    )
    effective = np.mean([is_effective(one) for one in found])
    naive = []
    for number in range(200):
        cells = school_cells(np.random.default_rng(300 + number), **how)
        last = cells.filter(pl.col("school_year") >= 2020 + first - 1)  # the dip year as only base
        table = group_time(last, seed=1, draws=99).filter(event_year=0)
        naive.append(table["itt_sd"][0] > Z * table["itt_se_sd"][0])
    print(
        f"chosen by {choice}, {first} years before: naive 'effective' {np.mean(naive):.3f}; dip"
        f" seen {seen:.3f}, handled {handled:.3f}, effective {effective:.3f}"
    )
    assert effective <= (
        0.20 if (choice, first) == ("level", 2) else 0.10 + 2 * np.sqrt(0.09 / 200)
    )
    if choice == "luck":
        assert np.mean(naive) >= 0.5
        assert seen >= 0.85
        assert handled >= 0.97
    if choice == "level":
        assert handled >= 0.9
    if choice == "lasting":
        assert seen <= 0.10
