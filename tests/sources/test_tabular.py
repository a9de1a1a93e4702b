"""Bytes to records: encodings, headers, quotes; a broken record never takes its neighbours."""

import io
import zipfile

import polars as pl
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.settings.fields import ROW
from pipelines.settings.mapping import SourceMapping
from pipelines.sources.tabular import header_names, read_content
from pipelines.sources.workbook import UnreadableError
from tests.examples import examples

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


CODES = [510000 + number for number in range(120)]


@pytest.mark.parametrize("quote", ['"', ""])
def test_a_column_that_is_filled_late(quote):
    """Whatever the first hundred records hold, and with a Hebrew abbreviation in each."""
    late = [quote + ("מאוחר" if number >= 100 else "") + quote for number in range(120)]
    lines = [f'{code},בי"ס {code},{note}' for code, note in zip(CODES, late, strict=True)]
    found = read_content("\n".join(["א,ב,ג", *lines]).encode(), mapping(columns={"x": "א"}))
    assert found.broken == ()
    assert found.rows["ג"].to_list() == [None] * 100 + ["מאוחר"] * 20
    assert found.rows["ב"][7] == 'בי"ס 510007'


@pytest.mark.parametrize(
    ("line", "is_sound"),
    [
        ('2,ברוש"גדול, 310",כן', False),  # a delimiter is missing before the quotation
        ('2,ברוש"גדול, בן, 310"', False),
        ('2,חמ"ד,310,בי"ס', True),
        ('2,12",14",כן', True),
        ('2,"ברוש, גדול",310,כן', True),
        ('2, "ברוש, גדול", 310, כן', True),
    ],
)
def test_nothing_is_shifted_in_silence(line, is_sound):
    text = f"א,ב,ג,ד\n1,אלון,300,כן\n{line}\n3,אלה,320,כן\n"
    found = read_content(text.encode(), mapping(columns={"x": "א"}))
    assert found.rows["א"].to_list() == (["1", "2", "3"] if is_sound else ["1", "3"])
    assert found.broken == (() if is_sound else (3,))


def test_a_long_quotation_is_one_record_and_a_stray_mark_takes_no_neighbour():
    note = "\n".join(["שורה"] * 12 + ["999999,רפאים,אין כזה"] + ["שורה"] * 20)
    text = f'א,ב,ג\n1,אלון,"{note}"\n2,ברוש,כן\n'
    found = read_content(text.encode(), mapping(columns={"x": "א"}))
    assert found.rows["א"].to_list() == ["1", "2"]
    assert found.rows["ג"][0] == note
    stray = ['1,"אלון,כן', *(f"{number},ברוש,כן" for number in range(2, 40)), '40,גפן",כן']
    found = read_content("\n".join(["א,ב,ג", *stray]).encode(), mapping(columns={"x": "א"}))
    assert found.broken == (2,)
    assert found.rows["א"].to_list() == [str(number) for number in range(2, 41)]


def test_an_empty_field_too_many_in_every_line_and_empty_fields_left_out():
    wide = "\n".join(["א,ב,ג", *(f"{code},אלון,{code % 7}," for code in CODES)])
    found = read_content(wide.encode(), mapping(columns={"x": "א"}))
    assert (found.rows.height, found.broken) == (120, ())
    short = ["א,ב,ג,ד", *(f"{code},אלון,3" + ",כן" * (code % 3 == 0) for code in CODES)]
    found = read_content("\n".join(short).encode(), mapping(columns={"x": "א"}))
    assert (found.rows.height, found.broken) == (120, ())
    assert found.rows["ד"].null_count() == 80


def test_a_field_that_was_lost_within_a_line_moves_no_other():
    lines = [f"{code},אלון,3" + ",כן" * (code % 3 == 0) for code in CODES]
    lines[7] = "510007,4,כן"  # the name is lost, not the last field
    found = read_content("\n".join(["א,ב,ג,ד", *lines]).encode(), mapping(columns={"x": "א"}))
    assert found.broken == (9,)
    one = [f"{code},אלון,3,כן" for code in CODES]
    one[7] = "510007,אלון,3"  # a single short line is a fault
    found = read_content("\n".join(["א,ב,ג,ד", *one]).encode(), mapping(columns={"x": "א"}))
    assert found.broken == (9,)


