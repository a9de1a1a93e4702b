"""The page of the work plan: what schools wrote, who is to look, who got what (R76, R105)."""

import re

import polars as pl
import pytest

from pipelines.act.tickets import tickets
from pipelines.publish.pages.base import ReportContext
from pipelines.publish.pages.plan import render_plan
from pipelines.settings.city import load_city
from pipelines.settings.fields import dictionary
from pipelines.warehouse.tables import table_of
from tests.review.test_tickets import given_of, lived, staged

CONTEXT = ReportContext("עיר", False, 2026, 2027, "הכול", "נתונים", ())
SENT = {
    "shown_release": "0123456789abcdef",
    "audience": "committee",
    "role_family": "city",
    "recipients": 5,
    "sent_to": 4,
    "acknowledged": 3,
    "silent": 1,
}


@pytest.fixture(scope="module")
def year():
    return lived(3)


@pytest.fixture(scope="module")
def drawn(small_city, year):
    """Draw the page of a year's tickets, or of none."""
    city = load_city(small_city)

    def page(given, lists=()):
        marts = [name for name in dictionary().tables if name.startswith("mart_")]
        named = [
            {"semel_mosad": code, "school_name_he": f"בית ספר {code}"}
            for code in year.tickets["school"]
        ]
        tables = {name: table_of(name, []) for name in marts}
        tables["mart_gap_school"] = pl.concat(
            [tables["mart_gap_school"], pl.DataFrame(named)], how="diagonal_relaxed"
        )
        tables |= tickets(city, given_of(given))
        tables["mart_distribution"] = table_of("mart_distribution", lists)
        return render_plan(tables, CONTEXT)

    return page


def table(page, caption):
    """Return the text of the table whose caption begins so; empty where there is none."""
    found = [part for part in page.split("<table")[1:] if caption in part.partition("</cap")[0]]
    return " ".join(re.sub("<[^>]+>", " ", "".join(found).partition("</table>")[0]).split())


def test_the_true_correction_is_told_with_its_source_and_nothing_else(drawn, year):
    page = drawn(staged(year))
    accepted = table(page, "תיקונים שהתקבלו")
    true, false, asked, _ = year.tickets["school"]
    assert f"בית ספר {true}" in accepted
    assert dictionary().source_he("register__schools") in accepted
    assert not any(f"בית ספר {code}" in accepted for code in (false, asked))
    waiting = table(page, "פניות פתוחות")
    assert f"בית ספר {asked}" in waiting
    assert f"בית ספר {true}" not in waiting


def test_the_owner_of_the_source_is_named_with_what_waits_there(drawn, year):
    listed = table(drawn(staged(year)), "תיקונים אצל האחראים")
    assert dictionary().source_owner("register__schools") in listed


def test_counts_and_the_time_to_an_answer_stand_in_the_sentence(drawn, year):
    text = re.sub("<[^>]+>", "", drawn(staged(year)))
    assert "4 פניות" in text
    assert "הזמן החציוני עד לתשובה: 7 ימים" in text


def test_nothing_that_was_said_stands_on_the_page(drawn, year):
    page = drawn(staged(year))
    for words in (*year.tickets["reason"].drop_nulls(), *year.tickets["why"].drop_nulls()):
        assert words not in page
    text = re.sub("<[^>]+>", " ", page)
    assert not any(value in text.split() for value in year.tickets["value"].drop_nulls())


def test_without_tickets_or_sending_the_page_says_so(drawn, year):
    page = drawn(staged(year).clear())
    assert "לא התקבלו פניות" in page
    assert "עדיין לא נשלח פרסום" in page


def test_a_list_is_told_with_who_is_silent(drawn, year):
    told = table(drawn(staged(year), [SENT]), "הפצה לפי רשימה")
    assert dictionary().label("audience", "committee") in told
    assert "5 4 3 1" in told
