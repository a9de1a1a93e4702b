"""Cells missing by design: the exact conditional normal, never across a break of scales."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cells import CELL_KEY, COMPONENTS, MEAN_GROUP
from models.gaps import shrunken_gaps
from models.gaps.planned_missing import planned_missing_gaps, predicted_gaps
from tests.examples import examples
from tests.gaps.cities import TRUE_SD, city

TRUE = pl.DataFrame({"component": list(TRUE_SD), "component_sd": list(TRUE_SD.values())})


def by_turns(cells):
    """Each year every second school sits the test; the others wait for the next."""
    turn = pl.col("semel_mosad").str.slice(-1).cast(pl.Int32) + pl.col("school_year")
    return cells.filter(turn % 2 == 0), cells.filter(turn % 2 == 1)


def dense_prediction(seen, wanted):
    """The conditional normal from one dense covariance of the city, with a flat prior of means."""
    both = pl.concat([seen.select(CELL_KEY), wanted.select(CELL_KEY)])
    key = {name: both[name].to_numpy() for name in CELL_KEY}

    def same(*names):
        return np.all([key[name][:, None] == key[name] for name in names], axis=0)

    u, v, w, x = (value**2 for value in TRUE_SD.values())
    school = same("semel_mosad")
    signal = school * (
        u + v * same("subject") + w * same("school_year") + x * same("subject", "school_year")
    )
    cohort = key["school_year"] - key["grade"]
    apart = np.abs(key["school_year"][:, None] - key["school_year"])
    shared = school & (cohort[:, None] == cohort)
    correlation = np.where(np.eye(len(cohort)) > 0, 1.0, 0.5 * 0.9**apart * shared)
    groups = both.select(pl.struct(MEAN_GROUP).rank("dense") - 1).to_series().to_numpy()
    design = np.eye(groups.max() + 1)[groups]
    prior = signal + 1e4 * design @ design.T
    n = seen.height
    error = seen["gap_sampling_sd"].to_numpy()
    total = prior[:n, :n] + correlation[:n, :n] * np.outer(error, error)
    gain = np.linalg.solve(total, prior[:n, n:]).T
    return gain @ seen["gap_raw_sd"].to_numpy(), np.sqrt(
        np.diag(prior[n:, n:] - gain @ prior[:n, n:])
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_equals_the_dense_conditional_normal(seed):
    cells = city(seed, schools=9, years=3)
    hide = np.random.default_rng(seed).random(cells.height) < 0.25
    hide |= (cells["semel_mosad"] == "900004").to_numpy()  # and one school without any result
    seen, wanted = cells.filter(~hide), cells.filter(hide).sort(CELL_KEY)
    mean, error = dense_prediction(seen, wanted)
    found = predicted_gaps(seen, wanted, TRUE)
    # The flat prior has variance 1e4, and costs the dense solution some digits.
    np.testing.assert_allclose(found["gap_sd"], mean, atol=1e-5)
    np.testing.assert_allclose(found["gap_se_sd"], error, atol=1e-5)


def test_predictions_cover_what_was_hidden():
    inside, whole_subject = [], []
    for seed in range(30):
        seen, hidden = by_turns(city(seed))
        found = predicted_gaps(seen, hidden, TRUE).join(hidden, on=CELL_KEY)
        inside.append(found["truth"].is_between(found["gap_lo_sd"], found["gap_hi_sd"]).mean())
        # One subject hidden from half the schools: its cohort sat the other three.
        cells = city(1000 + seed)
        out = pl.col("subject") == "math"
        out &= pl.col("semel_mosad").str.slice(-1).cast(pl.Int32) % 2 == 0
        found = predicted_gaps(cells.filter(~out), cells.filter(out), TRUE).join(cells, on=CELL_KEY)
        whole_subject.append(
            found["truth"].is_between(found["gap_lo_sd"], found["gap_hi_sd"]).mean()
        )
    assert 0.86 <= np.mean(inside) <= 0.94
    assert 0.86 <= np.mean(whole_subject) <= 0.94


@settings(max_examples=examples(25), deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 2), min_size=4, max_size=4))
def test_never_surer_than_a_measurement_whatever_the_components(seed, sizes):
    """And the order of the rows decides nothing."""
    spread = pl.DataFrame({"component": COMPONENTS, "component_sd": [0.1 * size for size in sizes]})
    cells = city(seed, schools=7, subjects=2, years=2)
    hidden = cells.filter((pl.col("semel_mosad") == "900002") & (pl.col("school_year") == 2021))
    seen = cells.join(hidden, on=CELL_KEY, how="anti")
    guess = predicted_gaps(seen, hidden, spread)
    sure = shrunken_gaps(cells, spread).join(hidden, on=CELL_KEY, how="semi")
    assert (guess["gap_se_sd"] >= sure["gap_se_sd"] - 1e-9).all()
    mixed = seen.sample(fraction=1, shuffle=True, seed=seed)
    assert predicted_gaps(mixed, hidden.reverse(), spread).equals(guess)


def test_to_ask_for_more_cells_changes_no_answer():
    seen, hidden = by_turns(city(7))
    one = hidden.head(1)
    alone = predicted_gaps(seen, one, TRUE)
    together = predicted_gaps(seen, hidden, TRUE).join(one, on=CELL_KEY, how="semi")
    np.testing.assert_allclose(alone["gap_sd"], together["gap_sd"], rtol=1e-12)
    np.testing.assert_allclose(alone["gap_se_sd"], together["gap_se_sd"], rtol=1e-12)


def test_a_group_nobody_sat_has_no_reference():
    cells = city(5, schools=8)
    nobody = cells.head(1).with_columns(scale_id=pl.lit("NEW"))
    row = predicted_gaps(cells, nobody, TRUE).row(0, named=True)
    assert row["gap_sd"] is None
    assert (row["gap_tier"], row["reason"]) == ("not_measured", "no_reference")


def test_what_is_measured_or_asked_twice_is_refused():
    cells = city(5, schools=8)
    with pytest.raises(ValueError, match="take them from shrunken_gaps"):
        predicted_gaps(cells, cells.head(1), TRUE)
    nobody = cells.head(1).with_columns(scale_id=pl.lit("NEW"))
    with pytest.raises(ValueError, match="repeats"):
        predicted_gaps(cells, pl.concat([nobody, nobody]), TRUE)
    with pytest.raises(ValueError, match="without a value: school"):
        predicted_gaps(cells, nobody, TRUE.filter(pl.col("component") != "school"))


def ruled(cells):
    return cells.with_columns(pl.col("scale_id").alias("ruler"))


def test_predicted_from_the_last_year_by_the_same_ruler():
    seen, hidden = by_turns(city(2, years=3))
    found = planned_missing_gaps(ruled(seen), TRUE, 2022)
    assert found.height == hidden.filter(pl.col("school_year") == 2022).height
    assert (found["carried_from_year"] == 2021).all()
    assert found["is_carried"].all()
    broken = seen.with_columns(
        pl.when(pl.col("school_year") == 2022)
        .then(pl.lit("NEW"))
        .otherwise("scale_id")
        .alias("scale_id")
    )
    assert planned_missing_gaps(ruled(broken), TRUE, 2022).is_empty()
    linked = planned_missing_gaps(broken.with_columns(ruler=pl.lit("L")), TRUE, 2022)
    assert (linked["scale_id"] == "NEW").all()
    assert linked["gap_sd"].to_list() == pytest.approx(found["gap_sd"].to_list(), abs=1e-12)


def test_a_year_nobody_sat_is_listed_and_not_predicted():
    cells = city(3, years=3)
    empty = pl.when(pl.col("school_year") < 2022).then("gap_raw_sd").alias("gap_raw_sd")
    found = planned_missing_gaps(ruled(cells.with_columns(empty)), TRUE, 2022)
    assert found.height == cells.filter(pl.col("school_year") == 2022).height
    assert not found["is_carried"].any()
    assert (found["reason"] == "no_reference").all()


def test_only_an_earlier_year_is_used():
    """In the one year there is, half the schools sat the other of two linked scales."""
    half = pl.col("semel_mosad").str.slice(-1).cast(pl.Int32) % 2 == 0
    scale = pl.when(half).then(pl.lit("OTHER")).otherwise("scale_id").alias("scale_id")
    cells = city(6, years=1).with_columns(scale, ruler=pl.lit("L"))
    assert planned_missing_gaps(cells, TRUE, 2020).is_empty()


def test_a_school_is_not_predicted_in_a_grade_it_never_sat():
    cells = city(4, years=2)
    small = (pl.col("semel_mosad") == "900003") & (
        (pl.col("grade") == 5) | (pl.col("school_year") == 2021)
    )
    found = planned_missing_gaps(ruled(cells.filter(~small)), TRUE, 2021)
    assert found["semel_mosad"].unique().to_list() == ["900003"]
    assert found["grade"].unique().to_list() == [4]
