"""Charts of the first layer: read from the right, named, told in numbers, and seen by all."""

import re

import polars as pl
import pytest

from pipelines.publish import charts
from pipelines.publish.charts import Mark, bars, dots, ranges
from tests.publish.test_quality_page import _luminance

MARKS = [
    Mark("בית הספר הראשון", 30.0, "+30 ₪", is_strong=True),
    Mark("בית ספר אחר", 10.0, "10 ₪"),
]
TEXT = re.compile(r'<text x="([\d.]+)" y="([\d.]+)" text-anchor="(\w+)">([^<]*)</text>')
RECT = re.compile(r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="18"')


def texts(svg):
    return [(float(x), float(y), anchor, text) for x, y, anchor, text in TEXT.findall(svg)]


def boxes(svg):
    return [(float(x), float(width)) for x, _, width in RECT.findall(svg)]


@pytest.mark.parametrize("place", ["desk", "phone"])
def test_bars_begin_at_the_right_and_grow_with_their_value(place):
    svg = getattr(bars(MARKS), place)
    (first, long), (second, short) = boxes(svg)
    assert first + long == pytest.approx(second + short, abs=0.2)
    assert long == pytest.approx(3 * short, abs=0.3)
    names = [text for x, _, _, text in texts(svg) if x == charts.WIDTHS[place]]
    assert names[0].startswith("בית הספר")
    assert f'width="{charts.WIDTHS[place]}"' in svg


def test_a_number_keeps_its_sign_at_its_left():
    shown = [text for *_, text in texts(bars(MARKS).desk)]
    assert "\u2066+30\u2069 ₪" in shown


def test_bars_that_go_both_ways_stand_on_one_line_and_inside_the_picture():
    marks = [Mark("תוספות", 5_000_000, "+5,000,000 ₪"), Mark("", -9_000_000, "−9,000,000 ₪")]
    for place, width in charts.WIDTHS.items():
        (gain, gained), (loss, lost) = boxes(getattr(bars(marks), place))
        assert gain + gained == pytest.approx(loss, abs=0.2)
        assert lost == pytest.approx(gained * 9 / 5, abs=0.3)
        # The numbers beyond the bars have room: ten digits and signs of seven pixels.
        assert gain > 80
        assert loss + lost < width - 80


def test_an_interval_is_drawn_from_end_to_end_around_its_point():
    svg = ranges([Mark("השליש", 0.2, "+0.20", -0.1, 0.5), Mark("אחר", 0.0, "0.00", -0.1, 0.1)]).desk
    drawn = re.search(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)" height="3"', svg)
    x, width = map(float, drawn.groups())
    point = float(re.search(r'cx="([\d.]+)"', svg)[1])
    assert point == pytest.approx(x + width / 2, abs=0.2)
    line = float(re.search(r'<rect x="([\d.]+)" y="0" width="1"', svg)[1]) + 0.5
    assert line == pytest.approx(x + width * 5 / 6, abs=0.2)  # zero lies a sixth from the right


def test_a_long_name_is_broken_and_marked_text_is_escaped():
    svg = bars([Mark("מקום & <לב> של כל תלמידי השכבה הבוגרת", 1.0, "1")]).phone
    assert "&amp;" in svg
    assert "<לב>" not in svg
    assert len(texts(svg)) == 3


def test_dots_have_no_names():
    frame = pl.DataFrame({"x": [0.1, 0.5], "y": [100.0, 300.0], "name": ["א", "ב"]})
    drawn = dots(frame, "צורך", "₪", high=100)
    assert drawn.desk.count('aria-label="x:') in (0, 2)
    assert ">א<" not in drawn.desk
    assert drawn.desk != drawn.phone


def test_colours_are_told_from_paper_and_from_each_other():
    paper, ink = _luminance("#ffffff"), _luminance("#1b2430")
    strong, pale = (_luminance(colour) for colour in (charts.STRONG, charts.PALE))

    def contrast(one, other):
        light, dark = max(one, other), min(one, other)
        return (light + 0.05) / (dark + 0.05)

    assert contrast(paper, ink) >= 4.5
    assert min(contrast(paper, strong), contrast(paper, pale)) >= 3
    assert contrast(strong, pale) >= 3
