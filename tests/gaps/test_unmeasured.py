"""Cells nobody measured: predictions cover the truth, and never look surer than a measurement."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.gaps import carried_gaps, exclusion_bounds, predicted_gaps, shrunken_gaps
from models.gaps.blocks import CELL_KEY
from tests.gaps.cities import TRUE_SD, city

TRUE = pl.DataFrame({"component": list(TRUE_SD), "component_sd": list(TRUE_SD.values())})


def half_tested(seed, **options):
    """In each year every second school sits the test; the others wait for the next."""
    cells = city(seed, **options)
    turn = pl.col("semel_mosad").str.slice(-1).cast(pl.Int32) + pl.col("school_year")
    return cells.filter(turn % 2 == 0), cells.filter(turn % 2 == 1)


def test_predictions_cover_what_was_hidden():
    inside, width, measured_width = [], [], []
    for seed in range(40):
        seen, hidden = half_tested(seed)
        found = predicted_gaps(seen, hidden, TRUE).join(hidden, on=CELL_KEY)
        inside.append(found["truth"].is_between(found["gap_lo_sd"], found["gap_hi_sd"]).mean())
        width.append(found["gap_se_sd"].mean())
        measured_width.append(shrunken_gaps(seen, TRUE)["gap_se_sd"].mean())
    assert 0.86 <= np.mean(inside) <= 0.94
    assert np.mean(width) > np.mean(measured_width)


def test_a_measurement_is_never_less_sure_than_a_prediction():
    cells = city(3, schools=12)
    hidden = cells.filter(pl.col("semel_mosad") == "900002", pl.col("school_year") == 2023)
    seen = cells.join(hidden.select(CELL_KEY), on=CELL_KEY, how="anti")
    guess = predicted_gaps(seen, hidden, TRUE)
    sure = shrunken_gaps(cells, TRUE).join(hidden.select(CELL_KEY), on=CELL_KEY, how="semi")
    assert (guess["gap_se_sd"] > sure["gap_se_sd"]).all()


def test_one_cell_by_hand():
    """Two measured cells of one school, μ known from very many others: the textbook's conditional mean."""
    many = city(1, schools=3000, subjects=1, years=2, grades=(4,), cohorts=False)
    lone = many.filter(pl.col("semel_mosad") == "9" + "00007")
    seen = many.join(lone.filter(pl.col("school_year") == 2021).select(CELL_KEY), on=CELL_KEY, how="anti")  # fmt: skip
    found = predicted_gaps(seen, lone, TRUE).row(0, named=True)
    u, v, w, x = (value**2 for value in TRUE_SD.values())
    first = lone.filter(pl.col("school_year") == 2020).row(0, named=True)
    mu = {year: seen.filter(pl.col("school_year") == year)["gap_raw_sd"].mean() for year in (2020, 2021)}  # fmt: skip
    gain = (u + v) / (u + v + w + x + first["gap_sampling_sd"] ** 2)
    assert found["gap_sd"] == pytest.approx(mu[2021] + gain * (first["gap_raw_sd"] - mu[2020]), abs=5e-3)  # fmt: skip
    assert found["gap_se_sd"] ** 2 == pytest.approx(u + v + w + x - gain * (u + v), rel=1e-2)


def test_nothing_is_predicted_without_a_reference_or_twice():
    cells = city(5, schools=8)
    nobody = cells.head(1).with_columns(scale_id=pl.lit("NEW"))
    assert predicted_gaps(cells, nobody, TRUE).is_empty()
    assert predicted_gaps(cells, cells.head(3), TRUE).is_empty()


def test_carried_over_the_same_scale_only():
    seen, _ = half_tested(2, years=3)
    found = carried_gaps(seen, TRUE, 2022)
    assert found.height > 0
    assert (found["carried_from_year"] == 2021).all()
    assert found.join(seen, on=CELL_KEY).is_empty()
    broken = seen.with_columns(
        pl.when(pl.col("school_year") == 2022).then(pl.lit("NEW")).otherwise("scale_id").alias("scale_id")
    )  # fmt: skip
    assert carried_gaps(broken, TRUE, 2022).is_empty()


shares = st.tuples(st.integers(1, 60), st.integers(0, 60), st.floats(-2, 2), st.floats(0, 2))


@settings(max_examples=80, deadline=None)
@given(shares, st.floats(0, 1))
def test_bounds_hold_the_gap_of_all_pupils(case, part):
    tested, untested, gap, most = case
    frame = pl.DataFrame({"tested_pupils": [tested], "listed_pupils": [tested + untested], "gap_sd": [gap]})  # fmt: skip
    row = exclusion_bounds(frame, most).row(0, named=True)
    truth = (tested * gap + untested * (gap + part * most)) / (tested + untested)
    assert row["gap_all_pupils_lo_sd"] - 1e-9 <= truth <= row["gap_all_pupils_hi_sd"] + 1e-9
    if not untested:
        assert row["gap_all_pupils_lo_sd"] == row["gap_all_pupils_hi_sd"] == gap


def test_bounds_need_the_listed():
    frame = pl.DataFrame({"tested_pupils": [10], "listed_pupils": [None], "gap_sd": [0.1]}, schema_overrides={"listed_pupils": pl.Int32})  # fmt: skip
    assert exclusion_bounds(frame, 0.5)["gap_all_pupils_hi_sd"].to_list() == [None]
    with pytest.raises(ValueError, match="more tested pupils"):
        exclusion_bounds(frame.with_columns(listed_pupils=pl.lit(5)), 0.5)
    with pytest.raises(ValueError, match="negative"):
        exclusion_bounds(frame, -0.1)
