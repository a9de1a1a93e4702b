"""Rules about money: budgets, baskets, floors and caps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.allocation.problem.choices import Choices
from models.allocation.problem.columns import Columns
from models.allocation.problem.plan import Plan
from models.allocation.problem.rule import (
    ChannelRule,
    Measure,
    Row,
    check_known,
    is_full,
    smallest,
)
from models.allocation.problem.words import nis


@dataclass(frozen=True)
class ChannelBudget(ChannelRule):
    """A funding channel pays no more than its budget (R83)."""

    funding_channel: str
    budget_agorot: int
    unit = "agorot"
    relaxed_in = "agorot"
    is_budget = True
    id_template = "budget{rule.of_channel}"
    template_en = "Spending from {rule.channel_en} is at most {rule.budget_nis} NIS."
    template_he = "ההוצאה מ{rule.channel_he} לא תעלה על {rule.budget_nis} ₪."

    @property
    def budget_nis(self) -> str:
        """The budget in words."""
        return nis(self.budget_agorot)

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Over all schools: money from the channel."""
        yield money_row(columns.money(self.funding_channel), upper=self.budget_agorot)

    def measure(self, plan: Plan) -> Measure:
        """Agorot spent; binding where not even the cheapest further step fits."""
        spent, limit = plan.spent(self.funding_channel), self.budget_agorot
        step = smallest(plan.step_money_of(self.funding_channel)["amount_step"])
        return Measure(spent, limit, spent <= limit, is_full(spent, limit, step))


@dataclass(frozen=True)
class SchoolChannelCap(ChannelRule):
    """Inside a school a channel pays no more than the school's own basket (R83).

    Attributes:
        funding_channel: the channel, for example gefen_school.
        caps: (semel_mosad, basket in agorot).
    """

    funding_channel: str
    caps: tuple[tuple[str, int], ...]
    unit = "percent of the basket"
    relaxed_in = "agorot"
    is_budget = True
    id_template = "school_channel_cap{rule.of_channel}"
    template_en = (
        "In each of {rule.count} school(s) the money from {rule.channel_en} is at most the "
        "school's own basket."
    )
    template_he = (
        "בכל אחד מ־{rule.count} בתי ספר, הכסף מ{rule.channel_he} אינו עולה על הסל של בית הספר."
    )

    @property
    def count(self) -> int:
        """How many schools have a basket."""
        return len(self.caps)

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per school with a basket: money from the channel."""
        amounts, caps = columns.money(self.funding_channel), dict(self.caps)
        for school, positions in columns.by_school():
            if school in caps:
                yield money_row(amounts, upper=caps[school], at=positions, school=school)

    def measure(self, plan: Plan) -> Measure:
        """The fullest basket in percent; binding where a basket has no room for a further step."""
        caps = pl.DataFrame(
            list(self.caps), schema={"semel_mosad": pl.String, "cap": pl.Int64}, orient="row"
        )
        used = (
            plan.per_school(self.funding_channel)
            .join(caps, on="semel_mosad")
            .with_columns(
                pct=pl.when(pl.col("cap") > 0).then(100 * pl.col("spent") / pl.col("cap")),
                is_over=pl.col("spent") > pl.col("cap"),
                is_full=pl.col("spent") + pl.col("smallest_step") > pl.col("cap"),
            )
        )
        fullest = max(used["pct"].drop_nulls().to_list(), default=0.0)
        return Measure(fullest, 100.0, not used["is_over"].any(), bool(used["is_full"].any()))


@dataclass(frozen=True)
class SourceExcluded(ChannelRule):
    """A channel pays for none of some responses, as the rules of its money forbid it (R83)."""

    funding_channel: str
    response_ids: tuple[str, ...]
    responses_he: str = ""
    responses_en: str = ""
    unit = "agorot"
    id_template = "source_excluded{rule.of_channel}"
    template_en = "No money from {rule.channel_en} goes to: {rule.name_en}."
    template_he = "אין להוציא כסף מ{rule.channel_he} על: {rule.name_he}."

    @property
    def name_en(self) -> str:
        """The responses in English, their keys where they have no names."""
        return self.responses_en or ", ".join(self.response_ids)

    @property
    def name_he(self) -> str:
        """The responses in Hebrew, their keys where they have no names."""
        return self.responses_he or ", ".join(self.response_ids)

    def check(self, choices: Choices) -> None:
        """Channel and responses must exist."""
        super().check(choices)
        check_known(self, "response", list(self.response_ids), choices.options["response_id"])

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Over all schools: no money from the channel to the responses."""
        positions = columns.where(pl.col("response_id").is_in(self.response_ids))
        yield money_row(columns.money(self.funding_channel), upper=0, at=positions)

    def measure(self, plan: Plan) -> Measure:
        """Agorot paid so (limit none); binding where a further step would take some."""
        own = pl.col("response_id").is_in(self.response_ids)
        paid = int(plan.money_of(self.funding_channel).filter(own)["amount_agorot"].sum())
        wanted = not plan.step_money_of(self.funding_channel).filter(own).is_empty()
        return Measure(paid, 0, paid == 0, binding=wanted)


