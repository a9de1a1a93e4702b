"""What each response does: every design its assignment allows, and the literature (R61–R63)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from models.effects import (
    Estimate,
    combine,
    cut_off,
    design_frame,
    group_effect,
    local_estimates,
    lottery,
    matched,
    panel,
    sensitivity,
    threshold,
    verdicts,
)
from models.keys import WHOLE
from pipelines.decide import pupils as columns
from pipelines.decide.side_by_side import side_by_side
from pipelines.settings.city import CityFolder
from pipelines.warehouse.tables import Step, Tables, schema_of

RESPONSE_SUBJECT = ["response_id", "subject"]
# Schools that gave places by lot or by a score have a design of their own; the rest is compared
# pupil by pupil.
BY_DESIGN = ("lottery", "threshold")
OTHER_DOSES = "dose_of_others"
# One is enough beside a design bias of .10: what the folds' luck moves is below a hundredth.
FOLD_DRAWS = 1


def priors(city: CityFolder) -> pl.DataFrame:
    """Return the prior effect of each response on each subject it is known for, with its source.

    Of an assumption nothing is carried here: its transport_discount is 0 (R122).
    """
    works = city.policy.works
    rows = [
        (
            response_id,
            subject,
            effect.mean,
            effect.sd,
            city.policy.carried_share(response_id),
            response.effect_source,
        )
        for response_id, response in city.policy.responses.items()
        for subject, effect in response.effects.items()
    ]
    named = {key: f"{work.authors} {work.year}" for key, work in works.items()}
    return pl.DataFrame(
        rows,
        schema=schema_of(
            *RESPONSE_SUBJECT, "prior_sd", "prior_se_sd", "transport_discount", "source"
        ),
        orient="row",
    ).with_columns(pl.col("source").replace(named))


def goal_subjects(city: CityFolder) -> pl.DataFrame:
    """Return the subjects each response is judged by: those that measure its goal (R59).

    A response whose goal no test measures has none; its effects on scores are side information.
    """
    rows = [
        (key, subject)
        for key in city.policy.responses
        for subject in city.policy.goal_subjects(key)
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(RESPONSE_SUBJECT, pl.String), orient="row")


def effects(city: CityFolder, tables: Tables) -> Tables:
    """Return every design's estimate, the posterior effects, those on groups, and the verdicts."""
    known, policy = priors(city), city.policy.effects
    registered = known.select(RESPONSE_SUBJECT)
    # Without pupils or a report of who takes part there is nothing to estimate from.
    is_silent = tables["core_pupil_outcome"].is_empty() or tables["core_panel_cell"].is_empty()
    found = {} if is_silent else _estimates(city, tables, registered)
    designs = design_frame(
        found,
        school_spread_sd=policy.school_spread_sd.value,
        bias_sd=policy.bias_sd.value.model_dump(),
        doubts=policy.doubts.value.model_dump(),
    )
    posterior = combine(
        known.drop("source"),
        local_estimates(designs).join(registered, on=RESPONSE_SUBJECT, how="semi"),
    )
    by_group = _groups(found, posterior, policy.group_spread_sd.value)
    whole = posterior.with_columns(pl.lit(WHOLE).alias("group_id"))
    judged = verdicts(
        pl.concat([whole.select(by_group.columns), by_group]),
        goal_subjects(city),
        side_effects=registered,
        worthwhile_sd=policy.worthwhile_sd.value,
        sure=policy.sure.value,
        own_error=policy.own_error.value,
        least_information=policy.least_information.value,
    )
    return {
        "mart_effect_design": (
            with_sensitivity(designs).rename(
                {"effect_sd": "design_sd", "effect_se_sd": "design_se_sd"}
            )
        ),
        "mart_effect": posterior.join(
            known.select(*RESPONSE_SUBJECT, "source"), on=RESPONSE_SUBJECT
        ),
        "mart_verdict": judged_by_absence(
            judged.with_columns(pl.col("group_id").fill_null(WHOLE)), tables["mart_effect_absence"]
        ),
    }


