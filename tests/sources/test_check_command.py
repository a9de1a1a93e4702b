"""`make check`: every cause in both languages, each column by year, warnings are no failure."""

import pytest

from pipelines.commands.check import main
from tests.sources.look import MEANS_HEADER, csv_of, folder_of, means, xlsx_of
from tests.sources.test_cases import NO, pupils, row


def said(folder, capsys, *options):
    code = main([str(folder), *options])
    return code, capsys.readouterr().out


def test_a_warning_is_no_failure_and_columns_are_shown_by_year(tmp_path, capsys):
    def hide(book):
        book.worksheets()[0].set_row(1, None, None, {"hidden": True})

    lines = [
        MEANS_HEADER,
        *(
            row(code, mean=60 + 5 * n, year=year)
            for n, code in enumerate(("900001", "900002", "900003"))
            for year in (2025, 2026)
        ),
    ]
    files = {"m.xlsx": xlsx_of(lines, then=hide), "~$m.xlsx": b"\x04dana"}
    code, text = said(folder_of(tmp_path, files, **means("m.xlsx")), capsys)
    assert code == 0
    assert "m.xlsx: 6 rows = 6 staged + 0 set aside + 0 left out by design" in text
    assert "score_mean · ציון ממוצע ← ממוצע (propose: ממוצע)" in text
    assert "    2025: n 3, missing 0, 60 … 65 … 70" in text
    assert "rows that are hidden on the sheet were read too (1 row(s)" in text
    assert "שורות מוסתרות בגיליון נקראו גם הן" in text
    assert "a workbook beside it is open" in text
    assert "dana" not in text
    assert "0 of them would stop the run" in text


@pytest.mark.parametrize("is_shown", [True, False])
def test_what_is_about_persons_shows_no_extremes(tmp_path, capsys, is_shown):
    ends = (0, 10, 20, 30, 40, 51, 60, 70, 80, 90, 101, 110)  # no child has such an id
    children = [(900000000 + end, 5, "5-1", NO) for end in (ends if is_shown else ends[:3])]
    files, mapping = pupils(*children)
    _, text = said(folder_of(tmp_path, files, **mapping), capsys, "--source", "register__pupils")
    assert "birth_year · שנת לידה ← שנת לידה" in text
    middle = f"    2026: n {len(children)}, missing 0, – … 2016 … –"
    assert (middle in text) is is_shown
    assert "90000000" not in text


def test_every_refusal_has_its_cause_in_both_languages(tmp_path, capsys):
    text = csv_of(MEANS_HEADER, row(mean=540), row("900002"))
    files = {"m.csv": text, "p.csv": b"PK\x03\x04" + bytes(30)}
    mapping = means("m.csv") | pupils()[1]
    code, shown = said(folder_of(tmp_path, files, **mapping), capsys)
    assert code == 1
    assert "it is a zip archive" in shown
    assert "זהו קובץ zip" in shown
    assert "m.csv, row 2 (city.yaml:" in shown
    assert "the score is not possible on its scale (INT: 0…100); 1 row(s)" in shown
    assert "הציון אינו אפשרי בסולם שלו" in shown
    assert "1 source(s) cannot be read" in shown


def test_a_file_that_left_its_level_stops_with_both_levels(tmp_path, capsys):
    names = ("סמל", "שנה", "משרד", "בסיס")
    columns = ("semel_mosad", "school_year", "ministry_nis", "gefen_nis")
    lines = [
        (code, year, 12_000_000 * (1 if year == 2025 else 0.001), 9_000)
        for code in ("900001", "900002", "900003", "012345")
        for year in (2025, 2026)
    ]
    mapping = {"file": "m.csv", "format": "csv", "columns": dict(zip(columns, names, strict=True))}
    files = {"m.csv": csv_of(names, *lines)}
    code, shown = said(folder_of(tmp_path, files, finance__school_money=mapping), capsys)
    assert code == 1
    assert (
        "the middle of 4 rows is 12,000 NIS, where other school years have 12,000,000 NIS" in shown
    )
    assert "האמצע של 4 שורות הוא 12,000 ₪, ובשנים אחרות 12,000,000 ₪" in shown
