"""The packs of the three meetings, read back as slides and as pages (R109)."""

import csv
import datetime
import inspect
import io
import re
import time
import zipfile
from collections import Counter
from itertools import chain

import fastexcel
import polars as pl
import pytest
from lxml import etree
from pptx import Presentation
from pptx.oxml.ns import qn
from pptx.util import Inches

from pipelines.act.not_measured import _ABSENT_SOURCES
from pipelines.publish.pages import base
from pipelines.publish.papers.content import Number
from pipelines.publish.papers.make import CELLS, MEETINGS
from pipelines.publish.papers.packs.cells import HEADS
from pipelines.publish.papers.packs.content import absent, marks, plain, tally, value_of
from pipelines.publish.papers.packs.frame import MOST_PAGES, pack
from pipelines.publish.papers.packs.meeting_1 import meeting_1
from pipelines.publish.papers.packs.meeting_2 import meeting_2
from pipelines.publish.papers.packs.meeting_3 import meeting_3
from pipelines.publish.papers.packs.pdf import pack_source, write_pack_pdf
from pipelines.publish.papers.packs.pptx import write_pptx
from pipelines.settings.fields import dictionary
from tests.papers.reading import as_written, chart_rows, pdf_pages, pptx_pages
from tests.words import checks
from tests.words.reading import Release

NAMES = tuple(MEETINGS)
PEOPLE = (
    *("mart_card", "mart_card_agreement", "mart_card_family", "mart_voice_family", "mart_wheel"),
    *("mart_voice_group", "mart_voice_plan", "mart_voice_conflict", "mart_candidate"),
    *("mart_consideration", "mart_consideration_score", "mart_acceptability", "mart_form_need"),
    *("mart_need_reply", "mart_rating", "mart_rating_family", "mart_rating_role"),
    *("mart_triangulation", "mart_identification_method", "mart_practice"),
)


def texts_of(page):
    """All texts of a page, its notes among them."""
    lines = [(page.question,), *page.lines(), *page.notes, *((text,) for text in page.decided)]
    if page.table:
        lines += [(page.table.caption,), *((head,) for head in page.table.heads)]
    if page.chart:
        lines.append((page.chart.says,))
    if page.form:
        lines += [(page.form.title,), *((head,) for head in page.form.heads)]
    return lines


@pytest.mark.parametrize("name", NAMES)
def test_a_pack_is_at_most_ten_pages_of_one_question_each(packs, papers, name):
    pages = packs[name].pages
    assert 8 <= len(pages) <= MOST_PAGES == 10
    assert len(pdf_pages(papers / "committee" / f"{name}.pdf")) == len(pages)
    assert len(Presentation(str(papers / "committee" / f"{name}.pptx")).slides) == len(pages)
    for page in pages[1:]:
        assert page.question.count("?") == 1 or "?" not in page.question
        assert page.decided
        assert page.form
        assert page.notes
        assert page.table or page.missing
        assert bool(page.chart) == bool(page.table)
    assert len({page.question for page in pages}) == len(pages)


def test_more_than_ten_pages_are_refused(packs, tables, context):
    pages = packs["meeting_1"].pages
    with pytest.raises(ValueError, match="11 pages"):
        pack(1, "כותרת", tables, context, "0" * 16, pages)


def test_what_the_guide_asks_of_each_meeting_has_its_page(packs):
    told = {
        name: " ".join(plain(line) for page in packs[name].pages for line in texts_of(page))
        for name in NAMES
    }
    for text in ("קריטריונים", "מפת המענים", "אדום: לא יעיל", "במוקד", "אינם נענים"):
        assert text in told["meeting_1"]
    for text in ("הגורם", "ערוצי הפעולה", "גלגל", "תופעה", "היעדים"):
        assert text in told["meeting_2"]
    for text in ("תרגיל הכרטיסים", "לשמר", "לוותר", "ערוצי המימון", "דרגת הצורך"):
        assert text in told["meeting_3"]
    topics = dictionary().labels["topic_id"]
    for topic, text in topics.items():
        assert text in told["meeting_3"], topic
    aspects = ("אנגלית", "עברית לעולים", "אין מענה")
    assert all(text in told["meeting_3"] for text in aspects)


