"""What must hold of a table before it is reckoned with, refused in plain words; for every room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl


def has_columns(rows: pl.DataFrame, columns: Iterable[str], what: str) -> None:
    """Refuse a table without one of the columns; `what` names its rows.

    Raises:
        ValueError: names the columns that are missing.
    """
    if missing := sorted(set(columns) - set(rows.columns)):
        raise ValueError(f"{what} lack columns: {', '.join(missing)}")


def one_row_each(rows: pl.DataFrame, key: str | Sequence[str], message: str) -> None:
    """Refuse a table in which a key repeats.

    Raises:
        ValueError: with the message.
    """
    if rows.select(key).is_duplicated().any():
        raise ValueError(message)


def every_row(rows: pl.DataFrame, holds: pl.Expr, message: str, *, key: Sequence[str] = ()) -> None:
    """Refuse a table with a row for which the condition is false or unknown (null).

    Raises:
        ValueError: with the message and, where there is a key, that of the first three such rows.
    """
    bad = rows.filter(~holds.fill_null(False))
    if bad.height:
        first = f": {bad.select(key).sort(key).head(3).rows()}" if key else ""
        raise ValueError(f"{message}{first}")
