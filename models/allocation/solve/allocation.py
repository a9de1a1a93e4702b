"""From a problem to the best plan, with a certificate that says how good it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl

from models.allocation.problem.columns import Columns
from models.allocation.problem.fairness import Fairness
from models.allocation.problem.objective import Maximin, Total
from models.allocation.problem.plan import Plan
from models.allocation.problem.problem import Problem
from models.allocation.problem.rule import Rule
from models.allocation.rules.choice import MustKeep
from models.allocation.solve.certificate import Certificate, certify, certify_fairness
from models.allocation.solve.clock import countdown
from models.allocation.solve.fair import fairest, fairness_rules
from models.allocation.solve.less_envy import less_envied
from models.allocation.solve.maximin import highest_floor
from models.allocation.solve.milp import best_by_milp
from models.allocation.solve.model import NATIONAL_OPTIONS, Model, all_rules, recheck
from models.allocation.solve.national.decomposition import best_by_decomposition
from models.allocation.solve.unspent import unspent_reason
from models.keys import PAIR


@dataclass(frozen=True)
class Allocation:
    """A plan that keeps every rule.

    Attributes:
        lines: semel_mosad, response_id, dose_level, dose, participants, is_must_keep,
            need_weight, benefit_sd_pupils, full_benefit_sd_pupils, weighted_benefit, cost_agorot;
            by school and response. Benefits are as counted beside the school's other lines, so that
            they add up to what the plan gains; full_benefit_sd_pupils is the line's alone.
        money: semel_mosad, response_id, funding_channel, amount_agorot > 0, of the lines.
        channels: funding_channel, budget_agorot, allocated_agorot (services of the city too),
            left_agorot, left_reason_he,
            left_reason_en; the last three are null where the channel has no cap, the reasons
            also where nothing is left.
        rules: rule_id, rule_he, rule_en, unit, rule_limit, rule_value, is_satisfied, is_binding;
            the re-check, which does not use the solver.
        certificate: how good the plan is.
    """

    lines: pl.DataFrame
    money: pl.DataFrame
    channels: pl.DataFrame
    rules: pl.DataFrame
    certificate: Certificate


def solve(
    problem: Problem,
    *,
    gap_pct: float = 0.01,
    time_limit_s: float = 60,
    method: Literal["auto", "milp", "decomposition"] = "auto",
    fairness: Fairness | None = None,
) -> Allocation:
    """The plan of the greatest worth that keeps every rule (R79, R80, R97).

    A plan is worth what the problem's objective says: by default Σ W(need)·benefit over the options
    bought, W(n) = (a + n)^γ; `Atkinson` minds how the gains are spread over the schools' pupils,
    `Maximin` lifts the least served first. Worth ranks the plans of one problem and is not compared
    between measurements; what is reported as success is the need-weighted gap that `remaining`
    finds (R81).

    **Overlap (R92).** Of a school's responses in one group of `Problem.overlaps` the largest
    benefit counts in full (of equal ones the response that comes first), of every further one its
    counted share. All objectives are made of gains counted so.

    **Two paths.** A city is one mixed-integer programme ("milp"). From 10,000 options on, "auto"
    takes the rows that tie schools together apart ("decomposition"): prices of what schools share,
    each school's plan found exactly, one whole plan out of them. Both prove a bound, both keep
    every rule to the agora, and the re-check is the same.

    **Ties.** The solver finds the same plan for the same problem, in whatever order its tables
    arrive. With a gap, plans nearer to each other than the gap are not told apart: the first found
    is taken. With `gap_pct=0`, among equally good plans (to 1e-9 of the largest option's benefit)
    the cheaper is taken, then the one whose lines come earlier in the list of schools and responses
    (least sum of positions; a full tie in that too falls to the solver, always the same way). These
    are two further solves of 20 nodes at most, each with the result before it as a floor; under
    `Atkinson` equally good means: no school gains less. By decomposition a tie falls to the order
    of the schools' plans. Last, every single step that still does good, or saves money at no loss,
    is taken, so that an option of no benefit is bought only where a rule needs it.

    **Fairness.** With `fairness` the plan is, of those within its band that spend as much in every
    channel, the one of least envy that is found (`fair.fairest`); its order of need and what it
    keeps of last year then count among its rules. A country taken apart is repaired towards less
    envy within the band (`less_envy`): no least is proven, and no order counts among its rules. A
    band of zero and an objective that already minds how gains are spread (Atkinson) take the plan
    by worth.

    The time limit is the one thing that depends on the machine: a plan that runs into it may
    differ between runs, and says "time limit".

    Args:
        problem: the tables and rules.
        gap_pct: stop when the plan is proven this near to the best (percent).
        time_limit_s: seconds for the search; the best plan so far is returned with its gap.
        method: the path; "auto" goes by the number of options.
        fairness: how nearly equal plans are told apart; None = they are not.

    Raises:
        ValueError: a table or rule contradicts itself.
        InfeasibleRules: no plan keeps all rules; names the conflict and the least extra money.
        NoPlanInTime: the time limit came before any plan of value was found.
        RuntimeError: the re-check found a broken rule or a total that does not add up: a defect.
    """
    if not gap_pct >= 0 or not time_limit_s > 0:
        raise ValueError("gap_pct must be zero or more, and time_limit_s above zero.")
    if method not in ("auto", "milp", "decomposition"):
        raise ValueError(f"method must be auto, milp or decomposition, not {method}.")
    seconds_left = countdown(time_limit_s)
    problem = problem.canonical()
    columns = Columns.of(problem)
    rules = all_rules(problem)
    model, floor = Model.of(columns, rules, problem.objective), None
    is_national = columns.options.height >= NATIONAL_OPTIONS
    is_apart = method == "decomposition" or (method == "auto" and is_national)
    if isinstance(model.objective, Maximin):
        floor = highest_floor(
            model, gap=gap_pct / 100, seconds_left=seconds_left, is_apart=is_apart
        )
        rules = (*rules, floor.rule)
        model = Model.of(columns, rules, Total())
    best = best_by_decomposition if is_apart else best_by_milp
    left_s = max(seconds_left(), 1.0) if floor else time_limit_s
    start = floor.plan if floor else None
    found = best(model, gap=gap_pct / 100, time_limit_s=left_s, start=start)

    fair, by_worth = None, found.x
    if fairness and fairness.band_pct > 0 and model.summed.is_linear:
        left_s, gap = max(seconds_left(), 1.0), gap_pct / 100
        fair = (
            less_envied(model, by_worth, fairness, gap=gap, seconds_left=countdown(left_s))
            if is_apart
            else fairest(model, by_worth, fairness, gap=gap, time_limit_s=left_s)
        )
        status = "time limit" if fair.is_time_out else found.status
        found = replace(found, x=fair.x, status=status)
        if not is_apart:
            rules = (*rules, *fairness_rules(model, fair.x, fairness))
            model = Model.of(columns, rules, model.objective)
    plan = Plan.of(columns, np.flatnonzero(found.x))
    checked = _checked_rules(rules, plan)
    lines = _lines(plan, rules)
    channels = _channels(problem, model, found.x, plan.money)
    _check_totals(lines, problem.services_agorot, plan.money, channels)
    certificate = certify(problem, lines, model.summed, found, floor)
    if fair and fairness:
        told = certify_fairness(model, by_worth, fair, fairness, found.bound)
        certificate = replace(certificate, fairness=told)
    return Allocation(lines, plan.school_money, channels, checked, certificate)


def _checked_rules(rules: tuple[Rule, ...], plan: Plan) -> pl.DataFrame:
    """The re-check of every rule on the plan's tables."""
    measures = recheck(rules, plan)
    return pl.DataFrame(
        {
            "rule_id": [rule.rule_id for rule in rules],
            "rule_he": [rule.sentence_he for rule in rules],
            "rule_en": [rule.sentence_en for rule in rules],
            "unit": [rule.unit for rule in rules],
            "rule_limit": [float(m.limit) for m in measures],
            "rule_value": [float(m.value) for m in measures],
            "is_satisfied": [m.satisfied for m in measures],
            "is_binding": [m.binding for m in measures],
        },
        schema={
            "rule_id": pl.String,
            "rule_he": pl.String,
            "rule_en": pl.String,
            "unit": pl.String,
            "rule_limit": pl.Float64,
            "rule_value": pl.Float64,
            "is_satisfied": pl.Boolean,
            "is_binding": pl.Boolean,
        },
    )


def _lines(plan: Plan, rules: tuple[Rule, ...]) -> pl.DataFrame:
    """The lines of the plan, with those that a must-keep rule holds marked."""
    kept = [(s, r) for rule in rules if isinstance(rule, MustKeep) for s, r, _ in rule.pairs]
    pairs = pl.DataFrame(kept, schema=dict.fromkeys(PAIR, pl.String), orient="row").unique()
    return (
        plan.lines.join(pairs.with_columns(is_must_keep=True), on=PAIR, how="left")
        .select(
            *PAIR,
            "dose_level",
            "dose",
            "participants",
            pl.col("is_must_keep").fill_null(False),
            "need_weight",
            "benefit_sd_pupils",
            "full_benefit_sd_pupils",
            "weighted_benefit",
            "cost_agorot",
        )
        .sort(PAIR)
    )


def _channels(problem: Problem, model: Model, x: np.ndarray, money: pl.DataFrame) -> pl.DataFrame:
    """What each channel has, pays and keeps, and why it keeps it."""
    paid = money.group_by("funding_channel").agg(allocated_agorot=pl.col("amount_agorot").sum())
    channels = (
        problem.channels.join(paid, on="funding_channel", how="left", maintain_order="left")
        .with_columns(
            pl.col("allocated_agorot").fill_null(0),
        )
        .with_columns(left_agorot=pl.col("budget_agorot") - pl.col("allocated_agorot"))
    )
    reasons = [
        unspent_reason(model, x, channel, left) if left else (None, None)
        for channel, left in channels.select("funding_channel", "left_agorot").iter_rows()
    ]
    return channels.with_columns(
        left_reason_he=pl.Series([he for he, _ in reasons], dtype=pl.String),
        left_reason_en=pl.Series([en for _, en in reasons], dtype=pl.String),
    )


def _check_totals(
    lines: pl.DataFrame, services: int, money: pl.DataFrame, channels: pl.DataFrame
) -> None:
    """Raise unless lines with services, payments and channels add up to the same agorot."""
    totals = {
        "lines": int(lines["cost_agorot"].sum()) + services,
        "money": money["amount_agorot"].sum(),
        "channels": channels["allocated_agorot"].sum(),
    }
    if len(set(totals.values())) > 1:
        raise RuntimeError(f"The totals of the plan do not add up (agorot): {totals}")
