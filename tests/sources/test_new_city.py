"""Drafting a city from its files: habits of offices, what is asked and how, what is kept."""

import csv
import io

import pytest
import xlsxwriter
import yaml

from pipelines.commands.new_city import main
from pipelines.settings.city import load_city

HEAD = ("סמל מוסד", "שם המוסד", "פיקוח", "מעמד משפטי", "מס' תלמידים")
ROWS = tuple(
    (511_100 + at, name, "ממלכתי", "רשמי", 200 + at)
    for at, name in enumerate(("גן עדן", "ורד", "זית", "חרוב", "טבק"))
)
NAME = "city/name_he: עיר\n"


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "town"
    (place / "files").mkdir(parents=True)
    (place / "answers.yaml").write_text(NAME, encoding="utf-8")
    return place


def book_of(path, sheets, title="מוסדות חינוך יסודיים"):
    """A workbook: name of a sheet → header and rows."""
    book = xlsxwriter.Workbook(path)
    for name, rows in sheets.items():
        sheet = book.add_worksheet(name)
        sheet.write(0, 0, title)
        for at, row in enumerate(rows, start=2):
            sheet.write_row(at, 0, row)
    book.close()


def csv_bytes(rows, mark=";", encoding="cp1255"):
    text = io.StringIO()
    csv.writer(text, delimiter=mark).writerows(rows)
    return text.getvalue().encode(encoding)


def answer(folder, question, reply):
    """Write an answer in place of the question mark, as a person would."""
    path = folder / "answers.yaml"
    held = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert held[question] == "?"
    path.write_text(yaml.safe_dump(held | {question: reply}, allow_unicode=True), encoding="utf-8")


def registers(folder):
    return load_city(folder).city.sources["register__schools"]


def test_a_sheet_for_each_year_is_a_mapping_for_each(folder, capsys):
    years = {"תשפ״ד": "2024", "תשפ״ה": "2025", "תשפ״ו": "2026"}
    sheets = {name: [HEAD, *ROWS] for name in years}
    book_of(folder / "files" / "מוסדות.xlsx", {"הסבר": [("דף הסבר",)], **sheets})
    assert main([str(folder)]) == 0
    found = {one.sheet: one.constants["school_year"] for one in registers(folder)}
    assert found == years
    assert "3" not in capsys.readouterr().out.splitlines()[-1]


def test_a_sheet_that_was_renamed_is_known_by_its_headers(folder):
    path, other = folder / "files" / 'מוסדות תשפ"ו.xlsx', [("שם", "טלפון"), ("דנה", "03-5551234")]
    book_of(path, {"ריכוז": [HEAD, *ROWS], "קשר": other})
    assert main([str(folder)]) == 0
    assert registers(folder)[0].sheet == "ריכוז"
    book_of(path, {"ריכוז סופי": [HEAD, *ROWS], "קשר": other})
    assert main([str(folder)]) == 0
    assert [one.sheet for one in registers(folder)] == ["ריכוז סופי"]


def test_a_csv_serves_though_another_program_wrote_it_this_year(folder):
    title = ["בתי ספר יסודיים"]
    files = folder / "files"
    (files / "reg_2025.csv").write_bytes(csv_bytes([title, HEAD, *ROWS]))
    assert main([str(folder)]) == 0
    (files / "reg_2026.csv").write_bytes(csv_bytes([title, HEAD, *ROWS], ",", "utf-8-sig"))
    assert main([str(folder)]) == 0
    first, second = registers(folder)
    assert (first.encoding, first.delimiter) == ("cp1255", ";")
    assert (second.encoding, second.delimiter) == ("utf-8-sig", ",")
    assert second.constants["school_year"] == "2026"


