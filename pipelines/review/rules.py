"""Whether what was really done keeps the rules that the plan was decided by (R106)."""

from __future__ import annotations

from contextlib import suppress

import polars as pl

from models.allocation.problem.plan import Plan
from models.allocation.rules.money import SchoolMoneyRule, SourceExcluded
from models.allocation.rules.shares import MoneyShare
from models.keys import PAIR
from pipelines.decide.rules import READS as RULE_READS
from pipelines.decide.rules import rules
from pipelines.settings.city import CityError, CityFolder
from pipelines.warehouse.tables import Step, Tables, table_of

_OF_MONEY = (MoneyShare, SchoolMoneyRule, SourceExcluded)
"""Rules that what was paid can be measured by; the others are about what was chosen."""


def rules_in_fact(city: CityFolder, tables: Tables) -> Tables:
    """Return the rules about money, each measured on what was paid as it will be by the year's end.

    What is paid is carried on at its pace so far, as limits per school are of a whole year. Before
    anything is paid of a decided plan there is nothing to measure. The rules are those of the
    policy that was decided by; where today's code cannot read it, nothing is measured.
    """
    with suppress(CityError):
        return {"mart_rule_actual": table_of("mart_rule_actual", _measured(city, tables))}
    return {"mart_rule_actual": table_of("mart_rule_actual", [])}


def _measured(city: CityFolder, tables: Tables) -> list[dict[str, object]]:
    planned = {row["rule_id"]: row for row in tables["mart_allocation_rule"].to_dicts()}
    done = _in_fact(tables)
    found: list[dict[str, object]] = []
    if done is not None:
        for rule in rules(city.as_decided(), tables):
            if isinstance(rule, _OF_MONEY) and rule.rule_id in planned:
                measured, stated = rule.measure(done), planned[rule.rule_id]
                kept = ("rule_id", "rule_he", "rule_en", "unit", "rule_limit", "rule_value")
                found.append(
                    {name: stated[name] for name in kept}
                    | {"rule_actual": measured.value, "is_kept_actually": measured.satisfied}
                )
    return found


def _in_fact(tables: Tables) -> Plan | None:
    """The plan that was really carried out, by its money; None before anything is paid."""
    elapsed = pl.col("elapsed_pct") / 100
    tracked = tables["mart_line_tracking"].filter(elapsed > 0)
    excellent = tables["core_response"].select("response_id", "is_excellence")
    money = (
        tables["stg_finance__ledger"]
        .join(
            tracked.select("plan_row_id", *PAIR, "elapsed_pct").join(
                tables["mart_work_plan"].select("plan_row_id", "starts_on", "ends_on"),
                on="plan_row_id",
            ),
            left_on="plan_row_ref",
            right_on="plan_row_id",
        )
        .filter(pl.col("paid_month").is_between(pl.col("starts_on").dt.month_start(), "ends_on"))
        .group_by(*PAIR, "funding_channel")
        .agg(amount_agorot=pl.col("spent_agorot").sum(), share=elapsed.first())
        .with_columns(
            amount_agorot=(pl.col("amount_agorot") / pl.col("share")).round().cast(pl.Int64)
        )
        .join(excellent, on="response_id")
        .filter(pl.col("amount_agorot") > 0)
        .select(*PAIR, "funding_channel", "amount_agorot", "is_excellence")
        .sort(*PAIR, "funding_channel", nulls_last=True)
    )
    if money.is_empty():
        return None
    no_steps = pl.DataFrame(
        schema=dict(money.schema) | {"cost_step": pl.Int64, "amount_step": pl.Int64}
    )
    return Plan(
        schools=tables["mart_need_index"].select("semel_mosad", "pupils", "need"),
        lines=money.drop_nulls("semel_mosad").select(PAIR).unique(maintain_order=True),
        money=money,
        steps=no_steps,
        step_money=no_steps,
    )


STEPS = (
    Step(
        "rules_in_fact",
        "review",
        makes=("mart_rule_actual",),
        reads=(
            *RULE_READS,
            "core_response",
            "mart_allocation_rule",
            "mart_line_tracking",
            "mart_work_plan",
            "mart_need_index",
            "mart_response_map",
            "stg_finance__ledger",
        ),
        compute=rules_in_fact,
    ),
)