@pytest.mark.parametrize("name", NAMES)
def test_every_number_is_its_cell_as_pages_write_it(packs, tables, name):
    told = [number for _, number in packs[name].numbers() if number.cell]
    assert len(told) > 90
    for number in told:
        assert as_written(tables, number.cell) == number.shown, number


@pytest.mark.parametrize("name", NAMES)
def test_a_number_without_a_cell_is_a_name_or_in_a_sentence_of_a_mart(packs, name):
    for page in packs[name].pages[1:]:
        for line in chain.from_iterable(page.table.rows if page.table else ()):
            for piece in line:
                if isinstance(piece, Number) and not piece.cell:
                    is_day = re.fullmatch(r"\d+\.\d+\.\d{4}", piece.shown)
                    is_name = re.fullmatch(r"\d+–\d+|360", piece.shown)
                    assert is_day or is_name or "ועוד " in plain(line), (page.question, line)


@pytest.mark.parametrize("name", NAMES)
def test_the_pdf_tells_each_number_on_its_page(packs, papers, name):
    """Hebrew comes back turned, numbers do not."""
    read = pdf_pages(papers / "committee" / f"{name}.pdf")
    for page, text in zip(packs[name].pages, read, strict=True):
        told = Counter(
            piece.shown
            for line in page.lines()
            for piece in line
            if isinstance(piece, Number) and base.NUMBER.fullmatch(piece.shown)
        )
        drawn = Counter(
            number.shown
            for mark in marks(page)
            for number in (mark.numbers[:1] if page.chart.kind != "parts" else mark.numbers)
            if number and (page.chart.kind != "parts" or value_of(number))
        )
        assert told + drawn - Counter(base.NUMBER.findall(text)) == Counter(), page.question


@pytest.mark.parametrize("name", NAMES)
def test_the_slides_tell_all_that_the_pack_does(packs, papers, name):
    read = pptx_pages(papers / "committee" / f"{name}.pptx")
    for page, text in zip(packs[name].pages, read, strict=True):
        said = text.split("\n")
        wanted = [line for line in texts_of(page) if line not in page.notes]
        for line in wanted:
            assert any(plain(line) in one for one in said), (page.question, line)
        assert packs[name].foot in text


@pytest.mark.parametrize("name", NAMES)
def test_native_charts_hold_the_numbers_of_the_table(packs, papers, name):
    drawn = list(chart_rows(papers / "committee" / f"{name}.pptx"))
    wanted = [
        (place, page)
        for place, page in enumerate(packs[name].pages, start=1)
        if any(any(mark.numbers) for mark in marks(page))
    ]
    assert [place for place, *_ in drawn] == [place for place, _ in wanted]
    assert len(drawn) >= 6
    for (_, names, series), (_, page) in zip(drawn, wanted, strict=True):
        rows = marks(page)
        assert [one.removesuffix(" – לא נמדד") for one in names] == [mark.name for mark in rows]
        for at, values in enumerate(series):
            shown = [mark.numbers[at] if at < len(mark.numbers) else None for mark in rows]
            assert values == [number and value_of(number) for number in shown]


@pytest.mark.parametrize("name", NAMES)
def test_the_sheet_behind_a_chart_is_the_chart(papers, name):
    path = papers / "committee" / f"{name}.pptx"
    for slide in Presentation(str(path)).slides:
        for shape in slide.shapes:
            if not shape.has_chart:
                continue
            blob = shape.chart.part.chart_workbook.xlsx_part.blob
            sheet = fastexcel.read_excel(blob).load_sheet(0).to_polars()
            plot = shape.chart.plots[0]
            assert sheet[:, 0].to_list() == list(plot.categories)
            for at, one in enumerate(plot.series, start=1):
                assert sheet[:, at].cast(pl.Float64).to_list() == list(one.values)


def parts_of(path, folder):
    with zipfile.ZipFile(path) as parts:
        for name in sorted(parts.namelist()):
            if name.startswith(folder) and name.endswith(".xml"):
                yield name, etree.fromstring(parts.read(name))


