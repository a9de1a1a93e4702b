"""Keys of the tables of an allocation."""

import polars as pl

PAIR = ["semel_mosad", "response_id"]
OPTION = [*PAIR, "dose_level"]
OPTION_TYPES = {"semel_mosad": pl.String, "response_id": pl.String, "dose_level": pl.Int32}
