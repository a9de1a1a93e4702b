"""From a problem to the best plan, with a certificate that says how good it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from models.allocation.columns import Columns
from models.allocation.conflict import explain
from models.allocation.highs import minimise, refine, solver_text
from models.allocation.leftover import left_reason
from models.allocation.model import Model
from models.allocation.plan import Plan
from models.allocation.problem import Problem
from models.allocation.rules import ChannelBudget, Eligibility, MustKeep, SchoolChannelCap
from models.allocation.rules.base import PAIR, Rule

_OBJECTIVE_SCALE = 1000.0
_AGOROT_PER_COST_UNIT = 100_000


class NoPlanInTime(Exception):  # noqa: N818 - named for what a person reads
    """The time limit came before any useful plan was found."""


@dataclass(frozen=True)
class Certificate:
    """How good the plan is, and how we know.

    Attributes:
        objective: need-weighted benefit, recomputed from the lines.
        objective_bound: no plan under these rules can be better (proven by the solver).
        optimality_gap_pct: the plan misses at most this share of the bound.
        optimality_gap_agorot: the gap at the plan's own average price of a unit of objective.
        equity_gamma: corrective preference γ.
        solver: solver and version.
        status: "optimal" (within the gap asked for) or "time limit".
    """

    objective: float
    objective_bound: float
    optimality_gap_pct: float
    optimality_gap_agorot: int
    equity_gamma: float
    solver: str
    status: str


@dataclass(frozen=True)
class Allocation:
    """A plan that keeps every rule.

    Attributes:
        lines: semel_mosad, response_id, dose_level, dose, participants, is_must_keep,
            need_weight, benefit_sd_pupils, weighted_benefit, cost_agorot; by school and response.
        money: semel_mosad, response_id, funding_channel, amount_agorot > 0.
        channels: funding_channel, budget_agorot, allocated_agorot, left_agorot, left_reason_he,
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


def solve(problem: Problem, *, gap_pct: float = 0.01, time_limit_s: float = 60) -> Allocation:
    """The plan of the greatest need-weighted benefit that keeps every rule (R79, R80, R97).

    Maximises Σ W(need)·benefit over the options bought, W(n) = (a + n)^γ.

    **Ties.** Among equally good plans (to 1e-9 of the largest option's benefit) the cheaper is
    taken, then the one whose lines come earlier in the list of schools and responses (least sum of
    positions; a full tie in that too falls to the solver, always the same way). These are two further solves, each with the result
    before it as a floor, rather than small perturbations of the objective: an agora in a billion
    is below what a perturbation could carry. They start from the plan in hand and stop at the
    same `gap_pct`, or after 20 nodes (about a second each on a city); with `gap_pct=0` the
    tie-break is exact where 20 nodes prove it. Then every single step that still does good, or
    saves money at no loss, is taken, so that an option of no benefit is bought only where a rule
    needs it.

    The time limit is the one thing that depends on the machine: a plan that runs into it may
    differ between runs, and says "time limit".

    Args:
        problem: the tables and rules.
        gap_pct: stop when the plan is proven this near to the best (percent).
        time_limit_s: seconds for the search; the best plan so far is returned with its gap.

    Raises:
        ValueError: a table or rule contradicts itself.
        InfeasibleRules: no plan keeps all rules; names the conflict and the least extra money.
        NoPlanInTime: the time limit came before any plan of value was found.
        RuntimeError: the re-check found a broken rule or a total that does not add up: a defect.
    """
    if not gap_pct >= 0 or not time_limit_s > 0:
        raise ValueError("gap_pct must be zero or more, and time_limit_s above zero.")
    problem = problem.canonical()
    columns = Columns.of(problem)
    rules = _all_rules(problem)
    model = Model.of(columns, rules)
    x, bound, status = _best(model, gap_pct / 100, time_limit_s)

    plan = Plan.of(columns, np.flatnonzero(x))
    checked = _checked_rules(rules, plan)
    lines = _lines(plan, rules)
    money = plan.money.drop("is_excellence").sort(*PAIR, "funding_channel")
    channels = _channels(problem, model, x, money)
    _check_totals(lines, money, channels)
    certificate = _certificate(problem, lines, bound, status)
    return Allocation(lines, money, channels, checked, certificate)


