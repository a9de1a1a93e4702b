"""Design C: difference-in-differences of schools that start a response in different years."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from models.effects.estimate import ALPHA, DETECTABLE_ERRORS, FEW_SCHOOLS, Estimate
from models.effects.group_time import Comparisons, compare
from models.effects.reversion import mean_reversion
from models.effects.school_panel import SchoolPanel, levels_around_start, read_panel


def panel(
    cells: pl.DataFrame,
    *,
    seed: int,
    draws: int = 999,
    covariates: Sequence[str] = (),
    strata: str | None = None,
    placebo: str | None = None,
    year_noise_sd: float = 0.085,
    anticipation_years: int = 0,
) -> Estimate:
    """Estimate one response's effect on one subject from schools before and after they start.

    Group-time effects with not-yet-served schools (never served ones among them) as controls, each
    against the mean of all measured years before the start; no two-way fixed effects, which mix
    early starters into the controls of late ones. The effect of the offer (ITT) is their mean
    weighted by tested pupils; the effect on who takes part is ITT / served share. The share is
    counted, not estimated, so the ratio's error is the ITT's divided by it.

    Error and p-value come from random assignments of the real starts to schools (`Comparisons`):
    with 2-10 served schools a cluster-robust error has too little to go on (MacKinnon & Webb 2020).
    The estimate is of the served schools' own mean effect.

    Left out: years after a school stopped (who left keeps part of the gain and is not untreated
    again; served_share 0 after the start), and served schools with no measured year before.

    Placebos: the last year before the start against the earlier ones and, if given, a subject that
    the response does not teach. A last year that stands out hints at schools chosen by that year's
    luck (Ashenfelter's dip; doubt `mean_reversion`), and with few schools such a choice can seldom
    be ruled out (`mean_reversion` in `reversion.py`). The last year is then no base: at once where
    it stands out; where it only might have decided, if each school keeps a base without it and the
    years before it can still be checked (`last_year_left_out`). Else the estimate stays, a grade
    down (`reversion_unchecked`). Where last year's results are known to have decided, hand in
    anticipation_years=1.

    Args:
        cells: one row per school × year, or per school × grade × year with a column `grade`
            (comparisons then stay inside one grade, so that a school may test different grades in
            different years), both also by `scale_id` where given. Columns: semel_mosad,
            school_year, outcome_sd (mean score in pupil SD, null = not measured), pupils (tested),
            served_share (share of tested pupils with the response × their mean dose, 0..1),
            started_year (first year served; null = never).
        seed: of the random assignments.
        draws: random assignments; their p-values have steps of 1 / (draws + 1).
        covariates: lasting school background (such as the nurture index) whose linear link with the
            trend, as found among the controls, is taken out.
        strata: column of schools that could have exchanged their starts (such as the stream).
        placebo: column with the mean score of an unrelated subject.
        year_noise_sd: spread of a school's years that its pupils' number does not explain (school-
            year and school × subject × year); sets the weight of small schools, not the error.
        anticipation_years: years before the start that are no base.

    Returns:
        Grade C; D if the years before the start cannot be checked, a placebo fails or reversion
        stays possible; E with no effect if nothing can be compared. `placebo_sd` is the unrelated
        subject's, or else the last year's before the start, on the effect's scale. Pupils are
        counted once a year. Doubts: too_few_schools, nothing_served, no_pre_period, few_schools
        (fewer than five with the response), single_pre_year, mean_reversion, last_year_left_out,
        reversion_unchecked, pre_trend, placebo_subject.

    Raises:
        ValueError: if a column lacks, a cell comes twice or contradicts itself; names the cells.

    Source: Callaway & Sant'Anna (2021), J. Econometrics 225(2); Ferman & Pinto (2019), REStat
    101(3); MacKinnon & Webb (2020), J. Econometrics 218(2); Ashenfelter (1978), REStat 60(1); R61.
    """
    outcomes = ("outcome_sd", *([placebo] if placebo else []))

    def attempt(years: int) -> tuple[Estimate, bool, int]:
        known = read_panel(
            cells,
            outcomes=outcomes,
            covariates=covariates,
            strata=strata,
            year_noise_sd=year_noise_sd,
            anticipation_years=years,
        )
        return *_estimate(known, placebo, years, draws, seed), len(known.left_out)

    estimate, dipped, left_out = attempt(anticipation_years)
    if estimate.effect_sd is None or not (dipped or _may_revert(cells, anticipation_years)):
        return estimate
    again, still, left_out_again = attempt(anticipation_years + 1)
    checked = "single_pre_year" not in again.doubts and again.effect_sd is not None
    if dipped:
        return _with(again, "mean_reversion", *(["pre_trend"] if still else []), down=still)
    if checked and left_out_again == left_out:
        return _with(again, "last_year_left_out", *(["pre_trend"] if still else []), down=still)
    return _with(estimate, "reversion_unchecked", down=True)


def _may_revert(cells: pl.DataFrame, anticipation_years: int) -> bool:
    """Tell whether schools may have been chosen by a last level that is still part of the base."""
    if anticipation_years:
        return False
    reversion = mean_reversion(levels_around_start(cells))
    return reversion is None or reversion.selected_on != "lasting_level"


def _with(estimate: Estimate, *doubts: str, down: bool) -> Estimate:
    grade = "D" if down and estimate.design_grade == "C" else estimate.design_grade
    return replace(estimate, design_grade=grade, doubts=tuple(sorted({*estimate.doubts, *doubts})))


def _estimate(
    known: SchoolPanel, placebo: str | None, anticipation_years: int, draws: int, seed: int
) -> tuple[Estimate, bool]:
    """Return the estimate, and whether the last base year stands out from the earlier ones."""
    doubts = {"no_pre_period"} if known.left_out else set()
    comparisons = compare(
        known, "outcome_sd", anticipation_years=anticipation_years, draws=draws, seed=seed
    )
    if comparisons is None:
        return Estimate("E", doubts=tuple(sorted(doubts | {"too_few_schools"}))), False
    main = comparisons.average(comparisons.served_years)
    if main is None or main.share <= 0:
        return Estimate("E", doubts=tuple(sorted(doubts | {"nothing_served"}))), False
    if comparisons.slots.size < FEW_SCHOOLS:
        doubts.add("few_schools")
    per_share = main.value / main.share
    control = shown = comparisons.average(comparisons.last_base_years, per_share)
    if control is None:
        doubts.add("single_pre_year")
    if placebo:
        other = compare(
            known, placebo, anticipation_years=anticipation_years, draws=draws, seed=seed
        )
        unrelated = other.average(other.served_years) if other is not None else None
        if unrelated is not None:
            shown = unrelated
            if unrelated.p_value < ALPHA:
                doubts.add("placebo_subject")
    treated, compared, clusters = _counts(comparisons)
    estimate = Estimate(
        design_grade="D" if doubts & {"single_pre_year", "placebo_subject"} else "C",
        effect_sd=per_share,
        effect_se_sd=main.se / main.share,
        itt_sd=main.value,
        itt_se_sd=main.se,
        p_value=main.p_value,
        treated_pupils=treated,
        control_pupils=compared,
        clusters=clusters,
        placebo_sd=None if shown is None else shown.value / main.share,
        placebo_se_sd=None if shown is None else shown.se / main.share,
        mde_sd=float(DETECTABLE_ERRORS * main.se / main.share),
        doubts=tuple(sorted(doubts)),
    )
    return estimate, control is not None and control.p_value < ALPHA


def _counts(comparisons: Comparisons) -> tuple[int, int, int]:
    """Return pupils with the response and pupils compared with them, once a year, and schools."""
    panel, slots = comparisons.panel, comparisons.slots
    measured = ~np.isnan(panel.values["outcome_sd"])
    cell = (comparisons.weight[0] > 0) & comparisons.served_years
    with_response = (panel.pupils * panel.share * measured)[slots].sum(axis=1)[cell].sum()
    years = cell.any(axis=0)
    clean = panel.start[:, None] - comparisons.anticipation_years > panel.years
    compared = measured & clean[:, None] & years
    schools = set(np.flatnonzero(compared.any(axis=(1, 2)))) | set(slots[cell.any(axis=1)])
    return round(float(with_response)), round(float((panel.pupils * compared).sum())), len(schools)
