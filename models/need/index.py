"""The need index: a weighted generalised mean of indicators, with an interval and tiers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.special import ndtr, ndtri, owens_t
from scipy.stats import rankdata

from models.checks import every_row, one_row_each

_LEAST_SPREAD = 1e-6  # below it a need is a point
_EDGE = 1e-3  # an uncertain need is drawn around at least this, at most 1 minus this
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

    need = (Σ w·x^p / Σ w)^(1/p); p = 1 adds, p → 0 is geometric, p < 1 limits how far the absence
    of one need makes up for another. The point uses the means, the interval comes from draws: each
    indicator as Φ(c + τε), ε ~ N(0, 1), with c and τ such that the draws have its mean and its
    standard error. (A beta distribution of the same mean and error piles up on 0 and 1 and calls a
    need of .98 ± .1 certain.) An indicator that a school lacks but others have counts at their mean
    and is drawn from their values: nobody is placed by silence, and a school that was not measured
    stands in the middle with the whole spread of the city. One that nobody has is left out and
    shows in `measured_weight_pct`. The interval is widened to hold the point.

    Args:
        indicators: semel_mosad, indicator_id, indicator_kind ('outcome' | 'background'),
            is_measured, indicator_need (0..1), indicator_need_se; null where not measured.
        weights: indicator_id, weight_pct; they sum to 100.
        order_p: order of the generalised mean, 0 (geometric) or above.
        draws: number of draws.
        seed: seed of the draws.
        level: probability of the intervals.
        tiers: names of the tiers, greatest need first; equal numbers of schools by expected rank.

    Returns:
        semel_mosad, need, need_lo, need_hi, outcome_need, background_need, need_tier, p_need_tier
        (share of draws in the tier), rank_lo, rank_hi (1 = greatest need; ties are broken at random
        in each draw, so equal schools share their ranks), measured_weight_pct; sorted by school.
        The two parts are null where the school has no indicator of the kind.

    Raises:
        ValueError: if the weights do not sum to 100, are negative or do not name the indicators
            exactly; if an indicator has not one known kind; if a measured need is outside 0..1 or
            has no error; if a key repeats; if nothing that has a weight is measured in any school;
            if the order is negative.

    Source: OECD/JRC Handbook on Constructing Composite Indicators (2008); R37, R43.
    """
    _check_orders(order_p)
    names, school_codes, need, error, measured, weight = _matrices(indicators, weights)
    kinds = dict(indicators.select("indicator_id", "indicator_kind").unique().iter_rows())
    used = weight * measured.any(axis=0)
    point = _mean(need, used, order_p)
    generator = np.random.default_rng(seed)
    drawn = _drawn(need, error, measured, weight, order_p, draws, generator)
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    ranks = _ranks(drawn, generator)
    rank_low, rank_high = np.quantile(ranks, [tail, 1 - tail], axis=0, method="closest_observation")
    tier, probability = _tiers(ranks, len(tiers))
    parts = {}
    for column, kind in KINDS.items():
        own = np.array([kinds[name] == kind for name in names])
        parts[column] = np.where(
            (measured & own).any(axis=1), _mean(need, used * own, order_p), np.nan
        )
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


def need_draws(
    indicators: pl.DataFrame,
    weights: pl.DataFrame,
    *,
    order_p: float = 0.5,
    draws: int = 200,
    seed: int = 1,
) -> pl.DataFrame:
    """Return joint draws of the needs that `need_index` summarises (R96).

    Args and errors as `need_index`.

    Returns:
        draw (0 …), semel_mosad, need (0..1); by draw and school.
    """
    _, school_codes, need, error, measured, weight = _matrices(indicators, weights)
    generator = np.random.default_rng(seed)
    drawn = _drawn(need, error, measured, weight, order_p, draws, generator)
    return pl.DataFrame(
        {
            "draw": np.repeat(np.arange(draws), len(school_codes)),
            "semel_mosad": school_codes * draws,
            "need": drawn.ravel(),
        }
    )


