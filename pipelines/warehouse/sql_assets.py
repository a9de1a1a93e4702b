"""SQL as assets: every table that SQL makes (`sql_tables.py`), with its checks and its lineage."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from pipelines.warehouse.assets import (
    POOL,
    as_it_stands,
    asset_key,
    check_specs,
    expect_doubts,
    make_tables,
    table_spec,
)
from pipelines.warehouse.database import Warehouse, qualified
from pipelines.warehouse.sql_tables import (
    SqlTable,
    column_lineage,
    sql_tables,
    upstream,
    write_sql,
)
from pipelines.warehouse.stamps import Stamp, key_of, referred, standing
from pipelines.warehouse.suites import checks_of
from pipelines.warehouse.tables import ANEW, REMEMBERED


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
        is_anew = ANEW in context.run.tags or not warehouse.may_stand
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

        keys, stamps = dict[str, str](), dict[str, Stamp]()
        with warehouse.connect() as connection:
            for table_name, sql in chosen.items():
                reads = (*sql.reads, *referred(sql.table))
                keys[table_name] = key_of(
                    connection, reads, (table_name, sql.text, warehouse.engine)
                )
                stamp = standing(connection, qualified(sql.table), keys[table_name])
                if stamp and not is_anew:
                    stamps[table_name] = stamp
        # An operation of several tables is remembered if all of them are.
        known = {REMEMBERED: True} if len(stamps) == len(chosen) else {}
        for table_name, stamp in stamps.items():
            yield from as_it_stands(table_name, stamp, {**metadata(table_name), **known})
        writers = {
            table_name: write_sql(sql, warehouse.spark)
            for table_name, sql in chosen.items()
            if table_name not in stamps
        }
        expect_doubts(warehouse, writers)
        yield from make_tables(warehouse, writers, metadata, keys)

    return _make


def _lineage(sql: SqlTable) -> dg.TableColumnLineage:
    return dg.TableColumnLineage(
        {
            name: [dg.TableColumnDep(asset_key(table), column) for table, column in behind]
            for name, behind in column_lineage(sql).items()
        }
    )
