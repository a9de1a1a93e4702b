"""Join the columns of a second sheet to the rows of the first, by a key that both have."""

from __future__ import annotations

import polars as pl

from pipelines.settings.fields import ROW
from pipelines.settings.mapping import Beside, SourceMapping


def sheet_mapping(mapping: SourceMapping, other: Beside) -> SourceMapping:
    """Return how the second sheet alone is read."""
    return mapping.model_copy(
        update={
            "sheet": other.sheet,
            "header_row": other.header_row,
            "header_rows": other.header_rows,
            "columns": other.columns,
            "beside": (),
        }
    )


def join_sheet(
    cells: pl.DataFrame, mapping: SourceMapping, other: Beside, found: pl.DataFrame
) -> pl.DataFrame:
    """Add the second sheet's columns to the rows of the first.

    Args:
        cells: texts of the first sheet.
        mapping: how the first sheet is read.
        other: which columns of the second sheet are wanted.
        found: texts of the second sheet, with `file_row`.

    Raises:
        ValueError: naming rows of the second sheet that hold a value and whose key the first sheet
            does not have, or has several rows for: their values would be lost, or counted twice.
    """
    key = pl.col(other.columns[other.key]).str.strip_chars()
    wanted = found.select(
        ROW,
        key.alias("key"),
        *(pl.col(head).alias(other.cell_name(head)) for head in other.added.values()),
    )
    names = [other.cell_name(head) for head in other.added.values()]
    held = wanted.filter(pl.any_horizontal(pl.col(names).str.strip_chars().fill_null("") != ""))
    own = cells[mapping.columns[other.key]].str.strip_chars()
    orphans = held.filter(~pl.col("key").is_in(own.drop_nulls().implode()).fill_null(value=False))
    repeated = held.filter(pl.col("key").is_duplicated())
    for rows, what in (
        (orphans, "have no row on the first sheet"),
        (repeated, "have the same key"),
    ):
        if not rows.is_empty():
            listed = ", ".join(map(str, rows[ROW].head(10)))
            raise ValueError(f"sheet {other.sheet}: rows {listed} {what} (key {other.key})")
    return (
        cells.with_columns(own.alias("key"))
        .join(held.drop(ROW), on="key", how="left", maintain_order="left")
        .drop("key")
    )
