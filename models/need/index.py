"""The need index: a weighted generalised mean of indicators, with an interval and tiers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.stats import rankdata

_LEAST_SPREAD = 1e-6  # below it a beta distribution is a point, and its parameters overflow
KINDS = {"outcome_need": "outcome", "background_need": "background"}


def need_index(
    indicators: pl.DataFrame,
    weights: pl.DataFrame,
    *,
    order_p: float = 0.5,
    draws: int = 2000,
    seed: int = 1,
    level: float = 0.90,
    tiers: Sequence[str] = ("A", "B", "C", "D"),
) -> pl.DataFrame:
    """Combine the indicators' needs into one index per school.

    need = (Σ w·x^p / Σ w)^(1/p) over the measured indicators; p = 1 adds, p → 0 is geometric, p < 1
    limits how far the absence of one need makes up for another. The point uses the means, so it
    depends on the school alone; the interval comes from draws: each indicator from a beta
    distribution with its mean and standard error. An indicator the school lacks but others have
    is drawn from the other schools' values, so a school that was not measured has a wider interval;
    one that nobody has is left out and shows in `measured_weight_pct`. An interval that imputation
    has pulled away is widened to hold the point.

    Args:
        indicators: semel_mosad, indicator_id, indicator_kind ('outcome' | 'background'),
            is_measured, indicator_need (0..1), indicator_need_se; null where not measured.
        weights: indicator_id, weight_pct; they sum to 100.
        order_p: order of the generalised mean, above 0 (0 = geometric).
        draws: number of draws.
        seed: seed of the draws.
        level: probability of the intervals.
        tiers: names of the tiers, greatest need first; equal numbers of schools by expected rank.

    Returns:
        semel_mosad, need, need_lo, need_hi, outcome_need, background_need, need_tier, p_need_tier
        (share of draws in the tier), rank_lo, rank_hi (1 = greatest need), measured_weight_pct;
        sorted by school.

    Raises:
        ValueError: if the weights do not sum to 100, an indicator has no weight, a need is outside
            0..1, a key repeats, or a school has no measured indicator at all.

    Source: OECD/JRC Handbook on Constructing Composite Indicators (2008); R37, R43.
    """
    names, school_codes, need, error, measured = _matrices(indicators, weights)
    weight = np.array(
        [dict(weights.select("indicator_id", "weight_pct").iter_rows())[name] for name in names]
    )
    kinds = dict(indicators.select("indicator_id", "indicator_kind").unique().iter_rows())
    any_measured: np.ndarray = np.any(measured, axis=1)
    if not any_measured.all():
        lone = [code for code, some in zip(school_codes, any_measured, strict=True) if not some]
        raise ValueError(f"schools without any measured indicator: {', '.join(lone)}")

    point = _mean(need, weight * measured, order_p)
    sample = _draw(need, error, measured, draws, seed)
    known = measured.any(axis=0)
    drawn = _mean(sample, weight * known, order_p)
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    ranks = rankdata(-drawn, method="ordinal", axis=1)
    rank_low, rank_high = np.quantile(ranks, [tail, 1 - tail], axis=0, method="closest_observation")
    tier, probability = _tiers(ranks, len(tiers))
    parts = {
        column: _mean(
            need, weight * measured * np.array([kinds[name] == kind for name in names]), order_p
        )
        for column, kind in KINDS.items()
    }
    return pl.DataFrame(
        {
            "semel_mosad": school_codes,
            "need": point,
            "need_lo": np.minimum(low, point),
            "need_hi": np.maximum(high, point),
            **{column: pl.Series(values).fill_nan(None) for column, values in parts.items()},
            "need_tier": [tiers[place] for place in tier],
            "p_need_tier": probability,
            "rank_lo": rank_low.astype(np.int32),
            "rank_hi": rank_high.astype(np.int32),
            "measured_weight_pct": 100 * (weight * measured).sum(axis=1) / weight.sum(),
        }
    )


def _matrices(
    indicators: pl.DataFrame, weights: pl.DataFrame
) -> tuple[list[str], list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Return indicator names, school codes, and (school, indicator) need, error and measured."""
    total = float(weights["weight_pct"].sum())
    if abs(total - 100) > 1e-6:
        raise ValueError(f"the weights must sum to 100, not {total:g}")
    unknown = set(indicators["indicator_id"]) - set(weights["indicator_id"])
    if unknown:
        raise ValueError(f"indicators without a weight: {', '.join(sorted(unknown))}")
    if indicators.select("semel_mosad", "indicator_id").is_duplicated().any():
        raise ValueError("a school has an indicator twice")
    if (
        not indicators.filter("is_measured")
        .select(pl.col("indicator_need").is_between(0, 1).fill_null(False).all())
        .item()
    ):
        raise ValueError("a measured indicator's need is outside 0..1 or empty")
    names = sorted(set(weights["indicator_id"]))
    schools = indicators["semel_mosad"].unique().sort()
    grid = schools.to_frame().join(pl.DataFrame({"indicator_id": names}), how="cross")
    full = grid.join(
        indicators, on=["semel_mosad", "indicator_id"], how="left", maintain_order="left"
    )
    shape = (len(schools), len(names))
    measured = full["is_measured"].fill_null(False).to_numpy().reshape(shape)
    need = full["indicator_need"].fill_null(0.0).to_numpy().reshape(shape)
    error = full["indicator_need_se"].fill_null(0.0).to_numpy().reshape(shape)
    return (
        names,
        schools.to_list(),
        np.where(measured, need, 0.0),
        np.where(measured, error, 0.0),
        measured,
    )


def _mean(values: np.ndarray, weight: np.ndarray, order: float) -> np.ndarray:
    """Return the weighted generalised mean over the last axis; NaN where no weight is left."""
    weight = np.broadcast_to(weight, values.shape[-2:]) if weight.ndim == 1 else weight
    total = weight.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        if order == 0:
            logs = np.where(weight > 0, weight * np.log(values), 0.0)
            return np.exp(logs.sum(axis=-1) / total)
        return ((weight * values**order).sum(axis=-1) / total) ** (1 / order)


def _draw(
    need: np.ndarray, error: np.ndarray, measured: np.ndarray, draws: int, seed: int
) -> np.ndarray:
    """Return (draws, school, indicator) samples of the needs."""
    generator = np.random.default_rng(seed)
    most = 0.999 * np.sqrt(need * (1 - need))
    spread = np.minimum(error, most)
    uncertain = spread > _LEAST_SPREAD
    size = np.where(uncertain, need * (1 - need) / np.where(uncertain, spread, 1.0) ** 2 - 1, 1.0)
    a, b = np.where(uncertain, need * size, 1.0), np.where(uncertain, (1 - need) * size, 1.0)
    sample = np.where(uncertain, generator.beta(a, b, size=(draws, *need.shape)), need)
    for column in range(need.shape[1]):
        have = np.flatnonzero(measured[:, column])
        lack = np.flatnonzero(~measured[:, column])
        if len(have) and len(lack):
            donors = generator.choice(have, size=(draws, len(lack)))
            sample[:, lack, column] = np.take_along_axis(sample[:, :, column], donors, axis=1)
    return sample


def _tiers(ranks: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each school's tier by expected rank, and how often it falls there."""
    schools = ranks.shape[1]
    of_rank = np.minimum((np.arange(schools) * count) // schools, count - 1)
    order = rankdata(ranks.mean(axis=0), method="ordinal").astype(int) - 1
    tier = of_rank[order]
    return tier, (of_rank[ranks - 1] == tier).mean(axis=0)
