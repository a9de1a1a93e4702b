"""What publishing remembers is what it would make, and nothing damaged is taken for it."""

import polars as pl
import pytest

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
