"""What is uncertain about a problem, drawn outside: checked, and put on its benefits and costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from models.allocation.problem.choices import refuse, require
from models.allocation.problem.problem import Problem
from models.allocation.solve.model import Model, model_of
from models.allocation.solve.resolve import under_draw
from models.keys import PAIR

_MULTIPLIERS = ["benefit_multiplier", "cost_multiplier"]
_SHEKEL = 100


@dataclass(frozen=True)
class Draws:
    """Joint draws, as one number for each draw and pair: common to all plans that are compared.

    Attributes:
        numbers: of the draws, in order.
        benefit: draw × pair, multiplies the weighted benefit.
        cost: draw × pair, multiplies the costs.
    """

    numbers: list[int]
    benefit: np.ndarray
    cost: np.ndarray

    @classmethod
    def of(cls, problem: Problem, model: Model, draws: pl.DataFrame) -> Draws:
        """From draw, semel_mosad, response_id, benefit_multiplier and cost_multiplier.

        A pair without a row keeps its values in that draw.

        Raises:
            ValueError: there are none; a multiplier is no number, or a cost's is not above zero; a
                school and response are not among the options.
        """
        key = ["draw", *PAIR]
        require(draws, "draws", [*key, *_MULTIPLIERS], key=key)
        if draws.is_empty():
            raise ValueError("draws: there are none.")
        benefit, cost = (pl.col(name).cast(pl.Float64) for name in _MULTIPLIERS)
        fit = benefit.is_finite() & cost.is_finite() & (cost > 0)
        bad = draws.filter(~fit).sort(key)
        refuse("draws", "multipliers that are not numbers, the cost's above zero", bad)
        unknown = draws.join(problem.options, on=PAIR, how="anti").select(PAIR).unique().sort(PAIR)
        refuse("draws", "no such school and response among the options", unknown)
        pairs = model.columns.pairs.with_row_index("pair")
        numbers = draws["draw"].unique().sort().to_list()
        placed = draws.join(pairs, on=PAIR)
        row = np.searchsorted(numbers, placed["draw"].to_numpy())
        tables = []
        for name in _MULTIPLIERS:
            table = np.ones((len(numbers), pairs.height))
            table[row, placed["pair"].to_numpy()] = placed[name].cast(pl.Float64).to_numpy()
            tables.append(table)
        return cls([int(number) for number in numbers], *tables)

    def models(self, problem: Problem, model: Model) -> Iterator[Model]:
        """The model under each draw; drawn costs are whole shekels."""
        pairs, pair = model.columns.pairs, model.columns.pair
        for benefit, cost in zip(self.benefit, self.cost, strict=True):
            drawn = model if np.all(cost == 1) else model_of(_at_costs(problem, pairs, cost))
            yield under_draw(drawn, model.weighted * benefit[pair])

    def worths(self, model: Model) -> np.ndarray:
        """Draw × option: the weighted benefit of money spent as planned.

        Money is given once, before anything is known; where a response turns out dearer, the same
        money serves fewer, so that its benefit is divided by the cost's multiplier.
        """
        pair = model.columns.pair
        return model.weighted * (self.benefit / self.cost)[:, pair]


def _at_costs(problem: Problem, pairs: pl.DataFrame, cost: np.ndarray) -> Problem:
    """The problem with the costs of every pair multiplied, those that change to whole shekels.

    Costs with odd agorot make the solver find plan after plan that miss a limit by less than it can
    see; a drawn cost is not known to the agora anyway.
    """
    times = pairs.with_columns(times=pl.Series(cost))
    costs = problem.costs.join(times, on=PAIR, how="left", maintain_order="left")
    drawn = (pl.col("amount_agorot") * pl.col("times") / _SHEKEL).round().cast(pl.Int64) * _SHEKEL
    amount = pl.when(pl.col("times") == 1).then("amount_agorot").otherwise(drawn)
    return replace(problem, costs=costs.with_columns(amount_agorot=amount).drop("times"))
