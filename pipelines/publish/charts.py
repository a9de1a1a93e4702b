"""Static charts as SVG. Hebrew reads right where the SVG stands in a left-to-right block."""

from __future__ import annotations

import hashlib
import json
import os
import re
import textwrap
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, ParamSpec

import polars as pl
from markupsafe import Markup

from pipelines.publish.words import label
from pipelines.settings.code import code_fingerprint
from pipelines.settings.content import content_of
from pipelines.settings.fields import dictionary
from pipelines.settings.keys import AGOROT
from pipelines.settings.workspace import PROJECT

if TYPE_CHECKING:  # loaded by what draws: half a second, and mostly what is asked for is kept
    import altair as alt

# A right-to-left mark at both ends keeps quotes, signs and brackets of a Hebrew label at their
# place.
RLM = "\u200f"
FONT = "DejaVu Sans, Arial, sans-serif"
# A number keeps left to right inside a Hebrew label, its sign at its place.
_NUMBER = re.compile(r"[+−]?\d(?:[\d,.]*\d)?%?")
_ISOLATED = "\u2066\\g<0>\u2069"
TIER_COLOURS = {
    "surely_below": "#9c2a00",
    "probably_below": "#d9822b",
    "cannot_tell": "#6b7280",
    "probably_at_target": "#4d8fac",
    "surely_at_target": "#1f5f7a",
}
NEED_COLOURS = {"A": "#7a1f1f", "B": "#c2672e", "C": "#7d8aa0", "D": "#39607f"}
CHANNEL_COLOURS = {
    "municipal_own": "#1f3a5f",
    "gefen_school": "#3f7cac",
    "gefen_municipal": "#95b8d1",
    "ministry_other": "#6a994e",
    "mifal_hapais": "#bc6c25",
    "partner_ngo": "#8e6c8a",
    "parents": "#a5a58d",
}


KEPT = 400  # drawings: those of the last few releases
_DRAWN_BY = (
    "pipelines/publish/charts.py",
    "pipelines/publish/words.py",
    "sql/fields.yaml",
    "requirements.lock",
)
WIDTHS = {"desk": 520, "phone": 310}  # of a chart of the first layer, in pixels
MOST_SCHOOLS = 200
"""Schools that a chart with a row each has room for; of more none is drawn."""
STRONG, PALE = "#1f3a5f", "#6795b8"


@dataclass(frozen=True)
class Drawn:
    """A chart of the first layer as it stands on a desk and on paper, and on a phone."""

    desk: Markup
    phone: Markup


Given = ParamSpec("Given")


def _kept(draw: Callable[Given, str]) -> Callable[Given, str]:
    """Have a drawing of Vega made once: audiences mostly see the same chart, and so do later pages.

    It is kept by what it is drawn from – rows, words, versions – beside the environment, and drawn
    again where it cannot be.
    """

    @wraps(draw)
    def drawn(*args: Given.args, **named: Given.kwargs) -> str:
        said = [draw.__name__, _code(), *map(_content, args)]
        said += [f"{name} {_content(value)}" for name, value in sorted(named.items())]
        name = hashlib.sha256("\n".join(said).encode()).hexdigest()
        held = PROJECT / ".work" / "charts" / f"{name}.svg"
        if held.is_file():
            return held.read_text(encoding="utf-8")
        made = draw(*args, **named)
        with suppress(OSError):
            held.parent.mkdir(parents=True, exist_ok=True)
            for old in sorted(held.parent.iterdir(), key=lambda path: path.stat().st_mtime)[:-KEPT]:
                old.unlink()
            aside = held.with_suffix(f".{os.getpid()}")
            aside.write_text(made, encoding="utf-8")
            aside.replace(held)
        return made

    return drawn


@cache
def _code() -> str:
    return code_fingerprint(_DRAWN_BY)


def _content(value: object) -> str:
    return content_of(value) if isinstance(value, pl.DataFrame) else repr(value)


