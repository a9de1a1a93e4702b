"""The rule about shares of the money: excellence, long term, neediest, exploration, streams."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from models.allocation.problem.choices import Choices
from models.allocation.problem.columns import Columns
from models.allocation.problem.plan import Plan
from models.allocation.problem.rule import ChannelRule, Measure, Row
from models.allocation.rules.money import money_row
from models.apportionment import exact


@dataclass(frozen=True)
class Part:
    """A part of the plan that a share of the money is for: some schools, or some responses.

    Attributes:
        part_id: key, unique within a problem.
        name_en: what the money goes to, in English.
        name_he: the same in Hebrew, as it follows "ל".
        schools: semel_mosad of the part; None = all.
        responses: response_id of the part; None = all.
    """

    part_id: str
    name_en: str
    name_he: str
    schools: tuple[str, ...] | None = None
    responses: tuple[str, ...] | None = None

    @property
    def holds(self) -> pl.Expr:
        """Whether a row of semel_mosad, response_id and is_excellence belongs to the part."""
        if self == EXCELLENCE:
            return pl.col("is_excellence")
        held = pl.lit(True)
        if self.schools is not None:
            held &= pl.col("semel_mosad").is_in(list(self.schools))
        if self.responses is not None:
            held &= pl.col("response_id").is_in(list(self.responses))
        return held


EXCELLENCE = Part("excellence", "excellence responses", "מעני מצוינות")
"""The options that count as excellence (R82), whatever their response."""


@dataclass(frozen=True)
class MoneyShare(ChannelRule):
    """At least, or at most, a share of the money actually spent goes to a part of the plan.

    Excellence (R82), the long term (R88), the neediest quarter (R85), a stream (R86), exploration.
    A plan that spends nothing keeps the rule: nothing of nothing is a full share.

    Attributes:
        side: "at_least" or "at_most".
        share_pct: the limit, percent of what the channel pays.
        part: what the money is for.
        funding_channel: whose money; None = of all channels together.
    """

    side: Literal["at_least", "at_most"]
    share_pct: float
    part: Part
    funding_channel: str | None = None
    unit = "percent"
    relaxed_in = "agorot"
    template_en = (
        "{rule.side_en} {rule.share_pct:g} % of the money from {rule.channel_en} goes to "
        "{rule.part.name_en}."
    )
    template_he = (
        "{rule.side_he} {rule.share_pct:g}% מההוצאה בפועל מ{rule.channel_he} מוקצים "
        "ל{rule.part.name_he}."
    )

    @property
    def rule_id(self) -> str:
        """One per side, part and channel; excellence is a kind of rule of its own."""
        kind = "share_min" if self.is_floor else "share_max"
        of_excellence = self.part == EXCELLENCE
        key = f"excellence_{kind}" if of_excellence else f"{kind}:{self.part.part_id}"
        return key + self.of_channel

    @property
    def side_en(self) -> str:
        """The side in English."""
        return "At least" if self.is_floor else "At most"

    @property
    def side_he(self) -> str:
        """The side in Hebrew."""
        return "לפחות" if self.is_floor else "לכל היותר"

    @property
    def is_floor(self) -> bool:
        """Whether the share is the least."""
        return self.side == "at_least"

    @property
    def relaxed_per(self) -> int:
        """Rows are counted in such parts of an agora, so that the share is whole."""
        return (exact(self.share_pct) / 100).denominator

    def check(self, choices: Choices) -> None:
        """The channel must exist and the share be a percentage."""
        super().check(choices)
        if not 0 <= self.share_pct <= 100:
            raise ValueError(
                f"Rule {self.rule_id}: {self.share_pct} is not a percentage from 0 to 100."
            )

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Over all schools: money in the part less the share of all money, against zero."""
        share = exact(self.share_pct) / 100
        is_in = columns.options.select(is_in=self.part.holds)["is_in"].to_numpy().astype(np.int64)
        amounts = columns.money(self.funding_channel)
        above = amounts * (share.denominator * is_in - share.numerator)
        services = columns.services(self.funding_channel)
        inside = int(services.filter(self.part.holds)["amount_agorot"].sum())
        total = int(services["amount_agorot"].sum())
        fixed = share.denominator * inside - share.numerator * total
        lower, upper = (0, np.inf) if self.is_floor else (-np.inf, 0)
        yield money_row(above, lower=lower, upper=upper, fixed=fixed)

    def measure(self, plan: Plan) -> Measure:
        """The share; binding where the largest further step against it would break it."""
        money, share = plan.money_of(self.funding_channel), exact(self.share_pct)
        inside = int(money.filter(self.part.holds)["amount_agorot"].sum())
        total = plan.spent(self.funding_channel)
        against = ~self.part.holds if self.is_floor else self.part.holds
        steps = plan.step_money_of(self.funding_channel).filter(against)["amount_step"]
        step = max(steps.to_list(), default=0)
        if self.is_floor:
            is_kept = 100 * inside >= share * total
            is_broken = 100 * inside < share * (total + step)
        else:
            is_kept = 100 * inside <= share * total
            is_broken = 100 * (inside + step) > share * (total + step)
        value = 100 * inside / total if total else 0.0
        return Measure(value, self.share_pct, is_kept, binding=bool(step) and is_broken)
