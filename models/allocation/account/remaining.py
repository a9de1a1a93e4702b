"""How much need a plan leaves: the need-weighted gap that remains (R81).

What a plan is worth (`objective`) grows with need, as the weights do, so it ranks plans of one
measurement and says nothing between two. What remains is the measure of success: it falls as a plan
gains, and where a school's scores fall it rises, whatever its weight does.
"""

from __future__ import annotations

import polars as pl

from models.allocation.problem.choices import refuse, require


def remaining(
    schools: pl.DataFrame,
    gains: pl.DataFrame,
    *,
    equity_gamma: float,
    need_offset: float,
) -> pl.DataFrame:
    """The need-weighted gap of every school before a plan and after it.

    Before: W(n)·pupils·max(gap, 0), after: W(n)·max(pupils·max(gap, 0) − gain, 0), with
    W(n) = (a + n)^γ. A school above its target has no gap, and a gain beyond the gap closes no
    other school's.

    Args:
        schools: semel_mosad, pupils, need (0..1), gap_sd (pupil SD, positive = below target; null =
            not known).
        gains: semel_mosad, benefit_sd_pupils (≥ 0): what the plan's lines count, unweighted; any
            number of rows a school.
        equity_gamma: γ.
        need_offset: a.

    Returns:
        semel_mosad, need_gap_before, need_gap_after: weighted SD·pupils, null where the gap is not
        known; by school.

    Raises:
        ValueError: a school twice, a missing value other than a gap, or a gain of no school.
    """
    require(
        schools,
        "schools",
        ["semel_mosad", "pupils", "need", "gap_sd"],
        key=["semel_mosad"],
        nullable=["gap_sd"],
    )
    refuse("gains", "an unknown school", gains.join(schools, on="semel_mosad", how="anti"))
    weight = (need_offset + pl.col("need")) ** equity_gamma
    gap = pl.col("pupils") * pl.col("gap_sd").clip(lower_bound=0)
    gained = (
        gains.sort("semel_mosad", "benefit_sd_pupils")
        .group_by("semel_mosad")
        .agg(gain=pl.col("benefit_sd_pupils").sum())
    )
    return (
        schools.join(gained, on="semel_mosad", how="left")
        .with_columns(pl.col("gain").fill_null(0.0))
        .select(
            "semel_mosad",
            need_gap_before=weight * gap,
            need_gap_after=weight * (gap - pl.col("gain")).clip(lower_bound=0),
        )
        .sort("semel_mosad")
    )
