"""Whether pupils are absent less where a response reaches them: some responses' goal (R59, R61).

The unit is absence days saved per 100 school days. Designs, grades, biases and the rules of a
verdict are those of effects on scores, on absence in pupil SD; only what is told is turned back
into days.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl
from scipy.stats import norm

from models.effects import (
    Estimate,
    combine,
    design_frame,
    local_estimates,
    matched,
    verdicts,
)
from models.effects.estimate import ALPHA
from pipelines.decide import pupils as columns
from pipelines.decide.effects import FOLD_DRAWS, OTHER_DOSES, by_design, compared, other_doses
from pipelines.decide.side_by_side import side_by_side
from pipelines.settings.city import CityFolder
from pipelines.warehouse.tables import Step, Tables, nothing

ABSENCE = "absence"
MADE = "mart_effect_absence"
_LEVEL = "level_before_sd"
_DAYS = {
    "effect_sd": "absence_saved",
    "effect_lo_sd": "absence_saved_lo",
    "effect_hi_sd": "absence_saved_hi",
    "local_sd": "absence_saved_local",
    "local_se_sd": "absence_saved_local_se",
    "placebo_sd": "absence_placebo",
    "placebo_se_sd": "absence_placebo_se",
}


def absences(city: CityFolder, tables: Tables) -> Tables:
    """Return what each targeted response does to its participants' absence (`mart_effect_absence`).

    A response whose goal is measured by absence (policy: `goal_absence`) has a verdict; of the
    others the estimate is side information.
    """
    entries, absence = tables["core_response_entry"], tables["core_pupil_level"]["absence_pct"]
    if entries.is_empty() or absence.null_count() == len(absence):
        return {MADE: nothing(MADE)}
    policy = city.policy.effects
    people, spread_pct = _in_sd(columns.pupil_years(tables))
    designs = design_frame(
        _estimates(
            people,
            entries.filter(pl.col("response_id").is_in(list(city.policy.responses))),
            policy.seed.value,
        ),
        school_spread_sd=policy.school_spread_sd.value,
        bias_sd=policy.bias_sd.value.model_dump(),
        doubts=policy.doubts.value.model_dump(),
    )
    posterior = combine(
        _expected(designs["response_id"].unique().sort(), policy.absence_spread.value / spread_pct),
        local_estimates(designs),
    )
    goals = [key for key in city.policy.responses if city.policy.has_goal_absence(key)]
    judged = verdicts(
        posterior,
        posterior.filter(pl.col("response_id").is_in(goals)).select("response_id", "subject"),
        worthwhile_sd=policy.worthwhile_absence.value / spread_pct,
        sure=policy.sure.value,
        own_error=policy.own_error.value,
        least_information=policy.least_information.value,
    )
    return {MADE: _in_days(judged, posterior, designs, spread_pct)}


def _estimates(
    people: pl.DataFrame, entries: pl.DataFrame, seed: int
) -> dict[tuple[str, str, str], Estimate]:
    """Return each response's estimates by lot, by score and by comparison, in SD of absence."""

    def of_response(response_id: str) -> dict[tuple[str, str, str], Estimate]:
        listed = entries.filter(pl.col("response_id") == response_id)
        found = by_design(people, listed, response_id, ABSENCE, [ABSENCE], [], seed)
        return found | {
            (response_id, ABSENCE, "matching"): _matching(people, listed, response_id, seed)
        }

    parts = side_by_side(of_response, sorted(entries["response_id"].unique()))
    return {key: estimate for part in parts for key, estimate in part.items()}


def _in_days(
    judged: pl.DataFrame, posterior: pl.DataFrame, designs: pl.DataFrame, spread_pct: float
) -> pl.DataFrame:
    """Return the verdicts with what they rest on, in days of absence per 100 school days."""
    used = (
        designs.filter("is_used")
        .sort("response_id", "design_grade", "design")
        .group_by("response_id", maintain_order=True)
        .agg(
            pl.col("design").str.join(",").alias("designs"),
            pl.col("control_pupils").sum(),
            pl.col("placebo_sd", "placebo_se_sd").first(),
        )
    )
    rests_on = posterior.select("response_id", "treated_pupils", "schools", "doubts")
    return (
        judged.filter(pl.col("subject") == ABSENCE)
        .join(rests_on, on="response_id")
        .join(used, on="response_id", how="left")
        .with_columns(
            pl.col("is_target").alias("is_goal"),
            *((pl.col(name) * spread_pct).alias(days) for name, days in _DAYS.items()),
        )
        .select(nothing(MADE).columns)
    )


