"""The lot that gives places, registered before it is drawn (R63)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl


def lottery_seed(seed: int, response_id: str) -> int:
    """The seed with which one response draws: made from the year's and its name."""
    return int(np.random.SeedSequence([seed, *response_id.encode()]).generate_state(1)[0])


def draw_lottery(
    entrants: pl.DataFrame, places: int, *, seed: int, by: Sequence[str] = ()
) -> pl.DataFrame:
    """Draw places by lot, so that anyone can draw them again from the seed (R63).

    Entrants are put in the order of their ids, so the order of the list decides nothing; a
    permutation by the seed (and the stratum's name) gives everyone the same chance.

    Args:
        entrants: unit (id), and the columns `by`.
        places: places to give, in each stratum if there are strata.
        seed: the registered seed.
        by: columns that make strata.

    Returns:
        the strata, unit, draw_position (1 = first), is_offered, seed; sorted by stratum and
        position.

    Raises:
        ValueError: if an id repeats or is empty, or places is negative.
    """
    if places < 0:
        raise ValueError(f"places must not be negative; got {places}")
    if entrants["unit"].null_count() or entrants["unit"].is_duplicated().any():
        raise ValueError("every entrant needs an id of its own")
    frames = []
    groups = (
        entrants.sort(*by, "unit").group_by(by, maintain_order=True)
        if by
        else [((), entrants.sort("unit"))]
    )
    for name, part in groups:
        rng = np.random.default_rng([seed, *"|".join(map(str, name)).encode()])
        position = rng.permutation(part.height) + 1
        frames.append(
            part.select(*by, "unit")
            .with_columns(
                draw_position=pl.Series(position, dtype=pl.Int32),
                is_offered=pl.Series(position <= places),
                seed=pl.lit(seed, pl.Int64),
            )
            .sort("draw_position")
        )
    return pl.concat(frames)
