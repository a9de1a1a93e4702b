"""The rule that something the city has, and does not pay for, serves no more than it can (R20,
R79).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from models.allocation.problem.keys import PAIR
from models.allocation.problem.rule import Measure, Row, Rule, is_full, smallest

if TYPE_CHECKING:
    from models.allocation.problem.choices import Choices
    from models.allocation.problem.columns import Columns
    from models.allocation.problem.plan import Plan

_OPTION = [*PAIR, "dose_level"]
_USES = {
    "semel_mosad": pl.String,
    "response_id": pl.String,
    "dose_level": pl.Int32,
    "hours": pl.Int64,
}


@dataclass(frozen=True)
class AssetHours(Rule):
    """An asset beyond budget gives the hours it has free, and no more.

    Attributes:
        asset_id: the asset.
        hours: pupil-hours a week it can give: places × free hours.
        uses: the options that stand on it: (semel_mosad, response_id, dose_level, pupil-hours a
            week).
        asset_he: its name in Hebrew.
    """

    asset_id: str
    hours: int
    uses: tuple[tuple[str, str, int, int], ...]
    asset_he: str = ""
    unit = "pupil-hours a week"
    relaxed_in = "pupil-hours a week"

    @property
    def rule_id(self) -> str:
        """One per asset."""
        return f"asset_hours:{self.asset_id}"

    @property
    def sentence_en(self) -> str:
        """The rule in English."""
        return f"The asset {self.asset_id} gives at most {self.hours:,} pupil-hours a week."

    @property
    def sentence_he(self) -> str:
        """The rule in Hebrew."""
        return (
            f"הנכס {self.asset_he or self.asset_id} נותן לכל היותר {self.hours:,} שעות תלמיד בשבוע."
        )

    def check(self, choices: Choices) -> None:
        """Every use must be an option, named once."""
        named = [use[:3] for use in self.uses]
        known = set(choices.options.select(_OPTION).iter_rows())
        if unknown := sorted(set(named) - known):
            raise ValueError(f"Rule {self.rule_id} names unknown options: {unknown[:5]}.")
        if len(set(named)) < len(named):
            raise ValueError(f"Rule {self.rule_id}: an option uses the asset once.")

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Over all schools: hours of the options that stand on the asset."""
        at = {(s, r, d): j for s, r, d, j in columns.options.select(*_OPTION, "column").iter_rows()}
        positions = np.array([at[use[:3]] for use in self.uses], dtype=np.int64)
        yield Row(positions, np.array([use[3] for use in self.uses]), upper=self.hours)

    def measure(self, plan: Plan) -> Measure:
        """Hours that the plan takes; binding where no further step of the asset fits."""
        uses = pl.DataFrame(list(self.uses), schema=_USES, orient="row")
        lines = plan.lines.join(uses, on=_OPTION)
        used = int(lines["hours"].sum())
        more = (
            plan.steps.join(uses, on=_OPTION)
            .join(lines.select(*PAIR, now="hours"), on=PAIR, how="left")
            .select(step=pl.col("hours") - pl.col("now").fill_null(0))
            .filter(pl.col("step") > 0)
        )
        binding = is_full(used, self.hours, smallest(more["step"]))
        return Measure(used, self.hours, used <= self.hours, binding)