@dataclass(frozen=True)
class _PerPupil(ChannelRule):
    """A limit of every school's money per pupil, from one channel or from all of them.

    Attributes:
        agorot_per_pupil: the limit.
        funding_channel: the channel; None = all of them together.
    """

    agorot_per_pupil: int
    funding_channel: str | None = None
    unit = "agorot per pupil"
    relaxed_in = "agorot"

    @property
    def limit_nis(self) -> str:
        """The limit in words."""
        return nis(self.agorot_per_pupil)

    def _limits(self, columns: Columns) -> Iterator[tuple[str, int, np.ndarray]]:
        """By school: its code, its limit in agorot and the positions of its options."""
        pupils = columns.schools["pupils"].to_list()
        for (school, positions), count in zip(columns.by_school(), pupils, strict=True):
            yield school, self.agorot_per_pupil * count, positions

    def _given(self, plan: Plan) -> pl.DataFrame:
        """The money of the schools (`Plan.per_school`), with per_pupil and limit, in agorot."""
        pupils = pl.col("pupils").cast(pl.Int64)
        return plan.per_school(self.funding_channel).with_columns(
            per_pupil=pl.when(pupils > 0).then(pl.col("spent") / pl.col("pupils")),
            limit=self.agorot_per_pupil * pupils,
        )


@dataclass(frozen=True)
class SchoolFloor(_PerPupil):
    """Every school gets at least so much money per pupil (R91)."""

    id_template = "school_floor{rule.of_channel}"
    template_en = (
        "Every school gets at least {rule.limit_nis} NIS per pupil from {rule.channel_en}."
    )
    template_he = "כל בית ספר מקבל לפחות {rule.limit_nis} ₪ לתלמיד מ{rule.channel_he}."

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per school: money at least floor × pupils."""
        amounts = columns.money(self.funding_channel)
        for school, least, positions in self._limits(columns):
            yield money_row(amounts, lower=least, at=positions, school=school)

    def measure(self, plan: Plan) -> Measure:
        """The lowest money per pupil; binding where a school falls below without its last line."""
        given = self._given(plan).filter(pl.col("pupils") > 0)
        lowest = min(given["per_pupil"].to_list(), default=0.0)
        is_kept, is_tight = at_least(given)
        return Measure(lowest, self.agorot_per_pupil, is_kept, is_tight)


@dataclass(frozen=True)
class SchoolCap(_PerPupil):
    """No school gets more than so much money per pupil (R79)."""

    id_template = "school_cap{rule.of_channel}"
    template_en = "No school gets more than {rule.limit_nis} NIS per pupil from {rule.channel_en}."
    template_he = "אף בית ספר אינו מקבל יותר מ־{rule.limit_nis} ₪ לתלמיד מ{rule.channel_he}."

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per school: money at most cap × pupils."""
        amounts = columns.money(self.funding_channel)
        for school, most, positions in self._limits(columns):
            yield money_row(amounts, upper=most, at=positions, school=school)

    def measure(self, plan: Plan) -> Measure:
        """The highest money per pupil; binding where a school has no room for a further step."""
        given = self._given(plan)
        highest = max(given["per_pupil"].drop_nulls().to_list(), default=0.0)
        is_kept, is_tight = at_most(given)
        return Measure(highest, self.agorot_per_pupil, is_kept, is_tight)


def at_least(given: pl.DataFrame) -> tuple[bool, bool]:
    """Whether every school has its limit, and whether one would miss it without its last line.

    Args:
        given: spent, smallest_line (null where none), limit: agorot, by school.
    """
    without = pl.col("spent") - pl.col("smallest_line").fill_null(0)
    below, tight = pl.col("spent") < pl.col("limit"), without < pl.col("limit")
    return given.filter(below).is_empty(), not given.filter(tight).is_empty()


def at_most(given: pl.DataFrame) -> tuple[bool, bool]:
    """Whether every school keeps its limit, and whether one has no room for a further step.

    Args:
        given: spent, smallest_step (0 where none), limit: agorot, by school.
    """
    above = pl.col("spent") > pl.col("limit")
    full = pl.col("spent") + pl.col("smallest_step") > pl.col("limit")
    return given.filter(above).is_empty(), not given.filter(full).is_empty()


def money_row(
    amounts: np.ndarray,
    *,
    lower: float = -np.inf,
    upper: float = np.inf,
    at: np.ndarray | None = None,
    school: str | None = None,
) -> Row:
    """A row of money over all options, or over the options at some positions."""
    positions = np.flatnonzero(amounts) if at is None else at[amounts[at] != 0]
    return Row(positions, amounts[positions], lower, upper, school)
