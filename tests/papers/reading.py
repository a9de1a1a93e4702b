"""Papers read back, and the cells that their numbers are."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl
import pypdf
from pptx import Presentation
from pptx.oxml.ns import qn

from pipelines.publish import words
from pipelines.publish.papers.content import LEFT_TO_RIGHT
from pipelines.settings.fields import dictionary


def _own_form(mart: str, row: dict, column: str) -> str:
    """Return the form of a cell that its row names by its unit, or that of its column."""
    if (mart, column) in {("mart_goal", "baseline"), ("mart_goal", "target_value")}:
        return "months_from_target" if row["unit"] == "pupil SD" else "percent"
    if (mart, column) == ("mart_allocation_answer", "answer_value"):
        return {"percent": "percent"}[row["unit"]]
    return dictionary().form(column) or "code"


_TALLY = re.compile(r"(mart_\w+)\[(.*)\]/(rows|sum|distinct)\((\w*)\)")


def rows_of(tables: Mapping[str, pl.DataFrame], cell: str) -> tuple[str, list[dict], str]:
    """Return the mart of a cell's address, its rows by plain comparison, and its column."""
    mart, rest = cell.split("/", 1)
    key, column = rest.rsplit("/", 1)
    names = dictionary().tables[mart].key
    rows = [
        row
        for row in tables[mart].iter_rows(named=True)
        if ";".join(f"{name}={row[name]}" for name in names) == key
    ]
    return mart, rows, column


def as_written(tables: Mapping[str, pl.DataFrame], cell: str) -> str:
    """Return how the number of an address is written."""
    if tally := _TALLY.fullmatch(cell):
        return _tallied(tables, *tally.groups())
    mart, rows, column = rows_of(tables, cell)
    assert len(rows) == 1, cell
    return words.FORMS[_own_form(mart, rows[0], column)](rows[0][column])


def _tallied(tables, mart: str, kept: str, how: str, column: str) -> str:
    rows = []
    for row in tables[mart].iter_rows(named=True):
        for one in filter(None, kept.split(";")):
            name, _, value = one.partition("=")
            if not value:
                name = one.removesuffix(">0")
                if row[name] is None or row[name] <= 0:
                    break
            elif str(row[name]) != value:
                break
        else:
            rows.append(row)
    if how == "rows":
        return words.integer(len(rows))
    values = [row[column] for row in rows]
    assert None not in values, "what is not known is in no sum"
    if how == "distinct":
        return words.integer(len(set(values)))
    return words.FORMS[dictionary().form(column) or "integer"](sum(values))


def pdf_pages(path: Path) -> list[str]:
    """Return the text of each page of a PDF."""
    pages = pypdf.PdfReader(path).pages
    return [page.extract_text(extraction_mode="layout") for page in pages]


def pptx_pages(path: Path) -> list[str]:
    """Return the text of each slide, notes and charts not among it."""
    return [
        "\n".join(
            "".join(node.text or "" for node in paragraph.iter(qn("a:t")))
            for paragraph in slide.element.iter(qn("a:p"))
        ).replace(LEFT_TO_RIGHT, "")
        for slide in Presentation(str(path)).slides
    ]


def docx_text(path: Path) -> str:
    """Return all text of a Word document."""
    from docx import Document

    document = Document(str(path))
    texts = "\n".join(node.text or "" for node in document.element.iter() if node.tag[-2:] == "}t")
    return texts.replace(LEFT_TO_RIGHT, "")


def chart_rows(path: Path) -> Iterator[tuple[int, list[str], list[list[float | None]]]]:
    """Yield page, categories and the values of each series of the native charts."""
    for place, slide in enumerate(Presentation(str(path)).slides, start=1):
        for shape in slide.shapes:
            if shape.has_chart:
                plot = shape.chart.plots[0]
                yield place, list(plot.categories), [list(one.values) for one in plot.series]
