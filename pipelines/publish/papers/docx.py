"""A paper as a Word document that a city can edit, right to left.

python-docx knows no direction: `w:bidi` of a paragraph, `w:rtl` of a run and `w:bidiVisual` of a
table are set in the XML (ECMA-376, 17.3.1.6, 17.3.2.30, 17.4.1).
"""

from __future__ import annotations

import zipfile
from datetime import datetime
from io import BytesIO
from pathlib import Path

from docx import Document
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.text.paragraph import Paragraph as Place

from pipelines.publish.papers.content import (
    Heading,
    Line,
    Number,
    Paper,
    Paragraph,
    Table,
    left_to_right,
)

_MADE = datetime(2026, 1, 1)  # a fixed date: a clock would change the bytes
_FONT = "Arial"


def write_docx(paper: Paper, path: Path) -> None:
    """Write a paper; the same paper gives the same bytes."""
    document = Document()
    document.core_properties.title = paper.title
    document.core_properties.author = "Tikkun"
    document.core_properties.created = document.core_properties.modified = _MADE
    fonts = document.styles["Normal"].element.get_or_add_rPr().get_or_add_rFonts()
    for script in ("ascii", "hAnsi", "cs"):
        fonts.set(qn(f"w:{script}"), _FONT)
    _write(document.add_heading(level=0), (paper.title,))
    for block in paper.blocks:
        if isinstance(block, Heading):
            place = document.add_heading(level=block.level)
            _write(place, (block.text,), is_english=block.is_english)
        elif isinstance(block, Paragraph):
            place = document.add_paragraph(style="List Bullet" if block.is_item else None)
            _write(place, block.line, is_english=block.is_english)
        else:
            _table(document, block)
    _write(document.sections[0].footer.paragraphs[0], (paper.foot,))
    held = BytesIO()
    document.save(held)
    path.write_bytes(settled(held.getvalue()))


def _table(document, block: Table) -> None:
    caption = document.add_paragraph(style="Caption")
    caption.paragraph_format.keep_with_next = True
    _write(caption, (block.caption,))
    table = document.add_table(rows=0, cols=len(block.heads), style="Light Grid Accent 1")
    table._tbl.tblPr.append(OxmlElement("w:bidiVisual"))
    for at, row in enumerate([tuple((head,) for head in block.heads), *block.rows]):
        cells = table.add_row().cells
        for cell, line in zip(cells, row, strict=True):
            _write(cell.paragraphs[0], line)
        if at == 0:
            table.rows[0]._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))
    document.add_paragraph()


def _write(place: Place, line: Line, is_english: bool = False) -> None:
    if not is_english:
        place._p.get_or_add_pPr().append(OxmlElement("w:bidi"))
    for piece in line:
        # A number is no run of the other direction; its sign needs a mark to stay on its left.
        text = left_to_right(piece.shown) if isinstance(piece, Number) else piece
        run = place.add_run(text)
        if not is_english and not isinstance(piece, Number):
            run._r.get_or_add_rPr().append(OxmlElement("w:rtl"))


def settled(packed: bytes) -> bytes:
    """Return a packed file with its parts' times all alike, so that a clock changes no byte."""
    held = BytesIO()
    with zipfile.ZipFile(BytesIO(packed)) as old, zipfile.ZipFile(held, "w") as new:
        for name in old.namelist():
            part = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            new.writestr(part, old.read(name), zipfile.ZIP_DEFLATED)
    return held.getvalue()
