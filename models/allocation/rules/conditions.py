"""Rules about what a response needs: another response beside it, a group of some size (R93)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from models.allocation.problem.keys import PAIR
from models.allocation.problem.rule import Measure, ResponseRule, Row, check_known

if TYPE_CHECKING:
    from models.allocation.problem.choices import Choices
    from models.allocation.problem.columns import Columns
    from models.allocation.problem.plan import Plan

_OPTION = [*PAIR, "dose_level"]


@dataclass(frozen=True)
class Prerequisite(ResponseRule):
    """A response stands only in a school that has another one too (R93).

    Attributes:
        response_id: what needs.
        needed_id: what is needed.
        response_he: name of the first in Hebrew; the others likewise.
    """

    response_id: str
    needed_id: str
    response_he: str = ""
    response_en: str = ""
    needed_he: str = ""
    needed_en: str = ""
    unit = "schools"
    is_priced = False

    @property
    def rule_id(self) -> str:
        """One per pair of responses."""
        return f"prerequisite:{self.response_id}:{self.needed_id}"

    @property
    def sentence_en(self) -> str:
        """The rule in English."""
        needed = self.needed_en or self.needed_id
        return f"A school has {self.name_en} only beside {needed}."

    @property
    def sentence_he(self) -> str:
        """The rule in Hebrew."""
        needed = self.needed_he or self.needed_id
        return f"המענה {self.name_he} יינתן רק בבית ספר שיש בו גם {needed}."

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
        response_id: the response.
        participants: the fewest of a group.
        too_small: its options whose group is smaller: (semel_mosad, dose_level). A group that
            several schools share is as large as all of them together.
    """

    response_id: str
    participants: int
    too_small: tuple[tuple[str, int], ...]
    response_he: str = ""
    response_en: str = ""
    unit = "options"
    relaxed_in = "pairs"

    @property
    def rule_id(self) -> str:
        """One per response."""
        return f"minimum_group:{self.response_id}"

    @property
    def sentence_en(self) -> str:
        """The rule in English."""
        return (
            f"The response {self.name_en} is opened for at least {self.participants} participants."
        )

    @property
    def sentence_he(self) -> str:
        """The rule in Hebrew."""
        return f"המענה {self.name_he} נפתח ל־{self.participants} משתתפים לפחות."

    def check(self, choices: Choices) -> None:
        """What is too small must be an option."""
        known = set(
            choices.options.filter(response_id=self.response_id)
            .select("semel_mosad", "dose_level")
            .iter_rows()
        )
        if unknown := sorted(set(self.too_small) - known):
            raise ValueError(f"Rule {self.rule_id} names unknown options: {unknown[:5]}.")

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per school: none of the options."""
        small = set(self.too_small)
        for school, positions in columns.by_school(pl.col("response_id") == self.response_id):
            levels = columns.options["dose_level"].to_numpy()[positions]
            own = positions[[(school, level) in small for level in levels]]
            if len(own):
                yield Row(own, np.ones(len(own), dtype=np.int64), upper=0, semel_mosad=school)

    def measure(self, plan: Plan) -> Measure:
        """Such options in the plan (limit none); binding where one would do good."""
        small = pl.DataFrame(
            [(school, self.response_id, level) for school, level in self.too_small],
            schema={"semel_mosad": pl.String, "response_id": pl.String, "dose_level": pl.Int32},
            orient="row",
        )
        held = plan.lines.join(small, on=_OPTION, how="semi").height
        wanted = not plan.steps.join(small, on=_OPTION, how="semi").is_empty()
        return Measure(held, 0, held == 0, binding=wanted)