def _in_sd(people: pl.DataFrame) -> tuple[pl.DataFrame, float]:
    """Return pupil years with absence as a score, SD less absent than the city, and that SD."""
    spread = people["absence_pct"].std()
    if not isinstance(spread, float) or spread <= 0:
        spread = 1.0
    lagged = {
        "absence_pct": columns.score,
        "absence_before_pct": columns.before,
        "absence_earlier_pct": columns.earlier,
    }
    levels = [name for name in people.columns if name.startswith(columns.before(""))]
    return (
        people.with_columns(
            pl.mean_horizontal(levels).alias(_LEVEL),
            *((-pl.col(name) / spread).alias(of(ABSENCE)) for name, of in lagged.items()),
        ),
        spread,
    )


def _matching(people: pl.DataFrame, listed: pl.DataFrame, response_id: str, seed: int) -> Estimate:
    """Return the days saved by who starts the response, against others of the school and grade.

    What a pupil is absent usually shows in one year with as much luck as an ability in one test,
    and whoever is absent usually is chosen: earlier absence takes it out of the outcome as earlier
    scores do. Where one year's absence does not tell of the next, nothing lasting is there to be
    chosen by; both earlier years are then held constant, and last year's, given the year before, is
    the placebo.
    """
    rows, schools = compared(people, listed, response_id)
    before, earlier = columns.before(ABSENCE), columns.earlier(ABSENCE)
    given = rows.select(
        pl.col("pupil_hash").alias("pupil_id"),
        "school_year",
        "semel_mosad",
        "grade",
        *columns.BACKGROUND,
        before,
        earlier,
        _LEVEL,
        pl.sum_horizontal(other_doses(people, response_id)).alias(OTHER_DOSES),
        pl.col(columns.dose(response_id)).alias("dose"),
        pl.col(columns.dose_before(response_id)).alias("dose_before"),
        pl.col(columns.score(ABSENCE)).alias("outcome_sd"),
    )
    always = [*columns.BACKGROUND, _LEVEL, OTHER_DOSES]
    usual = matched(
        given,
        covariates=always,
        priors=[before],
        earlier=[earlier],
        seed=seed,
        most_draws=FOLD_DRAWS,
    )
    if "prior_uncorrectable" not in usual.doubts:
        return replace(usual, schools=schools)
    held = matched(
        given, covariates=[*always, before, earlier], priors=[], seed=seed, most_draws=FOLD_DRAWS
    )
    placebo = matched(
        given.with_columns(outcome_sd=before),
        covariates=[*always, earlier],
        priors=[],
        seed=seed,
        most_draws=FOLD_DRAWS,
    )
    doubts = set(held.doubts)
    if placebo.effect_sd is not None and placebo.effect_se_sd:
        doubts.discard("no_placebo")
        if abs(placebo.effect_sd) > norm.ppf(1 - ALPHA / 2) * placebo.effect_se_sd:
            doubts.add("placebo_fails")
    return replace(
        held,
        schools=schools,
        placebo_sd=placebo.effect_sd,
        placebo_se_sd=placebo.effect_se_sd,
        doubts=tuple(sorted(doubts)),
    )


def _expected(responses: pl.Series, spread_sd: float) -> pl.DataFrame:
    """Return what is expected before any data: no effect, give or take the policy's spread."""
    return responses.to_frame().with_columns(
        subject=pl.lit(ABSENCE), prior_sd=0.0, prior_se_sd=spread_sd, transport_discount=1.0
    )


STEPS = (
    Step(
        "effects_on_absence",
        "decide",
        makes=(MADE,),
        reads=columns.READS,
        compute=absences,
    ),
)
