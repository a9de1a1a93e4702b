"""Read the files of one logical source, as its mapping in `city.yaml` says.

Values are admitted (one spelling, hashed, masked) and stay text until staging, each row with its
file, the file's hash and its row. Rejected rows are returned apart, each with a reason.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import polars as pl

from pipelines.settings.archive import CHAIN
from pipelines.settings.archive import FOLDER as DECIDED
from pipelines.settings.city import CityError, CityFolder
from pipelines.settings.fields import ROW, dictionary
from pipelines.settings.mapping import SourceMapping
from pipelines.settings.scenario_files import scenario_files
from pipelines.settings.yaml_files import line_of
from pipelines.sources.admission import admit, header_shown
from pipelines.sources.blocks import Blocks, NotPlainError, side_by_side
from pipelines.sources.guess import stated_unit
from pipelines.sources.normalise import (
    ambiguous_days,
    from_1904,
    is_of_other_order,
    normalise,
    school_year,
    spelling,
)
from pipelines.sources.people import OTHER
from pipelines.sources.personal import MASK
from pipelines.sources.second_sheet import join_sheet, sheet_mapping
from pipelines.sources.tabular import (
    INVISIBLE,
    POINTED,
    TOTAL,
    Content,
    clean_text,
    read_content,
)
from pipelines.sources.workbook import ERROR_CELL, UnreadableError, visible_sheets

REGISTRY = "programmes__registry"
_PROVENANCE_TYPES = {"file_name": pl.String, "file_hash": pl.String, ROW: pl.Int32}
_FILE_TYPES = {
    "file_name": pl.String,
    "file_hash": pl.String,
    "rows_in": pl.Int32,
    "extra_columns": pl.String,
    "mapping_number": pl.Int32,
}
_REJECTED_TYPES = {
    "file_name": pl.String,
    ROW: pl.Int32,
    "column_name": pl.String,
    "reason_code": pl.String,
}
_REPAIR_TYPES = {
    "file_name": pl.String,
    "column_name": pl.String,
    "repair_code": pl.String,
    "repaired_rows": pl.Int32,
    "first_row": pl.Int32,
}
# Percents of which a whole file of at most 1 is not thinkable, as it is of dropout.
_NEVER_ALL_SMALL, _ENOUGH_VALUES = frozenset(("agree_pct", "attended_pct", "bagrut_pct")), 3
_MOST_NOTES = 100  # below a table
_UNSURE = "day_month_unsure"
LARGE = 64 << 20
"""Bytes of a source's files from which on they are read in blocks."""
# What a cleaned value does not have: marks, points, tabs, line breaks, several spaces together.
_MESS = rf"{INVISIBLE}|{POINTED}|[\t\n\x0b\x0c\r\u00a0]|  "


@dataclass(frozen=True)
class Reading:
    """What a source's files hold.

    Attributes:
        rows: contract columns as text, then `file_name`, `file_hash`, `file_row`.
        files: one row per file: `file_name`, `file_hash`, `rows_in` (rows below the header, blank
            ones apart) and `extra_columns`, the headers nobody asked for, comma-separated, and
            `mapping_number`, which of the source's mappings read it (from 0).
        rejected: rows that were not read: `file_name`, `file_row`, `column_name`,
            `reason_code`.
        repairs: one row per file, column and repair: `repair_code`, `repaired_rows`, `first_row`.
        store: what took the rows instead, where the source has large files; `rows` is empty then.
    """

    rows: pl.DataFrame
    files: pl.DataFrame
    rejected: pl.DataFrame
    repairs: pl.DataFrame
    store: Store | None = None

    def distinct(self, *columns: str) -> pl.DataFrame:
        """Return the combinations of values that some columns of the rows have."""
        if self.store is not None:
            return self.store.distinct(*columns)
        return self.rows.select(columns).unique()


class Store(Protocol):
    """What takes the rows of a source with large files, some after the other (`load.RawRows`)."""

    def add(self, rows: pl.DataFrame, file_name: str, file_hash: str) -> None:
        """Add rows of a file: contract columns as text, and `file_row`."""

    def forget(self, file_name: str) -> None:
        """Take back the rows of a file."""

    def distinct(self, *columns: str) -> pl.DataFrame:
        """Return the combinations of values that some columns of the rows have."""


