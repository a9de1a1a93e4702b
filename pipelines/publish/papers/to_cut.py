"""Paper for the table: to print, cut along the dashed lines, fill in and type back (R109).

A rating map, cards of gaps, causes and actions with blanks, a card a response with its price and
evidence, and the ladder. What is filled in goes into the entry sheet (`sources/forms.py`). Numbers
know their cells, as in every paper (`content.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import typst

from pipelines.publish import words
from pipelines.publish.pages.base import ReportContext, called, names_of
from pipelines.publish.papers.content import Line, Number, Piece, number, said
from pipelines.publish.papers.typst_pdf import FONTS, quoted, typst_line
from pipelines.settings.fields import dictionary

Tables = Mapping[str, pl.DataFrame]
MARKS = 5
"""Rules of the strength of evidence (`mart_evidence_mark`): as many marks as hold."""
RUNGS = 8
_BLANK_CARDS = 3  # of gaps, and of causes
_BELOW = ("surely_below", "probably_below")


@dataclass(frozen=True)
class Card:
    """A card to cut out.

    Attributes:
        kind: what the card is, in a word.
        title: its name; empty on a card that is blank.
        lines: what is told on it.
        blanks: what is to be filled in, each with a rule to write on.
        boxes: what is to be marked, each with a box.
    """

    kind: str
    title: str = ""
    lines: tuple[Line, ...] = ()
    blanks: tuple[str, ...] = ()
    boxes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cards:
    """Cards on sheets of A4: how many beside each other, and how high each is, in millimetres."""

    cards: tuple[Card, ...]
    columns: int
    height: int


@dataclass(frozen=True)
class Grid:
    """A table to fill in: heads, and rows of lines; an empty line is left white.

    `high` is the height of a row in millimetres.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]
    widths: tuple[str, ...]
    high: int


@dataclass(frozen=True)
class Sheet:
    """A paper to cut or fill in: title, foot, what to do with it, and what stands on it."""

    title: str
    foot: str
    told: tuple[Line, ...]
    body: Cards | Grid
    blanks: tuple[str, ...] = ()

    def numbers(self) -> list[Number]:
        """Return every number of the paper that has a cell, in order."""
        if isinstance(self.body, Cards):
            lines = [line for card in self.body.cards for line in card.lines]
        else:
            lines = [line for row in self.body.rows for line in row]
        return [
            piece for line in lines for piece in line if isinstance(piece, Number) and piece.cell
        ]


def sheets_to_cut(shown: Tables, context: ReportContext, release: str) -> dict[str, Sheet]:
    """Return the papers of the table by the names of their files.

    Args:
        shown: the committee's tables, after suppression.
        context: what pages say of the city.
        release: id of the release.
    """
    mark = "נתונים סינתטיים · " if context.is_synthetic else ""
    foot = f"{mark}{context.city_name_he} · מהדורה {release}"
    return {
        "rating_map": _rating_map(shown, foot),
        "gap_cause_action": _gaps_causes_actions(shown, foot),
        "response_cards": _response_cards(shown, foot),
        "ladder": _ladder(shown, foot),
    }


def _rating_map(shown: Tables, foot: str) -> Sheet:
    names = names_of(shown)
    goals = shown["mart_response_goal"].to_dicts()
    rows = sorted(
        (called(names, "response_id", row["response_id"]), row["goal_name_he"]) for row in goals
    )
    colours = tuple(words.label("rating", str(one)) for one in _allowed("rating"))
    rests = " · ".join(
        words.label("rating_evidence", str(one)) for one in _allowed("rating_evidence")
    )
    mark: Line = ("○",)
    return Sheet(
        "מפת הדירוג",
        foot,
        (
            ("בכל שורה מסמנים צבע אחד: עד כמה המענה יעיל לשם היעד. מי שאינו יודע משאיר ריק.",),
            (f"על מה הדירוג נשען: {rests}.",),
        ),
        Grid(
            ("המענה", "לשם היעד", *colours, "על מה נשען", "נימוק"),
            tuple(
                ((response,), (goal,), *(mark for _ in colours), (), ()) for response, goal in rows
            ),
            ("3fr", "3fr", "1.5fr", "1.7fr", "1.5fr", "2fr", "4fr"),
            10,
        ),
        ("מפתח משתתף", "תפקיד", "יום"),
    )


