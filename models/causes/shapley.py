"""Which causes go with each place's gap: exact Shapley values under registered priors."""

from __future__ import annotations

from math import factorial

import numpy as np
import polars as pl
from scipy.optimize import minimize_scalar
from threadpoolctl import threadpool_limits

from models.checks import every_row, one_row_each

UNEXPLAINED = "unexplained"
MOST_GROUPS = 10
LEAST_PLACES = 6
LEAST_DRAWS = 20
_MOST_VARIANCE = 4.0  # of the lasting differences between places that no cause explains, SD²
_INTERVAL = (5, 95)


# One thread: small matrices gain nothing from more, and the bytes must not depend on the machine.
@threadpool_limits.wrap(limits=1)
def cause_contributions(
    gaps: pl.DataFrame,
    measures: pl.DataFrame,
    catalogue: pl.DataFrame,
    draws: int = 1000,
    seed: int = 0,
) -> pl.DataFrame:
    """Share the gap of each place, beyond the city's mean, out to groups of causes.

    For place j, with x the causes' measures less their city mean and a coalition S of cause groups:

        gap_j = μ + Σ_{k in S} β_k x_jk + u_j + e_j,   u_j ~ N(0, τ²),   e_j ~ N(0, se_j²)
        β_k ~ N(prior_sd_per_unit_k, prior_spread_k²)
        v_j(S) = μ̂ + x_jS' β̂_S                              (posterior means of the model with S
        alone) φ_jg = Σ_{S without g} |S|! (G-|S|-1)! / G! · [v_j(S and g) - v_j(S)]

    All coalitions are enumerated, so the result depends on no order of the causes. Choices:

    - The prior is stated per unit of the measure, so a measure in other units, with its prior
      restated in them, gives the same contributions. Nothing is standardised by the schools at
      hand.
    - The priors keep the signs and sizes sane where 36 schools cannot tell correlated causes apart;
      an empty prior (wide spread) leaves ordinary weighted regression.
    - τ² is estimated once, with all causes (restricted likelihood), and the city mean is the mean
      of the gaps weighted by 1/(τ²+se²): so v_j(no causes) is the same for every place, and the
      parts and `unexplained` sum to the place's gap less that mean.
    - A measure missing at a place counts as the city mean there; its interval then holds the spread
      of the measure over the city. A cause measured nowhere stays out.
    - Interval: each draw disturbs the gaps and the priors by their spread and solves every
      coalition anew, which samples the exact posterior of its coefficients.

    The contributions say what goes together with a gap, never what would close it.

    Args:
        gaps: semel_mosad, gap_sd (pupil SD, positive = below target), gap_se_sd (pupil SD, > 0).
        measures: cause_id, semel_mosad, measure (larger = worse, the cause's unit), is_measured.
            Places without a row count as not measured; rows of other places are left aside.
        catalogue: cause_id, cause_group, prior_sd_per_unit (gap in pupil SD per unit of the
            measure, ≥ 0), prior_spread (its standard deviation, > 0), source (why this is
            expected).
        draws: number of draws of the interval.
        seed: seed of the draws.

    Returns:
        semel_mosad, cause_group (the groups, then `unexplained`), gap_above_city_sd (pupil SD),
        contribution_sd, contribution_lo_sd, contribution_hi_sd (90 % interval, pupil SD),
        is_measured (every cause of the group that is measured anywhere is measured here), evidence
        ("association"). A group that is measured nowhere has empty contributions.

    Raises:
        ValueError: if there are more than ten groups, fewer than six places or 20 draws, a key
            repeats, a value is empty or out of range, a cause is not in the catalogue, or no cause
            is measured anywhere.

    Source: Shapley (1953); Young (1985); Lindley & Smith (1972); R48; domain_methods §2c.
    """
    gaps, catalogue = gaps.sort("semel_mosad"), catalogue.sort("cause_id")
    _check_gaps(gaps)
    _check_catalogue(catalogue)
    if draws < LEAST_DRAWS:
        raise ValueError(f"{draws} draws cannot make an interval; take at least {LEAST_DRAWS}")
    known = _measured(measures, catalogue)
    places = gaps["semel_mosad"].to_list()
    raw = _matrix(known, places, catalogue["cause_id"].to_list())
    anywhere = ~np.isnan(raw).all(axis=0)
    if not anywhere.any():
        raise ValueError("no cause is measured in any of the places; hand in at least one measure")
    used = catalogue.filter(pl.Series(anywhere))
    raw = raw[:, anywhere]
    names = used["cause_group"].unique().sort().to_list()
    group_of = np.array([names.index(name) for name in used["cause_group"]])

    gap, se = (gaps[c].to_numpy().astype(float) for c in ("gap_sd", "gap_se_sd"))
    prior, spread = (
        used[c].to_numpy().astype(float) for c in ("prior_sd_per_unit", "prior_spread")
    )
    rng = np.random.default_rng(seed)
    above, value = _contributions(gap, se, raw, prior, spread, group_of, draws, rng)
    low, high = np.percentile(value[1:], _INTERVAL, axis=0)
    is_missing = np.isnan(raw)
    whole = [*names, UNEXPLAINED]
    complete = np.column_stack(
        [
            *(~is_missing[:, group_of == g].any(axis=1) for g in range(len(names))),
            np.ones(len(gap), bool),
        ]
    )
    rows = pl.DataFrame(
        {
            "semel_mosad": np.repeat(np.array(places), len(whole)),
            "cause_group": whole * len(places),
            "contribution_sd": value[0].ravel(),
            "contribution_lo_sd": low.ravel(),
            "contribution_hi_sd": high.ravel(),
            "is_measured": complete.ravel(),
        }
    )
    order = [*sorted(set(catalogue["cause_group"])), UNEXPLAINED]
    grid = gaps.select("semel_mosad", gap_above_city_sd=pl.Series(above)).join(
        pl.DataFrame({"cause_group": order}), how="cross", maintain_order="left_right"
    )
    return grid.join(
        rows, on=["semel_mosad", "cause_group"], how="left", maintain_order="left"
    ).with_columns(pl.col("is_measured").fill_null(False), evidence=pl.lit("association"))


