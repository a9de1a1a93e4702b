"""A pack as slides (PPTX) with notes and charts that can be edited, right to left.

python-pptx knows no direction: `rtl` and `algn` of a paragraph, `lang` of a run, `rtlCol` of a
text's body and `rtl` of a table and of the presentation are set in the XML (ECMA-376, 21.1.2.2.7,
21.1.2.3.9, 21.1.2.1.1, 21.1.3.15, 19.2.1.26). The axis of values runs from the right by its order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import xlsxwriter
from lxml import etree
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.dml.color import RGBColor
from pptx.enum.chart import (
    XL_CHART_TYPE,
    XL_LABEL_POSITION,
    XL_MARKER_STYLE,
    XL_TICK_LABEL_POSITION,
    XL_TICK_MARK,
)
from pptx.enum.text import MSO_ANCHOR
from pptx.oxml.ns import qn
from pptx.util import Emu, Inches, Pt

from pipelines.publish.papers.content import Line, Number, Table, left_to_right
from pipelines.publish.papers.docx import settled
from pipelines.publish.papers.packs.content import (
    LETTER,
    LINE,
    NOTHING_DRAWN,
    ON_WHICH_BLACK,
    STRONG,
    Form,
    Mark,
    Pack,
    Page,
    marks,
    plain,
    value_of,
    widths,
)

_MADE = datetime(2026, 1, 1)  # a fixed date: a clock would change the bytes
_FONT, _HEBREW = "Arial", "he-IL"
_WIDE, _HIGH, _EDGE = 13.333, 7.5, 0.4  # inches
_FEW = 5  # names that stand below a chart in letters of their own size
_ROOM = 1.4  # for the number beyond the longest bar
_MOST_ANSWER = 1.3  # inches that an answer may take in large letters
_TITLE_ONLY = 5  # of the layouts of an empty presentation
_SIZES = (14, 13, 12, 11, 10, 9)  # points, the largest that fits is taken

Box = tuple[float, float, float, float]
"""Left, top, width and height in inches."""


def write_pptx(pack: Pack, path: Path) -> None:
    """Write a pack; the same pack gives the same bytes."""
    made = Presentation()
    made.slide_width, made.slide_height = Inches(_WIDE), Inches(_HIGH)
    made.element.set("rtl", "1")
    told = made.core_properties
    told.title, told.author, told.language = pack.title, "Tikkun", _HEBREW
    told.created = told.modified = _MADE
    told.last_modified_by = "Tikkun"
    for place, page in enumerate(pack.pages, start=1):
        slide = made.slides.add_slide(made.slide_layouts[_TITLE_ONLY])
        _slide(slide, pack, page, place)
    held = BytesIO()
    made.save(held)
    path.write_bytes(settled(held.getvalue()))


def _slide(slide: Any, pack: Pack, page: Page, place: int) -> None:
    title = slide.shapes.title
    _put(title, (_EDGE, 0.25, _WIDE - 2 * _EDGE, 0.75))
    title.text_frame.word_wrap = True
    title.text_frame.vertical_anchor = MSO_ANCHOR.MIDDLE
    _say(title.text_frame, [(page.question,)], 28, bold=True, colour=STRONG)
    top = 1.05
    for lines in (page.answer, page.missing):
        if lines:
            size = 18 if _height_of(lines, 18, _WIDE - 2 * _EDGE) < _MOST_ANSWER else 14
            high = _height_of(lines, size, _WIDE - 2 * _EDGE)
            _text(slide, (_EDGE, top, _WIDE - 2 * _EDGE, high), lines, size)
            top += high + 0.05
    below = _HIGH - 0.4 - _height_below(page)
    _below(slide, page, below)
    drawn = marks(page)
    has_chart = any(any(mark.numbers) for mark in drawn)
    room = (top + 0.05, below - top - 0.15)
    if page.table is not None:
        wide = 7.6 if has_chart else _WIDE - 2 * _EDGE
        _table(slide, page.table, (_EDGE, room[0], wide, room[1]))
    if has_chart and page.chart is not None:
        _chart(slide, page, drawn, (_EDGE + 7.8, room[0], _WIDE - 2 * _EDGE - 7.8, room[1]))
    _text(slide, (_EDGE + 1, _HIGH - 0.38, _WIDE - 2 * _EDGE - 1, 0.3), [(pack.foot,)], 10)
    _page_number(slide, place)
    notes = slide.notes_slide.notes_text_frame
    _say(notes, page.notes, 12)


def _put(shape: Any, box: Box) -> None:
    shape.left, shape.top, shape.width, shape.height = map(Inches, box)


def _text(slide: Any, box: Box, lines: Sequence[Line], size: int, **look: Any) -> Any:
    shape = slide.shapes.add_textbox(*map(Inches, box))
    shape.text_frame.word_wrap = True
    _say(shape.text_frame, lines, size, **look)
    return shape


def _say(frame: Any, lines: Sequence[Line], size: int, **look: Any) -> None:
    """Write lines as paragraphs, right to left."""
    frame._txBody.find(qn("a:bodyPr")).set("rtlCol", "1")
    for at, line in enumerate(lines):
        place = frame.paragraphs[0] if at == 0 else frame.add_paragraph()
        _write(place, line, size, **look)


def _write(
    place: Any, line: Line, size: int, *, bold: bool = False, colour: str = "", bullet: bool = False
) -> None:
    place._p.get_or_add_pPr().set("rtl", "1")
    place._p.get_or_add_pPr().set("algn", "r")
    if bullet:
        _bullet(place)
    for piece in line:
        run = place.add_run()
        run.text = left_to_right(piece.shown) if isinstance(piece, Number) else piece
        run.font.size, run.font.bold, run.font.name = Pt(size), bold, _FONT
        if colour:
            run.font.color.rgb = RGBColor.from_string(colour.upper())
        rest = run._r.get_or_add_rPr()
        rest.set("lang", _HEBREW)
        etree.SubElement(rest, qn("a:cs")).set("typeface", _FONT)
    if not line:  # an empty place has its direction and language too, for whoever writes there
        place._p.get_or_add_endParaRPr().set("lang", _HEBREW)


def _bullet(place: Any) -> None:
    properties = place._p.get_or_add_pPr()
    properties.set("marR", "228600")
    properties.set("indent", "-228600")
    etree.SubElement(properties, qn("a:buChar")).set("char", "•")


def _page_number(slide: Any, place: int) -> None:
    shape = _text(slide, (_EDGE, _HIGH - 0.38, 0.9, 0.3), [()], 10)
    paragraph = shape.text_frame.paragraphs[0]._p
    field = etree.Element(qn("a:fld"))
    field.set("id", f"{{00000000-0000-0000-0000-{place:012d}}}")
    field.set("type", "slidenum")
    properties = etree.SubElement(field, qn("a:rPr"))
    properties.set("lang", _HEBREW)
    properties.set("sz", "1000")
    etree.SubElement(field, qn("a:t")).text = str(place)
    paragraph.insert(1, field)


def _lines_of(text: str, size: float, wide: float) -> int:
    """Return about how many lines a text takes."""
    letters = max(int((wide - 0.2) * 72 / (LETTER * size)), 1)
    return max(math.ceil(len(text) / letters), 1)


def _height_of(lines: Iterable[Line], size: float, wide: float) -> float:
    rows = sum(_lines_of(plain(line), size, wide) for line in lines)
    return rows * size * 1.22 / 72 + 0.12


_DECIDED = 4.6  # the width of what is decided, in inches


def _height_below(page: Page) -> float:
    wide = _DECIDED if page.form else _WIDE - 2 * _EDGE
    lines: list[Line] = [("מה מחליטים כאן",), *((text,) for text in page.decided)]
    decided = _height_of(lines, 14, wide - 0.3) + 0.15
    form = 0.0 if page.form is None else 0.35 + 0.3 + 0.32 * page.form.rows + 0.1
    return max(decided, form)


def _below(slide: Any, page: Page, top: float) -> None:
    high = _height_below(page) - 0.05
    wide = _DECIDED if page.form else _WIDE - 2 * _EDGE
    box = (_WIDE - _EDGE - wide, top, wide, high)
    shape = _text(slide, box, [("מה מחליטים כאן",)], 15, bold=True, colour=STRONG)
    shape.fill.solid()
    shape.fill.fore_color.rgb = RGBColor(0xEA, 0xF0, 0xF7)
    for text in page.decided:
        _write(shape.text_frame.add_paragraph(), (text,), 14, bullet=True)
    if page.form is not None:
        _form(slide, page.form, (_EDGE, top, _WIDE - 2 * _EDGE - wide - 0.2, high))


def _form(slide: Any, form: Form, box: Box) -> None:
    left, top, wide, _ = box
    title = (f"הטופס: {form.title}",)
    _text(slide, (left, top - 0.05, wide, 0.35), [title], 13, bold=True, colour=STRONG)
    heads = tuple((head,) for head in form.heads)
    blank: tuple[Line, ...] = ((),) * len(heads)
    even = [wide / len(heads)] * len(heads)
    made = _grid(slide, [heads, *[blank] * form.rows], (left, top + 0.32, wide, 0.0), 11, even)
    made._element.nvGraphicFramePr.cNvPr.set("descr", f"טופס למילוי: {form.title}")
    for row in list(made.table.rows)[1:]:
        row.height = Inches(0.32)


def _table(slide: Any, table: Table, box: Box) -> None:
    heads = tuple((head,) for head in table.heads)
    rows = [heads, *table.rows]
    for size in _SIZES:
        wide = widths(rows, box[2], size)
        high = sum(_row_height(row, wide, size) for row in rows)
        if high <= box[3] - 0.3:
            break
    caption = (table.caption,)
    _text(slide, (box[0], box[1] - 0.05, box[2], 0.3), [caption], 12, bold=True)
    made = _grid(slide, rows, (box[0], box[1] + 0.27, box[2], 0.0), size)
    made._element.nvGraphicFramePr.cNvPr.set("descr", table.caption)


def _row_height(row: Sequence[Line], wide: Sequence[float], size: float) -> float:
    lines = max(_lines_of(plain(line), size, own) for line, own in zip(row, wide, strict=True))
    return lines * size * 1.22 / 72 + 0.08


def _grid(
    slide: Any, rows: Sequence[Sequence[Line]], box: Box, size: int, even: Sequence[float] = ()
) -> Any:
    """Draw a table whose first row is its head, its first column at the right; `even`: widths."""
    wide = even or widths(rows, box[2], size)
    heights = [_row_height(row, wide, size) for row in rows]
    made = slide.shapes.add_table(len(rows), len(rows[0]), *map(Inches, (*box[:3], sum(heights))))
    made.table._tbl.tblPr.set("rtl", "1")
    for column, own in zip(made.table.columns, wide, strict=True):
        column.width = Inches(own)
    for at, (row, high) in enumerate(zip(rows, heights, strict=True)):
        made.table.rows[at].height = Inches(high)
        for column, line in enumerate(row):
            cell = made.table.cell(at, column)
            cell.margin_top = cell.margin_bottom = Inches(0.03)
            cell.margin_left = cell.margin_right = Inches(0.06)
            is_head = at == 0
            _say(cell.text_frame, [line], size, bold=is_head, colour="FFFFFF" if is_head else "")
            if is_head:
                cell.fill.solid()
                cell.fill.fore_color.rgb = RGBColor.from_string(STRONG.upper())
    return made


def _chart(slide: Any, page: Page, drawn: list[Mark], box: Box) -> None:
    assert page.chart is not None
    assert page.table is not None
    left, top, wide, high = box
    says: list[Line] = [(page.chart.says,)]
    if page.chart.kind == "parts":
        says.append(())
    above = _height_of([(page.chart.says,)], 12, wide) + (0.25 if len(says) > 1 else 0.0)
    shape = _text(slide, (left, top - 0.05, wide, above), says, 12, bold=True)
    heads = [page.table.heads[column] for column in page.chart.columns]
    if page.chart.kind == "parts":
        for head, tone in zip(heads, page.chart.tones, strict=True):
            place = shape.text_frame.paragraphs[-1]
            _write(place, ("■ ",), 12, bold=True, colour=tone)
            _write(place, (f"{head}   ",), 11)
    series = _series(page, drawn, heads)
    data = CategoryChartData(number_format=_form_of(drawn))
    data.categories = [_category(mark) for mark in drawn]
    for name, values in series:
        data.add_series(name, values)
    kinds = {
        "bars": XL_CHART_TYPE.BAR_CLUSTERED,
        "ranges": XL_CHART_TYPE.LINE_MARKERS,
        "parts": XL_CHART_TYPE.BAR_STACKED,
    }
    room = min(high - above, 0.55 * len(drawn) + 0.3 if page.chart.kind != "ranges" else 3.6)
    place = map(Inches, (left, top + above - 0.05, wide, room))
    made = slide.shapes.add_chart(kinds[page.chart.kind], *place, data)
    made._element.nvGraphicFramePr.cNvPr.set("descr", page.chart.says)
    chart = made.chart
    chart.part.chart_workbook.update_from_xlsx_blob(_workbook(data))
    chart.has_legend, chart.has_title = False, False
    chart.font.size, chart.font.name = Pt(11), _FONT
    for axis in (chart.category_axis, chart.value_axis):
        axis.has_major_gridlines = False
        axis.major_tick_mark = XL_TICK_MARK.NONE
    chart.category_axis.reverse_order = True
    chart.category_axis.tick_label_position = XL_TICK_LABEL_POSITION.LOW
    chart.value_axis.visible = False
    if page.chart.kind == "bars":
        _bars(chart, drawn)
    elif page.chart.kind == "ranges":
        _ranges(chart, drawn, page.chart.is_of_places)
    else:
        _parts(chart, drawn, page.chart.tones)
    for run in chart._chartSpace.iter(qn("a:defRPr")):
        run.set("lang", _HEBREW)
    for paragraph in chart._chartSpace.iter(qn("a:pPr")):
        paragraph.set("rtl", "1")


def _category(mark: Mark) -> str:
    return mark.name if any(mark.numbers) else f"{mark.name} – {NOTHING_DRAWN}"


def _series(
    page: Page, drawn: list[Mark], heads: list[str]
) -> list[tuple[str, list[float | None]]]:
    """Return the rows of a chart as series of its columns; of ranges the estimate alone."""
    assert page.chart is not None
    count = len(page.chart.columns) if page.chart.kind == "parts" else 1
    return [
        (
            heads[at],
            [
                value_of(number)
                if at < len(mark.numbers) and (number := mark.numbers[at])
                else None
                for mark in drawn
            ],
        )
        for at in range(count)
    ]


def _form_of(drawn: list[Mark]) -> str:
    """Return the number format that writes what the table writes."""
    shown = [number.shown for mark in drawn for number in mark.numbers if number]
    if any(text.endswith("%") for text in shown):
        return 'General"%"'
    places = max((len(text.partition(".")[2]) for text in shown), default=0)
    plain = "#,##0" + ("." + "0" * places if places else "")
    if any(text.startswith(("+", "−")) for text in shown):
        return f'+{plain};"−"{plain};{plain}'
    return plain


def _workbook(data: CategoryChartData) -> bytes:
    """Return the sheet behind a chart, which python-pptx would mark with the hour."""
    held = BytesIO()
    with xlsxwriter.Workbook(held, {"in_memory": True}) as book:
        book.set_properties({"created": _MADE})
        sheet = book.add_worksheet("Sheet1")  # the name by which the chart refers to it
        sheet.right_to_left()
        sheet.write_column(1, 0, [category.label for category in data.categories])
        form = book.add_format({"num_format": data.number_format})
        for column, series in enumerate(data, start=1):
            sheet.write_string(0, column, series.name)
            for row, value in enumerate(series.values, start=1):
                if value is not None:
                    sheet.write_number(row, column, value, form)
    return held.getvalue()


def _labels(plot_or_series: Any, drawn: list[Mark], position: Any, colour: str = LINE) -> None:
    labels = plot_or_series.data_labels
    labels.show_value = True
    labels.number_format, labels.number_format_is_linked = _form_of(drawn), False
    labels.font.size, labels.font.bold, labels.font.name = Pt(11), True, _FONT
    labels.font.color.rgb = RGBColor.from_string(colour.upper())
    labels.position = position


def _bars(chart: Any, drawn: list[Mark]) -> None:
    chart.value_axis.reverse_order = True  # bars grow from the right
    chart.value_axis.minimum_scale = 0
    longest = max(value_of(number) for mark in drawn for number in mark.numbers if number)
    chart.value_axis.maximum_scale = _ROOM * (longest or 1.0)
    plot = chart.plots[0]
    plot.gap_width = 45
    plot.series[0].format.fill.solid()
    plot.series[0].format.fill.fore_color.rgb = RGBColor.from_string(STRONG.upper())
    _labels(plot.series[0], drawn, XL_LABEL_POSITION.OUTSIDE_END)


def _parts(chart: Any, drawn: list[Mark], tones: Sequence[str]) -> None:
    chart.value_axis.reverse_order = True
    chart.value_axis.minimum_scale = 0
    plot = chart.plots[0]
    plot.gap_width, plot.overlap = 45, 100
    for series, tone in zip(plot.series, tones, strict=True):
        series.format.fill.solid()
        series.format.fill.fore_color.rgb = RGBColor.from_string(tone.upper())
        ink = LINE if tone in ON_WHICH_BLACK else "FFFFFF"
        _labels(series, drawn, XL_LABEL_POSITION.CENTER, ink)
        series.data_labels.number_format = f"{_form_of(drawn)};;"  # no room for a nought


def _ranges(chart: Any, drawn: list[Mark], is_of_places: bool) -> None:
    series = chart.plots[0].series[0]
    series.smooth = False
    names = chart.category_axis.tick_labels
    names.font.size = Pt(11 if len(drawn) <= _FEW else 9)
    chart.category_axis._element.find(f".//{qn('a:bodyPr')}").set("rot", "0")
    series.format.line.fill.background()
    series.marker.style, series.marker.size = XL_MARKER_STYLE.CIRCLE, 9
    series.marker.format.fill.solid()
    series.marker.format.fill.fore_color.rgb = RGBColor.from_string(STRONG.upper())
    _labels(series, drawn, XL_LABEL_POSITION.RIGHT)
    ends = [end for mark in drawn for end in mark.numbers if end]
    values = [value_of(end) for end in ends]
    if is_of_places:
        chart.value_axis.reverse_order = True  # the first place on top, and names below
        chart.category_axis.tick_label_position = XL_TICK_LABEL_POSITION.HIGH
        chart.category_axis.format.line.fill.background()
    else:
        values.append(0.0)
    room = 0.06 * ((max(values) - min(values)) or 1.0)
    chart.value_axis.minimum_scale = min(values) - room
    chart.value_axis.maximum_scale = max(values) + room
    series._element.append(_whiskers(drawn))
    # The schema has them before the categories.
    series._element.find(qn("c:cat")).addprevious(series._element[-1])


def _whiskers(drawn: list[Mark]) -> Any:
    """Return the intervals as error bars of their own lengths."""
    bars = etree.Element(qn("c:errBars"))
    for name, value in (("errDir", "y"), ("errBarType", "both"), ("errValType", "cust")):
        etree.SubElement(bars, qn(f"c:{name}")).set("val", value)
    etree.SubElement(bars, qn("c:noEndCap")).set("val", "0")
    for side, end in (("plus", 1), ("minus", 0)):
        held = etree.SubElement(etree.SubElement(bars, qn(f"c:{side}")), qn("c:numLit"))
        etree.SubElement(held, qn("c:formatCode")).text = "General"
        etree.SubElement(held, qn("c:ptCount")).set("val", str(len(drawn)))
        for at, mark in enumerate(drawn):
            known = [value_of(number) for number in mark.numbers if number]
            if len(known) == 3:
                far = sorted(known[1:])[end]
                point = etree.SubElement(held, qn("c:pt"))
                point.set("idx", str(at))
                length = far - known[0] if end else known[0] - far
                etree.SubElement(point, qn("c:v")).text = f"{max(length, 0.0):.6g}"
    line = etree.SubElement(etree.SubElement(bars, qn("c:spPr")), qn("a:ln"))
    line.set("w", str(Emu(22225)))
    fill = etree.SubElement(etree.SubElement(line, qn("a:solidFill")), qn("a:srgbClr"))
    fill.set("val", "6795B8")
    return bars
