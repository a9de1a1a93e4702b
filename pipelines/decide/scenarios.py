"""Scenarios: each solved near the plan, and all of them side by side (R98).

A scenario is solved again only when something it depends on has changed: its solution is kept with
a hash over the whole problem, the plan it is compared with and the code that solves.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl

from models.allocation import (
    InfeasibleRules,
    NoPlanInTime,
    Problem,
    best_near,
    with_given_floor,
    with_highest_floor,
)
from models.allocation.account.comparison import compare_plans
from models.allocation.account.known_worth import found_again, known_worth
from models.allocation.solve.model import model_of
from models.apportionment import split_by_share
from models.keys import PAIR
from models.quarters import with_quartile
from pipelines.decide import allocation, city_services
from pipelines.decide.allocation import problem, with_payers
from pipelines.decide.goals import READS as GOAL_READS
from pipelines.decide.goals import mean_effects
from pipelines.decide.side_by_side import WORKERS
from pipelines.settings.city import CityError, CityFolder
from pipelines.settings.code import code_fingerprint
from pipelines.settings.fields import dictionary
from pipelines.settings.keys import AGOROT, CITY, MUNICIPAL
from pipelines.settings.policy import Policy, Response
from pipelines.settings.scenario_files import BASE, Scenario, confirmed_only, load_scenarios
from pipelines.warehouse.tables import Step, Tables, nothing, table_of

_CODE = (
    "models/allocation/**/*.py",
    "models/*.py",
    "pipelines/decide/allocation.py",
    "pipelines/decide/city_services.py",
    "pipelines/decide/parents.py",
    "pipelines/decide/scenarios.py",
    "requirements.lock",
)
# What is kept of a line of a plan, and what plans are compared by.
LINE = [
    *PAIR,
    "dose_level",
    "dose",
    "participants",
    "benefit_sd_pupils",
    "full_benefit_sd_pupils",
    "cost_agorot",
    "municipal_agorot",
    "parents_agorot",
]
_MADE = ("core_scenario", "core_scenario_line")
_Outcome = tuple[dict[str, Any], pl.DataFrame, Problem | None]
"""What became of a scenario: columns of its row, its lines, and its problem where it has one."""
CONFIRMED_BY = ("mart_allocation_money", "mart_city_service_money")
_BASE_HE, _BASE_EN = "התוכנית", "The plan"


def solve_scenarios(city: CityFolder, tables: Tables) -> Tables:
    """Solve the scenarios that are new or changed, and take the others as they were.

    The plan itself is the first row and is not solved again. A scenario without a plan is a row
    with its conflict in words.
    """
    base = as_counted(tables["mart_allocation"])
    certificate = tables["mart_allocation_certificate"].row(0, named=True)
    code = code_fingerprint(_CODE)
    scenarios = scenarios_of(city, tables)
    plan = {
        "scenario_name_he": _BASE_HE,
        "scenario_name_en": _BASE_EN,
        "scenario_reason": "ההקצאה שבדוח; התרחישים מושווים אליה",
        "scenario_status": "base",
        "optimality_gap_pct": certificate["optimality_gap_pct"],
        "solve_key": _digest(_csv(base.select(LINE))),
    }
    rows, lines = (
        [_row(BASE, 0, city, plan)],
        [base.select(pl.lit(BASE).alias("scenario_id"), *LINE)],
    )
    cities = [city.model_copy(update={"policy": scenario.policy}) for scenario in scenarios]

    def one(scenario: Scenario, own: CityFolder) -> _Outcome:
        return _solved(scenario, own, tables, base, code)

    with ThreadPoolExecutor(WORKERS) as pool:  # they know nothing of each other
        outcomes = list(pool.map(one, scenarios, cities))
    told = _worth_changes(city, tables, base, scenarios, outcomes)
    for order, (scenario, own, (found, bought, _)) in enumerate(
        zip(scenarios, cities, outcomes, strict=True), start=1
    ):
        names = {
            "scenario_name_he": scenario.name_he,
            "scenario_name_en": scenario.name_en,
            "scenario_reason": scenario.reason,
        }
        found |= {"worth_change_pct": told.get(scenario.scenario_id)}
        rows.append(_row(scenario.scenario_id, order, own, names | found))
        lines.append(bought)
    return {
        "core_scenario": table_of("core_scenario", rows),
        "core_scenario_line": pl.concat(lines, how="vertical_relaxed"),
        "mart_scenario_change": table_of(
            "mart_scenario_change",
            [
                {"scenario_id": scenario.scenario_id} | change.model_dump()
                for scenario in scenarios
                for change in scenario.changes
            ],
        ),
    }


def scenarios_of(city: CityFolder, tables: Tables) -> tuple[Scenario, ...]:
    """Return the product's own scenario, where there is one, and those of the city's files.

    Raises:
        CityError: as `load_scenarios`.
    """
    return (*confirmed_only(as_confirmed(city, tables).policy), *load_scenarios(city))


def as_confirmed(city: CityFolder, tables: Tables) -> CityFolder:
    """Return the city with its policy's states of confirmation as the plan's money has them.

    A part of a response is confirmed where all that the plan asks for it is; a letter can confirm
    what the policy expects, and withdraw what it holds for confirmed (R83).
    """
    names = ["response_id", "funding_channel", "confirmation"]
    found = (
        pl.concat(tables[name].select(names) for name in CONFIRMED_BY)
        .group_by("response_id", "funding_channel")
        .agg((pl.col("confirmation") == "confirmed").all().alias("is_whole"))
        .sort("response_id", "funding_channel")
    )
    policy = city.policy
    changed: dict[str, Response] = {}
    for response_id, channel, is_whole in found.iter_rows():
        stated = policy.confirmation(response_id, channel)
        if (stated == "confirmed") != is_whole:
            own = policy.channels[channel].confirmation.model_copy(
                update={"value": "confirmed" if is_whole else "expected"}
            )
            item = changed.get(response_id, policy.responses[response_id])
            changed[response_id] = item.model_copy(
                update={"confirmation": item.confirmation | {channel: own}}
            )
    if not changed:
        return city
    whole = policy.model_copy(update={"responses": policy.responses | changed})
    return city.model_copy(update={"policy": whole})


def as_counted(lines: pl.DataFrame) -> pl.DataFrame:
    """Return the plan's lines as its worth counts them, in order: with 0 where nothing counts."""
    return lines.sort(PAIR).with_columns(
        pl.col("benefit_sd_pupils", "full_benefit_sd_pupils").fill_null(0.0)
    )


