"""What publishing remembers is what it would make, and nothing damaged is taken for it."""

from dataclasses import replace

import polars as pl
import pytest

from pipelines.publish.drawings import Drawings
from pipelines.publish.pages.base import ReportContext
from pipelines.publish.remembered import Remembered
from pipelines.publish.workbook import WORKBOOK, written_beside

CONTEXT = ReportContext("עיר", True, 2026, 2027, "הכול", "נתונים", ())
NEED = pl.DataFrame({"semel_mosad": ["900001", "900002"], "need": [0.25, 0.5]})
OTHER = NEED.with_columns(need=pl.col("need") / 2)


def write(folder, tables, remembered):
    folder.mkdir(exist_ok=True)
    with written_beside(remembered) as ask:
        ask([(folder / WORKBOOK, tables, CONTEXT)])
    return (folder / WORKBOOK).read_bytes()


@pytest.fixture
def remembered(tmp_path):
    return Remembered(tmp_path / "remembered")


def kept(remembered):
    return sorted(remembered.folder.glob("*.xlsx"))


def test_a_workbook_is_taken_up_where_its_tables_are_the_same(tmp_path, remembered):
    first = write(tmp_path / "a", {"mart_need_index": NEED}, remembered)
    (held,) = kept(remembered)
    book = remembered.book({"mart_need_index": NEED.clone()}, CONTEXT)
    assert remembered.copy_book(book, tmp_path / "copy.xlsx")
    assert (tmp_path / "copy.xlsx").read_bytes() == first == held.read_bytes()
    assert write(tmp_path / "b", {"mart_need_index": NEED.clone()}, remembered) == first
    assert kept(remembered) == [held]


def test_other_tables_another_context_and_a_run_anew_are_written(tmp_path, remembered):
    first = write(tmp_path / "a", {"mart_need_index": NEED}, remembered)
    other = write(tmp_path / "b", {"mart_need_index": OTHER}, remembered)
    assert other != first
    assert len(kept(remembered)) == 2
    assert remembered.book({"mart_need_index": NEED}, "another") != remembered.book(
        {"mart_need_index": NEED}, CONTEXT
    )
    book, anew = (
        remembered.book({"mart_need_index": NEED}, CONTEXT),
        Remembered(remembered.folder, is_anew=True),
    )
    assert not anew.copy_book(book, tmp_path / "none.xlsx")
    assert write(tmp_path / "c", {"mart_need_index": NEED}, anew) == first


def test_a_damaged_workbook_is_written_again(tmp_path, remembered):
    first = write(tmp_path / "a", {"mart_need_index": NEED}, remembered)
    (held,) = kept(remembered)
    held.write_bytes(first[:-1])
    assert write(tmp_path / "b", {"mart_need_index": NEED}, remembered) == first
    assert held.read_bytes() == first


def test_marks_are_kept_and_a_torn_file_of_them_marks_nothing_else(remembered):
    marks = {bytes([number]) * 32 for number in range(5)}
    remembered.keep_safe(marks, set())
    assert remembered.safe() == marks
    assert Remembered(remembered.folder, is_anew=True).safe() == set()
    (path,) = remembered.folder.glob("safe-*")
    path.write_bytes(path.read_bytes()[:-7])
    assert {mark for mark in remembered.safe() if len(mark) == 32} < marks


def test_marks_of_other_code_are_not_read(remembered, monkeypatch):
    remembered.keep_safe({b"x" * 32}, set())
    monkeypatch.setattr("pipelines.publish.remembered.code_fingerprint", lambda _: "other")
    assert Remembered(remembered.folder).safe() == set()


def test_what_was_chosen_to_be_hidden_is_told_whole_or_not_at_all(remembered):
    told, more, known = b"t" * 64, frozenset({"a", "ב"}), frozenset({"c"})
    assert remembered.hidden(told) is None
    remembered.keep_hidden(told, more, known)
    assert remembered.hidden(told) == (more, known)
    assert remembered.hidden(b"o" * 64) is None
    assert Remembered(remembered.folder, is_anew=True).hidden(told) is None
    (path,) = remembered.folder.glob("hidden-*")
    path.write_bytes(path.read_bytes().replace(b'"a"', b'"b"'))
    assert remembered.hidden(told) is None


def test_a_page_is_taken_up_where_all_it_asked_for_is_the_same(remembered):
    times = []

    def page(tables, context):
        times.append(context)
        other = "no other" if tables.get("other") is None else "another"
        return f"{tables['need']['need'].sum()} {other}"

    def drawn(tables, context=CONTEXT, held=remembered):
        return Drawings(context, held).of(page, tables)

    first = drawn({"need": NEED, "unasked": NEED})
    assert first == drawn({"need": NEED.clone(), "unasked": OTHER}) == "0.75 no other"
    assert len(times) == 1
    assert drawn({"need": OTHER}) == "0.375 no other"
    assert drawn({"need": NEED, "other": OTHER}) == "0.75 another"
    assert len(times) == 3
    drawn({"need": NEED}, replace(CONTEXT, city_name_he="עיר אחרת"))
    drawn({"need": NEED}, held=Remembered(remembered.folder, is_anew=True))
    assert len(times) == 5


def test_a_damaged_page_is_drawn_again(remembered):
    def pages(tables, context):
        return {name: name for name in tables}

    tables = {"one": NEED, "two": NEED}
    assert Drawings(CONTEXT, remembered).of(pages, tables) == {"one": "one", "two": "two"}
    (path,) = (remembered.folder / "pages").rglob("*.json")
    path.write_bytes(path.read_bytes().replace(b"two", b"ten"))
    for _ in range(2):
        assert Drawings(CONTEXT, remembered).of(pages, tables) == {"one": "one", "two": "two"}
    assert Drawings(CONTEXT, remembered).of(pages, {"one": NEED}) == {"one": "one"}
