"""The policy document read back: PDF and DOCX tell the numbers of the marts (R104)."""

import re
import shutil
import zipfile
from collections import Counter

import polars as pl
import pypdf
import pytest
from docx import Document

from pipelines.publish.pages import base
from pipelines.publish.papers.content import (
    LEFT_TO_RIGHT,
    Heading,
    Number,
    Paragraph,
    Table,
    said,
)
from pipelines.publish.papers.docx import write_docx
from pipelines.publish.papers.make import (
    CELLS,
    MANIFEST,
    MEETINGS,
    POLICY,
    VERIFY,
    make_papers,
)
from pipelines.publish.papers.policy_document import policy_document
from pipelines.publish.papers.typst_pdf import typst_source, write_pdf
from tests.papers.reading import as_written

MARKS = set("\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069")


@pytest.fixture(scope="module")
def paper(tables, context):
    return policy_document(tables, context, "00ddba11")


@pytest.fixture(scope="module")
def folder(paper, tmp_path_factory):
    place = tmp_path_factory.mktemp("policy")
    write_pdf(paper, place / "a.pdf")
    write_docx(paper, place / "a.docx")
    return place


def docx_lines(path):
    """Paragraphs and cells in the order of the document."""
    document = Document(str(path))
    return [
        "".join(run.text for run in place.runs)
        for block in document.iter_inner_content()
        for place in (
            [block]
            if hasattr(block, "runs")
            else [p for row in block.rows for cell in row.cells for p in cell.paragraphs]
        )
    ]


def test_every_number_is_its_cell_as_pages_write_it(paper, tables):
    told = [number for number in paper.numbers() if number.cell]
    assert len(told) > 60
    for number in told:
        assert number.shown == as_written(tables, number.cell), number


def test_the_pdf_tells_each_number_as_often_as_the_paper(paper, folder):
    """Hebrew comes back turned, numbers do not."""
    read = pypdf.PdfReader(folder / "a.pdf")
    text = "\n".join(page.extract_text(extraction_mode="layout") for page in read.pages)
    assert not MARKS & set(text)  # who searches for a number finds it
    printed = Counter(base.NUMBER.findall(text))
    told = Counter(
        number.shown for number in paper.numbers() if base.NUMBER.fullmatch(number.shown)
    )
    assert told.total() > 100
    assert told - printed == Counter()


def test_the_pdf_says_that_it_is_accessible(folder):
    read = pypdf.PdfReader(folder / "a.pdf")
    catalog = read.trailer["/Root"]
    assert catalog["/MarkInfo"]["/Marked"]
    assert catalog["/Lang"] == "he"
    assert catalog["/ViewerPreferences"]["/DisplayDocTitle"]
    assert b"pdfuaid" in catalog["/Metadata"].get_object().get_data()
    assert len(read.pages) <= 10


def test_the_word_document_is_the_paper_line_by_line(paper, folder):
    expected = [paper.title]
    for block in paper.blocks:
        if isinstance(block, Heading):
            expected.append(block.text)
        elif isinstance(block, Paragraph):
            expected.append(plain(block.line))
        elif isinstance(block, Table):
            expected += [block.caption, *block.heads]
            expected += [plain(line) for row in block.rows for line in row]
            expected.append("")
    read = docx_lines(folder / "a.docx")
    assert [line.replace(LEFT_TO_RIGHT, "") for line in read] == expected
    signed = [number for number in paper.numbers() if number.shown.startswith(("−", "+"))]
    assert signed
    assert sum(line.count(LEFT_TO_RIGHT) for line in read) >= len(signed)


def plain(line):
    return "".join(piece.shown if isinstance(piece, Number) else piece for piece in line)


def test_the_word_document_runs_right_to_left(folder, paper):
    with zipfile.ZipFile(folder / "a.docx") as parts:
        xml = parts.read("word/document.xml").decode()
    tables = [block for block in paper.blocks if isinstance(block, Table)]
    assert xml.count("<w:bidiVisual/>") == len(tables) == xml.count("<w:tblHeader/>")
    for paragraph in re.findall(r"<w:p>.*?</w:p>", xml, re.S):
        if re.search("[א-ת]", paragraph):
            assert "<w:bidi/>" in paragraph
    for run in re.findall(r"<w:r>.*?</w:r>", xml, re.S):
        assert ("<w:rtl/>" in run) >= bool(re.search("[א-ת]", run))


def test_no_latin_letters_in_hebrew_but_the_release(paper):
    latin = [
        piece
        for block in paper.blocks
        for line in lines_of(block)
        for piece in line
        if isinstance(piece, str) and re.search("[A-Za-z]{2,}", piece) and "00ddba11" not in piece
    ]
    assert latin == []


def lines_of(block):
    if isinstance(block, Table):
        return [(block.caption,), block.heads, *(line for row in block.rows for line in row)]
    if block.is_english:
        return []
    return [(block.text,)] if isinstance(block, Heading) else [block.line]


def test_a_text_cannot_become_typst_code_and_numbers_stay_apart(paper, folder):
    line = said('המענה "#panic()" \\ $x$ עולה −1,200 ₪, 5%')
    assert [piece.shown for piece in line if isinstance(piece, Number)] == ["−1,200", "5%"]
    one = type(paper)("כותרת", "סוף", (Paragraph(line),))
    write_pdf(one, folder / "b.pdf")
    assert "panic" in pypdf.PdfReader(folder / "b.pdf").pages[0].extract_text()
    assert '#panic()\\"' in typst_source(one)


def test_papers_stand_aside_from_the_release_and_repeat_byte_for_byte(papers, published, tmp_path):
    """Made again where they lie, they are the same; the release stays as it is."""
    release, city = published.current.resolve(), published.workspace().city()
    before = {path: path.stat().st_mtime_ns for path in release.rglob("*")}
    first = (papers / MANIFEST).read_text(encoding="utf-8")
    shutil.copytree(papers.parents[1], tmp_path, dirs_exist_ok=True)
    folder = make_papers(tmp_path, release, city)
    assert {path.name for path in (folder / "committee").iterdir()} >= {
        VERIFY,
        f"{POLICY}.pdf",
        f"{POLICY}.docx",
        CELLS,
        *(f"{name}.{ending}" for name in MEETINGS for ending in ("pptx", "pdf")),
    }
    assert (folder / "analyst").stat().st_mode & 0o077 == 0
    assert folder.relative_to(tmp_path) == papers.relative_to(papers.parents[1])
    assert (folder / MANIFEST).read_text("utf-8") == first
    assert {path: path.stat().st_mtime_ns for path in release.rglob("*")} == before


def test_money_of_the_document_is_the_plans(paper, tables):
    told = [n for n in paper.numbers() if n.cell.startswith("mart_allocation_school/")]
    costs = [n for n in told if n.cell.endswith("/cost_agorot")]
    schools = tables["mart_allocation_school"]
    assert len(costs) == schools.height
    shekels = sum(int(n.shown.replace(",", "")) for n in costs)
    assert abs(100 * shekels - schools["cost_agorot"].sum()) <= 100 * schools.height
    assert pl.Series([n.cell for n in told]).is_unique().all()