def _row(scenario_id: str, order: int, city: CityFolder, found: dict[str, Any]) -> dict[str, Any]:
    own = city.policy.channels.get(MUNICIPAL)
    return {
        "scenario_id": scenario_id,
        "scenario_order": order,
        "equity_gamma": city.policy.equity_gamma.value,
        "municipal_budget_agorot": round(AGOROT * own.budget.value) if own and own.budget else None,
    } | found


def _solved(
    scenario: Scenario, city: CityFolder, tables: Tables, base: pl.DataFrame, code: str
) -> _Outcome:
    """The outcome of one scenario, from the last run where nothing has changed."""
    none = nothing("core_scenario_line")
    try:
        asked = allocation.in_plan_order(city, tables, problem(city, tables)).canonical()
        key = _key(asked, base, city, code)
    except (CityError, ValueError) as error:
        # The rules name what the city does not have: told in a row, like a conflict, and by the
        # file's place in the city's folder, wherever that stands.
        en, he = (
            getattr(error, side, str(error)).replace(f"{city.folder}/", "") for side in ("en", "he")
        )
        return (
            {
                "scenario_status": "invalid",
                "conflict_en": en,
                "conflict_he": f"הכללים שבקובץ מפנים למה שאין בעיר: {he}",
                "solve_key": _digest(scenario.policy.model_dump_json(), en),
            },
            none,
            None,
        )
    held, lines = (
        tables.get(name, nothing(name)).filter(scenario_id=scenario.scenario_id) for name in _MADE
    )
    held = held.filter(pl.col("solve_key") == key, pl.col("scenario_status") != "no_plan_in_time")
    if held.height:
        kept = ("scenario_status", "conflict_he", "conflict_en", "optimality_gap_pct", "solve_key")
        return held.select(kept).row(0, named=True), lines, asked
    solver = city.policy.solver
    try:
        found = best_near(
            with_highest_floor(
                asked, gap_pct=solver.gap_pct.value, time_limit_s=solver.time_limit_s.value
            ),
            base,
            gap_pct=solver.gap_pct.value,
            time_limit_s=solver.time_limit_s.value,
        )
    except InfeasibleRules as error:
        return (
            {
                "scenario_status": "infeasible",
                "conflict_he": error.he,
                "conflict_en": error.en,
                "solve_key": key,
            },
            none,
            asked,
        )
    except NoPlanInTime as error:
        return (
            {
                "scenario_status": "no_plan_in_time",
                "conflict_en": str(error),
                "conflict_he": "לא נמצאה תוכנית במסגרת הזמן שבמדיניות.",
                "solve_key": key,
            },
            none,
            asked,
        )
    bought = with_payers(city, tables, found.lines, found.money)
    return (
        {
            "scenario_status": "solved",
            "optimality_gap_pct": found.gap_pct,
            "solve_key": key,
        },
        bought.select(pl.lit(scenario.scenario_id).alias("scenario_id"), *LINE),
        asked,
    )


