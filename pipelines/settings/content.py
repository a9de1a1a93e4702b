"""Tables by content."""

from __future__ import annotations

import hashlib

import polars as pl


def content_of(table: pl.DataFrame) -> str:
    """A hash over a table's columns, types and rows, however they are held in memory."""
    whole = hashlib.sha256(repr(table.schema).encode())
    for column in table:
        whole.update(column.is_null().to_numpy().tobytes())
        if column.dtype == pl.String:
            texts = column.fill_null("")
            whole.update(texts.str.len_bytes().to_numpy().tobytes())
            whole.update("".join(texts.to_list()).encode())
        elif column.dtype.is_numeric() or column.dtype == pl.Boolean:
            whole.update(column.fill_null(strategy="zero").to_numpy().tobytes())
        else:
            whole.update(repr(column.to_list()).encode())
    return whole.hexdigest()