def judged_by_absence(judged: pl.DataFrame, absence: pl.DataFrame) -> pl.DataFrame:
    """Return the verdicts, with that on absence for responses whose goal absence measures (R59).

    The row "all" of such a response holds no effect: its unit is days, which `mart_effect_absence`
    tells. A response whose goals tests measure, too, keeps the verdict on tests.
    """
    tested = judged.filter("is_target", pl.col("subject") != WHOLE).select("response_id").unique()
    key = ["response_id", "group_id", "subject"]
    by_absence = [
        "design_grade",
        "p_positive",
        "p_worthwhile",
        "information_pct",
        "verdict",
        "verdict_reason",
        "is_effective",
    ]
    goals = (
        absence.filter("is_goal")
        .join(tested, on="response_id", how="anti")
        .select("response_id", *by_absence, group_id=pl.lit(WHOLE), subject=pl.lit(WHOLE))
    )
    return judged.update(goals, on=key)


def with_sensitivity(designs: pl.DataFrame) -> pl.DataFrame:
    """Return the designs with what an unmeasured confounder would need to explain them away (R61).

    Asked of designs that only observe, and measured something; where places were given by lot or by
    a score it is no question. The robustness value is for matching alone: it counts pupils as if
    each were independent, and a panel's error does not.
    """
    key = [*RESPONSE_SUBJECT, "design"]
    asked = designs.filter(
        pl.col("design").is_in(("matching", "panel")),
        pl.col("effect_sd").is_not_null(),
        pl.col("effect_se_sd") > 0,
    ).with_columns(dof=pl.col("treated_pupils") + pl.col("control_pupils"))
    found = sensitivity(asked.filter(pl.col("dof") > 1)).select(
        *key,
        "e_value",
        "e_value_limit",
        *(
            pl.when(pl.col("design") == "matching").then(name).alias(name)
            for name in ("robustness_pct", "robustness_limit_pct")
        ),
    )
    return designs.join(found, on=key, how="left", maintain_order="left")


def _estimates(
    city: CityFolder, tables: Tables, registered: pl.DataFrame
) -> dict[tuple[str, str, str], Estimate]:
    """Return the estimate of each response, subject and design for which there are data."""
    groups = city.policy.effects.groups
    people = columns.with_groups(columns.pupil_years(tables), tables, groups)
    entries = tables["core_response_entry"]
    taught = registered.group_by("response_id", maintain_order=True).agg("subject")
    subjects = sorted(tables["core_pupil_outcome"]["subject"].unique())
    seed = city.policy.effects.seed.value

    def of_response(asked: tuple[str, list[str]]) -> dict[tuple[str, str, str], Estimate]:
        response_id, own = asked
        found: dict[tuple[str, str, str], Estimate] = {}
        others = [name for name in subjects if name not in own]
        listed = entries.filter(pl.col("response_id") == response_id)
        cells = tables["core_panel_cell"].filter(pl.col("response_id") == response_id)
        lag = city.policy.responses[response_id].lag_years
        for subject in (name for name in own if name in subjects):
            key = (response_id, subject)
            if not listed.is_empty():
                found |= by_design(people, listed, *key, subjects, others, seed)
                found[*key, "matching"] = _matching(
                    people, listed, *key, subjects, others, groups, seed
                )
            if not cells.is_empty():
                found[*key, "panel"] = _panel(cells, subject, others, lag, seed)
        return found

    parts = side_by_side(of_response, taught.iter_rows())
    return {key: estimate for part in parts for key, estimate in part.items()}


