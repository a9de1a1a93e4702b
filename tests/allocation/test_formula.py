"""Scenario zero and splitting by share: exact to the agora."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.allocation import per_pupil_formula, split_by_share

FAST = settings(max_examples=200, deadline=None, derandomize=True)


def schools(rows):
    return pl.DataFrame(
        rows,
        schema={"semel_mosad": pl.String, "pupils": pl.Int64, "weight": pl.Float64},
        orient="row",
    )


def test_formula_by_hand():
    """300 × 1 and 200 × 1.5 weigh the same; the odd agora goes to the lower code."""
    given_to = per_pupil_formula(schools([("2", 200, 1.5), ("1", 300, 1.0), ("3", 0, 2.0)]), 1_001)
    assert given_to.rows() == [("1", 501), ("2", 500), ("3", 0)]
    assert given_to.schema["formula_agorot"] == pl.Int64


def test_floor_is_paid_by_those_above_it():
    given_to = per_pupil_formula(
        schools([("1", 800, 1.0), ("2", 190, 1.0), ("3", 10, 1.0)]), 1_000, floor_agorot=200
    )
    assert given_to["formula_agorot"].to_list() == [600, 200, 200]


@pytest.mark.parametrize(
    ("rows", "pot", "floor", "message"),
    [
        ([("1", 10, 1.0), ("2", 10, 1.0)], 100, 51, "more than the pot"),
        ([("1", 10, 0.0)], 100, 0, "no weight is above zero"),
        ([("1", -1, 1.0)], 100, 0, "zero or more"),
        ([("1", 1, float("nan"))], 100, 0, "zero or more"),
        ([("1", 1, 1.0), ("1", 2, 1.0)], 100, 0, "rows twice"),
        ([("1", None, 1.0)], 100, 0, "empty values"),
    ],
)
def test_bad_input_is_named(rows, pot, floor, message):
    with pytest.raises(ValueError, match=message):
        per_pupil_formula(schools(rows), pot, floor_agorot=floor)


@FAST
@given(
    st.lists(st.tuples(st.integers(0, 900), st.floats(0, 5)), min_size=1, max_size=12),
    st.integers(0, 10**11),
    st.integers(0, 10**9),
    st.randoms(use_true_random=False),
)
def test_formula_spends_the_pot_exactly(rows, pot, floor, random):
    table = schools([(f"{i:02}", pupils, weight) for i, (pupils, weight) in enumerate(rows)])
    points = [exact_points(*row) for row in rows]
    floor = min(floor, pot // len(rows))
    if not any(points):
        return
    given_to = per_pupil_formula(table, pot, floor_agorot=floor)
    amounts = given_to["formula_agorot"].to_list()
    assert sum(amounts) == pot
    assert min(amounts) >= floor
    shuffled = table[random.sample(range(len(rows)), len(rows))]
    assert per_pupil_formula(shuffled, pot, floor_agorot=floor).equals(given_to)
    if floor == 0:
        quotas = [pot * point / sum(points) for point in points]
        assert all(abs(a - q) < 1.001 for a, q in zip(amounts, quotas, strict=True))


def exact_points(pupils, weight):
    return pupils * weight


@FAST
@given(
    st.integers(0, 10**12),
    st.dictionaries(st.text("abcdef", min_size=1), st.floats(0, 100), min_size=1).filter(
        lambda shares: any(shares.values())
    ),
)
def test_split_by_share_sums_exactly_and_ignores_order(amount, shares):
    parts = split_by_share(amount, shares)
    assert sum(parts.values()) == amount
    assert parts == split_by_share(amount, dict(reversed(shares.items())))
    whole = sum(shares.values())
    for name, share in shares.items():
        assert abs(parts[name] - amount * share / whole) < 1.001


def test_split_by_share_ties_go_to_the_first_name_and_shares_are_decimals():
    assert split_by_share(1, {"b": 0.5, "a": 0.5}) == {"a": 1, "b": 0}
    assert split_by_share(30, {"a": 0.1, "b": 0.2}) == {"a": 10, "b": 20}
    assert split_by_share(0, {"a": 0.0}) == {"a": 0}


@pytest.mark.parametrize(
    ("amount", "shares"), [(-1, {"a": 1.0}), (1, {"a": -1.0, "b": 2.0}), (1, {"a": 0.0}), (1, {})]
)
def test_split_by_share_refuses(amount, shares):
    with pytest.raises(ValueError, match="weight"):
        split_by_share(amount, shares)
