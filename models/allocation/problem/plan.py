"""A plan as plain tables: what is bought, who pays, and which further steps would do good."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from models.allocation.problem.columns import Columns
from models.keys import OPTION, PAIR


@dataclass(frozen=True)
class Plan:
    """The tables a rule is measured on; they know nothing of the solver.

    Attributes:
        schools: semel_mosad, pupils, need.
        lines: the options that are bought; benefit_sd_pupils and weighted_benefit as counted beside
            the school's other lines, full_benefit_sd_pupils as of the line alone.
        money: semel_mosad, response_id, funding_channel, amount_agorot > 0, is_excellence; a
            service of the whole city has no school (null).
        steps: eligible options that would do the school more good than what the pair has now,
            with participants_step and cost_step = what they would add to what the pair has now.
        step_money: what each step would take from each channel (amount_step > 0), is_excellence.
    """

    schools: pl.DataFrame
    lines: pl.DataFrame
    money: pl.DataFrame
    steps: pl.DataFrame
    step_money: pl.DataFrame

    @classmethod
    def of(cls, columns: Columns, chosen: np.ndarray) -> Plan:
        """The plan that buys the options at the positions `chosen`."""
        options, counting = columns.options, columns.counting
        x = np.zeros(options.height)
        x[chosen] = 1
        names = ("benefit_sd_pupils", "weighted_benefit")
        lines = options.with_columns(
            pl.col("benefit_sd_pupils").alias("full_benefit_sd_pupils"),
            *[pl.Series(name, counting.counted(options[name].to_numpy(), x)) for name in names],
        ).filter(pl.Series(x > 0.5))
        costs = columns.costs.join(
            options.select(*OPTION, "is_excellence"), on=OPTION, maintain_order="left"
        )
        paid = costs.join(lines.select(OPTION), on=OPTION, how="semi")
        now = lines.select(
            *PAIR, column_now="column", participants_now="participants", cost_now="cost_agorot"
        )
        with_now = options.join(now, on=PAIR, how="left", maintain_order="left")
        held = with_now["column_now"].cast(pl.Int64).fill_null(-1).to_numpy()
        gain = counting.change(x, np.arange(options.height), held)
        steps = with_now.filter(pl.Series(gain > 0) & pl.col("is_eligible")).with_columns(
            participants_step=pl.col("participants") - pl.col("participants_now").fill_null(0),
            cost_step=pl.col("cost_agorot") - pl.col("cost_now").fill_null(0),
        )
        paid_now = paid.select(*PAIR, "funding_channel", amount_now="amount_agorot")
        step_money = (
            costs.join(steps.select(OPTION), on=OPTION, how="semi")
            .join(paid_now, on=[*PAIR, "funding_channel"], how="left", maintain_order="left")
            .with_columns(amount_step=pl.col("amount_agorot") - pl.col("amount_now").fill_null(0))
            .filter(pl.col("amount_step") > 0)
        )
        money = pl.concat(
            [
                paid.filter(pl.col("amount_agorot") > 0).select(
                    *PAIR, "funding_channel", "amount_agorot", "is_excellence"
                ),
                columns.services(None),
            ]
        )
        return cls(columns.schools, lines, money, steps, step_money)

    def money_of(self, channel: str | None) -> pl.DataFrame:
        """The payments from a channel; all payments where it is None."""
        return _from(self.money, channel)

    @property
    def school_money(self) -> pl.DataFrame:
        """The payments for the lines: semel_mosad, response_id, funding_channel, amount_agorot."""
        lines = self.money.drop_nulls("semel_mosad").drop("is_excellence")
        return lines.sort(*PAIR, "funding_channel")

    def spent(self, channel: str | None) -> int:
        """Agorot spent from a channel; from all of them together where it is None."""
        return int(self.money_of(channel)["amount_agorot"].sum())

    def step_money_of(self, channel: str | None) -> pl.DataFrame:
        """What each further step would take: semel_mosad, response_id, is_excellence, amount_step.

        Only steps that take something of the channel (agorot > 0).
        """
        shown = [*PAIR, "is_excellence"]
        if channel is None:
            return self.steps.filter(pl.col("cost_step") > 0).select(
                *shown, amount_step="cost_step"
            )
        return _from(self.step_money, channel).select(*shown, "amount_step")

    def per_school(self, channel: str | None) -> pl.DataFrame:
        """The money of a channel by school, in agorot.

        Returns:
            semel_mosad, pupils, spent, smallest_line (null where none), smallest_step (of the
            further steps that would do good; 0 where none), by school.
        """
        by_line = self.money_of(channel).group_by(PAIR).agg(line=pl.col("amount_agorot").sum())
        by_school = by_line.group_by("semel_mosad").agg(
            spent=pl.col("line").sum(), smallest_line=pl.col("line").min()
        )
        steps = self.step_money_of(channel).group_by("semel_mosad")
        return (
            self.schools.select("semel_mosad", "pupils")
            .join(by_school, on="semel_mosad", how="left", maintain_order="left")
            .join(
                steps.agg(smallest_step=pl.col("amount_step").min()),
                on="semel_mosad",
                how="left",
                maintain_order="left",
            )
            .with_columns(pl.col("spent", "smallest_step").fill_null(0))
        )


def _from(money: pl.DataFrame, channel: str | None) -> pl.DataFrame:
    """The rows of one channel; all rows where it is None."""
    return money if channel is None else money.filter(pl.col("funding_channel") == channel)
