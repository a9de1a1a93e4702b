"""The same town's files in the habits of other offices."""

import csv
import io
from pathlib import Path

import fastexcel
import xlsxwriter

from tests.cities.five_schools import write_year


def _pages(folder: Path, years):
    """Yield name and cells of every page of some years; a merged cell keeps its first one."""
    for year in years:
        held = folder / str(year)
        write_year(held, year)
        for path in sorted(held.glob("*.xlsx")):
            sheet = fastexcel.read_excel(path).load_sheet(0, header_row=None, dtypes="string")
            rows = sheet.to_polars().rows()
            yield path.stem, [["" if cell is None else cell for cell in row] for row in rows]


def write_semicolons(folder: Path, aside: Path, *years: int) -> None:
    """Write CSV files with semicolons in the Hebrew code page of Windows."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in _pages(aside, years):
        text = io.StringIO()
        csv.writer(text, delimiter=";").writerows(rows)
        content = text.getvalue().replace("״", '"').encode("cp1255")
        (folder / f"{name}.csv").write_bytes(content)


def write_one_workbook(folder: Path, aside: Path, *years: int) -> None:
    """Write one workbook with a sheet for every file of every year, and two sheets of words."""
    folder.mkdir(parents=True, exist_ok=True)
    book = xlsxwriter.Workbook(folder / "נתוני חינוך.xlsx")
    book.add_worksheet("שער").write(0, 0, "מינהל החינוך")
    for name, rows in _pages(aside, years):
        sheet = book.add_worksheet(name)
        for at, row in enumerate(rows):
            for column, cell in enumerate(row):
                try:
                    sheet.write_number(at, column, float(cell))
                except ValueError:
                    sheet.write_string(at, column, cell)
    book.add_worksheet("הערות").write(0, 0, "הנתונים נכונים למועד ההפקה")
    book.close()
