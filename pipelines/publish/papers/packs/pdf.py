"""A pack as an accessible PDF (PDF/UA-1), a page of A4 a question, right to left, by Typst."""

from __future__ import annotations

from pathlib import Path

import typst

from pipelines.publish.papers.content import Line, Number, Table
from pipelines.publish.papers.packs.content import (
    LINE,
    NOTHING_DRAWN,
    ON_WHICH_BLACK,
    SOFT,
    STRONG,
    Form,
    Mark,
    Pack,
    Page,
    is_whole,
    marks,
    value_of,
    widths,
)
from pipelines.publish.papers.typst_pdf import FONTS, quoted, typst_line

_HEAD = """#set document(title: {title}, author: "Tikkun", date: none)
#set page(paper: "a4", flipped: true, margin: (x: 1.4cm, top: 1.1cm, bottom: 1.4cm), \
footer: align(center, text(size: 8pt, {foot}) + h(1em) \
+ context text(size: 8pt, dir: ltr, counter(page).display("1 / 1", both: true))))
#set text(lang: "he", dir: rtl, font: {fonts}, size: 12pt)
#set par(leading: .6em, spacing: .7em)
#set table(inset: (x: .35em, y: .32em), \
stroke: (x, y) => (bottom: (if y == 0 {{ 1pt }} else {{ .4pt }}) + gray))
#set figure(supplement: none, numbering: none)
#set figure.caption(position: top)
#show table.cell.where(y: 0): set text(weight: "bold")
#show table: set text(size: .9em)
#show heading: set text(fill: rgb("#1f3a5f"))
#show heading.where(level: 1): set text(size: 1.55em)
#show heading.where(level: 1): set block(above: 0pt, below: .6em)
#show heading.where(level: 2): set text(size: 1.05em)
#show heading.where(level: 2): set block(above: 0pt, below: .45em)
#show figure: set align(start)
#show figure.caption: it => align(start, text(size: .9em, weight: "bold", it.body))
#let fitted(body) = layout(room => {{
  let sizes = {sizes}
  let fits = sizes.filter(s => measure(text(size: s, body), width: room.width).height \
<= room.height)
  text(size: fits.at(0, default: sizes.last()), block(height: 100%, body))
}})
"""
_NAMES = "40%"  # the part of a drawing that names take
_TABLE = 6.7  # its width in inches, by which columns are measured
_SIZES = (12.5, 11.5, 10.5, 9.5, 8.5, 7.5)  # points; the largest with which all stands on one page
_FULL = 62.0  # percent of the plot that the longest bar takes: the rest is for its number


def write_pack_pdf(pack: Pack, path: Path) -> None:
    """Write a pack; the same pack gives the same bytes.

    Raises:
        typst.TypstError: if it is not accessible by the rules of PDF/UA-1.
    """
    path.write_bytes(typst.compile(pack_source(pack).encode(), pdf_standards=["ua-1"]))


def pack_source(pack: Pack) -> str:
    """Return a pack in Typst's language; every text of it stands in quotes."""
    fonts = "(" + ", ".join(map(quoted, FONTS)) + ")"
    sizes = "(" + ", ".join(f"{size}pt" for size in _SIZES) + ")"
    head = _HEAD.format(title=quoted(pack.title), foot=quoted(pack.foot), fonts=fonts, sizes=sizes)
    return head + "\n#pagebreak()\n".join(_page(page) for page in pack.pages)


def _page(page: Page) -> str:
    told = "\n".join(f"#par[{typst_line(line)}]" for line in page.answer)
    missing = "".join(f"#par[{typst_line(line)}]\n" for line in page.missing)
    if missing:
        missing = f"#block(width: 100%, inset: 8pt, stroke: (right: 3pt + gray))[{missing}]\n"
    drawn, table = _chart(page), _table(page.table) if page.table else ""
    if drawn:
        middle = f"#grid(columns: (36%, 1fr), column-gutter: 16pt, [{drawn}], [{table}])\n"
    else:
        middle = table
    return (
        f"#fitted[#heading(level: 1, text({quoted(page.question)}))\n{told}\n#v(.3em)\n"
        f"{missing}{middle}\n#v(1fr)\n{_below(page)}]\n"
    )


def _below(page: Page) -> str:
    items = "".join(f"#list(text({quoted(text)}))\n" for text in page.decided)
    decided = (
        '#block(width: 100%, inset: 8pt, radius: 3pt, fill: rgb("#eaf0f7"))'
        f"[#heading(level: 2, text({quoted('מה מחליטים כאן')}))\n{items}]"
    )
    if page.form is None:
        return decided
    return f"#grid(columns: (36%, 1fr), column-gutter: 16pt, [{decided}], [{_form(page.form)}])"


def _form(form: Form) -> str:
    heads = ", ".join(f"[#text({quoted(head)})]" for head in form.heads)
    blank = f"  {'[#v(1.1em)], ' * len(form.heads)}\n" * form.rows
    return (
        f"#heading(level: 2, text({quoted(f'הטופס: {form.title}')}))\n"
        f"#table(columns: {len(form.heads) * ('1fr',)!s}, stroke: .6pt + gray,\n"
        f"  table.header({heads}),\n{blank})".replace("'", "")
    )


