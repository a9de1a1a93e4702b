"""Keys and words of tables that several rooms and stages mean alike; the generator has its own."""

from __future__ import annotations

import polars as pl

WHOLE = "all"  # as subject, pupil group, role or response: all of them together
PAIR = ["semel_mosad", "response_id"]  # key of a school and a response
OPTION = [*PAIR, "dose_level"]  # key of what may be bought: a response in a school at a dose level
OPTION_TYPES = {"semel_mosad": pl.String, "response_id": pl.String, "dose_level": pl.Int32}