@dataclass(frozen=True)
class Mark:
    """One row of a chart of the first layer.

    Attributes:
        name: what the row is of; it stands at the right, where reading begins.
        value: how far its bar or point lies.
        shown: the number as pages write it; it stands at the mark, so that no axis is needed.
        low, high: the ends of its interval, where it has one.
        is_strong: whether the eye should go to it.
    """

    name: str
    value: float
    shown: str
    low: float | None = None
    high: float | None = None
    is_strong: bool = False


def bars(marks: Sequence[Mark]) -> Drawn:
    """Return bars that grow from the right to the left, each with its name and number.

    These and `ranges` are drawn here and not by Vega: a page has up to eight of them, twice, and a
    city a page a school; and names, numbers and their order stand as Hebrew is read.
    """
    ends = [0.0, *(mark.value for mark in marks)]
    # For the number beyond the longest bar.
    room = 14 + _DIGIT * max((len(mark.shown) for mark in marks), default=0)

    def chart(width: int) -> Markup:
        plot = _Plot(marks, width, (min(ends), max(ends)), step=_BAR, room=room)
        for row, mark in enumerate(marks):
            zero, end = sorted((plot.x(0.0), plot.x(mark.value)))
            tone = STRONG if mark.is_strong else PALE
            plot.draw("rect", x=zero, y=plot.y(row) - 9, width=end - zero, height=18, fill=tone)
            beyond = mark.value < 0
            plot.say(mark.shown, plot.x(mark.value) + (6 if beyond else -6), row, at_end=beyond)
        plot.stroke(plot.x(0.0))
        return plot.svg()

    return Drawn(**{name: chart(width) for name, width in WIDTHS.items()})


def ranges(marks: Sequence[Mark], zero: float | None = 0.0) -> Drawn:
    """Return points with their intervals, from the right to the left.

    Args:
        marks: one row each.
        zero: where a line stands that an interval may pass; None = no line.
    """
    known = [end for mark in marks for end in (mark.low, mark.value, mark.high) if end is not None]
    ends = known if zero is None else [zero, *known]

    def chart(width: int) -> Markup:
        plot = _Plot(marks, width, (min(ends), max(ends)), step=36, room=26)
        if zero is not None:
            plot.stroke(plot.x(zero))
        for row, mark in enumerate(marks):
            tone, y = STRONG if mark.is_strong else "#5b7fa6", plot.y(row) + 5
            if mark.low is not None and mark.high is not None:
                start, end = sorted((plot.x(mark.low), plot.x(mark.high)))
                plot.draw("rect", x=start, y=y - 1.5, width=end - start, height=3, fill=tone)
            plot.draw("circle", cx=plot.x(mark.value), cy=y, r=5, fill=tone)
            plot.say(mark.shown, plot.x(mark.value), row, up=10, anchor="middle")
        return plot.svg()

    return Drawn(**{name: chart(width) for name, width in WIDTHS.items()})


_BAR = 27  # the height of a row of bars
_LETTER, _DIGIT = 7.1, 7.6  # their widths in letters of 13 pixels