def _worth_changes(
    city: CityFolder,
    tables: Tables,
    base: pl.DataFrame,
    scenarios: tuple[Scenario, ...],
    outcomes: list[_Outcome],
) -> dict[str, float | None]:
    """Return what each scenario changes of the need-weighted benefit, in percent, on one basis.

    The plan was told from its equals by fairness, scenarios were found near it: so it is solved
    again as they were, and each counts what the plans in hand bring at most under its rules.
    """
    solved = {
        scenario.scenario_id: (asked, lines)
        for scenario, (found, lines, asked) in zip(scenarios, outcomes, strict=True)
        if asked is not None and found["scenario_status"] == "solved"
    }
    if not solved:
        return {}
    posed, solver = problem(city, tables), city.policy.solver
    floor = tables["mart_allocation_certificate"]["floor_sd"].item()
    again = found_again(
        allocation.in_plan_order(city, tables, with_given_floor(posed, floor)),
        base,
        gap_pct=solver.gap_pct.value,
        time_limit_s=solver.time_limit_s.value,
    )
    of_base, told = known_worth(
        posed,
        {name: asked for name, (asked, _) in solved.items()},
        [base, again, *(lines for _, lines in solved.values())],
    )
    return {
        name: 100 * (worth - of_base) / of_base if worth is not None and of_base else None
        for name, worth in told.items()
    }


def plan_of(
    city: CityFolder, release: Path, scenario_id: str
) -> tuple[pl.DataFrame, pl.DataFrame, Policy | None]:
    """Return the lines and the money of a plan of a release, as a decision keeps them.

    Args:
        city: the city as the release's analysts have it.
        release: the release of the analysts.
        scenario_id: `base`, or a scenario that has a plan there.

    Returns:
        lines: plan_row_id, semel_mosad (null = the whole city), response_id, dose_level,
            participants, cost_agorot.
        money: plan_row_id, semel_mosad, response_id, funding_channel, amount_agorot.
        policy: what the scenario stands for; None = that of the city.

    Raises:
        CityError: if the lines do not add up to what was published of the plan.
    """
    needed = {*STEPS[0].reads, "mart_scenario", "mart_scenario_line"}
    tables = allocation.release_tables(release, needed)
    own, policy = city, None
    if scenario_id == BASE:
        lines, money = tables["mart_allocation"], tables["mart_allocation_money"]
    else:
        known = scenarios_of(city, tables)
        policy = next(one.policy for one in known if one.scenario_id == scenario_id)
        own = city.model_copy(update={"policy": policy})
        lines = tables["mart_scenario_line"].filter(scenario_id=scenario_id)
        money = _by_channel(policy, lines)
    services, paid = city_services.as_lines(own, tables), city_services.paid(own, tables)
    told = tables["mart_scenario"].filter(scenario_id=scenario_id).row(0, named=True)
    both = [money.select("funding_channel", "amount_agorot") for money in (money, paid)]
    every = pl.concat(both, how="vertical_relaxed")
    municipal = int(every.filter(funding_channel=MUNICIPAL)["amount_agorot"].sum())
    sums = (int(every["amount_agorot"].sum()), municipal)
    if sums != (told["cost_agorot"], told["municipal_agorot"]):
        raise CityError(
            f"{release}: the lines of the plan '{scenario_id}' do not add up to what was published"
            f" ({sums[0] / AGOROT:,.2f} and {told['cost_agorot'] / AGOROT:,.2f} NIS); run again and"
            " decide on the new release.",
            f"{release}: שורות התוכנית '{scenario_id}' אינן מסתכמות למה שפורסם"
            f" ({sums[0] / AGOROT:,.2f} ו־{told['cost_agorot'] / AGOROT:,.2f} ₪); יש להריץ שוב"
            " ולהחליט על הפרסום החדש.",
        )
    of_school = pl.concat_str("semel_mosad", pl.lit("/"), "response_id").alias("plan_row_id")
    of_city = pl.concat_str(pl.lit(f"{CITY}/"), "response_id").alias("plan_row_id")
    return (
        pl.concat(
            [lines.with_columns(of_school), services.with_columns(of_city)], how="diagonal_relaxed"
        ),
        pl.concat(
            [money.with_columns(of_school), paid.with_columns(of_city)], how="diagonal_relaxed"
        ),
        policy,
    )


