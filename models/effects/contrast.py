"""The contrast of grade D: free outcomes of participants and of others, weighted within cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.effects.crossfit import MOST_DRAWS, expanded, folds_of, less_regression, propensity
from models.effects.estimate import GroupContrast
from models.effects.measured_error import Freed, freed_of_ability

LEAST = 30  # participants, or comparison pupils, below which there is no estimate
MOST_CERTAIN = 0.9  # who takes part with a higher probability has nobody to be compared with


@dataclass(frozen=True)
class _Compared:
    """Who is compared, and how well.

    Attributes:
        treated: participants with a comparison.
        controls: pupils of their cells to compare with.
        pupils: both together.
        lost_share: share of participants without a comparison.
        worth: how many equally weighted comparison pupils the weights leave.
        imbalance_sd: greatest distance of a covariate's means after weighting.
    """

    treated: int
    controls: int
    pupils: int
    lost_share: float
    worth: float
    imbalance_sd: float


@dataclass(frozen=True)
class Fit(_Compared):
    """An effect and what weakens it (who is compared: `_Compared`).

    Attributes:
        effect: per full dose.
        influence: each pupil's part in its error, by the pupil's number; independent between
            pupils.
        groups: how the effect on each group of pupils differs; without those too few to tell.
    """

    effect: float
    influence: np.ndarray
    groups: tuple[GroupContrast, ...] = ()

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
    groups: Sequence[str] = (),
) -> Fit | str:
    """Return the effect on one outcome, or the doubt that forbids it (formulas: `matched`).

    Args:
        rows: pupils who never took part before, with pupil and cell (numbers), dose, and the
            columns named below, in a fixed order.
        outcome: column of the outcome; rows without it are left out.
        covariates: columns held constant.
        priors: scores that take ability out of the outcome; rows without any are left out.
        earlier: their instruments.
        seed: of the folds.
        most_draws: how often the folds are drawn at most.
        groups: yes/no columns of groups of pupils whose effect is set against that on the others.
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
        groups={name: rows[name].to_numpy()[usable] > 0 for name in groups},
    )
    drawn = [_contrast(sample, fold, size) for fold in folds_of(sample.pupil, seed, most_draws).T]
    contrasts = [one for one in drawn if one is not None]
    if len(contrasts) < len(drawn):
        return "few_treated"
    first = contrasts[0]
    effect, influence = _averaged([one.part for one in contrasts], pupil, freed.influence)
    return Fit(
        effect=effect,
        influence=influence,
        treated=first.treated,
        controls=first.controls,
        pupils=first.pupils,
        lost_share=float(np.mean([one.lost_share for one in contrasts])),
        worth=float(np.mean([one.worth for one in contrasts])),
        imbalance_sd=float(np.mean([one.imbalance_sd for one in contrasts])),
        groups=tuple(
            _group(name, [one.groups[name] for one in contrasts], pupil, freed.influence)
            for name in groups
            if all(name in one.groups for one in contrasts)
        ),
    )


@dataclass(frozen=True)
class _Part:
    """An effect by one draw of folds, each pupil's influence, and the change per unit of each β."""

    effect: float
    influence: np.ndarray
    by_slope: np.ndarray


@dataclass(frozen=True)
class _GroupPart:
    """The effect on a group less that on the other participants."""

    difference: _Part
    share: float
    treated: int


