"""Rules about shares of the money: excellence, the long term, the neediest, exploration,
streams.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from models.allocation.problem.rule import Measure, Row, Rule, check_known
from models.allocation.problem.words import channel_en, channel_he
from models.allocation.rules.money import money_row, rule_name
from models.apportionment import exact

if TYPE_CHECKING:
    from models.allocation.problem.choices import Choices
    from models.allocation.problem.columns import Columns
    from models.allocation.problem.plan import Plan

_EXCELLENT = pl.col("is_excellence")


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
        """Whether a row of semel_mosad and response_id belongs to the part."""
        held = pl.lit(True)
        if self.schools is not None:
            held &= pl.col("semel_mosad").is_in(list(self.schools))
        if self.responses is not None:
            held &= pl.col("response_id").is_in(list(self.responses))
        return held


class _ShareRule(Rule):
    """What rules about a share of one channel's money have in common; none is of all channels."""

    funding_channel: str | None
    unit = "percent"
    relaxed_in = "agorot"

    @property
    @abstractmethod
    def share_pct(self) -> float:
        """The limit, percent of what the channel pays."""

    @property
    def relaxed_per(self) -> int:
        """Rows are counted in such parts of an agora, so that the share is whole."""
        return (exact(self.share_pct) / 100).denominator

    def check(self, choices: Choices) -> None:
        """The channel must exist and the share be a percentage."""
        if self.funding_channel is not None:
            known = choices.channels["funding_channel"]
            check_known(self, "channel", [self.funding_channel], known)
        if not 0 <= self.share_pct <= 100:
            raise ValueError(
                f"Rule {self.rule_id}: {self.share_pct} is not a percentage from 0 to 100."
            )

    def _above(self, columns: Columns, part: pl.Expr) -> np.ndarray:
        """Per option: its money in the part less the share of all its money, in whole numbers."""
        share = exact(self.share_pct) / 100
        is_in = columns.options.select(part.alias("is_in"))["is_in"].to_numpy().astype(np.int64)
        amounts = columns.money(self.funding_channel)
        return amounts * (share.denominator * is_in - share.numerator)

    def _least(self, plan: Plan, part: pl.Expr) -> Measure:
        """At least the share; binding where a further step outside the part would break it."""
        inside, total = self._paid(plan, part)
        least, step = exact(self.share_pct), self._largest_step(plan, ~part)
        return Measure(
            100 * inside / total if total else 0.0,
            self.share_pct,
            100 * inside >= least * total,
            binding=step is not None and 100 * inside < least * (total + step),
        )

    def _most(self, plan: Plan, part: pl.Expr) -> Measure:
        """At most the share; binding where a further step inside the part would break it."""
        inside, total = self._paid(plan, part)
        most, step = exact(self.share_pct), self._largest_step(plan, part)
        return Measure(
            100 * inside / total if total else 0.0,
            self.share_pct,
            100 * inside <= most * total,
            binding=step is not None and 100 * (inside + step) > most * (total + step),
        )

    def _paid(self, plan: Plan, part: pl.Expr) -> tuple[int, int]:
        """Agorot the channel pays for the part, and in all."""
        money = plan.money_of(self.funding_channel)
        return int(money.filter(part)["amount_agorot"].sum()), plan.spent(self.funding_channel)

    def _largest_step(self, plan: Plan, part: pl.Expr) -> int | None:
        """The dearest further step of the channel in a part of the plan."""
        steps = plan.step_money_of(self.funding_channel).filter(part)
        return max(steps["amount_step"].to_list(), default=None)


@dataclass(frozen=True)
class ExcellenceShareMin(_ShareRule):
    """At least this share of the money a channel actually pays goes to excellence (R82).

    A channel that pays nothing keeps the rule: nothing of nothing is a full share.
    """

    min_share_pct: float
    funding_channel: str = "municipal_own"

    @property
    def share_pct(self) -> float:
        """The least share."""
        return self.min_share_pct

    @property
    def rule_id(self) -> str:
        """One per channel."""
        return rule_name("excellence_share_min", self.funding_channel)

    @property
    def sentence_en(self) -> str:
        """The rule in English."""
        name = channel_en(self.funding_channel)
        return (
            f"At least {self.min_share_pct:g} % of the money from {name} goes to excellence"
            " responses."
        )

    @property
    def sentence_he(self) -> str:
        """The rule in Hebrew."""
        name = channel_he(self.funding_channel)
        return f"לפחות {self.min_share_pct:g}% מההוצאה בפועל מ{name} מוקצים למעני מצוינות."

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Over all schools: (excellence − share) of the channel's money is not negative."""
        yield money_row(self._above(columns, _EXCELLENT), lower=0)

    def measure(self, plan: Plan) -> Measure:
        """The share; binding where a further step outside excellence would break it."""
        return self._least(plan, _EXCELLENT)


