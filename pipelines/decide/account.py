"""The plan accounted for: why each line, how firm, how fair, and at what price (R85–R96)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import polars as pl

from models.allocation import Problem
from models.allocation.account.audit import AuditSettings, audit, changes
from models.allocation.account.envy import envy_sentences, remaining_envies
from models.allocation.account.explain import Explanation, explain
from models.allocation.account.firmness import stability
from models.allocation.account.frontier import gamma_frontier, rule_prices
from models.allocation.account.information import value_of_partial_perfect_information
from models.allocation.account.keeping import keeping_sentences, price_of_keeping
from models.allocation.account.robust import robust_plans
from models.allocation.account.turning_points import TurningPointSettings, turning_points
from models.allocation.problem.uncertainty import Spread, joint_draws
from models.allocation.solve.resolve import Effort, Once
from models.keys import PAIR
from models.need import need_draws
from pipelines.decide.allocation import STEPS as ALLOCATION
from pipelines.decide.allocation import by_worth, fairness, planned, problem
from pipelines.decide.goals import gains
from pipelines.decide.rules import surely_neediest
from pipelines.decide.side_by_side import WORKERS
from pipelines.diagnose.areas import BAND, nurture_bands
from pipelines.settings.city import CityFolder
from pipelines.settings.fields import dictionary
from pipelines.settings.keys import MUNICIPAL
from pipelines.warehouse.tables import Step, Tables, nothing

TURNING = TurningPointSettings(
    max_solves=20, need_step=0.05, budget_step_pct=5.0, budget_limit_pct=25.0
)
READS = ALLOCATION[0].reads
CLOSE = Effort(gap_pct=0.1)
# Rounds of a robust plan grow steeply with precision; what it may miss is told beside it.
ROBUST = Effort(gap_pct=1.0, time_limit_s=60.0)
# The end of the frontier is shown for its direction; proving its floor finer takes minutes.
FLOOR = Effort(gap_pct=5.0, time_limit_s=60.0)
GEFEN = "gefen_school"


def explained(city: CityFolder, tables: Tables) -> Tables:
    """Return why each school has a response or not, what rules cost, what turns close calls."""
    posed, lines = planned(city, tables), tables["mart_allocation"]
    found = explain(posed, lines, months_per_sd=dictionary().references["months_per_sd"].value)
    close = closest(found, city.policy.account.flip_pairs.value)
    with ThreadPoolExecutor() as pool:  # side by side, as each leaves a core idle at its end
        flips = pool.submit(turned, posed, lines, close)
        envies = pool.submit(envied, city, tables, posed)
        falls = pool.submit(fallen, city, tables)
    return {
        "mart_allocation_reason": found.pairs.rename(
            {"reason_code": "allocation_reason", "dose_code": "dose_reason"}
        ),
        "mart_allocation_part": pl.concat(
            [
                found.parts,
                found.surplus.select(*PAIR, pl.lit("surplus").alias("part"), worth="surplus"),
            ]
        ),
        "mart_allocation_price": (
            found.prices.rename({"semel_mosad": "rule_scope"}).with_columns(
                pl.col("rule_scope").fill_null("all")
            )
        ),
        "mart_allocation_flip": flips.result(),
        "mart_allocation_envy": envies.result(),
        "mart_needy_fall": falls.result(),
    }


def fallen(city: CityFolder, tables: Tables) -> pl.DataFrame:
    """Return the schools surely among the neediest that get less than last year, and its price."""
    need = tables["mart_need_index"]
    sure = need.filter(pl.col("semel_mosad").is_in(surely_neediest(city, tables).implode()))
    lose = (
        changed(tables, need)
        .filter(pl.col("change_agorot") < 0)
        .select("semel_mosad", "amount_agorot", "last_year_agorot", "change_pct")
        .join(sure.select("semel_mosad", "school_name_he", "need", "p_need_tier"), on="semel_mosad")
    )
    if lose.is_empty():
        return nothing("mart_needy_fall")
    found = lose.join(
        price_of_keeping(by_worth(city, tables), lose, workers=WORKERS), on="semel_mosad"
    ).sort("semel_mosad")
    said = [keeping_sentences(row) for row in found.iter_rows(named=True)]
    return found.drop("school_name_he").with_columns(
        fall_he=pl.Series([he for he, _ in said], dtype=pl.String),
        fall_en=pl.Series([en for _, en in said], dtype=pl.String),
    )


def envied(city: CityFolder, tables: Tables, posed: Problem) -> pl.DataFrame:
    """Return the envies that remain, what turning each would cost, and both in words."""
    certificate = tables["mart_allocation_certificate"].row(0, named=True)
    if certificate["fair_band_pct"] is None:
        return nothing("mart_allocation_envy")
    found = remaining_envies(
        posed, tables["mart_allocation"], fairness(city, tables).needier, workers=WORKERS
    )
    months = dictionary().references["months_per_sd"].value
    called = tables["mart_need_index"].select("semel_mosad", "school_name_he", "need")
    needier = called.rename({name: f"needier_{name}" for name in called.columns})
    named = (
        found.with_columns(months_lost=months * pl.col("benefit_loss_sd_pupils"))
        .join(called, on="semel_mosad", maintain_order="left")
        .join(needier, on="needier_semel_mosad", maintain_order="left")
    )
    is_priced = certificate["envy_bound_agorot"] is not None  # not in a country, taken apart
    said = [
        envy_sentences(row, posed.response_names, is_priced=is_priced)
        for row in named.iter_rows(named=True)
    ]
    return named.drop(
        "school_name_he", "needier_school_name_he", "benefit_loss_sd_pupils"
    ).with_columns(
        envy_he=pl.Series([he for he, _ in said], dtype=pl.String),
        envy_en=pl.Series([en for _, en in said], dtype=pl.String),
    )


def closest(found: Explanation, count: int) -> pl.DataFrame:
    """Return the pairs nearest to the price line, relative to their benefit: the closest calls."""
    return (
        found.pairs.filter(
            pl.col("reason_code").is_in(
                ["worth_its_price", "fills_what_is_left", "below_line", "budget"]
            )
        )
        .with_columns(nearness=pl.col("above_line").abs() / pl.col("weighted_benefit"))
        .sort("nearness", *PAIR)
        .head(count)
        .select(PAIR)
    )


def turned(posed: Problem, lines: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Return what would turn the decision on each pair, verified by solving again (R94)."""

    find = Once()

    def one(at: int) -> pl.DataFrame:
        return turning_points(posed, lines, pairs[at], TURNING, find)

    with ThreadPoolExecutor(WORKERS) as pool:
        rows = list(pool.map(one, range(pairs.height)))
    if not rows:
        return nothing("mart_allocation_flip")
    return (
        pl.concat(rows)
        .rename({"status": "flip_status"})
        .with_columns(pl.col("rule_id").fill_null("none"))
    )