def test_a_file_that_cannot_be_read_is_told_and_the_rest_goes_on(folder, capsys):
    book_of(folder / "files" / 'מוסדות תשפ"ו.xlsx', {"1": [HEAD, *ROWS]})
    (folder / "files" / "broken.xlsx").write_bytes(b"PK\x03\x04" + bytes(40))
    (folder / "files" / "~$open.xlsx").write_bytes(b"\x04dana")
    assert main([str(folder)]) == 0
    said = capsys.readouterr().out
    assert "broken.xlsx: not read" in said
    assert "broken.xlsx: לא נקרא" in said
    assert "open.xlsx" not in said


def test_years_that_contradict_one_another_are_asked(folder, capsys):
    book_of(
        folder / "files" / "מוסדות 2025.xlsx",
        {"1": [HEAD, *ROWS]},
        'מוסדות חינוך יסודיים תשפ"ו',
    )
    assert main([str(folder)]) == 1
    question = "files/מוסדות 2025.xlsx/school_year"
    assert f"{question}:" in capsys.readouterr().out
    answer(folder, question, "2025")
    assert main([str(folder)]) == 0
    assert registers(folder)[0].constants["school_year"] == "2025"


def test_what_is_open_stays_open_until_it_is_answered(folder, capsys):
    book_of(
        folder / "files" / "מוסדות 2025.xlsx",
        {"1": [HEAD, *ROWS]},
        'מוסדות חינוך יסודיים תשפ"ו',
    )
    for _ in range(2):
        assert main([str(folder)]) == 1
        assert "1 open" in capsys.readouterr().out


def test_unknown_values_are_asked_and_may_be_answered_in_hebrew(folder, monkeypatch):
    rows = [(*row[:2], "עצמאי" if at == 2 else row[2], *row[3:]) for at, row in enumerate(ROWS)]
    book_of(folder / "files" / 'מוסדות תשפ"ו.xlsx', {"1": [HEAD, *rows]})
    monkeypatch.setattr("builtins.input", lambda *_: "חרדי")
    assert main([str(folder), "--ask"]) == 0
    assert registers(folder)[0].values["supervision_stream"] == {"עצמאי": "haredi"}
    kept = yaml.safe_load((folder / "answers.yaml").read_text(encoding="utf-8"))
    assert kept["register__schools/values/supervision_stream/עצמאי"] == "חרדי"
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked again"))
    assert main([str(folder), "--ask"]) == 0


def test_a_required_column_may_be_a_value_for_all_rows(folder):
    head, rows = HEAD[:3] + HEAD[4:], [row[:3] + row[4:] for row in ROWS]
    book_of(folder / "files" / 'מוסדות תשפ"ו.xlsx', {"1": [head, *rows]})
    assert main([str(folder)]) == 1
    answer(folder, "register__schools/columns/legal_status", "= רשמי")
    assert main([str(folder)]) == 0
    assert registers(folder)[0].constants["legal_status"] == "official"


def test_what_may_name_a_person_is_neither_asked_nor_kept(folder, capsys):
    book_of(folder / "files" / 'מוסדות תשפ"ו.xlsx', {"1": [HEAD, *ROWS]})
    named = ("רבדים", "תזמורת", "רבקה כהן 050-1234567", "רבדים", "רבדים")
    rows = [(row[0], name, 20 + at) for at, (row, name) in enumerate(zip(ROWS, named, strict=True))]
    head = ("סמל מוסד", "שם התוכנית", "מספר משתתפים")
    book_of(folder / "files" / 'פעילות תשפ"ו.xlsx', {"1": [head, *rows]}, "תוכניות")
    assert main([str(folder)]) == 1
    kept = (folder / "answers.yaml").read_text(encoding="utf-8")
    said = capsys.readouterr().out
    assert "responses/תזמורת" in kept
    for text in (kept, said, (folder / "city.yaml").read_text(encoding="utf-8")):
        assert "כהן" not in text
        assert "1234567" not in text


def test_an_empty_folder_says_where_the_files_belong(tmp_path, capsys):
    (tmp_path / "town").mkdir()
    assert main([str(tmp_path / "town")]) == 2
    said = capsys.readouterr().out
    assert "files" in said
    assert "יש להניח" in said
