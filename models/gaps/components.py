"""How much schools truly differ: variance components by restricted maximum likelihood."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from models.cells import COMPONENTS, LEAST_SCHOOLS, measured_cells
from models.gaps.blocks import Stack, solve_means, stacks

_START, _MOST = 0.02, 4.0  # variances in SD²
_MANY, _EVERY = 500, 8


# One thread: small matrices gain nothing from more, and a busy machine loses minutes to their
# spinning.
@threadpool_limits.wrap(limits=1)
def fit_components(cells: pl.DataFrame) -> pl.DataFrame:
    """Estimate the variance components of the gap model.

    Model, for school j, subject k, grade g, school year t on scale s (domain_methods §2a):

        gap_raw = μ[s,k,g,t] + u[j] + v[j,k] + w[j,t] + x[j,k,t] + error,   error ~ N(0, known)

    u, v, w, x are independent normals; their standard deviations are returned. Errors of one
    cohort's cells are correlated, because the same pupils sit several tests
    (`blocks.COHORT_CORRELATION`). A component that the data cannot tell from another (v and x with
    one subject, w and x with one year) is 0: its variation is then part of the component it
    coincides with, so that intervals stay honest.

    Args:
        cells: semel_mosad, subject, grade, school_year, scale_id, gap_raw_sd (pupil SD; null = not
            measured), gap_sampling_sd (pupil SD).

    Returns:
        component, component_sd (pupil SD), one row per component in the order of `COMPONENTS`; null
        with fewer than six measured schools, which do not tell true differences from chance.

    Raises:
        ValueError: if a measured cell has no finite gap or no positive sampling error, or a key
            repeats.

    Source: Raudenbush & Bryk (2002), ch. 3; R36.
    """
    measured = measured_cells(cells)
    schools = measured["semel_mosad"].n_unique()
    if schools < LEAST_SCHOOLS:
        return pl.DataFrame(
            {"component": COMPONENTS, "component_sd": [None] * len(COMPONENTS)},
            schema={"component": pl.String, "component_sd": pl.Float64},
        )
    subjects, years = measured["subject"].n_unique() > 1, measured["school_year"].n_unique() > 1
    free = np.array([True, subjects, years, subjects and years])
    blocks = list(stacks(measured))
    start = np.ones(len(free))
    if schools > _MANY:
        # A country begins where every eighth of its schools ends: a fraction of the cost of a step.
        place = pl.col("semel_mosad").rank("dense")
        some = fit_components(measured.filter(place % _EVERY == 0))
        start = np.maximum(some["component_sd"].to_numpy() ** 2 / _START, 1e-3)

    def spread(scaled: np.ndarray) -> np.ndarray:
        variances = np.zeros(len(free))
        variances[free] = scaled * _START
        return variances

    def loss(scaled: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = restricted_loss(blocks, spread(scaled))
        # Per cell, so that the tolerances mean the same in a city and in a country.
        return value / measured.height, slope[free] * _START / measured.height

    # Variances, not their logarithms or roots: a component may be exactly 0, and on a logarithm the
    # search creeps towards that bound; as a root, 0 would hold the search whatever the data say.
    result = minimize(
        loss,
        start[free],
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, _MOST / _START)] * int(free.sum()),
        options={"ftol": 1e-10, "gtol": 1e-6, "maxiter": 200},
    )
    variances = spread(result.x)
    return pl.DataFrame({"component": COMPONENTS, "component_sd": np.sqrt(variances)})


def restricted_loss(blocks: Sequence[Stack], variances: np.ndarray) -> tuple[float, np.ndarray]:
    """Return minus twice the restricted log-likelihood, up to a constant, and its gradient.

    With a = V⁻¹(y - Xβ) and S the cells that share a component's effect, the derivative by that
    component's variance is tr(S V⁻¹) - tr(S V⁻¹ X C X' V⁻¹) - a'S a.
    """
    solved = solve_means(blocks, variances)
    value, slope = solved.logdet, np.zeros(len(variances))
    for block, inverse in zip(blocks, solved.inverses, strict=True):
        residual = block.gap - block.expected(solved.fixed)
        weighted = np.einsum("bnm,bm->bn", inverse, residual)
        value += float((residual * weighted).sum())
        spread = inverse @ block.expected_covariance(solved.covariance) @ inverse
        inner = inverse - spread - weighted[:, :, None] * weighted[:, None, :]
        slope += [float(np.vdot(same, inner)) for same in block.same]
    return value, slope