def test_what_is_no_table_is_refused_by_its_name():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", TEXT)
    locked = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le")
    page = b"\xef\xbb\xbf <html><table><tr><td>semel</td></tr></table></html>"
    for content, en, he in (
        (packed.getvalue(), "zip", "zip"),
        (locked, "password", "בסיסמה"),
        (page, "HTML", "HTML"),
    ):
        for form in ("csv", "xlsx"):
            with pytest.raises(UnreadableError, match=en) as told:
                read_content(content, mapping(format=form))
            assert he in told.value.he


def test_dos_hebrew_is_read():
    assert read_content(TEXT.encode("cp862"), mapping()).rows.columns[0] == "סמל קודם"


def test_hebrew_that_was_encoded_twice_is_named():
    def twice(text):
        return "".join(
            chr(byte) if byte in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else bytes([byte]).decode("cp1252")
            for byte in text.encode()
        )

    all_of_it = f"semel,school\n510001,{twice('אלון')}\n510002,{twice('ברוש')}\n"
    with pytest.raises(UnreadableError, match="encoded twice") as told:
        read_content(all_of_it.encode(), mapping(columns={"x": "semel"}))
    assert "פעמיים" in told.value.he
    one = f"semel,school\n510001,{twice('אלון')}\n510002,ברוש\n510003,3×4\n"
    found = read_content(one.encode(), mapping(columns={"x": "semel"}))
    assert found.broken == (2,)
    assert found.rows["school"].to_list() == ["ברוש", "3×4"]


def test_what_spreadsheets_and_old_systems_add():
    head_break = 'א,"תלמידים\n(סך הכול)",ג\n1,300,12\n2,310,13\n'
    found = read_content(head_break.encode(), mapping(columns={"x": "א"})).rows
    assert found.columns == ["א", "תלמידים (סך הכול)", "ג", ROW]
    assert found[ROW].to_list() == [3, 4]
    unmatched = read_content('א,"ב"ס,ג\n1,2,3\n'.encode(), mapping(columns={"x": "א"}))
    assert unmatched.rows.rows() == [("1", "2", "3", 2)]
    named = read_content("sep=;\nא;ב\n1;אלון\n".encode(), mapping(columns={"x": "א"}))
    assert named.rows.rows() == [("1", "אלון", 3)]
    ended = read_content("א,ב\r\n1,אלון\r\n\x1a".encode(), mapping(columns={"x": "א"}))
    assert (ended.rows.height, ended.broken) == (1, ())
    apostrophes = "א,ב,ג\n1,'אלון','אחת, שתיים'\n2,'ברוש','ג'\n"
    found = read_content(apostrophes.encode(), mapping(columns={"x": "א"}))
    assert found.rows.drop(ROW).rows() == [("1", "אלון", "אחת, שתיים"), ("2", "ברוש", "ג")]
    geresh = "א,ב\n1,כיתה ג'\n2,'ברוש\n"
    assert read_content(geresh.encode(), mapping(columns={"x": "א"})).rows["ב"].to_list() == [
        "כיתה ג'",
        "'ברוש",
    ]


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
    assert header_names([["a", "a", "", "\u200fא  ב"]]) == ["a (1)", "a (2)", "column 3", "א ב"]
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


@settings(max_examples=examples(300), deadline=None)
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


@pytest.mark.parametrize(("tail", "width"), [(",כן,5", 4), ("", 2)])
def test_a_file_whose_rows_all_have_another_width_is_told_so_once(tail, width):
    text = "\n".join(["א,ב,ג", *(f"{code},אלון{tail}" for code in CODES)])
    with pytest.raises(UnreadableError, match=f"have {width} fields and the header has 3") as told:
        read_content(text.encode(), mapping(columns={"x": "א"}))
    assert f"{width} שדות ובכותרת 3" in told.value.he


def test_a_header_in_apostrophes_is_the_header_without_them():
    text = "'סמל','שם'\n'510001','בי\"ס אלון'\n'510002','ברוש'\n"
    found = read_content(text.encode(), mapping(columns={"x": "סמל"})).rows
    assert found.drop("file_row").rows() == [("510001", 'בי"ס אלון'), ("510002", "ברוש")]
    assert found.columns[:2] == ["סמל", "שם"]
