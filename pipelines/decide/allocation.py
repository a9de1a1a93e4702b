"""What to fund: the city's policy becomes a `Problem`, and its solution marts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from models.allocation import (
    Atkinson,
    Fairness,
    Maximin,
    Objective,
    Overlap,
    Problem,
    Total,
    solve,
    with_given_floor,
    with_order_kept,
)
from models.allocation.account.next_money import next_money
from models.allocation.account.remaining import remaining
from models.allocation.problem.persistence import lasting_share
from models.allocation.solve.proof import WORTH_UNITS, prove
from models.allocation.solve.ties import Tie
from models.apportionment import exact, split_all
from models.keys import OPTION, PAIR
from pipelines.decide import assets, city_services, parents
from pipelines.decide.committee import READS as COMMITTEE_READS
from pipelines.decide.committee import settled
from pipelines.decide.goals import READS as GOAL_READS
from pipelines.decide.goals import gains
from pipelines.decide.pooled import READS as POOL_READS
from pipelines.decide.pooled import together, with_pooled
from pipelines.decide.rules import READS as RULE_READS
from pipelines.decide.rules import minimum_groups, rules
from pipelines.settings.city import CityFolder
from pipelines.settings.fields import dictionary
from pipelines.settings.keys import AGOROT, CITY, GEFEN, MUNICIPAL, PARENTS
from pipelines.settings.scenario_files import refuse_unknown_schools
from pipelines.warehouse.tables import Step, Tables, nothing, schema_of, table_of

NEXT_NIS = 100_000


def options(city: CityFolder, tables: Tables) -> pl.DataFrame:
    """Return every school × response × dose that could be bought, with its expected benefit.

    The benefit of a response in a school is participants × share of the full benefit at the dose ×
    share of it that falls into the years looked at × the mean over the city's subjects of its
    expected effect on those that measure its goals, weighted towards the subjects in which the
    school is likelier to be below target (`gains`). The weights of one school average 1, so a
    school's level of need enters only once, through the need weight (domain_methods, trap 8). What
    all plans are worth therefore rises with need: worth ranks plans, and success is told as
    progress (`progress`) and as what remains (`still_needed`, R81). A negative expected effect buys
    nothing and counts as zero. What nothing counts for is not worth nothing: it is bought by the
    committee's amount (`committee`).
    """
    policy = city.policy
    years, kept = policy.effects.decision_years.value, policy.effects.kept_share.value
    responses = pl.DataFrame(
        [
            (
                i,
                r.served_share.value,
                lasting_share(r.lag_years, years, kept),
                round(AGOROT * r.fixed_cost.value),
                round(AGOROT * r.unit_cost.value),
            )
            for i, r in policy.school_responses.items()
        ],
        schema=["response_id", "served_share", "lasting_share", "fixed_agorot", "unit_agorot"],
        orient="row",
    )
    doses = pl.DataFrame(
        [
            (level, dose, share)
            for level, (dose, share) in enumerate(
                sorted(policy.dose_response.value.items()), start=1
            )
        ],
        schema=["dose_level", "dose", "benefit_share"],
        orient="row",
    )
    per_participant = (
        gains(city, tables)
        .group_by(PAIR, maintain_order=True)
        .agg(gain_sd=(pl.col("effect_sd") * pl.col("subject_weight")).sum().clip(lower_bound=0))
    )
    return (
        tables["mart_need_index"]
        .select("semel_mosad", "pupils")
        .join(responses, how="cross")
        .join(doses, how="cross")
        .join(per_participant, on=PAIR, how="left")
        .join(
            tables["mart_response_map"].select(
                *PAIR, "is_eligible", "eligibility_reason_en", "eligibility_reason_he"
            ),
            on=PAIR,
        )
        .join(tables["core_response"].select("response_id", "is_excellence"), on="response_id")
        .with_columns(
            (pl.col("served_share") * pl.col("pupils")).round().cast(pl.Int32).alias("participants")
        )
        .filter(pl.col("participants") > 0)
        .with_columns(
            (
                pl.col("participants")
                * pl.col("benefit_share")
                * pl.col("lasting_share")
                * pl.col("gain_sd").fill_null(0)
            ).alias("benefit_sd_pupils")
        )
        .sort(OPTION)
        .pipe(lambda choices: with_pooled(city, tables, choices))
        .pipe(lambda choices: assets.with_assets(city, tables, choices))
    )


def dose_of(city: CityFolder, level: pl.Expr) -> pl.Expr:
    """Return the dose of an option by its level.

    Options that are shared or lean on an asset repeat the doses of the policy at higher levels.
    """
    doses = sorted(city.policy.dose_response.value)
    return ((level - 1) % len(doses) + 1).replace_strict(
        dict(enumerate(doses, start=1)), return_dtype=pl.Float64
    )


def costs(city: CityFolder, choices: pl.DataFrame) -> pl.DataFrame:
    """Return what each option costs each funding channel, in agorot that add up to its price.

    Price = fixed cost of opening, or the school's part of a shared one, + cost per participant ×
    participants × dose, split between the channels by the response's funding shares.
    """
    schema = schema_of(*OPTION, "funding_channel", "amount_agorot")
    parts = [pl.DataFrame(schema=schema)]
    for (response_id,), own in choices.group_by("response_id", maintain_order=True):
        # The key's type is wider here: a channel is any text.
        shares = dict[str, float](city.policy.responses[str(response_id)].funding.items())
        names = sorted(shares)
        per_unit = own["unit_agorot"] * own["participants"] * own["dose"]
        prices = own["fixed_agorot"].to_numpy() + np.rint(per_unit.to_numpy()).astype(np.int64)
        amounts = split_all(prices, [exact(shares[name]) for name in names])
        parts += [
            own.select(
                *OPTION,
                funding_channel=pl.lit(name),
                amount_agorot=pl.Series(amounts[:, place]),
            )
            for place, name in enumerate(names)
        ]
    whole = pl.concat(parts, how="vertical_relaxed").sort(*OPTION, "funding_channel")
    return whole.select(pl.col(name).cast(kind) for name, kind in schema.items())


def channels(city: CityFolder) -> pl.DataFrame:
    """Return the budget of each funding channel; empty = no cap of its own."""
    return pl.DataFrame(
        [
            (channel, round(AGOROT * entry.budget.value) if entry.budget else None)
            for channel, entry in city.policy.channels.items()
        ],
        schema=schema_of("funding_channel", "budget_agorot"),
        orient="row",
    )


def school_channels(city: CityFolder, tables: Tables) -> pl.DataFrame:
    """Return caps of a channel in one school: its Gefen basket, reported or assumed per pupil."""
    frames = [pl.DataFrame(schema=schema_of("funding_channel", "semel_mosad", "budget_agorot"))]
    latest = tables["core_school_year"].sort("school_year").group_by("semel_mosad").last()
    planned = tables["mart_need_index"].select("semel_mosad", "pupils")
    for channel, entry in city.policy.channels.items():
        if entry.per_school_from:
            amount = pl.col(entry.per_school_from).fill_null(0)
        elif entry.per_pupil:
            amount = pl.col("pupils") * round(AGOROT * entry.per_pupil.value)
        else:
            continue
        frames.append(
            planned.join(latest.drop("pupils"), on="semel_mosad", how="left").select(
                pl.lit(channel).alias("funding_channel"),
                "semel_mosad",
                amount.cast(pl.Int64).alias("budget_agorot"),
            )
        )
    return pl.concat(frames)


def problem(city: CityFolder, tables: Tables) -> Problem:
    """Return what the city has to decide: its schools, options, budgets and rules.

    Raises:
        CityError: a rule names a school that the register does not have.
    """
    posed = unsettled(city, tables)
    return replace(posed, rules=(*posed.rules, *settled(city, tables, posed)[0]))


def unsettled(city: CityFolder, tables: Tables) -> Problem:
    """Return the problem before the committee's amounts are settled in it."""
    refuse_unknown_schools(city, set(tables["core_school_year"]["semel_mosad"]))
    choices = options(city, tables)
    return Problem(
        schools=tables["mart_need_index"].select("semel_mosad", "school_name_he", "pupils", "need"),
        options=choices,
        costs=costs(city, choices),
        channels=channels(city),
        school_channels=school_channels(city, tables),
        services=city_services.paid(city, tables),
        rules=(
            *rules(city, tables),
            *parents.rules(city, tables),
            *minimum_groups(city, choices),
            *together(choices),
            *assets.asset_rules(tables, choices),
        ),
        equity_gamma=city.policy.equity_gamma.value,
        need_offset=city.policy.need_offset.value,
        overlaps=tuple(
            Overlap(name, group.name_en, group.name_he, group.responses, group.counted_share.value)
            for name, group in city.policy.overlaps.items()
        ),
        objective=objective(city),
        response_names={name: (r.name_he, r.name_en) for name, r in city.policy.responses.items()},
        relax_order=city.policy.rules.relax_order,
    )


