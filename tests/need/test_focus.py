"""The weights under a focus of the year."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.need import focused_weights


def _weights(rows):
    return pl.DataFrame(
        rows, schema={"indicator_id": pl.String, "weight_pct": pl.Float64}, orient="row"
    )


DECLARED = _weights([("math", 25.0), ("hebrew", 25.0), ("climate", 50.0)])


def test_what_is_not_named_keeps_its_proportions():
    made = dict(focused_weights(DECLARED, _weights([("math", 40.0)])).iter_rows())
    assert made == pytest.approx({"math": 40.0, "hebrew": 20.0, "climate": 40.0})


def test_without_a_focus_the_weights_are_declared():
    assert focused_weights(DECLARED, _weights([])).equals(DECLARED)


@pytest.mark.parametrize(
    ("focus", "says"),
    [
        ([("arabic", 10.0)], "arabic"),
        ([("math", 10.0), ("math", 20.0)], "twice"),
        ([("math", 70.0), ("hebrew", 40.0)], "110"),
        ([("math", -5.0)], "-5"),
        ([("math", 10.0), ("hebrew", 10.0), ("climate", 10.0)], "30"),
    ],
)
def test_a_focus_that_cannot_be_is_refused(focus, says):
    with pytest.raises(ValueError, match=says):
        focused_weights(DECLARED, _weights(focus))


@given(st.lists(st.floats(0, 33), min_size=0, max_size=2))
def test_weights_always_sum_to_a_hundred(weights):
    focus = _weights(list(zip(["math", "climate"], weights, strict=False)))
    made = focused_weights(DECLARED, focus)
    assert made["weight_pct"].sum() == pytest.approx(100)
    assert (made["weight_pct"] >= 0).all()
