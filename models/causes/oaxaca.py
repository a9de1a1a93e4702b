"""Why two groups differ: the Oaxaca-Blinder decomposition, in detail, with intervals by school."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from models.checks import every_row
from models.keys import WHOLE

PARTS = {
    "threefold": ("endowments", "coefficients", "interaction"),
    "twofold": ("explained", "unexplained"),
}
CONSTANT = "constant"
LEAST_SCHOOLS = 6
LEAST_DRAWS = 20
_LARGEST_CONDITION = 1e10  # beyond it, normal equations have no correct digits to spare
_INTERVAL = (5, 95)


# One thread: small matrices gain nothing from more, and the bytes must not depend on the machine.
@threadpool_limits.wrap(limits=1)
def oaxaca_blinder(
    frame: pl.DataFrame,
    outcome: str,
    group: str,
    regressors: Mapping[str, Sequence[str] | None],
    draws: int = 500,
    seed: int = 0,
) -> pl.DataFrame:
    """Split the gap of two groups' mean outcome by what they have and what goes with it.

    With group a (`group` true) and b, mean regressors x̄ (1 for the constant) and least squares
    coefficients β_a, β_b, and β* of all pupils with a dummy for group a:

        ȳ_a - ȳ_b = (x̄_a - x̄_b)'β_b + x̄_b'(β_a - β_b) + (x̄_a - x̄_b)'(β_a - β_b)
                     endowments        coefficients       interaction              (threefold, seen
                     from b)
                  = (x̄_a - x̄_b)'β* + x̄_a'(β_a - β*) + x̄_b'(β* - β_b)
                     explained         unexplained                                 (twofold)

    The dummy keeps the difference of the groups out of β*, where it would pass as explained (Jann).
    Naming the groups the other way turns the signs of the twofold parts. The threefold parts are
    seen from b; seen from a, the interaction joins the other two. A categorical regressor's effects
    are deviations from the mean of its levels, so that no detail depends on a level left out (Yun).
    The details of coefficients and of what is unexplained still depend on the zero of each numeric
    regressor; their sum does not. "Explained" is association: it says what goes with the gap, not
    what would close it.

    Interval: schools are drawn with replacement, each with all its pupils. A draw in which a
        coefficient
    cannot be told (a level is in no school drawn) is left out.

    Args:
        frame: semel_mosad, and the columns named below; one row per pupil.
        outcome: numeric column, such as a score in pupil SD.
        group: Boolean column; true for group a.
        regressors: column → None if numeric, or its levels if categorical.
        draws: number of draws of the interval.
        seed: seed of the draws.

    Returns:
        decomposition ("threefold", "twofold"), part (see `PARTS`), regressor (the columns, then
        "constant", then "all"), contribution, contribution_lo, contribution_hi (90 % interval,
        units of the outcome), n_pupils, n_schools. The "all" rows of a decomposition sum to the gap
        ȳ_a - ȳ_b.

    Raises:
        ValueError: if a column or value is missing, a value is not among the levels, a group is
            empty, there are fewer than six schools or 20 draws, or the coefficients of a group
            cannot be told.

    Source: Oaxaca (1973); Blinder (1973); Yun (2005); Jann (2008); R41; domain_methods §2c.
    """
    _check(frame, outcome, group, regressors, draws)
    frame = frame.select("semel_mosad", group, outcome, *regressors)
    frame = frame.sort("semel_mosad", group, outcome, *regressors)
    design, place = _design(frame, regressors)
    y = frame[outcome].to_numpy().astype(float)
    # Near 0 and of size 1, so that the normal equations lose no digits; put back below.
    is_numeric = np.array([*(levels is None for levels in regressors.values()), False])[place]
    centre = np.where(is_numeric, design.mean(axis=0), 0.0)
    scale = np.where(is_numeric, design.std(axis=0), 1.0)
    scale[scale == 0] = 1.0
    level = y.mean()
    rows = np.column_stack([(design - centre) / scale, y - level])
    moments = _moments(rows, frame["semel_mosad"], frame[group].to_numpy())
    schools = len(moments)
    times = np.random.default_rng(seed).multinomial(schools, np.full(schools, 1 / schools), draws)
    totals = np.einsum("dj,jgpq->dgpq", np.vstack([np.ones(schools), times]), moments)

    pooled = _pooled(totals)
    systems = (totals[:, 0], totals[:, 1], pooled)
    conditions = [np.linalg.cond(system[:, :-1, :-1]) for system in systems]
    determined = np.max(conditions, axis=0) < _LARGEST_CONDITION
    if not determined[0]:
        raise ValueError(
            "the coefficients of a group cannot be told: a level without pupils in it, or a"
            " regressor that follows from the others; join levels or drop a regressor"
        )
    if 2 * determined.sum() < draws:
        raise ValueError(
            "in most draws of schools the coefficients cannot be told; join levels that only a few"
            " schools have"
        )
    totals, pooled = totals[determined], pooled[determined]

    def coefficients(system: np.ndarray) -> np.ndarray:
        beta = np.linalg.solve(system[:, :-1, :-1], system[:, :-1, -1:])[:, : len(scale), 0] / scale
        beta[:, 0] += level - beta @ centre
        return beta

    beta_b, beta_a = coefficients(totals[:, 0]), coefficients(totals[:, 1])
    reference = coefficients(pooled)
    count = totals[:, :, :1, 0]
    mean_b, mean_a = np.moveaxis(totals[:, :, 0, :-1] / count * scale + centre, 1, 0)
    parts = {
        "endowments": (mean_a - mean_b) * beta_b,
        "coefficients": mean_b * (beta_a - beta_b),
        "interaction": (mean_a - mean_b) * (beta_a - beta_b),
        "explained": (mean_a - mean_b) * reference,
        "unexplained": mean_a * (beta_a - reference) + mean_b * (reference - beta_b),
    }
    names = [*regressors, CONSTANT, WHOLE]
    frames = []
    for decomposition, chosen in PARTS.items():
        for part in chosen:
            detail = parts[part] @ (place[:, None] == np.arange(len(names) - 1))
            value = np.column_stack([detail, detail.sum(axis=1)])
            low, high = np.percentile(value[1:], _INTERVAL, axis=0)
            frames.append(
                pl.DataFrame(
                    {
                        "decomposition": decomposition,
                        "part": part,
                        "regressor": names,
                        "contribution": value[0],
                        "contribution_lo": low,
                        "contribution_hi": high,
                    }
                )
            )
    return pl.concat(frames).with_columns(n_pupils=pl.lit(len(y)), n_schools=pl.lit(schools))


def _design(
    frame: pl.DataFrame, regressors: Mapping[str, Sequence[str] | None]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns (the constant first), and the position of each one's regressor.

    A level's column is 1, 0, or -1 at the last level: effects then are deviations from the mean of
    all levels, which is Yun's normalisation, and the last level is no different from the others.
    """
    columns, place = [np.ones(frame.height)], [len(regressors)]
    for position, (name, levels) in enumerate(regressors.items()):
        if levels is None:
            columns.append(frame[name].to_numpy().astype(float))
            place.append(position)
            continue
        last = (frame[name] == levels[-1]).to_numpy().astype(float)
        for level in levels[:-1]:
            columns.append((frame[name] == level).to_numpy() - last)
            place.append(position)
    return np.column_stack(columns), np.array(place)


