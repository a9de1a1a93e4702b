"""Read the files of one logical source into text columns, as its mapping in `city.yaml` says.

Nothing is interpreted here beyond the mapping: every value stays text until staging, with its
file, the file's hash and its row, so that a bad value can be shown where it stands.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import fastexcel
import polars as pl

from pipelines.city import CityError, CityFolder, SourceMapping
from pipelines.fields import dictionary
from pipelines.sources.door import hash_column

PROVENANCE = ("file_name", "file_hash", "file_row")
# Marks that right-to-left editors leave inside cells; invisible, and never part of a value.
_INVISIBLE = "[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"


def source_files(
    city: CityFolder, source_id: str, years: Sequence[int]
) -> list[tuple[Path, int | None]]:
    """Return the files of a source with the school year each stands for (None = any year).

    Raises:
        CityError: naming the file, the folders searched and how to get it.
    """
    mapping = city.city.sources[source_id]
    wanted: list[tuple[str, int | None]] = [(mapping.file, None)]
    if mapping.is_yearly:
        held = mapping.years or city.city.school_years.all()
        wanted = [(mapping.file.format(school_year=year), year) for year in years if year in held]
    return [(_find(city, source_id, name, mapping), year) for name, year in wanted]


def _find(city: CityFolder, source_id: str, name: str, mapping: SourceMapping) -> Path:
    for root in city.roots:
        if (root / name).is_file():
            return root / name
    searched = ", ".join(str(root) for root in city.roots)
    help_en = mapping.how_to_get or f"put the file in {city.roots[0]}"
    raise CityError(
        f"{city.folder / 'city.yaml'}: sources.{source_id}: file '{name}' is not in any of: {searched}. To get it: {help_en}.",
        f"{source_id}: הקובץ '{name}' לא נמצא בתיקיות: {searched}. יש להניח אותו בתיקייה {city.roots[0]} ולהריץ שוב.",
    )


def read_source(city: CityFolder, source_id: str, years: Sequence[int]) -> pl.DataFrame:
    """Read a source as text: contract columns, then `file_name`, `file_hash`, `file_row`.

    A source that the city does not map gives an empty frame. Of a file that holds many years only
    the rows of `years` are kept, unless all years of the city are asked for; then rows with an
    unreadable year stay too, to be quarantined.

    Raises:
        CityError: if a file is missing, cannot be read in its format or encoding, lacks a mapped
            column, or holds no row of a year it should hold.
    """
    table = dictionary().contract(source_id)
    empty = pl.DataFrame(schema={**dict.fromkeys(table.contract, pl.String), **_PROVENANCE_TYPES})
    mapping = city.city.sources.get(source_id)
    if mapping is None:
        return empty
    frames = [empty]
    for path, year in source_files(city, source_id, years):
        frame = _read_file(city, source_id, mapping, path)
        if year is not None and frame.is_empty():
            raise CityError(
                f"{path}: the file of school year {year} has no rows (source {source_id}). If the year was not measured, list the years that were under sources.{source_id}.years.",
                f"{path}: הקובץ של שנת הלימודים {year} ריק. אם השנה לא נמדדה, יש לציין ב-city.yaml את השנים שנמדדו.",
            )
        frames.append(frame)
    rows = pl.concat(frames)
    if "school_year" in table.contract and set(years) != set(city.city.school_years.all()):
        rows = rows.filter(pl.col("school_year").is_in([str(year) for year in years]))
    return rows


_PROVENANCE_TYPES: dict[str, type[pl.DataType]] = {
    "file_name": pl.String,
    "file_hash": pl.String,
    "file_row": pl.Int32,
}


def _read_file(
    city: CityFolder, source_id: str, mapping: SourceMapping, path: Path
) -> pl.DataFrame:
    table = dictionary().contract(source_id)
    content = path.read_bytes()
    try:
        frame = _as_text(content, mapping)
    except Exception as error:  # any reader's own error becomes one that names the file
        raise CityError(
            f"{path}: cannot be read as {mapping.format} ({mapping.encoding}): {type(error).__name__}: {_first_line(error)} (source {source_id}).",
            f"{path}: לא ניתן לקרוא את הקובץ כ-{mapping.format} בקידוד {mapping.encoding}.",
        ) from None
    frame = frame.rename({name: _clean_header(name) for name in frame.columns})
    absent = sorted({header for header in mapping.columns.values() if header not in frame.columns})
    if absent:
        raise CityError(
            f"{path}: column(s) {', '.join(map(repr, absent))} of sources.{source_id}.columns are not in row {mapping.header_row}. Columns there: {_shorten(frame.columns)}.",
            f"{path}: העמודות {', '.join(absent)} אינן בקובץ. יש לתקן את המיפוי ב-city.yaml או את הקובץ.",
        )
    columns = []
    for name in table.contract:
        if name in mapping.constants:
            column = pl.lit(mapping.constants[name], dtype=pl.String)
        elif name in mapping.columns:
            column = pl.col(mapping.columns[name]).str.replace_all(_INVISIBLE, "").str.strip_chars()
            column = column.replace(["", *mapping.nulls], None)
            if name in mapping.values:
                column = column.replace(mapping.values[name])
        else:
            column = pl.lit(None, dtype=pl.String)
        columns.append(column.alias(name))
    rows = frame.select(
        *columns,
        pl.lit(path.name).alias("file_name"),
        pl.lit(hashlib.sha256(content).hexdigest()).alias("file_hash"),
        (pl.int_range(pl.len(), dtype=pl.Int32) + mapping.header_row + 1).alias("file_row"),
    )
    for name in table.contract:
        if dictionary().fields[name].door == "hash":
            rows = hash_column(rows, name, is_synthetic=city.city.city.is_synthetic)
    return rows


def _as_text(content: bytes, mapping: SourceMapping) -> pl.DataFrame:
    if mapping.format == "csv":
        text = content.decode("utf-8-sig" if mapping.encoding == "utf-8" else mapping.encoding)
        return pl.read_csv(
            io.BytesIO(text.encode()), infer_schema=False, skip_rows=mapping.header_row - 1
        )
    if mapping.format == "parquet":
        return pl.read_parquet(io.BytesIO(content)).cast(pl.String)
    sheet = fastexcel.read_excel(content).load_sheet(
        mapping.sheet, header_row=mapping.header_row - 1, dtypes="string"
    )
    return sheet.to_polars()


def _clean_header(name: str) -> str:
    return " ".join(pl.Series([name]).str.replace_all(_INVISIBLE, "")[0].split())


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else "no further detail"


def city_files_state(city: CityFolder) -> str:
    """Return a digest of the city's files as they lie there (name, size, time of change).

    Cheap enough for a sensor; a file that is missing counts as such.
    """
    lines = []
    for name in ("city.yaml", "policy.yaml"):
        lines.append(_state(city.folder / name))
    for source_id in sorted(city.city.sources):
        try:
            paths = [
                path for path, _ in source_files(city, source_id, city.city.school_years.all())
            ]
        except CityError as error:
            lines.append(error.en)
        else:
            lines += [_state(path) for path in paths]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _state(path: Path) -> str:
    status = path.stat()
    return f"{path} {status.st_size} {status.st_mtime_ns}"


def _shorten(names: Sequence[str], most: int = 300) -> str:
    text = ", ".join(names)
    return text if len(text) <= most else text[:most] + " …"
