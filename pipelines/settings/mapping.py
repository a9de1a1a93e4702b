"""How the files of one logical source are read: the `sources` part of `city.yaml`."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipelines.settings.fields import dictionary
from pipelines.settings.parameters import Count, Flag, Model, Whole, Year
from pipelines.settings.yaml_files import RefusedError

Unit = Literal["nis", "thousand", "million", "agorot", "share"]
# What a value in the file's unit is multiplied by to give the contract's unit.
FACTORS: dict[Unit, str] = {
    "nis": "1",  # whatever the header says
    "thousand": "1000",
    "million": "1000000",
    "agorot": "0.01",
    "share": "100",
}

FORM_SHEET, FORM_HEADER_ROW = "טופס", 4
"""Sheet and row of the header in a form that the product writes (`pipelines/sources/forms.py`)."""


def form_mapping(source_id: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the mapping of a form of the product, of which a city names the file alone.

    Args:
        source_id: a source that has a form.
        given: `form` (the file), `sheet` if it is one of several forms in a workbook, and options
            such as `accept_older`.

    Raises:
        RefusedError: if no form is written for the source.
    """
    table = dictionary().tables.get(f"stg_{source_id}")
    if table is None or not table.form:
        raise RefusedError(
            f"no form is written for source '{source_id}'; map its columns",
            f"אין טופס למקור '{source_id}'; יש למפות את העמודות",
            *("sources", source_id, "form"),
        )
    others = {name: value for name, value in given.items() if name != "form"}
    return (
        {"sheet": FORM_SHEET}
        | others
        | {
            "file": given["form"],
            "format": "xlsx",
            "header_row": FORM_HEADER_ROW,
            "columns": {name: dictionary().fields[name].he for name in table.contract},
        }
    )


class Beside(Model):
    """Another sheet of the same workbook, whose columns are set beside those of the first.

    Attributes:
        sheet: name or number (from 0) of the sheet.
        key: contract column by which its rows are found.
        header_row: first row of its header.
        header_rows: rows that make its header together.
        columns: contract column → header on this sheet, the key among them.
    """

    sheet: str | Annotated[Whole, Field(ge=0, le=1000)]
    key: str
    header_row: Count = 1
    header_rows: Annotated[Whole, Field(ge=1, le=5)] = 1
    columns: dict[str, str]

    @property
    def added(self) -> dict[str, str]:
        """The columns it adds: contract column → header, without the key."""
        return {name: header for name, header in self.columns.items() if name != self.key}

    def cell_name(self, header: str) -> str:
        """Return what a header of this sheet is called beside those of the first."""
        return f"{self.sheet} / {header}"


class Unpivot(Model):
    """A table that has a group of columns for each value of a category, such as a subject.

    Attributes:
        column: contract column whose values the groups are.
        values: value → {contract column → header of its group}.
    """

    column: str
    values: Annotated[dict[str, dict[str, str]], Field(min_length=1)]

    @model_validator(mode="after")
    def _groups_are_alike(self) -> Unpivot:
        if len({frozenset(columns) for columns in self.values.values()}) > 1:
            raise RefusedError(
                "every group must name the same columns",
                "כל קבוצת עמודות חייבת למנות אותן עמודות",
                "values",
            )
        return self


