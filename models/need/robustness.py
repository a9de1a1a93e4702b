"""How much the need index hangs on choices: weights, order, which indicators (R43)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import rankdata

from models.need.index import _EDGE, _check_orders, _matrices, _mean

_CHUNK = 250  # draws at a time: a country's schools fit in the cache


@dataclass(frozen=True)
class Robustness:
    """What the choices do.

    Attributes:
        schools: semel_mosad, need_tier, tier_acceptability_pct (share of all draws in the
            registered tier), rank_choice_lo, rank_choice_hi (90 % of the draws; 1 = greatest need);
            sorted.
        acceptability: semel_mosad, need_tier, acceptability_pct: each tier of each school; sums to
            100.
        choices: choice, draws, rank_correlation (Spearman with the registered index, mean),
            rank_correlation_lo (5 % quantile), tier_changed_pct (mean share of schools in another
            tier). A correlation is null where an index sets no two schools apart.
    """

    schools: pl.DataFrame
    acceptability: pl.DataFrame
    choices: pl.DataFrame


def need_robustness(
    indicators: pl.DataFrame,
    weights: pl.DataFrame,
    *,
    order_p: float = 0.5,
    draws: int = 1000,
    seed: int = 1,
    concentration: float = 30.0,
    orders: Sequence[float] = (0.0, 0.5, 1.0),
    tiers: Sequence[str] = ("A", "B", "C", "D"),
) -> Robustness:
    """Recompute the index under other choices a committee might as well have made.

    Four kinds of choices, the needs themselves at their points:

        weights_near   weights ~ Dirichlet(concentration · registered): a committee of the same mind
        weights_any    weights ~ Dirichlet(1, …, 1): any committee at all
        order          another order of the generalised mean
        without_<id>   one indicator left out, the others' weights in proportion

    A school whose tier survives them stands there on the data; one that does not, on the choices.
    The acceptability is over the weight draws of both kinds. An indicator of weight 0 was decided
    against and stays at 0. What a school lacks counts as in the index, at the mean of the others.
    Schools of equal need share their ranks and their tier.

    Args:
        indicators: as for `need_index`.
        weights: indicator_id, weight_pct.
        order_p: registered order.
        draws: draws of each kind of weights, at least 1,000 for publication.
        seed: seed of the draws.
        concentration: how near "near" is: 30 lets a weight of 20 % move by about 7 points.
        orders: orders tried.
        tiers: names of the tiers, greatest need first.

    Raises:
        ValueError: as `need_index`; if fewer than one draw is asked for, an order is negative, or
            the concentration is not positive.

    Source: OECD/JRC Handbook (2008), step 7; Saisana, Saltelli & Tarantola (2005); R43.
    """
    if draws < 1:
        raise ValueError(f"at least one draw is needed, not {draws}")
    if not concentration > 0:
        raise ValueError(f"the concentration must be above 0, not {concentration:g}")
    _check_orders(order_p, *orders)
    names, codes, need, registered = _inputs(indicators, weights)
    counted = np.flatnonzero(registered)
    generator = np.random.default_rng(seed)
    own = _ranked(need, registered[None], order_p).mean(axis=0)[0]
    own_tier = _tier_of(own, len(tiers))
    rows, kept = [], []
    for choice, alpha in (
        ("weights_near", concentration * registered[counted]),
        ("weights_any", np.ones(len(counted))),
    ):
        weight = np.zeros((draws, len(names)))
        weight[:, counted] = generator.dirichlet(alpha, draws)
        parts = [_ranked(need, part, order_p) for part in _parts(weight)]
        kept.append(np.concatenate(parts, axis=1))
        rows.append(_compare(choice, kept[-1].mean(axis=0), own, own_tier, len(tiers)))
    for order in orders:
        if order != order_p:
            ranks = _ranked(need, registered[None], order).mean(axis=0)
            rows.append(_compare(f"order_{order:g}", ranks, own, own_tier, len(tiers)))
    for place, name in enumerate(names):
        without = registered.copy()
        without[place] = 0
        if registered[place] > 0 and without.sum() > 0:
            ranks = _ranked(need, without[None], order_p).mean(axis=0)
            rows.append(_compare(f"without_{name}", ranks, own, own_tier, len(tiers)))
    first, last = np.concatenate(kept, axis=1)
    tier_of = _tier_of((first + last) / 2, len(tiers))
    shares = np.stack([(tier_of == place).mean(axis=0) for place in range(len(tiers))], axis=1)
    low = np.quantile(first, 0.05, axis=0, method="closest_observation")
    high = np.quantile(last, 0.95, axis=0, method="closest_observation")
    return Robustness(
        schools=pl.DataFrame(
            {
                "semel_mosad": codes,
                "need_tier": [tiers[place] for place in own_tier],
                "tier_acceptability_pct": 100 * shares[np.arange(len(codes)), own_tier],
                "rank_choice_lo": low.astype(np.int32),
                "rank_choice_hi": high.astype(np.int32),
            }
        ),
        acceptability=pl.DataFrame(
            {
                "semel_mosad": np.repeat(codes, len(tiers)),
                "need_tier": list(tiers) * len(codes),
                "acceptability_pct": 100 * shares.ravel(),
            }
        ),
        choices=pl.DataFrame(rows, schema=_CHOICES, orient="row").fill_nan(None),
    )


_CHOICES = {
    "choice": pl.String,
    "draws": pl.Int32,
    "rank_correlation": pl.Float64,
    "rank_correlation_lo": pl.Float64,
    "tier_changed_pct": pl.Float64,
}


def _parts(weight: np.ndarray) -> Iterator[np.ndarray]:
    yield from (weight[start : start + _CHUNK] for start in range(0, len(weight), _CHUNK))


def _inputs(
    indicators: pl.DataFrame, weights: pl.DataFrame
) -> tuple[list[str], list[str], np.ndarray, np.ndarray]:
    """Return names, codes, (school, indicator) need and weights as shares of 1.

    Only of indicators that some school has.
    """
    names, codes, need, _, measured, weight = _matrices(indicators, weights)
    some: np.ndarray = np.any(measured, axis=0)
    kept = [name for name, has in zip(names, some, strict=True) if has]
    return kept, codes, need[:, some], weight[some] / weight[some].sum()


def _ranked(need: np.ndarray, weight: np.ndarray, order: float) -> np.ndarray:
    """Return (2, draws, schools): the first and the last rank a school shares with its equals."""
    # Rounded, because schools of equal need must not be ranked by the last bit.
    values = -np.round(_mean(need, weight[:, None, :], order), 12)
    return np.stack([rankdata(values, axis=1, method=end) for end in ("min", "max")])


def _tier_of(ranks: np.ndarray, tiers: int) -> np.ndarray:
    schools = ranks.shape[-1]
    return np.minimum(((ranks - 1) * tiers // schools).astype(int), tiers - 1)


def _compare(
    choice: str, ranks: np.ndarray, own: np.ndarray, own_tier: np.ndarray, tiers: int
) -> tuple[str, int, float, float, float]:
    centre = (len(own) + 1) / 2
    mine, other = own - centre, ranks - centre
    with np.errstate(invalid="ignore"):
        spearman = other @ mine / np.sqrt((mine @ mine) * (other**2).sum(axis=1))
    changed = 100 * float((_tier_of(ranks, tiers) != own_tier).mean())
    return choice, len(ranks), float(spearman.mean()), float(np.quantile(spearman, 0.05)), changed


def need_shares(
    indicators: pl.DataFrame, weights: pl.DataFrame, order_p: float = 0.5
) -> pl.DataFrame:
    """Return which part of each school's index each indicator makes: the school's profile.

    need^p = Σ w·x^p / Σ w is a sum, so the shares w·x^p / Σ w·x^p add up to 100 exactly. At p = 0
    the index is a product; its shares are those of the weights.

    Args:
        indicators: as for `need_index`.
        weights: indicator_id, weight_pct.
        order_p: order of the generalised mean.

    Returns:
        semel_mosad, indicator_id, need_share_pct (what is lacking at the mean of the others; 0 for
        all where the index is 0); sorted; without an indicator that no school has.

    Raises:
        ValueError: as `need_robustness`.

    Source: OECD/JRC Handbook (2008), step 9; R43.
    """
    _check_orders(order_p)
    names, codes, need, registered = _inputs(indicators, weights)
    parts = registered * (need**order_p if order_p else np.ones_like(need))
    if not order_p:  # one need of 0 makes the whole product 0
        parts = np.where(((registered > 0) & (need == 0)).any(axis=1, keepdims=True), 0.0, parts)
    total = parts.sum(axis=1, keepdims=True)
    return pl.DataFrame(
        {
            "semel_mosad": np.repeat(codes, len(names)),
            "indicator_id": names * len(codes),
            "need_share_pct": (100 * parts / np.where(total > 0, total, 1.0)).ravel(),
        }
    )


def indicator_quality(
    indicators: pl.DataFrame, weights: pl.DataFrame, order_p: float = 0.5
) -> pl.DataFrame:
    """Return what each indicator is worth: reliability, effective importance, its nearest twin.

    reliability = 1 - mean error variance / variance between schools, held within 0 and 1: below .6
    an indicator is mostly noise. importance = covariance share: need^p = Σ w·x^p is a sum, and each
    summand's covariance with it is its share of the variance between schools. It is what the weight
    does to who is needier, and need not be what it says: an indicator in which schools are alike
    decides little, one that goes with others decides more, one that goes against them less than
    nothing. A twin with |r| ≥ .8 counts the same thing twice.

    Args:
        indicators: as for `need_index`.
        weights: indicator_id, weight_pct.
        order_p: order of the generalised mean.

    Returns:
        indicator_id, schools_measured, indicator_reliability (null with fewer than three schools or
        no spread), importance_pct (sums to 100; null where the index sets no two schools apart),
        twin_indicator_id, twin_correlation (null without a pair); sorted.

    Source: Shorrocks (1982), Econometrica 50, for the shares; OECD/JRC Handbook, steps 2, 4; R43.
    """
    _check_orders(order_p)
    names, _, need, error, measured, weight = _matrices(indicators, weights)
    summands = (
        weight
        * measured.any(axis=0)
        * (need**order_p if order_p else np.log(np.maximum(need, _EDGE)))
    )
    apart = summands - summands.mean(axis=0)
    covariance = (apart * apart.sum(axis=1, keepdims=True)).sum(axis=0)
    total, rows = covariance.sum(), []
    for place, name in enumerate(names):
        has = measured[:, place]
        own, noise = need[has, place], error[has, place]
        spread = own.var(ddof=1) if len(own) >= 3 else 0.0
        reliability = float(np.clip(1 - (noise**2).mean() / spread, 0, 1)) if spread > 0 else None
        twins = []
        for other, other_name in enumerate(names):
            both = has & measured[:, other]
            if other != place and both.sum() >= 3:
                twins.append((_correlation(need[both, place], need[both, other]), other_name))
        best = max(twins, key=lambda pair: (abs(pair[0]), pair[1]), default=(None, None))
        share = 100 * covariance[place] / total if total > 0 else None
        rows.append((name, int(has.sum()), reliability, share, best[1], best[0]))
    return pl.DataFrame(
        rows,
        schema={
            "indicator_id": pl.String,
            "schools_measured": pl.Int32,
            "indicator_reliability": pl.Float64,
            "importance_pct": pl.Float64,
            "twin_indicator_id": pl.String,
            "twin_correlation": pl.Float64,
        },
        orient="row",
    )


def _correlation(left: np.ndarray, right: np.ndarray) -> float:
    if left.std() == 0 or right.std() == 0:
        return 0.0
    return float(np.corrcoef(left, right)[0, 1])
