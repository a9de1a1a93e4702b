"""The contrast of grade D: free outcomes of participants and of others, weighted within cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.effects.crossfit import MOST_DRAWS, expanded, folds_of, less_regression, propensity
from models.effects.measured_error import Freed, freed_of_ability

LEAST = 30  # participants, or comparison pupils, below which there is no estimate
MOST_CERTAIN = 0.9  # who takes part with a higher probability has nobody to be compared with


@dataclass(frozen=True)
class Fit:
    """An effect and what weakens it.

    Attributes:
        effect: per full dose.
        influence: each pupil's part in its error, by the pupil's number; independent between pupils.
        treated: participants with a comparison.
        controls: pupils of their cells to compare with.
        pupils: both together.
        lost_share: share of participants without a comparison.
        worth: how many equally weighted comparison pupils the weights leave.
        imbalance_sd: greatest distance of a covariate's means after weighting.
    """

    effect: float
    influence: np.ndarray
    treated: int
    controls: int
    pupils: int
    lost_share: float
    worth: float
    imbalance_sd: float

    @property
    def error(self) -> float:
        """Standard error of the effect."""
        return float(np.sqrt((self.influence**2).sum()))


def any_known(columns: Sequence[str]) -> pl.Expr:
    """Return whether a row has at least one of the columns."""
    return pl.any_horizontal(pl.col(columns).is_not_null())


def fit_effect(
    rows: pl.DataFrame,
    outcome: str,
    covariates: Sequence[str],
    priors: Sequence[str],
    earlier: Sequence[str],
    seed: int,
    most_draws: int = MOST_DRAWS,
) -> Fit | str:
    """Return the effect on one outcome, or the doubt that forbids it (formulas: `matched`).

    Args:
        rows: pupils who never took part before, with pupil and cell (numbers), dose, and the columns
            named below, in a fixed order.
        outcome: column of the outcome; rows without it are left out.
        covariates: columns held constant.
        priors: scores that take ability out of the outcome; rows without any are left out.
        earlier: their instruments.
        seed: of the folds.
        most_draws: how often the folds are drawn at most.
    """
    size = int(rows["pupil"].to_numpy().max(initial=0)) + 1
    rows = rows.filter(pl.col(outcome).is_not_null())
    if priors:
        rows = rows.filter(any_known(priors))
    dose = rows["dose"].to_numpy()
    if (dose > 0).sum() < LEAST:
        return "few_treated"
    pupil, cell = rows["pupil"].to_numpy(), rows["cell"].to_numpy()
    background = _filled(rows, covariates)
    features = expanded(background)
    learn = dose == 0
    level = rows[outcome].to_numpy()
    freed = Freed(level, np.empty(0), np.empty((len(level), 0)), np.empty((len(level), 0)))
    if priors:
        scores, instruments = (
            rows.select(pl.col(names).fill_null(np.nan)).to_numpy().reshape(len(level), -1)
            for names in (priors, earlier)
        )
        freed = freed_of_ability(level, scores, instruments, features, cell, learn)
        if not freed.slopes.size:
            return "prior_uncorrectable"
    usable = np.isfinite(freed.outcome)
    sample = _Sample(
        dose=dose[usable],
        pupil=pupil[usable],
        cell=cell[usable],
        background=background[usable],
        features=features[usable],
        targets=np.column_stack([freed.outcome, freed.weights])[usable],
    )
    drawn = [_contrast(sample, fold, size) for fold in folds_of(sample.pupil, seed, most_draws).T]
    contrasts = [one for one in drawn if one is not None]
    if len(contrasts) < len(drawn):
        return "few_treated"
    by_slope = np.mean([one.by_slope for one in contrasts], axis=0)
    slopes_part = np.bincount(pupil, freed.influence @ by_slope, size)
    first = contrasts[0]
    return Fit(
        effect=float(np.mean([one.effect for one in contrasts])),
        influence=np.mean([one.influence for one in contrasts], axis=0) + slopes_part,
        treated=first.treated,
        controls=first.controls,
        pupils=first.pupils,
        lost_share=float(np.mean([one.lost_share for one in contrasts])),
        worth=float(np.mean([one.worth for one in contrasts])),
        imbalance_sd=float(np.mean([one.imbalance_sd for one in contrasts])),
    )


@dataclass(frozen=True)
class _Sample:
    """Pupils with a free outcome. targets: the free outcome, then what one unit of each β takes off."""

    dose: np.ndarray
    pupil: np.ndarray
    cell: np.ndarray
    background: np.ndarray
    features: np.ndarray
    targets: np.ndarray


@dataclass(frozen=True)
class _Contrast(Fit):
    """A `Fit` by one draw of folds, with what one unit of each β changes in the effect."""

    by_slope: np.ndarray


def _contrast(sample: _Sample, fold: np.ndarray, size: int) -> _Contrast | None:
    """Return the weighted contrast within cells, or None where too few can be compared."""
    dose, cell = sample.dose, sample.cell
    at = _comparable(np.ones(len(dose), dtype=bool), dose, cell)
    chance = np.ones(len(dose))
    if min((dose[at] > 0).sum(), (dose[at] == 0).sum()) < LEAST:
        return None
    chance[at] = propensity(dose[at] > 0, sample.features[at], _dense(cell[at]), fold[at])
    at = _comparable(chance <= MOST_CERTAIN, dose, cell)
    treated = dose[at] > 0
    if min(treated.sum(), (~treated).sum()) < LEAST:
        return None
    rest = less_regression(sample.targets, sample.features, cell, fold, dose == 0)[at]
    inner, pupil, background = _dense(cell[at]), sample.pupil[at], sample.background[at]
    weight = np.where(treated, 0.0, chance[at] / (1 - chance[at]))
    weight /= np.bincount(inner, weight)[inner]
    gaps = rest - _means(rest, weight, inner)
    total = dose[at].sum()
    effect, *by_slope = gaps[treated].sum(axis=0) / total
    # A mean of few comparison pupils hides their spread: m / (m − 1), with m what they are worth.
    worth = 1 / np.bincount(inner, weight**2)
    hidden = np.sqrt(worth / np.maximum(worth - 1, 0.5))[inner]
    reach = np.bincount(inner, treated)[inner] * weight
    own = np.where(treated, gaps[:, 0] - effect * dose[at], -reach * hidden * gaps[:, 0]) / total
    apart = (background - _means(background, weight, inner))[treated].mean(axis=0)
    return _Contrast(
        effect=float(effect),
        influence=np.bincount(pupil, own, size),
        treated=len(np.unique(pupil[treated])),
        controls=len(np.unique(pupil[~treated])),
        pupils=len(np.unique(pupil)),
        lost_share=1 - float(treated.sum() / (dose > 0).sum()),
        worth=float(reach.sum() ** 2 / (reach**2).sum()),
        imbalance_sd=float(
            np.max(np.abs(apart) / np.maximum(background.std(axis=0), 1e-9), initial=0.0)
        ),
        by_slope=-np.array(by_slope),
    )


def _filled(rows: pl.DataFrame, covariates: Sequence[str]) -> np.ndarray:
    """Return covariates with nulls at the mean, and a column that marks them."""
    if not covariates:
        return np.empty((rows.height, 0))
    gaps = [name for name in covariates if rows[name].null_count()]
    return rows.select(
        pl.col(covariates).fill_null(pl.col(covariates).mean()).fill_null(0.0),
        pl.col(gaps).is_null().cast(pl.Float64).name.suffix("_is_null"),
    ).to_numpy()


def _comparable(usable: np.ndarray, dose: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Return the usable rows of cells with a participant and at least two others."""
    treated = np.bincount(cell[usable], dose[usable] > 0, cell.max() + 1)
    others = np.bincount(cell[usable], dose[usable] == 0, cell.max() + 1)
    return np.flatnonzero(usable & ((treated > 0) & (others > 1))[cell])


def _dense(cell: np.ndarray) -> np.ndarray:
    return np.unique(cell, return_inverse=True)[1]


def _means(values: np.ndarray, weight: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Return for each row the weighted means of its cell's comparison pupils (rows × columns)."""
    means = np.empty(values.shape)
    for column in range(values.shape[1]):
        means[:, column] = np.bincount(cell, weight * values[:, column])[cell]
    return means
