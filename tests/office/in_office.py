"""Fill in workbooks inside LibreOffice, as a person at its window would; run by Debian's Python.

    /usr/bin/python3 in_office.py PIPE < jobs.json > found.json

It talks to an office that listens on a pipe. A job is `{"path", "saved", "sheet", "typed"}`: the
workbook, where to save it, the sheet, and what to type as [row, column, text] from 0 on. A cell
that is locked takes nothing, as at the window. What is found of a job: whether the sheet is
protected, and per cell of the first rows of its used area its text as shown, whether it is locked
and whether a list stands behind it.
"""

import json
import sys
import time

import uno
from com.sun.star.beans import PropertyValue
from com.sun.star.connection import NoConnectException
from com.sun.star.sheet.ValidationType import LIST

TRIES = 240
ROWS = 20  # looked at: each cell is asked of the office by itself


def desktop(pipe):
    local = uno.getComponentContext()
    resolver = local.ServiceManager.createInstance("com.sun.star.bridge.UnoUrlResolver")
    for _ in range(TRIES):
        try:
            there = resolver.resolve(f"uno:pipe,name={pipe};urp;StarOffice.ComponentContext")
        except NoConnectException:
            time.sleep(0.5)
        else:
            return there.ServiceManager.createInstanceWithContext(
                "com.sun.star.frame.Desktop", there
            )
    raise SystemExit("the office does not answer")


def done(office, job):
    hidden = PropertyValue(Name="Hidden", Value=True)
    book = office.loadComponentFromURL(uno.systemPathToFileUrl(job["path"]), "_blank", 0, (hidden,))
    sheet = book.Sheets.getByName(job["sheet"])
    refused = []
    for row, column, text in job["typed"]:
        cell = sheet.getCellByPosition(column, row)
        if sheet.isProtected() and cell.CellProtection.IsLocked:
            refused.append([row, column])
        else:
            cell.FormulaLocal = text  # read as typed: a number is a number, a day a day
    cursor = sheet.createCursor()
    cursor.gotoEndOfUsedArea(False)
    last = cursor.RangeAddress
    cells = [
        [
            [cell.String, cell.CellProtection.IsLocked, cell.Validation.Type == LIST]
            for column in range(last.EndColumn + 1)
            for cell in [sheet.getCellByPosition(column, row)]
        ]
        for row in range(min(last.EndRow + 1, ROWS))
    ]
    is_protected = sheet.isProtected()
    kind = PropertyValue(Name="FilterName", Value="Calc MS Excel 2007 XML")
    book.storeToURL(uno.systemPathToFileUrl(job["saved"]), (kind,))
    book.close(True)
    return {"is_protected": is_protected, "refused": refused, "cells": cells}


def main():
    office = desktop(sys.argv[1])
    found = [done(office, job) for job in json.load(sys.stdin)]
    json.dump(found, sys.stdout)
    office.terminate()


main()