def firm(city: CityFolder, tables: Tables) -> Tables:
    """Return how often each line is chosen when needs, effects, places and costs are drawn."""
    settings, posed, lines = city.policy.account, by_worth(city, tables), tables["mart_allocation"]
    draws = drawn_for(city, tables, posed)
    solved = draws.filter(pl.col("draw") < settings.solved_draws.value)
    found = stability(posed, lines, solved, workers=WORKERS)
    few = draws.filter(pl.col("draw") < settings.scenarios.value)
    with ThreadPoolExecutor() as pool:  # side by side, as the plans leave a core idle at their end
        information = pool.submit(
            value_of_partial_perfect_information, posed, lines, draws, effort=CLOSE, workers=WORKERS
        )
        robust = robust_plans(
            posed,
            lines,
            few,
            draws,
            alpha=1 - settings.bad_share.value,
            effort=ROBUST,
            workers=WORKERS,
        )
    return {
        "mart_allocation_stability": found.pairs.rename({"dose_level": "plan_dose_level"}),
        "mart_allocation_draw": found.draws,
        "mart_robust_plan": (
            robust.plans.rename({"plan": "plan_id", "lines": "lines_count"}).with_columns(
                scenarios=pl.lit(few["draw"].n_unique()), draws=pl.lit(draws["draw"].n_unique())
            )
        ),
        "mart_robust_line": robust.lines.rename({"plan": "plan_id"}),
        "mart_plan_information": information.result().rename(
            {"information_pct": "information_worth_pct"}
        ),
    }


