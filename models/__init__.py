"""The mathematics of Tikkun: pure functions, Polars in, Polars out."""