def _gaps_causes_actions(shown: Tables, foot: str) -> Sheet:
    names = names_of(shown)
    gaps = [
        _gap("mart_gap_city", row, words.label("subject", row["subject"]))
        for row in shown["mart_gap_city"].sort("subject").to_dicts()
        if row["subject"] != "all" and row["gap_tier"] in _BELOW
    ]
    groups = shown["mart_gap_group"].filter(pl.col("subject") == "all", pl.col("group_id") != "all")
    gaps += [
        _gap("mart_gap_group", row, called(names, "group_id", row["group_id"]))
        for row in groups.sort("group_id").to_dicts()
        if row["gap_tier"] in _BELOW
    ]
    causes = [
        Card(
            "גורם",
            row["cause_name_he"],
            (("בידי הרשות לפעול." if row["is_in_power"] else "אין בידי הרשות לשנות.",),),
            ("איך רואים את זה",),
        )
        for row in shown["mart_cause"].sort("cause_name_he").to_dicts()
    ]
    gap_blanks = (Card("פער", blanks=("אצל מי", "במה", "איך יודעים")),) * _BLANK_CARDS
    cause_blanks = (Card("גורם", blanks=("הגורם", "איך רואים את זה")),) * _BLANK_CARDS
    actions = (Card("פעולה", blanks=("מה עושים", "ערוץ", "באחריות", "עד מתי")),) * 9
    return Sheet(
        "כרטיסי פער – גורם – פעולה",
        foot,
        (
            ("גוזרים לאורך הקווים. מניחים ליד כל פער גורם אחד או יותר, וליד כל גורם פעולה.",),
            ("גורם הוא השערה: מה שהולך יחד עם הפער אינו בהכרח סיבתו.",),
        ),
        Cards((*gaps, *gap_blanks, *causes, *cause_blanks, *actions), 3, 48),
    )


def _gap(mart: str, row: dict[str, object], name: str) -> Card:
    low, high = number(mart, row, "gap_hi_sd"), number(mart, row, "gap_lo_sd")
    months = number(mart, row, "gap_sd")
    told: tuple[Line, ...] = ((words.label("gap_tier", str(row["gap_tier"])),),)
    if isinstance(months, Number):
        told += (("מן היעד, בחודשי למידה: ", months, " (", low, " עד ", high, ")"),)
    return Card("פער", name, told, ("אצל מי במיוחד",))


def _response_cards(shown: Tables, foot: str) -> Sheet:
    names, plan = names_of(shown), _by_response(shown["mart_voice_plan"])
    marks = _by_response(shown["mart_evidence_mark"])
    categories = tuple(
        f"{words.label('card_category', name)} ({quota})"
        for name, quota in dictionary().quotas.items()
    )
    cards = []
    for row in shown["mart_response"].sort("response_name_he", "response_id").to_dicts():
        own = row["response_id"]
        lines: list[Line] = [("לשם: ", row["goal_name_he"]), _price(row)]
        if (planned := plan.get(own)) and planned["allocated_agorot"] is not None:
            lines.append(
                ("בתוכנית: ", number("mart_voice_plan", planned, "allocated_agorot"), " ₪")
            )
        if strength := marks.get(own):
            held = strength["evidence_marks"]
            shapes = "■" * held + "□" * (MARKS - held)
            told = number("mart_evidence_mark", strength, "evidence_marks")
            lines.append((f"חוזק הראיות: {shapes} ", told, " מתוך ", Number(str(MARKS))))
        else:
            lines.append(("חוזק הראיות: אין מה לבחון",))
        name = called(names, "response_id", own)
        cards.append(Card("מענה", name, tuple(lines), ("נימוק",), categories))
    new = Card("מענה חדש", "", (), ("המענה", "לשם מה", "כמה יעלה", "נימוק"), categories)
    cards += [new] * (4 - len(cards) % 2)
    return Sheet(
        "כרטיסי מענים",
        foot,
        (
            said(
                "גוזרים לאורך הקווים. מסמנים קטגוריה אחת בכרטיס; המספר שלידה הוא כמה כרטיסים מותר"
                " לסמן בה, ואינו ציון."
            ),
            said(
                f"חוזק הראיות הוא כמה מן הכללים האלה מתקיימים ({MARKS}): "
                + "; ".join(dictionary().fields[name].he for name in _rules(shown))
                + "."
            ),
        ),
        Cards(tuple(cards), 2, 60),
    )


def _price(row: dict[str, Any]) -> Line:
    """Return what a response costs, by its participants and by its schools."""
    parts: list[Piece] = []
    for column, per in (("unit_cost_agorot", "למשתתף"), ("fixed_cost_agorot", "לבית ספר")):
        if row[column]:
            parts += [" ועוד " if parts else "", number("mart_response", row, column), f" ₪ {per}"]
    return ("מחיר: ", *parts) if parts else ("מחיר: לא רשום",)