@pytest.mark.parametrize("name", NAMES)
def test_every_paragraph_and_table_of_the_slides_runs_right_to_left(papers, name):
    path = papers / "committee" / f"{name}.pptx"
    paragraphs = tables = 0
    for part, tree in chain(parts_of(path, "ppt/slides/"), parts_of(path, "ppt/notesSlides/")):
        for paragraph in tree.iter(qn("a:p")):
            runs = [*paragraph.iter(qn("a:r"))]
            if not runs and part.startswith("ppt/notesSlides/"):
                continue  # the empty places of a page of notes
            paragraphs += 1
            properties = paragraph.find(qn("a:pPr"))
            assert properties is not None, (part, etree.tostring(paragraph))
            assert (properties.get("rtl"), properties.get("algn")) == ("1", "r")
            assert {run.find(qn("a:rPr")).get("lang") for run in runs} <= {"he-IL"}
        for table in tree.iter(qn("a:tblPr")):
            tables += 1
            assert table.get("rtl") == "1"
        for body in tree.iter(qn("p:txBody")):
            if any(body.iter(qn("a:r"))):
                assert body.find(qn("a:bodyPr")).get("rtlCol") == "1"
    assert paragraphs > 400
    assert tables >= 15
    for _, tree in parts_of(path, "ppt/charts/"):
        assert (
            tree.find(f".//{qn('c:catAx')}/{qn('c:scaling')}/{qn('c:orientation')}").get("val")
            == "maxMin"
        )
        if tree.find(f".//{qn('c:barChart')}") is not None:
            values = tree.find(f".//{qn('c:valAx')}/{qn('c:scaling')}/{qn('c:orientation')}")
            assert values.get("val") == "maxMin"  # bars grow from the right
    ((_, tree),) = [one for one in parts_of(path, "ppt/presentation") if "Props" not in one[0]]
    assert tree.get("rtl") == "1"


@pytest.mark.parametrize("name", NAMES)
def test_what_stands_on_a_slide_stays_on_it_and_apart(papers, name):
    made = Presentation(str(papers / "committee" / f"{name}.pptx"))
    for place, slide in enumerate(made.slides, start=1):
        boxes = []
        for shape in slide.shapes:
            assert shape.left >= 0, place
            assert shape.left + shape.width <= made.slide_width + 1, place
            assert shape.top + shape.height <= made.slide_height + 1, (place, shape.name)
            if shape.has_chart or shape.has_table:
                boxes.append(shape)
        for at, one in enumerate(boxes):
            for other in boxes[at + 1 :]:
                is_beside = (
                    one.left + one.width <= other.left + Inches(0.05)
                    or other.left + other.width <= one.left + Inches(0.05)
                    or one.top + one.height <= other.top + Inches(0.05)
                    or other.top + other.height <= one.top + Inches(0.05)
                )
                assert is_beside, (name, place)


@pytest.mark.parametrize("name", NAMES)
def test_every_slide_has_notes_and_every_drawing_words(packs, papers, name):
    made = Presentation(str(papers / "committee" / f"{name}.pptx"))
    for page, slide in zip(packs[name].pages, made.slides, strict=True):
        assert slide.has_notes_slide
        notes = slide.notes_slide.notes_text_frame.text.replace("\u200e", "")
        assert notes.split("\n") == [plain(line) for line in page.notes]
        assert len(notes) > 60
        assert slide.shapes.title.text == page.question
        for shape in slide.shapes:
            if shape.has_chart or shape.has_table:
                assert shape._element.nvGraphicFramePr.cNvPr.get("descr")


@pytest.mark.parametrize("name", NAMES)
def test_the_same_pack_gives_the_same_bytes_at_another_hour(packs, papers, tmp_path, name):
    time.sleep(2.1)  # a file's times are told in steps of two seconds
    for write, ending in ((write_pptx, "pptx"), (write_pack_pdf, "pdf")):
        write(packs[name], tmp_path / "again")
        first = (papers / "committee" / f"{name}.{ending}").read_bytes()
        assert (tmp_path / "again").read_bytes() == first


