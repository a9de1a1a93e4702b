"""What corrective preference and each rule cost: solved again without them (R80, R90, R95)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from models.allocation.account.concentration import indices_or_none
from models.allocation.problem.objective import Maximin, Total
from models.allocation.problem.problem import Problem
from models.allocation.solve.allocation import solve
from models.allocation.solve.model import Model, model_of
from models.allocation.solve.resolve import Effort, best_plans, plan_vector
from models.quarters import with_quartile

_EFFORT = Effort()


def gamma_frontier(
    problem: Problem,
    gammas: Sequence[float],
    *,
    seed: int,
    effort: Effort = _EFFORT,
    floor_effort: Effort | None = None,
    workers: int = 1,
) -> pl.DataFrame:
    """What more corrective preference brings to the needy and costs the total (R80, R95).

    Args:
        problem: the tables and rules; its own γ counts in the maximin only.
        gammas: values of γ; 0 (need-blind) is added where missing, as the price of the others is
            counted from it.
        seed: of the interval of the concentration index.
        effort: of each solve.
        floor_effort: of the maximin, the far end of corrective preference; None = without it.
        workers: threads.

    Returns:
        objective_id ("total", then "maximin"), equity_gamma, benefit_sd_pupils (unweighted,
        overlaps counted), price_of_fairness_pct (of the unweighted benefit at γ = 0; to the gaps of
        two solves, and never below 0), concentration with concentration_lo and concentration_hi
        (null where nothing is spent), cost_agorot, lines, schools_without,
        neediest_quarter_share_pct (of the money, to the neediest quarter of pupils), gap_pct (of
        what the plan is made for); by γ.

    Raises:
        ValueError: a negative γ, or no plan keeps the rules.
        NoPlanInTime: a solve ran into its time limit without a plan.
    """
    problem, rows = problem.canonical(), []
    degrees = sorted({0.0, *map(float, gammas)})
    total = replace(problem, objective=Total())
    models = [model_of(replace(total, equity_gamma=gamma).canonical()) for gamma in degrees]
    plans = [
        ("total", gamma, model, found.x, found.gap_pct)
        for gamma, model, found in zip(
            degrees, models, best_plans(models, effort, workers), strict=True
        )
    ]
    if floor_effort:
        model = model_of(problem)
        least = solve(
            replace(problem, objective=Maximin()),
            gap_pct=floor_effort.gap_pct,
            time_limit_s=floor_effort.time_limit_s,
        )
        x, gap_pct = plan_vector(model, least.lines), least.certificate.optimality_gap_pct
        plans.append(("maximin", problem.equity_gamma, model, x, gap_pct))
    blind = None
    for objective, gamma, model, x, gap_pct in plans:
        options = model.columns.options.filter(pl.Series(x > 0.5))
        alone = model.columns.options["benefit_sd_pupils"].to_numpy()
        benefit = float(model.counting.counted(alone, x).sum())
        blind = benefit if blind is None else blind
        spent = problem.schools.join(
            options.group_by("semel_mosad").agg(amount_agorot=pl.col("cost_agorot").sum()),
            on="semel_mosad",
            how="left",
            maintain_order="left",
        ).with_columns(pl.col("amount_agorot").fill_null(0))
        cost = int(spent["amount_agorot"].sum()) + problem.services_agorot
        rows.append(
            (
                objective,
                gamma,
                benefit,
                max(100 * (1 - benefit / blind), 0.0) if blind else 0.0,
                *_concentration(spent, seed),
                cost,
                options.height,
                spent.height - options["semel_mosad"].n_unique(),
                _neediest(spent),
                gap_pct,
            )
        )
    return pl.DataFrame(
        rows,
        schema={
            "objective_id": pl.String,
            "equity_gamma": pl.Float64,
            "benefit_sd_pupils": pl.Float64,
            "price_of_fairness_pct": pl.Float64,
            "concentration": pl.Float64,
            "concentration_lo": pl.Float64,
            "concentration_hi": pl.Float64,
            "cost_agorot": pl.Int64,
            "lines": pl.Int64,
            "schools_without": pl.Int64,
            "neediest_quarter_share_pct": pl.Float64,
            "gap_pct": pl.Float64,
        },
        orient="row",
    )


def rule_prices(
    problem: Problem, *, budget_step_pct: float = 5.0, effort: Effort = _EFFORT, workers: int = 1
) -> pl.DataFrame:
    """What each rule costs: the worth that a plan without it, or with a larger budget, would add.

    Rules of the policy are left out one at a time, but for those that only say what belongs
    together (`Rule.is_priced`): without them a plan would buy what there is not. Budgets and
    baskets are raised by a step, since a plan without any budget says nothing. Rules overlap, so
    their prices do not add up. Rules that stand in the way of no single step, to gain or to save,
    are left out all at once first: what that adds at the most, none of them adds more by itself.
    Where it is nothing, to the gap, their prices are zero with that as the most, and the plan needs
    no other line.

    Returns:
        rule_id, change ("left_out", "raised"), worth_gain (SD·pupils, weighted; ≥ 0), worth_gain_hi
        (it cannot be more, given the gaps of both solves), worth_gain_pct (of the plan with all
        rules), lines_changed; dearest first, ties by id.

    Raises:
        ValueError: a step that is not above zero, or no plan keeps the rules.
        NoPlanInTime: a solve ran into its time limit without a plan.
    """
    if not budget_step_pct > 0:
        raise ValueError("budget_step_pct must be above zero.")
    problem = problem.canonical()
    model = model_of(problem)
    changes: list[tuple[int, str]] = []
    for k, rule in enumerate(model.rules):
        if rule.is_priced and rule in problem.rules:
            changes.append((k, "left_out"))
        elif rule.is_priced and rule.is_budget:
            changes.append((k, "raised"))

    def without(some: Sequence[tuple[int, str]]) -> Model:
        """The model without some rules, and with more in some budgets."""
        out = np.isin(model.owner, [k for k, change in some if change == "left_out"])
        more = np.isin(model.owner, [k for k, change in some if change == "raised"])
        fixed = np.array([row.fixed for row in model.rows])
        step = np.floor((model.upper + fixed) * (1 + budget_step_pct / 100)) - fixed
        raised = np.where(more, step, model.upper)
        return replace(
            model, lower=np.where(out, -np.inf, model.lower), upper=np.where(out, np.inf, raised)
        )

    (now,) = best_plans([model], effort)
    in_the_way = _in_the_way(model, now.x)
    idle = [change for change in changes if change[0] not in in_the_way]
    (freed,) = best_plans([without(idle)], effort) if idle else (now,)
    most_of_idle = max(freed.bound - now.worth, 0.0)
    if most_of_idle > effort.gap_pct / 100 * abs(now.worth):
        idle = []
    asked = [change for change in changes if change not in idle]
    found = dict(
        zip(
            asked,
            best_plans([without([change]) for change in asked], effort, workers),
            strict=True,
        )
    )
    rows = []
    for k, change in changes:
        gain, most, changed = 0.0, most_of_idle, 0
        if (other := found.get((k, change))) is not None:
            gain, most = max(other.worth - now.worth, 0.0), max(other.bound - now.worth, 0.0)
            changed = int(np.abs(other.x - now.x).sum())
        pct = 100 * gain / now.worth if now.worth else 0.0
        rows.append((model.rules[k].rule_id, change, gain, most, pct, changed))
    table = pl.DataFrame(
        rows,
        schema={
            "rule_id": pl.String,
            "change": pl.String,
            "worth_gain": pl.Float64,
            "worth_gain_hi": pl.Float64,
            "worth_gain_pct": pl.Float64,
            "lines_changed": pl.Int64,
        },
        orient="row",
    )
    return table.sort("worth_gain", "rule_id", descending=[True, False])


def _in_the_way(model: Model, x: np.ndarray) -> set[int]:
    """The rules that a single step from a plan would break: one that gains, or that saves money."""
    moves = model.moves(x)
    is_sought = (moves.gain > 0) | (moves.cost_step < 0)
    stopped = moves.blocked_row[is_sought[moves.blocked_move]]
    return set(model.owner[stopped].tolist())


def _concentration(
    spent: pl.DataFrame, seed: int
) -> tuple[float | None, float | None, float | None]:
    """The concentration index and its interval; none where it is not defined."""
    row = indices_or_none(spent, seed=seed).get("concentration", {})
    return row.get("index_value"), row.get("index_lo"), row.get("index_hi")


def _neediest(spent: pl.DataFrame) -> float | None:
    """Percent of the money in the schools whose middle pupil is among the neediest quarter."""
    money = int(spent["amount_agorot"].sum())
    own = with_quartile(spent).filter(need_quartile=1)["amount_agorot"].sum()
    return 100 * int(own) / money if money else None