class _Plot:
    """A drawing with its names at the right, or above where bars go both ways; values grow left."""

    def __init__(
        self, marks: Sequence[Mark], width: int, ends: tuple[float, float], step: int, room: float
    ) -> None:
        is_above = ends[0] < 0 and step == _BAR
        widest = max((len(mark.name) for mark in marks), default=0) * _LETTER
        names = 0.0 if is_above else min(widest + 10, 0.42 * width)
        self.low, span = ends[0], (ends[1] - ends[0]) or 1.0
        self.start = width - names - (room if is_above else 0)
        self.scale = (self.start - room) / span
        self.width, self.height = width, 0
        self.middles: list[float] = []
        self.parts: list[Markup] = []
        for row, mark in enumerate(marks):
            self.height += 20 if is_above and mark.name else 0
            self.middles.append(self.height + step / 2)
            self.height += step
            if is_above:
                self.say(mark.name, width, row, up=22)
                continue
            lines = textwrap.wrap(mark.name, max(int(names / _LETTER), 8))[:2] or [""]
            for place, line in enumerate(lines):
                self.say(line, width, row, up=7 * (len(lines) - 1) - 14 * place)

    def x(self, value: float) -> float:
        return self.start - (value - self.low) * self.scale

    def y(self, row: int) -> float:
        return self.middles[row]

    def draw(self, name: str, **attributes: float | str) -> None:
        said = "".join(
            f' {key}="{value if isinstance(value, str) else round(value, 1)}"'
            for key, value in attributes.items()
        )
        self.parts.append(Markup(f"<{name}{said}/>"))

    def stroke(self, x: float) -> None:
        self.draw("rect", x=x - 0.5, y=0, width=1, height=self.height, fill="#111827")

    def say(
        self, text: str, x: float, row: int, up: float = 0, anchor: str = "", at_end: bool = False
    ) -> None:
        """Write a text that begins at x and runs to the left, as Hebrew does."""
        shown = _NUMBER.sub(_ISOLATED, text)
        where = anchor or ("end" if at_end else "start")
        self.parts.append(
            Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(
                round(x, 1), round(self.y(row) + 4.5 - up, 1), where, shown
            )
        )

    def svg(self) -> Markup:
        return Markup(
            '<svg aria-hidden="true" viewBox="0 0 {0} {1}" width="{0}" height="{1}"'
            ' direction="rtl" font-size="13" fill="#1b2430">{2}</svg>'
        ).format(self.width, self.height, Markup("").join(self.parts))


def dots(
    points: pl.DataFrame, across: str, up: str, high: int, wide: int = WIDTHS["desk"]
) -> Drawn:
    """Return one unnamed dot a row, `x` growing from the right to the left.

    Args:
        points: x, y; a dot without a name.
        across: what x is; it stands under the axis.
        up: what y is; it stands above its axis.
        high, wide: in pixels; `wide` on a desk.
    """

    shown = points.select("x", "y")
    return Drawn(
        **{
            name: Markup(_dots(shown, across, up, high, min(width, wide) - 60))
            for name, width in WIDTHS.items()
        }
    )


@_kept
def _dots(points: pl.DataFrame, across: str, up: str, high: int, width: int) -> str:
    import altair as alt

    return _svg(
        alt.Chart(alt.Data(values=points.to_dicts()))
        .mark_circle(size=58, opacity=0.75, color=STRONG)
        .encode(
            x=alt.X(
                "x:Q",
                title=f"{RLM}{across}{RLM}",
                scale=alt.Scale(reverse=True, zero=False),
                axis=alt.Axis(tickCount=5, grid=False, labelFontSize=13, titleFontSize=13),
            ),
            y=alt.Y(
                "y:Q",
                title=f"{RLM}{up}{RLM}",
                axis=alt.Axis(
                    orient="right",
                    format=",.0f",
                    titleAngle=0,
                    titleAlign="right",
                    titleAnchor="end",
                    titleY=-10,
                    titleX=44,
                    tickCount=4,
                    labelFontSize=13,
                    titleFontSize=13,
                ),
            ),
        )
        .properties(width=width, height=high)
    )


def _svg(chart: Any) -> str:
    styled = (
        chart.configure(font=FONT, background="transparent")
        .configure_axis(
            labelFontSize=11,
            titleFontSize=12,
            gridColor="#e5e7eb",
            domainColor="#9ca3af",
            labelLimit=200,
        )
        .configure_legend(
            labelFontSize=11,
            titleFontSize=11,
            orient="top",
            columns=5,
            symbolSize=90,
            labelLimit=220,
        )
        .configure_view(stroke=None)
    )
    import vl_convert

    # The order of its keys is part of what Vega draws.
    drawn = vl_convert.vegalite_to_svg(json.dumps(styled.to_dict(validate=False), sort_keys=True))
    # The picture around it has a name; the letters inside would be read one by one.
    return drawn.replace("<svg ", '<svg aria-hidden="true" ', 1)