def test_the_cells_of_the_packs_are_a_table_to_look_up(packs, papers):
    text = (papers / "committee" / CELLS).read_text(encoding="utf-8")
    rows = list(csv.reader(io.StringIO(text)))
    assert tuple(rows[0]) == HEADS
    wanted = [
        [name, str(page), number.shown, number.cell]
        for name, pack in packs.items()
        for page, number in pack.numbers()
        if number.cell
    ]
    assert rows[1:] == wanted
    assert len(wanted) > 300


def without(tables, names):
    """The tables of a city that lacks some, with what a run says of it."""
    item = tables["mart_not_measured"]
    rows = [
        {
            "item_id": item_id,
            "item_he": he,
            "item_en": en,
            "reason_he": "אין קובץ כזה בנתוני העיר",
            "reason_en": "the city's files hold no such source",
            "schools_not_measured": 6,
            "schools": 6,
            "weakens": weakens,
        }
        for item_id, _, he, en, weakens in _ABSENT_SOURCES
        if item_id not in item["item_id"].to_list()
    ]
    said = pl.concat([item, pl.DataFrame(rows, schema=item.schema)])
    return {
        name: said if name == "mart_not_measured" else frame.clear() if name in names else frame
        for name, frame in tables.items()
    }


def test_a_city_without_peoples_files_gets_packs_that_say_what_is_missing(
    tables, context, tmp_path
):
    lacking = without(tables, PEOPLE)
    lacking["mart_cause"] = lacking["mart_cause"].with_columns(
        pl.lit(None, pl.Int64).cast(tables["mart_cause"][name].dtype).alias(name)
        for name in ("people_rank", "people_rank_lo", "people_rank_hi", "consensus_place")
    )
    silent = {}
    for name, describe in MEETINGS.items():
        pack = describe(lacking, context, "0" * 16)
        assert len(pack.pages) == 10
        for page in pack.pages[1:]:
            assert page.table or page.missing, page.question
            if page.missing:
                silent[page.question] = " ".join(map(plain, page.missing))
        write_pptx(pack, tmp_path / f"{name}.pptx")
        write_pack_pdf(pack, tmp_path / f"{name}.pdf")
        assert len(pdf_pages(tmp_path / f"{name}.pdf")) == 10
        for page, text in zip(pack.pages, pptx_pages(tmp_path / f"{name}.pptx"), strict=True):
            assert all(plain(line) in text for line in page.missing)
        first = pack.pages[0].table.rows
        states = [plain(row[2]) for row in first]
        assert [state == "חסרים נתונים" for state in states] == [
            page.table is None for page in pack.pages[1:]
        ]
    assert len(silent) == 7
    for question, text in silent.items():
        assert "מה יביא זאת: " in text, question
        assert text.count('"') >= 2, question
    assert "תרגיל הכרטיסים" in silent["אילו מענים נכניס לתוכנית השנה הבאה?"]
    assert "גלגל ההערכה" in silent["היכן אנחנו בגלגל ההערכה לשם שיפור?"]


def test_what_is_called_not_measured_is_an_item_of_the_register(packs, tables, context):
    """Words about files stand where a run would say that the file is missing, and only there."""
    items = {item_id for item_id, *_ in _ABSENT_SOURCES}
    asked = set()
    for module in (meeting_1, meeting_2, meeting_3):
        source = inspect.getsource(inspect.getmodule(module))
        asked |= set(re.findall(r'absent\(\s*shown, "(\w*)"', source))
    assert asked - {""} <= items
    assert len(asked) > 8
    nothing = absent(tables, "", "voice__cards")
    assert "קובץ" not in plain(nothing[0])
    assert "תרגיל הכרטיסים" in plain(nothing[1])


