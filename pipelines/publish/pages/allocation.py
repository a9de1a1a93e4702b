"""The allocation page: eight budget questions, each line's firmness, why and why not (R94–R96).

Hebrew, right to left, without scripts. The report tells what is proposed; this page answers for it:
how good the plan is and how we know, what would change it, whether equals are treated alike, and
what each rule costs. Every number carries the address of its mart cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from markupsafe import Markup

from models.keys import PAIR
from pipelines.publish import charts, words
from pipelines.publish.pages.base import ReportContext, Rows, page
from pipelines.publish.pages.first.facts import rows_by
from pipelines.publish.pages.voices import voices
from pipelines.settings.fields import dictionary
from pipelines.settings.keys import CITY
from pipelines.settings.scenario_files import BASE, CONFIRMED

MOST_PRICES, MOST_PAIRS = 12, 8
PER_UNIT = {
    "schools": "לבית ספר",
    "pupils": "למשתתף",
    "responses": "למענה",
    "pairs": "לשיבוץ",
    "options": "לאפשרות",
    "pupil-hours a week": "לשעת תלמיד בשבוע",
}


def render_allocation(tables: Mapping[str, pl.DataFrame], context: ReportContext) -> str:
    """Return the page as one HTML text.

    Args:
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
    """
    # Of a country's schools `make why` tells the reasons, one at a time.
    shown_parts = tables["mart_allocation_part"]
    shown_parts = shown_parts.clear() if context.is_country else shown_parts
    parts = {
        pair: own.to_dicts()
        for pair, own in (
            shown_parts.sort(
                *PAIR,
                pl.col("part").replace_strict({"weighted_benefit": 0, "surplus": 2}, default=1),
                "part",
            ).group_by(PAIR, maintain_order=True)
        )
    }
    schools = tables["mart_allocation_school"].sort("need_tier", "school_name_he", "semel_mosad")
    rules = dict(tables["mart_allocation_rule"].select("rule_id", "rule_he").iter_rows())
    firmness = tables["mart_allocation_stability"]
    lines = tables["mart_allocation"].join(
        firmness.select(*PAIR, "stability", "other_stability", "selection_share", "draws"),
        on=PAIR,
    )
    named = schools.select("semel_mosad", "school_name_he")
    left = (
        tables["mart_allocation_remaining"]
        .join(named, on="semel_mosad", how="left")
        .sort("school_name_he", "semel_mosad")
    )
    pots = tables["mart_allocation_formula_pot"].sort("formula_part")
    prices = tables["mart_rule_price"].filter(pl.col("worth_gain") > 0)
    needy_loses = (pl.col("need_quartile") == 1) & (pl.col("change_agorot") < 0).fill_null(False)
    return page(
        "allocation",
        tables,
        context,
        ruled=lambda rule_id: str(rules.get(rule_id, rule_id)).rstrip("."),
        parts_of=lambda reason: parts.get((reason["semel_mosad"], reason["response_id"]), []),
        certificate=tables["mart_allocation_certificate"].row(0, named=True),
        envies=tables["mart_allocation_envy"]
        .sort("cost_agorot", *PAIR, descending=[True, False, False])
        .to_dicts(),
        ties=tables["mart_allocation_tie"].sort("tie_number", "semel_mosad").to_dicts(),
        falls=tables["mart_needy_fall"].sort("semel_mosad").to_dicts(),
        remaining=left.to_dicts(),
        progress=tables["mart_plan_progress"]
        .sort(pl.col("level_band").cast(pl.Enum(list(dictionary().labels["level_band"]))))
        .to_dicts(),
        plan_evidence=tables["mart_plan_evidence"].sort("evidence_kind").to_dicts(),
        sized=_sized(tables["mart_planned_pupils"]),
        amounts=tables["mart_committee_amount"].sort("response_id").to_dicts(),
        voices=voices(tables),
        contradictions=tables["mart_contradiction"].sort("contradiction", "response_id").to_dicts(),
        gap_unknown=left.filter(pl.col("need_gap_before").is_null()).to_dicts(),
        checked=tables["mart_allocation_rule"].sort("rule_id").to_dicts(),
        channels=tables["mart_allocation_channel"].sort("funding_channel").to_dicts(),
        assets=tables["mart_allocation_asset"].sort("asset_id", "response_id").to_dicts(),
        answers=_answers(tables, lines),
        indices=tables["mart_audit_index"].sort("view", "index_id").to_dicts(),
        groups=tables["mart_audit_group"].sort("audit_dimension", "view", "audit_group").to_dicts(),
        streams=tables["mart_audit_stream"].sort("view", "stream").to_dicts(),
        equals=tables["mart_audit_equal"].sort("view", "audit_model").to_dicts(),
        pairs=tables["mart_audit_pair"]
        .filter(pl.col("view") == "plan")
        .sort(
            "difference_agorot",
            "semel_mosad",
            "semel_mosad_other",
            descending=[True, False, False],
        )
        .head(MOST_PAIRS)
        .to_dicts(),
        tiers=dict(tables["mart_need_index"].select("semel_mosad", "need_tier").iter_rows()),
        without=tables["mart_audit_without"].sort("view", "semel_mosad").to_dicts(),
        changes=tables["mart_allocation_change"]
        .sort(~needy_loses, "change_agorot", "semel_mosad", nulls_last=True)
        .to_dicts(),
        frontier=tables["mart_frontier"]
        .sort(pl.col("objective_id") == "maximin", "equity_gamma")
        .to_dicts(),
        frontier_chart=Markup(charts.frontier_chart(tables["mart_frontier"])),
        curve_chart=Markup(
            charts.concentration_chart(tables["mart_audit_curve"].filter(pl.col("view") == "plan"))
        ),
        prices=prices.sort("worth_gain", "rule_id", descending=[True, False])
        .head(MOST_PRICES)
        .to_dicts(),
        prices_total=prices.height,
        shadow=_shadow(tables["mart_allocation_price"], tables["mart_allocation_rule"]),
        formula_pots=pots.to_dicts(),
        formula_steps=pots.filter(
            (pl.col("formula_kind") != "pot") | (pl.col("formula_left") != 0)
        ).to_dicts(),
        formula_schools=tables["mart_formula_school"]
        .filter(scenario_id=BASE)
        .sort("school_name_he", "semel_mosad")
        .to_dicts(),
        services=tables["mart_city_service"].sort("response_id").to_dicts(),
        services_paid=tables["mart_city_service_money"]
        .sort("response_id", "funding_channel")
        .to_dicts(),
        states=tables["mart_allocation_confirmation"]
        .sort("confirmation", "funding_channel")
        .to_dicts(),
        state_totals=_state_totals(tables["mart_allocation_confirmation"]),
        sure=_without_unconfirmed(tables),
        parents=_parents(tables["mart_parents_plan"]),
        bounds=tables["mart_allocation_bound"].to_dicts(),
        next_money=tables["mart_allocation_next"]
        .sort("funding_channel", "step_agorot", descending=[False, True])
        .to_dicts(),
        firm=(
            {
                "pairs": dict(firmness.group_by("stability").len().iter_rows()),
                "agorot": dict(
                    lines.group_by("stability").agg(pl.col("cost_agorot").sum()).iter_rows()
                ),
                "lines": dict(lines.group_by("stability").len().iter_rows()),
                "between": dict(
                    lines.drop_nulls("other_stability").group_by("stability").len().iter_rows()
                ),
                "draws": int(firmness["draws"].max() or 0),  # type: ignore[arg-type]
            }
        ),
        grounds=[{"stability": name} for name in dictionary().signs["stability"]],
        drawn=_drawn(tables["mart_allocation_draw"]),
        doubtful=(
            firmness.filter(pl.col("stability") == "coin_flip")
            .join(
                tables["mart_allocation_reason"].select(*PAIR, "cost_agorot", "allocation_reason"),
                on=PAIR,
            )
            .sort("cost_agorot", *PAIR, descending=[True, False, False])
            .to_dicts()
        ),
        robust=tables["mart_robust_plan"].sort("plan_id").to_dicts(),
        robust_names={
            name: words.label("plan_id", name)
            for name in tables["mart_robust_plan"].sort("plan_id")["plan_id"]
        },
        robust_schools=_schools_by_plan(tables["mart_robust_line"]),
        information=tables["mart_plan_information"]
        .filter(pl.col("information_worth") > 0)
        .sort("information_worth", "response_id", descending=[True, False])
        .to_dicts(),
        by_response=_by_response(lines, tables["mart_city_service"]),
        by_school=_by_school(schools, lines, tables, has_reasons=not context.is_country),
        close_calls=_close_calls(tables["mart_allocation_flip"]),
    )


def _sized(planned: pl.DataFrame) -> dict[str, Any]:
    """Return how many pupils each school is planned for, and whether any forecast says so."""
    return {
        "rows": planned.sort("school_name_he", "semel_mosad").to_dicts(),
        "foreseen": planned["forecast_pupils"].is_not_null().any(),
        "pupils": int(planned["pupils"].sum()),
        "registered": int(planned["last_registered_pupils"].sum()),
    }


def _schools_by_plan(lines: pl.DataFrame) -> Rows:
    """Return in how many schools each plan has each response, the widest difference first."""
    if lines.is_empty():
        return []
    counted = lines.group_by("response_id", "plan_id").agg(pl.col("semel_mosad").n_unique())
    rows = counted.pivot("plan_id", index="response_id", values="semel_mosad").fill_null(0)
    plans = [name for name in rows.columns if name != "response_id"]
    spread = pl.max_horizontal(plans) - pl.min_horizontal(plans)
    return rows.sort(-spread.cast(pl.Int64), "response_id").to_dicts()


def _answers(tables: Mapping[str, pl.DataFrame], lines: pl.DataFrame) -> dict[str, Any]:
    """Return the figures behind the eight budget questions of the committee (D004)."""
    figures = {row["answer_id"]: row for row in tables["mart_allocation_answer"].to_dicts()}
    streams = tables["mart_audit_stream"].filter(view="plan").sort("stream")
    return {
        "figures": figures,
        "expected": tables["mart_scenario"].filter(scenario_id=BASE).row(0, named=True),
        "replaceable": (
            lines.filter("is_replaceable")
            .group_by("response_id")
            .agg(schools=pl.len(), municipal_agorot=pl.col("municipal_agorot").sum())
            .sort("response_id")
            .to_dicts()
        ),
        "leant_on": (
            tables["mart_allocation_asset"]
            .filter(pl.col("schools") > 0)
            .sort("asset_id", "response_id")
            .to_dicts()
        ),
        "shared": (
            lines.drop_nulls("host_semel_mosad")
            .group_by("response_id")
            .agg(sets=pl.col("host_semel_mosad").n_unique(), schools=pl.len())
            .sort("response_id")
            .to_dicts()
        ),
        "quarters": (
            tables["mart_audit_group"]
            .filter(pl.col("view") == "plan", pl.col("audit_dimension") == "need_quartile")
            .sort("audit_group")
            .to_dicts()
        ),
        "index": (
            tables["mart_audit_index"]
            .filter(pl.col("view") == "plan", pl.col("index_id") == "concentration")
            .to_dicts()
        ),
        "warned": streams.filter(audit_status="WARN").to_dicts(),
        "unsure": streams.filter(audit_status="cannot_tell").to_dicts(),
    }


def _state_totals(states: pl.DataFrame) -> Rows:
    """Return the plan's money by state of confirmation, what is sure first."""
    return (
        states.group_by("confirmation")
        .agg(pl.col("schools_agorot", "city_services_agorot", "allocated_agorot").sum())
        .sort(pl.col("confirmation").replace_strict({"confirmed": 0, "expected": 1, "assumed": 2}))
        .to_dicts()
    )


