"""The same SQL on DuckDB and on other engines: equal rows, table by table."""
