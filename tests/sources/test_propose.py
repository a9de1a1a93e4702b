"""Drafts for unknown files: right source, header, columns and options; TODOs; nothing personal."""

import random

import polars as pl
import pytest
import xlsxwriter
import yaml

from pipelines.commands.propose import main
from pipelines.settings.city import load_city
from pipelines.settings.mapping import SourceMapping
from pipelines.sources.guess import date_order, shape
from pipelines.sources.propose import find_header, layouts, propose
from pipelines.sources.tabular import read_content
from pipelines.sources.workbook import UnreadableError


def mapping_in(text: str) -> tuple[str, SourceMapping]:
    ((source_id, raw),) = yaml.safe_load(text)["sources"].items()
    return source_id, SourceMapping.model_validate(raw)


def id_number(rng: random.Random) -> str:
    body = [rng.randrange(10) for _ in range(8)]
    total = sum(sum(divmod(digit * (1 + place % 2), 10)) for place, digit in enumerate(body))
    return "".join(map(str, body)) + str(-total % 10)


# ---- files of a known city --------------------------------------------------------------------


def test_every_file_of_the_generated_city_is_recognised(small_city):
    city = load_city(small_city).city
    year = str(city.school_years.last)
    seen = 0
    for source_id, mappings in city.sources.items():
        for mapping in mappings:
            path = small_city / "files" / mapping.file.replace("{school_year}", year)
            if not path.is_file():
                continue
            found, draft = mapping_in(propose(path))
            assert found == source_id, path.name
            assert draft.misfit(source_id) is None
            missed = {c: h for c, h in mapping.columns.items() if draft.columns.get(c) != h}
            assert not missed, path.name
            seen += 1
    assert seen >= 14


# ---- layouts ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def budget(tmp_path_factory):
    """A second sheet, a title in thousands, two header rows, merged cells and codes, a total."""
    path = tmp_path_factory.mktemp("files") / "budget.xlsx"
    book = xlsxwriter.Workbook(path)
    book.add_worksheet("הסבר").write(0, 0, "קובץ תקציב")
    sheet = book.add_worksheet("נתונים")
    sheet.write(0, 0, 'תקציב חינוך תשפ"ו (אלפי ש"ח)')
    single = ["סמל מוסד", "שנת לימודים", "מענה", "ערוץ מימון", "סוג שנה", "חינוך פורמלי", "פדגוגי"]
    for column, header in enumerate(single):
        sheet.merge_range(3, column, 4, column, header)
    sheet.merge_range(3, 7, 3, 8, "סכום")
    sheet.write_row(4, 7, ["תקציב מתוכנן", "ביצוע"])
    for row in range(5, 17):
        if row % 3 == 2:
            sheet.merge_range(row, 0, row + 2, 0, 900001 + row)
        channel = ["רשות", "גפן", "קרן קיימת"][row % 3]
        sheet.write_row(row, 1, ['תשפ"ו', "אמירים", channel, 'שנה"ל', "כן", "לא"])
        sheet.write_row(row, 7, [1200 + 7.5 * row, "-" if row == 8 else 900 + row])
    sheet.write_row(17, 0, ['סה"כ', "", "", "", "", "", "", 99999])
    book.close()
    return path


def test_a_workbook_with_merged_headers_is_laid_out(budget):
    text = propose(budget)
    source_id, draft = mapping_in(text)
    assert source_id == "finance__budget_lines"
    assert (draft.sheet, draft.header_row, draft.header_rows) == ("נתונים", 4, 2)
    assert draft.columns["plan_nis"] == "סכום / תקציב מתוכנן"
    assert draft.columns["actual_nis"] == "סכום / ביצוע"
    assert draft.units == {"plan_nis": "thousand", "actual_nis": "thousand"}
    assert draft.nulls == ("-",)
    assert "1 row(s) of totals" in text
    assert "add fill_down: [semel_mosad]" in text
    assert "TODO values.funding_channel: 'קרן קיימת' is one of municipal_own" in text


def test_a_complete_draft_reads_its_file(budget):
    source_id, draft = mapping_in(propose(budget))
    assert draft.misfit(source_id) is None
    rows = read_content(budget.read_bytes(), draft).rows
    assert set(draft.columns.values()) <= set(rows.columns)
    assert len(rows) == 13
    assert rows["סכום / תקציב מתוכנן"][0] == "1237.5"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1255", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_text_in_any_encoding(tmp_path, encoding, delimiter):
    lines = [
        "דוח רצועות, נכון להיום",
        "",
        delimiter.join(["סמל מוסד", "שנת לימודים", "שכבה", "מקצוע", "רצועה"]),
    ]
    lines += [
        delimiter.join(
            [
                str(900001 + row),
                "2026",
                str(row % 6 + 1),
                ["מתמטיקה", "אנגלית"][row % 2],
                str(row % 5 + 1),
            ]
        )
        for row in range(20)
    ]
    path = tmp_path / "bands.csv"
    path.write_bytes("\r\n".join(lines).encode(encoding))
    source_id, draft = mapping_in(propose(path))
    assert source_id == "tests__school_bands"
    assert draft.encoding == encoding
    assert draft.delimiter == ("tab" if delimiter == "\t" else delimiter)
    assert (draft.header_row, draft.header_rows) == (3, 1)
    assert len(read_content(path.read_bytes(), draft).rows) == 20