def drawn(city: CityFolder, tables: Tables) -> pl.DataFrame:
    """Return joint draws of the city's needs and posterior effects, with the policy's spreads."""
    return drawn_for(city, tables, problem(city, tables))


def drawn_for(city: CityFolder, tables: Tables, posed: Problem) -> pl.DataFrame:
    """Return the same for what a problem offers."""
    policy, settings = city.policy, city.policy.account
    indicators = tables["mart_need_indicator"].join(
        tables["mart_need_index"], on="semel_mosad", how="semi"
    )
    needs = need_draws(
        indicators.select(
            "semel_mosad",
            "indicator_id",
            "indicator_kind",
            "is_measured",
            "indicator_need",
            "indicator_need_se",
        ),
        indicators.select("indicator_id", "weight_pct").unique().sort("indicator_id"),
        order_p=policy.need.order_p.value,
        draws=settings.draws.value,
        seed=settings.seed.value,
    )
    offered = posed.options.select(PAIR).unique()
    effects = gains(city, tables).join(offered, on=PAIR, how="semi")
    return joint_draws(
        needs,
        tables["mart_need_index"].select("semel_mosad", "need"),
        effects,
        equity_gamma=policy.equity_gamma.value,
        need_offset=policy.need_offset.value,
        spread=Spread(settings.participation_spread.value, settings.cost_spread.value),
        seed=settings.seed.value,
    )


def audited(city: CityFolder, tables: Tables) -> Tables:
    """Return whether money goes to need, equally to equals and streams; who gains and loses."""
    settings = city.policy.account
    schools = with_nurture_band(
        tables,
        tables["mart_need_index"].select("semel_mosad", "stream", "pupils", "need", "need_tier"),
    )
    money = views(tables, schools)
    found = audit(
        schools,
        money,
        AuditSettings(
            seed=settings.seed.value,
            stream_tolerance_pct=settings.stream_tolerance_pct.value,
            need_within=settings.equal_need_within.value,
            pair_tolerance_pct=settings.equal_money_within_pct.value,
        ),
    )
    point = pl.int_range(pl.len(), dtype=pl.Int32).over("view").alias("curve_point")
    return {
        "mart_audit_index": found.indices,
        "mart_audit_curve": found.curve.with_columns(point),
        "mart_audit_group": (
            found.groups.rename({"dimension": "audit_dimension", "group": "audit_group"}).pipe(
                _rounded
            )
        ),
        "mart_audit_equal": found.horizontal.rename({"model": "audit_model"}),
        "mart_audit_pair": found.pairs.pipe(_rounded),
        "mart_audit_without": found.without,
        "mart_audit_stream": found.streams.rename({"status": "audit_status"}).pipe(_rounded),
        "mart_allocation_change": changed(tables, schools),
    }


def with_nurture_band(tables: Tables, schools: pl.DataFrame) -> pl.DataFrame:
    """Add nurture_band; "unknown" where a school has no nurture index."""
    bands = nurture_bands(tables["core_school_year"])
    return schools.join(bands, on="semel_mosad", how="left").with_columns(
        pl.col(BAND).fill_null("unknown")
    )


def views(tables: Tables, schools: pl.DataFrame) -> pl.DataFrame:
    """Return the money of each school as it can be looked at: view, semel_mosad, amount_agorot.

    `plan` is the plan's; `municipal_own` what the authority itself pays of it; `total` the plan
    with the Ministry's money and the whole Gefen basket, unknown where either is; `without_plan`
    these two alone, so that the two beside each other tell what the plan changes. A view of which
    nothing is known, or that holds no money, is left out.
    """
    paid = (
        tables["mart_allocation_money"]
        .group_by("semel_mosad")
        .agg(
            plan=pl.col("amount_agorot").sum(),
            municipal_own=pl.col("amount_agorot")
            .filter(pl.col("funding_channel") == MUNICIPAL)
            .sum(),
            gefen=pl.col("amount_agorot").filter(pl.col("funding_channel") == GEFEN).sum(),
        )
    )
    latest = tables["core_school_year"].sort("school_year").group_by("semel_mosad").last()
    return (
        schools.select("semel_mosad")
        .join(paid, on="semel_mosad", how="left")
        .with_columns(pl.col("plan", "municipal_own", "gefen").fill_null(0))
        .join(
            latest.select("semel_mosad", "ministry_agorot", "gefen_agorot"),
            on="semel_mosad",
            how="left",
        )
        .with_columns(
            total=pl.col("plan")
            - pl.col("gefen")
            + pl.col("ministry_agorot")
            + pl.col("gefen_agorot"),
            without_plan=pl.col("ministry_agorot") + pl.col("gefen_agorot"),
        )
        .unpivot(
            ["plan", "municipal_own", "total", "without_plan"],
            index="semel_mosad",
            variable_name="view",
            value_name="amount_agorot",
        )
        .filter((pl.col("amount_agorot").sum() > 0).over("view"))
        .sort("view", "semel_mosad")
    )