def source_files(
    city: CityFolder, source_id: str, years: Sequence[int]
) -> list[tuple[Path, int | None, int]]:
    """Return a source's files, each with its school year (None = any) and its mapping's number.

    Raises:
        CityError: naming the file, the folders searched and how to get it; or a file that two
            patterns of the source both take.
    """
    found = []
    for number, mapping in enumerate(city.city.sources[source_id]):
        wanted: list[tuple[str, int | None]] = [(mapping.file, None)]
        if mapping.is_yearly:
            held = mapping.years or city.city.school_years.all()
            wanted = [
                (mapping.file.replace("{school_year}", str(year)), year)
                for year in years
                if year in held
            ]
        for name, year in wanted:
            found += [(path, year, number) for path in _find(city, source_id, name, number)]
    # Two sheets, or two mappings that say different things of all their rows, are two tables.
    tables = Counter(
        (path.name, year if mapping.is_yearly else None, str(mapping.sheet), str(mapping.constants))
        for path, year, number in found
        for mapping in (city.city.sources[source_id][number],)
    )
    if twice := sorted({table[0] for table, times in tables.items() if times > 1}):
        raise CityError(
            f"{where_mapped(city, source_id)}: file(s) {', '.join(twice)} are taken by more than"
            " one pattern; their rows would count twice. Narrow the patterns.",
            f"{source_id}: הקבצים {', '.join(twice)} מתאימים ליותר מתבנית אחת וייספרו פעמיים. יש"
            " לצמצם את התבניות.",
        )
    return found


def where_mapped(city: CityFolder, source_id: str, number: int = 0, *option: str | int) -> str:
    """Return file, line and path of a mapping's option, for an error."""
    path = city.folder / "city.yaml"
    many = len(city.city.sources[source_id]) > 1
    keys = ("sources", source_id, *((number,) if many else ()), *option)
    return f"{path}:{line_of(path, keys)}: {'.'.join(map(str, keys))}"


def _find(city: CityFolder, source_id: str, name: str, number: int) -> list[Path]:
    for root in city.roots:
        # "~$name.xlsx" is what an office programme lays beside a workbook while it is open.
        held = sorted(root.glob(name)) if "*" in name else [root / name]
        held = [path for path in held if not path.name.startswith("~$")]
        if any(path.is_file() for path in held):
            return [path for path in held if path.is_file()]
    searched = ", ".join(str(root) for root in city.roots)
    mapping = city.city.sources[source_id][number]
    help_en = mapping.how_to_get or f"put the file in {city.roots[0]}"
    raise CityError(
        f"{where_mapped(city, source_id, number, 'file')}: file '{name}' is not in any of:"
        f" {searched}. To get it: {help_en}.",
        f"{source_id}: הקובץ '{name}' לא נמצא בתיקיות: {searched}. יש להניח אותו בתיקייה"
        f" {city.roots[0]} ולהריץ שוב.",
    )


def read_source(
    city: CityFolder,
    source_id: str,
    years: Sequence[int],
    hashed: dict[str, str] | None = None,
    store: Store | None = None,
) -> Reading:
    """Read a source. One that the city does not map gives empty frames.

    A file that holds many years is read whole, whichever of its years are asked for: a file is what
    is loaded, superseded and counted. Where a source has large files (`is_large`) and there is a
    store, all rows go there, block by block, and never are in memory together.

    Args:
        city: the city.
        source_id: the logical source.
        years: school years that are asked for.
        hashed: hashes of pupils' ids, for who reads several sources (`admission.hash_ids`).
        store: what takes the rows of large files.

    Raises:
        CityError: if a file is missing, cannot be read in its format or encoding, lacks a mapped
            column, or holds no row of a year it should hold.
    """
    table = dictionary().contract(source_id)
    parts = [
        Reading(
            pl.DataFrame(schema={**dict.fromkeys(table.contract, pl.String), **_PROVENANCE_TYPES}),
            pl.DataFrame(schema=_FILE_TYPES),
            pl.DataFrame(schema=_REJECTED_TYPES),
            pl.DataFrame(schema=_REPAIR_TYPES),
        )
    ]
    if source_id in city.city.sources:
        aliases = {} if source_id == REGISTRY else _names(city, table.contract)
        tables = [
            (path, year, number, value)
            for path, year, number in source_files(city, source_id, years)
            for value in city.city.sources[source_id][number].parts()
        ]
        times = Counter(path for path, *_ in tables)
        if not times or not is_large(city, source_id, list(times)):
            store = None
        parts += [
            _read_file(
                city, source_id, *table, aliases, hashed, store, is_alone=times[table[0]] == 1
            )
            for table in tables
        ]
    else:
        store = None
    rows, files, rejected, repairs = (
        pl.concat([getattr(part, name) for part in parts])
        for name in ("rows", "files", "rejected", "repairs")
    )
    return Reading(rows, files, rejected, repairs, store)


def has_large_files(city: CityFolder, source_id: str, years: Sequence[int]) -> bool:
    """Whether a source is read in blocks; one whose files are missing is not."""
    if source_id not in city.city.sources:
        return False
    try:
        paths = {path for path, *_ in source_files(city, source_id, years)}
    except CityError:
        return False
    return bool(paths) and is_large(city, source_id, list(paths))


