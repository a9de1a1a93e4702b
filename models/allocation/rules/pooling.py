"""The rule that makes a shared response one decision of several schools (R87)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.allocation.problem.choices import Choices
from models.allocation.problem.columns import Columns
from models.allocation.problem.plan import Plan
from models.allocation.problem.rule import Measure, Row, Rule, check_options
from models.keys import OPTION, OPTION_TYPES


@dataclass(frozen=True)
class Together(Rule):
    """Options of several schools that are bought all or none, as their cost is shared.

    Attributes:
        sets: the options of each set: (semel_mosad, response_id, dose_level), two or more. An
            option is in one set at most.
    """

    sets: tuple[tuple[tuple[str, str, int], ...], ...]
    unit = "options"
    is_priced = False
    id_template = "together"
    template_en = "A response that schools share is opened in all of them at once, or in none."
    template_he = "מענה משותף נפתח בכל בתי הספר של הקבוצה יחד, או באף אחד מהם."

    def check(self, choices: Choices) -> None:
        """Every option must exist, stand in one set only and share it with another."""
        named = [option for options in self.sets for option in options]
        if len(set(named)) < len(named) or any(len(options) < 2 for options in self.sets):
            raise ValueError(
                f"Rule {self.rule_id}: a set needs two options, and an option one set."
            )
        check_options(self, named, choices)

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per option after the first of a set: bought as the first is."""
        for options in self.sets:
            first, *others = (columns.position[option] for option in options)
            for other in others:
                yield Row(np.array([first, other]), np.array([1, -1]), lower=0, upper=0)

    def measure(self, plan: Plan) -> Measure:
        """Options bought without all others of their set; binding where one alone would do good."""
        of_set = pl.DataFrame(
            [
                (*option, number, len(options))
                for number, options in enumerate(self.sets)
                for option in options
            ],
            schema=OPTION_TYPES | {"set": pl.Int64, "size": pl.Int64},
            orient="row",
        )
        bought = (
            plan.lines.join(of_set, on=OPTION)
            .group_by("set", "size")
            .agg(held=pl.len().cast(pl.Int64))
        )
        alone = int(bought.filter(pl.col("held") < pl.col("size"))["held"].sum())
        wanted = not plan.steps.join(of_set, on=OPTION, how="semi").is_empty()
        return Measure(alone, 0, alone == 0, binding=wanted)
