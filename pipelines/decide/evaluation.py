"""What to evaluate next, and to propose: keep, change, drop or evaluate (R63, R68)."""

from __future__ import annotations

import polars as pl

from models.effects import (
    Variances,
    cost_outliers,
    detectable,
    evaluate_first,
    evaluation_records,
    only_responses,
    perfect_and_sample_information,
    proposals,
    still_open,
)
from models.keys import WHOLE
from pipelines.decide.responses import of_all_pupils
from pipelines.settings.city import CityFolder
from pipelines.settings.keys import AGOROT
from pipelines.warehouse.tables import Step, Tables, nothing

_MADE = ("mart_design_option", "mart_evaluation")


def worth_knowing(city: CityFolder, tables: Tables) -> Tables:
    """Return what each possible design could detect next year, and what that is worth."""
    policy = city.policy.effects
    entries = (
        nothing("core_participation")
        if tables["core_participation"].is_empty()
        else _entries(tables)
    )
    if entries.is_empty():
        return {name: nothing(name) for name in _MADE}
    options = detectable(
        entries,
        Variances(
            pupil_sd=policy.pupil_sd.value,
            prior_r2=policy.prior_r2.value,
            class_sd=policy.class_sd.value,
            class_pupils=policy.class_pupils.value,
            school_year_sd=policy.school_year_sd.value,
        ),
        bias_sd=policy.bias_sd.value.model_dump(),
    )
    tried = tables["mart_effect_design"].rename({"design_sd": "effect_sd"})
    options = still_open(options, tried)
    effects = (
        of_all_pupils(tables)
        .filter(pl.col("subject") == WHOLE)
        .join(
            tables["mart_response_money"].select(
                "response_id",
                "participants",
                pl.col("cost_per_participant_plan_agorot").alias("cost_per_participant_agorot"),
            ),
            on="response_id",
            how="left",
        )
    )
    values = perfect_and_sample_information(
        effects,
        options,
        value_per_sd_agorot=round(AGOROT * policy.value_per_sd.value),
        horizon_years=policy.decision_years.value,
    )
    first = _with_goals_not_measured(evaluate_first(values), effects, options)
    records = evaluation_records(first, entries, seed=policy.seed.value).rename(
        {"seed": "lottery_seed", "schools": "evaluation_schools"}
    )
    return {
        "mart_design_option": options,
        "mart_evaluation": (
            first.rename({"place": "evaluation_place"})
            .join(
                records.select(
                    "response_id",
                    "evaluation_schools",
                    "schools_count",
                    "places",
                    "applicants",
                    "lottery_seed",
                ),
                on="response_id",
                how="left",
            )
            .with_columns(
                (
                    (pl.col("evaluation_place") <= policy.evaluate_at_once.value)
                    & (pl.col("evsi_agorot") > 0)
                    & (pl.col("design") != "none")
                )
                .fill_null(False)
                .alias("is_worth_evaluating")
            )
        ),
    }


def _with_goals_not_measured(
    first: pl.DataFrame, effects: pl.DataFrame, options: pl.DataFrame
) -> pl.DataFrame:
    """Add the responses whose goal no test measures, and which no design can therefore judge."""
    silent = effects.filter(pl.col("effect_sd").is_null()).join(
        options, on="response_id", how="semi"
    )
    rows = silent.select("response_id", design=pl.lit("none"), design_grade=pl.lit("E")).sort(
        "response_id"
    )
    place = (first.height + pl.int_range(1, pl.len() + 1)).cast(pl.Int32).alias("place")
    return pl.concat([first, rows.select(place, pl.all())], how="diagonal")