def _ladder(shown: Tables, foot: str) -> Sheet:
    causes = " · ".join(shown["mart_cause"].sort("cause_name_he")["cause_name_he"])
    rungs = tuple(((Number(str(rung)),), (), ()) for rung in range(1, RUNGS + 1))
    return Sheet(
        "סולם הגורמים",
        foot,
        (
            said("בשלב 1 – הגורם שמשפיע יותר מכולם על הפער, ואחריו לפי הסדר. אין חובה למלא הכול."),
            (f"גורמים שהמדדים מכירים: {causes}.",),
        ),
        Grid(("שלב", "הגורם", "איך רואים את זה"), rungs, ("1fr", "5fr", "6fr"), 26),
        ("מפתח משתתף", "תפקיד", "יום"),
    )


def _allowed(field: str) -> tuple[str | int, ...]:
    return dictionary().fields[field].allowed


def _rules(shown: Tables) -> list[str]:
    return [
        name for name in shown["mart_evidence_mark"].columns if name.startswith(("has_", "is_"))
    ]


def _by_response(frame: pl.DataFrame) -> dict[str, dict[str, Any]]:
    return {row["response_id"]: row for row in frame.iter_rows(named=True)}


# ---- printing ---------------------------------------------------------------------------------

_PAGE = """#set document(title: {title}, author: "Tikkun", date: none)
#set page(paper: "a4", flipped: {flipped}, margin: (x: 1cm, top: 1cm, bottom: 1.3cm), \
footer-descent: 15%, footer: align(center, text(size: 7pt, {foot})))
#set text(lang: "he", dir: rtl, font: {fonts}, size: 9.5pt)
#set par(leading: .6em, spacing: .6em)
#show heading: set text(size: 15pt, fill: rgb("#1f3a5f"))
#let rule(name) = [#text(size: 8.5pt, name + ":") \
#box(width: 1fr, line(length: 100%, stroke: .5pt))]
#heading(level: 1, {title_text})
"""


def write_sheet(sheet: Sheet, path: Path) -> None:
    """Write a paper as PDF/UA-1; the same paper gives the same bytes.

    Raises:
        typst.TypstError: if it is not accessible by the rules of PDF/UA-1.
    """
    path.write_bytes(typst.compile(sheet_source(sheet).encode(), pdf_standards=["ua-1"]))


def sheet_source(sheet: Sheet) -> str:
    """Return a paper in Typst's language; every text of it stands in quotes."""
    is_wide = isinstance(sheet.body, Grid) and len(sheet.body.heads) > 4
    head = _PAGE.format(
        title=quoted(sheet.title),
        title_text=quoted(sheet.title),
        flipped="true" if is_wide else "false",
        foot=quoted(sheet.foot),
        fonts="(" + ", ".join(map(quoted, FONTS)) + ")",
    )
    told = "".join(f"#par[{typst_line(line)}]\n" for line in sheet.told)
    if sheet.blanks:
        cells = ", ".join(f"rule({quoted(blank)})" for blank in sheet.blanks)
        told += f"#grid(columns: (1fr,) * {len(sheet.blanks)}, gutter: 6mm, {cells})\n#v(2mm)\n"
    body = sheet.body
    return head + told + (_cards(body) if isinstance(body, Cards) else _grid(body))


def _cards(body: Cards) -> str:
    cards = ",\n".join(f"  [{_card(card)}]" for card in body.cards)
    rows = -(-len(body.cards) // body.columns)
    return (
        f"#grid(columns: (1fr,) * {body.columns}, rows: ({body.height}mm,) * {rows}, inset: 3.5mm,"
        f' stroke: (thickness: .7pt, paint: gray, dash: "dashed"),\n{cards}\n)\n'
    )


def _card(card: Card) -> str:
    drawn = f'#text(size: 8pt, fill: rgb("#4b5563"), {quoted(card.kind)})'
    if card.title:
        drawn += f'\\ #text(size: 12pt, weight: "bold", {quoted(card.title)})'
    drawn += "".join(f"\n\n{typst_line(line)}" for line in card.lines)
    if card.boxes:
        boxes = " #h(3mm) ".join(f"#box(text({quoted('□ ' + name)}))" for name in card.boxes)
        drawn += f"\n\n#text(size: 8pt)[{boxes}]"
    return drawn + "".join(f"\n\n#v(1.5mm)#rule({quoted(blank)})" for blank in card.blanks)


def _grid(body: Grid) -> str:
    heads = ", ".join(f'text(weight: "bold", {quoted(head)})' for head in body.heads)
    rows = "\n".join("  " + " ".join(f"[{typst_line(line)}]," for line in row) for row in body.rows)
    high = f"(auto,) + ({body.high}mm,) * {len(body.rows)}"
    return (
        f"#table(columns: ({', '.join(body.widths)}), rows: {high}, inset: 2mm,"
        f" stroke: .5pt + gray, align: start + horizon,\n  table.header({heads}),\n{rows}\n)\n"
    )
