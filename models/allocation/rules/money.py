"""Rules about money: budgets, baskets, floors, caps and the excellence share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from models.allocation.rules.base import (
    Measure,
    Row,
    Rule,
    channel_en,
    channel_he,
    check_known,
    is_full,
    nis,
    smallest,
)
from models.shares import exact

if TYPE_CHECKING:
    from models.allocation.columns import Columns
    from models.allocation.plan import Plan
    from models.allocation.problem import Problem


@dataclass(frozen=True)
class ChannelBudget(Rule):
    """A funding channel pays no more than its budget (R83)."""

    funding_channel: str
    budget_agorot: int
    unit = "agorot"
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
        yield _money(columns.money(self.funding_channel), upper=self.budget_agorot)

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
            f"In each of {len(self.caps)} school(s), {name} pays at most the school's own basket."
        )

    @property
    def sentence_he(self) -> str:
        """The rule in Hebrew."""
        name = channel_he(self.funding_channel)
        return f"בכל אחד מ־{len(self.caps)} בתי ספר, {name} משלם לכל היותר את הסל של בית הספר."

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per school with a basket: money from the channel."""
        amounts, caps = columns.money(self.funding_channel), dict(self.caps)
        for school, positions in columns.by_school():
            if school in caps:
                yield _money(amounts, upper=caps[school], at=positions, school=school)

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
class SchoolFloor(Rule):
    """Every school gets at least so much money per pupil (R91)."""

    min_agorot_per_pupil: int
    funding_channel: str | None = None
    unit = "agorot per pupil"

    @property
    def rule_id(self) -> str:
        """One per channel, or over all of them."""
        return _id("school_floor", self.funding_channel)

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
        for school, pupils, positions in _schools(columns):
            least = self.min_agorot_per_pupil * pupils
            yield _money(amounts, lower=least, at=positions, school=school)

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

    @property
    def rule_id(self) -> str:
        """One per channel, or over all of them."""
        return _id("school_cap", self.funding_channel)

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
        for school, pupils, positions in _schools(columns):
            most = self.max_agorot_per_pupil * pupils
            yield _money(amounts, upper=most, at=positions, school=school)

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


@dataclass(frozen=True)
class ExcellenceShareMin(Rule):
    """At least this share of the money a channel actually pays goes to excellence (R82).

    A channel that pays nothing keeps the rule: nothing of nothing is a full share.
    """

    min_share_pct: float
    funding_channel: str = "municipal_own"
    unit = "percent"

    @property
    def rule_id(self) -> str:
        """One per channel."""
        return _id("excellence_share_min", self.funding_channel)

    @property
    def sentence_en(self) -> str:
        """The rule in English."""
        name = channel_en(self.funding_channel)
        return (
            f"At least {self.min_share_pct:g} % of what {name} pays goes to excellence responses."
        )

    @property
    def sentence_he(self) -> str:
        """The rule in Hebrew."""
        name = channel_he(self.funding_channel)
        return f"לפחות {self.min_share_pct:g}% מההוצאה בפועל מ{name} מוקצים למעני מצוינות."

    def check(self, problem: Problem) -> None:
        """The channel must exist and the share be a percentage."""
        _check_share(self, self.min_share_pct, self.funding_channel, problem)

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Over all schools: (excellence − share) of the channel's money is not negative."""
        yield _money(_above_share(columns, self.min_share_pct, self.funding_channel), lower=0)

    def measure(self, plan: Plan) -> Measure:
        """The share; binding where a further step outside excellence would break it."""
        excellent, total = _excellence(plan, self.funding_channel)
        least = exact(self.min_share_pct)
        step = _largest_step(plan, self.funding_channel, is_excellence=False)
        return Measure(
            100 * excellent / total if total else 0.0,
            self.min_share_pct,
            100 * excellent >= least * total,
            binding=step is not None and 100 * excellent < least * (total + step),
        )


@dataclass(frozen=True)
class ExcellenceShareMax(Rule):
    """At most this share of the money a channel actually pays goes to excellence (R82)."""

    max_share_pct: float
    funding_channel: str = "municipal_own"
    unit = "percent"

    @property
    def rule_id(self) -> str:
        """One per channel."""
        return _id("excellence_share_max", self.funding_channel)

    @property
    def sentence_en(self) -> str:
        """The rule in English."""
        name = channel_en(self.funding_channel)
        return f"At most {self.max_share_pct:g} % of what {name} pays goes to excellence responses."

    @property
    def sentence_he(self) -> str:
        """The rule in Hebrew."""
        name = channel_he(self.funding_channel)
        return f"לכל היותר {self.max_share_pct:g}% מההוצאה בפועל מ{name} מוקצים למעני מצוינות."

    def check(self, problem: Problem) -> None:
        """The channel must exist and the share be a percentage."""
        _check_share(self, self.max_share_pct, self.funding_channel, problem)

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Over all schools: (excellence − share) of the channel's money is not positive."""
        yield _money(_above_share(columns, self.max_share_pct, self.funding_channel), upper=0)

    def measure(self, plan: Plan) -> Measure:
        """The share; binding where a further excellence step would break it."""
        excellent, total = _excellence(plan, self.funding_channel)
        most = exact(self.max_share_pct)
        step = _largest_step(plan, self.funding_channel, is_excellence=True)
        return Measure(
            100 * excellent / total if total else 0.0,
            self.max_share_pct,
            100 * excellent <= most * total,
            binding=step is not None and 100 * (excellent + step) > most * (total + step),
        )


def _id(name: str, channel: str | None) -> str:
    """Rule id, with the channel where the rule is about one."""
    return name if channel is None else f"{name}:{channel}"


def _money(
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


def _schools(columns: Columns) -> Iterator[tuple[str, int, np.ndarray]]:
    """School, pupils and the positions of its options."""
    pupils = columns.schools["pupils"].to_list()
    for (school, positions), count in zip(columns.by_school(), pupils, strict=True):
        yield school, count, positions


def _excellence(plan: Plan, channel: str) -> tuple[int, int]:
    """Agorot the channel pays for excellence, and in all."""
    money = plan.money_of(channel)
    return int(money.filter("is_excellence")["amount_agorot"].sum()), plan.spent(channel)


def _above_share(columns: Columns, share_pct: float, channel: str) -> np.ndarray:
    """Per option: its excellence money less the share of all its money, in whole numbers."""
    share = exact(share_pct) / 100
    is_excellence = columns.options["is_excellence"].to_numpy().astype(np.int64)
    return columns.money(channel) * (share.denominator * is_excellence - share.numerator)


def _largest_step(plan: Plan, channel: str, *, is_excellence: bool) -> int | None:
    """The dearest further step of the channel, inside or outside excellence."""
    steps = plan.step_money_of(channel).filter(pl.col("is_excellence") == is_excellence)
    return max(steps["amount_step"].to_list(), default=None)


def _check_share(rule: Rule, share_pct: float, channel: str, problem: Problem) -> None:
    """Raise ValueError unless the channel exists and the share is between 0 and 100."""
    check_known(rule, "channel", [channel], problem.channels["funding_channel"])
    if not 0 <= share_pct <= 100:
        raise ValueError(f"Rule {rule.rule_id}: {share_pct} is not a percentage from 0 to 100.")
