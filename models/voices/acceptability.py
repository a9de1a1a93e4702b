"""How responses rank over all weights of the considerations: SMAA with known values (R72).

Who weighs the considerations otherwise ranks the responses otherwise. Instead of one list, each
response has the share of all weights under which it comes first: near 100 % whatever one holds
dear it is the first, at 0 % nobody's weights make it so.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from models.checks import one_row_each

_EVEN = 1e-9  # sums this close are the same
_TOP = 3
_PLACES: dict[str, type[pl.DataType]] = {
    "first_pct": pl.Float64,
    "top_three_pct": pl.Float64,
    "place_lo": pl.Int32,
    "place_hi": pl.Int32,
    "place_by_groups": pl.Int32,
}


def acceptability(
    values: pl.DataFrame, weights: pl.DataFrame, *, seed: int, draws: int
) -> pl.DataFrame:
    """Return how each response ranks over weights drawn evenly from all that add up to one.

    Each consideration is brought to 0–1 between its lowest and highest response. One that is known
    of fewer than two responses, or the same for all, compares nothing and is left out. A response
    of which one of the others is not known has no place: unknown neither wins nor loses. Equal sums
    share their places evenly.

    Args:
        values: `response_id`, `consideration`, `value` (more is better; null where not known).
        weights: `consideration`, `weight` (any unit; null where none was given).
        seed: of the drawn weights.
        draws: number of drawn weights.

    Returns:
        `response_id`, `is_ranked`, `missing_considerations` (comma-separated, null if none), and of
        those ranked `first_pct`, `top_three_pct`, `place_lo` and `place_hi` (best and lowest place
        under any drawn weight), `place_by_groups` (under the given weights; null where none was
        given of what is compared); by response.

    Raises:
        ValueError: if a response has not one row for each consideration, or a weight repeats.

    Source: R72; Lahdelma & Salminen (2001), SMAA-2, with deterministic criteria.
    """
    pairs = values["response_id"].n_unique() * values["consideration"].n_unique()
    if values.select("response_id", "consideration").n_unique() != pairs or values.height != pairs:
        raise ValueError("each response needs one row for each consideration")
    one_row_each(weights, "consideration", "a consideration has one weight")
    lowest, highest = pl.col("value").min(), pl.col("value").max()
    spread = values.group_by("consideration").agg(low=lowest, high=highest)
    cells = (
        values.join(spread, on="consideration")
        .with_columns(is_compared=(pl.col("high") - pl.col("low") > _EVEN).fill_null(value=False))
        .with_columns(scaled=(pl.col("value") - pl.col("low")) / (pl.col("high") - pl.col("low")))
        .sort("response_id", "consideration")
    )
    unknown = pl.col("consideration").filter("is_compared", pl.col("value").is_null())
    by_response = cells.group_by("response_id", maintain_order=True).agg(
        pl.when(unknown.len() > 0).then(unknown.str.join(",")).alias("missing_considerations"),
        pl.col("scaled").filter("is_compared"),
    )
    compared = cells.filter("is_compared")["consideration"].unique().sort()
    is_known = pl.col("missing_considerations").is_null() & bool(len(compared))
    found = by_response.select("response_id", is_known.alias("is_ranked"), "missing_considerations")
    ranked = by_response.filter(is_known)
    scaled = np.array(ranked["scaled"].to_list()).reshape(ranked.height, len(compared))
    given = dict(weights.select("consideration", "weight").iter_rows())
    own = np.array([given.get(name) or 0.0 for name in compared])
    places = _places(scaled, own, np.random.default_rng(seed), draws) if ranked.height else {}
    return found.join(
        ranked.select("response_id", *(pl.Series(*place) for place in places.items())),
        on="response_id",
        how="left",
    ).with_columns(pl.lit(None, dtype).alias(name) for name, dtype in _PLACES.items() if not places)


def _places(
    scaled: np.ndarray, own: np.ndarray, rng: np.random.Generator, draws: int
) -> dict[str, pl.Series]:
    """Return the places of responses (n) by considerations (C) with values in 0–1."""
    drawn = rng.exponential(size=(draws, scaled.shape[1]))
    above, even = _order(drawn / drawn.sum(axis=1, keepdims=True), scaled)
    columns = {
        "first_pct": 100 * np.where(above == 0, 1 / even, 0.0).mean(axis=0),
        "top_three_pct": 100 * (np.clip(_TOP - above, 0, even) / even).mean(axis=0),
        "place_lo": above.min(axis=0) + 1,
        "place_hi": (above + even).max(axis=0),
        "place_by_groups": (
            _order(own[None, :] / own.sum(), scaled)[0][0] + 1
            if own.sum() > 0
            else [None] * len(scaled)
        ),
    }
    return {name: pl.Series(list(columns[name]), dtype=dtype) for name, dtype in _PLACES.items()}


def _order(weights: np.ndarray, scaled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, per weighting and response, how many stand above it and how many even with it."""
    total = weights @ scaled.T
    ahead = [total - own[:, None] for own in total.T]
    above = np.stack([(by > _EVEN).sum(axis=1) for by in ahead], axis=1)
    even = np.stack([(np.abs(by) <= _EVEN).sum(axis=1) for by in ahead], axis=1)
    return above, even