class SourceMapping(Model):
    """How one file, or files of one layout, of a logical source are read.

    Attributes:
        file: name or pattern below one of the city's roots; `{school_year}` stands for each
            school year, `*` for any text.
        format: kind of file.
        encoding: codec of a CSV; `auto` reads the byte-order mark, else UTF-8, cp862 or cp1255.
        delimiter: of a CSV; `auto` takes the one that splits the header most.
        sheet: name of the sheet of a workbook, or its number (from 0) among those that are not
            hidden; with `{school_year}` there is one for each year, and `{school_year}` alone finds
            it by any spelling of the year.
        header_row: first row of the header, 1 being the first row of the file.
        header_rows: rows that make the header together, joined by " / ".
        columns: contract column → header in the file.
        constants: contract column → value for every row; `{school_year}` is the file's year.
        values: contract column → {value in the file: our value}; '' is an empty cell.
        unpivot: groups of columns that become rows, each group read like a file of its own.
        nulls: texts that mean "no value".
        skip_where: column → pattern of the whole text ('' for an empty one); a row that fits one of
            them is no record (a footnote, a kind of unit the source is not about). It is counted
            apart, with its row, and is no fault.
        beside: further sheets of the workbook, found by a key.
        fill_down: columns whose merged cells hold for the rows below.
        units: column → unit of the file where it is not the contract's.
        dates: order of day, month and year.
        years: school years the source exists for; the city's years if not given.
        not_reporting: institution code → why this source has no row of it.
        accept_older: SHA-256 of files that may replace newer content.
        confirmed: SHA-256 of files that are right though as a whole they left their level.
        in_blocks: whether a CSV of single children is read block by block; if not given, where it
            is large.
        how_to_get: what to do when the file is missing.
    """

    file: str
    format: Literal["csv", "xlsx", "xls", "parquet"]
    encoding: str = "auto"
    delimiter: Literal["auto", ",", ";", "tab", "|"] = "auto"
    sheet: str | Annotated[Whole, Field(ge=0, le=1000)] = 0
    header_row: Count = 1
    header_rows: Annotated[Whole, Field(ge=1, le=5)] = 1
    columns: dict[str, str]
    constants: dict[str, str] = Field(default_factory=dict)
    values: dict[str, dict[str, str]] = Field(default_factory=dict)
    unpivot: Unpivot | None = None
    nulls: tuple[str, ...] = ()
    skip_where: dict[str, str] = Field(default_factory=dict)
    beside: tuple[Beside, ...] = ()
    fill_down: tuple[str, ...] = ()
    units: dict[str, Unit] = Field(default_factory=dict)
    dates: Literal["dmy", "mdy", "ymd"] = "dmy"
    years: tuple[Year, ...] | None = None
    not_reporting: dict[str, str] = Field(default_factory=dict)
    accept_older: tuple[str, ...] = ()
    confirmed: tuple[str, ...] = ()
    in_blocks: Flag | None = None
    how_to_get: str | None = None

    @property
    def is_yearly(self) -> bool:
        """Whether the source comes as one file, or one sheet, per school year."""
        return "{school_year}" in self.file or "{school_year}" in str(self.sheet)

    def parts(self) -> dict[str, SourceMapping]:
        """Return how each group of columns is read, by its value; without groups itself."""
        if self.unpivot is None:
            return {"": self}
        return {
            value: self.model_copy(
                update={
                    "unpivot": None,
                    "columns": self.columns | columns,
                    "constants": self.constants | {self.unpivot.column: value},
                }
            )
            for value, columns in self.unpivot.values.items()
        }

    @property
    def first_data_row(self) -> int:
        """Row of the file below the header."""
        return self.header_row + self.header_rows

    @model_validator(mode="after")
    def _stays_in_its_folder(self) -> SourceMapping:
        if PurePosixPath(self.file).is_absolute() or ".." in PurePosixPath(self.file).parts:
            raise RefusedError(
                f"'{self.file}' leads out of the city's folders: name a file below them, or link it"
                " there",
                f"'{self.file}' יוצא מתיקיות העיר; יש לציין קובץ שבתוכן, או לקשר אותו לשם",
                "file",
            )
        return self

    @model_validator(mode="after")
    def _options_name_mapped_columns(self) -> SourceMapping:
        for option in ("values", "fill_down", "units", "skip_where"):
            if astray := sorted(set(getattr(self, option)) - self.mapped):
                raise RefusedError(
                    f"not among the mapped columns: {', '.join(astray)}",
                    f"אינו בין העמודות הממופות: {', '.join(astray)}",
                    option,
                )
        for name, pattern in self.skip_where.items():
            try:
                re.compile(pattern)
            except re.error as error:
                raise RefusedError(
                    f"{pattern} is no pattern: {error}",
                    f"{pattern} אינו תבנית תקינה",
                    *("skip_where", name),
                ) from None
        for other in self.beside:
            if self.format not in ("xlsx", "xls"):
                raise RefusedError(
                    f"a file of format {self.format} has no sheets",
                    f"לקובץ מסוג {self.format} אין גיליונות",
                    "beside",
                )
            if other.key not in self.columns or other.key not in other.columns:
                raise RefusedError(
                    f"the key {other.key} must be mapped on both sheets",
                    f"המפתח {other.key} חייב להיות ממופה בשני הגיליונות",
                    "beside",
                )
            if twice := sorted(set(other.added) & set(self.columns)):
                raise RefusedError(
                    f"mapped on the first sheet too: {', '.join(twice)}",
                    f"ממופה גם בגיליון הראשון: {', '.join(twice)}",
                    "beside",
                )
        return self

    @property
    def mapped(self) -> set[str]:
        """Contract columns that are read from the file, whichever sheet they stand on."""
        grouped = self.unpivot.values.values() if self.unpivot else ()
        return {
            *self.columns,
            *(name for other in self.beside for name in other.added),
            *(name for columns in grouped for name in columns),
        }

    def misfit(self, source_id: str) -> str | None:
        """Return what keeps the mapping from meeting the contract of a source, or None."""
        table = dictionary().contract(source_id)
        given = self.mapped | set(self.constants)
        if self.unpivot:
            given.add(self.unpivot.column)
        if unknown := sorted(given - set(table.contract)):
            return f"columns the contract does not know: {', '.join(unknown)}"
        if absent := sorted(set(table.contract) - table.contract_nullable - given):
            return f"columns the contract needs: {', '.join(absent)}"
        return None