def _averaged(
    parts: Sequence[_Part], pupil: np.ndarray, slopes: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the mean effect over the draws, and its influence with the error of β in it."""
    by_slope = np.mean([one.by_slope for one in parts], axis=0)
    influence = np.mean([one.influence for one in parts], axis=0)
    return (
        float(np.mean([one.effect for one in parts])),
        influence + np.bincount(pupil, slopes @ by_slope, len(influence)),
    )


def _group(
    name: str, drawn: Sequence[_GroupPart], pupil: np.ndarray, slopes: np.ndarray
) -> GroupContrast:
    difference, influence = _averaged([one.difference for one in drawn], pupil, slopes)
    return GroupContrast(
        name,
        difference_sd=difference,
        difference_se_sd=float(np.sqrt((influence**2).sum())),
        share=float(np.mean([one.share for one in drawn])),
        treated_pupils=drawn[0].treated,
    )


@dataclass(frozen=True)
class _Sample:
    """Pupils with targets: the free outcome, then what one unit of each β takes off."""

    dose: np.ndarray
    pupil: np.ndarray
    cell: np.ndarray
    background: np.ndarray
    features: np.ndarray
    targets: np.ndarray
    groups: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class _Contrast(_Compared):
    """What one draw of folds gives."""

    part: _Part
    groups: Mapping[str, _GroupPart]


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
    dose, pupil, background = dose[at], sample.pupil[at], sample.background[at]
    odds = np.where(treated, 0.0, chance[at] / (1 - chance[at]))
    weighed = _Weighed(rest, dose, pupil, odds, cell[at], size)
    inner, weight = weighed.cell, weighed.weight
    reach = weighed.reach(treated)
    apart = (background - _means(background, weight, inner))[treated].mean(axis=0)
    return _Contrast(
        part=weighed.part(treated),
        treated=len(np.unique(pupil[treated])),
        controls=len(np.unique(pupil[~treated])),
        pupils=len(np.unique(pupil)),
        lost_share=1 - float(treated.sum() / (sample.dose > 0).sum()),
        worth=float(reach.sum() ** 2 / (reach**2).sum()),
        imbalance_sd=float(
            np.max(np.abs(apart) / np.maximum(background.std(axis=0), 1e-9), initial=0.0)
        ),
        groups={
            name: contrast
            for name, in_group in sample.groups.items()
            if (contrast := _of_group(rest, dose, pupil, odds, cell[at], in_group[at], size))
        },
    )


def _of_group(
    rest: np.ndarray,
    dose: np.ndarray,
    pupil: np.ndarray,
    odds: np.ndarray,
    cell: np.ndarray,
    in_group: np.ndarray,
    size: int,
) -> _GroupPart | None:
    """Return how the effect on a group differs, or None where too few can be compared.

    β, the odds and the regression are those of all pupils; only the comparison is made anew, of
    participants in the group with others of the group in their cell, and likewise outside it.
    """
    finer = 2 * cell + in_group
    at = _comparable(np.ones(len(dose), dtype=bool), dose, finer)
    treated, inside = dose[at] > 0, in_group[at]
    sides = [
        (treated == has) & (inside == where) for has in (True, False) for where in (True, False)
    ]
    if min(side.sum() for side in sides) < LEAST:
        return None
    weighed = _Weighed(rest[at], dose[at], pupil[at], odds[at], finer[at], size)
    own, other = (weighed.part(treated & (inside == where)) for where in (True, False))
    return _GroupPart(
        _Part(
            own.effect - other.effect,
            own.influence - other.influence,
            own.by_slope - other.by_slope,
        ),
        share=float(dose[at][inside].sum() / dose[at].sum()),
        treated=len(np.unique(pupil[at][treated & inside])),
    )


class _Weighed:
    """Pupils beside the weighted means of their cell's comparison pupils."""

    def __init__(
        self,
        rest: np.ndarray,
        dose: np.ndarray,
        pupil: np.ndarray,
        odds: np.ndarray,
        cell: np.ndarray,
        size: int,
    ) -> None:
        self.cell = _dense(cell)
        self.weight = odds / np.bincount(self.cell, odds)[self.cell]
        self._gaps = rest - _means(rest, self.weight, self.cell)
        # A mean of few comparison pupils hides their spread: m / (m − 1), with m what they are
        # worth.
        worth = 1 / np.bincount(self.cell, self.weight**2)
        self._hidden = np.sqrt(worth / np.maximum(worth - 1, 0.5))[self.cell]
        self._dose, self._pupil, self._size = dose, pupil, size

    def reach(self, counted: np.ndarray) -> np.ndarray:
        """Return how much each comparison pupil counts in the effect on the counted ones."""
        return np.bincount(self.cell, counted)[self.cell] * self.weight

    def part(self, counted: np.ndarray) -> _Part:
        """Return the effect on the participants counted (rows, yes/no)."""
        total = self._dose[counted].sum()
        effect, *by_slope = self._gaps[counted].sum(axis=0) / total
        free = self._gaps[:, 0]
        own = np.where(
            counted, free - effect * self._dose, -self.reach(counted) * self._hidden * free
        )
        return _Part(
            float(effect), np.bincount(self._pupil, own / total, self._size), -np.array(by_slope)
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
