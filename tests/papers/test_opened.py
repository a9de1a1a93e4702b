"""Slides, Word document and workbook open in a program that people have: LibreOffice draws them,
and what it draws holds their numbers (`make office` installs it).
"""

import shutil
import subprocess
from collections import Counter

import pypdf
import pytest

from pipelines.publish.pages import base
from pipelines.publish.papers.content import Number
from pipelines.publish.papers.make import MEETINGS, POLICY
from pipelines.publish.workbook import WORKBOOK

SOFFICE = shutil.which("soffice")
PARTS = ("loimpress", "lowriter", "localc")
pytestmark = pytest.mark.skipif(
    None in (SOFFICE, *map(shutil.which, PARTS)),
    reason="LibreOffice is not installed (`make office` installs it where it can)",
)


def drawn(path, folder):
    """The pages that LibreOffice draws of a file."""
    subprocess.run(
        [
            SOFFICE,
            f"-env:UserInstallation=file://{folder}/profile",
            *("--headless", "--convert-to", "pdf", "--outdir", str(folder), str(path)),
        ],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return pypdf.PdfReader(folder / f"{path.stem}.pdf").pages


@pytest.mark.parametrize("name", MEETINGS)
def test_the_slides_are_drawn_with_their_numbers(packs, papers, tmp_path, name):
    pages = drawn(papers / "committee" / f"{name}.pptx", tmp_path)
    assert len(pages) == len(packs[name].pages)
    for page, read in zip(packs[name].pages, pages, strict=True):
        told = Counter(
            piece.shown
            for line in page.lines()
            for piece in line
            if isinstance(piece, Number) and piece.cell and base.NUMBER.fullmatch(piece.shown)
        )
        found = Counter(base.NUMBER.findall(read.extract_text(extraction_mode="layout")))
        assert told - found == Counter(), page.question


def test_word_document_and_workbook_are_drawn(papers, published, tmp_path):
    assert len(drawn(papers / "committee" / f"{POLICY}.docx", tmp_path)) >= 3
    pages = drawn(published.current / "committee" / WORKBOOK, tmp_path)
    assert len(pages) >= 19
