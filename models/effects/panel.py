"""Design C: difference-in-differences of schools that start a response in different years."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from models.effects.estimate import (
    ALPHA,
    DETECTABLE_ERRORS,
    FEW_SCHOOLS,
    TREND_ALPHA,
    Estimate,
)
from models.effects.group_time import Comparisons, compare
from models.effects.reversion import mean_reversion
from models.effects.school_panel import SERIES, SchoolPanel, levels_around_start, read_panel

LEVEL_BEFORE = "level_before_sd"
CHECKED_YEARS = 3  # before the start; with fewer a trend and one year's luck look alike


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

    *Trend*: the slope over all years before the start, served less other schools, by the same
    assignments. Towards the effect it is the doubt `pre_trend`, already where chance alone would
    show as much in 15 of 100 designs: at .05 harmful trends are seen too seldom (Roth 2022).

    *Mean reversion*: a last year that stands out against the effect hints at schools chosen by that
    year's luck (Ashenfelter's dip; doubt `mean_reversion`): it is then no base. With few schools a
    choice by the levels can seldom be ruled out (`mean_reversion` in `reversion.py`); the estimate
    is then the one at equal levels before the start (`level_adjusted`; a grade down with fewer than
    three years before): the slope of the change on the level, as the compared schools show it, is
    taken out. Schools chosen by their levels have the effect there, schools chosen by what lasts
    have it in the plain difference, and others between (Ding & Li 2019): how far the two are apart
    is the estimate's bias. Where the level cannot be adjusted for, the plain difference stays
    (`reversion_unchecked`). Where last year's results are known to have decided, hand in
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
        (fewer than five with the response), single_pre_year, mean_reversion, level_adjusted,
        reversion_unchecked, pre_trend, placebo_subject.

    Raises:
        ValueError: if a column lacks, a cell comes twice or contradicts itself; names the cells.

    Source: Callaway & Sant'Anna (2021), J. Econometrics 225(2); Ferman & Pinto (2019), REStat
    101(3); MacKinnon & Webb (2020), J. Econometrics 218(2); Ashenfelter (1978), REStat 60(1); Roth
    (2022), AER: Insights 4(3); Ding & Li (2019), Political Analysis 27(4); R61.
    """
    outcomes = ("outcome_sd", *([placebo] if placebo else []))

    def attempt(years: int, *, by_level: bool = False) -> tuple[Estimate, bool, int]:
        known = read_panel(
            _with_level(cells, years) if by_level else cells,
            outcomes=outcomes,
            covariates=[*covariates, *([LEVEL_BEFORE] if by_level else [])],
            strata=strata,
            year_noise_sd=year_noise_sd,
            anticipation_years=years,
        )
        return _estimate(known, placebo, years, draws, seed)

    estimate, dipped, years = attempt(anticipation_years)
    if estimate.effect_sd is None or not (dipped or _may_revert(cells, anticipation_years)):
        return estimate
    # Told once, by the years and schools as they are.
    told = {"pre_trend", "no_pre_period"} & {*estimate.doubts}
    if dipped:
        again, still, _ = attempt(anticipation_years + 1)
        return _with(again, "mean_reversion", *told, down=still)
    level, *_ = attempt(anticipation_years, by_level=True)
    level = replace(level, doubts=tuple(code for code in level.doubts if code != "pre_trend"))
    if level.effect_sd is None:
        return _with(estimate, "reversion_unchecked", down=True)
    apart = abs(level.effect_sd - estimate.effect_sd)
    level = replace(level, shown_bias_sd=apart)
    return _with(level, "level_adjusted", *told, down=years < CHECKED_YEARS)


def _with_level(cells: pl.DataFrame, anticipation_years: int) -> pl.DataFrame:
    """Return the cells with each school's level before the first start, where it is known."""
    series = [name for name in SERIES if name in cells.columns]
    # A school that was served from the first year on has no level before, and is left out anyway.
    clean = cells.filter(
        pl.col("outcome_sd").is_not_null(),
        pl.col("started_year").is_null()
        | (pl.col("school_year") < pl.col("started_year") - anticipation_years),
    )
    before = (
        clean.filter(pl.col("school_year") < pl.col("started_year").min() - anticipation_years)
        .sort("semel_mosad", "school_year", *series)
        .with_columns(
            pl.col("outcome_sd") - pl.col("outcome_sd").mean().over("school_year", *series)
        )
        .group_by("semel_mosad")
        .agg(pl.col("outcome_sd").mean().alias(LEVEL_BEFORE))
    )
    return cells.join(before, on="semel_mosad")


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
) -> tuple[Estimate, bool, int]:
    """Return the estimate, whether the last base year stands out against it, and the base years."""
    doubts = {"no_pre_period"} if known.left_out else set()
    comparisons = compare(
        known, "outcome_sd", anticipation_years=anticipation_years, draws=draws, seed=seed
    )
    if comparisons is None:
        return Estimate("E", doubts=tuple(sorted(doubts | {"too_few_schools"}))), False, 0
    main = comparisons.average(comparisons.served_years)
    if main is None or main.share <= 0:
        return Estimate("E", doubts=tuple(sorted(doubts | {"nothing_served"}))), False, 0
    if comparisons.slots.size < FEW_SCHOOLS:
        doubts.add("few_schools")
    per_share = main.value / main.share
    control = shown = comparisons.average(comparisons.last_base_years, per_share)
    if control is None:
        doubts.add("single_pre_year")
    trend = comparisons.average(comparisons.trend_years, per_share)
    if trend and trend.value * main.value > 0 and trend.p_value < 2 * TREND_ALPHA:
        doubts.add("pre_trend")
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
    dipped = bool(control and control.value * main.value < 0 and control.p_value < ALPHA)
    return estimate, dipped, int(comparisons.years_before.sum(axis=1).max())


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
