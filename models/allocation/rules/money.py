"""Rules about money: budgets, baskets, floors and caps."""

from __future__ import annotations

from abc import abstractmethod
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
        """Over all schools: money from the channel, with what services of the city take."""
        yield money_row(
            columns.money(self.funding_channel),
            upper=self.budget_agorot,
            fixed=int(columns.services(self.funding_channel)["amount_agorot"].sum()),
        )

    def measure(self, plan: Plan) -> Measure:
        """Agorot spent; binding where a further step that would do good does not fit."""
        spent, limit = plan.spent(self.funding_channel), self.budget_agorot
        dearest = max(plan.step_money_of(self.funding_channel)["amount_step"].to_list(), default=0)
        binding = spent == limit or spent + dearest > limit
        return Measure(spent, limit, spent <= limit, binding)


class SchoolMoneyRule(ChannelRule):
    """A floor or a cap of every school's money."""

    is_floor: bool
    value_of_none: float = 0.0
    """What is measured where it limits no school."""

    @property
    @abstractmethod
    def rule_limit(self) -> float:
        """The limit in the rule's unit."""

    @abstractmethod
    def school_limits(self, columns: Columns) -> Iterator[tuple[str, int, np.ndarray]]:
        """By school: its code, its limit in agorot and the positions of its options."""

    @abstractmethod
    def against_limit(self, plan: Plan) -> pl.DataFrame:
        """The money of the schools (`Plan.per_school`), with limit (agorot) and value (in units).

        The value is null for a school of which it means nothing.
        """

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per school: money at least the floor, or at most the cap."""
        amounts = columns.money(self.funding_channel)
        for school, limit, positions in self.school_limits(columns):
            lower, upper = (limit, np.inf) if self.is_floor else (-np.inf, limit)
            yield money_row(amounts, lower=lower, upper=upper, at=positions, school=school)

    def measure(self, plan: Plan) -> Measure:
        """The lowest value against a floor, the highest against a cap.

        A floor binds where a school would miss it without its smallest line, a cap where a school
        has no room for its smallest further step.
        """
        given, spent, limit = self.against_limit(plan), pl.col("spent"), pl.col("limit")
        values = given["value"].drop_nulls().to_list()
        if self.is_floor:
            value = min(values, default=self.value_of_none)
            broken, tight = spent < limit, spent - pl.col("smallest_line").fill_null(0) < limit
        else:
            value = max(values, default=self.value_of_none)
            broken, tight = spent > limit, spent + pl.col("smallest_step") > limit
        is_kept, is_tight = given.filter(broken).is_empty(), not given.filter(tight).is_empty()
        return Measure(value, self.rule_limit, is_kept, is_tight)


@dataclass(frozen=True)
class SchoolChannelCap(SchoolMoneyRule):
    """Inside a school a channel pays no more than the school's own basket (R83).

    Attributes:
        funding_channel: the channel, for example gefen_school.
        caps: (semel_mosad, basket in agorot).
    """

    funding_channel: str
    caps: tuple[tuple[str, int], ...]
    is_floor = False
    rule_limit = 100.0
    unit = "percent of the basket"
    relaxed_in = "agorot"
    is_budget = True
    id_template = "school_channel_cap{rule.of_channel}"
    template_en = (
        "In each of {rule.count} school(s) the money from {rule.channel_en} is at most the "
        "school's own basket."
    )
    template_he = "בכל בית ספר ({rule.count}), הכסף מ{rule.channel_he} אינו עולה על הסל שלו."

    @property
    def count(self) -> int:
        """How many schools have a basket."""
        return len(self.caps)

    def school_limits(self, columns: Columns) -> Iterator[tuple[str, int, np.ndarray]]:
        """The baskets of the schools that have one."""
        caps = dict(self.caps)
        for school, positions in columns.by_school():
            if school in caps:
                yield school, caps[school], positions

    def against_limit(self, plan: Plan) -> pl.DataFrame:
        """The value is the percent of the basket that is spent; null where it is empty."""
        caps = pl.DataFrame(
            list(self.caps), schema={"semel_mosad": pl.String, "limit": pl.Int64}, orient="row"
        )
        given = plan.per_school(self.funding_channel).join(caps, on="semel_mosad")
        pct = 100 * pl.col("spent") / pl.col("limit")
        return given.with_columns(value=pl.when(pl.col("limit") > 0).then(pct))


@dataclass(frozen=True)
class ParentsPayments(SchoolChannelCap):
    """In no school do parents pay more per pupil than last year (R18).

    Attributes:
        caps: (semel_mosad, last year's payment per pupil × this year's pupils, in agorot), of the
            schools whose payments of last year are known.
    """

    unit = "percent of last year"
    is_budget = False
    id_template = "parents_payments"
    template_en = "In each of {rule.count} school(s) parents pay no more per pupil than last year."
    template_he = "בכל בית ספר ({rule.count}) ההורים אינם משלמים לתלמיד יותר מאשתקד."


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
class _PerPupil(SchoolMoneyRule):
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
    def rule_limit(self) -> float:
        """The agorot per pupil."""
        return self.agorot_per_pupil

    @property
    def limit_nis(self) -> str:
        """The limit in words."""
        return nis(self.agorot_per_pupil)

    def school_limits(self, columns: Columns) -> Iterator[tuple[str, int, np.ndarray]]:
        """The limit × pupils."""
        pupils = columns.schools["pupils"].to_list()
        for (school, positions), count in zip(columns.by_school(), pupils, strict=True):
            yield school, self.agorot_per_pupil * count, positions

    def against_limit(self, plan: Plan) -> pl.DataFrame:
        """The value is the money per pupil."""
        pupils = pl.col("pupils").cast(pl.Int64)
        return plan.per_school(self.funding_channel).with_columns(
            value=pl.when(pupils > 0).then(pl.col("spent") / pl.col("pupils")),
            limit=self.agorot_per_pupil * pupils,
        )


@dataclass(frozen=True)
class SchoolFloor(_PerPupil):
    """Every school gets at least so much money per pupil (R91)."""

    is_floor = True
    id_template = "school_floor{rule.of_channel}"
    template_en = (
        "Every school gets at least {rule.limit_nis} NIS per pupil from {rule.channel_en}."
    )
    template_he = "כל בית ספר מקבל לפחות {rule.limit_nis} ₪ לתלמיד מ{rule.channel_he}."


@dataclass(frozen=True)
class SchoolCap(_PerPupil):
    """No school gets more than so much money per pupil (R79)."""

    is_floor = False
    id_template = "school_cap{rule.of_channel}"
    template_en = "No school gets more than {rule.limit_nis} NIS per pupil from {rule.channel_en}."
    template_he = "אף בית ספר אינו מקבל יותר מ־{rule.limit_nis} ₪ לתלמיד מ{rule.channel_he}."


def money_row(
    amounts: np.ndarray,
    *,
    lower: float = -np.inf,
    upper: float = np.inf,
    at: np.ndarray | None = None,
    school: str | None = None,
    fixed: int = 0,
) -> Row:
    """A row of money over all options, or over the options at some positions."""
    positions = np.flatnonzero(amounts) if at is None else at[amounts[at] != 0]
    return Row(positions, amounts[positions], lower, upper, school, fixed=fixed)
