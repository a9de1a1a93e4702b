"""The rule that an asset beyond budget serves no more than it can (R20, R79)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.allocation.problem.choices import Choices
from models.allocation.problem.columns import Columns
from models.allocation.problem.plan import Plan
from models.allocation.problem.rule import (
    Measure,
    Row,
    Rule,
    check_options,
    is_full,
)
from models.keys import OPTION, OPTION_TYPES, PAIR

_USES = OPTION_TYPES | {"hours": pl.Int64}


@dataclass(frozen=True)
class AssetHours(Rule):
    """An asset beyond budget gives the hours it has free, and no more.

    Attributes:
        asset_id: the asset.
        hours: pupil-hours a week it can give: places × free hours.
        uses: the options that need it: (semel_mosad, response_id, dose_level, hours), in
            pupil-hours a week.
        asset_he: its name in Hebrew.
    """

    asset_id: str
    hours: int
    uses: tuple[tuple[str, str, int, int], ...]
    asset_he: str = ""
    unit = "pupil-hours a week"
    relaxed_in = "pupil-hours a week"
    id_template = "asset_hours:{rule.asset_id}"
    template_en = "The asset {rule.asset_id} gives at most {rule.hours:,} pupil-hours a week."
    template_he = "הנכס {rule.name_he} נותן לכל היותר {rule.hours:,} שעות תלמיד בשבוע."

    @property
    def name_he(self) -> str:
        """The asset's name in Hebrew, its key where it has none."""
        return self.asset_he or self.asset_id

    def check(self, choices: Choices) -> None:
        """Every use must be an option, named once."""
        named = [use[:3] for use in self.uses]
        check_options(self, named, choices)
        if len(set(named)) < len(named):
            raise ValueError(f"Rule {self.rule_id}: an option uses the asset once.")

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Over all schools: hours of the options that need the asset."""
        positions = np.array([columns.position[use[:3]] for use in self.uses], dtype=np.int64)
        yield Row(positions, np.array([use[3] for use in self.uses]), upper=self.hours)

    def measure(self, plan: Plan) -> Measure:
        """Hours that the plan takes; binding where no further step of the asset fits."""
        uses = pl.DataFrame(list(self.uses), schema=_USES, orient="row")
        lines = plan.lines.join(uses, on=OPTION)
        used = int(lines["hours"].sum())
        more = (
            plan.steps.join(uses, on=OPTION)
            .join(lines.select(*PAIR, now="hours"), on=PAIR, how="left")
            .select(step=pl.col("hours") - pl.col("now").fill_null(0))
            .filter(pl.col("step") > 0)
        )
        binding = is_full(used, self.hours, more["step"])
        return Measure(used, self.hours, used <= self.hours, binding)
