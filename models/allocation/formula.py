"""Scenario zero: what a plain weighted per-pupil formula would give each school."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import polars as pl

from models.allocation.problem import require
from models.allocation.shares import exact, largest_remainder


def per_pupil_formula(
    schools: pl.DataFrame, pot_agorot: int, *, floor_agorot: int = 0
) -> pl.DataFrame:
    """Share a pot by weight × pupils, to the last agora.

    A school whose proportional part is below the floor gets the floor, and the others share the
    rest in proportion; this repeats until no school is below. Rounding is by largest remainder,
    ties to the lower school code. It is the formula a committee asks to see beside the optimised
    plan (`domain_methods` §2e).

    Args:
        schools: semel_mosad, pupils (≥ 0), weight (≥ 0).
        pot_agorot: the money to share, whole agorot.
        floor_agorot: least amount per school, whole agorot.

    Returns:
        semel_mosad, formula_agorot (Int64), sorted by school code; the sum is the pot.

    Raises:
        ValueError: bad rows, floors above the pot, or money and no school with weight × pupils.
    """
    require(schools, "schools", ["semel_mosad", "pupils", "weight"], key=["semel_mosad"])
    bad = schools.filter((pl.col("pupils") < 0) | ~pl.col("weight").is_between(0, float("inf")))
    if bad.height:
        raise ValueError(f"schools: pupils and weight must be zero or more, but see\n{bad}")
    if floor_agorot * schools.height > pot_agorot:
        raise ValueError(
            f"A floor of {floor_agorot} agorot for {schools.height} schools is more than the pot "
            f"of {pot_agorot} agorot. Lower the floor or raise the pot."
        )
    ordered = schools.sort("semel_mosad")
    points = [
        exact(weight) * pupils for weight, pupils in ordered.select("weight", "pupils").iter_rows()
    ]
    amounts = _share(pot_agorot, points, floor_agorot)
    return ordered.select("semel_mosad", formula_agorot=pl.Series(amounts, dtype=pl.Int64))


def _share(pot: int, points: Sequence[Fraction], floor: int) -> list[int]:
    """Largest-remainder shares of the pot in which nobody is below the floor."""
    at_floor: set[int] = set()
    while True:
        above = [i for i in range(len(points)) if i not in at_floor]
        rest = pot - floor * len(at_floor)
        parts = largest_remainder(rest, [points[i] for i in above])
        below = {i for i, part in zip(above, parts, strict=True) if part < floor}
        if not below:
            given = dict(zip(above, parts, strict=True))
            return [given.get(i, floor) for i in range(len(points))]
        at_floor |= below