def _contributions(
    gap: np.ndarray,
    se: np.ndarray,
    raw: np.ndarray,
    prior: np.ndarray,
    spread: np.ndarray,
    group_of: np.ndarray,
    draws: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gaps above the city mean, and draw × place × (groups, unexplained).

    Row 0 of the draws is the estimate itself.
    """
    tau2 = _unexplained_variance(gap, se, _centred(raw, np.ones(len(gap))), prior, spread)
    weight = 1 / (tau2 + se**2)
    x = _centred(raw, weight)
    sampling, lasting = rng.standard_normal((2, draws + 1, len(gap)))
    belief = rng.standard_normal((draws + 1, len(prior)))
    sampling[0] = lasting[0] = belief[0] = 0

    seen = gap + se * sampling
    of_gaps = ((seen + np.sqrt(tau2) * lasting) * weight) @ x
    evidence = of_gaps + (prior + spread * belief) / spread**2
    operator = _shapley_operator((x.T * weight) @ x + np.diag(spread**-2.0), group_of)
    # parts[d, k, g]: what cause k's measure adds to the contribution of group g, per unit.
    parts = np.einsum("gkl,dl->dkg", operator, evidence)
    value = np.einsum("jk,dkg->djg", x, parts)
    is_missing = np.isnan(raw)
    for cause in np.flatnonzero(is_missing.any(axis=0)):
        holes = is_missing[:, cause]
        guess = np.nanstd(raw[:, cause]) * rng.standard_normal((draws, holes.sum()))
        value[1:, holes] += guess[:, :, None] * parts[1:, None, cause]
    above = seen - (seen @ weight / weight.sum())[:, None]
    rest = above - value.sum(axis=2)
    return above[0], np.concatenate([value, rest[:, :, None]], axis=2)


def _shapley_operator(precision: np.ndarray, group_of: np.ndarray) -> np.ndarray:
    """Return, per group, the matrix that turns the evidence into that group's coefficients.

    The posterior mean of a coalition's coefficients is linear in the evidence h = X'Wy + Λ⁻¹β₀: it
    is P_S h, P_S the inverse of the coalition's part of the precision, 0 elsewhere. So the Shapley
    sum over coalitions is taken once, over the P_S, and serves every place and every draw.
    """
    groups = int(group_of.max()) + 1
    solved = np.zeros((1 << groups, *precision.shape))
    for coalition in range(1, 1 << groups):
        inside = np.flatnonzero(coalition >> group_of & 1)
        cell = np.ix_(inside, inside)
        solved[coalition][cell] = np.linalg.inv(precision[cell])
    operator = np.zeros((groups, *precision.shape))
    for coalition in range(1 << groups):
        size = coalition.bit_count()
        for g in range(groups):
            if not coalition >> g & 1:
                share = factorial(size) * factorial(groups - size - 1) / factorial(groups)
                operator[g] += share * (solved[coalition | 1 << g] - solved[coalition])
    return operator


def _unexplained_variance(
    gap: np.ndarray, se: np.ndarray, x: np.ndarray, prior: np.ndarray, spread: np.ndarray
) -> float:
    """Return τ², by restricted likelihood with the coefficients integrated out over their prior."""
    rest = gap - x @ prior
    by_prior = (x * spread**2) @ x.T

    def loss(tau2: float) -> float:
        lower = np.linalg.cholesky(by_prior + np.diag(tau2 + se**2))
        both = np.linalg.solve(lower, np.column_stack([np.ones_like(gap), rest]))
        ones, left = both.T
        left = left - ones * (ones @ left) / (ones @ ones)
        return float(2 * np.log(np.diag(lower)).sum() + np.log(ones @ ones) + left @ left)

    return float(minimize_scalar(loss, bounds=(0, _MOST_VARIANCE), method="bounded").x)


def _centred(raw: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the measures less their weighted mean over the places; 0 where missing."""
    known = ~np.isnan(raw)
    total = np.where(known, raw, 0).T @ weight
    return np.where(known, raw - total / (known.T @ weight), 0.0)


def _matrix(known: pl.DataFrame, places: list[str], causes: list[str]) -> np.ndarray:
    """Return place × cause, NaN where not measured."""
    known = known.filter(pl.col("semel_mosad").is_in(places))
    matrix = np.full((len(places), len(causes)), np.nan)
    row, column = ({name: i for i, name in enumerate(names)} for names in (places, causes))
    for place, cause, value in known.select("semel_mosad", "cause_id", "measure").iter_rows():
        matrix[row[place], column[cause]] = value
    return matrix


def _measured(measures: pl.DataFrame, catalogue: pl.DataFrame) -> pl.DataFrame:
    unknown = sorted(set(measures["cause_id"]) - set(catalogue["cause_id"]))
    if unknown:
        raise ValueError(f"causes that are not in the catalogue: {', '.join(unknown)}; add them")
    one_row_each(
        measures,
        ["cause_id", "semel_mosad"],
        "a cause is given twice for one place; keep one row per cause and place",
    )
    known = measures.filter(pl.col("is_measured"))
    every_row(
        known,
        pl.col("measure").is_finite(),
        "a measured cause has no finite measure; set is_measured to false",
    )
    return known


def _check_gaps(gaps: pl.DataFrame) -> None:
    if gaps.height < LEAST_PLACES:
        raise ValueError(
            f"only {gaps.height} place(s) have a gap; at least {LEAST_PLACES} are needed to set"
            " causes beside gaps"
        )
    one_row_each(gaps, "semel_mosad", "a place has two gaps; hand in one row per semel_mosad")
    fine = (
        pl.col("gap_sd").is_finite() & pl.col("gap_se_sd").is_finite() & (pl.col("gap_se_sd") > 0)
    )
    every_row(
        gaps,
        fine,
        "each place needs a gap and a positive error (gap_se_sd); drop unmeasured places",
    )


def _check_catalogue(catalogue: pl.DataFrame) -> None:
    one_row_each(
        catalogue, "cause_id", "a cause is twice in the catalogue; keep one row per cause_id"
    )
    groups = catalogue["cause_group"].n_unique()
    if groups > MOST_GROUPS:
        raise ValueError(
            f"{groups} groups of causes; at most {MOST_GROUPS} can be enumerated, so join related"
            " causes"
        )
    if UNEXPLAINED in set(catalogue["cause_group"]):
        raise ValueError(f"no group of causes may be called {UNEXPLAINED!r}; rename it")
    expected, spread = pl.col("prior_sd_per_unit"), pl.col("prior_spread")
    fine = expected.is_finite() & (expected >= 0) & spread.is_finite() & (spread > 0)
    every_row(
        catalogue,
        fine,
        "each cause needs a prior_sd_per_unit of 0 or more (measures are oriented: larger ="
        " worse) and a positive prior_spread",
    )
    every_row(
        catalogue,
        pl.col("source").str.strip_chars() != "",
        "each cause needs a source that says why its prior is expected",
    )
