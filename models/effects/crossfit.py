"""Nuisance functions of the matching design, learned on some pupils and used on others.

All of them live within cells (school × grade × year): what a cell's pupils share is never learned,
it cancels. So the odds are odds within a cell, and a regression knows nothing of a cell's level.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np
from sklearn import config_context
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import PolynomialFeatures

FOLDS = 5
# Which pupils share a fold is chance, and matters with few of them: then it is drawn several times
# and the estimates are averaged (Chernozhukov et al. 2018, §3.4).
ROWS_PREDICTED, MOST_DRAWS = 10_000, 10
# In pupils: as if this many pupils had shown that a standardised feature does nothing.
RIDGE_PUPILS = 10.0


def _unchecked() -> AbstractContextManager[None]:
    """Without looking again at what is known to be finite; there are a thousand small fits."""
    return config_context(assume_finite=True, skip_parameter_validation=True)


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
    products = PolynomialFeatures(2, include_bias=False).fit_transform(_standard(covariates))
    return _standard(products)


def _standard(columns: np.ndarray) -> np.ndarray:
    spread = columns.std(axis=0)
    kept = spread > 1e-9
    return (columns[:, kept] - columns[:, kept].mean(axis=0)) / spread[kept]


def centred(columns: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Return columns (rows × any number) less the mean of each row's cell."""
    size = np.bincount(cell)
    means = np.stack([np.bincount(cell, c) / np.maximum(size, 1) for c in columns.T], axis=1)
    return columns - means[cell]


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
    rest = targets.copy()
    for number in range(FOLDS):
        train, out = learn & (fold != number), fold == number
        inner = cell[train]
        slopes = ridge(centred(features[train], inner), centred(targets[train], inner))
        rest[out] -= features[out] @ slopes
    return rest


def ridge(features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the slopes (features × targets) of centred targets on centred features."""
    model = Ridge(alpha=RIDGE_PUPILS, fit_intercept=False, solver="cholesky")
    with _unchecked():
        return model.fit(features, targets).coef_.reshape(targets.shape[1], -1).T


def propensity(
    treated: np.ndarray, features: np.ndarray, cell: np.ndarray, fold: np.ndarray
) -> np.ndarray:
    """Return the probability to take part, by logistic regression fitted on other folds.

    The share of participants in the cell enters as a feature (on the log-odds scale), so that the
    covariates tell apart the pupils of a cell.

    Args:
        treated: who takes part; every cell holds both kinds.
        features: rows × features.
        cell: number of each row's cell.
        fold: fold of each row.
    """
    size = np.bincount(cell)
    share = np.bincount(cell, treated) / np.maximum(size, 1)
    level = np.log(share[cell] / (1 - share[cell]))
    if not features.shape[1]:
        return share[cell]
    inputs = np.column_stack([level, features])
    chance = np.zeros(len(treated))
    for number in range(FOLDS):
        train, out = fold != number, fold == number
        with _unchecked():
            model = LogisticRegression(solver="newton-cholesky").fit(inputs[train], treated[train])
            chance[out] = model.predict_proba(inputs[out])[:, 1]
    return chance
