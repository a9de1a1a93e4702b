"""What a release really tells each audience of counts of children, read back from its files.

Databases and Parquet files of whoever gets them; of an audience of schools the sheets and the page
of every school, taken together: whoever has one folder knows no more than who has all of them.
"""

from __future__ import annotations

import html
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import fastexcel
import polars as pl

from pipelines.publish.audiences import Reader
from pipelines.publish.disclosure import Tables, Told, read, together
from pipelines.publish.known import of_schools
from pipelines.publish.marts import DATABASE, read_database, read_marts
from pipelines.publish.suppression import Thresholds
from pipelines.publish.workbook import COVER, TOTAL, WORKBOOK, as_written, head_of
from pipelines.settings.audiences import AudienceName
from pipelines.settings.fields import dictionary

NOTHING = Told({}, (), {}, frozenset())
_CELL = re.compile(r'data-cell="([^"]*)" data-value="([^"]*)"')
_OWN = re.compile(r"policy\.audiences\.(\w+)\.count_pupils")


def before_by_thresholds(
    readers: Sequence[Reader], releases: Sequence[Path]
) -> dict[Thresholds, list[Told]]:
    """Return what earlier releases told the audiences that now have the same thresholds.

    Analysts are told all that audiences of the same thresholds are.

    Args:
        readers: the audiences, analysts first.
        releases: the folders of earlier releases, the last one first.
    """
    found: dict[Thresholds, list[Told]] = {}
    for thresholds in {reader.thresholds for reader in readers}:
        alike = [reader.name for reader in readers if reader.thresholds == thresholds]
        has_analysts = "analyst" in alike
        found[thresholds] = together(
            [
                told_by(release, name) if _is_more(release, name, has_analysts) else NOTHING
                for release in releases
            ]
            for name in alike
        )
    return found


def _is_more(release: Path, audience: AudienceName, has_analysts: bool) -> bool:
    """Whether a release may have told an audience more than the analysts, where these are asked."""
    return audience == "analyst" or not has_analysts or has_own_thresholds(release, audience)


def told_by(release: Path, audience: AudienceName) -> Told:
    """Return what a release of former days told an audience, as far as it is kept.

    Which parts make which whole the analysts' tables say, also where the audience has not these.
    """
    analysts = _tables(release / "analyst")
    if audience == "analyst":
        return read(analysts) if analysts else NOTHING
    is_of_schools = audience in of_schools(release)
    shown = (
        shown_to_schools(release / audience, analysts)
        if is_of_schools
        else _tables(release / audience)
    )
    return read(analysts or shown, shown, asked_of(analysts).get(audience, 0))


def asked_of(tables: Tables) -> dict[str, int]:
    """Return the smallest count that each audience with a threshold of its own is told, by the
    tables of a release.
    """
    if "mart_parameter" not in tables:
        return {}
    rows = tables["mart_parameter"].select("parameter_id", "parameter_value").iter_rows()
    return {found[1]: int(value) for name, value in rows if (found := _OWN.fullmatch(name))}


def has_own_thresholds(release: Path, audience: AudienceName) -> bool:
    """Whether a release asked for other counts of an audience than of the analysts."""
    path = release / "analyst" / "mart_parameter.parquet"
    asked = asked_of({"mart_parameter": pl.read_parquet(path)}) if path.is_file() else {}
    return asked.get(audience) != asked.get("analyst")


@dataclass(frozen=True)
class Written:
    """A release as it was written, each file of it read once.

    Attributes:
        folder: of the release.
        marts: the tables it was written from, which say what each key stands for.
    """

    folder: Path
    marts: Tables
    _databases: dict[AudienceName, dict[str, pl.DataFrame]] = field(default_factory=dict)
    _sheets: dict[Path, dict[str, pl.DataFrame]] = field(default_factory=dict)

    def tables(self, audience: AudienceName) -> dict[str, pl.DataFrame]:
        """Return the tables of an audience's database."""
        if audience not in self._databases:
            self._databases[audience] = read_database(self.folder / audience / DATABASE)
        return self._databases[audience]

    def sheets(self, audience: AudienceName, school: str) -> dict[str, pl.DataFrame]:
        """Return the sheets of a school's workbook, as `sheets_of` does."""
        path = self.folder / audience / school / WORKBOOK
        if path not in self._sheets:
            self._sheets[path] = sheets_of(path, self.marts)
        return self._sheets[path]

    def told_to_schools(self, audience: AudienceName) -> dict[str, pl.DataFrame]:
        """Return what all folders of an audience of schools tell, as `shown_to_schools` does."""
        return shown_to_schools(self.folder / audience, self.marts, self)


