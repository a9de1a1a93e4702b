"""One problem solved again and again: with other benefits, costs, needs or rules.

The certified plan comes from `solve`; what asks "and if?" comes from here. It leaves out the
tie-break (two thirds of a city's solve) and the laying out of tables, takes the single moves that
still do good, and keeps the solver's bound. What is compared is always found in this same way.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import polars as pl

from models.allocation.problem.columns import Columns
from models.allocation.problem.keys import OPTION, PAIR
from models.allocation.problem.objective import Total
from models.allocation.problem.problem import Problem
from models.allocation.solve.allocation import _all_rules
from models.allocation.solve.highs import minimise
from models.allocation.solve.model import Model
from models.allocation.solve.search_result import NoPlanInTime
from models.allocation.solve.tangents import minimise_by_tangents

_SCALE = 1000.0


@dataclass(frozen=True)
class Effort:
    """How hard a re-solve tries.

    Attributes:
        gap_pct: stop when the plan is proven this near to the best.
        time_limit_s: seconds of one solve; a safety limit, the only thing that depends on the
            machine.
    """

    gap_pct: float = 0.01
    time_limit_s: float = 30.0


@dataclass(frozen=True)
class Resolved:
    """A plan found anew.

    Attributes:
        x: 0/1 per option.
        worth: under the model's objective, overlaps counted once.
        bound: no plan is worth more.
    """

    x: np.ndarray
    worth: float
    bound: float

    @property
    def gap_pct(self) -> float:
        """The share of the bound that the plan may miss."""
        return 100 * (self.bound - self.worth) / abs(self.bound) if self.bound else 0.0


def model_of(problem: Problem) -> Model:
    """The model of a canonical problem, standing rules included."""
    return Model.of(Columns.of(problem), _all_rules(problem), problem.objective)


def weighted(model: Model) -> np.ndarray:
    """The weighted benefit of every option alone, before any overlap."""
    return model.columns.options["weighted_benefit"].to_numpy()


def with_benefit(model: Model, benefit: np.ndarray) -> Model:
    """The same model with other weighted benefits."""
    columns = model.columns
    options = columns.options.with_columns(weighted_benefit=pl.Series(benefit))
    counting = columns.counting.at(benefit)
    return replace(model, columns=replace(columns, options=options, counting=counting))


def linear_at(model: Model, x: np.ndarray) -> Model:
    """The model whose benefits count as the objective counts a little more of them beside a plan.

    A concave objective is at its best where its linear part is (the plan solves this model too, but
    for wholeness), so prices and reasons are those of the linear part.
    """
    if model.summed.is_linear:
        return model
    return replace(with_benefit(model, weighted(model) * model.slope(x)), objective=Total())


def with_bonus(model: Model, bonus: np.ndarray) -> Model:
    """The same model in which options are worth so much more, whatever they overlap with."""
    columns = model.columns
    counting = replace(columns.counting, each=columns.counting.each + bonus)
    return replace(model, columns=replace(columns, counting=counting))


def best(model: Model, effort: Effort) -> Resolved | None:
    """The best plan to the gap; None where no plan keeps the rules.

    Raises:
        NoPlanInTime: the time limit came before any plan.
    """
    scale = _SCALE / (np.abs(weighted(model)).max() or 1.0)
    gap, limit_s = effort.gap_pct / 100, effort.time_limit_s
    if model.summed.is_linear:
        milp = model.milp(-model.benefit() * scale)
        outcome = minimise(milp, gap=gap, time_limit_s=limit_s)
    else:
        outcome = minimise_by_tangents(model, scale=scale, gap=gap, time_limit_s=limit_s)
    if outcome.is_infeasible:
        return None
    if outcome.x is None:
        raise NoPlanInTime(f"A re-solve found no plan within {effort.time_limit_s:g} s.")
    x = model.polish(outcome.x[: model.matrix.shape[1]])
    worth = model.worth(x)
    return Resolved(x, worth, max(-outcome.bound / scale, worth))


def best_of_each(
    models: Iterable[Model], effort: Effort, workers: int = 1
) -> list[Resolved | None]:
    """The best plan of each of several models, in their order; as `best`.

    The solver lets other threads run, so that as many are solved at once as there are workers. They
    change no figure.
    """
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(partial(best, effort=effort), models))


def pairs_of(model: Model) -> tuple[pl.DataFrame, np.ndarray]:
    """The pairs by school and response, and the position of each option's pair."""
    options = model.columns.options.select(PAIR)
    pairs = options.unique().sort(PAIR)
    at = options.join(pairs.with_row_index("pair"), on=PAIR, how="left", maintain_order="left")
    return pairs, at["pair"].to_numpy().astype(np.int64)


def plan_vector(model: Model, lines: pl.DataFrame) -> np.ndarray:
    """A plan's lines as 0/1 per option.

    Raises:
        ValueError: a line is no option of the problem.
    """
    options = model.columns.options
    keys = lines.select(*PAIR, pl.col("dose_level").cast(pl.Int32))
    astray = keys.join(options, on=OPTION, how="anti").sort(OPTION)
    if astray.height:
        raise ValueError(f"lines: no such option:\n{astray.head(5)}")
    x = np.zeros(options.height)
    x[options.join(keys, on=OPTION, how="semi")["column"].to_numpy()] = 1
    return x
