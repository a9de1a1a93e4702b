"""Whether what was really done keeps the rules that the plan was decided by (R106)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import polars as pl

from models.allocation.problem.plan import Plan
from models.allocation.problem.rule import Rule
from models.allocation.rules.choice import MustKeep, ParticipantCapacity, SchoolCapacity
from models.allocation.rules.decided import ManualOverride
from models.allocation.rules.money import SchoolMoneyRule, SourceExcluded
from models.allocation.rules.shares import MoneyShare
from models.keys import PAIR
from pipelines.decide.allocation import dose_of
from pipelines.decide.rules import READS as RULE_READS
from pipelines.decide.rules import rules
from pipelines.settings.city import CityError, CityFolder
from pipelines.warehouse.tables import Step, Tables, table_of

OF_MONEY = (MoneyShare, SchoolMoneyRule, SourceExcluded)
"""Rules that are measured on what was paid."""
OF_LINES = (SchoolCapacity, ParticipantCapacity, MustKeep, ManualOverride)
"""Rules that are measured on what stands in schools; the others are about what was chosen."""


def rules_in_fact(city: CityFolder, tables: Tables) -> Tables:
    """Return the rules of the plan, each measured on what was really done.

    What is paid is carried on at its pace so far, as limits per school are of a whole year; what
    was paid in a few months only is no pace, and is carried on as far as planned. A line stands
    until it is reported to have stopped, with the participants that are reported. Before anything
    is paid or reported of a decided plan there is nothing to measure. The rules are those of the
    policy that was decided by; where today's code cannot read it, nothing is measured.
    """
    found: list[dict[str, object]] = []
    with suppress(CityError):
        by = city.as_decided()
        paced_from = by.policy.act.pace_from_months.value
        paid, standing = _paid(tables, paced_from), _standing(by, tables)
        if paid is not None or standing is not None:
            found = measured(rules(by, tables), tables["mart_allocation_rule"], paid, standing)
    return {"mart_rule_actual": table_of("mart_rule_actual", found)}


def measured(
    stated: Iterable[Rule], planned: pl.DataFrame, paid: Plan | None, standing: Plan | None
) -> list[dict[str, object]]:
    """Return the rows of `mart_rule_actual`.

    Args:
        stated: the rules.
        planned: mart_allocation_rule; a rule that the plan was not made by is left out.
        paid: the plan as it is paid; None before anything is.
        standing: the plan as it stands in schools; None before anything is reported.
    """
    by_id, found = {row["rule_id"]: row for row in planned.to_dicts()}, []
    for rule in stated:
        done = (
            paid if isinstance(rule, OF_MONEY) else standing if isinstance(rule, OF_LINES) else None
        )
        if done is not None and rule.rule_id in by_id:
            said = rule.measure(done)
            kept = ("rule_id", "rule_he", "rule_en", "unit", "rule_limit", "rule_value")
            found.append(
                {name: by_id[rule.rule_id][name] for name in kept}
                | {"rule_actual": said.value, "is_kept_actually": said.satisfied}
            )
    return found


def _standing(city: CityFolder, tables: Tables) -> Plan | None:
    """The plan as it stands in schools by what they report; None before anything is reported."""
    status = tables["mart_line_tracking"].select("plan_row_id", "work_status", "participants_now")
    if not status["work_status"].count():
        return None
    lines = (
        tables["mart_plan_line"]
        .drop_nulls("semel_mosad")
        .join(status, on="plan_row_id", how="left")
        .filter(pl.col("work_status").fill_null("not_started") != "stopped")
        .with_columns(
            dose=dose_of(city, pl.col("dose_level")),
            participants=pl.coalesce("participants_now", "participants"),
        )
        .select(*PAIR, "dose_level", "dose", "participants")
    )
    steps = lines.clear().with_columns(participants_step=pl.lit(0, pl.Int64))
    money = pl.DataFrame(schema={**dict.fromkeys(PAIR, pl.String), "amount_agorot": pl.Int64})
    schools = tables["mart_need_index"].select("semel_mosad", "pupils", "need")
    return Plan(schools=schools, lines=lines, money=money, steps=steps, step_money=money)


def _paid(tables: Tables, paced_from: float) -> Plan | None:
    """The plan as it is paid; None before anything is paid.

    Args:
        tables: see `rules_in_fact`.
        paced_from: fewest months with payments that make a pace.
    """
    elapsed, amount = pl.col("elapsed_pct") / 100, pl.col("spent_agorot")
    tracked = tables["mart_line_tracking"].filter(elapsed > 0)
    excellent = tables["core_response"].select("response_id", "is_excellence")
    month_of, line = pl.col("paid_month"), "plan_row_ref"
    as_planned = pl.max_horizontal(pl.lit(1.0), pl.col("cost_agorot") / amount.sum().over(line))
    money = (
        tables["stg_finance__ledger"]
        .join(
            tracked.select("plan_row_id", *PAIR, "elapsed_pct", "cost_agorot").join(
                tables["mart_work_plan"].select("plan_row_id", "starts_on", "ends_on"),
                on="plan_row_id",
            ),
            left_on=line,
            right_on="plan_row_id",
        )
        .filter(month_of.is_between(pl.col("starts_on").dt.month_start(), "ends_on"), amount > 0)
        .with_columns(
            carried=pl.when(month_of.n_unique().over(line) >= paced_from)
            .then(1 / elapsed)
            .otherwise(pl.min_horizontal(1 / elapsed, as_planned))
        )
        .group_by(*PAIR, "funding_channel")
        .agg(amount_agorot=(amount * pl.col("carried")).sum().round().cast(pl.Int64))
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
            "mart_plan_line",
            "mart_work_plan",
            "mart_need_index",
            "mart_response_map",
            "stg_finance__ledger",
        ),
        compute=rules_in_fact,
    ),
)
