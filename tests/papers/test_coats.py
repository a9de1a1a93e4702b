"""One fact has one number in every coat: PDF, PPTX, DOCX, XLSX and pages, read back from their
files and held against the marts.
"""

import html
import re
from collections import Counter

import fastexcel
import pytest

from pipelines.publish import words
from pipelines.publish.pages import base
from pipelines.publish.papers.make import POLICY
from pipelines.publish.papers.policy_document import policy_document
from pipelines.publish.workbook import WORKBOOK, head_of, tables_of_book
from pipelines.settings.fields import dictionary
from pipelines.settings.keys import AGOROT
from tests.papers.reading import (
    as_written,
    docx_text,
    pdf_pages,
    pptx_pages,
    rows_of,
)

_CELL = re.compile(r'data-cell="([^"]*)" data-value="[^"]*">([^<]*)<')


@pytest.fixture(scope="module")
def document(tables, context, published):
    return policy_document(tables, context, published.current.resolve().name)


@pytest.fixture(scope="module")
def told(packs, document):
    """Where each address is told, and how it is written there, by paper."""
    found = {POLICY: [number for number in document.numbers() if number.cell]}
    for name, pack in packs.items():
        found[name] = [number for _, number in pack.numbers() if number.cell]
    return found


def test_an_address_is_one_number_in_all_papers_and_pages(told, published, tables):
    written: dict[str, set[str]] = {}
    for numbers in told.values():
        for number in numbers:
            written.setdefault(number.cell, set()).add(number.shown)
    twice = 0
    for path in sorted((published.current / "committee").rglob("*.html")):
        for address, shown in _CELL.findall(path.read_text(encoding="utf-8")):
            if (cell := html.unescape(address)) in written:
                twice += 1
                assert {html.unescape(shown)} == written[cell], (path.name, cell)
    assert twice > 100
    assert {cell: shown for cell, shown in written.items() if len(shown) > 1} == {}


def test_pdf_pptx_and_docx_hold_the_numbers_of_the_marts(told, papers, tables, document):
    folder = papers / "committee"
    for name, numbers in told.items():
        wanted = Counter()
        for number in numbers:
            assert number.shown == as_written(tables, number.cell), number
            if base.NUMBER.fullmatch(number.shown):
                wanted[number.shown] += 1
        assert wanted.total() > 60
        pdf = Counter(base.NUMBER.findall("\n".join(pdf_pages(folder / f"{name}.pdf"))))
        if name == POLICY:
            other = Counter(base.NUMBER.findall(docx_text(folder / f"{name}.docx")))
        else:
            other = Counter(base.NUMBER.findall("\n".join(pptx_pages(folder / f"{name}.pptx"))))
        assert wanted - pdf == Counter(), name
        assert wanted - other == Counter(), name


def test_the_workbook_holds_the_numbers_of_the_papers(told, tables, published):
    """A number of a paper whose table has a sheet stands there, in its row and column."""
    book = fastexcel.read_excel(published.current / "committee" / WORKBOOK)
    shown = tables_of_book("committee", tables)
    sheets = {
        name: book.load_sheet(dictionary().sheets[name]).to_polars()
        for name in shown
        if name in dictionary().sheets
    }
    checked = Counter()
    for numbers in told.values():
        for number in numbers:
            if "[" in number.cell:
                continue
            mart, rows, column = rows_of(tables, number.cell)
            if mart not in sheets or column not in shown[mart].columns:
                continue
            place = tables[mart].to_dicts().index(rows[0])
            value = sheets[mart][head_of(column)][place]
            unit = dictionary().fields[column].unit
            if unit.startswith("agorot"):
                value = round(value * AGOROT)
            if dictionary().unit(column).turned:
                value = -value
            form = dictionary().form(column) or "code"
            assert words.FORMS[form](value) == number.shown, number
            checked[mart] += 1
    assert checked.total() > 100
    assert len(checked) >= 6