def fairness(city: CityFolder, tables: Tables) -> Fairness:
    """Return how nearly equal plans are told apart: who is surely needier, what was given last."""
    return Fairness(
        city.policy.solver.fair_band_pct.value,
        tables["mart_need_order"].select("semel_mosad", "less_needy_semel_mosad"),
        tables["mart_response_map"].filter("is_served").select(PAIR),
        city.policy.effects.seed.value,
    )


def planned(city: CityFolder, tables: Tables) -> Problem:
    """Return the problem as the plan answers it: with the floor and the fairness it reached."""
    return in_plan_order(city, tables, by_worth(city, tables))


def by_worth(city: CityFolder, tables: Tables) -> Problem:
    """Return the problem without what only tells nearly equal plans apart: for draws of costs.

    Under dearer draws the order that the plan kept may not be payable, and to prove so takes longer
    than all draws without it.
    """
    return with_given_floor(
        problem(city, tables), tables["mart_allocation_certificate"]["floor_sd"].item()
    )


def in_plan_order(city: CityFolder, tables: Tables, posed: Problem) -> Problem:
    """Return a problem with the order of need and the lines of last year that the plan kept."""
    if tables["mart_allocation_certificate"]["fair_band_pct"].item() is None:
        return posed
    return with_order_kept(posed, tables["mart_allocation"], fairness(city, tables))


