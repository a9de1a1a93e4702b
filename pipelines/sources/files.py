"""Read the files of one logical source, as its mapping in `city.yaml` says.

Values are admitted (one spelling, hashed, masked) and stay text until staging, each row with its
file, the file's hash and its row. Rejected rows are returned apart, each with a reason.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from pipelines.settings.archive import CHAIN
from pipelines.settings.archive import FOLDER as DECIDED
from pipelines.settings.city import CityError, CityFolder
from pipelines.settings.fields import ROW, dictionary
from pipelines.settings.mapping import SourceMapping
from pipelines.settings.scenario_files import scenario_files
from pipelines.settings.yaml_files import line_of
from pipelines.sources.admission import admit, header_shown
from pipelines.sources.guess import stated_unit
from pipelines.sources.normalise import from_1904, normalise, school_year, spelling, unsure_days
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
    """

    rows: pl.DataFrame
    files: pl.DataFrame
    rejected: pl.DataFrame
    repairs: pl.DataFrame


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
) -> Reading:
    """Read a source. One that the city does not map gives empty frames.

    A file that holds many years is read whole, whichever of its years are asked for: a file is what
    is loaded, superseded and counted.

    Args:
        city: the city.
        source_id: the logical source.
        years: school years that are asked for.
        hashed: hashes of pupils' ids, for who reads several sources (`admission.hash_ids`).

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
        parts += [
            _read_file(city, source_id, *table, aliases, hashed, is_alone=times[table[0]] == 1)
            for table in tables
        ]
    return Reading(
        *(
            pl.concat([getattr(part, name) for part in parts])
            for name in ("rows", "files", "rejected", "repairs")
        )
    )


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
    *,
    is_alone: bool,
) -> Reading:
    """Read one table; one of several in a file is named for its sheet, group and mapping too."""
    content = path.read_bytes()
    mapping = city.city.sources[source_id][number].parts()[value]
    if "{school_year}" in str(mapping.sheet):
        mapping = mapping.model_copy(
            update={"sheet": _yearly_sheet(content, str(mapping.sheet), year)}
        )
    told = [str(mapping.sheet)] if mapping.format in ("xlsx", "xls") else []
    name = " / ".join([path.name, *told, *filter(None, [value, str(number + 1)])])
    name = path.name if is_alone else name
    read, mapping = _open(city, source_id, number, path, content, mapping)
    cells = read.rows.drop(ROW)
    if year is not None and cells.is_empty():
        raise CityError(
            f"{path}: the file of school year {year} has no rows (source {source_id}). If the year"
            f" was not measured, list the years that were under sources.{source_id}.years.",
            f"{path}: הקובץ של שנת הלימודים {year} ריק. אם השנה לא נמדדה, יש לציין ב-city.yaml את"
            " השנים שנמדדו.",
        )
    _refuse_headers(city, source_id, number, path, mapping)
    _refuse_visual_order(path, cells, mapping)
    errors = _error_cells(cells, mapping)
    columns, touched = _columns(city, source_id, mapping, read, year, aliases, hashed, errors)
    provenance = {"file_name": name, "file_hash": hashlib.sha256(content).hexdigest()}
    rows = pl.DataFrame(columns).with_columns(
        **{key: pl.lit(value) for key, value in provenance.items()}, **{ROW: read.rows[ROW]}
    )
    _refuse_shares(city, source_id, number, path, mapping, columns)
    rejected = _rejected(rows, cells, mapping, dictionary().contract(source_id).key, errors)
    extra = [header for header in cells.columns if header not in mapping.columns.values()]
    return Reading(
        rows.join(rejected, on=ROW, how="anti"),
        pl.DataFrame(
            [
                provenance
                | {
                    "rows_in": len(rows) + len(read.broken),
                    "extra_columns": ", ".join(map(header_shown, extra)),
                    "mapping_number": number,
                }
            ],
            schema=_FILE_TYPES,
        ),
        pl.concat([rejected, _broken(read)]).select(
            pl.lit(name).alias("file_name"), ROW, "column_name", "reason_code"
        ),
        pl.DataFrame(
            [
                *(
                    (name, column, repair, int(where.sum()), rows[ROW].filter(where).min())
                    for (column, repair), where in touched.items()
                ),
                *((name, "", *fact) for fact in read.told),
            ],
            schema=_REPAIR_TYPES,
            orient="row",
        ),
    )


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
    year: int | None,
    aliases: Mapping[str, Mapping[str, str]],
    hashed: dict[str, str] | None,
    errors: Mapping[str, pl.Series],
) -> tuple[dict[str, pl.Series], dict[tuple[str, str], pl.Series]]:
    """Return the contract's columns, and which rows each repair touched."""
    table, fields = dictionary().contract(source_id), dictionary().fields
    columns: dict[str, pl.Series] = {}
    touched: dict[tuple[str, str], pl.Series] = {}
    cells = read.rows
    for name in table.contract:
        if name in mapping.constants:
            text = mapping.constants[name].replace("{school_year}", str(year))
            said = normalise(pl.Series(name, [text], dtype=pl.String), fields[name], mapping)
            columns[name] = said.gather([0] * len(cells))
            continue
        if name not in mapping.columns:
            columns[name] = pl.Series(name, [None] * len(cells), dtype=pl.String)
            continue
        values = mapping.values.get(name, {})
        column = _cleaned(cells[mapping.columns[name]], mapping, values.get("")).alias(name)
        if name in errors:
            column = column.set(errors[name], None)
        if name in mapping.fill_down:
            column = column.forward_fill()
        if values:
            column = column.replace(values)
        if read.is_1904 and fields[name].type == "DATE":
            column = from_1904(column)
        if name in aliases:
            column = _resolved(column, aliases[name])
        columns[name], repairs = admit(
            column,
            fields[name],
            mapping,
            is_synthetic=city.city.city.is_synthetic,
            hashed=hashed,
        )
        touched |= {(name, repair): where for repair, where in repairs.items()}
        if fields[name].type == "DATE" and (unsure := unsure_days(column, mapping)).any():
            touched[name, "day_month_unsure"] = unsure
    return columns, touched


