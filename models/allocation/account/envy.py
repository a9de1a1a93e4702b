"""The envies that remain in a plan, and what it would cost to turn each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from models.allocation.problem.fairness import Fairness
from models.allocation.problem.problem import Problem
from models.allocation.problem.words import nis, told_apart
from models.allocation.rules.order import NeedOrder, SpendingKept
from models.allocation.solve.fair import envies_of
from models.allocation.solve.model import model_of
from models.allocation.solve.resolve import Effort, best_of_each, is_national, plan_vector
from models.keys import PAIR

_SCHEMA = {
    **dict.fromkeys(PAIR, pl.String),
    "needier_semel_mosad": pl.String,
    "enviers": pl.Int64,
    "cost_agorot": pl.Int64,
    "worth_loss": pl.Float64,
    "worth_loss_lo": pl.Float64,
    "worth_loss_pct": pl.Float64,
    "benefit_loss_sd_pupils": pl.Float64,
}


_LEFT_OVER = 1_000
"""A channel may keep this part of what the plan spends of it. To the agora the search would be for
a sum of whole lines, which may take hours where a plan spends nearly all of a budget."""


def remaining_envies(
    problem: Problem,
    lines: pl.DataFrame,
    needier: pl.DataFrame,
    *,
    effort: Effort = Effort(),  # noqa: B008 - frozen
    workers: int = 1,
) -> pl.DataFrame:
    """Each envied line of a plan, with the price of its being envied by nobody.

    The price is found by solving again: the line goes, or all its enviers get the response; every
    rule is kept, no channel spends less than 99.9 % of what it does (equality by taking away is
    none, but a few shekels may be left), and no other line
    becomes envied.

    Args:
        problem: the tables and rules, those of fairness among them (`fair.fairness_rules`).
        lines: semel_mosad, response_id, dose_level: the plan.
        needier: semel_mosad, less_needy_semel_mosad: the first surely needs more.
        effort: of each solve.
        workers: threads.

    Returns:
        semel_mosad, response_id, needier_semel_mosad (the neediest school that envies it), enviers
        (how many do), cost_agorot (of the line), worth_loss (need-weighted SD·pupils that the plan
        would lose; null where no plan keeps the rules, and of a country, where none is sought),
        worth_loss_lo (at least this, proven),
        worth_loss_pct, benefit_loss_sd_pupils (unweighted; below 0 = it would gain); by cost,
        dearest first.
    """
    problem = problem.canonical()
    model = model_of(problem)
    x, columns = plan_vector(model, lines), model.columns
    fairness = Fairness(0, needier, columns.pairs.clear(), seed=0).canonical(columns)
    envied, pairs = envies_of(model, fairness.needier).of_plan(x), columns.pairs.rows()
    order = next((rule for rule in problem.rules if isinstance(rule, NeedOrder)), NeedOrder(()))
    spent = {c: int(columns.money(c) @ (x > 0.5)) for c in problem.channels["funding_channel"]}
    spending = SpendingKept(tuple((c, m - m // _LEFT_OVER) for c, m in spent.items() if m))
    others = (*(rule for rule in problem.rules if rule is not order), spending)
    need = dict(problem.schools.select("semel_mosad", "need").iter_rows())
    turned = (
        model_of(
            replace(
                problem,
                rules=(
                    *others,
                    NeedOrder(
                        (*order.pairs, *((pairs[a][0], *pairs[columns.pair[line]]) for a in above))
                    ),
                ),
            ).canonical()
        )
        for line, above in envied.items()
    )
    alone, worth = columns.options["benefit_sd_pupils"].to_numpy(), model.worth(x)
    benefit = float(model.counting.counted(alone, x).sum())
    rows: list[tuple] = []
    # A country's envied lines are hundreds, and each search is of the whole country.
    again = [None] * len(envied) if is_national(model) else best_of_each(turned, effort, workers)
    for (line, above), found in zip(envied.items(), again, strict=True):
        neediest = max((pairs[a][0] for a in above), key=lambda school: (need[school], school))
        cost = int(columns.options["cost_agorot"][line])
        loss: tuple[float | None, ...] = (None,) * 4
        if found is not None:
            less = max(worth - found.worth, 0.0)
            lost = benefit - float(model.counting.counted(alone, found.x).sum())
            loss = (less, max(worth - found.bound, 0.0), 100 * less / worth if worth else 0.0, lost)
        rows.append((*pairs[columns.pair[line]], neediest, len(above), cost, *loss))
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row").sort(
        "cost_agorot", *PAIR, descending=[True, False, False]
    )


def envy_sentences(
    row: Mapping[str, Any], names: Mapping[str, tuple[str, str]], *, is_priced: bool = True
) -> tuple[str, str]:
    """One envy in a sentence, Hebrew and English.

    Args:
        row: of `remaining_envies`, with school_name_he, need, needier_school_name_he, needier_need
            and months_lost.
        names: response_id → name in Hebrew and in English.
    """
    name_he, name_en = names.get(row["response_id"], (row["response_id"],) * 2)
    own, other = row["school_name_he"], row["needier_school_name_he"]
    need, more = told_apart(row["need"], row["needier_need"])
    money = nis(row["cost_agorot"])
    he = f"{name_he}: {other} (צורך {more}) זכאי וחסר, ו{own} (צורך {need}) מקבל, {money} ₪."
    en = (
        f"{name_en}: {row['needier_semel_mosad']} (need {more}) could have had it and lacks it;"
        f" {row['semel_mosad']} (need {need}) has it, {money} NIS."
    )
    if not is_priced:
        return he, en
    if row["worth_loss"] is None:
        return (
            f"{he} אין תוכנית שמתקנת זאת, מקיימת את הכללים, מוציאה לא פחות ואינה יוצרת קנאה אחרת.",
            f"{en} No plan that keeps the rules and spends as much turns it without another.",
        )
    price, months = f"{row['worth_loss_pct']:.2f}", f"{abs(row['months_lost']):,.0f}"
    is_loss = row["months_lost"] >= 0
    does_he, does_en = ("גורע", "takes") if is_loss else ("מוסיף", "adds")
    return (
        f"{he} לתקן זאת עולה {price}% מערך התוכנית ו{does_he} {months} חודשי תלמיד.",
        f"{en} To turn it costs {price} % of its worth and {does_en} {months} pupils' months.",
    )