def objective(city: CityFolder) -> Objective | Maximin:
    """Return what the policy wants a plan to be worth."""
    solver = city.policy.solver
    match solver.objective.value:
        case "total":
            return Total()
        case "atkinson":
            return Atkinson(solver.epsilon.value)
        case "maximin":
            return Maximin()


def allocate(city: CityFolder, tables: Tables) -> Tables:
    """Solve the allocation and lay it out as marts, with its certificate and re-checked rules."""
    policy = city.policy
    need = tables["mart_need_index"]
    posed = unsettled(city, tables)
    fixed, amounts = settled(city, tables, posed)
    posed = replace(posed, rules=(*posed.rules, *fixed))
    services = posed.services.drop("is_excellence")
    plan = solve(
        posed,
        gap_pct=policy.solver.gap_pct.value,
        time_limit_s=policy.solver.time_limit_s.value,
        fairness=fairness(city, tables),
    )
    lines = (
        with_payers(city, tables, plan.lines, plan.money)
        .join(need.select("semel_mosad", "school_name_he"), on="semel_mosad")
        .join(tables["core_response"].select("response_id", "response_name_he"), on="response_id")
        .join(posed.options.select(*OPTION, "host_semel_mosad", "asset_id"), on=OPTION)
        .pipe(lambda bought: with_replaceable(city, bought))
        .pipe(lambda bought: without_uncounted(amounts, bought))
    )
    certificate, left = plan.certificate, still_needed(city, tables, lines)
    of_services = services.filter(funding_channel=MUNICIPAL)
    fair = certificate.fairness
    return {
        "mart_allocation": lines,
        "mart_allocation_remaining": left,
        "mart_committee_amount": spent(amounts, lines),
        "mart_allocation_money": with_confirmation(city, tables, plan.money),
        "mart_city_service": city_services.told(city, tables),
        "mart_city_service_money": with_confirmation(city, tables, services),
        "mart_parents_plan": parents.told(tables, lines, posed.services),
        "mart_allocation_asset": assets.uses(tables, posed.options, _priced(posed), plan.lines),
        "mart_allocation_channel": plan.channels,
        "mart_allocation_rule": pl.concat([plan.rules, parents.unchecked(city, tables)]),
        "mart_allocation_tie": tied(fair.ties if fair else ()),
        "mart_allocation_certificate": pl.DataFrame(
            [
                {
                    "solver": certificate.solver,
                    "equity_gamma": certificate.equity_gamma,
                    "objective_id": policy.solver.objective.value,
                    "solve_method": certificate.method,
                    "solve_status": certificate.status,
                    "objective": certificate.objective,
                    "objective_bound": certificate.objective_bound,
                    "optimality_gap_pct": certificate.optimality_gap_pct,
                    "optimality_gap_agorot": certificate.optimality_gap_agorot,
                    "equal_gain_sd": certificate.equal_gain_sd,
                    "floor_sd": certificate.floor_sd,
                    "floor_bound_sd": certificate.floor_bound_sd,
                    "fair_band_pct": fair.band_pct if fair else None,
                    "worth_best": fair.worth_best if fair else None,
                    "best_gap_pct": fair.best_gap_pct if fair else None,
                    "fair_least_pct": fair.least_pct if fair else None,
                    "envied_lines": fair.envied_lines if fair else None,
                    "envied_lines_best": fair.envied_lines_best if fair else None,
                    "envy_agorot": fair.envy_agorot if fair else None,
                    "envy_best_agorot": fair.envy_agorot_best if fair else None,
                    "envy_bound_agorot": fair.envy_bound_agorot if fair else None,
                    "cost_agorot": int(lines["cost_agorot"].sum()) + posed.services_agorot,
                    "municipal_agorot": int(lines["municipal_agorot"].sum())
                    + int(of_services["amount_agorot"].sum()),
                    "city_services_agorot": posed.services_agorot,
                    "schools": need.height,
                    "need_gap_before": float(left["need_gap_before"].sum()),
                    "need_gap_after": float(left["need_gap_after"].sum()),
                    "gap_known_schools": left["need_gap_before"].count(),
                }
            ],
            schema_overrides=schema_of(
                "equal_gain_sd",
                "floor_sd",
                "floor_bound_sd",
                "fair_band_pct",
                "worth_best",
                "best_gap_pct",
                "fair_least_pct",
                "envied_lines",
                "envied_lines_best",
                "envy_agorot",
                "envy_best_agorot",
                "envy_bound_agorot",
            ),
        ),
    }


