"""What it would cost that a school keeps last year's money, and the most that it could have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from models.allocation.problem.problem import Problem
from models.allocation.problem.words import nis
from models.allocation.rules.change import NeediestKept
from models.allocation.solve.highs import minimise
from models.allocation.solve.model import Model, model_of
from models.allocation.solve.resolve import Effort, best, best_of_each

_SCHEMA = {
    "semel_mosad": pl.String,
    "most_agorot": pl.Int64,
    "worth_loss": pl.Float64,
    "worth_loss_lo": pl.Float64,
    "worth_loss_pct": pl.Float64,
}
_NODES = 20


def price_of_keeping(
    problem: Problem,
    last_year: pl.DataFrame,
    *,
    effort: Effort = Effort(),  # noqa: B008 - frozen
    workers: int = 1,
) -> pl.DataFrame:
    """What the best plan by worth would lose if a school kept last year's money, each by itself.

    Args:
        problem: the tables and rules, without those that only tell nearly equal plans apart.
        last_year: semel_mosad, last_year_agorot: the schools asked about.
        effort: of each solve.
        workers: threads.

    Returns:
        semel_mosad, most_agorot (no plan that keeps the rules gives the school more: the solver's
        bound), worth_loss (need-weighted SD·pupils; null where no plan keeps the rules and the
        sum), worth_loss_lo (at least this, proven), worth_loss_pct; by school.

    Raises:
        ValueError: no plan keeps the rules as they are.
    """
    problem = problem.canonical()
    asked = last_year.select("semel_mosad", "last_year_agorot").sort("semel_mosad").rows()
    model = model_of(problem)
    before = best(model, effort)
    if before is None:
        raise ValueError("No plan keeps the rules, so nothing can be compared with it.")
    stated = next((rule for rule in problem.rules if isinstance(rule, NeediestKept)), None)
    others = tuple(rule for rule in problem.rules if rule is not stated)
    kept = {} if stated is None else {s: stated.limit_of(agorot) for s, agorot in stated.last_year}
    models = (
        model_of(
            replace(
                problem,
                rules=(*others, NeediestKept(tuple((kept | {school: last}).items()), 100)),
            ).canonical()
        )
        for school, last in asked
    )
    rows: list[tuple] = []
    for (school, last), found in zip(asked, best_of_each(models, effort, workers), strict=True):
        loss: tuple[float | None, ...] = (None,) * 3
        if found is not None:
            less = max(before.worth - found.worth, 0.0)
            pct = 100 * less / before.worth if before.worth else 0.0
            loss = (less, max(before.worth - found.bound, 0.0), pct)
        most = _most(model, school, before.x, effort)
        rows.append((school, most if found else min(most, last - 1), *loss))
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _most(model: Model, school: str, x: np.ndarray, effort: Effort) -> int:
    """The most agorot that a plan gives a school (the solver's bound)."""
    options = model.columns.options
    is_own = options["semel_mosad"].to_numpy() == school
    cost = np.where(is_own, options["cost_agorot"].to_numpy() / 100, 0.0)
    milp = model.milp(-cost)
    found = minimise(
        milp,
        gap=effort.gap_pct / 100,
        time_limit_s=effort.time_limit_s,
        max_nodes=_NODES,
        start=model.filled(x) if milp.matrix.shape[1] > len(x) else x,
    )
    return int(np.floor(-found.bound * 100 + 1e-3))


def keeping_sentences(row: Mapping[str, Any]) -> tuple[str, str]:
    """One school whose money falls though its need is surely high, Hebrew and English.

    Args:
        row: of `price_of_keeping`, with school_name_he, need, amount_agorot, last_year_agorot and
            change_pct.
    """
    now, last, most = (nis(row[f"{name}_agorot"]) for name in ("amount", "last_year", "most"))
    need, fall = f"{row['need']:.2f}", f"{-row['change_pct']:.0f}"
    he = (
        f"{row['school_name_he']} (צורך {need}, בוודאות מן הנזקקים ביותר): {now} ₪, לעומת {last} ₪"
        f" אשתקד, ירידה של {fall}%."
    )
    en = (
        f"{row['semel_mosad']} (need {need}, surely among the neediest): {now} NIS after {last} NIS"
        f" last year, {fall} % less."
    )
    if row["worth_loss_pct"] is None:
        return (
            f"{he} אין תוכנית שמקיימת את הכללים ונותנת לו יותר מ־{most} ₪.",
            f"{en} No plan that keeps the rules gives it more than {most} NIS.",
        )
    price = f"{row['worth_loss_pct']:.2f}"
    return (
        f"{he} שמירה על הסכום של אשתקד עולה {price}% מערך התוכנית הטובה ביותר לפי ערך.",
        f"{en} To keep last year's sum costs {price} % of the worth of the best plan by worth.",
    )
