"""The working DuckDB file, and how a table of it is made, checked and swapped in."""
