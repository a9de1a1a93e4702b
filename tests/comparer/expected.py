"""Which differences between two releases were meant, and why: a list in a YAML file."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError

from pipelines.settings.yaml_files import CityError, line_of, read_yaml
from tests.comparer.compare import Difference

Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Expected(BaseModel):
    """One entry: every difference it describes was meant, for this reason.

    Attributes:
        where: in marts, pages, workbooks, other files, or any of them.
        table: name or glob of a table; `template`; for other files the file's name. A text that
            belongs to several tables is described by any of them.
        page: name or glob of the file within its audience; marts have none.
        column: name or glob of the column, or of the manifest's field.
        reason: why the difference was meant.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    where: Literal["marts", "page", "workbook", "file", "any"]
    table: Said
    page: Said = "*"
    column: Said = "*"
    reason: Said

    def describes(self, difference: Difference) -> bool:
        """Return whether a difference is one of those meant."""
        return (
            self.where in ("any", difference.where)
            and any(fnmatchcase(table, self.table) for table in difference.tables)
            and fnmatchcase(difference.page, self.page)
            and fnmatchcase(difference.column, self.column)
        )


class ExpectedError(Exception):
    """The list of expected differences cannot be used."""


def read_expected(path: Path) -> list[Expected]:
    """Return the entries of a list; an empty file has none.

    Raises:
        ExpectedError: naming the file, the line, the field and what to do.
    """
    if not path.is_file():
        raise ExpectedError(f"{path}: cannot be read; name a list with --expected")
    try:
        return TypeAdapter(list[Expected]).validate_python(read_yaml(path) or [])
    except CityError as error:
        raise ExpectedError(error.en) from error
    except ValidationError as error:
        wrong = "\n".join(
            f"{path}, line {line_of(path, item['loc'])}:"
            f" {'.'.join(map(str, item['loc'][1:])) or 'the entry'}: {item['msg']}"
            for item in error.errors()
        )
        raise ExpectedError(
            f"{wrong}\nAn entry has where (marts, page, workbook, file, any), table and reason, and"
            " may have page and column."
        ) from error
