"""Splitting by share: exact to the agora."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.apportionment import split_by_share
from tests.examples import examples

FAST = settings(max_examples=examples(200), deadline=None, derandomize=True)


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
