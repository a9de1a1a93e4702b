"""Pupils in schools: the two-level normal model, fitted as exactly as the standard programs fit it.

The gap model works on cells; where single pupils are at hand, this is the model behind the
published value-added analyses, and the yardstick that the gap model is held against. It is not
statsmodels' MixedLM, because its predictions are wanted to six decimals; MixedLM checks it in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.optimize import minimize
from scipy.stats import norm
from threadpoolctl import threadpool_limits

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
        random: the random terms, in the order of `spread`.
        effect_covariance: (schools, q, q) covariance of each school's predicted effects given the
            coefficients and variances (the square of `se_<term>` is its diagonal).
        schools: school, pupils, and for each random term its predicted effect `effect_<term>` and
            its standard error `se_<term>` given the coefficients ("comparative"); for a model with
            a random intercept alone also `reliability`. Sorted by school.
    """

    fixed: pl.DataFrame
    spread: np.ndarray
    residual_variance: float
    deviance: float
    is_restricted: bool
    pupils: int
    random: tuple[str, ...]
    effect_covariance: np.ndarray
    schools: pl.DataFrame

    @property
    def intercept_variance(self) -> float:
        """Variance of the schools' intercepts."""
        if INTERCEPT not in self.random:
            raise ValueError(
                f'the model has no random intercept: add "{INTERCEPT}" to its random terms'
            )
        place = self.random.index(INTERCEPT)
        return float(self.spread[place, place])

    @property
    def intraclass_correlation(self) -> float:
        """Share of the variance that lies between schools (of the intercepts)."""
        between = self.intercept_variance
        return between / (between + self.residual_variance)

    def plausible_range(self, level: float = 0.95) -> tuple[float, float]:
        """Return where this share of schools' intercepts lie (Raudenbush & Bryk 2002, p. 71)."""
        centre = self.fixed["estimate"][0]
        reach = float(norm.ppf(0.5 + level / 2) * np.sqrt(self.intercept_variance))
        return centre - reach, centre + reach


