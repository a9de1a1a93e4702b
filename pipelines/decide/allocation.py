"""What to fund: the city's policy becomes a `Problem`, and its solution marts."""

from __future__ import annotations

from typing import Literal

import polars as pl

from models.allocation import (
    Atkinson,
    EverySchoolServed,
    ExcellenceShareMax,
    ExcellenceShareMin,
    Exclusive,
    Maximin,
    MustDrop,
    MustKeep,
    Objective,
    Overlap,
    ParticipantCapacity,
    Problem,
    Rule,
    SchoolCap,
    SchoolCapacity,
    Total,
    solve,
)
from models.shares import split_by_share
from pipelines.aim import AGOROT
from pipelines.city import CityError, CityFolder
from pipelines.formula import FormulaPart
from pipelines.tables import Step, Tables

PAIR = ["semel_mosad", "response_id"]
OPTION = [*PAIR, "dose_level"]
MUNICIPAL: Literal["municipal_own"] = "municipal_own"


def options(city: CityFolder, tables: Tables) -> pl.DataFrame:
    """Return every school × response × dose that could be bought, with its expected benefit.

    The benefit of a response in a school is participants × share of the full benefit at the dose ×
    the mean over the city's subjects of its expected effect, weighted towards the subjects in which
    the school is likelier to be below target. The weights of one school average 1, so a school's
    level of need enters only once, through the need weight (domain_methods, trap 8). A negative
    expected effect buys nothing and counts as zero.
    """
    policy = city.policy
    responses = pl.DataFrame(
        [(i, r.served_share.value) for i, r in policy.responses.items() if r.is_allocated],
        schema=["response_id", "served_share"],
        orient="row",
    )
    doses = pl.DataFrame(
        [
            (level, dose, share)
            for level, (dose, share) in enumerate(sorted(policy.dose_response.items()), start=1)
        ],
        schema=["dose_level", "dose", "benefit_share"],
        orient="row",
    )
    fit = subject_fit(tables)
    subjects = fit["subject"].n_unique()
    per_participant = (
        fit.join(tables["mart_effect"].select("response_id", "subject", "effect_sd"), on="subject")
        .sort(*PAIR, "subject")
        .group_by(PAIR, maintain_order=True)
        .agg(
            (pl.col("effect_sd") * pl.col("fit"))
            .sum()
            .truediv(subjects)
            .clip(lower_bound=0)
            .alias("gain_sd")
        )
    )
    return (
        tables["mart_need_index"].select("semel_mosad", "pupils")
        .join(responses, how="cross")
        .join(doses, how="cross")
        .join(per_participant, on=PAIR, how="left")
        .join(
            tables["mart_response_map"].select(*PAIR, "is_eligible", "eligibility_reason_en", "eligibility_reason_he"),
            on=PAIR,
        )
        .join(tables["core_response"].select("response_id", "is_excellence"), on="response_id")
        .with_columns((pl.col("served_share") * pl.col("pupils")).round().cast(pl.Int32).alias("participants"))
        .filter(pl.col("participants") > 0)
        .with_columns(
            (pl.col("participants") * pl.col("benefit_share") * pl.col("gain_sd").fill_null(0)).alias("benefit_sd_pupils")
        )
        .sort(OPTION)
    )  # fmt: skip


def subject_fit(tables: Tables) -> pl.DataFrame:
    """Return how far each subject counts in each school: fit, likelier below target = more, mean 1."""
    measured = tables["mart_gap_school"].filter(pl.col("subject") != "all")
    # Joins and groups come in any order, and a mean of floats depends on it.
    city_level = (
        measured.sort("subject", "semel_mosad")
        .group_by("subject", maintain_order=True)
        .agg(pl.col("p_below_target").mean().alias("city_p"))
    )
    return (
        tables["mart_need_index"].select("semel_mosad")
        .join(city_level, how="cross")
        .join(measured.select("semel_mosad", "subject", "p_below_target"), on=["semel_mosad", "subject"], how="left")
        .with_columns(pl.coalesce("p_below_target", "city_p", pl.lit(0.5)).alias("p"))
        .sort("semel_mosad", "subject")
        .with_columns((pl.col("p") / pl.col("p").mean().over("semel_mosad")).fill_nan(1.0).alias("fit"))
    )  # fmt: skip


