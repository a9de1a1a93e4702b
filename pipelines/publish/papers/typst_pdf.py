"""A paper as an accessible PDF (PDF/UA-1), right to left, by Typst."""

from __future__ import annotations

import json
from pathlib import Path

import typst

from pipelines.publish.papers.content import Heading, Line, Number, Paper, Paragraph, Table

FONTS = ("Noto Sans Hebrew", "Open Sans Hebrew", "DejaVu Sans")
_PAGE = """#set document(title: {title}, author: "Tikkun", date: none)
#set page(paper: "a4", margin: (x: 2cm, y: 2cm), footer: align(center, text(size: 8pt, {foot}) \
+ h(1em) + context text(size: 8pt, dir: ltr, counter(page).display("1 / 1", both: true))))
#set text(lang: "he", dir: rtl, font: {fonts}, size: 10pt)
#set par(leading: .75em, spacing: .9em)
#set table(inset: 4pt, stroke: (x, y) => (bottom: (if y == 0 {{ 1pt }} else {{ .4pt }}) + gray))
#show table.cell.where(y: 0): set text(weight: "bold")
#show heading: set text(fill: rgb("#1f3a5f"))
#show heading: set block(above: 1.4em, below: .7em, sticky: true)
#show figure: set block(breakable: true)
#show figure: set align(start)
#show figure.caption: it => align(start, text(size: 9pt, it.body))
#set figure.caption(position: top)
#text(size: 18pt, weight: "bold", fill: rgb("#1f3a5f"), {title})
"""


def write_pdf(paper: Paper, path: Path) -> None:
    """Write a paper; the same paper gives the same bytes.

    Raises:
        typst.TypstError: if it is not accessible by the rules of PDF/UA-1.
    """
    path.write_bytes(typst.compile(typst_source(paper).encode(), pdf_standards=["ua-1"]))


def typst_source(paper: Paper) -> str:
    """Return a paper in Typst's language; every text of it stands in quotes."""
    fonts = "(" + ", ".join(map(quoted, FONTS)) + ")"
    head = _PAGE.format(title=quoted(paper.title), foot=quoted(paper.foot), fonts=fonts)
    return head + "\n" + "\n".join(_block(block) for block in paper.blocks) + "\n"


def quoted(text: str) -> str:
    """Return a text as Typst reads it: as itself, whatever stands in it."""
    return json.dumps(text, ensure_ascii=False)


def typst_line(line: Line) -> str:
    """Return a line in Typst's language; its numbers keep left to right."""
    return "".join(
        f"#box(text(dir: ltr, {quoted(piece.shown)}))"
        if isinstance(piece, Number)
        else f"#text({quoted(piece)})"
        for piece in line
    )


def _block(block: Heading | Paragraph | Table) -> str:
    if isinstance(block, Table):
        heads = ", ".join(f"[{typst_line((head,))}]" for head in block.heads)
        rows = "\n".join(
            "  " + " ".join(f"[{typst_line(line)}]," for line in row) for row in block.rows
        )
        columns = len(block.heads)
        return (
            f"#figure(kind: table, supplement: none, numbering: none, caption: "
            f"text({quoted(block.caption)}), table(columns: {columns}, align: start,\n"
            f"  table.header({heads}),\n{rows}\n))\n"
        )
    if isinstance(block, Heading):
        drawn = f"#heading(level: {block.level}, text({quoted(block.text)}))"
    else:
        drawn = f"#{'list' if block.is_item else 'par'}([{typst_line(block.line)}])"
    return (
        f'#block(width: 100%)[#set text(lang: "en", dir: ltr)\n{drawn}]\n'
        if block.is_english
        else f"{drawn}\n"
    )
