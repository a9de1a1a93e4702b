"""Nuisance functions of the matching design, learned on some pupils and used on others.

All of them live within cells (school × grade × year): what a cell's pupils share is never learned,
it cancels. So the odds are odds within a cell, and a regression knows nothing of a cell's level.

What is learned without one fold is learned from sums over all rows less those of the fold, so that
rows are gone through once and not once a fold.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.linalg import solve
from scipy.special import expit

FOLDS = 5
# Which pupils share a fold is chance, and matters with few of them: then it is drawn several times
# and the estimates are averaged (Chernozhukov et al. 2018, §3.4).
ROWS_PREDICTED, MOST_DRAWS = 10_000, 10
# In pupils: as if this many pupils had shown that a standardised feature does nothing.
RIDGE_PUPILS = 10.0
# Spread of the slopes of a logistic regression, as if known before: 1 per SD of a feature.
SLOPE_PRECISION = 1.0
# A logistic fit is done where no mean gradient is larger, or after so many steps.
_GRADIENT, _STEPS = 1e-6, 100
_MANY = 16  # columns, from which on it pays to sort rows by cell before they are summed


def folds_of(pupil: np.ndarray, seed: int, most_draws: int = MOST_DRAWS) -> np.ndarray:
    """Return the fold of each row in each draw (rows × draws); all years of a pupil share one.

    Args:
        pupil: number of each row's pupil.
        seed: of the permutations of pupils.
        most_draws: most ways to draw the folds; fewer where there are many rows.
    """
    draws = min(most_draws, max(1, ROWS_PREDICTED // len(pupil)))
    _, number = np.unique(pupil, return_inverse=True)
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(number.max() + 1)[number] % FOLDS for _ in range(draws)], 1)


def expanded(covariates: np.ndarray) -> np.ndarray:
    """Return standardised covariates with their squares and products, standardised again.

    Columns without spread (such as the square of a yes/no covariate that is always no) are dropped.
    """
    if not covariates.shape[1]:
        return covariates
    single = _standard(covariates)
    products = [single[:, k : k + 1] * single[:, k:] for k in range(single.shape[1])]
    return _standard(np.hstack([single, *products]))


def _standard(columns: np.ndarray) -> np.ndarray:
    mean, spread = columns.mean(axis=0), columns.std(axis=0)
    kept = spread > 1e-9
    if not kept.all():
        columns, mean, spread = columns[:, kept], mean[kept], spread[kept]
    return (columns - mean) / spread


def centred(columns: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Return columns (rows × any number) less the mean of each row's cell."""
    cells = int(cell.max(initial=-1)) + 1
    size = np.bincount(cell, minlength=cells)
    return columns - (_totals(columns, cell, cells) / np.maximum(size, 1)[:, None])[cell]


def _totals(columns: np.ndarray, cell: np.ndarray, cells: int) -> np.ndarray:
    """Return the sums of columns in each cell (cells × columns)."""
    if columns.shape[1] < _MANY:
        return np.stack([np.bincount(cell, one, cells) for one in columns.T], axis=1)
    bounds = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=cells))])
    rows = np.argsort(cell, kind="stable")
    member = sparse.csr_array((np.ones(len(cell)), rows, bounds), shape=(cells, len(cell)))
    return member @ columns


def less_regression(
    targets: np.ndarray,
    features: np.ndarray,
    cell: np.ndarray,
    fold: np.ndarray,
    learn: np.ndarray,
) -> np.ndarray:
    """Return targets less what a ridge regression within cells, fitted on other folds, predicts.

    Args:
        targets: rows × targets.
        features: rows × features.
        cell: number of each row's cell.
        fold: fold of each row.
        learn: rows to learn from (the comparison pupils).
    """
    if not features.shape[1]:
        return targets
    cells = int(cell.max()) + 1
    parts = [learn & (fold == number) for number in range(FOLDS)]
    sums = [_Sums.of(features[own], targets[own], cell[own], cells) for own in parts]
    every = sum(sums[1:], start=sums[0])
    rest = targets.copy()
    for number, own in enumerate(sums):
        out = fold == number
        rest[out] -= features[out] @ (every - own).slopes()
    return rest


