"""Earlier scores measure ability with error: how to compare pupils of equal ability all the same.

Teachers choose by ability θ; we see tests W = θ + error. Holding W constant leaves the chosen
pupils weaker than those they are compared with, because a test moves to the mean and ability does
not: about −.2 pupil SD, enough to turn the sign of any response. Predicting θ from all tests does
not help: being chosen tells more about θ than the tests do. What helps is to take ability *out of
the outcome*:

    Y(0) = β θ + g(X) + u    and    W = θ + e,  with e independent of who is chosen, given θ and X
    Y − β W = g(X) + u − β e + effect,  which holds no θ

so only X is left to hold constant. Plain regression gives β too small. Another test Z of the same
pupil (the year before) has its own error, so instrumenting W by Z among comparison pupils gives β:

    β = Σ Z̃ Ỹ / Σ Z̃ W̃   (tilde: less the cell's mean and the regression on X)

Each earlier score k has its own β_k, and a pupil's free outcome is the mean of Y − β_k W_k over the
scores there are. This is the linear outcome bridge of proximal inference.

Assumed, and only partly testable: chosen by ability, not by the very test that is W (then β W takes
out too much, see `matched`); ability acts linearly; the tests' errors are independent of each
other.

Source: Fuller (1987), Measurement Error Models, §1.4; Lockwood & McCaffrey (2014); Miao, Geng &
Tchetgen Tchetgen (2018); Tchetgen Tchetgen et al. (2024), An introduction to proximal causal
inference; domain_methods §2d.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.effects.crossfit import centred, less_own_regression

WEAKEST_F = 30.0  # below it, one score hardly tells of another and β is not known


@dataclass(frozen=True)
class Freed:
    """Outcomes with ability taken out.

    Attributes:
        outcome: mean of Y − β_k W_k over the scores a pupil has; NaN where there is none.
        slopes: β_k of each score that could be corrected.
        weights: rows × scores, W_k by its share in the mean: outcome = Y − weights · slopes.
        influence: rows × scores, each row's part in the error of β_k; sums to zero.
    """

    outcome: np.ndarray
    slopes: np.ndarray
    weights: np.ndarray
    influence: np.ndarray


def freed_of_ability(
    outcome: np.ndarray,
    priors: np.ndarray,
    earlier: np.ndarray,
    features: np.ndarray,
    cell: np.ndarray,
    learn: np.ndarray,
) -> Freed:
    """Take the ability that earlier scores measure out of an outcome.

    Args:
        outcome: rows, no NaN.
        priors: rows × scores before the response; NaN where a pupil has none.
        earlier: rows × scores of earlier years, the instruments. Without columns each prior is
            instrumented by the other priors; what one year's tests share (the class) then stays in.
        features: rows × features, the observed covariates.
        cell: number of each row's cell.
        learn: rows to learn β from (the comparison pupils).

    Returns:
        `Freed`, with the scores only whose β could be found (first-stage F of at least 30).
    """
    priors, earlier = _level(priors, cell), _level(earlier, cell)
    kept, slopes, influences = [], [], []
    for k in range(priors.shape[1]):
        others = earlier if earlier.shape[1] else np.delete(priors, k, axis=1)
        instrument = _mean(others)
        rows = np.flatnonzero(learn & np.isfinite(priors[:, k]) & np.isfinite(instrument))
        if len(rows) <= features.shape[1] + 2:
            continue
        columns = np.column_stack([outcome, priors[:, k], instrument])[rows]
        y, w, z = less_own_regression(columns, features[rows], cell[rows]).T
        relevance = z @ w
        first = z * (w - z * relevance / max(z @ z, 1e-300))
        if relevance**2 < WEAKEST_F * (first @ first) or relevance <= 0:
            continue
        slope = (z @ y) / relevance
        influence = np.zeros(len(outcome))
        influence[rows] = z * (y - slope * w) / relevance
        kept.append(k)
        slopes.append(slope)
        influences.append(influence)
    known = priors[:, kept]
    there = np.isfinite(known)
    count = there.sum(axis=1)
    weights = np.where(there, known, 0.0) / np.maximum(count, 1)[:, None]
    beta = np.array(slopes)
    return Freed(
        outcome=np.where(count > 0, outcome - weights @ beta, np.nan),
        slopes=beta,
        weights=weights,
        influence=np.stack(influences, axis=1) if kept else np.empty((len(outcome), 0)),
    )


def _level(scores: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Take each score's cell mean out, so that pupils with different scores compare."""
    there = np.isfinite(scores)
    result = np.full(scores.shape, np.nan)
    for k in range(scores.shape[1]):
        rows = there[:, k]
        result[rows, k] = centred(scores[rows, k : k + 1], cell[rows])[:, 0]
    return result


def _mean(scores: np.ndarray) -> np.ndarray:
    there = np.isfinite(scores)
    count = there.sum(axis=1)
    total = np.where(there, scores, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
