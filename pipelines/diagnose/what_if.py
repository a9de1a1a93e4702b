"""Whom a changed criterion would identify, before it is adopted (R30).

Counts by group in the reference year, before and after. A group in which few pupils would be
gained, lost, kept or left out is not shown, nor are the other groups of its dimension: before +
gained − lost = after would tell it.
"""

from __future__ import annotations

from datetime import date

import polars as pl

from models.criteria import current, what_if
from pipelines.settings.city import CityError, CityFolder
from pipelines.warehouse.database import Warehouse

_IDENTIFIED = ("identified_before", "identified_after", "gained", "lost")


def compare(
    city: CityFolder, warehouse: Warehouse, criterion_id: str, threshold: float, side: str | None
) -> pl.DataFrame:
    """Return `models.criteria.what_if` for one criterion; counts that would tell of few are null.

    Raises:
        CityError: if the criterion is not known, or bound to nothing that is measured per pupil.
    """
    year = city.city.school_years.reference
    tables = warehouse.tables(
        ("core_criterion", "core_group", "core_pupil_level", "core_pupil_group")
    )
    valid = current(tables["core_criterion"], date(year, 6, 30))
    held = valid.filter(criterion_id=criterion_id)
    if held.is_empty():
        known = ", ".join(valid["criterion_id"])
        raise CityError(
            f"No criterion '{criterion_id}' holds in {year}; those that do: {known}.",
            f"אין קריטריון בשם {criterion_id} בשנה זו.",
        )
    row = held.row(0, named=True)
    pupils = tables["core_pupil_level"].filter(school_year=year).with_row_index("pupil")
    if row["measure_id"] not in pupils.columns or row["threshold"] is None:
        raise CityError(
            f"Criterion '{criterion_id}' is bound to no measure per pupil with a threshold"
            f" (measure_id: {row['measure_id']}); give it one in the criteria file.",
            f"הקריטריון {criterion_id} אינו קשור למדד ברמת התלמיד. יש לקשור אותו בקובץ"
            " הקריטריונים.",
        )
    groups = (
        tables["core_pupil_group"]
        .filter(school_year=year)
        .join(pupils.select("pupil", "pupil_hash"), on="pupil_hash")
    )
    before = (row["threshold"], row["threshold_side"])
    found = what_if(pupils[row["measure_id"]], groups, before, (threshold, side or before[1]))
    dimensions = tables["core_group"].select("group_id", "group_dimension").unique()
    return hide_few(found, dimensions, city.policy.suppression.count_pupils.value)


def hide_few(found: pl.DataFrame, dimensions: pl.DataFrame, least: int) -> pl.DataFrame:
    """Return the counts without those from which fewer than `least` pupils could be told.

    The four counts of who is identified are one statement (before + gained − lost = after) and are
    hidden together: where one of them, the pupils it leaves out, or what all pupils less the group
    tell, is small. The groups of a dimension may divide all pupils, so they are hidden together
    too.

    Args:
        found: as `models.criteria.what_if` returns it, the row "all" included.
        dimensions: `group_id`, `group_dimension`.
        least: fewest pupils that may be told of.
    """
    whole = found.filter(group_id="all").row(0, named=True)

    def few(count: pl.Expr) -> pl.Expr:
        return count.is_between(1, least - 1)

    def tells(name: str) -> pl.Expr:
        own, left_out = pl.col(name), pl.col("pupils") - pl.col(name)
        rest = pl.lit(whole["pupils"]) - pl.col("pupils")
        outside = pl.lit(whole[name]) - own
        return few(own) | few(left_out) | few(outside) | few(rest - outside)

    def hide(names: tuple[str, ...]) -> list[pl.Expr]:
        is_few = pl.any_horizontal(tells(name) for name in names).any().over("group_dimension")
        return [pl.when(~is_few).then(name).alias(name) for name in names]

    few_members = few(pl.col("pupils")) | few(pl.lit(whole["pupils"]) - pl.col("pupils"))
    hidden = found.join(dimensions, on="group_id", how="left", maintain_order="left").with_columns(
        pl.col("group_dimension").fill_null("all")
    )
    hidden = hidden.with_columns(
        *hide(_IDENTIFIED),
        *hide(("unknown",)),
        pl.when(~few_members.any().over("group_dimension")).then("pupils").alias("pupils"),
    )
    return hidden.select(found.columns)
