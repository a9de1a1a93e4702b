"""Files of translations: written with the Hebrew beside, filled, read back; broken ones refused."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import fastexcel
import pytest
import xlsxwriter
import yaml

from pipelines.commands.forms import main as forms
from pipelines.publish.redraw import context_of
from pipelines.publish.translations import (
    HEAD,
    LANGUAGES,
    Text,
    Translation,
    catalogue,
    fixed_texts,
    languages_of,
    missing,
    normal_csv,
    read_translations,
    write_translation_file,
)
from pipelines.settings.city import load_city
from pipelines.settings.yaml_files import CityError
from pipelines.sources.fingerprint import fingerprints

MONEY = "needs.funded"


@pytest.fixture
def folder(small_city, tmp_path) -> Path:
    place = tmp_path / "demo_city"
    shutil.copytree(small_city, place, ignore=shutil.ignore_patterns("truth"))
    (place / "translations").mkdir()
    return place


def write_csv(path, rows, head=("key", "עברית", "תרגום"), encoding="utf-8"):
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows([head, *rows])


def he(key):
    return fixed_texts()[key].he


def test_every_text_has_hebrew_and_english_with_the_same_places(small_city):
    import re

    for key, text in fixed_texts().items():
        assert re.search("[א-ת]", text.he), key
        assert text.en, key
        places = [sorted(re.findall(r"\{\w+\}", one)) for one in (text.he, text.en)]
        assert places[0] == places[1], key
    assert len(catalogue(load_city(small_city).policy)) > len(fixed_texts()) + 20


def test_what_is_written_filled_and_read_is_what_was_meant(folder):
    """Every text filled in: each comes back, and nothing is left in Hebrew."""
    city = load_city(folder)
    path = folder / "translations" / "ru.xlsx"
    left = write_translation_file(path, "ru", city, {"item.climate": Text("אקלים", "Climate")})
    assert left == len(catalogue(city.policy)) + 1
    written = fastexcel.read_excel(path).load_sheet(0, header_row=1).to_polars()
    assert tuple(written.columns) == HEAD
    filled = {row[0]: f"Р-{row[1]}" for row in written.iter_rows()}
    with xlsxwriter.Workbook(path) as book:  # as somebody who fills it saves it
        sheet = book.add_worksheet("תרגום")
        sheet.write_row(1, 0, HEAD)
        for number, row in enumerate(written.iter_rows(), start=2):
            sheet.write_row(number, 0, [row[0], row[1], row[2] or "", filled[row[0]]])
    read = read_translations(load_city(folder))["ru"]
    assert {key: one.text for key, one in read.items()} == filled
    assert missing(load_city(folder), "ru") == []


def test_the_file_comes_again_with_what_was_translated(folder, tmp_path):
    write_csv(folder / "translations" / "am.csv", [("index.title", he("index.title"), "ዕቅድ")])
    city = load_city(folder)
    left = write_translation_file(tmp_path / "am.xlsx", "am", city, {})
    assert left == len(catalogue(city.policy)) - 1
    again = fastexcel.read_excel(tmp_path / "am.xlsx").load_sheet(0, header_row=1).to_polars()
    assert dict(again.select(HEAD[0], HEAD[3]).iter_rows())["index.title"] == "ዕቅድ"


def test_a_language_is_drawn_where_its_file_says_something(folder):
    assert [one.code for one in languages_of(load_city(folder))] == ["en"]
    write_csv(folder / "translations" / "ru.csv", [("index.title", he("index.title"), "")])
    assert [one.code for one in languages_of(load_city(folder))] == ["en"]
    write_csv(folder / "translations" / "ru.csv", [("index.title", he("index.title"), "План")])
    found = {one.code: one for one in context_of(load_city(folder)).languages}
    assert list(found) == ["en", "ru"]
    assert found["ru"].texts["index.title"].text == "План"
    assert len(missing(load_city(folder), "ru")) == len(catalogue(load_city(folder).policy)) - 1


def test_a_city_says_some_english_otherwise(folder):
    write_csv(folder / "translations" / "en.csv", [("index.title", he("index.title"), "Our plan")])
    (english,) = languages_of(load_city(folder))
    assert english.texts["index.title"].text == "Our plan"
    assert english.texts["index.channels"].text == fixed_texts()["index.channels"].en


def test_words_that_have_changed_since_are_not_translated(folder):
    write_csv(folder / "translations" / "ru.csv", [("index.title", "מילים ישנות", "План")])
    assert "index.title" in missing(load_city(folder), "ru")


def test_translations_make_pages_due_and_nothing_else(folder):
    before = fingerprints(load_city(folder))
    write_csv(folder / "translations" / "ru.csv", [("index.title", he("index.title"), "План")])
    after = fingerprints(load_city(folder))
    assert (before.upstream, before.solved) == (after.upstream, after.solved)
    assert before.whole != after.whole


def test_what_a_release_keeps_reads_as_the_city_wrote_it(folder):
    write_csv(
        folder / "translations" / "ru.csv",
        [("index.title", he("index.title"), 'План, "наш"'), (MONEY, he(MONEY), "Ответ: {money}")],
    )
    read = read_translations(load_city(folder))["ru"]
    text = normal_csv(read)
    (folder / "translations" / "ru.csv").write_text(text, encoding="utf-8")
    again = read_translations(load_city(folder))["ru"]
    assert (
        again
        == read
        == {
            "index.title": Translation('План, "наш"', he("index.title")),
            MONEY: Translation("Ответ: {money}", he(MONEY)),
        }
    )
    assert normal_csv(again) == text


GOOD = ("index.title", "X", "План")
BROKEN = {
    "unknown key": ([("index.titel", "X", "План")], "row 2", "no text has the key"),
    "a key twice": ([GOOD, GOOD], "row 3", "stands in row 2 too"),
    "no key": ([("", "X", "План")], "row 2", "without a key"),
    "a place missing": ([(MONEY, "X", "Ответ: рублей")], "row 2", "must stand once each"),
    "a place twice": ([(MONEY, "X", "{money} {money}")], "row 2", "must stand once each"),
    "another place": ([(MONEY, "X", "{money} {sum}")], "row 2", "must stand once each"),
    "a place translated": ([(MONEY, "X", "{деньги}")], "row 2", "must stand once each"),
    "a brace left open": ([(MONEY, "X", "{money} {")], "row 2", "must stand once each"),
    "a place that asks more": ([(MONEY, "X", "{money.real}")], "row 2", "must stand once each"),
    "a formula": ([GOOD, ("index.idea", "X", "=1+1")], "row 3", "a formula"),
    "an error": ([("index.title", "X", "#REF!")], "row 2", "a formula"),
    "markup": ([("index.title", "X", "<b>План</b>")], "row 2", "holds < or >"),
    "a turn of direction": ([("index.title", "X", "П\u202eлан")], "row 2", "cannot be seen"),
    "too long": ([("index.title", "X", "План " * 200)], "row 2", "600 at most"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_with_its_row_in_both_languages(folder, name):
    rows, where, said = BROKEN[name]
    write_csv(folder / "translations" / "ru.csv", rows)
    with pytest.raises(CityError, match=said) as refused:
        context_of(load_city(folder))
    assert f"ru.csv: {where}: " in refused.value.en
    assert f"ru.csv: שורה {where.removeprefix('row ')}: " in refused.value.he


def not_utf8(path):
    write_csv(path / "ru.csv", [("index.title", "X", "План")], ("key", "a", "b"), "cp1251")


def no_header(path):
    (path / "ru.csv").write_text("index.title,X,План\n", encoding="utf-8")


def open_quote(path):
    (path / "ru.csv").write_text('key,עברית,תרגום\nindex.title,X,"План\n', encoding="utf-8")


def no_workbook(path):
    (path / "ru.xlsx").write_bytes(b"PK\x03\x04 and nothing else")


def empty(path):
    (path / "ru.csv").write_bytes(b"")


def two_files(path):
    for name in ("ru.csv", "ru.xlsx"):
        if name.endswith("csv"):
            write_csv(path / name, [])
        else:
            with xlsxwriter.Workbook(path / name) as book:
                book.add_worksheet().write_row(0, 0, HEAD)


def another_language(path):
    write_csv(path / "fr.csv", [])


def another_kind(path):
    (path / "ru.docx").write_bytes(b"x")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (not_utf8, "not in UTF-8"),
        (no_header, "no header"),
        (open_quote, "quotes do not close"),
        (no_workbook, "no workbook"),
        (empty, "no header"),
        (two_files, "two files"),
        (another_language, "no file of translations is called so"),
        (another_kind, "no file of translations is called so"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_both_languages(folder, damage, said):
    damage(folder / "translations")
    with pytest.raises(CityError, match=said) as refused:
        context_of(load_city(folder))
    assert "translations" in refused.value.en
    assert any("א" <= sign <= "ת" for sign in refused.value.he)


def test_no_value_of_a_broken_file_is_told(folder):
    write_csv(folder / "translations" / "ru.csv", [("secret text 050-1234567", "X", "План")])
    with pytest.raises(CityError) as refused:
        context_of(load_city(folder))
    assert "050" not in str(refused.value)


def test_hidden_files_of_office_programmes_are_passed_over(folder):
    (folder / "translations" / "~$ru.xlsx").write_bytes(b"x")
    (folder / "translations" / ".DS_Store").write_bytes(b"x")
    assert read_translations(load_city(folder)) == {}


def test_the_command_writes_files_and_forms_and_says_what_is_left(folder, capsys):
    write_csv(folder / "translations" / "ru.csv", [("form.title", he("form.title"), "Анкета")])
    assert forms([str(folder)]) == 0
    said = capsys.readouterr().out
    for language in LANGUAGES:
        assert (folder / "forms" / "translations" / f"{language}.xlsx").is_file()
    assert "Русский: " in said
    assert "טקסטים טרם תורגמו" in said
    drawn = {path.name for path in (folder / "forms").glob("parents_form.*.html")}
    assert drawn == {f"parents_form.{code}.html" for code in ("he", "en", "ru")}
    russian = (folder / "forms" / "parents_form.ru.html").read_text(encoding="utf-8")
    assert "<h1>Анкета</h1>" in russian
    first = (folder / "forms" / "translations" / "ru.xlsx").read_bytes()
    assert forms([str(folder)]) == 0
    assert "left as it is" in capsys.readouterr().out
    (folder / "forms" / "translations" / "ru.xlsx").unlink()
    assert forms([str(folder)]) == 0
    assert (folder / "forms" / "translations" / "ru.xlsx").read_bytes() == first


def test_a_run_refuses_a_broken_file_before_it_begins(folder, capsys):
    from pipelines.commands.check import main as check

    write_csv(folder / "translations" / "ru.csv", [("index.titel", "X", "План")])
    assert check([str(folder)]) == 2
    assert "no text has the key" in capsys.readouterr().out


def test_what_a_language_leaves_open_is_said_by_the_check(folder, capsys):
    """Whatever else it checks: one source is enough."""
    from pipelines.commands.check import main as check

    settings = yaml.safe_load((folder / "city.yaml").read_text(encoding="utf-8"))
    only = {"register__schools": settings["sources"]["register__schools"]}
    text = yaml.safe_dump(settings | {"sources": only, "expected": {}}, allow_unicode=True)
    (folder / "city.yaml").write_text(text, encoding="utf-8")
    write_csv(folder / "translations" / "ru.csv", [("index.title", he("index.title"), "План")])
    check([str(folder), "--source", "register__schools"])
    assert "translations: Русский" not in capsys.readouterr().out
    check([str(folder)])
    left = len(catalogue(load_city(folder).policy)) - 1
    said = " ".join(capsys.readouterr().out.split())
    assert f"translations: Русский: {left} texts are not translated and stay in Hebrew" in said
