"""Paper for the table: accessible, A4, its numbers those of the tables, and typed back whole."""

from __future__ import annotations

import html
import re
from collections import Counter

import polars as pl
import pypdf
import pytest

from pipelines.publish.marts import DATABASE, read_database
from pipelines.publish.pages import base
from pipelines.publish.papers.content import Number
from pipelines.publish.papers.make import ENTRY, make_papers
from pipelines.publish.papers.to_cut import Card, Cards, Sheet, sheets_to_cut, write_sheet
from pipelines.publish.redraw import context_of
from pipelines.settings.city import load_city
from pipelines.settings.fields import dictionary
from pipelines.sources.forms import AT_THE_TABLE

A4 = {(595, 842), (842, 595)}
NAMES = ("rating_map", "gap_cause_action", "response_cards", "ladder")


@pytest.fixture(scope="module")
def tables(published):
    return read_database(published.current / "committee" / DATABASE)


@pytest.fixture(scope="module")
def sheets(tables, published):
    context = context_of(load_city(published.current / "analyst"))
    return sheets_to_cut(tables, context, "00ddba1100ddba11")


@pytest.fixture(scope="module")
def read(sheets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cut")
    for name, sheet in sheets.items():
        write_sheet(sheet, folder / f"{name}.pdf")
    return {name: pypdf.PdfReader(folder / f"{name}.pdf") for name in sheets}


def lines_of(sheet):
    if isinstance(sheet.body, Cards):
        return [line for card in sheet.body.cards for line in card.lines]
    return [line for row in sheet.body.rows for line in row]


def test_the_papers_of_the_table_are_there(sheets):
    assert tuple(sheets) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_is_accessible_on_a4_and_says_whose_it_is(read, name):
    catalog = read[name].trailer["/Root"]
    assert catalog["/MarkInfo"]["/Marked"]
    assert catalog["/Lang"] == "he"
    assert b"pdfuaid" in catalog["/Metadata"].get_object().get_data()
    assert {
        (round(float(page.mediabox.width)), round(float(page.mediabox.height)))
        for page in read[name].pages
    } <= A4
    for page in read[name].pages:
        assert "00ddba1100ddba11" in page.extract_text()


def test_every_number_is_its_cell_and_is_printed(sheets, read, tables):
    for name, sheet in sheets.items():
        for told in sheet.numbers():
            mart, key, column = re.fullmatch(r"(\w+)/(.*)/(\w+)", told.cell).groups()
            keys = dictionary().tables[mart].key
            rows = [
                row
                for row in tables[mart].iter_rows(named=True)
                if ";".join(f"{one}={row[one]}" for one in keys) == key
            ]
            assert len(rows) == 1, told
            shown = re.sub("<[^>]+>", "", str(base.number(mart, rows[0], column)))
            assert html.unescape(shown) == told.shown
        text = "\n".join(page.extract_text(extraction_mode="layout") for page in read[name].pages)
        printed = Counter(base.NUMBER.findall(text))
        assert Counter(one.shown for one in sheet.numbers()) - printed == Counter(), name
    assert sum(len(sheet.numbers()) for sheet in sheets.values()) > 30


def test_a_gaps_range_goes_from_its_lower_end_up_around_its_middle(sheets):
    gaps = [
        card for card in sheets["gap_cause_action"].body.cards if card.kind == "פער" and card.title
    ]
    assert gaps
    for card in gaps:
        middle, low, high = (
            float(piece.shown.replace("−", "-"))
            for piece in card.lines[1]
            if isinstance(piece, Number)
        )
        assert low <= middle <= high
        assert middle < 0.05  # only what is below the target is a gap


def test_cards_are_of_every_response_and_cause_and_some_are_blank(sheets, tables):
    cards = sheets["response_cards"].body.cards
    named = sorted(card.title for card in cards if card.title)
    assert named == sorted(tables["mart_response"]["response_name_he"])
    quotas = dictionary().quotas
    for card in cards:
        assert len(card.boxes) == len(quotas)
        assert [int(re.search(r"\((\d)\)", box)[1]) for box in card.boxes] == list(quotas.values())
    others = sheets["gap_cause_action"].body.cards
    causes = sorted(card.title for card in others if card.kind == "גורם" and card.title)
    assert causes == sorted(tables["mart_cause"]["cause_name_he"])
    for kind in ("פער", "גורם", "פעולה"):
        assert [card for card in others if card.kind == kind and not card.title and card.blanks]


def test_marks_of_evidence_are_as_many_as_rules_hold(sheets, tables):
    marks = dict(tables["mart_evidence_mark"].select("response_id", "evidence_marks").iter_rows())
    names = dict(tables["mart_response"].select("response_name_he", "response_id").iter_rows())
    rated = 0
    for card in sheets["response_cards"].body.cards:
        said = [line for line in card.lines if "חוזק הראיות" in str(line[0])]
        if card.title and names[card.title] in marks:
            rated += 1
            assert said[0][0].count("■") == marks[names[card.title]]
            assert said[0][0].count("■") + said[0][0].count("□") == 5
        elif card.title:
            assert said[0] == ("חוזק הראיות: אין מה לבחון",)
    assert rated == len(marks)


def test_a_price_that_is_not_there_is_no_zero(sheets, tables):
    free = tables["mart_response"].filter(
        pl.col("unit_cost_agorot") == 0, pl.col("fixed_cost_agorot") == 0
    )["response_name_he"]
    for card in sheets["response_cards"].body.cards:
        shown = [piece.shown for line in card.lines for piece in line if isinstance(piece, Number)]
        if card.title:
            assert "0" not in shown[:1]
            assert (("מחיר: לא רשום",) in card.lines) == (card.title in set(free))


def test_no_school_stands_on_paper_for_the_table(read, tables):
    text = "".join(page.extract_text() for one in read.values() for page in one.pages)
    for code in tables["mart_allocation_school"]["semel_mosad"]:
        assert code not in text


def test_the_map_has_a_row_a_response_and_goal(sheets, tables):
    rows = sheets["rating_map"].body.rows
    goals = tables["mart_response_goal"]
    assert len(rows) == goals.height
    assert {row[1][0] for row in rows} == set(goals["goal_name_he"])
    assert all(row[2:5] == (("○",),) * 3 for row in rows)


def test_a_name_cannot_become_typst_code(tmp_path):
    sheet = Sheet(
        "כותרת", "סוף", (), Cards((Card("מענה", '"#panic()" \\ $x$', (), ("נימוק",)),), 1, 40)
    )
    write_sheet(sheet, tmp_path / "a.pdf")
    assert "panic" in pypdf.PdfReader(tmp_path / "a.pdf").pages[0].extract_text()


def test_papers_and_entry_sheet_repeat_byte_for_byte(papers, published, tmp_path):
    again = make_papers(tmp_path, published.current.resolve(), load_city(published.raw))
    told = [
        {path.name: path.read_bytes() for path in (folder / "committee").iterdir()}
        for folder in (papers, again)
    ]
    assert {ENTRY, *(f"{name}.pdf" for name in NAMES)} <= told[0].keys()
    assert told[0] == told[1]


def test_whatever_the_papers_ask_has_a_sheet(published):
    """Ratings, ladders, cards: what is written on paper is a column of what it is typed into."""
    asked = {"voice__ratings", "voice__ladders", "voice__cards", "voice__wheel"}
    assert asked <= set(AT_THE_TABLE)
    assert all(dictionary().contract(name).form for name in AT_THE_TABLE)
