"""Agreement of the ratings, and which responses are rated alike or differently."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.effects.agreement import (
    LEVELS,
    SCORES,
    agreement,
    krippendorff_alpha,
    rated_alike,
    rated_by_role,
)
from tests.made import made

# Krippendorff (2011), section C: 4 observers, 12 units, missing ratings; 0 = missing.
PUBLISHED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
        [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
    ]
)


def counted(observers: np.ndarray, categories: int) -> np.ndarray:
    return (observers[:, :, None] == np.arange(1, categories + 1)).sum(axis=0).astype(float)


def ratings(*rows: tuple[str, str, int, int, int]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=["response_id", "role", *LEVELS], orient="row")
    return frame.with_columns(pl.lit("g01").alias("goal_id"))


def by_pairs(observers: np.ndarray) -> float:
    """α from its definition: mean disagreement of pairs inside units over that of all pairs."""
    units = [column[column > 0] for column in observers.T]
    units = [unit for unit in units if len(unit) > 1]
    pooled = np.concatenate(units)

    def distance(a, b):
        a, b = min(a, b), max(a, b)
        between = ((pooled >= a) & (pooled <= b)).sum()
        return (between - ((pooled == a).sum() + (pooled == b).sum()) / 2) ** 2

    inside = sum(
        distance(a, b) / (len(unit) - 1) for unit in units for a, b in permutations(unit, 2)
    )
    anywhere = sum(distance(a, b) for a, b in permutations(pooled, 2)) / (len(pooled) - 1)
    return 1 - inside / anywhere


def test_the_published_example():
    assert krippendorff_alpha(counted(PUBLISHED, 5))[0] == pytest.approx(0.815, abs=5e-4)


@given(arrays(int, (4, 5), elements=st.integers(0, 3)))
def test_alpha_is_its_definition(observers):
    counts = counted(observers, 3)
    alpha = krippendorff_alpha(counts)[0]
    paired = counts[counts.sum(axis=1) > 1]
    if (paired.sum(axis=0) > 0).sum() < 2:
        assert np.isnan(alpha)
    else:
        assert alpha == pytest.approx(by_pairs(observers), abs=1e-12)


@given(
    arrays(int, (5, 3), elements=st.integers(0, 4)), arrays(int, (5,), elements=st.integers(0, 3))
)
def test_a_unit_that_counts_twice_is_two_units(counts, times):
    repeated = np.repeat(counts, times, axis=0).astype(float)
    weighted = krippendorff_alpha(counts.astype(float), times[None, :].astype(float))
    assert weighted == pytest.approx(krippendorff_alpha(repeated), nan_ok=True)


def test_full_agreement_is_one_and_no_variance_is_no_figure():
    full = agreement(ratings(("a", "x", 3, 0, 0), ("b", "x", 0, 0, 3)), seed=1).row(0, named=True)
    assert (full["agreement_alpha"], full["agreement_reason"]) == (1.0, None)
    same = agreement(ratings(("a", "x", 0, 3, 0), ("b", "x", 0, 3, 0)), seed=1).row(0, named=True)
    assert (same["agreement_alpha"], same["agreement_reason"]) == (None, "no_variance")
    lone = agreement(ratings(("a", "x", 0, 1, 0), ("b", "y", 1, 0, 0)), seed=1)
    assert lone["agreement_reason"].to_list() == ["no_pairs"] * 3
    assert lone["agreement_alpha"].to_list() == [None] * 3
    empty = agreement(ratings(("a", "x", 0, 1, 0)).clear(), seed=1).row(0, named=True)
    assert (empty["agreement_alpha"], empty["responses"]) == (None, 0)


def test_the_interval_holds_alpha_and_neither_row_order_nor_another_role_moves_it():
    rng = np.random.default_rng(3)
    rows = [
        (f"r{unit}", role, *rng.multinomial(4, rng.dirichlet([1, 1, 1])))
        for unit in range(12)
        for role in ("x", "y", "z")
    ]
    frame = ratings(*rows)
    found = agreement(frame, seed=7)
    assert found["about_role"].to_list() == ["all", "x", "y", "z"]
    for row in found.iter_rows(named=True):
        assert row["agreement_alpha_lo"] < row["agreement_alpha"] < row["agreement_alpha_hi"]
    assert agreement(frame.sample(fraction=1, shuffle=True, seed=5), seed=7).equals(found)
    fewer = agreement(frame.filter(pl.col("role") != "z"), seed=7)
    assert fewer.filter(pl.col("about_role") == "x").equals(
        found.filter(pl.col("about_role") == "x")
    )


def test_the_interval_covers_the_alpha_of_all_responses():
    """Nominal .90 with 12 responses; the plain percentile interval would cover .77."""
    rng = np.random.default_rng(4)

    def rated(responses: int) -> np.ndarray:
        return rng.multinomial(14, rng.dirichlet([2, 3.2, 2.8], responses)).astype(float)

    truth = krippendorff_alpha(rated(40_000))[0]
    held = []
    for _ in range(150):
        rows = [(f"r{unit:02}", "x", *counts) for unit, counts in enumerate(rated(12).astype(int))]
        row = agreement(ratings(*rows), seed=1, draws=400).row(0, named=True)
        held.append(row["agreement_alpha_lo"] <= truth <= row["agreement_alpha_hi"])
    assert 0.83 <= np.mean(held) <= 0.97


def test_rated_alike_by_enumeration():
    """Two of four ratings were given to `a`: all six ways to choose them, by hand."""
    frame = ratings(("a", "x", 2, 0, 0), ("b", "x", 0, 1, 1))
    row = rated_alike(frame).row(0, named=True)
    pooled = [1, 1, 2, 3]
    ways = [(p - q) ** 2 for p, q in combinations(pooled, 2)]
    assert row["p_value"] == pytest.approx(2 * sum(way <= 0 for way in ways) / 6)
    assert row["disagreement"] == 0
    assert row["rating_mean"] == 1
    both = rated_alike(frame)["disagreement"].to_list()
    assert both[1] == pytest.approx(1 / np.mean(ways))


def test_planted_agreement_and_planted_quarrel():
    mixed = [(f"m{i}", "x", 4, 6, 4) for i in range(8)]
    found = rated_alike(ratings(("liked", "x", 0, 0, 14), ("split", "x", 7, 0, 7), *mixed))
    named = dict(found.select("response_id", "rated").iter_rows())
    assert (named["liked"], named["split"], named["m0"]) == ("alike", "differently", "cannot_tell")


def test_all_alike_everywhere_names_nothing():
    row = rated_alike(ratings(("a", "x", 0, 3, 0), ("b", "x", 0, 2, 0))).row(0, named=True)
    assert (row["disagreement"], row["p_value"], row["rated"]) == (None, None, "cannot_tell")


def test_a_role_against_the_others_by_enumeration():
    """Two teachers said red, three others yellow, green, green: ten ways to deal five ratings."""
    frame = ratings(
        ("a", "teacher", 2, 0, 0), ("a", "parent", 0, 1, 1), ("a", "inspector", 0, 0, 1)
    )
    row = rated_by_role(frame).filter(pl.col("role") == "teacher").row(0, named=True)
    dealt = np.array([1, 1, 2, 3, 3])
    far = [
        abs(dealt[list(pair)].mean() - np.delete(dealt, pair).mean()) >= abs(1 - 8 / 3) - 1e-9
        for pair in combinations(range(5), 2)
    ]
    assert row["rating_difference"] == pytest.approx(1 - 8 / 3)
    assert row["p_value"] == pytest.approx(sum(far) / 10)
    # Pooled spread of {1, 1} and {2, 3, 3}: squares 2/3 on 3 degrees of freedom; t(.95, 3) =
    # 2.3534.
    reach = 2.3534 * np.sqrt(2 / 9 * (1 / 2 + 1 / 3))
    assert row["rating_difference_hi"] == pytest.approx(1 - 8 / 3 + reach, abs=1e-4)
    assert row["rating_difference_lo"] == -2.0


def test_a_role_alone_has_no_difference():
    row = rated_by_role(ratings(("a", "teacher", 2, 0, 1))).row(0, named=True)
    assert (row["others_raters"], row["rating_difference"], row["p_value"]) == (0, None, None)
    assert row["is_rated_differently"] is False


def test_a_role_that_quarrels_is_found():
    rows = [(f"r{i}", role, 1, 3, 1) for i in range(10) for role in ("x", "y")]
    found = rated_by_role(ratings(*rows, ("z", "x", 7, 0, 0), ("z", "y", 0, 0, 7)))
    assert set(found.filter("is_rated_differently")["response_id"]) == {"z"}


def noise(rng: np.random.Generator, responses: int = 12) -> pl.DataFrame:
    """Fourteen people of six roles, who rate every response by the same lot."""
    roles = ["a"] * 4 + ["b"] * 3 + ["c"] * 3 + ["d"] * 2 + ["e", "f"]
    drawn = rng.choice(3, size=(responses, 14), p=[0.25, 0.4, 0.35])
    rows = [
        (f"r{unit:02}", role, *np.bincount(drawn[unit, [r == role for r in roles]], minlength=3))
        for unit in range(responses)
        for role in sorted(set(roles))
    ]
    return ratings(*rows)


def test_noise_is_seldom_called_agreement_or_disagreement():
    """At a false discovery rate of .10 at most a tenth of cities of pure noise name anything."""
    rng = np.random.default_rng(11)
    cities = [noise(rng) for _ in range(40)]
    alike = np.mean([(rated_alike(city)["rated"] != "cannot_tell").any() for city in cities])
    role = np.mean([rated_by_role(city)["is_rated_differently"].any() for city in cities])
    assert alike <= 0.10 + 2 * np.sqrt(0.09 / 40)
    assert role <= 0.10 + 2 * np.sqrt(0.09 / 40)


def test_bad_counts_are_named():
    with pytest.raises(ValueError, match="a colour nobody chose is 0"):
        agreement(
            ratings(("a", "x", 1, 1, 1)).with_columns(pl.lit(None, pl.Int64).alias("red_raters")),
            seed=1,
        )
    with pytest.raises(ValueError, match="repeat by response, goal and role"):
        rated_alike(ratings(("a", "x", 1, 1, 1), ("a", "x", 1, 1, 1)))


def test_the_demonstration_city():
    """Members lean, so that they agree a little; the two planted responses stand apart."""
    raw = made(1, "small").files["ratings.csv"]
    level = {"not_effective": 0, "fairly_effective": 1, "very_effective": 2}
    counts = raw.group_by("response_id", "goal_id", "role").agg(
        (pl.col("rating").replace_strict(level) == number).sum().alias(name)
        for number, name in enumerate(LEVELS)
    )
    found = rated_alike(counts)
    mean = dict(found.select("response_id", "rating_mean").iter_rows())
    assert mean["makom_balev"] == pytest.approx(38 / 14)
    assert mean["posh"] == pytest.approx(22 / 14)
    assert found["raters"].to_list() == [14] * 12
    alpha = agreement(counts, seed=1).row(0, named=True)
    assert 0.05 < alpha["agreement_alpha"] < 0.5
    assert SCORES.tolist() == [1, 2, 3]