def by_design(
    people: pl.DataFrame,
    listed: pl.DataFrame,
    response_id: str,
    subject: str,
    subjects: list[str],
    others: list[str],
    seed: int,
) -> dict[tuple[str, str, str], Estimate]:
    """Return the estimates where places went by lot or by a score: one draw a school and year.

    Args:
        people: `pupil_years`; the outcome is the score of the subject.
        listed: the entries of the response.
        response_id: the response.
        subject: what is measured.
        subjects: whose earlier scores are held constant.
        others: what the response cannot have changed; the first is the placebo.
        seed: of the randomisation inference.
    """
    past = [make(name) for name in subjects for make in (columns.before, columns.earlier)]
    known = [*columns.BACKGROUND, "absence_before_pct", *past]
    placebo = columns.score(others[0]) if others else None
    rows = (
        people.drop("semel_mosad")
        .join(listed.filter(pl.col("assignment_mechanism").is_in(BY_DESIGN)), on=columns.PUPIL_YEAR)
        .select(
            "assignment_mechanism",
            "is_offered",
            "dose",
            "selection_score",
            *known,
            "semel_mosad",
            pl.concat_str("semel_mosad", "school_year", separator="|").alias("stratum"),
            pl.col("pupil_hash").alias("unit"),
            pl.col(columns.score(subject)).alias("outcome_sd"),
            *([placebo] if placebo else []),
        )
    )
    drawn = rows.filter(pl.col("assignment_mechanism") == "lottery")
    scored = rows.filter(
        pl.col("assignment_mechanism") == "threshold", pl.col("selection_score").is_not_null()
    )
    found = {}
    if not drawn.is_empty():
        estimate = lottery(
            drawn, covariates=known, placebo=placebo, cluster=_luck(drawn), seed=seed
        )
        found[response_id, subject, "lottery"] = replace(estimate, schools=_schools(drawn))
    if not scored.is_empty():
        with_cut = _from_cut_off(scored)
        estimate = threshold(with_cut, covariates=known, placebo=placebo, cluster=_luck(with_cut))
        found[response_id, subject, "threshold"] = replace(estimate, schools=_schools(with_cut))
    return found


def _from_cut_off(scored: pl.DataFrame) -> pl.DataFrame:
    """Return the pupils with their score less the cut-off of their draw, where it has one.

    Offers say where the cut-off lies, not who took part: one who declined sits below it all the
    same.
    """
    cuts = {
        stratum: cut_off(rows["selection_score"].to_numpy(), rows["is_offered"].to_numpy())
        for (stratum,), rows in scored.group_by("stratum")
    }
    cut = pl.col("stratum").replace_strict(cuts, return_dtype=pl.Float64)
    return scored.with_columns((pl.col("selection_score") - cut).alias("running")).drop_nulls(
        "running"
    )


def _luck(rows: pl.DataFrame) -> str:
    """Return what shares its luck: a school's participants have one group, teacher and year."""
    return "semel_mosad" if rows["semel_mosad"].n_unique() > 1 else "unit"


def _schools(rows: pl.DataFrame) -> int:
    """Return of how many schools the participants are."""
    return rows.filter(pl.col("dose") > 0)["semel_mosad"].n_unique()


def other_doses(people: pl.DataFrame, response_id: str) -> list[str]:
    """Return the columns of this year's doses of all other responses."""
    return [
        name
        for name in people.columns
        if name.startswith("dose_")
        and not name.startswith("dose_before_")
        and name != columns.dose(response_id)
    ]


def compared(
    people: pl.DataFrame, listed: pl.DataFrame, response_id: str
) -> tuple[pl.DataFrame, int]:
    """Return the pupil years that matching compares, and the number of schools that took part.

    Schools and years that gave places by lot or by a score have a design of their own. Pupils of
    schools without the response would help to learn what scores tell (errors would be about a tenth
    smaller), at three times the work.
    """
    by_draw = listed.filter(pl.col("assignment_mechanism").is_in(BY_DESIGN))
    rows = people.join(listed, on="semel_mosad", how="semi").join(
        by_draw, on=["semel_mosad", "school_year"], how="anti"
    )
    taking = rows.filter(pl.col(columns.dose(response_id)) > 0)
    return rows, taking["semel_mosad"].n_unique()


def _matching(
    people: pl.DataFrame,
    listed: pl.DataFrame,
    response_id: str,
    subject: str,
    subjects: list[str],
    others: list[str],
    groups: Sequence[str],
    seed: int,
) -> Estimate:
    """Return the effect on who starts the response, against pupils of the same school and grade."""
    rows, schools = compared(people, listed, response_id)
    estimate = matched(
        rows.select(
            pl.col("pupil_hash").alias("pupil_id"),
            "school_year",
            "semel_mosad",
            "grade",
            *columns.BACKGROUND,
            "absence_before_pct",
            pl.sum_horizontal(other_doses(people, response_id)).alias(OTHER_DOSES),
            pl.col(columns.dose(response_id)).alias("dose"),
            pl.col(columns.dose_before(response_id)).alias("dose_before"),
            pl.col(columns.score(subject)).alias("outcome_sd"),
            *(make(name) for name in subjects for make in (columns.before, columns.earlier)),
            *(columns.score(name) for name in others),
            *(columns.group(name) for name in groups),
        ),
        covariates=[*columns.BACKGROUND, "absence_before_pct", OTHER_DOSES],
        priors=[columns.before(name) for name in subjects],
        earlier=[columns.earlier(name) for name in subjects],
        placebos=[columns.score(name) for name in others],
        groups=[columns.group(name) for name in groups],
        seed=seed,
        most_draws=FOLD_DRAWS,
    )
    return replace(estimate, schools=schools)


