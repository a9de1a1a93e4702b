"""Ladders of causes: what people hold most influential, how far they agree, and with the data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from scipy.stats import rankdata, t

from models.checks import one_row_each
from models.keys import WHOLE

LEAST_PARTICIPANTS = 5
MOST_CAUSES = 14  # of an exact order: the subsets double with each cause
REPLICATES = 2000
_ROLE = {"role": pl.String, "participants": pl.Int32, "is_publishable": pl.Boolean}


def borda_order(
    ladders: pl.DataFrame,
    *,
    least_participants: int = LEAST_PARTICIPANTS,
    level: float = 0.90,
    seed: int = 0,
) -> pl.DataFrame:
    """Return the causes by their mean points, with rank intervals, for all and by role.

    With m causes, a participant gives the cause on place r the points (m - r) / (m - 1), from 1
    (top) to 0. Causes on one rung share the mean of their places. Causes left off a ladder share
    the mean of the places that remain below it: who names three causes holds them above the rest,
    and says nothing of the rest's order. Only the order of rungs counts, so gaps in their numbers
    do not matter.

    The interval holds a cause's rank in at least `level` of 2000 resamples of the participants.

    Args:
        ladders: participant_hash, role, cause_id, ladder_rung (1 = most influential).
        least_participants: fewest participants whose order may be published.
        level: probability of the rank interval.
        seed: seed of the resampling.

    Returns:
        role (`all` = everyone), participants, is_publishable, cause_id, named_by (participants),
        borda_points (0..1), people_rank (1 = top; equal causes share the best place),
        people_rank_lo, people_rank_hi; sorted by role, rank and cause. Where too few took part
        there is one row with empty figures.

    Raises:
        ValueError: if fewer than two causes are named, a field is empty, a rung is below 1, a
            participant has a cause twice or two roles, a role is called `all`,
            least_participants is below 2 or level is not between 0 and 1.

    Source: Borda (1781); Emerson (2013) on incomplete ballots; R49.
    """
    _check_settings(least_participants, level)
    causes, roles, places, is_named = _places(ladders)
    rows: list[dict] = []
    for about, chosen in _roles(roles, least_participants):
        if not about["is_publishable"]:
            rows.append(about)
            continue
        points = (len(causes) - places[chosen].mean(axis=0)) / (len(causes) - 1)
        ranks = _ranks(places[chosen].sum(axis=0), "min")
        low, high = _rank_interval(places[chosen], level, seed)
        named = is_named[chosen].sum(axis=0)
        rows += [
            about
            | {
                "cause_id": cause,
                "named_by": int(named[i]),
                "borda_points": float(points[i]),
                "people_rank": int(ranks[i]),
                "people_rank_lo": int(low[i]),
                "people_rank_hi": int(high[i]),
            }
            for i, cause in enumerate(causes)
        ]
    schema = _ROLE | {
        "cause_id": pl.String,
        "named_by": pl.Int32,
        "borda_points": pl.Float64,
        "people_rank": pl.Int32,
        "people_rank_lo": pl.Int32,
        "people_rank_hi": pl.Int32,
    }
    return pl.DataFrame(rows, schema=schema).sort("role", "people_rank", "cause_id")


def kemeny_order(
    ladders: pl.DataFrame, *, least_participants: int = LEAST_PARTICIPANTS
) -> pl.DataFrame:
    """Return the order of causes that contradicts the participants least (exact).

    The order minimises Σ over pairs (a above b) of the participants who hold b strictly above a. A
    cause left off a ladder lies below those on it; causes on one rung, or both left off, are not
    compared. Dynamic programming over the sets S of causes that stand on top, in whole numbers:

        cost(S + i) = min over i of cost(S) + Σ over j in S of n(i held above j)

    Of several best orders the one first in the alphabet of cause_id is returned, and beside it the
    ranks that a cause has in any of them.

    Args:
        ladders: participant_hash, role, cause_id, ladder_rung (1 = most influential).
        least_participants: fewest participants whose order may be published.

    Returns:
        cause_id, kemeny_rank (1 = top), kemeny_rank_lo, kemeny_rank_hi (over all best orders),
        disagreements (pairs × participants against the order; the same in every row); sorted by
        rank.

    Raises:
        ValueError: as `borda_order`; if there are more than 14 causes, or too few participants.

    Source: Kemeny (1959); Held & Karp (1962) for the recursion; R49.
    """
    _check_settings(least_participants)
    causes, roles, places, _ = _places(ladders)
    if len(roles) < least_participants:
        raise ValueError(
            f"{len(roles)} participant(s) ranked causes; an order of fewer than"
            f" {least_participants} is not published"
        )
    size = len(causes)
    if size > MOST_CAUSES:
        raise ValueError(
            f"{size} causes; an exact order is computed for up to {MOST_CAUSES}: merge causes, or"
            " use borda_order"
        )
    above = (places[:, :, None] < places[:, None, :]).sum(axis=0)  # [i, j]: who holds i above j
    sets = np.arange(1 << size)
    price = np.zeros((size, 1 << size), dtype=np.int64)  # [i, S]: of placing i just below the set S
    for j in range(size):
        price[:, 1 << j : 2 << j] = price[:, : 1 << j] + above[:, [j]]
    on_top, below = _costs(price)
    best = on_top[-1]
    low, high = np.full(size, size), np.ones(size, dtype=int)
    for i in range(size):
        free = sets[(sets >> i) & 1 == 0]
        optimal = free[on_top[free] + price[i, free] + below[free | 1 << i] == best]
        ranks = np.bitwise_count(optimal).astype(int) + 1
        low[i], high[i] = ranks.min(), ranks.max()
    order: list[int] = []
    placed = 0
    while len(order) < size:
        i = next(
            i
            for i in range(size)
            if not placed >> i & 1 and price[i, placed] + below[placed | 1 << i] == below[placed]
        )
        order.append(i)
        placed |= 1 << i
    return pl.DataFrame(
        {
            "cause_id": [causes[i] for i in order],
            "kemeny_rank": range(1, size + 1),
            "kemeny_rank_lo": low[order],
            "kemeny_rank_hi": high[order],
            "disagreements": [int(best)] * size,
        },
        schema={
            "cause_id": pl.String,
            "kemeny_rank": pl.Int32,
            "kemeny_rank_lo": pl.Int32,
            "kemeny_rank_hi": pl.Int32,
            "disagreements": pl.Int64,
        },
    )


def ladder_agreement(
    ladders: pl.DataFrame,
    *,
    least_participants: int = LEAST_PARTICIPANTS,
    level: float = 0.90,
) -> pl.DataFrame:
    """Return how far the participants agree: Kendall's W, for all and by role.

    With R[i] the sum of cause i's places over n participants (places as in `borda_order`) and T the
    sum of t³ - t over groups of t causes that share a place,

        W = 12 Σ (R[i] - mean R)² / (n² (m³ - m) - n T)      0 = none, 1 = complete

    The interval is a jackknife over participants of the mean correlation between two of them,
    (n W - 1) / (n - 1), which, unlike W, does not depend on n; a resample would hold copies of
    participants, who agree with themselves. In simulated panels of 5 to 14, "90 %" covers 88–92 %.

    Args:
        ladders: participant_hash, role, cause_id, ladder_rung (1 = most influential).
        least_participants: fewest participants whose agreement may be published.
        level: probability of the interval.

    Returns:
        role (`all` = everyone), participants, is_publishable, causes, kendall_w, kendall_w_lo,
        kendall_w_hi; sorted by role; empty where too few took part or all causes share one rung.

    Raises:
        ValueError: as `borda_order`; if least_participants is below 3.

    Source: Kendall & Babington Smith (1939); Efron & Tibshirani (1993), ch. 11; R49.
    """
    _check_settings(least_participants, level, least=3)
    causes, roles, places, _ = _places(ladders)
    rows = []
    for about, chosen in _roles(roles, least_participants):
        row = about | {"causes": len(causes)}
        if about["is_publishable"]:
            row |= _concordance(places[chosen], level)
        rows.append(row)
    schema = _ROLE | {
        "causes": pl.Int32,
        "kendall_w": pl.Float64,
        "kendall_w_lo": pl.Float64,
        "kendall_w_hi": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema).sort("role")


def data_agreement(
    ladders: pl.DataFrame,
    contributions: pl.DataFrame,
    *,
    least_participants: int = LEAST_PARTICIPANTS,
    level: float = 0.90,
    seed: int = 0,
) -> pl.DataFrame:
    """Return how far people's order of causes is the data's: Kendall's τ-b, for all and by role.

    Compared are the causes that both name, people's by mean points (`borda_order`). The interval
    resamples the participants; the data's order counts as given.

    Args:
        ladders: participant_hash, role, cause_id, ladder_rung (1 = most influential).
        contributions: cause_id, contribution (any unit; larger = more influential).
        least_participants: fewest participants whose order may be published.
        level: probability of the interval.
        seed: seed of the resampling.

    Returns:
        role (`all` = everyone), participants, is_publishable, causes (that both name), kendall_tau,
        kendall_tau_lo, kendall_tau_hi; sorted by role; empty where too few took part, or one side
        does not order the shared causes.

    Raises:
        ValueError: as `borda_order`; if a contribution is not a finite number or a cause repeats.

    Source: Kendall (1945), τ-b; R49, T10.
    """
    _check_settings(least_participants, level)
    causes, roles, places, _ = _places(ladders)
    shared, strength = _shared(causes, contributions)
    rows = []
    for about, chosen in _roles(roles, least_participants):
        row = about | {"causes": len(shared)}
        if about["is_publishable"]:
            own = places[chosen][:, shared]
            drawn = _taus(_resampled(own, seed), strength)
            known = drawn[~np.isnan(drawn)]
            tau = float(_taus(own.sum(axis=0, keepdims=True), strength)[0])
            if len(known) and not np.isnan(tau):
                low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
                row |= {
                    "kendall_tau": tau,
                    "kendall_tau_lo": float(low),
                    "kendall_tau_hi": float(high),
                }
        rows.append(row)
    schema = _ROLE | {
        "causes": pl.Int32,
        "kendall_tau": pl.Float64,
        "kendall_tau_lo": pl.Float64,
        "kendall_tau_hi": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema).sort("role")


def data_disagreements(
    ladders: pl.DataFrame,
    contributions: pl.DataFrame,
    *,
    least_participants: int = LEAST_PARTICIPANTS,
    level: float = 0.90,
    seed: int = 0,
) -> pl.DataFrame:
    """Return, per cause, its place with the people and in the data, and where they disagree.

    Ranks are among the causes that both name. They disagree where the people's rank interval holds
    none of the ranks that the data leave open (several, if contributions are equal). A cause that
    only one side names is listed without ranks: the other is silent on it.

    Args:
        ladders: participant_hash, role, cause_id, ladder_rung (1 = most influential).
        contributions: cause_id, contribution (any unit; larger = more influential).
        least_participants: fewest participants whose order may be published.
        level: probability of the rank interval.
        seed: seed of the resampling.

    Returns:
        role (`all` = everyone), participants, is_publishable, cause_id, named_in (`both`,
        `ladders`, `data`), people_rank, people_rank_lo, people_rank_hi, data_rank (1 = top),
        rank_difference (absolute), held_stronger_by (`people`, `data`; null if ranks are equal),
        is_disagreement; sorted by role, the largest difference first. Where too few took part there
        is one row with empty figures.

    Raises:
        ValueError: as `data_agreement`.

    Source: R49, T10.
    """
    _check_settings(least_participants, level)
    causes, roles, places, _ = _places(ladders)
    shared, strength = _shared(causes, contributions)
    data_best, data_worst = _ranks(-strength, "min"), _ranks(-strength, "max")
    both = {causes[i] for i in shared}
    alone = [
        {"cause_id": cause, "named_in": named_in}
        for named_in, named in (("ladders", causes), ("data", contributions["cause_id"]))
        for cause in named
        if cause not in both
    ]
    rows: list[dict] = []
    for about, chosen in _roles(roles, least_participants):
        if not about["is_publishable"]:
            rows.append(about)
            continue
        rows += [about | one for one in alone]
        if not len(shared):
            continue
        own = places[chosen][:, shared]
        ranks = _ranks(own.sum(axis=0), "min")
        low, high = _rank_interval(own, level, seed)
        for i, cause in enumerate(shared):
            apart = int(ranks[i] - data_best[i])
            rows.append(
                about
                | {
                    "cause_id": causes[cause],
                    "named_in": "both",
                    "people_rank": int(ranks[i]),
                    "people_rank_lo": int(low[i]),
                    "people_rank_hi": int(high[i]),
                    "data_rank": int(data_best[i]),
                    "rank_difference": abs(apart),
                    "held_stronger_by": ("people" if apart < 0 else "data") if apart else None,
                    "is_disagreement": bool(data_worst[i] < low[i] or data_best[i] > high[i]),
                }
            )
    schema = _ROLE | {
        "cause_id": pl.String,
        "named_in": pl.String,
        "people_rank": pl.Int32,
        "people_rank_lo": pl.Int32,
        "people_rank_hi": pl.Int32,
        "data_rank": pl.Int32,
        "rank_difference": pl.Int32,
        "held_stronger_by": pl.String,
        "is_disagreement": pl.Boolean,
    }
    return pl.DataFrame(rows, schema=schema).sort(
        "role",
        "rank_difference",
        "cause_id",
        descending=[False, True, False],
        nulls_last=True,
    )


def _check_settings(least_participants: int, level: float = 0.5, least: int = 2) -> None:
    if least_participants < least:
        raise ValueError(
            f"least_participants must be {least} or more; got {least_participants}: one voice is no"
            " order of the people"
        )
    if not 0 < level < 1:
        raise ValueError(f"level is a probability between 0 and 1; got {level}")


def _places(ladders: pl.DataFrame) -> tuple[list[str], list[str], np.ndarray, np.ndarray]:
    """Return the causes, the participants' roles, the places (n, m) and who named what (n, m)."""
    used = ladders.select("participant_hash", "role", "cause_id", "ladder_rung").sort(
        "participant_hash", "cause_id"
    )
    if used.null_count().sum_horizontal().item():
        raise ValueError(
            "a ladder has an empty field; give participant, role, cause and rung in every row"
        )
    if (used["ladder_rung"] < 1).any():
        raise ValueError("ladder_rung counts from 1, the most influential cause")
    if twice := used.filter(used.select("participant_hash", "cause_id").is_duplicated())[
        "cause_id"
    ].to_list():
        raise ValueError(f"a participant has the cause '{twice[0]}' twice; keep one rung for it")
    people = used.select("participant_hash", "role").unique().sort("participant_hash")
    one_row_each(people, "participant_hash", "a participant stands under two roles; keep one")
    if (people["role"] == WHOLE).any():
        raise ValueError(f"'{WHOLE}' means everyone and cannot be a role; rename it")
    causes = used["cause_id"].unique().sort().to_list()
    if len(causes) < 2:
        raise ValueError(f"ladders name {len(causes)} cause(s); an order needs at least two")
    rungs = np.full((people.height, len(causes)), np.inf)  # left off: below all rungs
    row = used["participant_hash"].rank("dense").to_numpy().astype(int) - 1
    column = used["cause_id"].rank("dense").to_numpy().astype(int) - 1
    rungs[row, column] = used["ladder_rung"].to_numpy()
    return causes, people["role"].to_list(), rankdata(rungs, axis=1), np.isfinite(rungs)


