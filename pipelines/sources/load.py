"""Write what was read into the warehouse: rows, quarantine, repairs, and which content was when.

A file is known by the hash of its content. The same content again changes nothing; other content
under the same name supersedes it, a file that is no longer there is superseded by nothing, and the
rows move to schema `history`, so that any day can be asked for (`history.py`), but for excerpts
that nobody agrees to any more. Content older than what is loaded is refused (R22). A refresh of
some years reads the files of those years, each whole; the rows of other files stay, with a year or
without.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb
import polars as pl

from pipelines.settings.city import CityError, CityFolder
from pipelines.settings.fields import PROVENANCE, ROW, dictionary
from pipelines.sources.files import Reading, where_mapped
from pipelines.sources.quarantine import (
    REJECTIONS,
    References,
    quarantine_query,
    rejected_query,
    suspect_rows,
)
from pipelines.warehouse.database import ASIDE, SHARED_RAW, all_threads, ensure_table


def raw_name(source_id: str) -> str:
    """Return the qualified name of a source's raw table."""
    return f"raw.raw_{source_id}"


class RawRows:
    """The rows of a source with large files, written beside its raw table as they are read.

    Implements `files.Store`.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, source_id: str) -> None:
        self._connection, self._source_id = connection, source_id
        self._target = raw_name(source_id)
        self._files: list[str] = []

    def add(self, rows: pl.DataFrame, file_name: str, file_hash: str) -> None:
        """Add rows of a file: contract columns as text, and `file_row`."""
        if not self._files:
            contract = dictionary().contract(self._source_id).contract
            shape = ", ".join(f"{name} VARCHAR" for name in (*contract, *PROVENANCE[:2]))
            self._connection.execute(
                f"CREATE OR REPLACE TABLE {self._target}{ASIDE} ({shape}, {ROW} INTEGER)"
            )
        self._files.append(file_name)
        self._connection.register("rows", rows)
        self._connection.execute(
            f"INSERT INTO {self._target}{ASIDE} BY NAME SELECT *, ? AS file_name, ? AS file_hash"
            " FROM rows",
            [file_name, file_hash],
        )
        self._connection.unregister("rows")

    def forget(self, file_name: str) -> None:
        """Take back the rows of a file."""
        if self._files:
            self._connection.execute(
                f"DELETE FROM {self._target}{ASIDE} WHERE file_name = ?", [file_name]
            )

    def distinct(self, *columns: str) -> pl.DataFrame:
        """Return the combinations of values that some columns of the rows have."""
        # They are aside until they are swapped in, then among those of files not read again.
        aside = exists(self._connection, f"{self._target}{ASIDE}")
        with all_threads(self._connection):
            return self._connection.sql(
                f"SELECT DISTINCT {', '.join(columns)} FROM {self._target}{ASIDE if aside else ''}"
                " WHERE list_contains(?, file_name) ORDER BY ALL",
                params=[sorted(set(self._files))],
            ).pl()

    def drop(self) -> None:
        """Forget all rows."""
        self._connection.execute(f"DROP TABLE IF EXISTS {self._target}{ASIDE}")


def replaces_others(
    connection: duckdb.DuckDBPyConnection, source_id: str, reading: Reading
) -> bool:
    """Whether rows of files of other content are loaded now, beside which it was judged."""
    target = raw_name(source_id)
    if not exists(connection, target):
        return False
    held = connection.execute(f"SELECT DISTINCT file_hash FROM {target}").fetchall()
    return not {row[0] for row in held} <= set(reading.files["file_hash"])


def build_raw(
    connection: duckdb.DuckDBPyConnection,
    source_id: str,
    reading: Reading,
    only_years: Sequence[int] | None,
) -> None:
    """Write the rows beside the raw table; of other years than `only_years` the old files stay.

    A file that was not read again is gone if all its dated rows are of `only_years`.
    """
    target = raw_name(source_id)
    connection.register("files", reading.files)
    others = ""
    if only_years is not None and exists(connection, target):
        others = (
            f"SELECT * FROM {target} WHERE file_name NOT IN (SELECT file_name FROM files UNION ALL"
            f" {_gone(target, only_years)})"
        )
    if reading.store is not None:
        if others:
            with all_threads(connection):
                connection.execute(f"INSERT INTO {target}{ASIDE} BY NAME {others}")
        connection.unregister("files")
        return  # the rows are there
    connection.register("rows", reading.rows)
    query = "SELECT * FROM rows"  # the reader gives them in the order of their files
    if others:
        query = f"{others} UNION ALL BY NAME {query} ORDER BY file_name, file_row"
    connection.execute(f"CREATE OR REPLACE TABLE {target}{ASIDE} AS {query}")
    connection.unregister("rows")
    connection.unregister("files")


def _gone(target: str, only_years: Sequence[int]) -> str:
    """Return the SELECT of the loaded files all of whose dated rows are of some years."""
    listed = ", ".join(f"'{year}'" for year in only_years)
    return (
        f"SELECT file_name FROM {target} GROUP BY file_name HAVING bool_and(school_year IN"
        f" ({listed}))"
    )


def refuse_older(
    connection: duckdb.DuckDBPyConnection, city: CityFolder, source_id: str, reading: Reading
) -> None:
    """Refuse a file whose content was already superseded, or ends before what is loaded.

    A file of a known name is held against what is loaded under that name, a file of a new name
    against what is loaded for its source and school years; so parts of one year can be loaded
    together, and an older file is refused whatever it is called.

    Raises:
        CityError: naming the file, what is loaded, and how to accept it all the same.
    """
    _prepare_if_new(connection)
    accepted = {
        digest
        for mapping in city.city.sources.get(source_id, ())
        for digest in mapping.accept_older
    }
    versions = connection.execute(
        "SELECT file_name, file_hash, newest_date, superseded_at, CAST(loaded_at AS DATE), rows_in"
        " FROM raw.raw_file_version WHERE source_id = ? ORDER BY loaded_at",
        [source_id],
    ).fetchall()
    current = {row[0]: row for row in versions if row[3] is None}
    loaded = {row[1] for row in current.values()}
    replaced = {row[1]: current[row[0]] for row in versions if row[0] in current and row[5]}
    newest = dict(_newest_dates(source_id, reading).iter_rows())
    for name, digest in reading.files.select("file_name", "file_hash").iter_rows():
        if digest in accepted or digest in loaded:
            continue
        why = None
        if digest in replaced:
            why = (
                (
                    "is an older version that a corrected file replaced (loaded"
                    f" {replaced[digest][4]})"
                ),
                "הוא גרסה ישנה שכבר הוחלפה בקובץ מתוקן",
            )
        elif name not in current:
            why = _ends_before(connection, source_id, reading, name)
        elif newest.get(name) and current[name][2] and newest[name] < current[name][2]:
            why = (
                f"ends on {newest[name]}, but what is loaded reaches {current[name][2]}",
                f"מסתיים ב-{newest[name]}, אך הנתונים שנקלטו מגיעים עד {current[name][2]}",
            )
        if why:
            raise CityError(
                f"{name} ({source_id}): the file {why[0]}; it is not loaded. Put the newer file"
                f" back, or, if the older one is right, add its SHA-256 {digest} to"
                f" {where_mapped(city, source_id)}.accept_older.",
                f"{name}: הקובץ {why[1]}, ולכן לא נקלט. יש להחזיר את הקובץ החדש, או לאשר את הישן"
                " ב-city.yaml תחת accept_older.",
            )


def _ends_before(
    connection: duckdb.DuckDBPyConnection, source_id: str, reading: Reading, name: str
) -> tuple[str, str] | None:
    """Say in which school year a file of a new name ends before what is loaded, if it does."""
    contract, target = dictionary().contract(source_id).contract, raw_name(source_id)
    if "school_year" not in contract or not _dated(source_id) or not exists(connection, target):
        return None
    days = ", ".join(("school_year", *_dated(source_id)))
    held = connection.sql(f"SELECT DISTINCT {days} FROM {target}")
    newest = _newest(source_id)
    reaches = dict(held.pl().group_by("school_year").agg(newest).iter_rows())
    own = reading.distinct("file_name", "school_year", *_dated(source_id))
    own = own.filter(pl.col("file_name") == name)
    for year, day in own.group_by("school_year").agg(newest).sort("school_year").iter_rows():
        if day and reaches.get(year) and day < reaches[year]:
            return (
                (
                    f"ends on {day} for school year {year}, but what is loaded for that year"
                    f" reaches {reaches[year]}"
                ),
                (
                    f"מסתיים ב-{day} בשנת הלימודים {year}, אך הנתונים שנקלטו לשנה זו מגיעים עד"
                    f" {reaches[year]}"
                ),
            )
    return None


def record_load(
    connection: duckdb.DuckDBPyConnection,
    source_id: str,
    reading: Reading,
    known: References,
    *,
    is_whole: bool,
    moment: datetime,
) -> int:
    """Record what came with the rows of a raw table that has just been swapped in.

    Args:
        connection: an open warehouse.
        source_id: the logical source.
        reading: what its files held.
        known: what the city knows.
        is_whole: whether all years were read, so that what is not there is gone.
        moment: when, for the history.

    Returns:
        Number of rows in quarantine.
    """
    _prepare_if_new(connection)
    target = raw_name(source_id)
    for name in ("files", "rejected", "repairs"):
        connection.register(name, getattr(reading, name))
    suspects = target
    if reading.store is not None:
        suspects = suspect_rows(connection, source_id, target, known)
    connection.execute("BEGIN")
    absent = _absent_files(connection, source_id, is_whole=is_whole)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE gone AS {absent}", [source_id])
    renewed = "(SELECT file_name FROM files UNION ALL FROM gone)"
    connection.execute("CREATE OR REPLACE TEMP TABLE all_rejected AS SELECT * FROM rejected")
    # Rows rejected in files that were not read again stay as they were.
    connection.execute(
        "INSERT INTO all_rejected SELECT file_name, file_row, nullif(column_name, ''), reason_code"
        f" FROM raw.raw_quarantine WHERE source_id = ? AND reason_code IN {REJECTIONS}"
        f" AND file_name NOT IN {renewed}",
        [source_id],
    )
    connection.execute("DELETE FROM raw.raw_quarantine WHERE source_id = ?", [source_id])
    # To plan a query of some thirty parts costs more than to look whether there is a row.
    for name, query in (
        (suspects, quarantine_query(source_id, suspects, known)),
        ("all_rejected", rejected_query(source_id, "all_rejected")),
    ):
        if connection.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchall():
            connection.execute(f"INSERT INTO raw.raw_quarantine {query}")
    for name in ("raw_repair", "raw_file"):
        connection.execute(
            f"DELETE FROM raw.{name} WHERE source_id = ? AND file_name IN {renewed}",
            [source_id],
        )
    connection.execute("INSERT INTO raw.raw_repair SELECT ?, * FROM repairs", [source_id])
    connection.execute(
        "INSERT INTO raw.raw_file SELECT ?, file_name, file_hash, rows_in, extra_columns,"
        " mapping_number FROM files",
        [source_id],
    )
    _count_presence(connection, source_id)
    _delete_withdrawn(connection, source_id)
    _keep_versions(connection, source_id, reading, moment)
    connection.execute("COMMIT")
    for name in ("files", "rejected", "repairs"):
        connection.unregister(name)
    query = (
        "SELECT count(DISTINCT (file_name, file_row)) FROM raw.raw_quarantine WHERE source_id = ?"
    )
    return connection.execute(query, [source_id]).fetchall()[0][0]


def _count_presence(connection: duckdb.DuckDBPyConnection, source_id: str) -> None:
    """Count the rows of each school and year, so that who is missing can be told of any source."""
    connection.execute("DELETE FROM raw.raw_presence WHERE source_id = ?", [source_id])
    columns = dictionary().contract(source_id).contract
    if "school_year" in columns:
        school = "semel_mosad" if "semel_mosad" in columns else "NULL"
        connection.execute(
            f"INSERT INTO raw.raw_presence SELECT ?, school_year, {school}, count(*) FROM"
            f" {raw_name(source_id)} GROUP BY ALL",
            [source_id],
        )


def _delete_withdrawn(connection: duckdb.DuckDBPyConnection, source_id: str) -> None:
    """Delete from the history of what needs consent whatever is not loaded, with it, today (R19).

    Who no longer agrees is not known by name: a text that is not among those agreed to now is gone
    from the past as well, whichever id it had.
    """
    past, table = f"history.raw_{source_id}", dictionary().contract(source_id)
    if "has_consent" in table.contract and exists(connection, past):
        texts = [name for name in table.contract if dictionary().fields[name].door == "mask"]
        same = " AND ".join(
            f"held.{name} IS NOT DISTINCT FROM past.{name}" for name in (*table.key, *texts)
        )
        connection.execute(
            f"DELETE FROM {past} AS past WHERE NOT EXISTS (SELECT 1 FROM {raw_name(source_id)} AS"
            f" held WHERE {same})"
        )


def _absent_files(connection: duckdb.DuckDBPyConnection, source_id: str, *, is_whole: bool) -> str:
    """Return the SELECT of the names of a source's files that are no longer there.

    After a whole load those that were not read; after a load of some years those of them whose rows
    have just moved to `history`.
    """
    known = (
        "SELECT file_name FROM raw.raw_file_version WHERE source_id = ? AND superseded_at IS NULL"
        " AND file_name NOT IN (SELECT file_name FROM files)"
    )
    if is_whole:
        return known
    past = f"history.raw_{source_id}"
    if not exists(connection, past):
        return f"{known} AND false"
    return (
        f"{known} AND (file_name, file_hash) IN (SELECT (file_name, file_hash) FROM {past}) AND"
        f" file_name NOT IN (SELECT file_name FROM {raw_name(source_id)})"
    )


def keep_superseded(
    connection: duckdb.DuckDBPyConnection, source_id: str, reading: Reading
) -> None:
    """Move the rows of contents that are about to be superseded to schema `history`."""
    target = raw_name(source_id)
    if not exists(connection, target):
        return
    past = f"history.raw_{source_id}"
    connection.execute(f"CREATE TABLE IF NOT EXISTS {past} AS SELECT * FROM {target} LIMIT 0")
    # A contract that has grown since leaves the new columns of old rows empty.
    for column in sorted(_columns(connection, target) - _columns(connection, past)):
        connection.execute(f"ALTER TABLE {past} ADD COLUMN {column} VARCHAR")
    connection.register("files", reading.files)
    connection.execute(
        f"INSERT INTO {past} BY NAME SELECT * FROM {target} "
        "WHERE (file_name, file_hash) NOT IN (SELECT (file_name, file_hash) FROM files) "
        f"AND (file_name, file_hash) NOT IN (SELECT (file_name, file_hash) FROM {target}{ASIDE}) "
        f"AND (file_name, file_hash) NOT IN (SELECT DISTINCT (file_name, file_hash) FROM {past})"
    )
    connection.unregister("files")


def _keep_versions(
    connection: duckdb.DuckDBPyConnection, source_id: str, reading: Reading, moment: datetime
) -> None:
    versions = reading.files.join(_newest_dates(source_id, reading), on="file_name", how="left")
    connection.register("versions", versions)
    new = (
        "NOT EXISTS (SELECT 1 FROM raw.raw_file_version AS known WHERE known.source_id = ? AND"
        " known.file_name = versions.file_name AND known.file_hash = versions.file_hash AND"
        " known.superseded_at IS NULL)"
    )
    connection.execute(
        "UPDATE raw.raw_file_version SET superseded_at = ? WHERE source_id = ? AND superseded_at"
        f" IS NULL AND file_name IN (SELECT file_name FROM versions WHERE {new} UNION ALL FROM"
        " gone)",
        [moment, source_id, source_id],
    )
    connection.execute(
        "INSERT INTO raw.raw_file_version SELECT ?, file_name, file_hash, rows_in, newest_date, ?,"
        f" NULL FROM versions WHERE {new}",
        [source_id, moment, source_id],
    )
    connection.unregister("versions")


def _newest_dates(source_id: str, reading: Reading) -> pl.DataFrame:
    """Return per file the newest day its rows speak of, null where the source has no dates."""
    rows = reading.distinct("file_name", *_dated(source_id))
    return rows.group_by("file_name").agg(_newest(source_id)).sort("file_name")


def _dated(source_id: str) -> list[str]:
    fields = dictionary().fields
    return [n for n in dictionary().contract(source_id).contract if fields[n].type == "DATE"]


def _newest(source_id: str) -> pl.Expr:
    """Return the expression of the newest day in some rows of a source."""
    days = [
        pl.col(name).filter(pl.col(name).str.contains(r"^\d{4}-\d{2}-\d{2}$")).max()
        for name in _dated(source_id)
    ]
    return (pl.max_horizontal(days) if days else pl.lit(None, pl.String)).alias("newest_date")


def _prepare_if_new(connection: duckdb.DuckDBPyConnection) -> None:
    if not exists(connection, "raw.raw_file_version"):
        prepare(connection)


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Make what all sources are recorded in; tables of an older version are replaced."""
    for name, columns in SHARED_RAW.items():
        ensure_table(connection, f"raw.{name}", columns)
    for source_id in ("register__schools", "register__merges"):
        shape = ", ".join(f"{name} VARCHAR" for name in dictionary().contract(source_id).contract)
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {raw_name(source_id)} ({shape}, file_name VARCHAR,"
            " file_hash VARCHAR, file_row INTEGER)"
        )


def _columns(connection: duckdb.DuckDBPyConnection, target: str) -> set[str]:
    return {row[0] for row in connection.execute(f"DESCRIBE {target}").fetchall()}


def exists(connection: duckdb.DuckDBPyConnection, target: str) -> bool:
    """Whether the warehouse has a table, named `layer.name`."""
    layer, name = target.split(".")
    query = (
        "SELECT count(*) FROM information_schema.tables WHERE table_schema = ? AND table_name = ?"
    )
    return bool(connection.execute(query, [layer, name]).fetchall()[0][0])
