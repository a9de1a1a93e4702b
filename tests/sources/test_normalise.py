"""One spelling per value, whatever an analyst's Excel made of it."""

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.settings.fields import dictionary
from pipelines.settings.mapping import SourceMapping
from pipelines.sources.normalise import (
    ambiguous_days,
    day,
    is_of_other_order,
    known_spellings,
    normalise,
    number,
    school_year,
)

FIELDS = dictionary().fields


def mapping(**options):
    return SourceMapping(**{"file": "f", "format": "csv", "columns": {}} | options)


def read(field, *values, **options):
    return normalise(
        pl.Series([*values], dtype=pl.String), FIELDS[field], mapping(**options)
    ).to_list()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234", "1234"),
        ("₪ 1,234.50", "1234.5"),
        ('1,234 ש"ח', "1234"),
        ("(250)", "-250"),
        ("250-", "-250"),
        ("−3.5", "-3.5"),
        ("12K", "12000"),
        ("1.5M", "1500000"),
        ("1.5 מיליון", "1500000"),
        ("45%", "45"),
        ("1,23", None),
        ("12,34,56", None),
        ("abc", None),
        ("", None),
        ("1 000", None),
        ("nan", None),
        ("1e3", "1000"),
    ],
)
def test_numbers(text, value):
    assert number(text) == value


@pytest.mark.parametrize(
    ("text", "order", "value"),
    [
        ("02/05/2026", "dmy", "2026-05-02"),
        ("02/05/2026", "mdy", "2026-02-05"),
        ("2.5.26", "dmy", "2026-05-02"),
        ("05/13/2026", "dmy", None),
        ("46144", "dmy", "2026-05-02"),
        ("46144.0", "dmy", "2026-05-02"),
        ("2026-05-02 00:00:00", "dmy", "2026-05-02"),
        ("2026/5/2", "ymd", "2026-05-02"),
        ("31/02/2026", "dmy", None),
        ('ט"ו באייר תשפ"ו', "dmy", "2026-05-02"),
        ("ט״ו אייר תשפ״ו", "dmy", "2026-05-02"),
        ("א' בתשרי תשפ\"ו", "dmy", "2025-09-23"),
        ("ל' באדר א תשפ\"ד", "dmy", "2024-03-10"),
        ("מחר", "dmy", None),
    ],
)
def test_dates(text, order, value):
    assert day(text, order) == value


@given(st.dates(date(2000, 1, 1), date(2050, 12, 31)))
def test_every_day_is_read_back_in_each_spelling(value):
    iso = value.isoformat()
    assert day(value.strftime("%d/%m/%Y"), "dmy") == iso
    assert day(value.strftime("%m/%d/%Y"), "mdy") == iso
    assert day(str((value - date(1899, 12, 30)).days), "dmy") == iso
    assert day(str(value + timedelta(0)), "dmy") == iso


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('תשפ"ו', "2026"),
        ("תשפ״ו", "2026"),
        ("התשפ״ו", "2026"),
        ("התשפו", "2026"),
        ("ה'תשפ\"ו", "2026"),
        ("2025/26", "2026"),
        ("2025-2026", "2026"),
        ('תשפ"ו (2025/26)', "2026"),
        ("2025/27", None),
        ("2026.0", "2026"),
        ('תש"ע', "2010"),
        ("שנה", None),
    ],
)
def test_school_years(text, value):
    assert school_year(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ד", "4"),
        ("ד'", "4"),
        ("כיתה ד׳", "4"),
        ("שכבה ו", "6"),
        ('י"ב', "12"),
        ("4.0", "4"),
        ("ד1", "4"),
        ("ד'1", "4"),
        ("ד-2", "4"),
        ("ד1א", None),
        ("כ", None),
        ("כיתה", None),
    ],
)
def test_grades(text, value):
    assert read("grade", text) == [value or text]


def test_codes_get_their_digits_back():
    assert read("semel_mosad", "900001.0", "12345", "900001", "9000011", "12") == [
        "900001",
        "012345",
        "900001",
        "9000011",
        "12",
    ]


def test_categories_in_every_spelling():
    assert read("rating", "צהוב", "Yellow", "2", "fairly_effective", "כתום") == [
        *["fairly_effective"] * 4,
        "כתום",
    ]
    assert read("supervision_stream", "ממלכתי־דתי", "חמ״ד", "ממלכתי דתי") == ["state_religious"] * 3


def test_flags_and_whole_numbers():
    assert read("is_tested", "כן", "לא", "1", "FALSE", "אולי") == [
        "true",
        "false",
        "true",
        "false",
        "אולי",
    ]
    assert read("pupils", "27.0", "1,200", "27.5", None) == ["27", "1200", "27.5", None]


def test_a_unit_of_the_file_becomes_the_contracts():
    columns = {"plan_nis": "a", "agree_pct": "b"}
    assert read("plan_nis", "12.5", columns=columns, units={"plan_nis": "thousand"}) == ["12500"]
    assert read("agree_pct", "0.805", columns=columns, units={"agree_pct": "share"}) == ["80.5"]


@pytest.mark.parametrize("name", sorted({*dictionary().labels, *dictionary().spellings}))
def test_no_spelling_means_two_values(name):
    field, words = FIELDS[name], dictionary()
    if not field.allowed:
        return
    meant = {}
    for text, value in [
        *((label, value) for value, label in words.labels.get(name, {}).items()),
        *words.spellings.get(name, {}).items(),
    ]:
        assert meant.setdefault(text, value) == value
    assert set(known_spellings(name).values()) <= set(map(str, field.allowed))


@given(st.text(max_size=20), st.sampled_from(sorted(FIELDS)))
def test_any_text_is_read_twice_as_once(text, name):
    """What the door has spelt stays so, and no text stops it."""
    once = read(name, text)
    assert read(name, *once) == once


@pytest.mark.parametrize(
    ("order", "texts", "unsure"),
    [
        ("dmy", ["05/03/2026", "13/03/2026", "2026-03-04", None], []),  # one order only: no doubt
        ("dmy", ["05/03/2026", "03/13/2026", "03/03/2026", "13/03/2026", None], [0]),
        ("mdy", ["05/03/2026", "13/03/2026", "03/13/2026"], [0]),
        ("ymd", ["05/03/2026", "03/13/2026"], []),
    ],
)
def test_a_column_of_both_orders_makes_its_other_days_unsure(order, texts, unsure):
    column = pl.Series(texts, dtype=pl.String)
    are_unsure = ambiguous_days(column) & is_of_other_order(column, mapping(dates=order))
    assert are_unsure.arg_true().to_list() == unsure