def _roles(roles: list[str], least: int) -> Iterator[tuple[dict, np.ndarray]]:
    """Yield everyone, then each role: what is said of it in a row, and its participants."""
    for role in (WHOLE, *sorted(set(roles))):
        chosen = np.flatnonzero([role in (WHOLE, one) for one in roles])
        yield (
            {
                "role": role,
                "participants": len(chosen),
                "is_publishable": len(chosen) >= least,
            },
            chosen,
        )


def _ranks(values: np.ndarray, ties: str) -> np.ndarray:
    """Return ranks from the smallest value, along the last axis."""
    return rankdata(values, method=ties, axis=-1).astype(int)


def _resampled(places: np.ndarray, seed: int) -> np.ndarray:
    """Return the sums of places (replicates, m); halves add exactly, so equal causes stay equal."""
    drawn = np.random.default_rng(seed).integers(len(places), size=(REPLICATES, len(places)))
    return places[drawn].sum(axis=1)


def _rank_interval(places: np.ndarray, level: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    sums = _resampled(places, seed)
    tail = (1 - level) / 2
    return (
        np.quantile(_ranks(sums, "min"), tail, axis=0, method="inverted_cdf"),
        np.quantile(_ranks(sums, "max"), 1 - tail, axis=0, method="inverted_cdf"),
    )


def _costs(price: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least cost within each set placed on top, and of all that then comes below it."""
    size, number = len(price), price.shape[1]
    sets = np.arange(number)
    count = np.bitwise_count(sets)
    on_top = np.full(number, np.iinfo(np.int64).max)
    below = on_top.copy()
    on_top[0] = below[-1] = 0
    for level in range(size):
        for i in range(size):
            lacks = (sets >> i) & 1 == 0
            small = sets[lacks & (count == level)]
            grown = small | 1 << i
            on_top[grown] = np.minimum(on_top[grown], on_top[small] + price[i, small])
            small = sets[lacks & (count == size - 1 - level)]
            below[small] = np.minimum(below[small], below[small | 1 << i] + price[i, small])
    return on_top, below


def _concordance(places: np.ndarray, level: float) -> dict:
    """Return Kendall's W with its jackknife interval; nothing if all causes share one rung."""
    n = len(places)
    w = _kendall_w(places)
    correlation = (n * w - 1) / (n - 1)
    left_out = np.array([_kendall_w(np.delete(places, i, axis=0)) for i in range(n)])
    left_out = ((n - 1) * left_out - 1) / (n - 2)
    if np.isnan(left_out).any() or np.isnan(w):
        return {}
    error = np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())
    reach = t.ppf(0.5 + level / 2, n - 1) * error
    low, high = (((n - 1) * (correlation + by) + 1) / n for by in (-reach, reach))
    return {
        "kendall_w": w,
        "kendall_w_lo": float(np.clip(low, 0, 1)),
        "kendall_w_hi": float(np.clip(high, 0, 1)),
    }


def _kendall_w(places: np.ndarray) -> float:
    n, m = places.shape
    sums = places.sum(axis=0)
    # Of m causes without ties the squared places around their mean add to (m³ - m) / 12.
    most = n * ((places - (m + 1) / 2) ** 2).sum()
    return float(((sums - sums.mean()) ** 2).sum() / most) if most > 0 else np.nan


def _shared(causes: list[str], contributions: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return which of the causes the data name too, and their contributions."""
    if not contributions["contribution"].is_finite().fill_null(False).all():
        raise ValueError(
            "a cause has no finite contribution; leave out causes that are not measured"
        )
    one_row_each(contributions, "cause_id", "a cause has two contributions; pass one row per cause")
    by_cause = dict(contributions.select("cause_id", "contribution").iter_rows())
    shared = np.array([i for i, cause in enumerate(causes) if cause in by_cause], dtype=int)
    return shared, np.array([by_cause[causes[i]] for i in shared], dtype=float)


def _taus(sums: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Return τ-b of the strengths with each row of sums of places (low = influential), or NaN."""
    first, second = np.triu_indices(len(strength), 1)
    people = np.sign(sums[:, second] - sums[:, first])
    data = np.sign(strength[first] - strength[second])
    pairs = (people != 0).sum(axis=1) * (data != 0).sum()
    with np.errstate(invalid="ignore"):
        return (people * data).sum(axis=1) / np.sqrt(pairs)
