"""Hostile files of a city, and what a release may hold."""

import os
import re
import shutil
import zipfile

import duckdb
import polars as pl
import pytest

from pipelines.publish.marts import read_database, write_database
from pipelines.publish.release import publish, verify
from pipelines.settings.city import CityError, load_city
from pipelines.sources.files import source_files
from tests.settings.test_strict_files import PLAIN
from tests.sources.test_cases import MEANS_HEADER, T, edited, folder_of, look, means, row, xlsx_of

HEBREW = re.compile("[א-ת]{3}")
SECRET = "not for any reader"


@pytest.mark.parametrize("fault", ["folder", "fifo", "endless device", "loop of links", "dangling"])
def test_what_is_no_file_is_not_waited_for(tmp_path, fault):
    folder = tmp_path / "plain_city"
    shutil.copytree(PLAIN, folder)
    (folder / "files").mkdir(exist_ok=True)
    path = folder / "files" / "registry.csv"
    path.unlink(missing_ok=True)
    made = {
        "folder": path.mkdir,
        "fifo": lambda: os.mkfifo(path),
        "endless device": lambda: path.symlink_to("/dev/zero"),
        "loop of links": lambda: path.symlink_to(path),
        "dangling": lambda: path.symlink_to("nowhere"),
    }
    made[fault]()
    city = load_city(folder)
    (source_id,) = city.city.sources
    with pytest.raises(CityError, match=r"registry\.csv") as refused:
        source_files(city, source_id, city.city.school_years.all())
    assert HEBREW.search(refused.value.he)


def test_a_link_to_a_system_file_is_refused_without_its_rows(tmp_path):
    """Its first line is told as the header that it is taken for; no row of it is."""
    city = folder_of(tmp_path, {"m.csv": b"x"}, **means("m.csv", format="csv"))
    path = next(tmp_path.rglob("m.csv"))
    path.unlink()
    path.symlink_to("/etc/passwd")
    found = look(city)
    assert T not in found.staged or found.staged[T].is_empty()
    assert "daemon:" not in repr(found)
    assert "daemon:" in path.read_text()


@pytest.mark.parametrize("kind", ["of a file", "of a thousand million letters"])
def test_entities_of_a_workbook_are_not_resolved(tmp_path, kind):
    """An entity may name a file of this machine, or grow without end."""
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    if kind == "of a file":
        entities = f'<!ENTITY e SYSTEM "file://{secret}">'
    else:
        entities = '<!ENTITY e0 "aaaaaaaaaa">' + "".join(
            f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10)
        )
        entities += '<!ENTITY e "&e9;">'
    book = xlsx_of([MEANS_HEADER, row()])
    sheet = "xl/worksheets/sheet1.xml"
    evil = edited(book, sheet, r"<worksheet", f"<!DOCTYPE worksheet [{entities}]><worksheet")
    evil = edited(evil, sheet, "<v>70</v>", "<v>&e;</v>")
    assert evil != book
    found = look(folder_of(tmp_path, {"m.xlsx": evil}, **means("m.xlsx")))
    assert SECRET not in repr(found)
    assert T not in found.staged or 70 not in found.staged[T]["score_mean"].to_list()


def test_a_free_programme_is_refused(tmp_path):
    """Nothing as its cost would buy it in every school."""
    shutil.copytree(PLAIN, tmp_path / "plain_city")
    path = tmp_path / "plain_city" / "policy.yaml"
    text = path.read_text(encoding="utf-8")
    changed = text.replace("unit_cost: {value: 3270,", "unit_cost: {value: 0,")
    changed = changed.replace("fixed_cost: {value: 40000,", "fixed_cost: {value: 0,")
    assert changed.count("value: 0,") == text.count("value: 0,") + 2
    path.write_text(changed, encoding="utf-8")
    with pytest.raises(CityError, match="needs a cost") as refused:
        load_city(tmp_path / "plain_city")
    assert HEBREW.search(refused.value.he)


def test_commands_in_texts_are_texts(tmp_path):
    """SQL in a text that is written to the released database changes nothing."""
    evil = ["'; DROP TABLE mart_gap_school; --", '"; DELETE FROM mart_gap_school', "x' OR '1'='1"]
    frame = pl.DataFrame({"school_name_he": evil})
    write_database(tmp_path, {"mart_need_index": frame, "mart_gap_school": frame})
    held = read_database(tmp_path / "tikkun.duckdb")
    assert held["mart_need_index"]["school_name_he"].to_list() == evil
    assert held["mart_gap_school"].equals(frame)


def test_no_workbook_hides_anything(published):
    """No hidden sheet, row, column, comment, formula or outside link in any workbook."""
    books = sorted(published.current.rglob("*.xlsx"))
    assert len(books) > 2
    for path in books:
        with zipfile.ZipFile(path) as book:
            names = book.namelist()
            assert not [n for n in names if re.search("comment|externalLink|vba|embed", n, re.I)]
            for name in names:
                if name.startswith(("xl/workbook", "xl/worksheets/sheet")):
                    text = book.read(name).decode()
                    # The name behind a filter is hidden in every workbook, and hides no cell.
                    hides = r'<(sheet|row|col)\b[^>]*(hidden="1"|state="(very)?[hH]idden")|<f[ >]'
                    assert not re.search(hides, text), name


def test_a_reader_keeps_reading_while_releases_come_and_go(tmp_path):
    def build(number):
        def write(folder):
            write_database(
                folder, {"mart_need_index": pl.DataFrame({"semel_mosad": [str(number)]})}
            )

        return write

    first = publish(tmp_path, build(0), lambda _: None, keep=2)
    with duckdb.connect(str(first / "tikkun.duckdb"), read_only=True) as reader:
        for number in range(1, 6):
            publish(tmp_path, build(number), lambda _: None, keep=2)
            assert reader.execute("SELECT semel_mosad FROM mart_need_index").fetchall() == [("0",)]
    assert not first.exists()
    assert verify(tmp_path)