def _refuse_shares(
    city: CityFolder,
    source_id: str,
    number: int,
    path: Path,
    mapping: SourceMapping,
    columns: Mapping[str, pl.Series],
) -> None:
    """Refuse a file whose percents are shares: cells shown as 85 % hold 0.85 (R129)."""
    for name in _NEVER_ALL_SMALL & columns.keys() - mapping.units.keys():
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


def _refuse_visual_order(path: Path, cells: pl.DataFrame, mapping: SourceMapping) -> None:
    """Refuse a file whose Hebrew stands in visual order: words begin with final letters."""
    begins = ends = 0
    for name, header in mapping.columns.items():
        field = dictionary().fields[name]
        if field.type != "VARCHAR" or field.door == "hash" or field.allowed or field.pattern:
            continue
        texts = cells[header].drop_nulls().unique()
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
    mapping: SourceMapping,
    key: Sequence[str],
    errors: Mapping[str, pl.Series],
) -> pl.DataFrame:
    """Return rows that are no records (by the mapping, or totals), and excerpts without consent.

    A row of totals has no key of its own; a thing whose name begins with "Total" has.
    Nobody agreed to the latter (R19), so their content is not stored.
    """

    def because(code: str, column: str | None, where: pl.Series | pl.Expr) -> pl.DataFrame:
        return rows.filter(where).select(
            ROW,
            pl.lit(column, pl.String).alias("column_name"),
            pl.lit(code).alias("reason_code"),
        )

    found = []
    for name, pattern in mapping.skip_where.items():
        texts = _cleaned(cells[mapping.columns[name]], mapping).fill_null("")
        found.append(because("skipped", name, texts.str.contains(f"^(?:{pattern})$")))
    looked_at = list(dict.fromkeys([cells.columns[0], *mapping.columns.values()]))[:3]
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
    found.append(because("footnote", None, _footnotes(cells)))
    again = pl.all_horizontal(
        pl.col(header).str.strip_chars() == header for header in set(mapping.columns.values())
    )
    if any(header in cells[header] for header in mapping.columns.values()):
        is_header = cells.select(again.fill_null(value=False)).to_series()
        found.append(because("repeated_header", None, is_header))
    found += [because("error_cell", name, where) for name, where in errors.items()]
    if "has_consent" in rows.columns:
        agreed = (pl.col("has_consent") == "true").fill_null(value=False)
        found.append(because("no_consent", "has_consent", ~agreed))
    return pl.concat(found).unique(ROW, keep="first", maintain_order=True)


def _error_cells(cells: pl.DataFrame, mapping: SourceMapping) -> dict[str, pl.Series]:
    """Return which cells of a column hold an error, or a formula without its result.

    They are broken, not absent; columns without any are left out.
    """
    found = {}
    marked = cells.select(
        pl.col(header).str.contains("#", literal=True).any()
        for header in set(mapping.columns.values())
    )
    for name, header in mapping.columns.items():
        if marked[header].item():
            text = cells[header].str.strip_chars()
            is_error = text.str.contains(ERROR_CELL) & ~text.is_in([*mapping.nulls])
            if is_error.any():
                found[name] = is_error.fill_null(value=False)
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