def test_a_decided_plan_is_told_as_decided(tables, context):
    row = dict.fromkeys(tables["mart_decided"].columns) | {
        "planning_year": context.planning_year,
        "decision_version": 2,
        "is_in_force": True,
        "decided_on": datetime.date(2026, 6, 18),
    }
    decided = pl.DataFrame([row], schema=tables["mart_decided"].schema)
    first = meeting_3(tables | {"mart_decided": decided}, context, "0" * 16).pages[0]
    told = " ".join(map(plain, first.answer))
    assert "הוחלט ביום 18.6.2026, גרסה 2." in told
    assert "לידיעה בלבד" in told
    assert "טיוטה" not in told


def test_a_city_that_knows_nothing_yet_gets_packs_too(tables, context, tmp_path):
    kept = {"mart_city", "mart_not_measured"}
    lacking = without(tables, {name for name in tables if name not in kept})
    for name, describe in MEETINGS.items():
        pack = describe(lacking, context, "0" * 16)
        told = [number for page in pack.pages[1:] for number in page.lines() if page.table]
        assert all(page.table or page.missing for page in pack.pages)
        write_pptx(pack, tmp_path / f"{name}.pptx")
        write_pack_pdf(pack, tmp_path / f"{name}.pdf")
        assert len(pdf_pages(tmp_path / f"{name}.pdf")) == len(pack.pages), told


def test_long_names_still_stand_on_ten_pages(tables, context, tmp_path):
    long = "בית ספר יסודי על שם ראשי הקהילה והמייסדים בשכונה הצפונית "
    changed = {
        name: frame.with_columns(pl.lit(long).alias("school_name_he"))
        if "school_name_he" in frame.columns
        else frame
        for name, frame in tables.items()
    }
    for name, describe in MEETINGS.items():
        write_pack_pdf(describe(changed, context, "0" * 16), tmp_path / "a.pdf")
        assert len(pdf_pages(tmp_path / "a.pdf")) == 10, name


def test_what_is_not_known_is_in_no_sum(tables):
    rows = tables["mart_work_plan"].with_columns(
        pl.when(pl.int_range(pl.len()) == 0)
        .then(None)
        .otherwise("cost_agorot")
        .alias("cost_agorot")
    )
    hidden = tables | {"mart_work_plan": rows}
    assert isinstance(tally(tables, "mart_work_plan", "cost_agorot"), Number)
    assert (
        tally(hidden, "mart_work_plan", "cost_agorot") == dictionary().fields["cost_agorot"].empty
    )
    assert tally(hidden, "mart_work_plan").shown == str(rows.height)


@pytest.mark.parametrize("name", NAMES)
def test_the_words_of_the_packs_keep_the_rules_of_pages(packs, tables, name):
    texts = {
        f"{name}, {place}": "\n".join(map(plain, texts_of(page)))
        for place, page in enumerate(packs[name].pages, start=1)
    }
    release = Release(tables=tables, markup={}, others=texts)
    for check in (checks.spelling, checks.agreement, checks.hedging):
        assert list(check(release)) == [], check.__name__
    said = "\n".join(
        plain(line)
        for page in packs[name].pages
        for line in (*page.answer, *page.missing, *page.notes)
    )
    assert list(checks.quantifiers(Release(tables, {}, {name: said}))) == []
    for place, text in texts.items():
        assert not re.search("[A-Za-z]", text), place
        assert "ס״ת" not in text


@pytest.mark.parametrize("name", NAMES)
def test_no_page_lists_schools_by_how_they_do(packs, tables, name):
    """Names stand in the order of the letters, and in no chart (R112)."""
    schools = set(tables["mart_need_index"]["school_name_he"])
    for page in packs[name].pages:
        assert not schools & {mark.name for mark in marks(page)}
        for row in page.table.rows if page.table else ():
            for line in row:
                found = [one for one in plain(line).split(", ") if one in schools]
                assert found == sorted(found)


def test_a_text_cannot_become_typst_code(packs):
    page = packs["meeting_1"].pages[1]
    odd = type(page)(
        '"] #panic()', (('#panic("א")',),), ("#panic()",), (("א",),), page.form, page.table
    )
    source = pack_source(type(packs["meeting_1"])('"#panic()', "#", (odd,)))
    assert '\\"] #panic()' in source
    assert '"#panic(\\"א\\")"' in source