def _caterpillar(
    frame: pl.DataFrame, title: str, colour: str, palette: dict[str, str], zero: float | None
) -> str:
    if frame.height > MOST_SCHOOLS:
        return ""
    import altair as alt

    names = {key: label(colour, key) for key in palette}
    data = frame.with_columns(pl.col(colour).replace_strict(names).alias("tier"))
    present = [key for key in palette if key in frame[colour].unique()]
    base = alt.Chart(alt.Data(values=data.select("school", "value", "lo", "hi", "tier").to_dicts()))
    order = data["school"].to_list()
    y = alt.Y("school:N", sort=order, title=None, axis=alt.Axis(ticks=False, domain=False))
    scale = alt.Scale(
        domain=[names[key] for key in present], range=[palette[key] for key in present]
    )
    colours = alt.Color("tier:N", scale=scale, title=None)
    layers = [
        base.mark_rule(strokeWidth=2).encode(
            y=y, x=alt.X("lo:Q", title=title), x2="hi:Q", color=colours
        ),
        base.mark_circle(size=60, opacity=1).encode(y=y, x="value:Q", color=colours),
    ]
    if zero is not None:
        line = alt.Chart(alt.Data(values=[{"x": zero}])).mark_rule(
            strokeDash=[4, 3], color="#111827"
        )
        layers.insert(0, line.encode(x="x:Q"))
    return _svg(alt.layer(*layers).properties(width=560, height=alt.Step(17)))


@_kept
def gap_chart(gaps: pl.DataFrame) -> str:
    """Return the gaps over all subjects with intervals, by tier and then by name."""
    measured = gaps.filter("is_measured", pl.col("gap_sd").is_not_null())
    return _gaps(measured, "gap", "מרחק מהיעד בחודשי למידה (שמאלה מהקו = מתחת ליעד)")


@_kept
def adjusted_chart(gaps: pl.DataFrame) -> str:
    """Return the gap against the like in background, with intervals, by tier and then by name."""
    title = "מרחק מבתי ספר דומים ברקע, בחודשי למידה (שמאלה מהקו = חלש מהם)"
    return _gaps(gaps, "gap_adjusted", title)


def _gaps(gaps: pl.DataFrame, name: str, title: str) -> str:
    tier = f"{name}_tier"
    order = pl.col(tier).replace_strict({t: i for i, t in enumerate(TIER_COLOURS)})
    frame = gaps.sort(order, "school_name_he", "semel_mosad").select(
        _school(),
        _distance(f"{name}_sd").alias("value"),
        _distance(f"{name}_hi_sd").alias("lo"),
        _distance(f"{name}_lo_sd").alias("hi"),
        tier,
    )
    return _caterpillar(frame, title, tier, TIER_COLOURS, 0.0)


def _months(column: str) -> pl.Expr:
    """Return pupil SD as months of learning."""
    return dictionary().references["months_per_sd"].value * pl.col(column)


def _distance(column: str) -> pl.Expr:
    """Return a gap as readers see it: distance in months, minus where it is below."""
    return -_months(column)


@_kept
def need_chart(need: pl.DataFrame) -> str:
    """Return the need index with intervals, by tier and then by name."""
    frame = need.sort("need_tier", "school_name_he", "semel_mosad").select(
        _school(),
        pl.col("need").alias("value"),
        pl.col("need_lo").alias("lo"),
        pl.col("need_hi").alias("hi"),
        "need_tier",
    )
    title = "מדד צורך (0 – אין צורך, 1 – צורך מרבי)"
    return _caterpillar(frame, title, "need_tier", NEED_COLOURS, None)