def _without_unconfirmed(tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """Return the plan beside the plan without what nobody has confirmed; empty where all is.

    Keys: plan, alone (rows of mart_scenario), responses and schools (what changes in each).
    """
    every = {row["scenario_id"]: row for row in tables["mart_scenario"].to_dicts()}
    if CONFIRMED not in every:
        return {}
    own = pl.col("scenario_id") == CONFIRMED
    moved = pl.col("cost_change_agorot") != 0
    return {
        "both": [every[BASE], every[CONFIRMED]],
        "alone": every[CONFIRMED],
        "responses": tables["mart_scenario_response"]
        .filter(own, moved)
        .sort("cost_change_agorot", "response_id")
        .to_dicts(),
        "schools": tables["mart_scenario_school"]
        .filter(own, moved)
        .sort("cost_change_agorot", "semel_mosad")
        .to_dicts(),
    }


def _parents(paid: pl.DataFrame) -> dict[str, Any]:
    """Return what parents pay, the city's row and the quarters first; empty of what is unknown."""
    known = not paid.filter(payment_scope=CITY).drop_nulls("last_year_paid_agorot").is_empty()
    return {
        "is_measured": known,
        "whole": paid.filter(pl.col("payment_scope") != "school")
        .sort(pl.col("payment_scope") == CITY, "division_id")
        .to_dicts(),
        "schools": paid.filter(payment_scope="school").sort("division_id").to_dicts(),
    }


def _drawn(draws: pl.DataFrame) -> dict[str, Any]:
    """Return what the plan misses of the best over the draws."""
    regret = draws.filter("is_possible").select(
        ((pl.col("best_worth") - pl.col("plan_worth")) / pl.col("best_worth") * 100).alias("pct")
    )["pct"]
    return {
        "draws": draws.height,
        "possible": int(draws["is_possible"].sum()),
        "median_pct": regret.median(),
        "p90_pct": regret.quantile(0.9, "linear"),
    }


def _shadow(prices: pl.DataFrame, rules: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Return each rule's shadow price, if any: of the city, or of the school it binds most.

    Keys: row, column (per 1,000 NIS where the rule is about money), per (words), schools (how many
    have a price; 0 = the rule is of the whole city).
    """
    units = dict(rules.select("rule_id", "unit").iter_rows())
    found = {}
    for (rule_id,), own in prices.sort("rule_id", "rule_scope").group_by(
        "rule_id", maintain_order=True
    ):
        rows = own.to_dicts()
        is_whole = rows[0]["rule_scope"] == "all"
        row = max(rows, key=lambda one: abs(one["price"]))
        is_money = row["price_per_thousand"] is not None
        found[str(rule_id)] = {
            "row": row,
            "column": "price_per_thousand" if is_money else "price",
            "per": "לאלף ₪" if is_money else PER_UNIT.get(units.get(str(rule_id), ""), "ליחידה"),
            "schools": 0 if is_whole else len(rows),
        }
    return found


def _by_response(lines: pl.DataFrame, services: pl.DataFrame) -> Rows:
    """Return each funded response with its schools, money and benefit, the dearest first.

    A service of the whole city is of no school, and no benefit of it is counted.
    """
    firm = pl.col("stability") == "firm"
    of_city = services.filter(pl.col("places") > 0).select(
        "response_id", "cost_agorot", "municipal_agorot", participants="places"
    )
    of_schools = (
        lines.sort(PAIR)
        .group_by("response_id", maintain_order=True)
        .agg(
            pl.len().alias("schools"),
            pl.col("participants", "cost_agorot", "municipal_agorot").sum(),
            pl.when(pl.col("benefit_sd_pupils").count() > 0).then(
                pl.col("benefit_sd_pupils").sum()
            ),
            firm.sum().alias("firm"),
        )
    )
    return (
        pl.concat([of_schools, of_city], how="diagonal_relaxed")
        .sort("cost_agorot", "response_id", descending=[True, False])
        .to_dicts()
    )


def _by_school(
    schools: pl.DataFrame,
    lines: pl.DataFrame,
    tables: Mapping[str, pl.DataFrame],
    *,
    has_reasons: bool,
) -> Rows:
    """Return each school with its lines and, where they are shown, the reason of every response."""
    firmness = tables["mart_allocation_stability"].select(
        *PAIR,
        "stability",
        "other_stability",
        "selection_share",
        "selection_lo",
        "selection_hi",
        "usual_dose_level",
    )
    ordered = lines.sort("cost_agorot", "response_id", descending=[True, False])
    reasons = (
        tables["mart_allocation_reason"]
        .join(firmness, on=PAIR)
        .join(lines.select(*PAIR, "dose", "host_semel_mosad", "asset_id"), on=PAIR, how="left")
        .sort(
            pl.col("plan_dose_level").is_null(),
            "above_line",
            "response_id",
            descending=[False, True, False],
        )
    )
    lines_of = rows_by(ordered, "semel_mosad")
    reasons_of = rows_by(reasons if has_reasons else reasons.clear(), "semel_mosad")
    return [
        row
        | {
            "lines": lines_of.get(row["semel_mosad"], []),
            "reasons": reasons_of.get(row["semel_mosad"], []),
        }
        for row in schools.to_dicts()
    ]


def _close_calls(turning_points: pl.DataFrame) -> Rows:
    """Return each close call with its levers."""
    rows = []
    for (code, response_id), part in turning_points.sort(*PAIR, "lever", "rule_id").group_by(
        PAIR, maintain_order=True
    ):
        levers = part.to_dicts()
        rows.append(
            {
                "semel_mosad": code,
                "response_id": response_id,
                "is_in_plan": levers[0]["is_in_plan"],
                "levers": levers,
            }
        )
    return rows