def shown_to_schools(
    place: Path, marts: Tables, written: Written | None = None
) -> dict[str, pl.DataFrame]:
    """Return what the folders of all schools tell, as tables with the marts' names and all rows.

    Args:
        place: folder of the audience.
        marts: the tables that it was written from, which say what each key stands for.
        written: the release, where more is read of it.
    """
    written = written or Written(place.parent, marts)
    sheets: dict[str, list[pl.DataFrame]] = defaultdict(list)
    pages: dict[str, dict[str, str]] = defaultdict(dict)
    for folder in sorted(path for path in place.iterdir() if path.is_dir()):
        of_school = written.sheets(place.name, folder.name)  # type: ignore[arg-type]
        for name, sheet in of_school.items():
            sheets[name].append(sheet)
        for page in folder.glob("*.html"):
            for table, column, key in cells_of(page.read_text(encoding="utf-8")):
                pages[f"{table}/{column}"][key] = column
    found = {name: _laid_out(name, marts[name], parts) for name, parts in sheets.items()}
    for at, keys in pages.items():
        table, _, column = at.partition("/")
        if table in marts and column in marts[table].columns:
            found[table] = _with_cells(table, marts[table], found.get(table), column, keys)
    return found


def sheets_of(path: Path, marts: Tables) -> dict[str, pl.DataFrame]:
    """Return the sheets of a workbook as tables with the marts' names.

    Codes and words are texts as they are written, numbers are numbers.
    """
    book = fastexcel.read_excel(path)
    titles = {title: name for name, title in dictionary().sheets.items()}
    return {
        titles[title]: _read_sheet(book, title, marts[titles[title]])
        for title in book.sheet_names
        if title != COVER and titles.get(title) in marts
    }


def cells_of(text: str) -> Iterable[tuple[str, str, str]]:
    """Yield the table, the column and the key of every cell that a page tells."""
    for cell, value in _CELL.findall(text):
        table, _, rest = html.unescape(cell).partition("/")
        key, _, column = rest.rpartition("/")
        if value:
            yield table, column, key


def _tables(place: Path) -> dict[str, pl.DataFrame]:
    """Return the tables of an audience; the Parquet files where those alone are kept."""
    database = place / DATABASE
    return read_database(database) if database.is_file() else read_marts(place)


def _read_sheet(book: fastexcel.ExcelReader, title: str, mart: pl.DataFrame) -> pl.DataFrame:
    """Return a sheet as a table; a column that the mart has not is left out."""
    cells = book.load_sheet(title, header_row=None, dtypes="string").to_polars()
    left = list(mart.columns)  # several columns may have one head; they stand in the mart's order
    named: dict[str, str] = {}
    for place, head in zip(cells.columns, cells.row(0), strict=True):
        column = next((column for column in left if head_of(column) == head), None)
        if column is not None:
            named[place] = column
            left = left[left.index(column) + 1 :]
    sheet = cells[1:].select(list(named)).rename(named)
    key = sheet.columns[0]  # the row of totals holds words there, or nothing
    types = mart.schema
    numbers = [c for c in sheet.columns if types[c].is_numeric()]
    return sheet.filter(pl.col(key).is_not_null() & (pl.col(key) != TOTAL)).with_columns(
        pl.col(numbers).cast(pl.Float64)
    )


def _laid_out(name: str, mart: pl.DataFrame, sheets: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return the keys of a mart with what any of some sheets says beside them."""
    key = list(dictionary().tables[name].key)
    told = pl.concat(sheets, how="diagonal").group_by(key).agg(pl.all().drop_nulls().first())
    written = mart.select(key).with_columns(
        pl.col(column)
        .map_elements(partial(as_written, column), return_dtype=told.schema[column])
        .alias(f"{column} as written")
        for column in key
    )
    return written.join(
        told.rename({column: f"{column} as written" for column in key}),
        on=[f"{column} as written" for column in key],
        how="left",
        nulls_equal=True,
        maintain_order="left",
    ).drop(f"{column} as written" for column in key)


def _with_cells(
    name: str,
    mart: pl.DataFrame,
    shown: pl.DataFrame | None,
    column: str,
    keys: Mapping[str, str],
) -> pl.DataFrame:
    """Return what is shown of a mart, and the cells of a column that pages tell."""
    key = list(dictionary().tables[name].key)
    shown = mart.select(key) if shown is None else shown
    parts = (
        pl.format("{}={}", pl.lit(c), pl.col(c).cast(pl.String).fill_null("None")) for c in key
    )
    told = mart.select(
        *key,
        from_page=pl.when(pl.concat_str(*parts, separator=";").is_in(list(keys))).then(
            pl.col(column)
        ),
    )
    shown = shown.join(told, on=key, how="left", nulls_equal=True, maintain_order="left")
    seen = pl.coalesce(column, "from_page") if column in shown.columns else pl.col("from_page")
    return shown.with_columns(seen.alias(column)).drop("from_page")