@_kept
def money_chart(schools: pl.DataFrame, money: pl.DataFrame) -> str:
    """Return the money of each school by funding channel, by need tier and then by name."""
    if schools.height > MOST_SCHOOLS:
        return ""
    import altair as alt

    ordered = schools.sort("need_tier", "school_name_he", "semel_mosad").select(
        "semel_mosad", _school()
    )
    data = (
        money.group_by("semel_mosad", "funding_channel")
        .agg((pl.col("amount_agorot").sum() / AGOROT / 1000).alias("thousands"))
        .join(ordered, on="semel_mosad")
        .with_columns(
            pl.col("funding_channel")
            .replace_strict({c: label("funding_channel", c) for c in CHANNEL_COLOURS})
            .alias("channel")
        )
        .with_columns(
            pl.col("funding_channel")
            .replace_strict({c: i for i, c in enumerate(CHANNEL_COLOURS)})
            .alias("place")
        )
        .sort("semel_mosad", "place")
    )
    present = [c for c in CHANNEL_COLOURS if c in data["funding_channel"].unique()]
    scale = alt.Scale(
        domain=[label("funding_channel", c) for c in present],
        range=[CHANNEL_COLOURS[c] for c in present],
    )
    chart = (
        alt.Chart(
            alt.Data(values=data.select("school", "channel", "thousands", "place").to_dicts())
        )
        .mark_bar()
        .encode(
            y=alt.Y(
                "school:N",
                sort=ordered["school"].to_list(),
                title=None,
                axis=alt.Axis(ticks=False, domain=False),
            ),
            x=alt.X("thousands:Q", title=f"{RLM}אלפי ₪{RLM}", axis=alt.Axis(format=",.0f")),
            color=alt.Color(
                "channel:N",
                scale=scale,
                title=None,
                sort=[label("funding_channel", c) for c in present],
            ),
            order=alt.Order("place:Q"),
        )
        .properties(width=560, height=alt.Step(17))
    )
    return _svg(chart)


def _school() -> pl.Expr:
    """Return the school's name, told apart from a namesake by its code."""
    twice = pl.col("school_name_he").is_duplicated()
    name = (
        pl.when(twice)
        .then(pl.col("school_name_he") + " " + pl.col("semel_mosad"))
        .otherwise("school_name_he")
    )
    return _marked(name).alias("school")


@_kept
def contrast_chart(groups: pl.DataFrame) -> str:
    """Return how far each group is behind the other pupils, within schools and between them."""
    parts = {"within_sd": "בתוך בתי הספר", "between_sd": "בין בתי הספר"}
    ordered = groups.sort("contrast_sd", "group_id", descending=[True, False])
    drawn = [_distance(part).alias(part) for part in parts]
    ordered = ordered.select(_marked(pl.col("group_name_he")).alias("of"), *drawn)
    return _bars(
        ordered.unpivot(list(parts), index="of", variable_name="part", value_name="value"),
        ordered["of"].to_list(),
        parts,
        ["#1f3a5f", "#d9a441"],
        "מרחק משאר התלמידים בחודשי למידה (שמאלה = מאחור)",
    )


CAUSE_COLOURS = [
    "#1f3a5f",
    "#1f7a8c",
    "#d9822b",
    "#6a994e",
    "#8e6c8a",
    "#d9c441",
    "#7a1f1f",
    "#95b8d1",
    "#5f6f3a",
]
UNEXPLAINED_COLOUR = "#c3c9d1"  # pale: what no measure goes with


@_kept
def cause_chart(parts: pl.DataFrame, names: dict[str, str], unexplained: str) -> str:
    """Return the parts of each school's gap beyond the city's mean that go with each cause."""
    measured = [key for key in sorted(parts["cause_id"].unique()) if key in names]
    known = {key: names[key] for key in measured} | {"unexplained": unexplained}
    colours = [*CAUSE_COLOURS[: len(measured)], UNEXPLAINED_COLOUR]
    ordered = (
        parts.select("semel_mosad", "school_name_he")
        .unique()
        .sort("school_name_he", "semel_mosad")
        .select("semel_mosad", _school())
    )
    rows = parts.join(ordered, on="semel_mosad").select(
        pl.col("school").alias("of"),
        pl.col("cause_id").alias("part"),
        _distance("contribution_sd").alias("value"),
    )
    return _bars(
        rows,
        ordered["school"].to_list(),
        known,
        colours,
        "חלק מן המרחק מממוצע העיר, בחודשי למידה (שמאלה = מאחור)",
    )