def _moments(rows: np.ndarray, schools: pl.Series, is_a: np.ndarray) -> np.ndarray:
    """Return school × group × the sums of products that least squares needs of the pupils.

    The rows are sorted by school, then group.
    """
    cell = 2 * (schools.rank("dense") - 1).cast(pl.Int64).to_numpy() + is_a
    size, cells = rows.shape[1], 2 * schools.n_unique()
    edges = np.searchsorted(cell, np.arange(cells + 1))
    blocks = [rows[start:end] for start, end in pairwise(edges)]
    return np.stack([block.T @ block for block in blocks]).reshape(-1, 2, size, size)


def _pooled(totals: np.ndarray) -> np.ndarray:
    """Return all pupils' sums of products, with the dummy of group a as the last regressor."""
    dummy = totals[
        :, 1, :1, :
    ]  # what the dummy sums to with each column is group a's row of the constant
    both = totals.sum(axis=1)
    wide = np.concatenate([both[:, :-1], dummy, both[:, -1:]], axis=1)
    down = np.concatenate([dummy[:, 0, :-1], dummy[:, 0, :1], dummy[:, 0, -1:]], axis=1)
    return np.concatenate([wide[:, :, :-1], down[:, :, None], wide[:, :, -1:]], axis=2)


def _check(
    frame: pl.DataFrame,
    outcome: str,
    group: str,
    regressors: Mapping[str, Sequence[str] | None],
    draws: int,
) -> None:
    wanted = ["semel_mosad", group, outcome, *regressors]
    absent = sorted(set(wanted) - set(frame.columns))
    if absent or not regressors:
        raise ValueError(
            f"columns that are not in the frame: {', '.join(absent) or 'no regressor'}"
        )
    if {CONSTANT, WHOLE} & set(regressors) or len(set(wanted)) < len(wanted):
        raise ValueError(
            f"each column has one role, and none is called {CONSTANT!r} or {WHOLE!r}; rename it"
        )
    if draws < LEAST_DRAWS:
        raise ValueError(f"{draws} draws cannot make an interval; take at least {LEAST_DRAWS}")
    if frame[group].dtype != pl.Boolean or frame[group].n_unique() != 2 or frame[group].has_nulls():
        raise ValueError(f"{group} must be Boolean, without gaps, and both groups must have pupils")
    schools = frame["semel_mosad"].n_unique()
    if schools < LEAST_SCHOOLS:
        raise ValueError(
            f"only {schools} school(s); at least {LEAST_SCHOOLS} are needed for intervals by school"
        )
    for name in [outcome, *(name for name, levels in regressors.items() if levels is None)]:
        every_row(
            frame,
            pl.col(name).is_finite(),
            f"{name} has empty values; drop those pupils or estimate them first",
        )
    for name, levels in regressors.items():
        if levels is None:
            continue
        if len(set(levels)) < max(2, len(levels)):
            raise ValueError(f"{name} needs two or more different levels")
        if not set(frame[name].unique()) <= set(levels):
            raise ValueError(f"{name} has values that are not among its levels; add or join them")
