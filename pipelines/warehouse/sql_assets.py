"""SQL as assets: every table that SQL makes (`sql_tables.py`), with its checks and its lineage."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from pipelines.warehouse.assets import POOL, asset_key, check_specs, make_tables, table_spec
from pipelines.warehouse.database import Warehouse
from pipelines.warehouse.sql_tables import (
    SqlTable,
    column_lineage,
    sql_tables,
    upstream,
    write_sql,
)
from pipelines.warehouse.suites import checks_of


def sql_assets() -> list[dg.AssetsDefinition]:
    """Turn every SQL file into a Dagster asset with its checks.

    Staging tables read nothing but their own raw table, so they are one operation; every operation
    of a run costs a third of a second.
    """
    staged = [sql for sql in sql_tables() if sql.table.layer == "staging"]
    later = [sql for sql in sql_tables() if sql.table.layer != "staging"]
    return [_sql_assets("staging", staged), *(_sql_assets(sql.table.name, [sql]) for sql in later)]


def _sql_assets(name: str, files: Sequence[SqlTable]) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=name,
        specs=[table_spec(sql.table, sql.stage, upstream(sql), kinds={"sql"}) for sql in files],
        check_specs=[
            spec
            for sql in files
            for spec in check_specs(asset_key(sql.table.name), checks_of(sql.table))
        ],
        can_subset=True,
        pool=POOL,
    )
    def _make(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]):
        chosen = {
            sql.table.name: sql
            for sql in files
            if asset_key(sql.table.name) in context.selected_asset_keys
        }

        def metadata(table_name: str) -> dict[str, Any]:
            sql = chosen[table_name]
            return {
                "dagster/column_lineage": _lineage(sql),
                "sql": dg.MetadataValue.md(f"```sql\n{sql.text}\n```"),
            }

        writers = {
            table_name: write_sql(sql, warehouse.spark) for table_name, sql in chosen.items()
        }
        yield from make_tables(warehouse, writers, metadata)

    return _make


def _lineage(sql: SqlTable) -> dg.TableColumnLineage:
    return dg.TableColumnLineage(
        {
            name: [dg.TableColumnDep(asset_key(table), column) for table, column in behind]
            for name, behind in column_lineage(sql).items()
        }
    )