def test_a_parquet_file(tmp_path):
    path = tmp_path / "merges.parquet"
    pl.DataFrame(
        {"semel_mosad_old": ["900001"], "semel_mosad": ["900002"], "school_year": [2026]}
    ).write_parquet(path)
    source_id, draft = mapping_in(propose(path))
    assert (source_id, draft.format) == ("register__merges", "parquet")


def test_a_csv_that_is_called_xls(tmp_path):
    path = tmp_path / "merges.xls"
    path.write_text(
        "semel_mosad_old,semel_mosad,school_year\n900001,900002,2026\n900003,900002,2026\n"
    )
    text = propose(path)
    assert mapping_in(text)[1].format == "csv"
    assert "the name ends in .xls" in text


def test_years_as_headers_are_no_data():
    grid = [["סמל מוסד", "2024", "2025"], ["900001", "71.5", "70.2"], ["900002", "68.0", "69.9"]]
    assert find_header(grid) == {"header_row": 1, "header_rows": 1}


def test_a_table_of_texts_has_its_first_full_row_as_header():
    grid = [["כותרת", "", ""], ["תפקיד", "נושא", "מובאה"], ["מנהל", "אחר", "טקסט"]]
    assert find_header(grid) == {"header_row": 2, "header_rows": 1}


# ---- guesses ----------------------------------------------------------------------------------


def test_codes_of_a_category_become_todo_lines_and_typing_errors_a_map(tmp_path):
    path = tmp_path / "schools_2026.csv"
    sector, stream = ["יהודי", "יהודיי", "ערבי", "4"], ["1", "2"]
    body = [
        f"{900001 + r},בית ספר {r},{sector[r % 4]},{stream[r % 2]},רשמי,{100 + r}"
        for r in range(20)
    ]
    path.write_text("\n".join(["סמל מוסד,שם בית הספר,מגזר,פיקוח,מעמד משפטי,תלמידים", *body]))
    text = propose(path, "register__schools")
    _, draft = mapping_in(text)
    assert draft.values == {"sector": {"יהודיי": "jewish"}}
    assert "TODO values.sector: '4' is one of jewish" in text
    assert "TODO values.supervision_stream: '1' is one of state" in text
    assert "TODO education_type: required" in text
    assert draft.constants == {"school_year": "2026"}
    assert "Not complete (columns the contract needs: education_stage, education_type)" in text


def test_units_and_shares(tmp_path):
    path = tmp_path / "authorities.csv"
    body = [f"רשות {chr(1488 + r)},{1000 + r},2020,{50 + r}.5,0.{r + 10}" for r in range(10)]
    path.write_text("\n".join(['שם הרשות,סמל הרשות,שנה,"אוכלוסייה (אלפים)",אחוז נושרים', *body]))
    source_id, draft = mapping_in(propose(path))
    assert source_id == "context__authority_years"
    assert draft.units == {"population": "thousand", "dropout_pct": "share"}


def test_codes_that_may_have_lost_their_zeros_are_pointed_out(tmp_path):
    path = tmp_path / "authorities.csv"
    path.write_text("שם הרשות,סמל הרשות,שנה,אוכלוסייה\nא,26,2020,5\nב,7100,2020,6\nג,681,2020,7\n")
    assert "TODO authority_code: codes of several lengths" in propose(path)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["31/12/2025", "01/02/2026"], "dmy"),
        (["12/31/2025", "1/2/2026"], "mdy"),
        (["01/02/2026"], "dmy"),
        (["2026-02-01"], None),
    ],
)
def test_date_order(values, expected):
    found = date_order(values)
    assert (found and found[0]) == expected


def test_mixed_date_orders_are_told():
    assert "both orders" in date_order(["31/12/2025", "12/31/2025"])[1]


def test_shapes():
    assert shape(["123456789", "012345678"]) == "9 digits"
    assert shape(["31/12/2025"]) == "dates"
    assert shape(["אחת שתיים", "שלוש"]) == "1–2 words"
    assert shape([]) == "empty"


# ---- nothing personal -------------------------------------------------------------------------