VERDICT_COLOURS = {
    "very_effective": "#1f5f7a",
    "fairly_effective": "#4d8fac",
    "not_effective": "#7a1f1f",
    "insufficient_evidence": "#7d8aa0",
}


@_kept
def alignment_chart(money: pl.DataFrame) -> str:
    """Return each response's municipal money against its expected effect, with intervals.

    A point carries its place in the table beside the chart: names of neighbours would cover each
    other.
    """

    import altair as alt

    rows = (
        money.drop_nulls("effect_sd")
        .sort("alignment_place")
        .select(
            pl.col("alignment_place").cast(pl.String).alias("name"),
            (pl.col("amount_agorot") / AGOROT / 1000).alias("x"),
            _months("effect_sd").alias("y"),
            _months("effect_lo_sd").alias("lo"),
            _months("effect_hi_sd").alias("hi"),
            pl.col("verdict")
            .cast(pl.String)
            .replace_strict({v: label("verdict", v) for v in VERDICT_COLOURS})
            .alias("verdict"),
        )
    )
    data = alt.Data(values=rows.to_dicts())
    scale = alt.Scale(
        domain=[label("verdict", v) for v in VERDICT_COLOURS], range=list(VERDICT_COLOURS.values())
    )
    # Colour is not alone: each verdict has a shape of its own.
    shape = alt.Scale(
        domain=[label("verdict", v) for v in VERDICT_COLOURS],
        range=["circle", "triangle-up", "cross", "diamond"],
    )
    x = alt.X("x:Q", title=f"{RLM}כספי רשות בתכנון, באלפי ₪{RLM}")
    base = alt.Chart(data)
    ranges = base.mark_rule(opacity=0.55).encode(
        x=x,
        y=alt.Y("lo:Q", title=f"{RLM}השפעה משוערת בחודשי למידה בשנה{RLM}"),
        y2="hi:Q",
        color=alt.Color("verdict:N", scale=scale, title=None),
    )
    points = base.mark_point(filled=True, size=85, opacity=1).encode(
        x=x,
        y="y:Q",
        color=alt.Color("verdict:N", scale=scale, title=None),
        shape=alt.Shape("verdict:N", scale=shape, title=None),
    )
    texts = base.mark_text(dx=7, dy=-8, align="left", fontSize=12, fontWeight="bold").encode(
        x=x, y="y:Q", text="name:N"
    )
    zero = alt.Chart(alt.Data(values=[{"y": 0}])).mark_rule(color="#111827").encode(y="y:Q")
    return _svg(alt.layer(zero, ranges, points, texts).properties(width=620, height=340))


@_kept
def frontier_chart(frontier: pl.DataFrame) -> str:
    """Return what corrective preference costs in benefit against the neediest quarter's share."""

    import altair as alt

    rows = (
        frontier.drop_nulls("neediest_quarter_share_pct")
        .sort("equity_gamma")
        .select(
            pl.col("neediest_quarter_share_pct").alias("x"),
            pl.col("price_of_fairness_pct").alias("y"),
            (pl.col("objective_id") == "maximin").alias("is_floor"),
            pl.when(pl.col("objective_id") == "maximin")
            .then(pl.lit("הרצפה תחילה"))
            .otherwise(pl.format("γ = {}", "equity_gamma"))
            .alias("name"),
        )
    )

    def drawn(part: pl.DataFrame) -> alt.Chart:
        return alt.Chart(alt.Data(values=part.drop("is_floor").to_dicts())).encode(
            x=alt.X(
                "x:Q", title=f"{RLM}חלק הרבע הנזקק בכסף, באחוזים{RLM}", scale=alt.Scale(zero=False)
            ),
            y=alt.Y("y:Q", title=f"{RLM}תועלת כוללת שמוותרים עליה, באחוזים{RLM}"),
        )

    degrees, floor = drawn(rows.filter(~pl.col("is_floor"))), drawn(rows.filter("is_floor"))
    line = degrees.mark_line(color="#95b8d1")
    points = degrees.mark_point(filled=True, size=80, color="#1f3a5f", opacity=1)
    least = floor.mark_point(filled=True, size=110, shape="diamond", color="#bc6c25", opacity=1)
    texts = drawn(rows).mark_text(dy=-12, fontSize=11).encode(text="name:N")
    return _svg(alt.layer(line, points, least, texts).properties(width=560, height=280))


