"""Rules about what a response needs: another response beside it, a group of some size (R93)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.allocation.problem.choices import Choices
from models.allocation.problem.columns import Columns
from models.allocation.problem.plan import Plan
from models.allocation.problem.rule import Measure, ResponseRule, Row, check_known, check_options
from models.keys import OPTION, OPTION_TYPES


@dataclass(frozen=True)
class Prerequisite(ResponseRule):
    """A response is bought only in a school that has another one too (R93).

    Attributes:
        needed_id: the response that `response_id` needs.
        needed_he: its name in Hebrew.
        needed_en: its name in English.
    """

    needed_id: str
    needed_he: str = ""
    needed_en: str = ""
    unit = "schools"
    is_priced = False
    id_template = "prerequisite:{rule.response_id}:{rule.needed_id}"
    template_en = "A school has {rule.name_en} only beside {rule.needed_name_en}."
    template_he = "המענה {rule.name_he} יינתן רק בבית ספר שיש בו גם {rule.needed_name_he}."

    @property
    def needed_name_en(self) -> str:
        """The needed response's name in English, its key where it has none."""
        return self.needed_en or self.needed_id

    @property
    def needed_name_he(self) -> str:
        """The needed response's name in Hebrew, its key where it has none."""
        return self.needed_he or self.needed_id

    def check(self, choices: Choices) -> None:
        """The responses must be two, and among the options."""
        check_known(
            self, "response", [self.response_id, self.needed_id], choices.options["response_id"]
        )
        if self.response_id == self.needed_id:
            raise ValueError(f"Rule {self.rule_id}: a response cannot need itself.")

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per school: options of the response are no more than those of the needed one."""
        both = pl.col("response_id").is_in([self.response_id, self.needed_id])
        names = columns.options["response_id"].to_numpy()
        for school, positions in columns.by_school(both):
            if len(positions):
                sign = np.where(names[positions] == self.response_id, 1, -1)
                yield Row(positions, sign, upper=0, semel_mosad=school)

    def measure(self, plan: Plan) -> Measure:
        """Schools that have the response alone (limit none); binding where one would do good so."""
        needed = plan.lines.filter(response_id=self.needed_id)
        alone = plan.lines.filter(response_id=self.response_id).join(
            needed, on="semel_mosad", how="anti"
        )
        wanted = plan.steps.filter(response_id=self.response_id).join(
            needed, on="semel_mosad", how="anti"
        )
        return Measure(alone.height, 0, alone.is_empty(), binding=not wanted.is_empty())


@dataclass(frozen=True)
class MinimumGroup(ResponseRule):
    """A response is opened for no fewer participants than make a group (R93).

    Attributes:
        participants: the fewest of a group.
        too_small: its options whose group is smaller: (semel_mosad, dose_level). A group that
            several schools share is as large as all of them together.
    """

    participants: int
    too_small: tuple[tuple[str, int], ...]
    unit = "options"
    relaxed_in = "pairs"
    id_template = "minimum_group:{rule.response_id}"
    template_en = (
        "The response {rule.name_en} is opened for at least {rule.participants} participants."
    )
    template_he = "המענה {rule.name_he} נפתח ל־{rule.participants} משתתפים לפחות."

    @property
    def _excluded(self) -> list[tuple[str, str, int]]:
        """The options that are too small."""
        return [(school, self.response_id, level) for school, level in self.too_small]

    def check(self, choices: Choices) -> None:
        """What is too small must be an option."""
        check_options(self, self._excluded, choices)

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per school: none of the options."""
        by_school: dict[str, list[int]] = {}
        for option in sorted(set(self._excluded)):
            by_school.setdefault(option[0], []).append(columns.position[option])
        for school, positions in by_school.items():
            yield Row.counting(np.array(positions), upper=0, semel_mosad=school)

    def measure(self, plan: Plan) -> Measure:
        """Such options in the plan (limit none); binding where one would do good."""
        small = pl.DataFrame(self._excluded, schema=OPTION_TYPES, orient="row")
        bought = plan.lines.join(small, on=OPTION, how="semi").height
        wanted = not plan.steps.join(small, on=OPTION, how="semi").is_empty()
        return Measure(bought, 0, bought == 0, binding=wanted)