def less_own_regression(targets: np.ndarray, features: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Return targets within cells less their ridge regression within cells on the same rows.

    Args:
        targets: rows × targets.
        features: rows × features.
        cell: number of each row's cell.
    """
    if not features.shape[1]:
        return centred(targets, cell)
    slopes = _Sums.of(features, targets, cell, int(cell.max()) + 1).slopes()
    return centred(targets - features @ slopes, cell)


class _Sums:
    """Sums over rows from which a regression within cells follows; they add and subtract."""

    def __init__(
        self, squares: np.ndarray, products: np.ndarray, totals: np.ndarray, size: np.ndarray
    ) -> None:
        self._squares, self._products, self._totals, self._size = squares, products, totals, size

    @classmethod
    def of(cls, features: np.ndarray, targets: np.ndarray, cell: np.ndarray, cells: int) -> _Sums:
        """Go through rows: of features among themselves, with the targets, and in each cell."""
        totals = np.hstack([_totals(columns, cell, cells) for columns in (features, targets)])
        size = np.bincount(cell, minlength=cells)
        return cls(features.T @ features, features.T @ targets, totals, size)

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(
            self._squares + other._squares,
            self._products + other._products,
            self._totals + other._totals,
            self._size + other._size,
        )

    def __sub__(self, other: _Sums) -> _Sums:
        return _Sums(
            self._squares - other._squares,
            self._products - other._products,
            self._totals - other._totals,
            self._size - other._size,
        )

    def slopes(self) -> np.ndarray:
        """Return the slopes (features × targets) of a ridge regression within cells."""
        held = self._size > 0
        scaled = self._totals[held] / np.sqrt(self._size[held])[:, None]
        count = len(self._squares)
        mine, others = scaled[:, :count], scaled[:, count:]
        squares = self._squares - mine.T @ mine + RIDGE_PUPILS * np.eye(count)
        return solve(squares, self._products - mine.T @ others, assume_a="pos")


def propensity(
    treated: np.ndarray, features: np.ndarray, cell: np.ndarray, fold: np.ndarray
) -> np.ndarray:
    """Return the probability to take part, by logistic regression fitted on other folds.

    The share of participants in the cell enters as a feature (on the log-odds scale), so that the
    covariates tell apart the pupils of a cell. Slopes are drawn to 0 as if a precision of one were
    known of each before, the level is not.

    Args:
        treated: who takes part; every cell holds both kinds.
        features: rows × features.
        cell: number of each row's cell.
        fold: fold of each row.
    """
    size = np.bincount(cell)
    share = np.bincount(cell, treated) / np.maximum(size, 1)
    if not features.shape[1]:
        return share[cell]
    level = np.log(share / (1 - share))[cell]
    inputs = np.column_stack([level, features, np.ones(len(level))])
    slopes = _logistic_without_each(inputs, treated.astype(float), fold)
    return expit(np.einsum("ij,ij->i", inputs, slopes.T[fold]))


def _logistic_without_each(inputs: np.ndarray, outcome: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Return the slopes (inputs × folds) of logistic regressions on all rows but those of a fold.

    Each begins one step from the fit on all rows: with the gradient and the curvature found there
    less those of the fold's own rows.

    Args:
        inputs: rows × inputs, the last of them ones.
        outcome: 0 or 1.
        fold: fold of each row.
    """
    narrow = inputs.astype(np.float32)
    # The share of the cell alone is a good guess.
    whole = _logistic(inputs, narrow, outcome, np.eye(1, inputs.shape[1])[0])
    chance = expit(inputs @ whole)
    parts = [_curvature(narrow[fold == n], chance[fold == n]) for n in range(FOLDS)]
    curvature = sum(parts, start=np.diag(_precision(inputs)))
    slopes = []
    for number, own in enumerate(parts):
        out, train = fold == number, fold != number
        gradient = inputs[out].T @ (outcome[out] - chance[out])
        start = whole - solve(curvature - own, gradient, assume_a="pos")
        slopes.append(_logistic(inputs[train], narrow[train], outcome[train], start))
    return np.stack(slopes, axis=1)


def _logistic(
    inputs: np.ndarray, narrow: np.ndarray, outcome: np.ndarray, start: np.ndarray
) -> np.ndarray:
    """Return the slopes of one logistic regression by Newton's steps, halved while they overshoot.

    Args:
        inputs: rows × inputs, the last of them ones.
        narrow: the same in single precision: enough to tell where to go, not where to stop.
        outcome: 0 or 1.
        start: slopes to begin at.
    """
    precision = _precision(inputs)

    def loss(slopes: np.ndarray, odds: np.ndarray) -> float:
        each = np.logaddexp(0, odds) - outcome * odds
        return float(each.sum() + 0.5 * precision @ slopes**2)

    slopes, odds = start, inputs @ start
    found = loss(slopes, odds)
    for _ in range(_STEPS):
        chance = expit(odds)
        gradient = inputs.T @ (chance - outcome) + precision * slopes
        if np.abs(gradient).max() <= _GRADIENT * len(outcome):
            break
        curvature = _curvature(narrow, chance) + np.diag(precision)
        step = solve(curvature, gradient, assume_a="pos")
        further, size = inputs @ step, 1.0
        while (best := loss(slopes - size * step, odds - size * further)) > found and size > 1e-6:
            size /= 2
        if not best < found:  # nothing is left to gain
            break
        slopes, odds, found = slopes - size * step, odds - size * further, best
    return slopes


def _precision(inputs: np.ndarray) -> np.ndarray:
    return np.append(np.full(inputs.shape[1] - 1, SLOPE_PRECISION), 0.0)


def _curvature(narrow: np.ndarray, chance: np.ndarray) -> np.ndarray:
    weighed = narrow * np.sqrt(chance * (1 - chance)).astype(np.float32)[:, None]
    return (weighed.T @ weighed).astype(float)