# One thread: the order in which threads add would show in the last digits.
@threadpool_limits.wrap(limits=1)
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
    """Fit y = Xβ + Zb + e, b ~ N(0, T) per school, e ~ N(0, σ²), by ML or REML.

    With T = σ²ΛΛ', the deviance profiled over β and σ² depends on Λ alone. For school j,
    M = I + Λ'Z'ZΛ, and everything follows from X'X, X'Z, Z'Z, X'y, Z'y, y'y:

        A = Σ (X'X - X'ZΛ M⁻¹ Λ'Z'X),   β = A⁻¹ Σ (X'y - X'ZΛ M⁻¹ Λ'Z'y),   b = Λ M⁻¹ Λ'Z'(y - Xβ)

    It is computed on a centred outcome and standardised columns, and told in the units given: sums
    of raw squares would lose T in the rounding of a calendar year or a budget.

    Args:
        pupils: one row a pupil; the columns named below, without nulls.
        outcome: column of y.
        school: column of the school.
        fixed: columns of X beside the intercept.
        random: terms of Z: "1" for the intercept, or columns.
        restricted: REML (for variances) or ML (for comparing deviances).
        level: probability of the intervals of β.

    Raises:
        ValueError: if a value is missing or not finite, there are fewer than three schools, or X is
            collinear.

    Source: Bates, Mächler, Bolker & Walker (2015), J. Stat. Software 67; Raudenbush & Bryk (2002);
        R36.
    """
    terms = [INTERCEPT, *fixed]
    numbers = sorted({outcome, *fixed, *random} - {INTERCEPT})
    holes = [school] if pupils[school].null_count() else []
    holes += [
        n for n in numbers if not pupils[n].cast(pl.Float64).is_finite().fill_null(False).all()
    ]
    if holes:
        raise ValueError(
            f"missing or infinite values in {', '.join(holes)}: drop or impute those pupils first"
        )
    rows = pupils.sort(school, *numbers)
    codes = rows[school].unique(maintain_order=True)
    if len(codes) < 3:
        raise ValueError(
            f"{len(codes)} school(s): a spread between schools needs at least three of them"
        )
    sums = _Sums.of(rows, school, outcome, terms, list(random))
    # Of standardised columns: singular for their sake, not for their units.
    if np.linalg.cond(sums.xx) > 1e13:
        raise ValueError(f"the columns {', '.join(fixed)} are collinear: leave one out")
    entries = np.tril_indices(len(random))
    start = np.eye(len(random))[entries]
    bounds = [(0.0, None) if i == j else (None, None) for i, j in zip(*entries, strict=True)]

    def factor(theta: np.ndarray) -> np.ndarray:
        full = np.zeros((len(random), len(random)))
        full[entries] = theta
        return full

    def loss(theta: np.ndarray) -> float:
        return sums.profile(factor(theta), restricted).deviance

    # No spread at all is a stationary point, into which a search may fall; so it is begun in
    # several places, and the best end counts.
    rough = min(
        (
            minimize(
                loss,
                size * start,
                method="L-BFGS-B",
                bounds=bounds,
                options={"ftol": 1e-14, "gtol": 1e-7},
            )
            for size in (1.0, 0.3, 0.1)
        ),
        key=lambda ended: ended.fun,
    )
    fine = minimize(
        loss,
        rough.x,
        method="Nelder-Mead",
        bounds=bounds,
        options={
            "xatol": _TIGHT,
            "fatol": 1e-12,
            "maxiter": 4000,
            "initial_simplex": _simplex(rough.x),
        },
    )
    best = sums.profile(factor(fine.x), restricted)
    se = np.sqrt(np.diag(best.covariance))
    reach = norm.ppf(0.5 + level / 2) * se
    columns: dict[str, np.ndarray | list[str] | pl.Series] = {"school": codes, "pupils": sums.size}
    for place, term in enumerate(random):
        columns[f"effect_{term}"] = best.effects[:, place]
        columns[f"se_{term}"] = np.sqrt(best.effect_variance[:, place, place])
    if list(random) == [INTERCEPT]:
        between = best.spread[0, 0]
        columns["reliability"] = between / (between + best.residual_variance / sums.size)
    return TwoLevel(
        fixed=pl.DataFrame(
            {
                "term": terms,
                "estimate": best.fixed,
                "se": se,
                "lo": best.fixed - reach,
                "hi": best.fixed + reach,
            }
        ),
        spread=best.spread,
        residual_variance=best.residual_variance,
        deviance=best.deviance,
        is_restricted=restricted,
        pupils=rows.height,
        random=tuple(random),
        effect_covariance=best.effect_variance,
        schools=pl.DataFrame(columns),
    )


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
    """Cross-products by school: all the model ever sees of the pupils.

    Of y less its mean, X standardised beside its intercept, Z divided by its root mean square;
    `back` (β = back·β̃ but for the mean of y) and `unit` (b = b̃ / unit) lead back to the units
    given.
    """

    size: np.ndarray
    xx: np.ndarray
    zx: np.ndarray
    zz: np.ndarray
    zy: np.ndarray
    xy: np.ndarray
    yy: float
    mean: float
    back: np.ndarray
    unit: np.ndarray

    @classmethod
    def of(
        cls, rows: pl.DataFrame, school: str, outcome: str, terms: list[str], random: list[str]
    ) -> _Sums:
        def column(name: str) -> np.ndarray:
            if name == INTERCEPT:
                return np.ones(rows.height)
            return rows[name].cast(pl.Float64).to_numpy()

        slopes = [column(term) for term in terms[1:]]
        centre = np.array([x.mean() for x in slopes])
        width = np.array([x.std() for x in slopes])
        constant = [
            t for t, m, w in zip(terms[1:], centre, width, strict=True) if w <= 1e-13 * abs(m)
        ]
        if constant:
            raise ValueError(f"{', '.join(constant)} is the same for all pupils: leave it out")
        design = np.column_stack(
            [
                column(INTERCEPT),
                *((x - m) / w for x, m, w in zip(slopes, centre, width, strict=True)),
            ]
        )
        back = np.diag(1 / np.append(1.0, width))
        back[0, 1:] = -centre / width
        groups = np.column_stack([column(term) for term in random])
        unit = np.sqrt((groups**2).mean(axis=0))
        unit[unit == 0] = 1.0
        groups = groups / unit
        y = column(outcome)
        mean = float(y.mean())
        y = y - mean
        lengths = (
            rows.group_by(school, maintain_order=True).len()["len"].to_numpy().astype(np.int64)
        )
        starts = np.cumsum(lengths) - lengths

        def by_school(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            return np.add.reduceat(a * b, starts)

        zx = np.stack([[by_school(z, x) for x in design.T] for z in groups.T]).transpose(2, 0, 1)
        zz = np.stack([[by_school(a, b) for b in groups.T] for a in groups.T]).transpose(2, 0, 1)
        zy = np.stack([by_school(z, y) for z in groups.T], axis=1)
        return cls(
            lengths, design.T @ design, zx, zz, zy, design.T @ y, float(y @ y), mean, back, unit
        )

    def profile(self, factor: np.ndarray, restricted: bool) -> _Profile:
        """Return the deviance at Λ and everything that follows from it."""
        pupils, terms = int(self.size.sum()), len(self.xy)
        inner = np.eye(len(factor)) + factor.T @ self.zz @ factor
        shrink = factor @ np.linalg.inv(inner) @ factor.T
        through = shrink @ self.zx
        information = self.xx - np.einsum("jqp,jqr->pr", self.zx, through)
        score = self.xy - np.einsum("jqp,jq->p", through, self.zy)
        square = self.yy - float(np.einsum("jq,jqr,jr->", self.zy, shrink, self.zy))
        fixed = np.linalg.solve(information, score)
        freedom = pupils - terms if restricted else pupils
        residual = max(square - float(score @ fixed), 0.0) / freedom
        deviance = freedom * (np.log(2 * np.pi * residual) + 1) + float(
            np.linalg.slogdet(inner)[1].sum()
        )
        if restricted:
            # |X'V⁻¹X| of the columns as given, not as standardised.
            logdet = np.linalg.slogdet(information)[1]
            deviance += float(logdet - 2 * np.log(np.diag(self.back)).sum())
        effects = np.einsum("jqr,jr->jq", shrink, self.zy - self.zx @ fixed) / self.unit
        told = self.back @ fixed
        told[0] += self.mean
        units = np.outer(self.unit, self.unit)
        return _Profile(
            deviance,
            told,
            residual * self.back @ np.linalg.inv(information) @ self.back.T,
            residual,
            residual * factor @ factor.T / units,
            effects,
            residual * shrink / units,
        )