def is_large(city: CityFolder, source_id: str, paths: Sequence[Path]) -> bool:
    """Whether the files of a source are read in blocks: as its mapping says, else by their size.

    Only sources about single children have so many rows; all others are read whole.
    """
    contract, mappings = dictionary().contract(source_id).contract, city.city.sources[source_id]
    if "pupil_hash" not in contract or all(mapping.format != "csv" for mapping in mappings):
        return False
    said = {mapping.in_blocks for mapping in mappings} - {None}
    return True in said or (not said and sum(path.stat().st_size for path in paths) >= LARGE)


def _names(city: CityFolder, columns: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return ids by the names that people write, for each column that names a thing of the city."""
    policy = city.policy
    named = {
        "goal_id": {goal.name_he: goal_id for goal_id, goal in policy.goals.items()},
        "need_id": {
            dictionary().label("need_id", OTHER): OTHER,
            **{need.name_he: need_id for need_id, need in policy.response_map.needs.items()},
        },
        "group_id": {held[-1].name_he: group_id for group_id, held in policy.groups.items()},
        "cause_id": {cause.name_he: cause_id for cause_id, cause in policy.causes.items()},
    }
    found = {
        column: {spelling(name): key for name, key in names.items()}
        for column, names in named.items()
        if column in columns
    }
    return found | ({"response_id": response_names(city)} if "response_id" in columns else {})


def response_names(city: CityFolder) -> dict[str, str]:
    """Return response ids by every name the policy and the city's registry know them by (R15).

    Names are spelt as `normalise.spelling` gives them.

    Raises:
        CityError: if one name belongs to two responses.
    """
    named = [
        (response_id, name)
        for response_id, response in city.policy.responses.items()
        for name in (response_id, response.name_he, response.name_en)
    ]
    registry = read_source(city, REGISTRY, city.city.school_years.all()).rows
    # What was masked on admission names no response.
    for row in registry.filter(~pl.col("response_id").str.contains(MASK)).iter_rows(named=True):
        texts = [row["response_id"], row["response_name_he"], row["response_name_en"]]
        texts += (row["response_aliases"] or "").split("|")
        named += [(row["response_id"], t) for t in texts if t and t.strip() and MASK not in t]
    found: dict[str, str] = {}
    for response_id, name in named:
        if found.setdefault(spelling(name), response_id) != response_id:
            raise CityError(
                f"The name '{name}' belongs to two responses, {found[spelling(name)]} and"
                f" {response_id}: an alias must mean one response. Correct the aliases of the"
                f" registry ({REGISTRY}) or the names in {city.folder / 'policy.yaml'}.",
                f"השם «{name}» שייך לשני מענים. יש לתקן את השמות הנוספים במרשם המענים.",
            )
    return found


def _read_file(
    city: CityFolder,
    source_id: str,
    path: Path,
    year: int | None,
    number: int,
    value: str,
    aliases: Mapping[str, Mapping[str, str]],
    hashed: dict[str, str] | None,
    store: Store | None,
    *,
    is_alone: bool,
) -> Reading:
    """Read one table; one of several in a file is named for its sheet, group and mapping too."""
    mapping = city.city.sources[source_id][number].parts()[value]
    if "{school_year}" in str(mapping.sheet):
        sheet = _yearly_sheet(path.read_bytes(), str(mapping.sheet), year)
        mapping = mapping.model_copy(update={"sheet": sheet})
    told = [str(mapping.sheet)] if mapping.format in ("xlsx", "xls") else []
    name = " / ".join([path.name, *told, *filter(None, [value, str(number + 1)])])
    name = path.name if is_alone else name
    table = _Table(city, source_id, path, year, number, name, aliases, hashed)
    if store is not None:
        try:
            # Of a country's pupils nothing is remembered.
            return replace(table, hashed=None).in_blocks(mapping, store)
        except NotPlainError:
            store.forget(table.name)
    return table.whole(mapping, store)


@dataclass(frozen=True)
class _Table:
    """One table of a file, called `name` in the warehouse."""

    city: CityFolder
    source_id: str
    path: Path
    year: int | None
    number: int
    name: str
    aliases: Mapping[str, Mapping[str, str]]
    hashed: dict[str, str] | None

    def whole(self, mapping: SourceMapping, store: Store | None) -> Reading:
        """Read it at once; its rows go to the store, if there is one."""
        content = self.path.read_bytes()
        city, source_id, number, path = self.city, self.source_id, self.number, self.path
        read, mapping = _open(city, source_id, number, path, content, mapping)
        cells = read.rows.drop(ROW)
        if cells.is_empty():
            self.refuse_empty()
        _refuse_headers(city, source_id, number, path, mapping)
        given = _given(cells, mapping)
        _refuse_visual_order(path, given, mapping)
        found, repairs = self.admitted(read, mapping, given, is_last=True), _Repairs()
        repairs.add(found)
        _refuse_shares(city, source_id, number, path, mapping, found.rows)
        digest = hashlib.sha256(content).hexdigest()
        rows = found.rows
        if store is not None:
            store.add(rows, self.name, digest)
            rows = rows.clear()
        return Reading(
            rows.select(
                pl.exclude(ROW),
                pl.lit(self.name).alias("file_name"),
                pl.lit(digest).alias("file_hash"),
                ROW,
            ),
            self.as_file(digest, found.rows_in, mapping, cells.columns),
            found.rejected.select(pl.lit(self.name).alias("file_name"), pl.all()),
            repairs.told(self.name, read.told),
        )

    def in_blocks(self, mapping: SourceMapping, store: Store) -> Reading:
        """Read it block by block into the store.

        Raises:
            NotPlainError: if it has to be read whole; the store may have rows of it then.
            CityError: as `whole`, or if somebody writes the file at the same time.
        """
        if mapping.format != "csv" or mapping.fill_down or _NEVER_ALL_SMALL & mapping.mapped:
            raise NotPlainError
        before = _state(self.path)
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        blocks, repairs = Blocks(self.path, mapping), _Repairs()
        rows_in, texts, rejected = 0, dict[str, pl.Series](), []

        def admitted() -> Iterator[_Admitted]:
            for block in blocks:
                if not set(mapping.columns.values()) <= set(blocks.names):
                    raise NotPlainError
                read = Content(block.rows, tuple(block.broken))
                given = _given(block.rows, mapping)
                for header in _texts(mapping):
                    both = [texts[header], given[header]] if header in texts else [given[header]]
                    texts[header] = pl.concat(both).unique()
                yield self.admitted(read, mapping, given, is_last=block.is_last)

        for found in side_by_side(admitted()):
            store.add(found.rows, self.name, digest)
            rejected.append(found.rejected)
            repairs.add(found)
            rows_in += found.rows_in
        if _state(self.path) != before:
            raise CityError(
                f"{self.path}: the file changed while it was read. Run again when it is whole.",
                f"{self.path}: הקובץ השתנה בזמן הקריאה. יש להריץ שוב כשהוא שלם.",
            )
        _refuse_headers(self.city, self.source_id, self.number, self.path, mapping)
        _refuse_visual_order(self.path, texts, mapping)
        nothing = found.rows.clear()
        return Reading(
            nothing.select(
                pl.exclude(ROW),
                pl.lit(self.name).alias("file_name"),
                pl.lit(digest).alias("file_hash"),
                ROW,
            ),
            self.as_file(digest, rows_in, mapping, blocks.names),
            pl.concat(rejected).select(pl.lit(self.name).alias("file_name"), pl.all()),
            repairs.told(self.name),
        )

    def refuse_empty(self) -> None:
        """Refuse the file of a school year without rows."""
        if self.year is not None:
            raise CityError(
                f"{self.path}: the file of school year {self.year} has no rows (source"
                f" {self.source_id}). If the year was not measured, list the years that were under"
                f" sources.{self.source_id}.years.",
                f"{self.path}: הקובץ של שנת הלימודים {self.year} ריק. אם השנה לא נמדדה, יש לציין"
                " ב-city.yaml את השנים שנמדדו.",
            )

    def admitted(
        self,
        read: Content,
        mapping: SourceMapping,
        given: Mapping[str, pl.Series],
        *,
        is_last: bool,
    ) -> _Admitted:
        """Admit the records of the table, or of some of its lines."""
        errors = _error_cells(read.rows, given, mapping)
        columns, repairs, days = _columns(
            self.city,
            self.source_id,
            mapping,
            read,
            given,
            self.year,
            self.aliases,
            self.hashed,
            errors,
        )
        rows = pl.DataFrame(columns).with_columns(read.rows[ROW])
        key = dictionary().contract(self.source_id).key
        rejected = _rejected(
            rows, read.rows.drop(ROW), given, mapping, key, errors, is_last=is_last
        )
        return _Admitted(
            rows if rejected.is_empty() else rows.join(rejected, on=ROW, how="anti"),
            pl.concat([rejected, _broken(read)]).select(ROW, "column_name", "reason_code"),
            len(rows) + len(read.broken),
            {
                of: (int(where.sum()), int(rows[ROW].filter(where)[0]))
                for of, where in repairs.items()
            },
            days,
        )

    def as_file(
        self, digest: str, rows_in: int, mapping: SourceMapping, headers: Sequence[str]
    ) -> pl.DataFrame:
        """Return its row of `Reading.files`."""
        extra = [header for header in headers if header not in mapping.columns.values()]
        return pl.DataFrame(
            [
                {
                    "file_name": self.name,
                    "file_hash": digest,
                    "rows_in": rows_in,
                    "extra_columns": ", ".join(map(header_shown, extra)),
                    "mapping_number": self.number,
                }
            ],
            schema=_FILE_TYPES,
        )


@dataclass(frozen=True)
class _Admitted:
    """What some lines of a table hold.

    Attributes:
        rows: contract columns as text, then `file_row`.
        rejected: `file_row`, `column_name`, `reason_code`.
        rows_in: how many records there are, read or not.
        repairs: column and repair → how many rows, the first of them.
        other_order: columns with a day that is possible in the other order of its parts only.
    """

    rows: pl.DataFrame
    rejected: pl.DataFrame
    rows_in: int
    repairs: Mapping[tuple[str, str], tuple[int, int]]
    other_order: frozenset[str]


@dataclass
class _Repairs:
    """The repairs of a table."""

    counted: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    other_order: set[str] = field(default_factory=set)

    def add(self, found: _Admitted) -> None:
        """Count those of some lines."""
        self.other_order |= found.other_order
        for of, (count, first) in found.repairs.items():
            known = self.counted.get(of, (0, first))
            self.counted[of] = known[0] + count, known[1]

    def told(self, name: str, more: Sequence[tuple[str, int, int]] = ()) -> pl.DataFrame:
        """Return them as `Reading.repairs`, with those that are of no column.

        A day that may be read both ways is told only where another shows that orders are mixed.
        """
        told = [
            (name, column, repair, *facts)
            for (column, repair), facts in self.counted.items()
            if repair != _UNSURE or column in self.other_order
        ]
        told += [(name, "", *fact) for fact in more]
        return pl.DataFrame(told, schema=_REPAIR_TYPES, orient="row")


def _given(cells: pl.DataFrame, mapping: SourceMapping) -> dict[str, pl.Series]:
    """Return the distinct texts of each column that is looked at."""
    headers = list(dict.fromkeys([cells.columns[0], *mapping.columns.values()]))
    if cells.is_empty():
        return {header: cells[header] for header in headers}
    lists = cells.select(pl.col(headers).unique().implode())
    return {header: lists[header].explode() for header in headers}


def _yearly_sheet(content: bytes, pattern: str, year: int | None) -> str:
    """Return the name of the sheet of a school year: as the pattern says, or by any spelling."""
    wanted = pattern.replace("{school_year}", str(year))
    names = visible_sheets(content)
    if wanted in names or pattern != "{school_year}":
        return wanted
    return next((name for name in names if school_year(name.strip()) == str(year)), wanted)


def _open(
    city: CityFolder,
    source_id: str,
    number: int,
    path: Path,
    content: bytes,
    mapping: SourceMapping,
) -> tuple[Content, SourceMapping]:
    """Return the rows of a file, further sheets joined, and where each column is now."""
    read = _sheet(city, source_id, number, path, content, mapping)
    for place, other in enumerate(mapping.beside):
        where = ("beside", place)
        found = _sheet(
            city, source_id, number, path, content, sheet_mapping(mapping, other), *where
        )
        try:
            read = replace(read, rows=join_sheet(read.rows, mapping, other, found.rows))
        except ValueError as error:
            raise CityError(
                f"{path}: {error} (source {source_id},"
                f" {where_mapped(city, source_id, number, *where)}). Correct the sheet, or its"
                " mapping.",
                f"{path}: בגיליון {other.sheet} יש שורות שאין להן שורה אחת ויחידה בגיליון הראשון."
                " יש לתקן את הגיליון או את המיפוי.",
            ) from None
        added = {name: other.cell_name(header) for name, header in other.added.items()}
        mapping = mapping.model_copy(update={"columns": mapping.columns | added})
    return read, mapping


def _sheet(
    city: CityFolder,
    source_id: str,
    number: int,
    path: Path,
    content: bytes,
    mapping: SourceMapping,
    *where: str | int,
) -> Content:
    """Return the rows of one sheet (of a CSV: of the file), which has every mapped column."""
    try:
        read = read_content(content, mapping)
    except Exception as error:  # any reader's own error becomes one that names the file
        en, he = _why_unreadable(error)
        raise CityError(
            f"{path}: cannot be read as {mapping.format} ({mapping.encoding}): {en} (source"
            f" {source_id}, {where_mapped(city, source_id, number, *where)}).",
            f"{path}: לא ניתן לקרוא את הקובץ כ-{mapping.format} בקידוד {mapping.encoding}: {he}.",
        ) from None
    held = read.rows.columns
    absent = sorted({header for header in mapping.columns.values() if header not in held})
    if twice := [header for header in absent if f"{header} (1)" in held]:
        raise CityError(
            f"{path}: the header '{header_shown(twice[0])}' stands there more than once; say which"
            f" is meant, '{twice[0]} (1)' or '{twice[0]} (2)', at"
            f" {where_mapped(city, source_id, number, *where, 'columns')}.",
            f"{path}: הכותרת «{header_shown(twice[0])}» מופיעה יותר מפעם אחת; יש לציין במיפוי לאיזו"
            f" מהן הכוונה: '{twice[0]} (1)' או '{twice[0]} (2)'.",
        )
    if absent:
        sheet = f", sheet {mapping.sheet}" if mapping.format in ("xlsx", "xls") else ""
        shown = _shorten([header_shown(name) for name in held if name != ROW])
        raise CityError(
            f"{path}{sheet}: column(s) {', '.join(map(repr, absent))} of"
            f" {where_mapped(city, source_id, number, *where, 'columns')} are not in row"
            f" {mapping.header_row}. Columns there: {shown}.",
            f"{path}: העמודות {', '.join(absent)} אינן בקובץ. יש לתקן את המיפוי ב-city.yaml או את"
            " הקובץ.",
        )
    return read


def _why_unreadable(error: Exception) -> tuple[str, str]:
    """Return why a file cannot be read, in English and Hebrew.

    A library's own message is not passed on: it may hold a value of the file (R110).
    """
    if isinstance(error, UnreadableError):
        return str(error), error.he
    if isinstance(error, UnicodeDecodeError):
        return (
            f"its byte {error.start + 1} is none of {error.encoding}",
            f"הבית ה-{error.start + 1} אינו בקידוד {error.encoding}",
        )
    kind = type(error).__name__
    return (
        f"its reader stopped with {kind}; is it the kind of file that the mapping says?",
        f"הקריאה נעצרה ({kind}); האם סוג הקובץ הוא זה שבמיפוי?",
    )


def _columns(
    city: CityFolder,
    source_id: str,
    mapping: SourceMapping,
    read: Content,
    given: Mapping[str, pl.Series],
    year: int | None,
    aliases: Mapping[str, Mapping[str, str]],
    hashed: dict[str, str] | None,
    errors: Mapping[str, pl.Series],
) -> tuple[dict[str, pl.Series], dict[tuple[str, str], pl.Series], frozenset[str]]:
    """Return the contract's columns, which rows each repair touched, and `other_order`.

    Each distinct text is looked at once.
    """
    table, fields = dictionary().contract(source_id), dictionary().fields
    columns: dict[str, pl.Series] = {}
    touched: dict[tuple[str, str], pl.Series] = {}
    other_order = set()
    cells = read.rows
    for name in table.contract:
        if name in mapping.constants:
            text = mapping.constants[name].replace("{school_year}", str(year))
            said = normalise(pl.Series(name, [text], dtype=pl.String), fields[name], mapping)
            columns[name] = said.gather([0] * len(cells))
            continue
        if name not in mapping.columns:
            columns[name] = pl.Series(name, [None], dtype=pl.String).gather([0] * len(cells))
            continue
        column, texts = cells[mapping.columns[name]], given[mapping.columns[name]]
        values = mapping.values.get(name, {})
        if name in errors:
            column = column.set(errors[name], None)
            texts = column.unique()
        if name in mapping.fill_down:
            column = _cleaned(column, mapping, values.get("")).forward_fill()
            texts = column.unique()
        said = _cleaned(texts, mapping, values.get("")).alias(name)
        if values:
            said = said.replace(values)
        if read.is_1904 and fields[name].type == "DATE":
            said = from_1904(said)
        if name in aliases:
            said = _resolved(said, aliases[name])
        admitted, repairs = admit(
            said,
            fields[name],
            mapping,
            is_synthetic=city.city.city.is_synthetic,
            hashed=hashed,
        )
        columns[name] = _instead(column, texts, admitted).alias(name)
        if fields[name].type == "DATE":
            repairs = repairs | {_UNSURE: ambiguous_days(said)}
            if is_of_other_order(said, mapping):
                other_order.add(name)
        touched |= {
            (name, repair): column.is_in(texts.filter(where).implode(), nulls_equal=True)
            for repair, where in repairs.items()
            if where.any()
        }
    return columns, touched, frozenset(other_order)


def _instead(column: pl.Series, texts: pl.Series, others: pl.Series) -> pl.Series:
    """Return a column with, in the place of each of its distinct texts, another."""
    is_other = texts.ne_missing(others)
    of_null = others.filter(texts.is_null() & is_other)
    is_other &= texts.is_not_null()
    found = column
    if is_other.any():
        found = column.replace(texts.filter(is_other), others.filter(is_other))
    return found if of_null.is_empty() else found.set(column.is_null(), of_null[0])


def _refuse_shares(
    city: CityFolder,
    source_id: str,
    number: int,
    path: Path,
    mapping: SourceMapping,
    columns: pl.DataFrame,
) -> None:
    """Refuse a file whose percents are shares: cells shown as 85 % hold 0.85 (R129)."""
    for name in _NEVER_ALL_SMALL & set(columns.columns) - mapping.units.keys():
        values = columns[name].cast(pl.Float64, strict=False).drop_nulls()
        if len(values) >= _ENOUGH_VALUES and bool((values <= 1).all()) and bool((values > 0).any()):
            header = mapping.columns[name]
            raise CityError(
                f"{path}: all {len(values)} values of '{header}' ({name}) are at most 1 percent:"
                f" they seem to be shares. If so, write units: {{{name}: share}} at"
                f" {where_mapped(city, source_id, number)}.",
                f"{path}: כל {len(values)} הערכים בעמודה '{header}' הם אחוז אחד לכל היותר;"
                f" כנראה אלה חלקים מאחד. אם כן, יש להוסיף למיפוי units: {{{name}: share}}.",
            )


def _refuse_headers(
    city: CityFolder, source_id: str, number: int, path: Path, mapping: SourceMapping
) -> None:
    """Refuse a file whose header names another unit than the contract's, without a word of it."""
    for name, header in mapping.columns.items():
        unit = stated_unit(dictionary().fields[name], header)
        if unit and name not in mapping.units:
            raise CityError(
                f"{path}: the header '{header}' speaks of another unit ({unit}) than {name} has"
                f" ({dictionary().fields[name].unit}): write units: {{{name}: {unit}}}, or nis if"
                f" the header is wrong, at {where_mapped(city, source_id, number)}.",
                f"{path}: הכותרת «{header}» מציינת יחידה אחרת: יש להוסיף למיפוי"
                f" units: {{{name}: {unit}}}, או nis אם הכותרת שגויה.",
            )


def _texts(mapping: SourceMapping) -> list[str]:
    """Return the headers of the columns that hold words."""
    return [
        header
        for name, header in mapping.columns.items()
        for field in (dictionary().fields[name],)
        if field.type == "VARCHAR" and not (field.door == "hash" or field.allowed or field.pattern)
    ]


def _refuse_visual_order(
    path: Path, given: Mapping[str, pl.Series], mapping: SourceMapping
) -> None:
    """Refuse a file whose Hebrew stands in visual order: words begin with final letters."""
    begins = ends = 0
    for header in _texts(mapping):
        texts = given[header].drop_nulls()
        begins += int(texts.str.count_matches(r"(^|[\s\"'(-])[ךםןףץ][א-ת]").sum())
        ends += int(texts.str.count_matches(r"[א-ת][ךםןףץ]($|[\s\"'),.-])").sum())
    if begins > max(1, ends):
        raise CityError(
            f"{path}: its Hebrew stands in visual order ({begins} word(s) begin with a final"
            f" letter, {ends} end with one): export the file in logical order.",
            f"{path}: העברית כתובה בסדר הפוך ({begins} מילים מתחילות באות סופית, {ends} מסתיימות"
            " בה): יש לייצא את הקובץ שוב בסדר לוגי.",
        )


def _cleaned(column: pl.Series, mapping: SourceMapping, empty: str | None = None) -> pl.Series:
    """Return texts without marks, null for no value; `empty` stands for an empty cell."""
    column = column.str.strip_chars()
    if column.str.contains(_MESS).any():
        odd = column.filter(column.str.contains(_MESS)).unique().drop_nulls()
        column = column.replace({text: clean_text(text) for text in odd})
    if empty is not None:
        column = column.fill_null("").replace("", empty)
    return column.replace(["", *mapping.nulls], None)


def _resolved(column: pl.Series, aliases: Mapping[str, str]) -> pl.Series:
    """Return ids for the names a thing is mentioned by (R15); unknown ones stay."""
    pairs = {
        text: aliases[spelling(text)]
        for text in column.drop_nulls().unique()
        if spelling(text) in aliases
    }
    return column.replace(pairs) if pairs else column


def _rejected(
    rows: pl.DataFrame,
    cells: pl.DataFrame,
    given: Mapping[str, pl.Series],
    mapping: SourceMapping,
    key: Sequence[str],
    errors: Mapping[str, pl.Series],
    *,
    is_last: bool,
) -> pl.DataFrame:
    """Return rows that are no records (by the mapping, or totals), and excerpts without consent.

    A row of totals has no key of its own; a thing whose name begins with "Total" has.
    Nobody agreed to the latter (R19), so their content is not stored. Notes below the table stand
    in the last lines of a file only.
    """

    def because(code: str, column: str | None, where: pl.Series | pl.Expr) -> pl.DataFrame:
        return rows.filter(where).select(
            ROW,
            pl.lit(column, pl.String).alias("column_name"),
            pl.lit(code).alias("reason_code"),
        )

    found = [
        rows.clear().select(
            ROW, *(pl.lit("").alias(name) for name in ("column_name", "reason_code"))
        )
    ]
    for name, pattern in mapping.skip_where.items():
        texts = _cleaned(cells[mapping.columns[name]], mapping).fill_null("")
        found.append(because("skipped", name, texts.str.contains(f"^(?:{pattern})$")))
    looked_at = list(dict.fromkeys([cells.columns[0], *mapping.columns.values()]))[:3]
    if any(_lowered(given[header]).str.contains(TOTAL).any() for header in looked_at):
        words = pl.col(looked_at).str.strip_chars().str.to_lowercase()
        held = list(dict.fromkeys(mapping.columns[name] for name in key if name in mapping.columns))
        own = pl.col(held).str.strip_chars().str.to_lowercase()
        is_keyed = (
            pl.all_horizontal((own.fill_null("") != "") & ~own.str.contains(TOTAL))
            if held
            else pl.lit(value=False)
        )
        is_total = pl.any_horizontal(words.str.contains(TOTAL)) & ~is_keyed.fill_null(value=False)
        total = cells.select(is_total.fill_null(value=False))
        found.append(because("total_row", None, total.to_series()))
    if is_last:
        found.append(because("footnote", None, _footnotes(cells)))
    if any(header in given[header] for header in mapping.columns.values()):
        again = pl.all_horizontal(
            pl.col(header).str.strip_chars() == header for header in set(mapping.columns.values())
        )
        is_header = cells.select(again.fill_null(value=False)).to_series()
        found.append(because("repeated_header", None, is_header))
    found += [because("error_cell", name, where) for name, where in errors.items()]
    if "has_consent" in rows.columns:
        agreed = (pl.col("has_consent") == "true").fill_null(value=False)
        found.append(because("no_consent", "has_consent", ~agreed))
    return pl.concat(found).unique(ROW, keep="first", maintain_order=True)


def _lowered(texts: pl.Series) -> pl.Series:
    return texts.str.strip_chars().str.to_lowercase()


def _error_cells(
    cells: pl.DataFrame, given: Mapping[str, pl.Series], mapping: SourceMapping
) -> dict[str, pl.Series]:
    """Return which cells of a column hold an error, or a formula without its result.

    They are broken, not absent; columns without any are left out.
    """
    found = {}
    for name, header in mapping.columns.items():
        texts = given[header].filter(given[header].str.contains("#", literal=True))
        bare = texts.str.strip_chars()
        broken = texts.filter(bare.str.contains(ERROR_CELL) & ~bare.is_in([*mapping.nulls]))
        if not broken.is_empty():
            found[name] = cells[header].is_in(broken.implode()).fill_null(value=False)
    return found


def _footnotes(cells: pl.DataFrame) -> pl.Series:
    """Return which rows lie below the table and hold one cell only, among the last hundred."""
    tail = cells.tail(_MOST_NOTES)
    filled = tail.select(
        pl.sum_horizontal(
            (pl.col(name).str.strip_chars() != "").fill_null(value=False).cast(pl.Int32)
            for name in cells.columns
        )
    ).to_series()
    last = (filled > 1).arg_true()
    first = last[-1] + 1 if len(last) else len(tail)
    notes = (pl.int_range(len(tail), eager=True) >= first) & (filled == 1)
    return pl.concat([pl.repeat(False, len(cells) - len(tail), eager=True), notes])


def _broken(read: Content) -> pl.DataFrame:
    return pl.DataFrame(
        [(row, None, "broken_row") for row in read.broken],
        schema={ROW: pl.Int32, "column_name": pl.String, "reason_code": pl.String},
        orient="row",
    )


def city_files_state(city: CityFolder) -> str:
    """Return a digest of the city's files as they lie there (name, size, time of change).

    Cheap enough for a sensor; a file that is missing counts as such.
    """
    return hashlib.sha256("\n".join(_states(city)).encode()).hexdigest()


def _states(city: CityFolder) -> Iterator[str]:
    for name in ("city.yaml", "policy.yaml"):
        yield _state(city.folder / name)
    yield from map(_state, scenario_files(city.folder))
    chain = city.folder / DECIDED / CHAIN
    yield _state(chain) if chain.is_file() else "nothing decided"
    for source_id in sorted(city.city.sources):
        try:
            found = source_files(city, source_id, city.city.school_years.all())
        except CityError as error:
            yield error.en
        else:
            yield from (_state(path) for path, _, _ in found)


def _state(path: Path) -> str:
    status = path.stat()
    return f"{path} {status.st_size} {status.st_mtime_ns}"


def _shorten(names: Sequence[str], most: int = 300) -> str:
    text = ", ".join(names)
    return text if len(text) <= most else text[:most] + " …"
