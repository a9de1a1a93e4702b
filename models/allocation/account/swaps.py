"""The nearest alternative to a line: what one for one exchange would do, all rules kept."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy import sparse

from models.allocation.solve.model import Model

_CELLS = 5_000_000
"""Entries of rows × lines that are held at once."""


def best_swaps(model: Model, x: np.ndarray, shown: np.ndarray) -> pl.DataFrame:
    """For each option, its best exchange with one line of the plan, or with one option outside it.

    An option outside the plan comes in and one line goes out; a line of the plan goes out and one
    eligible option of a pair without a line comes in. The exchange that loses least is taken, ties
    by order of the options. Every row is checked exactly.

    Args:
        model: the rows.
        x: the plan, 0/1 per option.
        shown: the options to exchange.

    Returns:
        other_semel_mosad, other_response_id, other_dose_level, swap_loss (weighted benefit the plan
        loses by it, overlaps counted before and after; below 0 = it would gain), in the order of
        `shown`; null where there is none.
    """
    options, counting = model.columns.options, model.counting
    pair = model.columns.pair
    held = np.flatnonzero(x > 0.5)
    has_line = np.zeros(int(pair.max()) + 1, dtype=bool)
    has_line[pair[held]] = True
    outside = np.flatnonzero(options["is_eligible"].to_numpy() & ~has_line[pair])
    eligible = options["is_eligible"].to_numpy()
    activity, columns = model.matrix @ x, model.matrix.tocsc()
    others, losses = np.full(len(shown), -1), np.full(len(shown), np.nan)
    for place, j in enumerate(shown):
        is_held = x[j] > 0.5
        if not is_held and not eligible[j]:
            continue
        partners, sign = (outside, 1) if is_held else (held, -1)
        start = activity - sign * columns[:, [j]].toarray().ravel()
        broken = np.flatnonzero((start < model.lower) | (start > model.upper))
        if not is_held and not len(broken):
            continue  # It fits as it is: nobody has to make room.
        # Only who touches every broken row can mend it; the least loss first, so that the search
        # stops at the first that keeps the rules.
        touched = (model.matrix[broken] != 0).sum(axis=0) == len(broken)
        able = partners[np.asarray(touched).ravel()[partners]]
        own = np.full(len(able), j)
        gain = counting.change(x, able, own) if is_held else counting.change(x, own, able)
        ranked = np.argsort(-gain, kind="stable")
        order, gain = able[ranked], gain[ranked]
        found = _first_allowed(model, sign * columns[:, order], start)
        if found >= 0:
            others[place] = order[found]
            losses[place] = 0.0 - gain[found]
    known = pl.Series(others >= 0)
    other = options[np.maximum(others, 0).tolist()]
    return pl.DataFrame(
        {
            "loss": losses,
            "known": known,
            "semel": other["semel_mosad"],
            "response": other["response_id"],
            "dose": other["dose_level"],
        }
    ).select(
        other_semel_mosad=pl.when("known").then("semel"),
        other_response_id=pl.when("known").then("response"),
        other_dose_level=pl.when("known").then("dose"),
        swap_loss=pl.when("known").then("loss"),
    )


def no_swaps(count: int) -> pl.DataFrame:
    """The columns of `best_swaps` where none is sought."""
    return pl.DataFrame(
        schema={
            "other_semel_mosad": pl.String,
            "other_response_id": pl.String,
            "other_dose_level": pl.Int32,
            "swap_loss": pl.Float64,
        }
    ).clear(count)


def _first_allowed(model: Model, steps: sparse.csc_array, start: np.ndarray) -> int:
    """The first of some steps after which every row is kept; −1 where none is."""
    size = max(_CELLS // len(model.rows), 1)
    for at in range(0, steps.shape[1], size):
        after = start[:, None] + steps[:, at : at + size].toarray()
        kept = (after >= model.lower[:, None]) & (after <= model.upper[:, None])
        allowed = np.flatnonzero(kept.all(axis=0))
        if len(allowed):
            return at + int(allowed[0])
    return -1
