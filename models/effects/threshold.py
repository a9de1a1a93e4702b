"""Grade B: places given to whoever scored at or below a cut-off."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.stats import binomtest, norm

from models.checks import has_columns, one_row_each
from models.effects.estimate import ALPHA, DETECTABLE_ERRORS, FEW_SCHOOLS, Estimate, widening
from models.effects.least_squares import Undetermined, clustered, dense, independent, within

LEAST = 30  # pupils with weight on each side; below there is no estimate
WEAKEST_TAKE_UP = 0.2  # jump of the dose at the cut-off
DENSITY_PUPILS = 40  # nearest the cut-off, whose sides should be even
_KERNEL = 3.4375  # of the triangular kernel at a boundary (Imbens & Kalyanaraman 2012)


def threshold(
    pupils: pl.DataFrame,
    *,
    covariates: Sequence[str] = (),
    placebo: str | None = None,
    cluster: str = "unit",
    donut: float = 0.0,
) -> Estimate:
    """Estimate the effect of one response on one subject at the cut-off that decided (R61).

    Pupils just below and just above the cut-off differ by the response alone. Outcome and dose are
    each fitted by a local polynomial of the running score on either side, with a triangular kernel
    and strata (school × year) at their own level; effect = jump of the outcome / jump of the dose.

    The bandwidth is the one best for a local line (Imbens & Kalyanaraman) times n^(-1/20), which
    makes intervals cover (Calonico, Cattaneo & Farrell). A line with such a bandwidth is biased
    where the truth bends, and its interval too short; the estimate is therefore the local
    *quadratic* with it, which is the line corrected for its bias, with the error of the correction
    (Calonico, Cattaneo & Titiunik, with both bandwidths equal). Errors are clustered by `cluster`,
    widened by Student's t of the clusters.

    Doubts: `too_few_near_cutoff` (no estimate), `weak_take_up` (no effect on participants),
    `uneven_density` (more pupils on one side than chance allows: the score may have been steered),
    `donut_moves` (without the pupils nearest the cut-off the effect is another), `placebo_fails`.

    Args:
        pupils: one row per pupil and stratum: stratum, unit, running (score less cut-off; at or
            below 0 is admitted), dose (0 … 1), outcome_sd (null = not tested), and the columns
            named below.
        covariates: known before; a null counts as the mean.
        placebo: column that the response cannot have changed.
        cluster: column of what shares its luck: the pupil, or a group, class or school.
        donut: width left out on each side for the check, in units of running; 0 = a tenth of the
            bandwidth.

    Returns:
        `Estimate` of grade B for pupils near the cut-off; treated_pupils and control_pupils have
        weight.

    Raises:
        ValueError: if a column is missing, a pupil comes twice in a stratum, or running is empty.

    Source: Imbens & Kalyanaraman (2012), REStud 79(3); Calonico, Cattaneo & Titiunik (2014),
    Econometrica 82(6), remark 7; Calonico, Cattaneo & Farrell (2020), Econometrics Journal 23;
    Cattaneo, Titiunik & Vazquez-Bare (2017) on the even sides.
    """
    named = ["stratum", "unit", cluster, "running", "dose", "outcome_sd", *covariates]
    has_columns(pupils, [*named, *([placebo] if placebo else [])], "pupils")
    one_row_each(pupils, ["stratum", "unit"], "a pupil comes twice in one stratum")
    if pupils["running"].null_count():
        raise ValueError("every pupil needs a running score; leave out those without one")
    everyone = pupils.sort("stratum", "unit")
    known = everyone.drop_nulls("outcome_sd")
    jump = _jump(known, "outcome_sd", covariates, cluster)
    if jump is None:
        return Estimate("B", doubts=("too_few_near_cutoff",))
    doubts = {"few_schools"} if jump.clusters < FEW_SCHOOLS else set()
    if not _even(everyone["running"].to_numpy()):
        doubts.add("uneven_density")
    held = None
    if placebo:
        held = _jump(
            known.drop_nulls(placebo), placebo, [c for c in covariates if c != placebo], cluster
        )
    if held and abs(held.itt) > norm.ppf(1 - ALPHA / 2) * held.itt_se:
        doubts.add("placebo_fails")
    gap = donut or 0.1 * jump.bandwidth
    outside = _jump(known.filter(pl.col("running").abs() > gap), "outcome_sd", covariates, cluster)
    if outside and abs(outside.itt - jump.itt) > norm.ppf(1 - ALPHA / 2) * outside.itt_se:
        doubts.add("donut_moves")
    if jump.effect is None:
        doubts.add("weak_take_up")
    return Estimate(
        "B",
        effect_sd=jump.effect,
        effect_se_sd=jump.error,
        itt_sd=jump.itt,
        itt_se_sd=jump.itt_se,
        treated_pupils=jump.below,
        control_pupils=jump.above,
        clusters=jump.clusters,
        placebo_sd=held.itt if held else None,
        placebo_se_sd=held.itt_se if held else None,
        mde_sd=None if jump.error is None else DETECTABLE_ERRORS * jump.error,
        doubts=tuple(sorted(doubts)),
    )


class _Jump:
    """A jump at the cut-off."""

    def __init__(
        self,
        rows: pl.DataFrame,
        column: str,
        covariates: Sequence[str],
        bandwidth: float,
        cluster: str,
    ) -> None:
        running = rows["running"].to_numpy()
        weight = np.maximum(0.0, 1 - np.abs(running) / bandwidth)
        near = rows.filter(pl.Series(weight > 0))
        weight, running = weight[weight > 0], running[weight > 0]
        self.bandwidth = bandwidth
        self.below, self.above = int((running <= 0).sum()), int((running > 0).sum())
        stratum, unit = dense(near["stratum"]), dense(near[cluster])
        self.clusters = int(unit.max()) + 1
        admitted = (running <= 0).astype(float)
        scaled = running / bandwidth
        terms = [scaled, scaled**2, scaled * admitted, scaled**2 * admitted]
        terms += [
            near[name].cast(pl.Float64).fill_null(strategy="mean").fill_null(0.0).to_numpy()
            for name in sorted(covariates)
        ]
        # The score that decided may be made of earlier scores among the covariates.
        kept = independent([within(term, stratum, weight) for term in terms])
        lost = np.unique(stratum).size
        offer = within(admitted, stratum, weight)
        outcome = within(near[column].cast(pl.Float64).to_numpy(), stratum, weight)
        dose = within(near["dose"].cast(pl.Float64).to_numpy(), stratum, weight)
        x = np.column_stack([offer, kept])
        wider = widening(self.clusters - 1)
        self.itt, itt_se = clustered(outcome, x, unit, lost=lost, weight=weight)
        self.itt_se = itt_se * wider
        take_up, _ = clustered(dose, x, unit, lost=lost, weight=weight)
        self.effect: float | None = None
        self.error: float | None = None
        if take_up >= WEAKEST_TAKE_UP:
            self.effect, error = clustered(
                outcome,
                np.column_stack([dose, kept]),
                unit,
                lost=lost,
                weight=weight,
                instrument=offer,
            )
            self.error = error * wider


def _jump(rows: pl.DataFrame, column: str, covariates: Sequence[str], cluster: str) -> _Jump | None:
    """Return the jump of a column, or None where too few pupils are near the cut-off."""
    running = rows["running"].to_numpy()
    if min((running <= 0).sum(), (running > 0).sum()) < LEAST:
        return None
    level = within(rows[column].cast(pl.Float64).to_numpy(), dense(rows["stratum"]))
    # The bandwidth best for the estimate is too wide for its interval (Calonico, Cattaneo &
    # Farrell).
    bandwidth = best_bandwidth(running, level) * len(running) ** (-1 / 20)
    near = np.abs(running) < bandwidth
    if min((near & (running <= 0)).sum(), (near & (running > 0)).sum()) < LEAST:
        # The thirtieth pupil on the emptier side just counts.
        bandwidth = (
            max(np.sort(side)[LEAST - 1] for side in (-running[running <= 0], running[running > 0]))
            * 1.01
        )
    try:
        return _Jump(rows, column, covariates, float(bandwidth), cluster)
    except Undetermined:  # too few pupils for so many covariates
        return None


def cut_off(score: np.ndarray, is_offered: np.ndarray) -> float | None:
    """Return the score that decided over offers, where only scores and offers are on record.

    It is the cut with the fewest exceptions: offered above it (late admissions) or not offered at
    or below it; between the two neighbouring scores, and of equally good cuts the middle one. Who
    was offered a place and declined stays on the side of the offered, so it takes nothing from the
    cut.

    Args:
        score: of each pupil of one school and year; low scores are offered a place.
        is_offered: whether the pupil was offered one.

    Returns:
        the cut; None where all or none were offered a place, or no cut does better than chance.

    Source: Porter & Yu (2015), J. Econometrics 189, on discontinuity points that are not known.
    """
    order = np.argsort(score, kind="stable")
    value, offered = score[order], is_offered[order].astype(int)
    between = np.flatnonzero(value[1:] > value[:-1])
    if not len(between) or offered.all() or not offered.any():
        return None
    # Not offered at or below the cut, and offered above it.
    wrong = np.cumsum(1 - offered)[between] + (offered.sum() - np.cumsum(offered)[between])
    if 2 * wrong.min() >= min(offered.sum(), len(offered) - offered.sum()):
        return None
    best = between[np.flatnonzero(wrong == wrong.min())]
    middle = best[(len(best) - 1) // 2]
    return float(value[middle] + value[middle + 1]) / 2


def best_bandwidth(running: np.ndarray, outcome: np.ndarray) -> float:
    """Return Imbens & Kalyanaraman's bandwidth for a local line at the cut-off, triangular kernel.

    Args:
        running: score less cut-off.
        outcome: the outcome, any unit.

    Returns:
        the bandwidth in units of running, at most the whole range.
    """
    n, spread = len(running), running.std()
    pilot = 1.84 * spread * n ** (-1 / 5)
    left, right = running <= 0, running > 0
    close = np.abs(running) <= pilot
    density = max(close.sum(), 1) / (2 * n * pilot)
    variance = np.mean(
        [
            outcome[close & side].var() if (close & side).sum() > 1 else outcome.var()
            for side in (left, right)
        ]
    )
    # The third derivative, from a cubic with a jump, gives the pilots of the curvatures.
    design = np.column_stack([np.ones(n), right, running, running**2, running**3])
    third = 6 * np.linalg.lstsq(design, outcome, rcond=None)[0][4]
    curvature, regularisation = [], 0.0
    for side in (left, right):
        size = side.sum()
        width = 3.56 * (variance / (density * max(third**2, 1e-3))) ** (1 / 7) * size ** (-1 / 7)
        inside = side & (
            np.abs(running) <= max(width, np.sort(np.abs(running[side]))[min(LEAST, size) - 1])
        )
        part = running[inside]
        square = np.linalg.lstsq(
            np.column_stack([np.ones(len(part)), part, part**2]), outcome[inside], rcond=None
        )[0][2]
        curvature.append(2 * square)
        regularisation += 2160 * variance / (len(part) * max(np.abs(part).max(), 1e-9) ** 4)
    bend = (curvature[1] - curvature[0]) ** 2 + regularisation
    best = _KERNEL * (2 * variance / (density * bend)) ** (1 / 5) * n ** (-1 / 5)
    return float(min(best, np.abs(running).max() * 1.01))


def _even(running: np.ndarray) -> bool:
    """Tell whether the pupils nearest the cut-off lie on both sides as evenly as chance has it."""
    nearest = running[np.argsort(np.abs(running), kind="stable")[:DENSITY_PUPILS]]
    return bool(binomtest(int((nearest <= 0).sum()), len(nearest)).pvalue >= ALPHA)
