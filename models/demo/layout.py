"""How one file is laid out, where it departs from a plain table in UTF-8."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """The layout of one file.

    Attributes:
        encoding: of a CSV.
        delimiter: of a CSV.
        header_row: row of the header; what stands above is a title.
        has_total: whether a total row ends the table.
        kept_share: share of the bytes that arrived; below 1 the file was cut off.
    """

    encoding: str = "utf-8"
    delimiter: str = ","
    header_row: int = 1
    has_total: bool = False
    kept_share: float = 1.0
