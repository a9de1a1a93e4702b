"""What is to be decided: what can be bought, under which rules, checked before any solving."""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from models.allocation.problem.choices import Choices, check_tables
from models.allocation.problem.rule import Rule
from models.keys import OPTION, PAIR


@dataclass(frozen=True, kw_only=True)
class Problem(Choices):
    """One allocation to decide (R79): the choices, and the rules that a plan of them has to keep.

    Attributes:
        rules: the policy's rules. Channel budgets, caps and eligibility are read off the tables.
    """

    rules: tuple[Rule, ...]

    def canonical(self) -> Problem:
        """The same problem, checked, with rows, columns and rules in one fixed order.

        Everything after this step sees the same bytes however the tables arrived, which is what
        makes the plan invariant to the order of rows and columns (R97).

        Raises:
            ValueError: a table or rule contradicts itself; the message names the rows.
        """
        check_tables(self)
        rules = tuple(sorted(self.rules, key=lambda rule: rule.rule_id))
        tidy = replace(
            self,
            schools=self.schools.select(
                "semel_mosad", "school_name_he", pl.col("pupils").cast(pl.Int32), "need"
            ).sort("semel_mosad"),
            options=self.options.select(
                *PAIR,
                pl.col("dose_level").cast(pl.Int32),
                pl.col("dose").cast(pl.Float64),
                pl.col("participants").cast(pl.Int32),
                pl.col("benefit_sd_pupils").cast(pl.Float64),
                "is_eligible",
                "eligibility_reason_en",
                "eligibility_reason_he",
                "is_excellence",
            ).sort(OPTION),
            costs=self.costs.select(
                *PAIR,
                pl.col("dose_level").cast(pl.Int32),
                "funding_channel",
                pl.col("amount_agorot").cast(pl.Int64),
            ).sort([*OPTION, "funding_channel"]),
            channels=self.channels.select(
                "funding_channel", pl.col("budget_agorot").cast(pl.Int64)
            ).sort("funding_channel"),
            school_channels=self.school_channels.select(
                pl.col("funding_channel").cast(pl.String),
                pl.col("semel_mosad").cast(pl.String),
                pl.col("budget_agorot").cast(pl.Int64),
            ).sort("funding_channel", "semel_mosad"),
            services=self.services.select(
                "response_id",
                "funding_channel",
                pl.col("amount_agorot").cast(pl.Int64),
                "is_excellence",
            ).sort("response_id", "funding_channel"),
            rules=rules,
            overlaps=tuple(sorted(self.overlaps, key=lambda overlap: overlap.overlap_id)),
        )
        for rule in rules:
            rule.check(tidy)
        return tidy
