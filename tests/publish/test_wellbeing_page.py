"""The page of attendance, climate and activity; a climate file with few answers, from the file to
the page.
"""

import re

import polars as pl
import pytest

from pipelines.publish.pages.base import ReportContext
from pipelines.publish.pages.wellbeing import render_wellbeing
from pipelines.publish.suppression import Thresholds, gate, suppress
from pipelines.rehearsal import rehearse
from pipelines.settings.city import load_city
from pipelines.warehouse.sql_tables import sql_tables
from pipelines.warehouse.tables import nothing
from tests.runs import make_place

CONTEXT = ReportContext("עיר", False, 2026, 2027, "הכול", "נתונים", ())
LIMITS = Thresholds(mean_pupils=10, count_pupils=5)
USED = (
    "mart_gap_school",
    "mart_group",
    "mart_pupil_share",
    "mart_climate",
    "mart_test_participation",
)


def page(**tables):
    shown = suppress({name: nothing(name) for name in USED} | tables, "committee", LIMITS)
    gate(shown, "committee", LIMITS)
    return render_wellbeing(shown, CONTEXT)


def table(name, *rows):
    shape = nothing(name)
    return pl.DataFrame(
        [dict.fromkeys(shape.columns) | row for row in rows], schema=shape.schema, orient="row"
    )


SCHOOLS = table(
    "mart_gap_school",
    {"semel_mosad": "900001", "school_name_he": "אלון"},
    {"semel_mosad": "900002", "school_name_he": "ברוש"},
)
SHARE = {
    "share_id": "overt_dropout",
    "place": "900001",
    "group_id": "all",
    "school_year": 2026,
    "is_measured": True,
    "pupils": 321,
    "case_pupils": 17,
    "share_pct": 5.3,
    "share_lo_pct": 3.6,
    "share_hi_pct": 7.7,
}


def cells(html, start):
    """Return the words of the cells of the row with this heading."""
    row = next(row for row in html.split("<tr>") if start in row.split("</th>")[0])
    row = row.split("</tr>")[0].split("</th>", 1)[1]
    return [
        re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", cell)).strip() for cell in row.split("</td>")
    ]


def test_dropout_is_apart_from_transfer_and_what_is_missing_is_no_zero():
    html = page(
        mart_gap_school=SCHOOLS,
        mart_pupil_share=table(
            "mart_pupil_share",
            SHARE,
            SHARE
            | {
                "share_id": "transfer",
                "case_pupils": 3,
                "share_pct": 0.9,
                "share_lo_pct": 0.4,
                "share_hi_pct": 2.2,
            },
            {
                "share_id": "mobility",
                "place": "900001",
                "group_id": "all",
                "school_year": 2026,
                "is_measured": False,
            },
            SHARE
            | {
                "share_id": "chronic_absence",
                "case_pupils": 0,
                "share_pct": 0.0,
                "share_lo_pct": 0.0,
                "share_hi_pct": 0.8,
            },
            {
                "share_id": "overt_dropout",
                "place": "900002",
                "group_id": "all",
                "school_year": 2026,
                "is_measured": False,
            },
            SHARE | {"place": "city"},
        ),
    )
    assert cells(html, "אלון")[:5] == [
        "5.3% 3.6% עד 7.7%",
        "מעט תלמידים",
        "לא נמדד",
        "0% 0% עד 0.8%",
        "321",
    ]
    assert "ברוש" not in html


def test_a_city_that_reports_nothing_says_so():
    items = ("attendance", "informal", "climate", "pupil_tests")
    absent = table(
        "mart_not_measured",
        *({"item_id": item, "item_he": f"דבר {item}", "reason_he": "אין קובץ"} for item in items),
    )
    html = page(mart_not_measured=absent)
    assert re.findall(r'data-item="(\w+)"', html) == list(items)
    assert all(f"דבר {item}" in html for item in items)
    assert html.count("אין קובץ") == 4


def test_what_has_rows_but_nothing_to_show_is_not_called_unmeasured():
    html = page()
    assert "data-item" not in html
    assert html.count("יש נתונים, אך אין מהם דבר שאפשר להציג כאן") == 4


def test_adapted_and_untested_are_marked_apart():
    row = {
        "semel_mosad": "900001",
        "school_year": 2026,
        "test_source": "internal",
        "listed_pupils": 90,
    }
    low = {
        f"{stem}_{end}": 2.5
        for stem in ("untested", "adapted")
        for end in ("pct", "lo_pct", "hi_pct")
    }
    html = page(
        mart_gap_school=SCHOOLS,
        mart_test_participation=table(
            "mart_test_participation",
            row | low | {"is_untested_high": False, "is_adapted_high": True},
            row
            | low
            | {
                "semel_mosad": "900002",
                "is_untested_high": True,
                "is_adapted_high": False,
                "small_pupils": 2,
            },
        ),
    )
    assert cells(html, "אלון")[1:5] == [
        "0% 0% עד 14.6%",
        "0% 0% עד 14.6%",
        "90",
        "⚑ רבים במבחן מותאם",
    ]
    assert cells(html, "ברוש")[1:5] == ["0% 0% עד 14.6%", "מעט תלמידים", "90", "⚑ רבים לא נבחנו"]


@pytest.fixture(scope="module")
def rehearsed(small_city, tmp_path_factory):
    """The small city with a climate file in which one grade of one school has few answers, and one
    a low rate.
    """
    place = make_place(tmp_path_factory.mktemp("climate"), small_city)
    path = next(place.raw.glob("files/climate_2026*"))
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    heads = lines[0].split(",")
    rows = [dict(zip(heads, line.split(","), strict=True)) for line in lines[1:]]
    for row in rows:
        if row["semel_mosad"] == "900003" and row["grade"] == "5":
            row["respondents"] = "4"
        if row["semel_mosad"] == "900003" and row["grade"] == "6":
            row["respondents"] = str(int(row["eligible_pupils"]) // 2)
    text = "\n".join([lines[0], *(",".join(row[name] for name in heads) for row in rows)])
    path.write_text(text + "\n", encoding="utf-8")
    return rehearse(load_city(place.raw), checked=False)


def test_few_answers_in_the_file_are_hidden_and_a_low_rate_is_marked_on_the_page(rehearsed):
    sql = next(sql.text for sql in sql_tables() if sql.table.name == "mart_climate")
    climate = rehearsed.table(sql)
    assert climate["respondents"].min() == 4
    named = SCHOOLS.with_columns(semel_mosad=pl.lit("900003")).head(1)
    html = page(mart_gap_school=named, mart_climate=climate)
    few, low = (row.split("</td>") for row in html.split("<tr>") if ">אלון<" in row)
    assert sum("מעט תלמידים" in cell for cell in few) == 6  # four facets, the number and the rate
    assert ">4<" not in "".join(few)
    assert "⚠" in low[-2]
    assert "%</bdi>" in low[2]
