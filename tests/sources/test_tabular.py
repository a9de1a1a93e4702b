"""Bytes to records: encodings, headers, quotes; a broken record never takes its neighbours."""

import io

import polars as pl
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.settings.fields import ROW
from pipelines.settings.mapping import SourceMapping
from pipelines.sources.tabular import header_names, read_content

COLUMNS = {"semel_mosad_old": "סמל קודם", "semel_mosad": "סמל מוסד", "school_year": "שנה"}
TEXT = "סמל קודם,סמל מוסד,שנה\n900900,900029,2024\n900901,900030,2025\n"


def mapping(**options):
    return SourceMapping(**{"file": "f", "format": "csv", "columns": COLUMNS} | options)


def workbook(rows, merges=()):
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out)
    sheet = book.add_worksheet("גיליון")
    for number, row in enumerate(rows):
        for column, value in enumerate(row):
            if value is not None:
                sheet.write(number, column, value)
    for first, last, text in merges:
        sheet.merge_range(*first, *last, text)
    book.close()
    return out.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1255", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_every_encoding_gives_the_same_records(encoding, line_end):
    found = read_content(TEXT.replace("\n", line_end).encode(encoding), mapping())
    assert found.rows.rows() == [("900900", "900029", "2024", 2), ("900901", "900030", "2025", 3)]
    assert found.broken == ()


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_the_delimiter_is_found(delimiter):
    assert read_content(TEXT.replace(",", delimiter).encode(), mapping()).rows.height == 2


def test_a_header_in_row_3_and_blank_lines():
    text = "דוח מיזוגים\n,,\n" + TEXT.replace("\n900901", "\n\n,,\n900901")
    found = read_content(text.encode(), mapping(header_row=3)).rows
    assert found[ROW].to_list() == [4, 7]


def test_hebrew_abbreviations_and_quoted_fields_in_one_file():
    text = 'שם,פיקוח,הערה\nאלון,חמ"ד,"שורה אחת, עם פסיק"\nברוש,ממ"ד,"שתי\nשורות"\nגפן,"מיל""ת",כן\n'
    found = read_content(text.encode(), mapping(columns={"a": "שם"})).rows
    assert found["פיקוח"].to_list() == ['חמ"ד', 'ממ"ד', 'מיל"ת']
    assert found["הערה"].to_list() == ["שורה אחת, עם פסיק", "שתי\nשורות", "כן"]
    assert found[ROW].to_list() == [2, 3, 5]


def test_a_stray_quote_and_a_short_row_stay_alone():
    text = 'a,b,c\n1,"2,3\n4,5,6\n7,8\n9,10,11\n'
    found = read_content(text.encode(), mapping(columns={"x": "a"}))
    assert found.rows.rows() == [("4", "5", "6", 3), ("9", "10", "11", 5)]
    assert found.broken == (2, 4)


def test_a_workbook_with_two_header_rows_and_merged_cells():
    content = workbook(
        [["דוח"], [], ["", "", None], ["סמל", "עברית", "אנגלית"], [900001, 71.5, None]],
        merges=[((2, 1), (2, 2), "ציון ממוצע")],
    )
    found = read_content(content, mapping(format="xlsx", header_row=3, header_rows=2)).rows
    assert found.rows() == [("900001", "71.5", None, 5)]
    assert found.columns == ["סמל", "ציון ממוצע / עברית", "ציון ממוצע / אנגלית", ROW]


def test_a_parquet_file():
    out = io.BytesIO()
    pl.DataFrame({"semel": [900001], "score": [71.5]}).write_parquet(out)
    found = read_content(out.getvalue(), mapping(format="parquet", columns={"a": "semel"}))
    assert found.rows.rows() == [("900001", "71.5", 1)]


def test_header_names_are_unique_and_never_empty():
    assert header_names([["a", "a", "", "\u200fא  ב"]]) == ["a", "a (2)", "column 3", "א ב"]
    with pytest.raises(ValueError, match="empty"):
        header_names([["", ""]])


def test_a_file_that_ends_before_its_header():
    with pytest.raises(ValueError, match="row 5"):
        read_content(b"a,b\n1,2", mapping(header_row=5))


@pytest.mark.parametrize("text", [TEXT, "אבא,ב,ג\nשב,1,2\nגד,3,4\nבגד,5,6\nא,7,8\n"])
@pytest.mark.parametrize("bad", [b"\xff", b"\xe0", b"\xd7"])
def test_one_bad_byte_does_not_turn_a_utf8_file_into_another_encoding(text, bad):
    """Hebrew of some letters is valid cp1255 too; still only the row with the byte is set aside."""
    lines = text.encode().split(b"\n")
    lines[2] = lines[2][:3] + bad + lines[2][3:]
    found = read_content(b"\n".join(lines), mapping(columns={"x": text.split(",")[0]}))
    clean = read_content(text.encode(), mapping(columns={"x": text.split(",")[0]}))
    assert found.broken == (3,)
    assert found.rows.equals(clean.rows.filter(pl.col(ROW) != 3))


def test_a_bad_byte_inside_a_quotation_of_two_lines_takes_the_whole_record():
    content = 'שם,הערה\nאלון,"אחת\nשתיים"\nגפן,כן\n'.encode().replace(
        "שתיים".encode(), b"\xff" + "שתיים".encode()
    )
    found = read_content(content, mapping(columns={"a": "שם"}))
    assert found.broken == (2,)
    assert found.rows.rows() == [("גפן", "כן", 4)]


@settings(max_examples=300, deadline=None)
@given(st.data())
@pytest.mark.parametrize("encoding", ["auto", "utf-8"])
def test_a_corrupt_byte_changes_no_other_row(encoding, data):
    """Whatever one byte becomes, other rows are read as before, or a declared encoding refused."""
    body = [f"{900000 + i},{i},שלום {i}" for i in range(12)]
    clean = ("a,b,c\n" + "\n".join(body) + "\n").encode()
    line = data.draw(st.integers(0, 11))
    start = len(("a,b,c\n" + "".join(f"{row}\n" for row in body[:line])).encode())
    place = start + data.draw(st.integers(0, len(body[line].encode()) - 1))
    byte = data.draw(st.integers(0, 255))
    changed = clean[:place] + bytes([byte]) + clean[place + 1 :]
    try:
        found = read_content(changed, mapping(encoding=encoding, columns={"x": "a"}))
    except UnicodeDecodeError:
        assert encoding != "auto"
        return
    others = {tuple(row.split(",")) for number, row in enumerate(body) if number != line}
    assert others <= {row[:3] for row in found.rows.iter_rows()}
