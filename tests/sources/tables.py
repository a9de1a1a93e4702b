"""The table in a CSV or a workbook of a test city, as texts, read and written."""

from datetime import datetime

import fastexcel
import polars as pl
import xlsxwriter


def frame_of(path):
    if path.suffix == ".csv":
        return pl.read_csv(path, infer_schema=False)
    return fastexcel.read_excel(path).load_sheet(0, dtypes="string").to_polars()


def write(frame, path):
    if path.suffix == ".csv":
        frame.write_csv(path)
        return
    with xlsxwriter.Workbook(path) as book:
        book.set_properties({"created": datetime(2026, 1, 1)})  # the same table, the same bytes
        sheet = book.add_worksheet()
        for number, row in enumerate([frame.columns, *frame.iter_rows()]):
            for place, value in enumerate(row):
                sheet.write(number, place, value)