def _all_rules(problem: Problem) -> tuple[Rule, ...]:
    """The policy's rules and those that stand in the tables, by rule id."""
    capped = problem.channels.drop_nulls("budget_agorot")
    standing: list[Rule] = [ChannelBudget(*row) for row in capped.iter_rows()]
    for (channel,), part in problem.school_channels.partition_by(
        "funding_channel", as_dict=True
    ).items():
        caps = tuple(part.select("semel_mosad", "budget_agorot").iter_rows())
        standing.append(SchoolChannelCap(channel, caps))
    standing.append(Eligibility())
    rules = sorted([*standing, *problem.rules], key=lambda rule: rule.rule_id)
    for first, second in pairwise(rules):
        if first.rule_id == second.rule_id:
            raise ValueError(
                f"Rule {first.rule_id} is given twice. Budgets, baskets and eligibility are read "
                "off the tables; any other rule is given once."
            )
    return tuple(rules)


def _best(model: Model, gap: float, time_limit_s: float) -> tuple[np.ndarray, float, str]:
    """The plan as 0/1 per option, the bound on the objective, and the status."""
    options = model.columns.options
    benefit = options["weighted_benefit"].to_numpy()
    scale = _OBJECTIVE_SCALE / (benefit.max() or 1.0)
    best = minimise(model.milp(-benefit * scale), gap=gap, time_limit_s=time_limit_s)
    if best.is_infeasible:
        raise explain(model, time_limit_s=max(time_limit_s / 10, 1.0))
    if best.x is None or (best.is_time_out and best.x @ benefit == 0):
        raise NoPlanInTime(
            f"No plan of value was found within {time_limit_s:g} s. Allow more time or a wider "
            "gap, or look for rules that nearly contradict each other."
        )
    x, left_s = best.x, time_limit_s - best.seconds
    if not best.is_time_out:
        x = _tie_break(model, x, benefit * scale, gap, left_s)
    status = "time limit" if best.is_time_out else "optimal"
    return model.polish(x), float(-best.bound / scale), status


def _tie_break(
    model: Model, x: np.ndarray, benefit: np.ndarray, gap: float, left_s: float
) -> np.ndarray:
    """Among the plans as good as x the cheapest, then the one with the earliest lines."""
    cost = model.columns.options["cost_agorot"].to_numpy() / _AGOROT_PER_COST_UNIT
    position = np.arange(1.0, len(x) + 1)
    as_good = model.milp(cost).with_row(benefit, lower=benefit @ x)
    cheapest, seconds = refine(as_good, x, gap=gap, time_limit_s=max(left_s, 1.0))
    as_cheap = (
        model.milp(position)
        .with_row(benefit, lower=benefit @ cheapest)
        .with_row(cost, upper=cost @ cheapest)
    )
    return refine(as_cheap, cheapest, gap=gap, time_limit_s=max(left_s - seconds, 1.0))[0]


def _checked_rules(rules: tuple[Rule, ...], plan: Plan) -> pl.DataFrame:
    """The re-check of every rule on the plan's tables."""
    measures = [rule.measure(plan) for rule in rules]
    broken = [r for r, m in zip(rules, measures, strict=True) if not m.satisfied]
    if broken:
        raise RuntimeError(
            "The re-check found rules that the plan breaks although the solver kept their rows: "
            + "; ".join(f"{rule.sentence_en} [{rule.rule_id}]" for rule in broken)
        )
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
        left_reason(model, x, channel, left) if left else (None, None)
        for channel, left in channels.select("funding_channel", "left_agorot").iter_rows()
    ]
    return channels.with_columns(
        left_reason_he=pl.Series([he for he, _ in reasons], dtype=pl.String),
        left_reason_en=pl.Series([en for _, en in reasons], dtype=pl.String),
    )


def _check_totals(lines: pl.DataFrame, money: pl.DataFrame, channels: pl.DataFrame) -> None:
    """Raise unless lines, payments and channels add up to the same agorot."""
    totals = {
        "lines": lines["cost_agorot"].sum(),
        "money": money["amount_agorot"].sum(),
        "channels": channels["allocated_agorot"].sum(),
    }
    if len(set(totals.values())) > 1:
        raise RuntimeError(f"The totals of the plan do not add up (agorot): {totals}")


def _certificate(problem: Problem, lines: pl.DataFrame, bound: float, status: str) -> Certificate:
    """The certificate, from the lines and the solver's bound."""
    objective = float(lines["weighted_benefit"].sum())
    bound = max(bound, objective)
    gap = bound - objective
    price = int(lines["cost_agorot"].sum()) / objective if objective else 0.0
    return Certificate(
        objective=objective,
        objective_bound=bound,
        optimality_gap_pct=100 * gap / bound if bound else 0.0,
        optimality_gap_agorot=math.ceil(round(gap * price, 3)),
        equity_gamma=problem.equity_gamma,
        solver=solver_text(),
        status=status,
    )