def pupils(tmp_path, *, header: bool):
    rng = random.Random(7)
    rows = [
        [
            id_number(rng),
            f"תהל{r}",
            f"כרמונסקי{r}",
            f"050-{1234000 + r}",
            str(900001 + r % 5),
            str(r % 6 + 1),
            str(r % 3 + 1),
            "זכר*" if r % 2 else "נקבה*",
            "2015",
            str(r % 10 + 1),
            "לא",
            "כן",
            "לא",
        ]
        for r in range(60)
    ]
    names = (
        "תעודת זהות,שם פרטי,שם משפחה,טלפון הורה,סמל בית ספר,שכבה,מקבילה,מגדר,שנת לידה,עשירון"
        " טיפוח,שילוב,מחונן,אמירים"
    )
    lines = [",".join(row) for row in rows]
    path = tmp_path / "pupils_2026.csv"
    path.write_text("\n".join([names, *lines] if header else lines), encoding="cp1255")
    return path, rows


def test_no_value_of_a_pupil_is_in_a_draft(tmp_path, capsys):
    path, rows = pupils(tmp_path, header=True)
    assert main([str(path)]) == 0
    text = capsys.readouterr().out
    source_id, draft = mapping_in(text)
    assert source_id == "register__pupils"
    assert draft.misfit(source_id) is None
    assert draft.columns["pupil_hash"] == "תעודת זהות"
    assert "9 digits" in text
    assert "TODO sex: 2 unknown value(s)" in text
    assert "'טלפון הורה' fits no column (the header speaks of persons: leave it out)" in text
    for row in rows:
        for value in (*row[:4], "נקבה", "זכר"):
            assert value not in text


def test_a_file_without_a_header_is_refused_without_its_values(tmp_path, capsys):
    path, rows = pupils(tmp_path, header=False)
    assert main([str(path)]) == 2
    said = "".join(capsys.readouterr())
    assert "header" in said
    assert not any(value in said for value in rows[0][:4])


def test_names_without_a_header_are_not_taken_for_headers(tmp_path, capsys):
    path = tmp_path / "names.csv"
    path.write_text("\n".join(f"כרמונסקי{r},תהל{r},תושבת" for r in range(9)))
    assert main([str(path)]) == 2
    assert main([str(path), "--source", "register__pupils"]) == 0
    assert "כרמונסקי" not in "".join(capsys.readouterr())


# ---- the command ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken.xlsx", b"PK\x03\x04 no workbook" * 9),
        ("broken.xls", b"\xd0\xcf\x11\xe0" + bytes(600)),
        ("broken.parquet", b"PAR1 and no more"),
        ("bytes.csv", bytes(range(256)) * 4),
        ("empty.csv", b" \n"),
        ("page.xls", b"<html><table><tr><td>semel</td></tr></table></html>"),
    ],
)
def test_an_unreadable_file_is_a_sentence_in_two_languages(tmp_path, capsys, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnreadableError):
        layouts(path)
    assert main([str(path)]) == 2
    english, hebrew = capsys.readouterr().err.strip().splitlines()
    assert english.startswith(f"{path}: it ")
    assert "קובץ" in hebrew or "דף HTML" in hebrew


def test_a_missing_file_and_an_unknown_source(tmp_path, budget, capsys):
    assert main([str(tmp_path / "nowhere.csv")]) == 2
    assert "cannot be opened" in capsys.readouterr().err
    assert main([str(budget), "--source", "no_such"]) == 2
    assert "unknown source 'no_such'; known sources: register__schools" in capsys.readouterr().err


def test_the_draft_goes_to_a_new_file_only(budget, tmp_path, capsys):
    out = tmp_path / "draft.yaml"
    assert main([str(budget), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "city.yaml" in said
    assert "יש להכריע" in said
    assert mapping_in(out.read_text(encoding="utf-8"))[0] == "finance__budget_lines"
    assert main([str(budget), "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_ticked_columns_are_drafted_with_what_an_empty_cell_means(tmp_path):
    path = tmp_path / "p.csv"
    header = "ת.ז.,שנה,סמל מוסד,שכבה,כיתה,מין,שנת לידה,עשירון טיפוח,שילוב,מחונן,אמירים"
    rows = [f"{900000000 + n},2026,900001,5,5-1,ז,2016,5,{'V' * (n % 2)},V,לא" for n in range(20)]
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    drafted = yaml.safe_load(propose(path, "register__pupils"))["sources"]["register__pupils"]
    assert drafted["values"] == {"is_sen_integration": {"": "false"}}


def test_a_cell_far_from_the_table_ends_no_draft(tmp_path):
    path = tmp_path / "m.xlsx"
    with xlsxwriter.Workbook(path) as book:
        page = book.add_worksheet()
        page.write_row(0, 0, ["סמל מוסד", "שנה", "ממוצע"])
        page.write_row(1, 0, [900001, 2026, 70])
        page.write_blank(1_000_000, 16_000, "", book.add_format({"bold": True}))
    with pytest.raises(UnreadableError, match="far from the table"):
        propose(path)
