"""Rules about money: budgets, baskets, floors and caps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from models.allocation.problem.rule import Measure, Row, Rule, check_known, is_full, smallest
from models.allocation.problem.words import channel_en, channel_he, nis

if TYPE_CHECKING:
    from models.allocation.problem.choices import Choices
    from models.allocation.problem.columns import Columns
    from models.allocation.problem.plan import Plan


@dataclass(frozen=True)
class ChannelBudget(Rule):
    """A funding channel pays no more than its budget (R83)."""

    funding_channel: str
    budget_agorot: int
    unit = "agorot"
    relaxed_in = "agorot"
    is_budget = True

    @property
    def rule_id(self) -> str:
        """One per channel."""
        return f"budget:{self.funding_channel}"

    @property
    def sentence_en(self) -> str:
        """The rule in English."""
        name = channel_en(self.funding_channel)
        return f"Spending from {name} is at most {nis(self.budget_agorot)} NIS."

    @property
    def sentence_he(self) -> str:
        """The rule in Hebrew."""
        name = channel_he(self.funding_channel)
        return f"ההוצאה מ{name} לא תעלה על {nis(self.budget_agorot)} ₪."

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Over all schools: money from the channel."""
        yield money_row(columns.money(self.funding_channel), upper=self.budget_agorot)

    def measure(self, plan: Plan) -> Measure:
        """Agorot spent; binding where not even the cheapest further step fits."""
        spent, limit = plan.spent(self.funding_channel), self.budget_agorot
        step = smallest(plan.step_money_of(self.funding_channel)["amount_step"])
        return Measure(spent, limit, spent <= limit, is_full(spent, limit, step))


@dataclass(frozen=True)
class SchoolChannelCap(Rule):
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

    @property
    def rule_id(self) -> str:
        """One per channel."""
        return f"school_channel_cap:{self.funding_channel}"

    @property
    def sentence_en(self) -> str:
        """The rule in English."""
        name = channel_en(self.funding_channel)
        return (
            f"In each of {len(self.caps)} school(s) the money from {name} is at most the school's "
            "own basket."
        )

    @property
    def sentence_he(self) -> str:
        """The rule in Hebrew."""
        name = channel_he(self.funding_channel)
        return f"בכל אחד מ־{len(self.caps)} בתי ספר, הכסף מ{name} אינו עולה על הסל של בית הספר."

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
        step = (
            plan.step_money_of(self.funding_channel)
            .group_by("semel_mosad")
            .agg(step=pl.col("amount_step").min())
        )
        used = (
            plan.per_school(self.funding_channel)
            .join(caps, on="semel_mosad")
            .join(step, on="semel_mosad", how="left")
            .with_columns(
                pct=pl.when(pl.col("cap") > 0).then(100 * pl.col("spent") / pl.col("cap")),
                is_over=pl.col("spent") > pl.col("cap"),
                is_full=pl.col("spent") + pl.col("step").fill_null(0) > pl.col("cap"),
            )
        )
        fullest = max(used["pct"].drop_nulls().to_list(), default=0.0)
        return Measure(fullest, 100.0, not used["is_over"].any(), bool(used["is_full"].any()))


