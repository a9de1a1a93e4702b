"""CSV files that people open in a spreadsheet: a text in them is never run as a formula."""

from __future__ import annotations

from pathlib import Path

import polars as pl

# What a spreadsheet takes for a formula; a plain number with its sign is none.
_FORMULA = r"^\s*[=+\-@\t\r]"
_NUMBER = r"^[+-]?\d+(\.\d+)?$"


def write_csv(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame as CSV (UTF-8 with its mark), an apostrophe before a text like a formula."""
    texts = frame.select(pl.selectors.string()).columns
    safe = [
        pl.when(pl.col(name).str.contains(_FORMULA) & ~pl.col(name).str.contains(_NUMBER))
        .then(pl.lit("'") + pl.col(name))
        .otherwise(pl.col(name))
        .alias(name)
        for name in texts
    ]
    headers = {
        name: f"'{name}"
        for name in frame.columns
        if pl.Series([name]).str.contains(_FORMULA).item()
    }
    frame.with_columns(safe).rename(headers).write_csv(path, include_bom=True)
