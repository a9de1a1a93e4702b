"""What counts of each response: effects on what measures its goals, by their evidence (R122)."""

from __future__ import annotations

import polars as pl

from models.effects import evidence_shares
from models.keys import PAIR
from pipelines.decide.effects import RESPONSE_SUBJECT, goal_subjects
from pipelines.settings.city import CityFolder
from pipelines.warehouse.tables import Step, Tables, schema_of

READS = ("mart_effect", "mart_effect_absence")
ABSENCE = "absence"
# Half of a 90 % interval in errors of a normal.
_REACH = 1.6448536269514722


def counted_effects(city: CityFolder, tables: Tables) -> pl.DataFrame:
    """Return the effects that count in a plan's worth: response_id, subject, effect_sd and error.

    Effects on the tests that measure a goal of the response, where more than an assumption stands
    behind them; absence saved, where absence measures a goal and the policy registers what a day is
    worth in pupil SD (subject "absence").
    """
    figures = ["effect_sd", "effect_se_sd"]
    by_tests = (
        tables["mart_effect"]
        .join(goal_subjects(city), on=RESPONSE_SUBJECT, how="semi")
        .filter(pl.col("is_measured") | (pl.col("transport_discount") > 0))
        .select(*RESPONSE_SUBJECT, *figures)
    )
    rate = city.policy.effects.sd_per_absence
    if rate is None:
        return by_tests
    error = (pl.col("absence_saved_hi") - pl.col("absence_saved_lo")) / (2 * _REACH)
    by_absence = (
        tables["mart_effect_absence"]
        .filter("is_goal", pl.col("absence_saved_local").is_not_null())
        .select(
            "response_id",
            pl.lit(ABSENCE).alias("subject"),
            effect_sd=rate.value * pl.col("absence_saved"),
            effect_se_sd=rate.value * error,
        )
    )
    return pl.concat([by_tests, by_absence])


def subject_fit(tables: Tables) -> pl.DataFrame:
    """Return how far each subject counts in a school: fit, more where likelier below, mean 1."""
    measured = tables["mart_gap_school"].filter(pl.col("subject") != "all")
    # Joins and groups come in any order, and a mean of floats depends on it.
    city_level = (
        measured.sort("subject", "semel_mosad")
        .group_by("subject", maintain_order=True)
        .agg(pl.col("p_below_target").mean().alias("city_p"))
    )
    return (
        tables["mart_need_index"]
        .select("semel_mosad")
        .join(city_level, how="cross")
        .join(
            measured.select("semel_mosad", "subject", "p_below_target"),
            on=["semel_mosad", "subject"],
            how="left",
        )
        .with_columns(pl.coalesce("p_below_target", "city_p", pl.lit(0.5)).alias("p"))
        .sort("semel_mosad", "subject")
        .with_columns(
            (pl.col("p") / pl.col("p").mean().over("semel_mosad")).fill_nan(1.0).alias("fit")
        )
    )


def gains(city: CityFolder, tables: Tables) -> pl.DataFrame:
    """Return what a participant at full dose gains in each school, subject by subject.

    Returns:
        semel_mosad, response_id, subject, subject_weight (the school's fit ÷ the city's subjects; 1
        of absence), effect_sd, effect_se_sd; the gain is Σ weight · effect.
    """
    fit = subject_fit(tables)
    subjects = max(fit["subject"].n_unique(), 1)
    weights = pl.concat(
        [
            fit.select("semel_mosad", "subject", subject_weight=pl.col("fit") / subjects),
            tables["mart_need_index"].select(
                "semel_mosad", subject=pl.lit(ABSENCE), subject_weight=pl.lit(1.0)
            ),
        ]
    )
    return (
        weights.join(counted_effects(city, tables), on="subject")
        .select(*PAIR, "subject", "subject_weight", "effect_sd", "effect_se_sd")
        .sort(*PAIR, "subject")
    )


def mean_effects(city: CityFolder, tables: Tables) -> pl.DataFrame:
    """Return each response's counted effect on a participant, subjects weighing alike.

    Returns:
        response_id, effect_sd, effect_se_sd (errors of subjects go together), by response; one of
        which nothing counts has 0 and 0.
    """
    measured = tables["mart_gap_school"].filter(pl.col("subject") != "all")["subject"]
    subjects = max(measured.n_unique(), 1)
    is_counted = pl.col("subject").is_in([*measured.unique(), ABSENCE])
    each = pl.when(pl.col("subject") == ABSENCE).then(1.0).otherwise(1 / subjects)
    found = (
        counted_effects(city, tables)
        .filter(is_counted)
        .sort(RESPONSE_SUBJECT)
        .group_by("response_id", maintain_order=True)
        .agg((pl.col("effect_sd", "effect_se_sd") * each).sum())
    )
    every = pl.DataFrame(
        {"response_id": sorted(city.policy.responses)}, schema={"response_id": pl.String}
    )
    return every.join(found, on="response_id", how="left").with_columns(
        pl.col("effect_sd", "effect_se_sd").fill_null(0.0)
    )


def uncounted(city: CityFolder, tables: Tables) -> dict[str, str]:
    """Return the responses of schools of which nothing counts in a plan's worth, and why."""
    policy = city.policy
    counted = set(counted_effects(city, tables)["response_id"])
    return {
        response_id: (
            "assumed_only"
            if policy.goal_subjects(response_id)
            else "no_exchange_rate"
            if policy.has_goal_absence(response_id) and policy.effects.sd_per_absence is None
            else "not_estimated"
            if policy.has_goal_absence(response_id)
            else "no_measure"
        )
        for response_id in policy.school_responses
        if response_id not in counted
    }


def evidence(city: CityFolder, tables: Tables) -> Tables:
    """Return what each response serves and is judged by, and what its judgement rests on (R122)."""
    policy = city.policy
    why = uncounted(city, tables)
    goals = [
        (
            response_id,
            goal,
            policy.goals[goal].name_he,
            "tests" if item.subjects else "absence" if item.has_absence else "none",
        )
        for response_id in policy.responses
        for goal, item in policy.goal_measures(response_id).items()
    ]
    shares = evidence_shares(
        tables["mart_effect"].join(goal_subjects(city), on=RESPONSE_SUBJECT, how="semi"),
        tables["mart_effect_design"].rename(
            {"design_sd": "effect_sd", "design_se_sd": "effect_se_sd"}
        ),
        assumed=[name for name in policy.responses if policy.is_assumed(name)],
    )
    return {
        "mart_response_goal": pl.DataFrame(
            goals,
            schema=schema_of("response_id", "goal_id", "goal_name_he", "goal_measure"),
            orient="row",
        ).with_columns(
            uncounted_reason=pl.col("response_id").replace_strict(
                why, default=None, return_dtype=pl.String
            )
        ),
        "mart_response_evidence": shares,
    }


STEPS = (
    Step(
        "goals",
        "decide",
        makes=("mart_response_goal", "mart_response_evidence"),
        reads=(*READS, "mart_effect_design"),
        compute=evidence,
    ),
)