def _entries(tables: Tables) -> pl.DataFrame:
    """Return where each response runs, its places, who could want one, and if a score decides.

    Who could want a place is known where a lottery was held or a score decided, from the list of
    those pupils; elsewhere the eligible pupils are counted, and a first lottery is possible where
    they exceed the places.
    """
    last = tables["core_participation"]["school_year"].max()
    reach = tables["mart_response_map"].filter("is_measured")
    tested = (
        tables["core_panel_cell"]
        .filter(pl.col("school_year") == last)
        .group_by("semel_mosad")
        .agg(pl.col("tested_pupils").max())
    )
    is_scored = pl.col("assignment_mechanism") == "threshold"
    wanted = (
        tables["core_response_entry"]
        .filter(
            pl.col("school_year") == last, (pl.col("assignment_mechanism") == "lottery") | is_scored
        )
        .group_by("response_id", "semel_mosad")
        .agg(pl.len().alias("listed"), is_scored.any().alias("is_by_score"))
    )
    eligible = (
        tables["core_participation"]
        .filter(pl.col("school_year") == last)
        .select("response_id", "semel_mosad", "eligible_pupils")
    )
    return (
        reach.join(tested, on="semel_mosad")
        .join(wanted, on=["response_id", "semel_mosad"], how="left")
        .join(eligible, on=["response_id", "semel_mosad"], how="left")
        .select(
            "response_id",
            "semel_mosad",
            "is_served",
            "tested_pupils",
            pl.col("participants").alias("places"),
            pl.coalesce("listed", "eligible_pupils").cast(pl.Int64).alias("applicants"),
            pl.col("is_by_score").fill_null(False),
        )
        .sort("response_id", "semel_mosad")
    )


def propose(city: CityFolder, tables: Tables) -> Tables:
    """Return a proposal for each response with its reasons; it is the people who decide (R68)."""
    policy = city.policy
    allocated = {key: item for key, item in policy.responses.items() if item.is_allocated}
    responses = pl.DataFrame({"response_id": sorted(allocated)}, schema={"response_id": pl.String})
    gaps = (
        tables["mart_unmet_need"]
        .group_by("need_id")
        .agg(
            # A gap somewhere is a gap; what a rule admits is none, and has no probability.
            (pl.col("p_need") >= policy.response_map.significant.value).any().alias("is_gap")
        )
    )
    serves = (
        tables["core_need_answer"]
        .join(responses, on="response_id")
        .join(gaps, on="need_id", how="left")
        .select("response_id", "need_id", "is_gap")
    )
    judged = of_all_pupils(tables).filter(pl.col("subject") == WHOLE)
    municipal = tables["mart_alignment"].filter(pl.col("money_kind") == "municipal")
    known = tables["mart_design_option"].filter(pl.col("design") != "none")["response_id"].unique()
    worth = tables["mart_evaluation"].filter("is_worth_evaluating")["response_id"]
    bound = {item.response for item in policy.rules.must_keep} | {
        key
        for key, item in allocated.items()
        if item.committed_until is not None and item.committed_until >= city.planning_year
    }
    named = pl.col("response_id")
    facts = (
        responses.join(judged.select("response_id", "verdict"), on="response_id", how="left")
        .join(municipal.select("response_id", "is_big_money"), on="response_id", how="left")
        .join(cost_outliers(tables["mart_response_money"]), on="response_id", how="left")
        .join(only_responses(serves, responses), on="response_id", how="left")
        .with_columns(
            pl.col("verdict").fill_null("insufficient_evidence"),
            pl.col("is_big_money").fill_null(False),
            named.is_in(sorted(bound)).alias("is_committed"),
            named.is_in(known.implode()).alias("is_evaluable"),
            named.is_in(worth.implode()).alias("is_worth_evaluating"),
        )
    )
    decided = tables["mart_decision"].filter(
        pl.col("planning_year") == city.planning_year,
        pl.col("response_id").is_in(responses["response_id"].implode()),
    )
    return {"mart_proposal": proposals(facts, decided)}


STEPS = (
    Step(
        "evaluation",
        "decide",
        makes=_MADE,
        reads=(
            "mart_verdict",
            "mart_response_money",
            "mart_response_map",
            "core_participation",
            "core_response_entry",
            "core_panel_cell",
            "mart_effect_design",
        ),
        compute=worth_knowing,
    ),
    Step(
        "proposals",
        "decide",
        makes=("mart_proposal",),
        reads=(
            "mart_verdict",
            "mart_response_money",
            "mart_alignment",
            "mart_unmet_need",
            "core_need_answer",
            "mart_design_option",
            "mart_evaluation",
            "mart_decision",
        ),
        compute=propose,
    ),
)