def costs(city: CityFolder, choices: pl.DataFrame) -> pl.DataFrame:
    """Return what each option costs each funding channel, in agorot that add up to its price.

    Price = fixed cost of opening + cost per participant × participants × dose, split between the
    channels by the response's funding shares.
    """
    rows = []
    for semel_mosad, response_id, level, dose, participants in choices.select(
        *OPTION, "dose", "participants"
    ).iter_rows():
        response = city.policy.responses[response_id]
        shares: dict[str, float] = {channel: share for channel, share in response.funding.items()}  # noqa: C416 (widens the key's type)
        price = round(
            AGOROT * (response.fixed_cost.value + response.unit_cost.value * participants * dose)
        )
        for channel, amount in split_by_share(price, shares).items():
            rows.append((semel_mosad, response_id, level, channel, amount))
    return pl.DataFrame(
        rows,
        schema={
            "semel_mosad": pl.String, "response_id": pl.String, "dose_level": pl.Int32,
            "funding_channel": pl.String, "amount_agorot": pl.Int64,
        },
        orient="row",
    )  # fmt: skip


def channels(city: CityFolder) -> pl.DataFrame:
    """Return the budget of each funding channel; empty = no cap of its own."""
    return pl.DataFrame(
        [
            (channel, round(AGOROT * entry.budget.value) if entry.budget else None)
            for channel, entry in city.policy.channels.items()
        ],
        schema={"funding_channel": pl.String, "budget_agorot": pl.Int64},
        orient="row",
    )


def school_channels(city: CityFolder, tables: Tables) -> pl.DataFrame:
    """Return caps of a channel inside one school: its Gefen basket, reported or assumed per pupil."""
    frames = [
        pl.DataFrame(
            schema={
                "funding_channel": pl.String,
                "semel_mosad": pl.String,
                "budget_agorot": pl.Int64,
            }
        )
    ]
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


def rules(city: CityFolder, tables: Tables) -> tuple[Rule, ...]:
    """Return the policy's rules as the allocation's objects.

    Raises:
        ValueError: if a rule keeps a response where it is served now, and that was never reported.
    """
    stated, responses = city.policy.rules, city.policy.responses
    found: list[Rule] = []
    for item in stated.capacity:
        name = {
            "response_he": responses[item.response].name_he,
            "response_en": responses[item.response].name_en,
        }
        if item.schools is not None:
            found.append(SchoolCapacity(item.response, item.schools, **name))
        if item.participants is not None:
            found.append(ParticipantCapacity(item.response, item.participants, **name))
    kept = [
        (school, item.response, item.dose_level)
        for item in stated.must_keep
        for school in (_served(item.response, tables) if item.schools == "served" else item.schools)
    ]
    if kept:
        found.append(MustKeep(tuple(kept)))
    every_school = tuple(tables["mart_need_index"]["semel_mosad"])
    dropped = [
        (school, item.response)
        for item in stated.must_drop
        for school in (every_school if item.schools == "all" else item.schools)
    ]
    if dropped:
        found.append(MustDrop(tuple(dropped)))
    if stated.every_school_served and stated.every_school_served.value:
        found.append(EverySchoolServed())
    if stated.school_cap_per_pupil:
        found.append(SchoolCap(round(AGOROT * stated.school_cap_per_pupil.value)))
    if stated.excellence_min:
        found.append(ExcellenceShareMin(stated.excellence_min.value))
    if stated.excellence_max:
        found.append(ExcellenceShareMax(stated.excellence_max.value))
    found += [Exclusive(name, group) for name, group in stated.exclusive.items()]
    return tuple(found)