def _panel(
    cells: pl.DataFrame, subject: str, others: list[str], lag_years: int, seed: int
) -> Estimate:
    """Return the effect seen in schools before and after they started, against the others.

    A response that works later is taken to start that many years later.
    """
    key = ["semel_mosad", "school_year"]
    served = cells.select(*key[:1], pl.col("school_year") + lag_years, "subject", "served_share")
    rows = (
        cells.filter(pl.col("subject") == subject)
        .drop("served_share")
        .join(served, on=[*key, "subject"], how="left")
        .select(
            *key,
            pl.col("mean_sd").alias("outcome_sd"),
            pl.col("tested_pupils").alias("pupils"),
            pl.col("served_share").fill_null(0.0),
            pl.col("started_year") + lag_years,
        )
        .sort(key)
    )
    schools = rows.filter(pl.col("served_share") > 0)["semel_mosad"].n_unique()
    if not others:
        return replace(panel(rows, seed=seed), schools=schools)
    untaught = cells.filter(pl.col("subject") == others[0])
    placebo = untaught.select(*key, pl.col("mean_sd").alias("untaught_mean_sd"))
    with_placebo = rows.join(placebo, on=key, how="left").sort(key)
    return replace(panel(with_placebo, seed=seed, placebo="untaught_mean_sd"), schools=schools)


def _groups(
    found: Mapping[tuple[str, str, str], Estimate], posterior: pl.DataFrame, spread_sd: float
) -> pl.DataFrame:
    """Return posterior effects on groups of pupils: the effect on all, as all designs tell it, and
    how they differ.

    How a group differs from the other participants is seen by matching alone, whether or not
    matching has a say in the effect on all.
    """
    reach = posterior.select(
        pl.lit(None, pl.String).alias("group_id"),
        *RESPONSE_SUBJECT,
        "prior_sd",
        "prior_se_sd",
        "transport_discount",
        "local_sd",
        "local_se_sd",
        "local_luck_sd",
        "design_grade",
        "is_weak",
        "effect_sd",
        "effect_se_sd",
    )
    known = {(row["response_id"], row["subject"]): row for row in posterior.iter_rows(named=True)}
    rows = []
    for (response_id, subject, _), estimate in sorted(found.items()):
        whole = known[response_id, subject]
        for contrast in estimate.groups:
            both = group_effect((whole["effect_sd"], whole["effect_se_sd"]), contrast, spread_sd)
            here = group_effect((whole["local_sd"], whole["local_se_sd"]), contrast, spread_sd)
            rows.append(
                {name: whole[name] for name in reach.columns if name in whole}
                | {
                    "group_id": columns.group_of(contrast.group_id),
                    # Before any data a group's effect is less sure than that on all.
                    "prior_se_sd": math.hypot(whole["prior_se_sd"], both.spread_sd),
                    "local_sd": here.plain_sd,
                    "local_se_sd": here.plain_se_sd,
                    "local_luck_sd": here.plain_se_sd,
                    "effect_sd": both.effect_sd,
                    "effect_se_sd": both.effect_se_sd,
                }
            )
    return pl.DataFrame(rows, schema=reach.schema).sort("group_id", *RESPONSE_SUBJECT)


STEPS = (
    Step(
        "effects",
        "decide",
        makes=("mart_effect_design", "mart_effect", "mart_verdict"),
        reads=(*columns.READS, "core_panel_cell", "core_pupil_group", "mart_effect_absence"),
        compute=effects,
    ),
)