@dataclass(frozen=True)
class SourceExcluded(Rule):
    """A channel pays for none of some responses, as the rules of its money forbid it (R83)."""

    funding_channel: str
    response_ids: tuple[str, ...]
    responses_he: str = ""
    responses_en: str = ""
    unit = "agorot"

    @property
    def rule_id(self) -> str:
        """One per channel."""
        return f"source_excluded:{self.funding_channel}"

    @property
    def sentence_en(self) -> str:
        """The rule in English."""
        name = self.responses_en or ", ".join(self.response_ids)
        return f"No money from {channel_en(self.funding_channel)} goes to: {name}."

    @property
    def sentence_he(self) -> str:
        """The rule in Hebrew."""
        name = self.responses_he or ", ".join(self.response_ids)
        return f"אין להוציא כסף מ{channel_he(self.funding_channel)} על: {name}."

    def check(self, choices: Choices) -> None:
        """Channel and responses must exist."""
        check_known(self, "channel", [self.funding_channel], choices.channels["funding_channel"])
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
class SchoolFloor(Rule):
    """Every school gets at least so much money per pupil (R91)."""

    min_agorot_per_pupil: int
    funding_channel: str | None = None
    unit = "agorot per pupil"
    relaxed_in = "agorot"

    @property
    def rule_id(self) -> str:
        """One per channel, or over all of them."""
        return rule_name("school_floor", self.funding_channel)

    @property
    def sentence_en(self) -> str:
        """The rule in English."""
        least, name = nis(self.min_agorot_per_pupil), channel_en(self.funding_channel)
        return f"Every school gets at least {least} NIS per pupil from {name}."

    @property
    def sentence_he(self) -> str:
        """The rule in Hebrew."""
        least, name = nis(self.min_agorot_per_pupil), channel_he(self.funding_channel)
        return f"כל בית ספר מקבל לפחות {least} ₪ לתלמיד מ{name}."

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per school: money at least floor × pupils."""
        amounts = columns.money(self.funding_channel)
        for school, pupils, positions in of_schools(columns):
            least = self.min_agorot_per_pupil * pupils
            yield money_row(amounts, lower=least, at=positions, school=school)

    def measure(self, plan: Plan) -> Measure:
        """The lowest money per pupil; binding where a school falls below without its last line."""
        given = plan.per_school(self.funding_channel).filter(pl.col("pupils") > 0)
        floor = self.min_agorot_per_pupil * pl.col("pupils").cast(pl.Int64)
        lowest = min((given["spent"] / given["pupils"]).to_list(), default=0.0)
        below = given.filter(pl.col("spent") < floor).height
        tight = given.filter(pl.col("spent") - pl.col("smallest_line").fill_null(0) < floor).height
        return Measure(lowest, self.min_agorot_per_pupil, below == 0, binding=tight > 0)


@dataclass(frozen=True)
class SchoolCap(Rule):
    """No school gets more than so much money per pupil (R79)."""

    max_agorot_per_pupil: int
    funding_channel: str | None = None
    unit = "agorot per pupil"
    relaxed_in = "agorot"

    @property
    def rule_id(self) -> str:
        """One per channel, or over all of them."""
        return rule_name("school_cap", self.funding_channel)

    @property
    def sentence_en(self) -> str:
        """The rule in English."""
        most, name = nis(self.max_agorot_per_pupil), channel_en(self.funding_channel)
        return f"No school gets more than {most} NIS per pupil from {name}."

    @property
    def sentence_he(self) -> str:
        """The rule in Hebrew."""
        most, name = nis(self.max_agorot_per_pupil), channel_he(self.funding_channel)
        return f"אף בית ספר אינו מקבל יותר מ־{most} ₪ לתלמיד מ{name}."

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per school: money at most cap × pupils."""
        amounts = columns.money(self.funding_channel)
        for school, pupils, positions in of_schools(columns):
            most = self.max_agorot_per_pupil * pupils
            yield money_row(amounts, upper=most, at=positions, school=school)

    def measure(self, plan: Plan) -> Measure:
        """The highest money per pupil; binding where a school has no room for a further step."""
        step = (
            plan.step_money_of(self.funding_channel)
            .group_by("semel_mosad")
            .agg(step=pl.col("amount_step").min())
        )
        cap = self.max_agorot_per_pupil * pl.col("pupils").cast(pl.Int64)
        given = plan.per_school(self.funding_channel).join(step, on="semel_mosad", how="left")
        of_pupils = given.filter(pl.col("pupils") > 0)
        highest = max((of_pupils["spent"] / of_pupils["pupils"]).to_list(), default=0.0)
        over = given.filter(pl.col("spent") > cap).height
        full = given.filter(pl.col("spent") + pl.col("step").fill_null(0) > cap).height
        return Measure(highest, self.max_agorot_per_pupil, over == 0, binding=full > 0)


def rule_name(name: str, channel: str | None) -> str:
    """Rule id, with the channel where the rule is about one."""
    return name if channel is None else f"{name}:{channel}"


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


def of_schools(columns: Columns) -> Iterator[tuple[str, int, np.ndarray]]:
    """School, pupils and the positions of its options."""
    pupils = columns.schools["pupils"].to_list()
    for (school, positions), count in zip(columns.by_school(), pupils, strict=True):
        yield school, count, positions