def _served(response_id: str, tables: Tables) -> tuple[str, ...]:
    """Return the schools of the plan that have a response now.

    Raises:
        ValueError: if no participation was reported, so that nobody knows.
    """
    rows = tables["mart_response_map"].filter(pl.col("response_id") == response_id)
    if not rows["is_measured"].all():
        raise ValueError(
            f"policy.yaml: rules.must_keep: '{response_id}' is to be kept where it is served, but no participation is reported in this city; name the schools instead."
        )
    return tuple(rows.filter("is_served")["semel_mosad"])


def problem(city: CityFolder, tables: Tables) -> Problem:
    """Return what the city has to decide: its schools, options, budgets and rules."""
    choices = options(city, tables)
    return Problem(
        schools=tables["mart_need_index"].select("semel_mosad", "school_name_he", "pupils", "need"),
        options=choices,
        costs=costs(city, choices),
        channels=channels(city),
        school_channels=school_channels(city, tables),
        rules=rules(city, tables),
        equity_gamma=city.policy.equity_gamma.value,
        need_offset=city.policy.need_offset.value,
        overlaps=tuple(
            Overlap(name, group.name_en, group.name_he, group.responses, group.counted_share.value)
            for name, group in city.policy.overlaps.items()
        ),
    )


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
    plan = solve(
        problem(city, tables),
        gap_pct=policy.solver.gap_pct.value,
        time_limit_s=policy.solver.time_limit_s.value,
        objective=objective(city),
    )
    municipal = plan.money.filter(pl.col("funding_channel") == MUNICIPAL).select(
        *PAIR, pl.col("amount_agorot").alias("municipal_agorot")
    )
    lines = (
        plan.lines.join(municipal, on=PAIR, how="left")
        .join(need.select("semel_mosad", "school_name_he"), on="semel_mosad")
        .join(tables["core_response"].select("response_id", "response_name_he"), on="response_id")
        .with_columns(pl.col("municipal_agorot").fill_null(0))
    )
    certificate = plan.certificate
    return {
        "mart_allocation": lines,
        "mart_allocation_money": plan.money,
        "mart_allocation_channel": plan.channels,
        "mart_allocation_rule": plan.rules,
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
                    "cost_agorot": int(lines["cost_agorot"].sum()),
                    "municipal_agorot": int(lines["municipal_agorot"].sum()),
                    "schools": need.height,
                }
            ],
            schema_overrides=dict.fromkeys(
                ("equal_gain_sd", "floor_sd", "floor_bound_sd"), pl.Float64
            ),
        ),
    }


def formula(city: CityFolder, tables: Tables) -> Tables:
    """Return scenario zero: what the policy's formula gives each school, no programmes.

    Raises:
        CityError: the formula names a column the schools do not have, or its pot cannot be shared so.
    """
    schools, amounts = tables["mart_need_index"], []
    for name, part in city.policy.formula.items():
        try:
            given = part.engine().apply(schools, pot_agorot(city, part))
        except ValueError as error:
            where = f"policy.yaml: formula.{name}"
            raise CityError(
                f"{where}: {error}", f"{where}: לא ניתן לחלק לפי הנוסחה: {error}"
            ) from None
        amounts.append(given.amounts)
    total = pl.concat(amounts).group_by("semel_mosad").agg(formula_agorot=pl.col("amount_agorot").sum())  # fmt: skip
    return {"mart_allocation_formula": total.sort("semel_mosad")}


def pot_agorot(city: CityFolder, part: FormulaPart) -> int:
    """Return the money a part of the formula shares; nothing where its channel has no budget."""
    if part.pot.agorot:
        return part.pot.agorot.value
    channel = city.policy.channels[part.pot.channel] if part.pot.channel else None
    return round(AGOROT * channel.budget.value) if channel and channel.budget else 0


STEPS = (
    Step(
        "allocate_plan",
        "decide",
        makes=(
            "mart_allocation", "mart_allocation_money", "mart_allocation_channel",
            "mart_allocation_rule", "mart_allocation_certificate",
        ),
        reads=("mart_need_index", "mart_gap_school", "mart_effect", "mart_response_map", "core_response", "core_school_year"),
        compute=allocate,
    ),
    Step("formula", "decide", makes=("mart_allocation_formula",), reads=("mart_need_index",), compute=formula),
)  # fmt: skip
