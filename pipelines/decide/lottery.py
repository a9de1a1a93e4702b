"""What a lottery of a response's places needs: the registered seed and the entrants (R63)."""

from __future__ import annotations

from pathlib import Path

import polars as pl


def registered_seed(marts: Path, response_id: str) -> int:
    """Return the seed that the current release names for a lottery of the response.

    Raises:
        ValueError: nothing is published, or the release has no lottery for the response.
    """
    release = marts / "current" / "analyst"
    paths = [release / f"{name}.parquet" for name in ("mart_evaluation", "mart_allocation_tie")]
    if missing := [path for path in paths if not path.is_file()]:
        raise ValueError(f"{missing[0]}: nothing is published there yet; run `make run` first.")
    proposed = (
        pl.concat([pl.read_parquet(path).select("response_id", "lottery_seed") for path in paths])
        .drop_nulls()
        .unique()
    )
    own = proposed.filter(pl.col("response_id") == response_id)
    if own.is_empty():
        known = ", ".join(proposed["response_id"].sort()) or "none"
        raise ValueError(
            f"The release proposes no lottery for '{response_id}', so there is no registered seed;"
            f" it does for: {known}."
        )
    return int(own["lottery_seed"][0])


def entrants_of(path: Path, by: list[str]) -> pl.DataFrame:
    """Return the list of entrants, every value as text.

    Raises:
        ValueError: it cannot be read, or lacks a column.
    """
    try:
        entrants = pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError):
        raise ValueError(
            f"{path}: cannot be read as a CSV file in UTF-8; save it so, with a header in the first"
            " row."
        ) from None
    if missing := sorted({"unit", *by} - set(entrants.columns)):
        raise ValueError(f"{path}: column(s) {', '.join(missing)} are missing from the header.")
    return entrants