@_kept
def concentration_chart(curve: pl.DataFrame) -> str:
    """Return cumulated money and need against cumulated pupils, from the neediest schools on."""

    import altair as alt

    names = {"money_share": "הכסף", "need_share": "הצורך", "pupils_share": "חלק שווה לכל תלמיד"}
    rows = (
        curve.sort("curve_point")
        .with_columns(pl.col("pupils_share").alias("x"))
        .unpivot(list(names), index=["curve_point", "x"], variable_name="part", value_name="y")
        .with_columns(pl.col("part").replace_strict(names))
        .sort("part", "curve_point")
    )
    scale = alt.Scale(domain=list(names.values()), range=["#1f3a5f", "#bc6c25", "#9ca3af"])
    dash = alt.Scale(domain=list(names.values()), range=[[1, 0], [6, 3], [2, 2]])
    chart = (
        alt.Chart(alt.Data(values=rows.select("x", "y", "part").to_dicts()))
        .mark_line()
        .encode(
            x=alt.X("x:Q", title=f"{RLM}חלק מצטבר של התלמידים, מן הנזקקים ביותר{RLM}"),
            y=alt.Y("y:Q", title=f"{RLM}חלק מצטבר{RLM}"),
            color=alt.Color("part:N", scale=scale, title=None),
            strokeDash=alt.StrokeDash("part:N", scale=dash, title=None),
        )
        .properties(width=420, height=300)
    )
    return _svg(chart)


QUARTER_COLOURS = ["#7a1f1f", "#c2672e", "#7d8aa0", "#39607f"]  # neediest first


@_kept
def scenario_chart(groups: pl.DataFrame, names: dict[str, str]) -> str:
    """Return each scenario's money by quarter of need, the neediest quarter first."""
    quarters = groups.filter(
        pl.col("scenario_dimension") == "need_quartile", pl.col("scenario_id").is_in(list(names))
    )
    parts = dict(
        quarters.select("division_id", "division_name_he").unique().sort("division_id").iter_rows()
    )
    order = [f"{RLM}{name}{RLM}" for name in names.values()]
    rows = quarters.select(
        _marked(pl.col("scenario_id").replace_strict(names)).alias("of"),
        pl.col("division_id").alias("part"),
        (pl.col("cost_agorot") / AGOROT / 1_000_000).alias("value"),
    )
    return _bars(rows, order, parts, QUARTER_COLOURS, "מיליוני ₪ בתוכנית, לפי רבעי הצורך")


def _bars(
    rows: pl.DataFrame,
    order: list[str],
    names: dict[str, str],
    palette: list[str],
    title: str,
) -> str:
    import altair as alt

    data = rows.with_columns(
        pl.col("part").replace_strict(names).alias("name"),
        pl.col("part").replace_strict({key: i for i, key in enumerate(names)}).alias("place"),
    ).sort("of", "place")
    scale = alt.Scale(domain=list(names.values()), range=palette[: len(names)])
    chart = (
        alt.Chart(alt.Data(values=data.select("of", "name", "value", "place").to_dicts()))
        .mark_bar()
        .encode(
            y=alt.Y("of:N", sort=order, title=None, axis=alt.Axis(ticks=False, domain=False)),
            x=alt.X("value:Q", title=f"{RLM}{title}{RLM}"),
            color=alt.Color("name:N", scale=scale, title=None, sort=list(names.values())),
            order=alt.Order("place:Q"),
        )
        .properties(width=560, height=alt.Step(19))
    )
    zero = alt.Chart(alt.Data(values=[{"x": 0}])).mark_rule(color="#111827").encode(x="x:Q")
    return _svg(alt.layer(chart, zero))


def _marked(text: pl.Expr) -> pl.Expr:
    return pl.lit(RLM) + text + pl.lit(RLM)
