"""Pupils in schools: the two-level normal model, fitted as exactly as the standard programs fit it.

The gap model works on cells; where single pupils are at hand, this is the model behind the published
value-added analyses, and the yardstick the estimates here are held against. It is our own code and not
statsmodels' MixedLM, because it needs each school's cross-products only (two million pupils are as
many sums as there are schools) and its predictions are wanted to six decimals; MixedLM is the
independent check in the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.optimize import minimize
from scipy.stats import norm

INTERCEPT = "1"
_TIGHT = 1e-9


@dataclass(frozen=True)
class TwoLevel:
    """A fitted two-level model.

    Attributes:
        fixed: term, estimate, se, lo, hi: the regression common to all schools.
        spread: (q, q) covariance of the schools' random coefficients, in squared outcome units.
        residual_variance: of pupils within schools.
        deviance: -2 log-likelihood (restricted if `is_restricted`), constants included.
        is_restricted: whether REML or ML.
        pupils: number of pupils.
        schools: school, pupils, and for each random term its predicted effect `effect_<term>` and its
            standard error `se_<term>` given the coefficients ("comparative"); for a model with a
            random intercept alone also `reliability`. Sorted by school.
    """

    fixed: pl.DataFrame
    spread: np.ndarray
    residual_variance: float
    deviance: float
    is_restricted: bool
    pupils: int
    schools: pl.DataFrame

    @property
    def intraclass_correlation(self) -> float:
        """Share of the variance that lies between schools (of the intercepts)."""
        between = float(self.spread[0, 0])
        return between / (between + self.residual_variance)

    def plausible_range(self, level: float = 0.95) -> tuple[float, float]:
        """Return where the intercepts of this share of schools lie (Raudenbush & Bryk 2002, p. 71)."""
        centre = self.fixed["estimate"][0]
        reach = float(norm.ppf(0.5 + level / 2) * np.sqrt(self.spread[0, 0]))
        return centre - reach, centre + reach


def fit_two_level(
    pupils: pl.DataFrame,
    outcome: str,
    *,
    school: str = "semel_mosad",
    fixed: Sequence[str] = (),
    random: Sequence[str] = (INTERCEPT,),
    restricted: bool = True,
    level: float = 0.90,
) -> TwoLevel:
    """Fit y = Xβ + Zb + e, b ~ N(0, T) per school, e ~ N(0, σ²), by (restricted) maximum likelihood.

    With T = σ²ΛΛ', the deviance profiled over β and σ² depends on Λ alone. For school j,
    M = I + Λ'Z'ZΛ, and everything follows from X'X, X'Z, Z'Z, X'y, Z'y, y'y:

        A = Σ (X'X - X'ZΛ M⁻¹ Λ'Z'X),   β = A⁻¹ Σ (X'y - X'ZΛ M⁻¹ Λ'Z'y),   b = Λ M⁻¹ Λ'Z'(y - Xβ)

    Args:
        pupils: one row a pupil; the columns named below, without nulls.
        outcome: column of y.
        school: column of the school.
        fixed: columns of X beside the intercept.
        random: terms of Z: "1" for the intercept, or columns.
        restricted: REML (for variances) or ML (for comparing deviances).
        level: probability of the intervals of β.

    Raises:
        ValueError: if a value is missing, there are fewer than three schools, or X is collinear.

    Source: Bates, Mächler, Bolker & Walker (2015), J. Stat. Software 67; Raudenbush & Bryk (2002); R36.
    """
    terms = [INTERCEPT, *fixed]
    named = [school, outcome, *(t for t in {*fixed, *random} if t != INTERCEPT)]
    holes = [name for name in named if pupils[name].null_count()]
    if holes:
        raise ValueError(f"missing values in {', '.join(holes)}: drop or impute those pupils first")
    rows = pupils.sort(school, *sorted(set(named) - {school}))
    codes = rows[school].unique(maintain_order=True)
    if len(codes) < 3:
        raise ValueError(
            f"{len(codes)} school(s): a spread between schools needs at least three of them"
        )
    sums = _Sums.of(rows, codes, school, outcome, terms, list(random))
    entries = np.tril_indices(len(random))
    start = np.eye(len(random))[entries]
    bounds = [(0.0, None) if i == j else (None, None) for i, j in zip(*entries, strict=True)]

    def factor(theta: np.ndarray) -> np.ndarray:
        full = np.zeros((len(random), len(random)))
        full[entries] = theta
        return full

    def loss(theta: np.ndarray) -> float:
        return sums.profile(factor(theta), restricted).deviance

    rough = minimize(
        loss, start, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-14, "gtol": 1e-7}
    )
    fine = minimize(
        loss, rough.x, method="Nelder-Mead", bounds=bounds,
        options={"xatol": _TIGHT, "fatol": 1e-12, "maxiter": 4000, "initial_simplex": _simplex(rough.x)},
    )  # fmt: skip
    best = sums.profile(factor(fine.x), restricted)
    if not np.isfinite(best.deviance):
        raise ValueError(f"the columns {', '.join(terms)} are collinear: leave one out")
    se = np.sqrt(np.diag(best.covariance))
    reach = norm.ppf(0.5 + level / 2) * se
    effects = best.effects
    columns: dict[str, np.ndarray | list[str] | pl.Series] = {"school": codes, "pupils": sums.size.astype(np.int64)}  # fmt: skip
    for place, term in enumerate(random):
        columns[f"effect_{term}"] = effects[:, place]
        columns[f"se_{term}"] = np.sqrt(best.effect_variance[:, place, place])
    if list(random) == [INTERCEPT]:
        between = best.spread[0, 0]
        columns["reliability"] = between / (between + best.residual_variance / sums.size)
    return TwoLevel(
        fixed=pl.DataFrame(
            {"term": terms, "estimate": best.fixed, "se": se, "lo": best.fixed - reach, "hi": best.fixed + reach}
        ),
        spread=best.spread,
        residual_variance=best.residual_variance,
        deviance=best.deviance,
        is_restricted=restricted,
        pupils=rows.height,
        schools=pl.DataFrame(columns),
    )  # fmt: skip


def _simplex(at: np.ndarray) -> np.ndarray:
    """Return corners close to a point that is nearly right already."""
    return np.vstack([at, at + np.diag(1e-4 * np.maximum(np.abs(at), 0.1))])


@dataclass(frozen=True)
class _Profile:
    deviance: float
    fixed: np.ndarray
    covariance: np.ndarray
    residual_variance: float
    spread: np.ndarray
    effects: np.ndarray
    effect_variance: np.ndarray


@dataclass(frozen=True)
class _Sums:
    """Cross-products by school: all the model ever sees of the pupils."""

    size: np.ndarray
    xx: np.ndarray
    zx: np.ndarray
    zz: np.ndarray
    zy: np.ndarray
    xy: np.ndarray
    yy: float

    @classmethod
    def of(
        cls, rows: pl.DataFrame, codes: pl.Series, school: str, outcome: str, terms: list[str], random: list[str]
    ) -> _Sums:  # fmt: skip
        ones = np.ones(rows.height)
        column = {name: rows[name].cast(pl.Float64).to_numpy() for name in {outcome, *terms, *random} - {INTERCEPT}} | {INTERCEPT: ones}  # fmt: skip
        lengths = (
            rows.group_by(school, maintain_order=True).len()["len"].to_numpy().astype(np.int64)
        )
        starts = np.cumsum(lengths) - lengths

        def by_school(a: str, b: str) -> np.ndarray:
            return np.add.reduceat(column[a] * column[b], starts)

        zx = np.stack([[by_school(z, x) for x in terms] for z in random]).transpose(2, 0, 1)
        zz = np.stack([[by_school(a, b) for b in random] for a in random]).transpose(2, 0, 1)
        zy = np.stack([by_school(z, outcome) for z in random], axis=1)
        design = np.stack([column[term] for term in terms], axis=1)
        y = column[outcome]
        return cls(lengths, design.T @ design, zx, zz, zy, design.T @ y, float(y @ y))

    def profile(self, factor: np.ndarray, restricted: bool) -> _Profile:
        """Return the deviance at Λ and everything that follows from it."""
        pupils, terms = int(self.size.sum()), len(self.xy)
        inner = np.eye(len(factor)) + factor.T @ self.zz @ factor
        shrink = factor @ np.linalg.inv(inner) @ factor.T
        through = shrink @ self.zx
        information = self.xx - np.einsum("jqp,jqr->pr", self.zx, through)
        score = self.xy - np.einsum("jqp,jq->p", through, self.zy)
        square = self.yy - float(np.einsum("jq,jqr,jr->", self.zy, shrink, self.zy))
        sign, logdet = np.linalg.slogdet(information)
        if sign <= 0 or np.linalg.cond(information) > 1e14:
            nothing = np.zeros(0)
            return _Profile(np.inf, nothing, nothing, np.nan, nothing, nothing, nothing)
        fixed = np.linalg.solve(information, score)
        freedom = pupils - terms if restricted else pupils
        residual = max(square - float(score @ fixed), 0.0) / freedom
        deviance = freedom * (np.log(2 * np.pi * residual) + 1) + float(
            np.linalg.slogdet(inner)[1].sum()
        )
        effects = np.einsum("jqr,jr->jq", shrink, self.zy - self.zx @ fixed)
        return _Profile(
            deviance + (logdet if restricted else 0.0),
            fixed,
            residual * np.linalg.inv(information),
            residual,
            residual * factor @ factor.T,
            effects,
            residual * shrink,
        )