def tied(ties: Iterable[Tie]) -> pl.DataFrame:
    """Return the schools among which the registered lottery decided, each with its chance."""
    rows = [
        (
            tie.response_id,
            tie.dose_level,
            school,
            number,
            len(tie.schools),
            len(tie.drawn),
            100 * len(tie.drawn) / len(tie.schools),
            school in tie.drawn,
            tie.seed,
        )
        for number, tie in enumerate(ties, start=1)
        for school in tie.schools
    ]
    return table_of("mart_allocation_tie", rows)


def still_needed(city: CityFolder, tables: Tables, lines: pl.DataFrame) -> pl.DataFrame:
    """Return each school's need-weighted gap before and after the plan: its success (R81)."""
    gaps = (
        tables["mart_gap_school"]
        .filter(subject="all")
        .select("semel_mosad", "gap_sd", "tested_pupils")
    )
    schools = (
        tables["mart_need_index"]
        .select("semel_mosad", "pupils", "need")
        .join(gaps, on="semel_mosad", how="left")
    )
    gained = (
        schools.select("semel_mosad")
        .join(
            lines.group_by("semel_mosad").agg(pl.col("benefit_sd_pupils").sum()),
            on="semel_mosad",
            how="left",
        )
        .with_columns(pl.col("benefit_sd_pupils").fill_null(0.0))
    )
    found = remaining(
        schools,
        gained,
        equity_gamma=city.policy.equity_gamma.value,
        need_offset=city.policy.need_offset.value,
    )
    return schools.join(gained, on="semel_mosad").join(found, on="semel_mosad").sort("semel_mosad")


def _priced(posed: Problem) -> pl.DataFrame:
    """Return what every option costs over all channels: cost_agorot."""
    return posed.costs.group_by(OPTION).agg(cost_agorot=pl.col("amount_agorot").sum())


