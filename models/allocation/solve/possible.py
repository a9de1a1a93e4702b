"""Which options some plan could hold: what the rows, one at a time, rule out beforehand.

A pair buys one option or nothing, so a row is left at least the sum, over its pairs, of the least
that each of them adds. An option that would pass the limit beside that is never bought; a pair that
cannot stay out must be in. Repeated until nothing more follows (bound propagation over a multiple
choice; Savelsbergh 1994). Half of a city's options go: most school baskets cannot pay for them
beside what is settled. What is left is the same problem, with a relaxation several times nearer.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from models.allocation.solve.highs import Milp, Outcome, minimise
from models.allocation.solve.model import Model

_PASSES = 20
_ROUNDING = 1e-12
"""A sum of whole numbers beyond 2^53 is off by less than this share of their sizes."""


def possible(model: Model, kept: np.ndarray | None = None) -> np.ndarray | None:
    """Whether each option could be in a plan; None where the rows alone leave no plan.

    Where a row counts leaders of overlaps, which only a least limit does, all are taken to lead.

    Args:
        model: the rows.
        kept: by row, whether it counts; all of them where it is not given.
    """
    counts = np.ones(len(model.rows), dtype=bool) if kept is None else kept
    up, down = counts & np.isfinite(model.upper), counts & np.isfinite(model.lower)
    in_full = (model.matrix + model.leading).tocsr() if model.leading.nnz else model.matrix
    rows = sparse.vstack([model.matrix[up], -in_full[down]], format="csr")
    rows.sort_indices()
    limit = np.concatenate([model.upper[up], -model.lower[down]])
    size = np.asarray(abs(rows).sum(axis=1)).ravel()
    limit = limit + 0.5 + _ROUNDING * size
    row = np.repeat(np.arange(len(limit)), np.diff(rows.indptr))
    column, value, pair = rows.indices, rows.data, model.columns.pair
    pairs = model.columns.pairs.height
    # Entries of one row and one pair stand together: columns are in the order of pairs.
    is_first = (np.diff(row, prepend=-1) != 0) | (np.diff(pair[column], prepend=-1) != 0)
    start, part = np.flatnonzero(is_first), np.cumsum(is_first) - 1
    part_row, part_pair = row[start], pair[column[start]]
    is_open, is_held = np.ones(len(pair), dtype=bool), np.zeros(pairs, dtype=bool)
    for _ in range(_PASSES if len(start) else 0):
        shown = is_open[column]
        choices = np.bincount(pair[is_open], minlength=pairs)
        if (is_held & (choices == 0)).any():
            return None
        inside = np.add.reduceat(shown.astype(np.int64), start)
        least = np.minimum.reduceat(np.where(shown, value, np.inf), start)
        may_add_nothing = ~is_held[part_pair] | (inside < choices[part_pair])
        least = np.where(may_add_nothing, np.minimum(least, 0.0), least)
        total = np.bincount(part_row, least, minlength=len(limit))
        if (total > limit).any():
            return None
        rest = total[part_row] - least
        closes = shown & (rest[part] + value > limit[row])
        must = rest > limit[part_row]
        # Where a row needs something of a pair, the pair's options beside that row are none.
        asked = np.bincount(part_pair[must], minlength=pairs)
        offered = np.bincount(column[must[part]], minlength=len(pair))
        opens = is_open & (offered == asked[pair])
        opens[column[closes]] = False
        holds = is_held | (asked > 0)
        if (opens == is_open).all() and (holds == is_held).all():
            break
        is_open, is_held = opens, holds
    return is_open


def minimise_possible(
    model: Model,
    milp: Milp,
    *,
    gap: float,
    time_limit_s: float,
    max_nodes: int | None = None,
    kept: np.ndarray | None = None,
) -> Outcome:
    """As `highs.minimise`, of a programme of a model's options and leads, in less time.

    Of plans within the gap another may be found first than in the whole programme.

    Args:
        model: the rows.
        milp: those of them that count, and no others.
        gap: as `minimise`.
        time_limit_s: as `minimise`.
        max_nodes: as `minimise`.
        kept: as in `possible`.
    """
    is_open = possible(model, kept)
    if is_open is None:
        return Outcome(None, np.inf, is_infeasible=True, is_time_out=False, seconds=0.0)
    return minimise_open(
        model, milp, is_open, gap=gap, time_limit_s=time_limit_s, max_nodes=max_nodes
    )


def minimise_open(
    model: Model,
    milp: Milp,
    is_open: np.ndarray,
    *,
    gap: float,
    time_limit_s: float,
    max_nodes: int | None = None,
) -> Outcome:
    """As `minimise_possible`, of plans that hold none but some options.

    Args:
        model: the rows.
        milp: those of them that count, and no others.
        is_open: by option, whether a plan may hold it.
        gap: as `minimise`.
        time_limit_s: as `minimise`.
        max_nodes: as `minimise`.
    """
    nothing = np.zeros(milp.matrix.shape[1])
    if not (is_open.any() or milp.holds(nothing)):
        return Outcome(None, np.inf, is_infeasible=True, is_time_out=False, seconds=0.0)
    if not is_open.any():
        return Outcome(nothing, 0.0, is_infeasible=False, is_time_out=False, seconds=0.0)
    part, columns = left_out(model, milp, is_open)
    found = minimise(part, gap=gap, time_limit_s=time_limit_s, max_nodes=max_nodes)
    if found.x is None:
        return found
    nothing[columns] = found.x
    return replace(found, x=nothing)


def left_out(model: Model, milp: Milp, is_open: np.ndarray) -> tuple[Milp, np.ndarray]:
    """A programme of a model's options and leads without the options that no plan holds.

    Args:
        model: the rows.
        milp: of the model's options, with or without its leads, and whatever rows.
        is_open: as `possible`.

    Returns:
        The smaller programme, without the rows that nothing left can break; and whether each column
        of the given one is in it. Columns left out are zero.
    """
    kept = np.append(is_open, is_open[model.lead])[: milp.matrix.shape[1]]
    columns = np.flatnonzero(kept)
    matrix = milp.matrix[:, columns].tocsr()
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    least = np.bincount(row, np.minimum(matrix.data, 0), minlength=matrix.shape[0])
    most = np.bincount(row, np.maximum(matrix.data, 0), minlength=matrix.shape[0])
    rows = np.flatnonzero((least < milp.lower) | (most > milp.upper))

    def complete(x: np.ndarray) -> np.ndarray:
        whole = np.zeros(len(kept))
        whole[columns] = x
        return milp.complete(whole)[columns]

    return (
        Milp(
            milp.cost[columns],
            matrix[rows],
            milp.lower[rows],
            milp.upper[rows],
            milp.is_whole[rows],
            int(is_open.sum()),
            tolerance=milp.tolerance,
            complete=complete,
        ),
        kept,
    )