@dataclass(frozen=True)
class ExcellenceShareMax(_ShareRule):
    """At most this share of the money a channel actually pays goes to excellence (R82)."""

    max_share_pct: float
    funding_channel: str = "municipal_own"

    @property
    def share_pct(self) -> float:
        """The greatest share."""
        return self.max_share_pct

    @property
    def rule_id(self) -> str:
        """One per channel."""
        return rule_name("excellence_share_max", self.funding_channel)

    @property
    def sentence_en(self) -> str:
        """The rule in English."""
        name = channel_en(self.funding_channel)
        return (
            f"At most {self.max_share_pct:g} % of the money from {name} goes to excellence"
            " responses."
        )

    @property
    def sentence_he(self) -> str:
        """The rule in Hebrew."""
        name = channel_he(self.funding_channel)
        return f"לכל היותר {self.max_share_pct:g}% מההוצאה בפועל מ{name} מוקצים למעני מצוינות."

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Over all schools: (excellence − share) of the channel's money is not positive."""
        yield money_row(self._above(columns, _EXCELLENT), upper=0)

    def measure(self, plan: Plan) -> Measure:
        """The share; binding where a further excellence step would break it."""
        return self._most(plan, _EXCELLENT)


@dataclass(frozen=True)
class PartShareMin(_ShareRule):
    """At least this share of the money actually spent goes to a part of the plan.

    The long term (R88), the neediest quarter (R85), a stream (R86), exploration. A plan that spends
    nothing keeps the rule.
    """

    part: Part
    min_share_pct: float
    funding_channel: str | None = None

    @property
    def share_pct(self) -> float:
        """The least share."""
        return self.min_share_pct

    @property
    def rule_id(self) -> str:
        """One per part and channel."""
        return rule_name(f"share_min:{self.part.part_id}", self.funding_channel)

    @property
    def sentence_en(self) -> str:
        """The rule in English."""
        name = channel_en(self.funding_channel)
        return (
            f"At least {self.min_share_pct:.4g} % of the money from {name} goes to"
            f" {self.part.name_en}."
        )

    @property
    def sentence_he(self) -> str:
        """The rule in Hebrew."""
        name = channel_he(self.funding_channel)
        return f"לפחות {self.min_share_pct:.4g}% מההוצאה בפועל מ{name} מוקצים ל{self.part.name_he}."

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Over all schools: (part − share) of the money is not negative."""
        yield money_row(self._above(columns, self.part.holds), lower=0)

    def measure(self, plan: Plan) -> Measure:
        """The share; binding where a further step outside the part would break it."""
        return self._least(plan, self.part.holds)


@dataclass(frozen=True)
class PartShareMax(_ShareRule):
    """At most this share of the money actually spent goes to a part of the plan (R86,
    exploration).
    """

    part: Part
    max_share_pct: float
    funding_channel: str | None = None

    @property
    def share_pct(self) -> float:
        """The greatest share."""
        return self.max_share_pct

    @property
    def rule_id(self) -> str:
        """One per part and channel."""
        return rule_name(f"share_max:{self.part.part_id}", self.funding_channel)

    @property
    def sentence_en(self) -> str:
        """The rule in English."""
        name = channel_en(self.funding_channel)
        return (
            f"At most {self.max_share_pct:.4g} % of the money from {name} goes to"
            f" {self.part.name_en}."
        )

    @property
    def sentence_he(self) -> str:
        """The rule in Hebrew."""
        name = channel_he(self.funding_channel)
        return (
            f"לכל היותר {self.max_share_pct:.4g}% מההוצאה בפועל מ{name} מוקצים"
            f" ל{self.part.name_he}."
        )

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Over all schools: (part − share) of the money is not positive."""
        yield money_row(self._above(columns, self.part.holds), upper=0)

    def measure(self, plan: Plan) -> Measure:
        """The share; binding where a further step in the part would break it."""
        return self._most(plan, self.part.holds)