def _by_channel(policy: Policy, lines: pl.DataFrame) -> pl.DataFrame:
    """Return who pays the lines of a scenario, by the shares of its policy."""
    return pl.DataFrame(
        [
            (school, response_id, channel, amount)
            for school, response_id, cost in lines.select(*PAIR, "cost_agorot").iter_rows()
            for channel, amount in split_by_share(
                cost, dict[str, float](policy.responses[response_id].funding.items())
            ).items()
            if amount
        ],
        schema={**dict.fromkeys([*PAIR, "funding_channel"], pl.String), "amount_agorot": pl.Int64},
        orient="row",
    )


def _key(asked: Problem, base: pl.DataFrame, city: CityFolder, code: str) -> str:
    """A hash over everything the solution depends on, whatever the order of rows."""
    model = model_of(asked)
    words = [f"{r.rule_id} {r.sentence_he} {r.sentence_en}" for r in model.rules]
    solver = city.policy.solver
    parts = [model.matrix.data, model.matrix.indices, model.matrix.indptr, model.lower, model.upper]
    return _digest(
        code,
        solver.gap_pct.value,
        solver.time_limit_s.value,
        *words,
        *[part.astype(float).tobytes() for part in parts],
        _csv(model.columns.options),
        _csv(asked.costs),
        _csv(asked.services),
        _csv(base.select(LINE)),
        asked.overlaps,
        asked.objective,
        asked.relax_order,
        sorted(asked.response_names.items()),
    )


def _csv(frame: pl.DataFrame) -> str:
    return frame.write_csv()


def _digest(*parts: object) -> str:
    digest = hashlib.sha256()
    for part in parts:
        held = part if isinstance(part, bytes) else str(part).encode()
        digest.update(f"{len(held)}\0".encode() + held)
    return digest.hexdigest()


def compare_scenarios(city: CityFolder, tables: Tables) -> Tables:
    """Return the scenarios side by side: money, pupils reached, progress, indices, moves."""
    need = tables["mart_need_index"].sort("semel_mosad")
    scenarios = tables["core_scenario"].sort("scenario_order")
    planned = scenarios.filter(pl.col("scenario_status").is_in(["base", "solved"]))
    lines = with_benefit_share(city, tables["core_scenario_line"])
    names, members = _members(city, tables, need)
    policies = {BASE: city.policy} | {
        one.scenario_id: one.policy for one in scenarios_of(city, tables)
    }
    found = compare_plans(
        lines,
        need.select("semel_mosad", "pupils", "need"),
        members,
        mean_effects(city, tables).select("response_id", "effect_se_sd"),
        plans=planned["scenario_id"].to_list(),
        base=BASE,
        seed=city.policy.need.seed.value,
        services=pl.concat(
            city_services.as_lines(
                city.model_copy(update={"policy": policies[scenario_id]}), tables
            ).select(pl.lit(scenario_id).alias("scenario_id"), pl.all())
            for scenario_id in planned["scenario_id"]
        ),
    )
    per_sd = dictionary().references["months_per_sd"].value
    months = {
        f"plan_months{end}": (
            pl.when(pl.col("participants") > 0).then(
                per_sd * pl.col(f"benefit{end}_sd_pupils") / pl.col("participants")
            )
        )
        for end in ("", "_lo", "_hi")
    }
    return {
        "mart_scenario": (
            scenarios.join(found.plans, on="scenario_id", how="left").with_columns(
                **months, schools=pl.lit(need.height, pl.Int32)
            )
        ),
        "mart_scenario_group": (
            found.groups.join(
                names, on=["scenario_dimension", "division_id"], how="left"
            ).with_columns(**months)
        ),
        "mart_scenario_school": found.schools.join(
            need.select("semel_mosad", "school_name_he", "stream", "need_tier", "need", "pupils"),
            on="semel_mosad",
            how="left",
        ),
        "mart_scenario_response": found.responses.join(
            tables["mart_response"].select("response_id", "response_name_he"),
            on="response_id",
            how="left",
        ),
    }