def _table(table: Table) -> str:
    heads = tuple((head,) for head in table.heads)
    wide = widths([heads, *table.rows], _TABLE, 13)
    columns = ", ".join(f"{one:.3f}fr" for one in wide)
    rows = "\n".join("  " + " ".join(f"[{_cell(line)}]," for line in row) for row in table.rows)
    return (
        f"#figure(kind: table, caption: text({quoted(table.caption)}), "
        f"table(columns: ({columns}), align: start,\n"
        f"  table.header({', '.join(f'[{typst_line(head)}]' for head in heads)}),\n{rows}\n))\n"
    )


def _cell(line: Line) -> str:
    return f"#box[{typst_line(line)}]" if is_whole(line) else typst_line(line)


def _chart(page: Page) -> str:
    """Return a page's drawing: what it says above it, and read aloud instead of it."""
    drawn = marks(page)
    if page.chart is None or page.table is None or not any(any(mark.numbers) for mark in drawn):
        return ""
    if page.chart.kind == "bars":
        plots = _bars(drawn)
    elif page.chart.kind == "ranges":
        plots = _ranges(drawn, page.chart.is_of_places)
    else:
        plots = _parts(drawn, page.chart.tones)
    heads = [page.table.heads[column] for column in page.chart.columns]
    rows = "".join(
        f"  [#text(size: .85em)[{typst_line(mark.called)}]], [{plot}],\n"
        for mark, plot in zip(drawn, plots, strict=True)
    )
    key = ""
    if page.chart.kind == "parts":
        shades = zip(page.chart.tones, heads, strict=True)
        key = "#par[" + " ".join(_shade(tone, head) for tone, head in shades) + "]\n"
    return (
        f"#figure(kind: image, alt: {quoted(page.chart.says)}, "
        f"caption: text({quoted(page.chart.says)}), block(width: 100%)[#set align(start)\n{key}"
        f"#grid(columns: ({_NAMES}, 1fr), column-gutter: 6pt, row-gutter: 5pt, "
        f"align: horizon,\n{rows})])\n"
    )


def _shade(tone: str, head: str) -> str:
    mark = f'#box(width: .7em, height: .7em, fill: rgb("#{tone}"))'
    return f"{mark} #text(size: .8em, {quoted(head)})#h(.6em)"


def _plot(parts: str, high: float = 1.5) -> str:
    return f"#block(width: 100%, height: {high}em)[{parts}]"


def _unknown() -> str:
    return _plot(f"#place(right + horizon, text(size: .8em, {quoted(NOTHING_DRAWN)}))")


def _at(percent: float, what: str, *, more: str = "0pt", down: str = "0pt") -> str:
    return f"#place(right + horizon, dx: {-percent:.2f}% - ({more}), dy: {down}, {what})"


def _number(number: Number) -> str:
    return f"box(text(dir: ltr, size: .85em, {quoted(number.shown)}))"


def _bars(drawn: list[Mark]) -> list[str]:
    longest = max(value_of(mark.numbers[0]) for mark in drawn if mark.numbers[0]) or 1.0
    plots = []
    for mark in drawn:
        if (number := mark.numbers[0]) is None:
            plots.append(_unknown())
            continue
        wide = _FULL * value_of(number) / longest
        bar = f'rect(width: {wide:.2f}%, height: 1em, fill: rgb("#{STRONG}"))'
        plots.append(_plot(_at(0, bar) + _at(wide, _number(number), more="4pt")))
    return plots


def _ranges(drawn: list[Mark], is_of_places: bool) -> list[str]:
    values = [value_of(end) for mark in drawn for end in mark.numbers if end]
    values += [] if is_of_places else [0.0]
    low, span = min(values), (max(values) - min(values)) or 1.0

    def place(value: float) -> float:
        return 4 + 92 * (value - low) / span

    line = f'rect(width: .7pt, height: 100%, fill: rgb("#{LINE}"))'
    zero = "" if is_of_places else _at(place(0), line)
    plots = []
    for mark in drawn:
        estimate, *ends = mark.numbers
        if estimate is None:
            plots.append(_unknown())
            continue
        parts, middle = zero, place(value_of(estimate))
        if len(ends) == 2 and ends[0] and ends[1]:
            start, end = sorted(place(value_of(one)) for one in ends if one)
            bar = f'rect(width: {end - start:.2f}%, height: .2em, fill: rgb("#{SOFT}"))'
            parts += _at(start, bar, down=".45em")
        dot = f'circle(radius: .28em, fill: rgb("#{STRONG}"))'
        parts += _at(middle, dot, more="-.28em", down=".45em")
        said = f"box(width: 3em, align(center, box(fill: white, {_number(estimate)})))"
        parts += _at(middle, said, more="-1.5em", down="-.4em")
        plots.append(_plot(parts, 2.1))
    return plots


def _parts(drawn: list[Mark], tones: tuple[str, ...]) -> list[str]:
    sums = [sum(value_of(one) for one in mark.numbers if one) for mark in drawn]
    longest, plots = max(sums) or 1.0, []
    for mark in drawn:
        if not any(mark.numbers):
            plots.append(_unknown())
            continue
        start, parts = 0.0, ""
        for number, tone in zip(mark.numbers, tones, strict=True):
            wide = 100 * value_of(number) / longest if number else 0.0
            if number and wide:
                ink = "black" if tone in ON_WHICH_BLACK else "white"
                text = f"align(center + horizon, text(fill: {ink})[#{_number(number)}])"
                box = f'rect(width: {wide:.2f}%, height: 1.2em, inset: 0pt, fill: rgb("#{tone}"))'
                parts += _at(start, box[:-1] + f", {text})")
            start += wide
        plots.append(_plot(parts))
    return plots
