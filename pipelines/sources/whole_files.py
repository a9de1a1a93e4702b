"""Judge what a source's files hold as a whole, before any of it is loaded (R129).

`models/whole_files.py` finds the breaks; here they are put into words, with both levels, and it is
decided which stop the load. What is right all the same is confirmed by the file's SHA-256.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import duckdb
import polars as pl

from models import whole_files as model
from models.whole_files import LIMITS, YEAR
from pipelines.settings.city import CityError, CityFolder
from pipelines.settings.fields import Field, Table, dictionary
from pipelines.sources.files import Reading, where_mapped
from pipelines.sources.load import exists, raw_name
from pipelines.warehouse.database import ASIDE, SHARED_RAW, all_threads, ensure_table

FINDINGS = "raw_file_finding"
_COUNTS = ("pupils", "people", "days")
_BOUNDED = ("percent", "scale points")
# Column of ids → the source in which they should be known.
KNOWN_IN = {"pupil_hash": "register__pupils", "stat_area": "context__stat_areas"}
_BUDGET = "finance__budget_lines"


@dataclass(frozen=True)
class Finding:
    """One thing that is odd about the files of a source as a whole.

    Attributes:
        code: kind of finding.
        year: school year it is about, empty for none.
        blocks: whether the files are not loaded unless somebody confirms them.
        en, he: what it is, with both levels.
    """

    code: str
    year: str
    blocks: bool
    en: str
    he: str


def quantities(table: Table) -> dict[str, bool]:
    """Return the columns of a contract whose level is watched, and whether they are amounts."""
    fields = dictionary().fields
    return {
        name: "NIS" in fields[name].unit or fields[name].unit in _COUNTS
        for name in table.contract
        if "NIS" in fields[name].unit or fields[name].unit in (*_COUNTS, *_BOUNDED)
    }


class Held(Protocol):
    """The rows of a source, wherever they are."""

    @property
    def columns(self) -> Sequence[str]:
        """Their columns."""

    def counted(self, *columns: str) -> pl.DataFrame:
        """Return some columns of the rows, and `model.COPIES` if each combination stands once."""

    def known_ids(self, column: str, register: pl.Series) -> pl.DataFrame:
        """Return what `model.known_ids` does."""

    def carried_over(self, column: str) -> pl.DataFrame:
        """Return what `model.carried_over` does."""


@dataclass(frozen=True)
class InFrame:
    """Rows in memory."""

    frame: pl.DataFrame

    @property
    def columns(self) -> Sequence[str]:
        """Their columns."""
        return self.frame.columns

    def counted(self, *columns: str) -> pl.DataFrame:
        """Return the rows."""
        return self.frame

    def known_ids(self, column: str, register: pl.Series) -> pl.DataFrame:
        """Return what `model.known_ids` does."""
        return model.known_ids(self.frame, column, register)

    def carried_over(self, column: str) -> pl.DataFrame:
        """Return what `model.carried_over` does."""
        return model.carried_over(self.frame, column)


@dataclass(frozen=True)
class InTable:
    """Rows of a large table of the warehouse, of which only counts come into memory.

    Attributes:
        relation: SQL of a FROM clause.
    """

    connection: duckdb.DuckDBPyConnection
    source_id: str
    relation: str

    @property
    def columns(self) -> Sequence[str]:
        """Their columns."""
        return dictionary().contract(self.source_id).contract

    def counted(self, *columns: str) -> pl.DataFrame:
        """Return each combination of some columns, in order, and how many rows have it."""
        listed = ", ".join(dict.fromkeys(columns))
        return self._found(
            f"SELECT {listed}, count(*) AS {model.COPIES} FROM {self.relation} GROUP BY {listed}"
            " ORDER BY ALL"
        )

    def known_ids(self, column: str, register: pl.Series) -> pl.DataFrame:
        """Return what `model.known_ids` does."""
        self.connection.register("known", pl.DataFrame({"id": register.unique()}))
        try:
            return self._found(
                f"SELECT {YEAR}, count(*) AS ids, count(known.id) AS known FROM {self._ids(column)}"
                f" AS own LEFT JOIN known USING (id) GROUP BY {YEAR} ORDER BY {YEAR}"
            )
        finally:
            self.connection.unregister("known")

    def carried_over(self, column: str) -> pl.DataFrame:
        """Return what `model.carried_over` does."""
        return self._found(f"""
            WITH own AS MATERIALIZED (
                SELECT TRY_CAST({YEAR} AS INTEGER) AS year, id FROM {self._ids(column)}
                WHERE regexp_full_match({YEAR}, '[0-9]+')
            ),
            pairs AS (
                SELECT one.year, other.year AS beside, count(*) AS known
                FROM own AS one JOIN own AS other
                    ON other.id = one.id AND other.year BETWEEN one.year - 1 AND one.year + 1
                GROUP BY ALL
            ),
            sizes AS (SELECT year, count(*) AS ids FROM own GROUP BY year)
            SELECT
                CAST(sizes.year AS VARCHAR) AS {YEAR}, sizes.ids,
                coalesce(max(pairs.known), 0) AS known
            FROM sizes
            JOIN sizes AS others ON others.year IN (sizes.year - 1, sizes.year + 1)
            LEFT JOIN pairs ON pairs.year = sizes.year AND pairs.beside = others.year
            GROUP BY sizes.year, sizes.ids ORDER BY sizes.year""")

    def _ids(self, column: str) -> str:
        """Return the SQL of the distinct ids of each school year."""
        year = YEAR if YEAR in self.columns else f"'' AS {YEAR}"
        where = f"WHERE {column} IS NOT NULL"
        return f"(SELECT DISTINCT {year}, {column} AS id FROM {self.relation} {where})"

    def _found(self, query: str) -> pl.DataFrame:
        with all_threads(self.connection):
            return self.connection.sql(query).pl()


def judge(
    source_id: str,
    rows: Held,
    past: Held,
    registers: Mapping[str, pl.DataFrame],
    costs: Mapping[str, tuple[float, float]],
) -> list[Finding]:
    """Judge the rows of a source.

    Args:
        source_id: the logical source.
        rows: its contract's columns as texts.
        past: rows of other content that is loaded now.
        registers: source → rows of what other sources refer to; without a register nothing is held
            against it.
        costs: response → NIS per school and per participant, by the policy.
    """
    return [
        *_levels(source_id, rows, past),
        *_links(source_id, rows, registers),
        *(
            _budget(rows.counted(), past.counted(), registers, costs)
            if source_id == _BUDGET
            else ()
        ),
    ]


def _levels(source_id: str, held: Held, before: Held) -> Iterator[Finding]:
    table, fields = dictionary().contract(source_id), dictionary().fields
    cell = [name for name in table.key if name != YEAR and fields[name].door != "hash"]
    for name, is_amount in quantities(table).items():
        field = fields[name]
        looked_at = [part for part in (*cell, YEAR, name) if part in held.columns]
        rows, past = held.counted(*looked_at), before.counted(*looked_at)
        lines = model.lines(rows, past, name, cell, is_amount=is_amount)
        told, blocks = (
            (math.log(LIMITS.ratio_told), math.log(LIMITS.ratio_blocks))
            if is_amount
            else (
                LIMITS.shift_schools if "semel_mosad" in cell else LIMITS.shift_told,
                LIMITS.shift_blocks,
            )
        )
        # One school's mean, or how many of it answered, may really move far; its money hardly.
        parts = cell if "NIS" in field.unit else [part for part in cell if part != "semel_mosad"]
        broken = model.breaks(lines, parts, told)
        for row in broken.iter_rows(named=True):
            yield _level(field, row, blocks=abs(row["deviation"]) >= blocks)
        if is_amount and "NIS" in field.unit:
            odd = lines.filter(pl.col("deviation").abs() >= math.log(LIMITS.line_told))
            for row in odd.join(broken, on=[YEAR, "against"], how="anti").iter_rows(named=True):
                yield _line(field, row, cell)
        if is_amount and "semel_mosad" in cell:
            for row in model.mixed(lines).iter_rows(named=True):
                yield _mixed(field, row)
        if not is_amount and broken.is_empty():
            spread = model.spreads(rows, past, name).filter(
                pl.col("deviation").abs() >= math.log(LIMITS.spread_told)
            )
            for row in spread.iter_rows(named=True):
                yield _spread(field, row)


def _level(field: Field, row: Mapping[str, object], *, blocks: bool) -> Finding:
    level, usual = _number(row["level"], field), _number(row["usual"], field)
    part_en, part_he = _part(str(row["part"]))
    en, he = _against(row)
    return Finding(
        "level",
        str(row[YEAR]),
        blocks,
        f"'{field.name}'{_year_en(row)}{part_en}: the middle of {row['rows']:,} rows is"
        f" {level[0]}, where {en} {usual[0]}",
        f"«{field.he}»{_year_he(row)}{part_he}: האמצע של {row['rows']:,} שורות הוא"
        f" {level[1]}, ו{he} {usual[1]}",
    )


def _line(field: Field, row: Mapping[str, object], cell: list[str]) -> Finding:
    level, usual = _number(row["level"], field), _number(row["usual"], field)
    key = ", ".join(str(row[name]) for name in cell)
    en, he = _against(row)
    return Finding(
        "line",
        str(row[YEAR]),
        True,
        f"'{field.name}'{_year_en(row)}: the line of {key} is {level[0]}, where {en} {usual[0]}",
        f"«{field.he}»{_year_he(row)}: בשורה של {key} רשום {level[1]}, ו{he} {usual[1]}",
    )


def _mixed(field: Field, row: Mapping[str, float]) -> Finding:
    apart, usual = (f"{100 * (row[name] - 1):,.0f}" for name in ("level", "usual"))
    return Finding(
        "mixed",
        str(row[YEAR]),
        True,
        f"'{field.name}'{_year_en(row)}: half of {row['rows']:,} rows differ by {apart} % or more"
        f" from the same rows of other school years, where {usual} % is usual: the rows seem to be"
        " mixed up, as when one column is sorted by itself",
        f"«{field.he}»{_year_he(row)}: מחצית מ-{row['rows']:,} השורות שונות ב-{apart}% או יותר"
        f" מאותן שורות בשנים אחרות, וכרגיל {usual}%: נראה שהשורות התערבבו, כמו במיון של עמודה אחת"
        " לבדה",
    )


def _spread(field: Field, row: Mapping[str, object]) -> Finding:
    level, usual = _number(row["level"], field), _number(row["usual"], field)
    return Finding(
        "spread",
        str(row[YEAR]),
        False,
        f"'{field.name}'{_year_en(row)}: the standard deviation of {row['rows']} values is"
        f" {level[0]}, where other school years have {usual[0]}",
        f"«{field.he}»{_year_he(row)}: סטיית התקן של {row['rows']} ערכים היא {level[1]}, ובשנים"
        f" אחרות {usual[1]}",
    )


def _links(source_id: str, rows: Held, registers: Mapping[str, pl.DataFrame]) -> Iterator[Finding]:
    for name, register in KNOWN_IN.items():
        if name not in rows.columns:
            continue
        if register == source_id:
            if name == "pupil_hash":
                for row in rows.carried_over(name).iter_rows(named=True):
                    yield from _known(
                        source_id, name, row, LIMITS.same_told, LIMITS.same_told, "a year beside it"
                    )
        elif register in registers and not registers[register].is_empty():
            found = rows.known_ids(name, registers[register][name])
            for row in found.iter_rows(named=True):
                yield from _known(
                    source_id, name, row, LIMITS.known_told, LIMITS.known_blocks, register
                )


def _known(
    source_id: str,
    name: str,
    row: Mapping[str, object],
    told: float,
    blocks: float,
    register: str,
) -> Iterator[Finding]:
    field, known, ids = dictionary().fields[name], int(row["known"]), int(row["ids"])  # type: ignore[call-overload]
    if not ids or known >= told * ids:
        return
    where_he = (
        f"במקור {dictionary().contract(register).he}"
        if register in dictionary().sources
        else "בשנה סמוכה"
    )
    yield Finding(
        "unknown_ids",
        str(row[YEAR]),
        known < blocks * ids,
        f"'{name}'{_year_en(row)}: {known:,} of {ids:,} of {source_id} are known in {register}",
        f"«{field.he}»{_year_he(row)}: {known:,} מתוך {ids:,} מוכרים {where_he}",
    )


def _budget(
    rows: pl.DataFrame,
    past: pl.DataFrame,
    registers: Mapping[str, pl.DataFrame],
    costs: Mapping[str, tuple[float, float]],
) -> Iterator[Finding]:
    labels = dictionary().labels["funding_channel"]
    swaps = model.swapped(rows, past, "funding_channel", "response_id", "plan_nis")
    for row in swaps.iter_rows(named=True):
        first, second = row["first"], row["second"]
        yield Finding(
            "swapped",
            row[YEAR],
            True,
            f"'funding_channel'{_year_en(row)}: {row['moved']:.0%} of the money of {first} and"
            f" {second} stands elsewhere than usual, {row['left']:.0%} if the two are exchanged:"
            " they seem to be swapped",
            f"«ערוץ מימון»{_year_he(row)}: {row['moved']:.0%} מהכסף של {labels.get(first, first)}"
            f" ושל {labels.get(second, second)} רשום שלא כרגיל, ואחרי החלפה ביניהם"
            f" {row['left']:.0%}: כנראה הוחלפו",
        )
    for (year,), part in sorted(rows.group_by(YEAR), key=str):
        if model.is_planned_like_spent(part, "plan_nis", "actual_nis"):
            yield Finding(
                "swapped",
                str(year),
                True,
                f"'plan_nis' and 'actual_nis', {year}: what was spent is in round sums and the plan"
                " is not: the two columns seem to be swapped",
                f"תכנון וביצוע, {year}: סכומי הביצוע עגולים וסכומי התכנון אינם: כנראה שתי העמודות"
                " הוחלפו",
            )
    schools = registers.get("register__schools")
    if schools is None or schools.is_empty():
        return
    pupils = (
        schools.select("semel_mosad", YEAR, pupils=pl.col("pupils").cast(pl.Float64, strict=False))
        .group_by("semel_mosad", YEAR)
        .agg(pl.col("pupils").max())
    )
    totals = (
        rows.group_by("semel_mosad", YEAR, "response_id")
        .agg(total=pl.col("plan_nis").cast(pl.Float64, strict=False).sum())
        .join(pupils, on=["semel_mosad", YEAR], how="left")
    )
    for row in model.outside_costs(totals, costs).iter_rows(named=True):
        money = {name: f"{row[name]:,.0f}" for name in ("level", "low", "high")}
        yield Finding(
            "costs",
            row[YEAR],
            True,
            f"'plan_nis', {row[YEAR]}, {row['response_id']}: the middle of {row['schools']}"
            f" school(s) is {money['level']} NIS, where the policy's costs give {money['low']} (one"
            f" participant) to {money['high']} NIS (every pupil)",
            f"«תכנון», {row[YEAR]}, {row['response_id']}: האמצע של {row['schools']} בתי ספר הוא"
            f" {money['level']} ₪, ולפי העלויות שבמדיניות {money['low']} ₪ (משתתף אחד) עד"
            f" {money['high']} ₪ (כל התלמידים)",
        )


def _number(value: object, field: Field) -> tuple[str, str]:
    shown = f"{value:,.0f}" if abs(float(value)) >= 100 else f"{value:,.3g}"  # type: ignore[arg-type]
    if field.unit.startswith("NIS"):
        return f"{shown} {field.unit}", f"{shown} ₪"
    if field.unit == "percent":
        return f"{shown} %", f"{shown}%"
    unit = dictionary().units.get(field.unit)
    return f"{shown} {field.unit}", f"{shown} {unit.he}" if unit and unit.he else shown


def _part(part: str) -> tuple[str, str]:
    if not part:
        return "", ""
    name, value = part.split("=", 1)
    words = dictionary()
    return f", {value}", f", {words.fields[name].he} {words.labels.get(name, {}).get(value, value)}"


def _against(row: Mapping[str, object]) -> tuple[str, str]:
    if row["against"] == "past":
        return "the content loaded before has", "בתוכן שנקלט קודם"
    return "other school years have", "בשנים אחרות"


def _year_en(row: Mapping[str, object]) -> str:
    return f", {row[YEAR]}" if row[YEAR] else ""


_year_he = _year_en


# ---- in the warehouse --------------------------------------------------------------------------


def findings(
    connection: duckdb.DuckDBPyConnection, city: CityFolder, source_id: str, reading: Reading
) -> list[Finding]:
    """Judge what was read of a source against what is loaded; a confirmed file blocks nothing."""
    hashes = reading.files["file_hash"].to_list()
    rows: Held = InFrame(reading.rows)
    before: Held = InFrame(reading.rows.clear())
    if reading.store is not None:
        rows = InTable(connection, source_id, raw_name(source_id) + ASIDE)
        before = InFrame(reading.rows.clear().with_columns(pl.lit(0).alias(model.COPIES)))
    if exists(connection, raw_name(source_id)):
        if reading.store is not None:
            listed = ", ".join(f"'{digest}'" for digest in hashes)
            other = f"(SELECT * FROM {raw_name(source_id)} WHERE file_hash NOT IN ({listed}))"
            before = InTable(connection, source_id, other)
        else:
            query = f"SELECT * FROM {raw_name(source_id)} WHERE NOT list_contains(?, file_hash)"
            held = connection.sql(query, params=[hashes]).pl()
            own = held.select(set(held.columns) & set(reading.rows.columns))
            before = InFrame(pl.concat([reading.rows.clear(), own], how="diagonal"))
    wanted = {
        register: f"DISTINCT {name}"
        for name, register in KNOWN_IN.items()
        if name in reading.rows.columns
    }
    if source_id == _BUDGET:
        wanted["register__schools"] = f"semel_mosad, {YEAR}, pupils"
    registers = {
        name: connection.sql(f"SELECT {columns} FROM {raw_name(name)}").pl()
        for name, columns in wanted.items()
        if name != source_id and exists(connection, raw_name(name))
    }
    costs = {
        name: (response.fixed_cost.value, response.unit_cost.value)
        for name, response in (city.policy.responses.items() if source_id == _BUDGET else ())
    }
    confirmed = {
        digest for mapping in city.city.sources.get(source_id, ()) for digest in mapping.confirmed
    }
    own = _hashes_by_year(reading)
    return [
        found
        if not own.get(found.year, set(hashes)) <= confirmed
        else Finding(found.code, found.year, False, found.en, found.he)
        for found in judge(source_id, rows, before, registers, costs)
    ]


def _hashes_by_year(reading: Reading) -> dict[str, set[str]]:
    if YEAR not in reading.rows.columns:
        return {}
    pairs = reading.distinct(YEAR, "file_hash").drop_nulls()
    return {str(year): set(part["file_hash"]) for (year,), part in pairs.group_by(YEAR)}


def refuse_broken(city: CityFolder, source_id: str, reading: Reading, found: list[Finding]) -> None:
    """Refuse files that left their level.

    Raises:
        CityError: with every finding, and how to confirm the files all the same.
    """
    broken = [item for item in found if item.blocks]
    if not broken:
        return
    own = _hashes_by_year(reading)
    years = {item.year for item in broken}
    hashes = {digest for year in years for digest in own.get(year, reading.files["file_hash"])}
    files = reading.files.filter(pl.col("file_hash").is_in(list(hashes)))
    names = ", ".join(files["file_name"])
    digests = ", ".join(files["file_hash"])
    where = where_mapped(city, source_id)
    raise CityError(
        f"{names} ({source_id}): the files are not loaded, as a whole they cannot be right:\n"
        + "".join(f"- {item.en}.\n" for item in broken)
        + f"Correct the file or its mapping (units:, columns:); if all is right, add SHA-256"
        f" {digests} to {where}.confirmed.",
        f"{names}: הקבצים לא נקלטו, כי ככלל אינם יכולים להיות נכונים:\n"
        + "".join(f"- {item.he}.\n" for item in broken)
        + "יש לתקן את הקובץ או את המיפוי (units, columns); אם הכול נכון, יש לאשר את הקובץ"
        " ב-city.yaml תחת confirmed.",
    )


def record_findings(
    connection: duckdb.DuckDBPyConnection,
    source_id: str,
    reading: Reading,
    found: list[Finding],
) -> None:
    """Keep what was found about the files that are loaded now; of years not read it stays."""
    table = f"raw.{FINDINGS}"
    ensure_table(connection, table, SHARED_RAW[FINDINGS])
    years = ["", *_hashes_by_year(reading)]
    connection.execute(
        f"DELETE FROM {table} WHERE source_id = ? AND list_contains(?, school_year)",
        [source_id, years],
    )
    for item in found:
        connection.execute(
            f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?)",
            [source_id, item.year, item.code, item.blocks, item.he, item.en],
        )
