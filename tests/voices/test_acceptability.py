"""How responses rank over all weights of the considerations (R72)."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.voices import acceptability
from tests.examples import examples

NO_WEIGHTS = pl.DataFrame(schema={"consideration": pl.String, "weight": pl.Float64})


def values(**rows: dict[str, float | None]) -> pl.DataFrame:
    """Responses and their value on each consideration, as one row each."""
    return pl.DataFrame(
        [(response, name, value) for response, own in rows.items() for name, value in own.items()],
        schema={"response_id": pl.String, "consideration": pl.String, "value": pl.Float64},
        orient="row",
    )


def ranked(found: pl.DataFrame, column: str) -> dict[str, float | None]:
    return dict(found.select("response_id", column).iter_rows())


def test_a_dominant_response_is_always_first_and_a_dominated_one_never():
    found = acceptability(
        values(best={"x": 3.0, "y": 9.0}, some={"x": 2.0, "y": 5.0}, worst={"x": 1.0, "y": 1.0}),
        NO_WEIGHTS,
        seed=1,
        draws=500,
    )
    assert ranked(found, "first_pct") == {"best": 100.0, "some": 0.0, "worst": 0.0}
    assert (
        ranked(found, "place_lo") == ranked(found, "place_hi") == {"best": 1, "some": 2, "worst": 3}
    )


def test_two_considerations_have_their_closed_form():
    """a leads on x, b on y, c is even at s: a and b each lead where their weight is above s."""
    s = 0.7
    found = acceptability(
        values(a={"x": 1.0, "y": 0.0}, b={"x": 0.0, "y": 1.0}, c={"x": s, "y": s}),
        NO_WEIGHTS,
        seed=1,
        draws=200_000,
    )
    first = ranked(found, "first_pct")
    assert first["a"] == pytest.approx(100 * (1 - s), abs=0.5)
    assert first["b"] == pytest.approx(100 * (1 - s), abs=0.5)
    assert first["c"] == pytest.approx(100 * (2 * s - 1), abs=0.5)
    assert sum(first.values()) == pytest.approx(100)


def test_three_even_ones_share_the_first_place():
    own = {"x": 1.0, "y": 1.0}
    found = acceptability(
        values(a=own, b=own, c=own, d={"x": 0.0, "y": 0.0}), NO_WEIGHTS, seed=1, draws=50
    )
    first = ranked(found, "first_pct")
    assert [first[name] for name in "abc"] == pytest.approx([100 / 3] * 3)
    assert ranked(found, "place_hi")["a"] == 3


def test_unknown_neither_wins_nor_loses():
    found = acceptability(
        values(a={"x": 1.0, "y": 1.0}, b={"x": 0.0, "y": 0.0}, c={"x": None, "y": 9.0}),
        NO_WEIGHTS,
        seed=1,
        draws=50,
    )
    assert ranked(found, "is_ranked") == {"a": True, "b": True, "c": False}
    assert ranked(found, "missing_considerations")["c"] == "x"
    assert ranked(found, "first_pct")["c"] is None
    assert ranked(found, "first_pct")["a"] == 100


def test_what_compares_nothing_is_left_out():
    """A consideration known of nobody, of one, or the same for all, takes nobody's place."""
    rows = values(
        a={"x": 1.0, "same": 2.0, "none": None, "one": 3.0},
        b={"x": 0.0, "same": 2.0, "none": None, "one": None},
    )
    found = acceptability(rows, NO_WEIGHTS, seed=1, draws=20)
    assert found["is_ranked"].all()
    alone = acceptability(
        rows.filter(pl.col("consideration") == "same"), NO_WEIGHTS, seed=1, draws=20
    )
    assert not alone["is_ranked"].any()
    assert alone["first_pct"].null_count() == 2


def test_the_groups_own_weights_give_a_place_of_their_own():
    rows = values(a={"x": 1.0, "y": 0.0}, b={"x": 0.0, "y": 1.0})
    weights = pl.DataFrame({"consideration": ["x", "y"], "weight": [20.0, 30.0]})
    assert ranked(acceptability(rows, weights, seed=1, draws=20), "place_by_groups") == {
        "a": 2,
        "b": 1,
    }
    none = acceptability(rows, NO_WEIGHTS, seed=1, draws=20)
    assert none["place_by_groups"].null_count() == 2


@settings(max_examples=examples(30))
@given(
    st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=2, max_size=5),
    st.randoms(use_true_random=False),
)
def test_the_order_of_rows_and_another_unit_change_nothing(scores, order):
    rows = values(
        **{f"r{n}": dict(zip("xyz", map(float, own), strict=True)) for n, own in enumerate(scores)}
    )
    mixed = rows.sample(fraction=1, shuffle=True, seed=order.randint(0, 999))
    other = mixed.with_columns(
        pl.when(pl.col("consideration") == "x")
        .then(10 * pl.col("value") + 5)
        .otherwise("value")
        .alias("value")
    )
    found = acceptability(rows, NO_WEIGHTS, seed=1, draws=64)
    again = acceptability(other, NO_WEIGHTS, seed=1, draws=64)
    assert found["is_ranked"].equals(again["is_ranked"])
    for column in ("first_pct", "top_three_pct"):
        for one, two in zip(found[column], again[column], strict=True):
            assert (one is None) == (two is None)
            assert one is None or one == pytest.approx(two)
    if found["is_ranked"].any():
        assert found["first_pct"].sum() == pytest.approx(100)


def test_a_hole_in_the_table_is_refused():
    with pytest.raises(ValueError, match="one row for each consideration"):
        acceptability(values(a={"x": 1.0, "y": 1.0}, b={"x": 0.0}), NO_WEIGHTS, seed=1, draws=5)
    twice = pl.DataFrame({"consideration": ["x", "x"], "weight": [1.0, 2.0]})
    with pytest.raises(ValueError, match="one weight"):
        acceptability(values(a={"x": 1.0}, b={"x": 0.0}), twice, seed=1, draws=5)
