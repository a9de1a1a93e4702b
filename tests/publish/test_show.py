"""How a table of a page is drawn from the dictionary: heads, forms, intervals, names, totals."""

import re
from functools import partial
from types import SimpleNamespace

import polars as pl
import pytest

from models.allocation.problem.words import channel_he
from pipelines.publish.pages.base import (
    MOST_SHOWN,
    cells,
    columns_of,
    environment,
    estimate,
    interval,
    mark,
    names_of,
    number,
    totals,
)
from pipelines.publish.words import FORMS
from pipelines.settings.fields import dictionary

GAP = {
    "semel_mosad": "900001",
    "subject": "math",
    "gap_sd": -0.256,
    "gap_lo_sd": -0.4,
    "gap_hi_sd": 0.1,
    "tested_pupils": 1234,
}
NAMES = {"semel_mosad": {"900001": "אלון"}}


def text(markup):
    return " ".join(re.sub("<[^>]+>", " ", str(markup)).split())


def row(columns, given=GAP, mart="mart_gap_school"):
    return cells(columns_of(NAMES, mart, columns), given)


def test_a_number_has_the_address_of_its_cell_and_its_exact_value():
    drawn = number("mart_gap_school", GAP, "gap_sd")
    assert drawn == (
        '<bdi dir="ltr" data-cell="mart_gap_school/semel_mosad=900001;subject=math/gap_sd"'
        ' data-value="-0.256">+3.1</bdi>'
    )
    assert number(None, {"cost_agorot": 123456789}, "cost_agorot") == (
        '<bdi dir="ltr">1,234,568</bdi>'
    )


def test_an_estimate_brings_its_interval_where_the_row_has_one():
    # A gap of −.256 SD is 3.1 months of learning above the target; the ends turn round with it.
    assert text(estimate("mart_gap_school", GAP, "gap_sd")) == "+3.1 −1.2 עד +4.8"
    alone = {name: GAP[name] for name in ("semel_mosad", "subject", "gap_sd")}
    assert text(estimate("mart_gap_school", alone, "gap_sd")) == "+3.1"
    assert interval("mart_gap_school", GAP | {"gap_lo_sd": None}, "gap_sd") == ""


def test_an_interval_with_a_column_of_its_own_is_not_told_twice():
    drawn = row(["semel_mosad", "gap_sd", "gap_lo_sd–gap_hi_sd: טווח 90%"])
    assert text(drawn) == "אלון +3.1 −1.2 עד +4.8"


def test_what_is_not_known_is_no_zero_and_is_left_empty_only_where_that_is_said():
    unknown = GAP | {"gap_sd": None, "gap_lo_sd": None}
    assert text(row(["semel_mosad", "gap_sd"], unknown)) == "אלון לא נמדד"
    assert text(row(["semel_mosad", "gap_sd?"], unknown)) == "אלון"


def test_heads_carry_the_unit_unless_the_page_says_another():
    drawn = columns_of(
        NAMES, "mart_gap_school", ["semel_mosad: בית ספר", "gap_sd", "tested_pupils"]
    )
    field = dictionary().fields
    assert [head for _, head, *_ in drawn] == [
        "בית ספר",
        f"{field['gap_sd'].he} (חודשי למידה)",
        field["tested_pupils"].he,
    ]
    assert [is_number for _, _, is_number, _ in drawn] == [False, True, True]


def test_without_columns_all_of_the_mart_is_shown():
    drawn = columns_of({}, "mart_asset", ())
    assert [column for column, *_ in drawn] == list(dictionary().tables["mart_asset"].columns)


def test_a_cell_that_the_page_draws_is_escaped():
    drawn = columns_of(NAMES, None, ["semel_mosad", ("מה", lambda one: one["what"])])
    assert "&lt;b&gt;" in cells(drawn, {"semel_mosad": "<i>", "what": "<b>"})
    assert "<i>" not in cells(drawn, {"semel_mosad": "<i>", "what": "<b>"})


def test_only_what_adds_up_has_a_total():
    drawn = columns_of({}, None, ["need_tier", "pupils", "cost_agorot", "per_pupil_agorot"])
    rows = [{"cost_agorot": 100, "pupils": 3}, {"cost_agorot": None, "pupils": 4}]
    assert {column: text(shown) for column, shown in totals(drawn, rows).items()} == {
        "cost_agorot": "1"
    }


def test_a_long_table_of_a_country_shows_its_first_rows_and_how_many_more():
    given = [
        {"semel_mosad": str(900_001 + k), "response_id": "milat", "cost_agorot": 100_00}
        for k in range(MOST_SHOWN + 3)
    ]
    template = environment().get_template("parts.html.j2")
    for is_country, shown in ((True, MOST_SHOWN), (False, MOST_SHOWN + 3)):
        known = {
            "context": SimpleNamespace(is_country=is_country, is_synthetic=False),
            "columns_of": partial(columns_of, NAMES),
        }
        drawn = template.make_module(known).show(
            "mart_allocation", given, "שורות", ["semel_mosad", "cost_agorot"], True
        )
        body = drawn.partition("<tbody>")[2].partition("</tbody>")[0]
        assert body.count("<th scope") == shown
        assert ("ועוד 3 שורות" in text(body)) == is_country
        # What is left out is in the sum all the same.
        assert f"{100 * (MOST_SHOWN + 3):,}" in drawn.partition("<tfoot>")[2]


def test_values_with_a_sign_show_it_beside_their_name():
    for column, signs in dictionary().signs.items():
        assert set(signs) <= set(map(str, dictionary().fields[column].allowed))
        for value, sign in signs.items():
            assert sign in mark(column, value)
            assert dictionary().label(column, value) in text(mark(column, value))


def test_codes_are_named_from_the_mart_that_the_dictionary_says():
    frame = pl.DataFrame({"semel_mosad": ["900001"] * 2, "school_name_he": ["אלון"] * 2})
    assert names_of({"mart_gap_school": frame})["semel_mosad"] == NAMES["semel_mosad"]
    for known in dictionary().fields.values():
        if known.named_in:
            mart, code, name = known.named_in
            assert {code, name} <= set(dictionary().tables[mart].columns), known.name


def test_forms_intervals_units_and_sheets_of_the_dictionary_exist():
    said = dictionary()
    forms = {known.form for known in (*said.fields.values(), *said.units.values())} - {None}
    assert forms <= FORMS.keys()
    assert {end for known in said.fields.values() for end in known.interval} <= said.fields.keys()
    assert said.units.keys() <= {known.unit for known in said.fields.values()}
    assert said.sheets.keys() <= said.tables.keys()
    assert len(set(said.sheets.values())) == len(said.sheets)
    assert all(len(title) <= 31 for title in said.sheets.values())


@pytest.mark.parametrize("channel", dictionary().fields["funding_channel"].allowed)
def test_a_channel_has_one_name_on_pages_and_in_the_sentences_of_rules(channel):
    assert channel_he(channel) == dictionary().label("funding_channel", channel)