def with_benefit_share(city: CityFolder, lines: pl.DataFrame) -> pl.DataFrame:
    """Add the share of the full benefit that each line's dose gives, less what overlaps."""
    alone, counted = pl.col("full_benefit_sd_pupils"), pl.col("benefit_sd_pupils")
    return lines.with_columns(
        benefit_share=pl.col("dose").replace_strict(
            dict(city.policy.dose_response.value), return_dtype=pl.Float64
        )
        * pl.when(alone > 0).then(counted / alone).otherwise(1.0)
    )


def _members(
    city: CityFolder, tables: Tables, need: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Names of the divisions, and which part of each school is in which.

    Of the policy's groups a school's part is their share of its pupils: that its participants are
    like its pupils is an assumption, said where it is shown.
    """
    quartiles = with_quartile(need).select(
        pl.lit("need_quartile").alias("scenario_dimension"),
        pl.col("need_quartile").cast(pl.String).alias("division_id"),
        "semel_mosad",
        member_share=pl.lit(1.0),
        member_pupils=pl.col("pupils").cast(pl.Int64),
    )
    tiers = need.select(
        pl.lit("need_tier").alias("scenario_dimension"),
        pl.col("need_tier").cast(pl.String).alias("division_id"),
        "semel_mosad",
        member_share=pl.lit(1.0),
        member_pupils=pl.col("pupils").cast(pl.Int64),
    )
    streams = need.select(
        pl.lit("stream").alias("scenario_dimension"),
        pl.col("stream").alias("division_id"),
        "semel_mosad",
        member_share=pl.lit(1.0),
        member_pupils=pl.col("pupils").cast(pl.Int64),
    )
    groups = (
        tables["core_group_school"]
        .join(tables["mart_group"], on="group_id")
        .filter(pl.col("group_dimension") != "stream")
        .join(need.select("semel_mosad", "last_registered_pupils"), on="semel_mosad")
        .select(
            pl.lit("group").alias("scenario_dimension"),
            pl.col("group_id").alias("division_id"),
            "semel_mosad",
            member_share=pl.when(pl.col("last_registered_pupils") > 0)
            .then((pl.col("group_pupils") / pl.col("last_registered_pupils")).clip(0, 1))
            .otherwise(0.0),
            member_pupils=pl.col("group_pupils").cast(pl.Int64),
        )
    )
    # A group of a few pupils in the whole city is not shown.
    least = city.policy.suppression.count_pupils.value
    groups = groups.filter(pl.col("member_pupils").sum().over("division_id") >= least)
    members = pl.concat([quartiles, tiers, streams, groups])
    of_group = dict(tables["mart_group"].select("group_id", "group_name_he").iter_rows())
    said = {"1": "הרבע הנזקק ביותר", "2": "הרבע השני", "3": "הרבע השלישי", "4": "הרבע הנזקק פחות"}
    names = (
        members.select("scenario_dimension", "division_id")
        .unique()
        .with_columns(
            division_name_he=pl.struct("scenario_dimension", "division_id").map_elements(
                lambda row: (
                    said[row["division_id"]]
                    if row["scenario_dimension"] == "need_quartile"
                    else (
                        dictionary().label(row["scenario_dimension"], row["division_id"])
                        if row["scenario_dimension"] in ("stream", "need_tier")
                        else of_group[row["division_id"]]
                    )
                ),
                return_dtype=pl.String,
            )
        )
    )
    return names, members


STEPS = (
    Step(
        "solve_scenarios",
        "decide",
        makes=(*_MADE, "mart_scenario_change"),
        reads=(
            *allocation.STEPS[0].reads,
            "mart_allocation",
            "mart_allocation_certificate",
            *CONFIRMED_BY,
        ),
        compute=solve_scenarios,
        remembers=_MADE,
    ),
    Step(
        "compare_scenarios",
        "decide",
        makes=(
            "mart_scenario",
            "mart_scenario_group",
            "mart_scenario_school",
            "mart_scenario_response",
        ),
        reads=(
            *_MADE,
            *CONFIRMED_BY,
            "mart_need_index",
            "mart_gap_school",
            *GOAL_READS,
            "mart_response",
            "mart_group",
            "core_group_school",
            *city_services.READS,
        ),
        compute=compare_scenarios,
    ),
)
