"""Places among the others: intervals, probabilities that sum, a wide enough distribution."""

import numpy as np
import polars as pl
import pytest

from models.gaps import excellence, rank_summary


def world(seed, schools=36, spread=0.25):
    rng = np.random.default_rng(seed)
    truth = rng.normal(0.1, spread, schools)
    noise = rng.uniform(0.05, 0.25, schools)
    raw = truth + noise * rng.normal(size=schools)
    keep = spread**2 / (spread**2 + noise**2)
    return (
        truth,
        raw,
        pl.DataFrame(
            {
                "semel_mosad": [f"9{i:05d}" for i in range(schools)],
                "gap_sd": 0.1 + keep * (raw - 0.1),
                "gap_se_sd": np.sqrt(keep) * noise,
            }
        ),
    )


def test_ranks_are_covered_and_probabilities_sum_and_are_calibrated():
    inside, said, seen = [], [], []
    for seed in range(60):
        truth, _, schools = world(seed)
        found = rank_summary(schools, 5, draws=1000)
        rank = np.argsort(np.argsort(-truth)) + 1
        inside.append(
            (
                (found["gap_rank_lo"].to_numpy() <= rank)
                & (rank <= found["gap_rank_hi"].to_numpy())
            ).mean()
        )
        assert found["p_worst_k"].sum() == pytest.approx(5, abs=1e-9)
        said.append(found["p_worst_k"].to_numpy())
        seen.append(rank <= 5)
    assert 0.86 <= np.mean(inside) <= 0.96
    said, seen = np.concatenate(said), np.concatenate(seen)
    for low, high in ((0.0, 0.1), (0.3, 0.7), (0.9, 1.01)):
        chosen = (said >= low) & (said < high)
        assert seen[chosen].mean() == pytest.approx(said[chosen].mean(), abs=0.07)


def test_the_constrained_distribution_is_nearest_to_the_true_one():
    spreads = np.array(
        [
            [
                truth.std(),
                raw.std(),
                schools["gap_sd"].std(),
                rank_summary(schools, 5, draws=10)["gap_constrained_sd"].std(),
            ]
            for truth, raw, schools in (world(seed) for seed in range(60))
        ]
    ).mean(axis=0)
    truth, raw, plain, constrained = spreads
    assert plain < truth < raw
    assert abs(constrained - truth) < min(abs(plain - truth), abs(raw - truth))


def test_edges():
    assert rank_summary(world(1)[2].clear(), 5).is_empty()
    one = rank_summary(world(1)[2].head(1), 5)
    assert one.row(0, named=True)["p_worst_k"] == 1
    schools = world(2)[2]
    assert rank_summary(schools, 5).equals(rank_summary(schools.reverse(), 5))


def test_excellence_is_located_and_not_guessed():
    frame = pl.DataFrame({"gap_sd": [-0.8, -0.35, 0.5, None], "gap_se_sd": [0.1, 0.1, 0.1, None]})
    found = excellence(frame, 0.3)
    assert found["is_excellent_school"].to_list() == [True, False, False, None]
    assert found["p_excellent"][1] == pytest.approx(0.6914624612740131)
