"""A rule about what schools gain: no school is left behind a common floor that it could reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.allocation.problem.columns import Columns
from models.allocation.problem.plan import Plan
from models.allocation.problem.rule import Measure, Row, Rule

_FINEST = 1_000_000_000
_LARGEST = 1_000_000


def units_for(largest: float) -> int:
    """Units of an SD·pupil in which gains are counted whole, so that a floor holds exactly.

    A power of ten of at most a billion that leaves the largest gain a million units or less: finer
    ones the solver would round, and then return plan after plan just below the floor.
    """
    units = _FINEST
    while units > 1 and largest * units > _LARGEST:
        units //= 10
    return units


@dataclass(frozen=True)
class BenefitFloor(Rule):
    """Every school's need-weighted gain per pupil has a floor, or is all that it can have (R91).

    Attributes:
        floor_sd: the floor, need-weighted SD per pupil; for the sentence.
        least: (semel_mosad, least gain in whole units): the floor times the pupils, or what the
            school can have at most where that is less.
        units: of an SD·pupil.
    """

    floor_sd: float
    least: tuple[tuple[str, int], ...]
    units: int = 1
    unit = "percent of the floor"
    id_template = "benefit_floor"
    template_en = (
        "Every school gains at least {rule.floor_sd:.4g} need-weighted SD per pupil, "
        "or all that it can."
    )
    template_he = (
        "התועלת לכל בית ספר, משוקללת לפי צורך, היא לפחות {rule.floor_sd:.4g} סטיות תקן לתלמיד,"
        " או כל מה שבית הספר יכול לקבל."
    )

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per school: the gain of its options, rounded down, is at least the floor."""
        counting, least = columns.counting, dict(self.least)
        each = np.floor(counting.each * self.units).astype(np.int64)
        first = np.floor(counting.first * self.units).astype(np.int64)
        for school, positions in columns.by_school():
            if least.get(school, 0) > 0:
                useful = positions[each[positions] + first[positions] > 0]
                yield Row(
                    useful, each[useful], least[school], semel_mosad=school, leading=first[useful]
                )

    def measure(self, plan: Plan) -> Measure:
        """The lowest share of its floor that a school reaches, in percent."""
        floors = pl.DataFrame(
            list(self.least), schema={"semel_mosad": pl.String, "least": pl.Int64}, orient="row"
        ).filter(pl.col("least") > 0)
        counted = (pl.col("weighted_benefit") * self.units).floor().cast(pl.Int64)
        gain = plan.lines.group_by("semel_mosad").agg(gain=counted.sum(), smallest=counted.min())
        held = floors.join(gain, on="semel_mosad", how="left").with_columns(
            pl.col("gain", "smallest").fill_null(0)
        )
        below = held.filter(pl.col("gain") < pl.col("least")).height
        tight = held.filter(pl.col("gain") - pl.col("smallest") < pl.col("least")).height
        lowest = min((100 * held["gain"] / held["least"]).to_list(), default=100.0)
        return Measure(lowest, 100.0, below == 0, binding=tight > 0)
