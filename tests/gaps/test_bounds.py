"""Bounds hold whatever the untested pupils would have shown, within the assumption."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.gaps import exclusion_bounds
from tests.examples import examples

shares = st.tuples(st.integers(1, 60), st.integers(0, 60), st.floats(-2, 2), st.floats(0, 2))


@settings(max_examples=examples(80), deadline=None)
@given(shares, st.floats(0, 1))
def test_bounds_hold_the_gap_of_all_pupils(case, part):
    tested, untested, gap, most = case
    frame = pl.DataFrame(
        {"tested_pupils": [tested], "listed_pupils": [tested + untested], "gap_sd": [gap]}
    )
    row = exclusion_bounds(frame, most).row(0, named=True)
    truth = (tested * gap + untested * (gap + part * most)) / (tested + untested)
    assert row["gap_all_pupils_lo_sd"] - 1e-9 <= truth <= row["gap_all_pupils_hi_sd"] + 1e-9
    if not untested:
        assert row["gap_all_pupils_lo_sd"] == row["gap_all_pupils_hi_sd"] == gap


def test_bounds_need_the_listed():
    frame = pl.DataFrame(
        {"tested_pupils": [10], "listed_pupils": [None], "gap_sd": [0.1]},
        schema_overrides={"listed_pupils": pl.Int32},
    )
    assert exclusion_bounds(frame, 0.5)["gap_all_pupils_hi_sd"].to_list() == [None]
    with pytest.raises(ValueError, match="more tested pupils"):
        exclusion_bounds(frame.with_columns(listed_pupils=pl.lit(5)), 0.5)
    with pytest.raises(ValueError, match="negative"):
        exclusion_bounds(frame, -0.1)
