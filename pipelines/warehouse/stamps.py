"""What each table of the warehouse holds, and what it was made from, so that what stands is left.

Beside every table that is swapped in stands its stamp: a hash over its rows, and a key over all
that it was made from – the content of the tables it reads and is checked against, the code, the
parts of the city's files that were read. A table whose key is as it was need not be made again,
nor checked; one that was made again and came out the same lets all that reads it stand. A stamp is
dropped in the transaction that replaces its table, so a killed run leaves none that is wrong, and
a damaged warehouse, whose blocks are read before a run, is set aside with its stamps. After a run
that did not end whole no stamp is trusted (`Warehouse.may_stand`); what steps remember is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from pipelines.settings.city import CityFolder
from pipelines.settings.fields import Table
from pipelines.settings.seen import is_as_seen
from pipelines.warehouse.database import STAMP_COLUMNS, STAMPS, ensure_table
from pipelines.warehouse.memory import code


@dataclass(frozen=True)
class Stamp:
    """What is known of a table as it stands.

    Attributes:
        rows: how many it has.
        made_of: key over what it was made from; None if it is to be made again all the same.
        seen: what was read of the city's files, as `pipelines.settings.seen` notes it.
        told: what its checks told Dagster: `AssetCheckResult`'s passed, blocks and metadata.
        more: what else is told of it.
    """

    rows: int
    made_of: str | None
    seen: Mapping[str, str]
    told: Mapping[str, object] | None = None
    more: Mapping[str, object] | None = None


def content(connection: duckdb.DuckDBPyConnection, relation: str) -> str:
    """Return what a table holds as a hash; empty if there is no such table.

    Args:
        connection: an open warehouse.
        relation: `layer.name`; its stamp is taken where it has one. A table without one is filled
            piece by piece, and the order of its rows tells nothing.
    """
    held = _held(connection, relation)
    return held[0] if held else _hashed(connection, relation, is_ordered=False)


def _held(connection: duckdb.DuckDBPyConnection, relation: str) -> tuple[str, str] | None:
    """Return the content and what else a table's stamp says."""
    query = f"SELECT content, said FROM {STAMPS} WHERE table_name = ?"
    try:
        return connection.execute(query, [relation.split(".")[1]]).fetchone()
    except duckdb.CatalogException:  # no table was ever swapped in
        return None


def _hashed(connection: duckdb.DuckDBPyConnection, relation: str, *, is_ordered: bool) -> str:
    """A hash over a table's columns and rows, and over their order where that tells something."""
    try:
        described = connection.sql(f"DESCRIBE {relation}").fetchall()
    except duckdb.CatalogException:
        return ""
    shape = [(name, kind) for name, kind, *_ in described]
    # A zero has a sign that its hash does not know of.
    parts = [*(f'"{name}"' for name, _ in shape)]
    parts += [f'signbit("{name}")' for name, kind in shape if kind == "DOUBLE"]
    row, at = ", ".join(parts), "rowid" if is_ordered else "0"
    rows, first, second = connection.execute(
        f"SELECT count(*), bit_xor(hash({at}, {row})), sum(CAST(hash({row}, {at}) AS HUGEINT))"
        f" FROM {relation}"
    ).fetchall()[0]
    shaped = hashlib.sha256(json.dumps(shape).encode()).hexdigest()[:32]
    return f"{shaped}-{rows}-{first}-{second}"


def key_of(connection: duckdb.DuckDBPyConnection, reads: Iterable[str], said: Sequence[str]) -> str:
    """Return the key over what a table is made from.

    Args:
        connection: an open warehouse.
        reads: `layer.name` of the tables it is made from or checked against.
        said: what else it is made from, but for the code.
    """
    whole = hashlib.sha256(code())
    for part in said:
        whole.update(f"{len(part)} {part}\n".encode())
    for name in sorted(set(reads)):
        whole.update(f"{name} {content(connection, name)}\n".encode())
    return whole.hexdigest()


def standing(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    key: str,
    city: CityFolder | None = None,
    but: Iterable[str] = (),
) -> Stamp | None:
    """Return the stamp of a table that need not be made again; None if it is to be made.

    Args:
        connection: an open warehouse.
        relation: `layer.name`.
        key: over what it would be made from now.
        city: what was read of it has to say the same.
        but: parts of the city that the key holds otherwise.
    """
    held = _held(connection, relation)
    if held is None:
        return None
    stamp = Stamp(**json.loads(held[1]))
    seen = {path: digest for path, digest in stamp.seen.items() if path not in {*but}}
    if stamp.made_of != key or (seen and (city is None or not is_as_seen(city, seen))):
        return None
    try:
        connection.execute(f"SELECT 1 FROM {relation} LIMIT 0")
    except duckdb.CatalogException:
        return None
    return stamp


def of_table(connection: duckdb.DuckDBPyConnection, relation: str, stamp: Stamp) -> tuple[str, str]:
    """Return the content of a table, perhaps still aside, and what else its stamp says."""
    held = _hashed(connection, relation, is_ordered=True)
    return held, json.dumps(vars(stamp), sort_keys=True)


def put(connection: duckdb.DuckDBPyConnection, relation: str, stamp: Stamp) -> None:
    """Stamp a table that was swapped in without a stamp, once all that belongs to it is written."""
    ensure_table(connection, STAMPS, STAMP_COLUMNS)
    held = of_table(connection, relation, stamp)
    connection.execute(f"INSERT INTO {STAMPS} VALUES (?, ?, ?)", [relation.split(".")[1], *held])


def referred(table: Table) -> list[str]:
    """Return `layer.name` of the tables whose keys a table's codes are checked against."""
    return [f"core.{parent}" for _, parent in table.references]