def surely_needier(
    draws: pl.DataFrame, sure: float, among: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Return the pairs of schools of which the first surely needs more than the second.

    Args:
        draws: draw, semel_mosad, need, as `need_draws` returns them.
        sure: least share of the draws in which it does, above .5.
        among: semel_mosad and a second column: only schools that are alike in it are compared; all
            of them where it is not given.

    Returns:
        semel_mosad, less_needy_semel_mosad, p_needier (share of the draws, ≥ sure), by both.

    Raises:
        ValueError: if sure is not above .5: two schools could then each need more.
    """
    if not 0.5 < sure <= 1:
        raise ValueError(f"sure must be above .5 and at most 1, not {sure:g}")
    table = draws.sort("draw").pivot(on="draw", index="semel_mosad", values="need")
    table = table.sort("semel_mosad")
    codes, need = table["semel_mosad"], table.drop("semel_mosad").to_numpy()
    groups = [np.arange(len(codes))]
    if among is not None:
        label = among.select("semel_mosad", label=pl.col(among.columns[-1]))
        groups = [
            own["index"].to_numpy()
            for own in table.select("semel_mosad")
            .with_row_index()
            .join(label, on="semel_mosad", maintain_order="left")
            .partition_by("label")
        ]
    pairs = [np.zeros((3, 0))]
    for own in groups:
        share = np.stack([(one > need[own]).mean(axis=1) for one in need[own]])
        first, second = np.nonzero(share >= sure)
        pairs.append(np.stack([own[first], own[second], share[first, second]]))
    first, second, sure_share = np.concatenate(pairs, axis=1)
    found = pl.DataFrame(
        {
            "semel_mosad": codes.gather(first.astype(np.int64)),
            "less_needy_semel_mosad": codes.gather(second.astype(np.int64)),
            "p_needier": sure_share,
        }
    )
    return found if among is None else found.sort("semel_mosad", "less_needy_semel_mosad")


def _check_orders(*orders: float) -> None:
    if wrong := [order for order in orders if not order >= 0]:
        raise ValueError(f"an order of the generalised mean must be 0 or above, not {wrong[0]:g}")


def _drawn(
    need: np.ndarray,
    error: np.ndarray,
    measured: np.ndarray,
    weight: np.ndarray,
    order: float,
    draws: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Return (draws, school) needs: the mean over the indicators that any school has."""
    sample = _draw(need, error, measured, draws, generator)
    return _mean(sample, weight * measured.any(axis=0), order)


def _matrices(
    indicators: pl.DataFrame, weights: pl.DataFrame
) -> tuple[list[str], list[str], np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return indicator names, school codes, (school, indicator) need, error, measured, weights.

    A need that is not measured is the mean of those that are, where any is.
    """
    total = float(weights["weight_pct"].sum())
    if abs(total - 100) > 1e-6:
        raise ValueError(f"the weights must sum to 100, not {total:g}")
    every_row(weights, pl.col("weight_pct") >= 0, "a weight is negative")
    one_row_each(weights, "indicator_id", "an indicator has two weights")
    given, weighted = set(indicators["indicator_id"]), set(weights["indicator_id"])
    if unknown := given - weighted:
        raise ValueError(f"indicators without a weight: {', '.join(sorted(unknown))}")
    if absent := weighted - given:
        raise ValueError(
            f"weights without an indicator: {', '.join(sorted(absent))}; "
            "give it rows with is_measured false where nothing measures it"
        )
    kinds = indicators.select("indicator_id", "indicator_kind").unique()
    if kinds.height > len(given) or not kinds["indicator_kind"].is_in(list(KINDS.values())).all():
        raise ValueError(
            f"each indicator needs one indicator_kind out of {', '.join(KINDS.values())}"
        )
    one_row_each(indicators, ["semel_mosad", "indicator_id"], "a school has an indicator twice")
    every_row(
        indicators.filter("is_measured"),
        pl.col("indicator_need").is_between(0, 1),
        "a measured indicator's need is outside 0..1 or empty",
    )
    error_known = pl.col("indicator_need_se").is_finite() & (pl.col("indicator_need_se") >= 0)
    every_row(
        indicators.filter("is_measured"),
        error_known,
        "a measured indicator's indicator_need_se is empty or negative; it is 0 where exact",
    )
    names = weights["indicator_id"].sort().to_list()
    schools = indicators["semel_mosad"].unique().sort()
    grid = schools.to_frame().join(pl.DataFrame({"indicator_id": names}), how="cross")
    full = grid.join(
        indicators, on=["semel_mosad", "indicator_id"], how="left", maintain_order="left"
    )
    shape = (len(schools), len(names))
    measured = full["is_measured"].fill_null(False).to_numpy().reshape(shape)
    need = full["indicator_need"].fill_null(0.0).to_numpy().reshape(shape) * measured
    error = full["indicator_need_se"].fill_null(0.0).to_numpy().reshape(shape) * measured
    weight = weights.sort("indicator_id")["weight_pct"].to_numpy()
    if not (weight * measured).any():
        raise ValueError("nothing that has a weight is measured in any school")
    mean = need.sum(axis=0) / np.maximum(measured.sum(axis=0), 1)
    return names, schools.to_list(), np.where(measured, need, mean), error, measured, weight


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
    need: np.ndarray,
    error: np.ndarray,
    measured: np.ndarray,
    draws: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Return (draws, school, indicator) samples of the needs."""
    uncertain = error > _LEAST_SPREAD
    mean = np.clip(need, _EDGE, 1 - _EDGE)
    width = _probit_width(mean, error)
    centre = ndtri(mean) * np.sqrt(1 + width**2)
    noise = generator.standard_normal((draws, *need.shape))
    sample = np.where(uncertain, ndtr(centre + width * noise), need)
    # One place for all indicators of a school in a draw: what is lacking together is drawn from one
    # school, whose needs belong together.
    place = generator.random((draws, len(need)))
    for column in range(need.shape[1]):
        have = np.flatnonzero(measured[:, column])
        lack = np.flatnonzero(~measured[:, column])
        if len(have) and len(lack):
            donors = have[(place[:, lack] * len(have)).astype(int)]
            sample[:, lack, column] = np.take_along_axis(sample[:, :, column], donors, axis=1)
    return sample


def _probit_width(mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return the τ for which Φ(h√(1+τ²) + τε), of mean Φ(h), has the given standard deviation.

    By bisection: E Φ² = Φ(h) - 2T(h, 1/√(1+2τ²)), T being Owen's function.
    """
    low, high, h = np.zeros_like(mean), np.full_like(mean, 50.0), ndtri(mean)
    for _ in range(50):
        width = (low + high) / 2
        variance = mean - 2 * owens_t(h, 1 / np.sqrt(1 + 2 * width**2)) - mean**2
        wide = variance > spread**2
        low, high = np.where(wide, low, width), np.where(wide, width, high)
    return (low + high) / 2


def _ranks(drawn: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return (draws, school) ranks, 1 = greatest need; the order of codes must not break ties."""
    order = np.lexsort((generator.random(drawn.shape), -drawn), axis=1)
    return np.argsort(order, axis=1) + 1


def _tiers(ranks: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each school's tier by expected rank, and how often it falls there."""
    schools = ranks.shape[1]
    of_rank = np.minimum((np.arange(schools) * count) // schools, count - 1)
    order = rankdata(ranks.mean(axis=0), method="ordinal").astype(int) - 1
    tier = of_rank[order]
    return tier, (of_rank[ranks - 1] == tier).mean(axis=0)