def with_confirmation(city: CityFolder, tables: Tables, money: pl.DataFrame) -> pl.DataFrame:
    """Add confirmation: whether who pays has confirmed it, line by line (R83).

    A letter decides, the last one: of a school for its own line, or of whoever pays for all schools
    together. What it confirms in full is confirmed, in part expected; what it refuses or withdraws
    is assumed at best. Without a letter the policy's word holds, but that a school's Gefen share is
    a request until its principal confirms.

    Args:
        money: semel_mosad (services of the city have none), response_id, funding_channel,
            amount_agorot.
    """
    line, whole = (
        ["response_id", "funding_channel", "school_or_city"],
        ["response_id", "funding_channel"],
    )
    has_schools = "semel_mosad" in money.columns
    place = pl.col("semel_mosad").fill_null(CITY) if has_schools else pl.lit(CITY)
    answers = tables["core_confirmation"].filter(
        pl.col("planning_year") == city.policy.planning_year.value
    )
    own = answers.select(*line, "confirmation_word", "confirmed_agorot")
    of_all = own.filter(school_or_city=CITY).drop("school_or_city")
    word = pl.coalesce("confirmation_word", "confirmation_word_all")
    enough = pl.coalesce(
        pl.col("confirmed_agorot") >= pl.col("amount_agorot"),
        pl.col("confirmed_agorot_all") >= pl.col("amount_agorot").sum().over(whole),
    )
    stated = pl.Series(
        "stated",
        [
            # What was decided once may have left the policy since.
            city.policy.confirmation(*paid) if paid[0] in city.policy.responses else "expected"
            for paid in money.select(whole).iter_rows()
        ],
        dtype=pl.String,
    )
    asked_of_schools = (pl.col("funding_channel") == GEFEN) & (pl.col("stated") == "confirmed")
    return (
        money.with_columns(place.alias("school_or_city"), stated)
        .join(own, on=line, how="left", maintain_order="left")
        .join(of_all, on=whole, how="left", suffix="_all", maintain_order="left")
        .with_columns(
            confirmation=pl.when(word == "confirmed", enough)
            .then(pl.lit("confirmed"))
            .when(word == "confirmed", pl.col("stated") == "confirmed")
            .then(pl.lit("expected"))
            .when(word.is_in(["refused", "withdrawn"]))
            .then(pl.lit("assumed"))
            .when(asked_of_schools)
            .then(pl.lit("expected"))
            .otherwise("stated")
        )
        .select(*money.columns, "confirmation")
    )


def with_payers(
    city: CityFolder, tables: Tables, lines: pl.DataFrame, money: pl.DataFrame
) -> pl.DataFrame:
    """Add what the municipality pays of each line, what parents, and what nobody has confirmed."""
    amount, channel = pl.col("amount_agorot"), pl.col("funding_channel")
    paid = (
        with_confirmation(city, tables, money)
        .group_by(PAIR)
        .agg(
            municipal_agorot=amount.filter(channel == MUNICIPAL).sum(),
            parents_agorot=amount.filter(channel == PARENTS).sum(),
            unconfirmed_agorot=amount.filter(pl.col("confirmation") != "confirmed").sum(),
        )
    )
    return lines.join(paid, on=PAIR, how="left", maintain_order="left").with_columns(
        pl.col("municipal_agorot", "parents_agorot", "unconfirmed_agorot").fill_null(0)
    )


def with_replaceable(city: CityFolder, lines: pl.DataFrame) -> pl.DataFrame:
    """Flag municipal money on what a school could buy by itself (R84)."""
    bought = [
        name
        for name, item in city.policy.responses.items()
        if item.schools_can_buy and item.schools_can_buy.value
    ]
    return lines.with_columns(
        is_replaceable=(pl.col("municipal_agorot") > 0) & pl.col("response_id").is_in(bought)
    )


