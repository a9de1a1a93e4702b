"""The working warehouse: one DuckDB file per city behind a small interface.

DuckDB has one writer, and an open reader blocks it. So a run holds one lock from its first table
to its last (a second run waits its turn), every connection is closed even when its body raises,
readers of the results get their own published copy and never open this file, and a table is
built aside, audited, and only then swapped in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import polars as pl
from filelock import FileLock, Timeout

from pipelines.settings.aside import set_aside
from pipelines.settings.city import Engine
from pipelines.settings.fields import Table, dictionary
from pipelines.settings.yaml_files import CityError
from pipelines.warehouse.engines import Spark

LAYERS = ("raw", "staging", "core", "mart", "audit", "history")
MEMORY = "4GiB"  # of the database at most; a national warehouse then uses its temporary file
STAMPS = "audit.table_stamp"  # what each table was made from (`stamps.py`)
STAMP_COLUMNS = dict.fromkeys(("table_name", "content", "said"), "VARCHAR")
ASIDE = "__next"  # ending of a table that is made aside, until it is swapped in
# What the raw assets write of all sources together, so every raw asset is upstream of a reader:
# table → column → type.
SHARED_RAW = {
    "raw_quarantine": {
        "source_id": "VARCHAR",
        "file_name": "VARCHAR",
        "file_row": "INTEGER",
        "column_name": "VARCHAR",
        "reason_code": "VARCHAR",
        "masked_value": "VARCHAR",
        "reason_he": "VARCHAR",
        "reason_en": "VARCHAR",
    },
    "raw_file": {
        "source_id": "VARCHAR",
        "file_name": "VARCHAR",
        "file_hash": "VARCHAR",
        "rows_in": "INTEGER",
        "extra_columns": "VARCHAR",
        "mapping_number": "INTEGER",
    },
    "raw_repair": {
        "source_id": "VARCHAR",
        "file_name": "VARCHAR",
        "column_name": "VARCHAR",
        "repair_code": "VARCHAR",
        "repaired_rows": "INTEGER",
        "first_row": "INTEGER",
    },
    "raw_file_finding": {
        "source_id": "VARCHAR",
        "school_year": "VARCHAR",
        "file_finding": "VARCHAR",
        "is_blocking": "BOOLEAN",
        "finding_he": "VARCHAR",
        "finding_en": "VARCHAR",
    },
    "raw_presence": {
        "source_id": "VARCHAR",
        "school_year": "VARCHAR",
        "semel_mosad": "VARCHAR",
        "presence_rows": "INTEGER",
    },
    "raw_file_version": {
        "source_id": "VARCHAR",
        "file_name": "VARCHAR",
        "file_hash": "VARCHAR",
        "rows_in": "INTEGER",
        "newest_date": "VARCHAR",
        "loaded_at": "TIMESTAMP",
        "superseded_at": "TIMESTAMP",
    },
}


# Other errors of these libraries are about SQL and columns, and are told as they are.
_ABOUT_DATA = (
    duckdb.DataError,
    duckdb.IntegrityError,
    duckdb.InvalidInputException,
    pl.exceptions.ComputeError,
    pl.exceptions.InvalidOperationError,
)


class DataError(CityError):
    """A table cannot be made from what it is made of, or the warehouse cannot be used."""


@dataclass
class Warehouse:
    """A city's DuckDB file.

    Attributes:
        path: the .duckdb file; its folder is created when first written.
        engine: what runs the SQL: DuckDB itself, or Spark beside it.
        spark: the Spark of the present run; None where DuckDB runs the SQL.
    """

    path: str
    engine: Engine = "duckdb"
    spark: Spark | None = field(default=None, init=False)
    _is_kept_open: bool = field(default=False, init=False)
    _made_from_at_start: str | None = field(default=None, init=False)

    @contextmanager
    def held(self, say: Callable[[str], object]) -> Iterator[Warehouse]:
        """Hold the run lock, and the file open, for as long as a Dagster run uses the warehouse.

        To open the file costs more than to write most tables; beside an open connection it costs
        nothing.
        """
        with ExitStack() as run:
            run.enter_context(self.run_lock(say))
            run.enter_context(self._opened())
            if self.engine == "spark":
                # Beside the file, in the folder of its owner alone; tables of it are not kept.
                aside = TemporaryDirectory(prefix="spark", dir=Path(self.path).parent)
                self.spark = run.enter_context(Spark(Path(run.enter_context(aside))))
            self._is_kept_open = True
            self._made_from_at_start = self._made_from()
            try:
                yield self
            finally:
                self._is_kept_open, self.spark = False, None

    @contextmanager
    def _opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the file for a run; a damaged one is set aside, so that the run makes it anew.

        Raises:
            DataError: if another program holds the file, or the disk does not let it be written.
        """
        self.set_aside_damaged()
        with ExitStack() as opened:
            try:
                connection = opened.enter_context(self.connect())
            except (duckdb.Error, OSError) as error:
                raise self._held_by_another(error) from None
            yield connection

    def set_aside_damaged(self) -> bool:
        """Set the file aside if it cannot be read whole; the run lock is held. Tell whether it was.

        Raises:
            DataError: if another program holds the file.
        """
        path = Path(self.path)
        if not path.exists() or self.is_whole():
            return False
        set_aside(
            path,
            "All tables are made anew from the city's files; what earlier versions of files said"
            " before today stands in what was set aside alone.",
            "כל הטבלאות נבנות מחדש מקובצי העיר; מה שאמרו גרסאות קודמות של קבצים נשאר רק במה"
            " שהועבר הצידה.",
        )
        log = path.with_name(f"{path.name}.wal")
        if log.exists():
            set_aside(log, "It belongs to the warehouse.", "הוא שייך למחסן הנתונים.")
        return True

    def is_whole(self) -> bool:
        """Read every row of every table: DuckDB then holds each block against its checksum.

        Raises:
            DataError: if another program holds the file, which says nothing of its content.
        """
        try:
            with self.connect(read_only=True) as connection:
                for layer, name in connection.execute(
                    "SELECT schema_name, table_name FROM duckdb_tables()"
                ).fetchall():
                    connection.execute(
                        f'SELECT bit_xor(hash(t)) FROM "{layer}"."{name}" t'
                    ).fetchone()
        except (duckdb.Error, OSError) as error:
            if "Could not set lock" in str(error) or isinstance(error, duckdb.ConnectionException):
                raise self._held_by_another(error) from None
            return False
        return True

    def _held_by_another(self, error: Exception) -> DataError:
        return DataError(
            f"{self.path}: cannot be opened for writing ({str(error).splitlines()[0]}). Close the"
            " program that has it open, make room or make the folder writable, and run again.",
            f"{self.path}: לא ניתן לפתוח לכתיבה. יש לסגור את התוכנה שמחזיקה את הקובץ, לפנות מקום"
            " או לאפשר כתיבה לתיקייה, ולהריץ שוב.",
        )

    @contextmanager
    def run_lock(self, say: Callable[[str], object]) -> Iterator[None]:
        """Wait for any other run on this city to end, then keep the warehouse to this one.

        The lock is the operating system's, so a killed run releases it.
        """
        lock = self._lock()
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"another run is using {self.path}; waiting for it to end")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @property
    def made_from_at_start(self) -> str | None:
        """What all tables were made from when the present run began, as `made_from` says it."""
        return self._made_from_at_start

    @property
    def may_stand(self) -> bool:
        """Whether the run before this one ended whole, so that its tables may be left as they are.

        After a run that broke off or was killed every table is made again.
        """
        return self._made_from_at_start is not None

    def made_from(self) -> str | None:
        """Return which inputs, scenarios apart, all tables were made from; None if they were not
        made by one whole run, cannot be read whole, or a run is using the file now.
        """
        if not Path(self.path).is_file():
            return None
        with self._lock_if_free() as is_free:
            try:
                return self._made_from() if is_free and self.is_whole() else None
            except DataError:  # another program holds it; the run says so
                return None

    def is_free(self) -> bool:
        """Tell whether no run is using the warehouse, or waiting for it."""
        with self._lock_if_free() as is_free:
            return is_free

    def set_made_from(self, mark: str) -> None:
        """Note that all tables are now those of one whole run; the next table made undoes it."""
        with self.connect() as connection:
            connection.execute("BEGIN")
            forget_inputs(connection)
            connection.execute("INSERT INTO audit.made_from VALUES (?)", [mark])
            connection.execute("COMMIT")

    def _made_from(self) -> str | None:
        try:
            with self.connect(read_only=True) as connection:
                held = connection.execute("SELECT inputs FROM audit.made_from").fetchone()
        except duckdb.Error:  # an older or damaged file: a whole run makes it anew
            return None
        return held[0] if held else None

    def _lock(self) -> FileLock:
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        return FileLock(f"{self.path}.lock", is_singleton=True)

    @contextmanager
    def _lock_if_free(self) -> Iterator[bool]:
        lock = self._lock()
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    @contextmanager
    def connect(self, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the warehouse and always close it; `read_only` needs an existing file."""
        # One thread: sums of floating-point numbers then have one order, and the same input the
        # same bytes. Connections of a process to one file are all read-only or none is. What does
        # not fit in memory lies beside the file for a while, in the folder of its owner alone.
        connection = duckdb.connect(
            self.path,
            read_only=read_only and not self._is_kept_open,
            config={"threads": 1, "memory_limit": MEMORY},
        )
        try:
            if not read_only and not self._is_kept_open:  # else they are there
                Path(self.path).chmod(0o600)  # it holds children's rows
                for layer in LAYERS:
                    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {layer}")
            yield connection
        finally:
            connection.close()

    def read(self, query: str) -> pl.DataFrame:
        """Run one SELECT read-only and return it as a frame."""
        with self.connect(read_only=True) as connection:
            return connection.sql(query).pl()

    def tables(self, names: Iterable[str]) -> dict[str, pl.DataFrame]:
        """Return tables of the dictionary by name, each ordered by its key."""
        found = {}
        with self.connect(read_only=True) as connection:
            for table in (dictionary().tables[name] for name in names):
                query = f"SELECT * FROM {qualified(table)} ORDER BY {', '.join(table.key)}"
                found[table.name] = connection.sql(query).pl()
        return found

    def last(self, names: Iterable[str]) -> dict[str, pl.DataFrame]:
        """Return those tables that an earlier run left in the dictionary's present columns."""
        made = [dictionary().tables[name] for name in names]
        with self.connect() as connection:
            held = {
                (schema, name): columns
                for schema, name, columns in connection.execute(
                    "SELECT table_schema, table_name, list(column_name ORDER BY ordinal_position)"
                    " FROM information_schema.columns GROUP BY ALL"
                ).fetchall()
            }
        return self.tables(
            table.name
            for table in made
            if held.get((table.layer, table.name)) == list(table.columns)
        )


@contextmanager
def all_threads(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let statements use every core, for which the order of rows and sums decides nothing.

    The order in which rows were written is kept.
    """
    connection.execute(f"SET threads = {len(os.sched_getaffinity(0))}")
    try:
        yield
    finally:
        connection.execute("SET threads = 1")


def rows_of(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    """Return about how many rows a table has, named `layer.name`; 0 if there is none."""
    found = connection.execute(
        "SELECT estimated_size FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?",
        name.split("."),
    ).fetchall()
    return int(found[0][0]) if found else 0


def qualified(table: Table) -> str:
    """Return `layer.name` as SQL writes it."""
    return f"{table.layer}.{table.name}"


@contextmanager
def without_values(name: str) -> Iterator[None]:
    """Make a table without telling values: what a library says of data may hold some (R110).

    Raises:
        DataError: instead of an error about data, naming the table and the kind of error.
    """
    try:
        yield
    except _ABOUT_DATA as error:
        raise DataError(
            f"{name}: a value does not fit ({type(error).__name__}). It is not shown, as it may be"
            f" personal; compare the table's sources with its columns in sql/fields.yaml.",
            f"{name}: ערך אינו מתאים לעמודה שלו. הוא אינו מוצג כי ייתכן שהוא אישי.",
        ) from None


def create_typed(
    connection: duckdb.DuckDBPyConnection, table: Table, frame: pl.DataFrame, target: str
) -> None:
    """Write a frame as `target` with the dictionary's columns, order and types.

    Raises:
        duckdb.ConversionException: if a value does not fit its type.
        duckdb.BinderException: if the frame lacks a column.
    """
    columns = ", ".join(
        f"CAST({name} AS {dictionary().fields[name].type}) AS {name}" for name in table.columns
    )
    connection.register("frame", frame)
    connection.execute(
        f"CREATE OR REPLACE TABLE {target} AS SELECT {columns} FROM frame ORDER BY"
        f" {', '.join(table.key)}"
    )
    connection.unregister("frame")


def ensure_table(
    connection: duckdb.DuckDBPyConnection, target: str, columns: Mapping[str, str]
) -> None:
    """Create a table that is filled piece by piece, given the type of each column.

    A table of other columns was made by an older version; what it held is made anew by the next
    whole run, so it is replaced.
    """
    try:
        held = [
            item[0] for item in connection.execute(f"SELECT * FROM {target} LIMIT 0").description
        ]
    except duckdb.CatalogException:
        held = []
    if held != list(columns):
        shape = ", ".join(f"{name} {type_}" for name, type_ in columns.items())
        connection.execute(f"CREATE OR REPLACE TABLE {target} ({shape})")


def forget_inputs(connection: duckdb.DuckDBPyConnection) -> None:
    """Take back that all tables are those of one whole run."""
    connection.execute("CREATE TABLE IF NOT EXISTS audit.made_from (inputs VARCHAR)")
    connection.execute("DELETE FROM audit.made_from")


def drop_stamp(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Forget what a table was made from: it, or what its checks found, is about to change."""
    with suppress(duckdb.CatalogException):  # no table was ever stamped
        connection.execute(f"DELETE FROM {STAMPS} WHERE table_name = ?", [name])


def swap(
    connection: duckdb.DuckDBPyConnection, target: str, stamp: tuple[str, str] | None = None
) -> None:
    """Put the table built aside in place of the current one, in one transaction.

    Args:
        connection: an open warehouse.
        target: `layer.name`.
        stamp: what it holds and was made from (`stamps.py`), where that is known.
    """
    name = target.split(".")[1]
    if stamp:
        ensure_table(connection, STAMPS, STAMP_COLUMNS)
    drop_stamp(connection, name)  # killed before what follows, the table is only made again
    connection.execute("BEGIN")
    forget_inputs(connection)
    connection.execute(f"DROP TABLE IF EXISTS {target}")
    connection.execute(f"ALTER TABLE {target}{ASIDE} RENAME TO {name}")
    if stamp:
        connection.execute(f"INSERT INTO {STAMPS} VALUES (?, ?, ?)", [name, *stamp])
    connection.execute("COMMIT")
