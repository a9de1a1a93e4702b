"""Rules about change: how far a school's money may move from one year to the next (R90)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.allocation.problem.choices import Choices
from models.allocation.problem.columns import Columns
from models.allocation.problem.plan import Plan
from models.allocation.problem.rule import check_known
from models.allocation.rules.money import SchoolMoneyRule
from models.apportionment import exact


@dataclass(frozen=True)
class _ChangeRule(SchoolMoneyRule):
    """A limit of every school's money by what it had last year.

    Attributes:
        last_year: (semel_mosad, agorot).
        share_pct: the limit, percent of last year's money.
    """

    last_year: tuple[tuple[str, int], ...]
    share_pct: float
    funding_channel = None
    value_of_none = 100.0
    unit = "percent of last year"
    relaxed_in = "agorot"

    @property
    def rule_limit(self) -> float:
        """The percent of last year's money."""
        return self.share_pct

    def check(self, choices: Choices) -> None:
        """The schools must exist, each once; amounts and share must not be negative."""
        codes = [code for code, _ in self.last_year]
        check_known(self, "school", codes, choices.schools["semel_mosad"])
        if len(set(codes)) < len(codes):
            raise ValueError(f"Rule {self.rule_id} names a school twice.")
        if self.share_pct < 0 or any(amount < 0 for _, amount in self.last_year):
            raise ValueError(f"Rule {self.rule_id}: amounts and percent must be zero or more.")

    @abstractmethod
    def limit_of(self, amount: int) -> int:
        """The share of an amount, in whole agorot, rounded towards allowing more."""

    def school_limits(self, columns: Columns) -> Iterator[tuple[str, int, np.ndarray]]:
        """The share of last year's money, for schools that had some."""
        last = dict(self.last_year)
        for school, positions in columns.by_school():
            if last.get(school):
                yield school, self.limit_of(last[school]), positions

    def against_limit(self, plan: Plan) -> pl.DataFrame:
        """The value is the percent of last year's money; schools that had none are left out."""
        rows = [(code, amount, self.limit_of(amount)) for code, amount in self.last_year if amount]
        schema = {"semel_mosad": pl.String, "last": pl.Int64, "limit": pl.Int64}
        last = pl.DataFrame(rows, schema=schema, orient="row")
        given = plan.per_school(None).join(last, on="semel_mosad", maintain_order="left")
        return given.with_columns(value=100 * pl.col("spent") / pl.col("last"))


@dataclass(frozen=True)
class HoldHarmless(_ChangeRule):
    """No school falls below a share of last year's money (R90)."""

    is_floor = True
    id_template = "hold_harmless"
    template_en = "No school gets less than {rule.share_pct:g} % of last year's money."
    template_he = "אף בית ספר אינו מקבל פחות מ־{rule.share_pct:g}% מן הסכום של אשתקד."

    def limit_of(self, amount: int) -> int:
        """Rounded down."""
        return int(exact(self.share_pct) * amount // 100)


@dataclass(frozen=True)
class NeediestKept(HoldHarmless):
    """No school that is surely among the neediest falls below a share of last year's money (R90).

    `last_year` names these schools alone.
    """

    id_template = "neediest_kept"
    template_en = (
        "No school that is surely among the neediest gets less than {rule.share_pct:g} % of last"
        " year's money."
    )
    template_he = (
        "אף בית ספר שהוא בוודאות מן הנזקקים ביותר אינו מקבל פחות מ־{rule.share_pct:g}% מן הסכום של"
        " אשתקד."
    )


@dataclass(frozen=True)
class RiseCap(_ChangeRule):
    """No school that had money last year gets more than a share of it (R90).

    A school without money last year is not held back: there is nothing to rise from.
    """

    is_floor = False
    id_template = "rise_cap"
    template_en = "No school gets more than {rule.share_pct:g} % of last year's money."
    template_he = "אף בית ספר אינו מקבל יותר מ־{rule.share_pct:g}% מן הסכום של אשתקד."

    def limit_of(self, amount: int) -> int:
        """Rounded up."""
        return int(-(-exact(self.share_pct) * amount // 100))