def without_uncounted(amounts: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """Empty the benefit of lines of which nothing counts: it is not known, and is not zero."""
    is_counted = ~pl.col("response_id").is_in(amounts["response_id"].implode())
    return lines.with_columns(
        pl.when(is_counted).then(name).alias(name)
        for name in ("benefit_sd_pupils", "full_benefit_sd_pupils", "weighted_benefit")
    )


def spent(amounts: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """Return the committee's amounts with what the plan gives of each, and to how many schools."""
    given = lines.group_by("response_id").agg(
        schools=pl.len().cast(pl.Int32), allocated_agorot=pl.col("cost_agorot").sum()
    )
    return (
        amounts.join(given, on="response_id", how="left")
        .with_columns(pl.col("schools", "allocated_agorot").fill_null(0))
        .with_columns(left_agorot=pl.col("amount_agorot") - pl.col("allocated_agorot"))
        .sort("response_id")
    )


def next_bought(city: CityFolder, tables: Tables) -> Tables:
    """Return what 100,000 NIS more in each channel that limits would buy, and less cost (R82)."""
    return {
        "mart_allocation_next": next_money(
            by_worth(city, tables),
            tables["mart_allocation"],
            step_agorot=round(AGOROT * NEXT_NIS),
            months_per_sd=dictionary().references["months_per_sd"].value,
        )
    }


def bounded(city: CityFolder, tables: Tables) -> Tables:
    """Return the bound of the plan that anyone can recompute, with all that it rests on.

    Empty for a country, whose bound comes from prices already and is not written out.
    """
    posed = by_worth(city, tables)
    if tables["mart_allocation_certificate"]["solve_method"].item() != "milp":
        return {name: nothing(name) for name in BOUND}
    found = prove(posed, tables["mart_allocation"])
    argument = {"total": "prices", "atkinson": "tangents", "maximin": "without_floor"}
    row = {
        "bound_argument": argument[city.policy.solver.objective.value],
        "recomputed_bound": found.bound_units / WORTH_UNITS,
        "recomputed_gap_pct": found.gap_pct,
        "schools_open": found.schools_open,
        "constant_units": found.constant_units,
        "bound_units": found.bound_units,
        "plan_units": found.worth_units,
    }
    tables_of = (pl.DataFrame([row]), found.options, found.rows, found.entries)
    return dict(zip(BOUND, tables_of, strict=True))


# Tables of the warehouse that are published under another name.
_PUBLISHED = {
    "core_response": "mart_response",
    "core_school_year": "mart_school_money",
    "core_city_service": "mart_city_service",
    "core_decision": "mart_decision_log",
    "core_confirmation": "mart_confirmation",
}


def release_tables(release: Path, names: Iterable[str]) -> dict[str, pl.DataFrame]:
    """Return what a plan is posed from, as the release of the analysts holds it.

    Raises:
        FileNotFoundError: nothing is published there.
    """
    tables = {
        name: pl.read_parquet(release / f"{_PUBLISHED.get(name, name)}.parquet")
        for name in sorted(names)
    }
    if "core_confirmation" in tables:  # what was asked and not answered is no answer
        answered = pl.col("confirmation_word").is_not_null()
        tables["core_confirmation"] = tables["core_confirmation"].filter(answered)
    return tables


BOUND = ("mart_allocation_bound", "mart_bound_option", "mart_bound_row", "mart_bound_entry")
READS = (
    "mart_need_index",
    "mart_need_order",
    "mart_gap_school",
    "mart_response_map",
    "core_response",
    "core_school_year",
    "core_confirmation",
    *RULE_READS,
    *POOL_READS,
    *assets.READS,
    *city_services.READS,
    *parents.READS,
    *GOAL_READS,
    *COMMITTEE_READS,
)
STEPS = (
    Step(
        "allocate_plan",
        "decide",
        makes=(
            "mart_allocation",
            "mart_allocation_money",
            "mart_city_service",
            "mart_city_service_money",
            "mart_parents_plan",
            "mart_allocation_channel",
            "mart_allocation_rule",
            "mart_allocation_tie",
            "mart_allocation_certificate",
            "mart_allocation_asset",
            "mart_allocation_remaining",
            "mart_committee_amount",
        ),
        reads=READS,
        compute=allocate,
    ),
    Step(
        "plan_next_money",
        "decide",
        makes=("mart_allocation_next",),
        reads=(*READS, "mart_allocation", "mart_allocation_certificate"),
        compute=next_bought,
    ),
    Step(
        "plan_bound",
        "decide",
        makes=BOUND,
        reads=(*READS, "mart_allocation", "mart_allocation_certificate"),
        compute=bounded,
    ),
)
