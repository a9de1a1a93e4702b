"""SQL that follows from the dictionary: what is staged of each source, and how it is counted.

Where a source needs more than casts, a file of the table's name in `sql/` says it instead.
"""

from __future__ import annotations

from collections.abc import Iterable

from pipelines.settings.fields import Dictionary, Table


def generated_sql(source: Dictionary) -> dict[str, str]:
    """Return the text of every table that the dictionary alone defines, by name."""
    contracts = {source_id: source.contract(source_id) for source_id in source.sources}
    types = {name: field.type for name, field in source.fields.items()}
    return {
        **{table.name: _staged(name, table, types) for name, table in contracts.items()},
        "core_staged_file": f"""{_header(source.tables["core_staged_file"])}
-- Counted in staging itself: a row counts if its key is found there and it is not rejected.
WITH found AS (
{_union(_found(name, table, types) for name, table in contracts.items())}
)
SELECT source_id, file_name, CAST(count(*) AS INTEGER) AS rows_staged
FROM found
ANTI JOIN (SELECT source_id, file_name, file_row FROM raw.raw_quarantine) AS rejected
    USING (source_id, file_name, file_row)
GROUP BY source_id, file_name
""",
        "core_staged_count": f"""{_header(source.tables["core_staged_count"])}
{_union(_count(name, table) for name, table in contracts.items())}
""",
        "core_role": _listed(
            source.tables["core_role"],
            [f"'{role}', '{name}'" for name, roles in source.families.items() for role in roles],
        ),
        "core_card_quota": _listed(
            source.tables["core_card_quota"],
            [f"'{category}', {quota}" for category, quota in source.quotas.items()],
        ),
    }


def _header(table: Table) -> str:
    return f"-- A row: {table.row}.\n-- Key: {', '.join(table.key)}.\n-- Stage: collect."


def _listed(table: Table, rows: Iterable[str]) -> str:
    """A table whose rows the dictionary lists."""
    values = ",\n".join(f"    ({row})" for row in rows)
    return f"""{_header(table)}
SELECT *
FROM (VALUES
{values}
) AS listed ({", ".join(table.columns)})
"""


def _union(parts: Iterable[str]) -> str:
    return "\nUNION ALL\n".join(parts)


def _staged(source_id: str, table: Table, types: dict[str, str]) -> str:
    """Raw rows that are not in quarantine, cast to the types of the dictionary."""
    columns = ",\n".join(f"    {_typed(name, table, types)}" for name in table.columns)
    return f"""{_header(table)}
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
{columns}
FROM raw.raw_{source_id}
ANTI JOIN (
    SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = '{source_id}'
) AS rejected USING (file_name, file_row)
"""


def _typed(name: str, table: Table, types: dict[str, str]) -> str:
    """A column as it is staged; files give shekels where tables hold agorot."""
    if name not in table.contract:
        shekels = f"{name.removesuffix('_agorot')}_nis"
        return f"CAST(round(CAST({shekels} AS DECIMAL(18, 2)) * 100) AS {types[name]}) AS {name}"
    return name if types[name] == "VARCHAR" else f"CAST({name} AS {types[name]}) AS {name}"


def _found(source_id: str, table: Table, types: dict[str, str]) -> str:
    """Rows of a source that are found in staging by their key, of which a part may be empty."""
    same = "\n        AND ".join(
        f"staged.{name} {'IS NOT DISTINCT FROM' if name in table.nullable else '='} "
        + (
            f"given.{name}"
            if types[name] == "VARCHAR"
            else f"TRY_CAST(given.{name} AS {types[name]})"
        )
        for name in table.key
    )
    return f"""    SELECT '{source_id}' AS source_id, given.file_name, given.file_row
    FROM raw.raw_{source_id} AS given
    SEMI JOIN staging.{table.name} AS staged
        ON {same}"""


def _count(source_id: str, table: Table) -> str:
    return f"""SELECT '{source_id}' AS source_id, CAST(count(*) AS INTEGER) AS rows_staged
FROM staging.{table.name}"""
