"""What is learned without one fold, from sums over all rows, is what fits by fold would learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import PolynomialFeatures

from models.effects.crossfit import (
    FOLDS,
    RIDGE_PUPILS,
    centred,
    expanded,
    less_own_regression,
    less_regression,
    propensity,
)


def pupils(rows, covariates, seed=1, pull=0.8):
    """Covariates, cells that hold both kinds, who takes part, and folds."""
    rng = np.random.default_rng(seed)
    known = np.column_stack(
        [rng.normal(size=(rows, covariates - 1)), rng.uniform(size=rows) < 0.02]
    )
    cell = rng.integers(0, max(2, rows // 50), rows)
    odds = -2 + pull * known[:, 0]
    treated = rng.uniform(size=rows) < 1 / (1 + np.exp(-odds))
    share = np.bincount(cell, treated) / np.bincount(cell)
    held = ((share > 0) & (share < 1))[cell]
    dense = np.unique(cell[held], return_inverse=True)[1]
    return known[held], dense, treated[held], rng.integers(0, FOLDS, held.sum())


@pytest.mark.parametrize(("rows", "covariates"), [(300, 2), (2000, 5), (6000, 9)])
def test_the_propensity_is_that_of_a_fit_without_each_fold(rows, covariates):
    known, cell, treated, fold = pupils(rows, covariates)
    features = expanded(known)
    share = np.bincount(cell, treated) / np.bincount(cell)
    inputs = np.column_stack([np.log(share / (1 - share))[cell], features])
    expected = np.zeros(len(treated))
    for number in range(FOLDS):
        train, out = fold != number, fold == number
        model = LogisticRegression(solver="newton-cholesky", tol=1e-12, max_iter=1000)
        model.fit(inputs[train], treated[train])
        expected[out] = model.predict_proba(inputs[out])[:, 1]
    assert propensity(treated, features, cell, fold) == pytest.approx(expected, abs=5e-5)


def test_the_propensity_of_what_tells_all_is_finite_and_sure():
    """Where a covariate parts participants from the others, slopes stay finite."""
    known, cell, _, fold = pupils(3000, 3)
    treated = known[:, 0] > np.quantile(known[:, 0], 0.8)
    held = np.isin(cell, np.flatnonzero(np.bincount(cell, treated) > 0))
    cell = np.unique(cell[held], return_inverse=True)[1]
    treated, fold = treated[held], fold[held]
    chance = propensity(treated, expanded(known[held]), cell, fold)
    assert np.isfinite(chance).all()
    assert chance[treated].min() > chance[~treated].mean()
    assert (chance[treated] > 0.5).mean() > 0.95


def test_the_regression_is_that_of_a_fit_without_each_fold():
    known, cell, treated, fold = pupils(2000, 5)
    features, learn = expanded(known), ~treated
    targets = np.random.default_rng(2).normal(size=(len(cell), 3)) + features[:, :3]
    expected = targets.copy()
    for number in range(FOLDS):
        train, out = learn & (fold != number), fold == number
        model = Ridge(alpha=RIDGE_PUPILS, fit_intercept=False)
        model.fit(centred(features[train], cell[train]), centred(targets[train], cell[train]))
        expected[out] -= features[out] @ model.coef_.T
    found = less_regression(targets, features, cell, fold, learn)
    assert found == pytest.approx(expected, abs=1e-9)


def test_the_regression_on_the_same_rows_leaves_what_a_fit_within_cells_leaves():
    known, cell, _, _ = pupils(1000, 4)
    features = expanded(known)
    targets = np.random.default_rng(3).normal(size=(len(cell), 2)) + features[:, :2]
    within, inner = centred(features, cell), centred(targets, cell)
    model = Ridge(alpha=RIDGE_PUPILS, fit_intercept=False).fit(within, inner)
    expected = inner - within @ model.coef_.T
    assert less_own_regression(targets, features, cell) == pytest.approx(expected, abs=1e-9)


def test_cell_means_are_those_of_numpy_however_many_columns():
    rng = np.random.default_rng(4)
    cell = np.array([3, 0, 3, 1, 1, 3])  # nobody is in cell 2
    for columns in (rng.normal(size=(6, 1)), rng.normal(size=(6, 40))):
        expected = columns.copy()
        for one in set(cell):
            expected[cell == one] -= columns[cell == one].mean(axis=0)
        assert centred(columns, cell) == pytest.approx(expected, abs=1e-12)


def test_squares_and_products_are_all_there_and_standardised():
    known, *_ = pupils(500, 4)
    standard = (known - known.mean(axis=0)) / known.std(axis=0)
    products = PolynomialFeatures(2, include_bias=False).fit_transform(standard)
    expected = (products - products.mean(axis=0)) / products.std(axis=0)
    assert expanded(known) == pytest.approx(expected, abs=1e-9)
    flat = np.column_stack([known, np.ones(len(known))])  # says nothing, and is left out
    assert expanded(flat) == pytest.approx(expanded(known), abs=1e-9)
