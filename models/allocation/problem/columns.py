"""The options as the solver's columns, in canonical order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from models.allocation.problem.choices import Choices
from models.allocation.problem.overlap import Counting
from models.keys import OPTION, PAIR


@dataclass(frozen=True)
class Columns:
    """One 0/1 column per option, sorted by school, response and dose.

    Attributes:
        options: the options with need_weight, weighted_benefit, cost_agorot and `column`, their
            position.
        schools: semel_mosad, pupils, need.
        costs: amount_agorot by `column` and funding_channel.
        counting: what each option counts beside the others of its school.
        choices: what they are of.
    """

    options: pl.DataFrame
    schools: pl.DataFrame
    costs: pl.DataFrame
    counting: Counting
    choices: Choices

    @classmethod
    def of(cls, choices: Choices) -> Columns:
        """Columns of a canonical problem; W(n) = (a + n)^γ weighs every benefit (R80)."""
        weight = (choices.need_offset + pl.col("need")) ** choices.equity_gamma
        cost = choices.costs.group_by(OPTION).agg(cost_agorot=pl.col("amount_agorot").sum())
        options = (
            choices.options.join(choices.schools, on="semel_mosad", maintain_order="left")
            .with_columns(need_weight=weight)
            .with_columns(weighted_benefit=pl.col("need_weight") * pl.col("benefit_sd_pupils"))
            .join(cost, on=OPTION, how="left", maintain_order="left")
            .with_columns(pl.col("cost_agorot").fill_null(0))
            .with_row_index("column")
        )
        costs = choices.costs.join(
            options.select(*OPTION, "column"), on=OPTION, maintain_order="left"
        )
        return cls(options, choices.schools, costs, Counting.of(options, choices.overlaps), choices)

    def money(self, channel: str | None) -> np.ndarray:
        """Agorot each option takes from a channel; from all of them together where it is None."""
        if channel is None:
            return self.options["cost_agorot"].to_numpy()
        amounts = np.zeros(self.options.height, dtype=np.int64)
        own = self.costs.filter(pl.col("funding_channel") == channel)
        amounts[own["column"].to_numpy()] = own["amount_agorot"].to_numpy()
        return amounts

    def services(self, channel: str | None) -> pl.DataFrame:
        """What services of the city take from a channel, or from all: as `Plan.money`."""
        taken = self.choices.services.filter(pl.col("amount_agorot") > 0).select(
            pl.lit(None, pl.String).alias("semel_mosad"), pl.all()
        )
        return taken if channel is None else taken.filter(pl.col("funding_channel") == channel)

    def where(self, condition: pl.Expr) -> np.ndarray:
        """Positions of the options that meet a condition."""
        found = self.options.select(pl.col("column").filter(condition)).to_series()
        return found.to_numpy().astype(np.int64)

    @cached_property
    def position(self) -> dict[tuple[str, str, int], int]:
        """Option → its position."""
        return {row[:3]: row[3] for row in self.options.select(*OPTION, "column").iter_rows()}

    @cached_property
    def pairs(self) -> pl.DataFrame:
        """semel_mosad and response_id, each pair once, by school and response."""
        return self.options.select(PAIR).unique().sort(PAIR)

    @cached_property
    def pair(self) -> np.ndarray:
        """The position in `pairs` of each option's pair."""
        rank = self.options.select(pl.struct(PAIR).rank("dense")).to_series()
        return rank.to_numpy().astype(np.int64) - 1

    @cached_property
    def by_pair(self) -> dict[tuple[str, str], np.ndarray]:
        """Positions of the options of each school and response, in order of dose."""
        starts = np.flatnonzero(np.diff(self.pair)) + 1
        parts = np.split(np.arange(self.options.height), starts)
        return dict(zip(self.pairs.iter_rows(), parts, strict=True))

    def by_school(self, condition: pl.Expr | None = None) -> Iterator[tuple[str, np.ndarray]]:
        """For every school in order of code, the positions of its options that meet a condition.

        A school without such options comes too, with none: a floor must see it.
        """
        every = np.arange(self.options.height) if condition is None else self.where(condition)
        bounds = np.searchsorted(self.school[every], np.arange(self.schools.height + 1))
        for number, school in enumerate(self.schools["semel_mosad"]):
            yield school, every[bounds[number] : bounds[number + 1]]

    @cached_property
    def school(self) -> np.ndarray:
        """The position in `schools` of each option's school, which rises with the options."""
        codes = self.schools["semel_mosad"].to_list()
        number = {school: at for at, school in enumerate(codes)}
        return np.array([number[school] for school in self.options["semel_mosad"]])