def changed(tables: Tables, schools: pl.DataFrame) -> pl.DataFrame:
    """Return who gains and loses against last year's plan, for the responses decided on."""
    last = tables["mart_last_plan"].select("semel_mosad", amount_agorot="last_year_agorot")
    if last.is_empty():
        return nothing("mart_allocation_change")
    now = (
        tables["mart_allocation"]
        .group_by("semel_mosad")
        .agg(amount_agorot=pl.col("cost_agorot").sum())
    )
    planned = schools.join(now, on="semel_mosad", how="left").with_columns(
        pl.col("amount_agorot").fill_null(0)
    )
    return (
        changes(planned, last)
        .rename({"direction": "change_direction"})
        .with_columns(pl.col("change_per_pupil_agorot").round().cast(pl.Int64))
    )


def priced(city: CityFolder, tables: Tables) -> Tables:
    """Return what corrective preference, each rule and a larger budget cost and bring."""
    settings = city.policy.account
    with ThreadPoolExecutor() as pool:  # side by side, as each leaves a core idle at its end
        frontier = pool.submit(
            gamma_frontier,
            problem(city, tables),
            settings.gammas.value,
            seed=settings.seed.value,
            effort=CLOSE,
            floor_effort=FLOOR,
            workers=WORKERS,
        )
        prices = rule_prices(
            planned(city, tables),
            budget_step_pct=settings.budget_step_pct.value,
            effort=CLOSE,
            workers=WORKERS,
        )
    return {
        "mart_frontier": frontier.result().rename(
            {"lines": "lines_count", "gap_pct": "optimality_gap_pct"}
        ),
        "mart_rule_price": prices.rename({"change": "rule_change"}),
    }


def _rounded(frame: pl.DataFrame) -> pl.DataFrame:
    """Amounts per pupil to the agora, as the dictionary has them."""
    return frame.with_columns(
        pl.col(name).round().cast(pl.Int64)
        for name in frame.columns
        if name.startswith("per_pupil") and frame.schema[name].is_float()
    )


STEPS = (
    Step(
        "explain_plan",
        "decide",
        makes=(
            "mart_allocation_reason",
            "mart_allocation_part",
            "mart_allocation_price",
            "mart_allocation_flip",
            "mart_allocation_envy",
            "mart_needy_fall",
        ),
        reads=(*READS, "mart_allocation", "mart_allocation_certificate"),
        compute=explained,
    ),
    Step(
        "plan_stability",
        "decide",
        makes=(
            "mart_allocation_stability",
            "mart_allocation_draw",
            "mart_robust_plan",
            "mart_robust_line",
            "mart_plan_information",
        ),
        reads=(*READS, "mart_allocation", "mart_allocation_certificate", "mart_need_indicator"),
        compute=firm,
    ),
    Step(
        "plan_audit",
        "decide",
        makes=(
            "mart_audit_index",
            "mart_audit_curve",
            "mart_audit_group",
            "mart_audit_equal",
            "mart_audit_pair",
            "mart_audit_stream",
            "mart_audit_without",
            "mart_allocation_change",
        ),
        reads=(
            "mart_need_index",
            "mart_allocation",
            "mart_allocation_money",
            "core_school_year",
            "mart_last_plan",
        ),
        compute=audited,
    ),
    Step(
        "plan_prices",
        "decide",
        makes=("mart_frontier", "mart_rule_price"),
        reads=(*READS, "mart_allocation", "mart_allocation_certificate"),
        compute=priced,
    ),
)
