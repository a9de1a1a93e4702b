"""Envy: who lacks what a school of surely less need was given.

School A envies school B for a response if A is surely needier, could have the response and lacks
it, and B has it although no rule holds it there. An envied line weighs what it costs, once, however
many schools envy it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.allocation.problem.choices import refuse, require
from models.allocation.problem.columns import Columns
from models.keys import PAIR


@dataclass(frozen=True)
class Fairness:
    """How nearly equal plans are told apart.

    Attributes:
        band_pct: plans worth no less than this below the best by worth count as nearly equal.
        needier: semel_mosad, less_needy_semel_mosad: the first surely needs more.
        last_year: semel_mosad, response_id: what was given last year.
        seed: of the year's lotteries, which decide between schools that are tied.
    """

    band_pct: float
    needier: pl.DataFrame
    last_year: pl.DataFrame
    seed: int

    def canonical(self, columns: Columns) -> Fairness:
        """The same, checked, in one fixed order, of the options' schools and responses only.

        Raises:
            ValueError: a band outside 0..100, rows twice, or two schools each needier.
        """
        if not 0 <= self.band_pct < 100:
            raise ValueError("band_pct must be zero or more, and below 100.")
        order = ["semel_mosad", "less_needy_semel_mosad"]
        require(self.needier, "needier", order, key=order)
        require(self.last_year, "last_year", PAIR, key=PAIR)
        turned = self.needier.select(
            pl.col(order[0]).alias(order[1]), pl.col(order[1]).alias(order[0])
        )
        refuse("needier", "both ways", self.needier.join(turned, on=order, how="semi"))
        return Fairness(
            self.band_pct,
            self.needier.select(order).sort(order),
            columns.pairs.join(self.last_year, on=PAIR, how="semi").sort(PAIR),
            self.seed,
        )


@dataclass(frozen=True)
class Envies:
    """Who could envy whom, over the pairs of the columns (`Columns.pairs`).

    Attributes:
        columns: the options.
        enviers: pair → the pairs of the same response, at surely needier schools, that could be
            given it; ascending.
    """

    columns: Columns
    enviers: Mapping[int, tuple[int, ...]]

    @classmethod
    def of(
        cls, columns: Columns, needier: pl.DataFrame, held: np.ndarray, barred: np.ndarray
    ) -> Envies:
        """From who is surely needier.

        Args:
            columns: the options.
            needier: as in `Fairness`.
            held: positions of pairs that a rule or a decision gives their response.
            barred: positions of options that a rule or a decision forbids.
        """
        open_options = columns.options["is_eligible"].to_numpy().copy()
        open_options[barred] = False
        able = np.setdiff1d(columns.pair[open_options], held)
        pairs = columns.pairs.with_row_index("pair")[able.tolist()]
        envied = pairs.rename({"semel_mosad": "less_needy_semel_mosad", "pair": "envied"})
        found = (
            needier.join(pairs, on="semel_mosad")
            .join(envied, on=["less_needy_semel_mosad", "response_id"])
            .sort("envied", "pair")
            .group_by("envied", maintain_order=True)
            .agg("pair")
        )
        return cls(columns, {b: tuple(a) for b, a in found.iter_rows()})

    def of_plan(self, x: np.ndarray) -> dict[int, list[int]]:
        """Position of each envied line → the pairs that envy it, by position."""
        bought = np.flatnonzero(x > 0.5)
        has = np.zeros(self.columns.pairs.height, dtype=bool)
        has[self.columns.pair[bought]] = True
        lacking = {
            int(j): [a for a in self.enviers.get(int(b), ()) if not has[a]]
            for j, b in zip(bought, self.columns.pair[bought], strict=True)
        }
        return {line: pairs for line, pairs in lacking.items() if pairs}

    def agorot(self, x: np.ndarray) -> int:
        """What the envied lines of a plan cost."""
        return int(self.columns.options["cost_agorot"].to_numpy()[list(self.of_plan(x))].sum())
