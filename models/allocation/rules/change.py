"""Rules about change: how far a school's money may move from one year to the next (R90)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from models.allocation.problem.rule import Measure, Row, Rule, check_known
from models.allocation.rules.money import money_row
from models.apportionment import exact

if TYPE_CHECKING:
    from models.allocation.problem.choices import Choices
    from models.allocation.problem.columns import Columns
    from models.allocation.problem.plan import Plan


class _ChangeRule(Rule):
    """What the two rules have in common: last year's money by school, and a share of it."""

    last_year: tuple[tuple[str, int], ...]
    unit = "percent of last year"
    relaxed_in = "agorot"

    @property
    @abstractmethod
    def share_pct(self) -> float:
        """The limit, percent of last year's money."""

    def check(self, choices: Choices) -> None:
        """The schools must exist, each once; amounts and share must not be negative."""
        codes = [code for code, _ in self.last_year]
        check_known(self, "school", codes, choices.schools["semel_mosad"])
        if len(set(codes)) < len(codes):
            raise ValueError(f"Rule {self.rule_id} names a school twice.")
        if self.share_pct < 0 or any(amount < 0 for _, amount in self.last_year):
            raise ValueError(f"Rule {self.rule_id}: amounts and percent must be zero or more.")

    @abstractmethod
    def _limit(self, amount: int) -> int:
        """The share of an amount, in whole agorot, rounded towards allowing more."""

    def _against_last_year(self, plan: Plan) -> pl.DataFrame:
        """semel_mosad, spent, smallest_line, last, limit, of the schools that had money last
        year.
        """
        rows = [(code, amount, self._limit(amount)) for code, amount in self.last_year if amount]
        schema = {"semel_mosad": pl.String, "last": pl.Int64, "limit": pl.Int64}
        last = pl.DataFrame(rows, schema=schema, orient="row")
        return plan.per_school(None).join(
            last, on="semel_mosad", how="inner", maintain_order="left"
        )


@dataclass(frozen=True)
class HoldHarmless(_ChangeRule):
    """No school falls below a share of last year's money (R90)."""

    last_year: tuple[tuple[str, int], ...]
    kept_pct: float
    rule_id = "hold_harmless"

    @property
    def share_pct(self) -> float:
        """The least share."""
        return self.kept_pct

    @property
    def sentence_en(self) -> str:
        """The rule in English."""
        return f"No school gets less than {self.kept_pct:g} % of last year's money."

    @property
    def sentence_he(self) -> str:
        """The rule in Hebrew."""
        return f"אף בית ספר אינו מקבל פחות מ־{self.kept_pct:g}% מן הסכום של אשתקד."

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per school with money last year: money at least the share of it."""
        amounts, last = columns.money(None), dict(self.last_year)
        for school, positions in columns.by_school():
            if last.get(school):
                least = self._limit(last[school])
                yield money_row(amounts, lower=least, at=positions, school=school)

    def measure(self, plan: Plan) -> Measure:
        """The lowest share; binding where a school falls below without its smallest line."""
        given = self._against_last_year(plan)
        lowest = min((100 * given["spent"] / given["last"]).to_list(), default=100.0)
        below = given.filter(pl.col("spent") < pl.col("limit")).height
        back = pl.col("spent") - pl.col("smallest_line").fill_null(0)
        tight = given.filter(back < pl.col("limit")).height
        return Measure(lowest, self.kept_pct, below == 0, binding=tight > 0)

    def _limit(self, amount: int) -> int:
        """Rounded down."""
        return int(exact(self.kept_pct) * amount // 100)


@dataclass(frozen=True)
class RiseCap(_ChangeRule):
    """No school that had money last year gets more than a share of it (R90).

    A school without money last year is not held back: there is nothing to rise from.
    """

    last_year: tuple[tuple[str, int], ...]
    most_pct: float
    rule_id = "rise_cap"

    @property
    def share_pct(self) -> float:
        """The greatest share."""
        return self.most_pct

    @property
    def sentence_en(self) -> str:
        """The rule in English."""
        return f"No school gets more than {self.most_pct:g} % of last year's money."

    @property
    def sentence_he(self) -> str:
        """The rule in Hebrew."""
        return f"אף בית ספר אינו מקבל יותר מ־{self.most_pct:g}% מן הסכום של אשתקד."

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per school with money last year: money at most the share of it."""
        amounts, last = columns.money(None), dict(self.last_year)
        for school, positions in columns.by_school():
            if last.get(school):
                most = self._limit(last[school])
                yield money_row(amounts, upper=most, at=positions, school=school)

    def measure(self, plan: Plan) -> Measure:
        """The highest share; binding where a school has no room for a further step."""
        step = (
            plan.step_money_of(None).group_by("semel_mosad").agg(step=pl.col("amount_step").min())
        )
        given = self._against_last_year(plan).join(step, on="semel_mosad", how="left")
        highest = max((100 * given["spent"] / given["last"]).to_list(), default=100.0)
        over = given.filter(pl.col("spent") > pl.col("limit")).height
        full = given.filter(pl.col("spent") + pl.col("step").fill_null(0) > pl.col("limit")).height
        return Measure(highest, self.most_pct, over == 0, binding=full > 0)

    def _limit(self, amount: int) -> int:
        """Rounded up."""
        return int(-(-exact(self.most_pct) * amount // 100))
