"""A school's page and the list of schools: what they tell, and of whom they tell nothing (R130)."""

import datetime
import re

import polars as pl
import pytest

from pipelines.publish.audiences import columns_of_schools, schools_of
from pipelines.publish.build import OWN_PAGE, _closed_cells
from pipelines.publish.marts import DATABASE, read_database
from pipelines.publish.pages.first.schools import (
    LEAST_SCHOOLS,
    _band,
    _money,
    prepare,
    render_every_school,
    render_school,
    render_schools,
)
from pipelines.publish.redraw import context_of
from pipelines.publish.words import nis
from pipelines.settings.audiences import is_open
from pipelines.settings.city import load_city
from pipelines.settings.fields import dictionary
from tests.publish.layer import visible
from tests.words.reading import Page

# What a list may be sorted by; a score or a need is none of them (R112).
SORTS = {"name", "tier", "money", "change"}
FILTERS = {"stream", "class"}
# In a row of the school itself, what tells of another school beside it.
OF_PAIRS = {"p_better", "distance_sd", "swap_loss", "needier_need", "need_other", "p_needier"}
PLANTED, PLANTED_COUNT = 0.9182736455, 918273


@pytest.fixture(scope="module")
def tables(published):
    return read_database(published.current / "committee" / DATABASE)


@pytest.fixture(scope="module")
def context(published):
    return context_of(load_city(published.raw))


@pytest.fixture(scope="module")
def schools(tables):
    return schools_of(tables)


def disturbed(tables, school):
    """Return the marts with every closed number of other schools planted, and how many."""
    found, cells = {}, 0
    for name, frame in tables.items():
        codes = columns_of_schools(frame)
        closed = [
            column
            for column in frame.columns
            if not is_open(column)
            and frame.schema[column].is_numeric()
            and column not in dictionary().tables[name].key
            and column != "peer_place"
        ]
        if not codes or not closed:
            found[name] = frame
            continue
        first = pl.col(codes[0])
        other = first.is_not_null() & (first != school) & (first != "city")
        cells += frame.filter(other).height * len(closed)
        found[name] = frame.with_columns(
            pl.when((other | pl.lit(column in OF_PAIRS)) & pl.col(column).is_not_null())
            .then(
                pl.lit(PLANTED if frame.schema[column].is_float() else PLANTED_COUNT).cast(
                    frame.schema[column], strict=False
                )
            )
            .otherwise(column)
            .alias(column)
            for column in closed
        )
    return found, cells


def test_no_number_of_another_school_reaches_a_page(tables, context, schools):
    for school in schools[:3]:
        planted, cells = disturbed(tables, school)
        assert cells > 500
        page = render_school(planted, context, school)
        assert page == render_school(tables, context, school)
        assert str(PLANTED) not in page
        assert str(PLANTED_COUNT) not in page
        # The same scan finds them where they do stand.
        other = next(one for one in schools if one != school)
        assert str(PLANTED) in render_school(planted, context, other)


def test_the_bytes_that_a_principal_gets_hold_no_exact_number_of_another(published, tables):
    exact = {
        str(row["semel_mosad"]): {str(row[c]) for c in ("need", "need_lo", "need_hi")}
        for row in tables["mart_need_index"].to_dicts()
    }
    for row in tables["mart_gap_school"].drop_nulls("gap_sd").to_dicts():
        exact[row["semel_mosad"]] |= {str(row[c]) for c in ("gap_sd", "gap_lo_sd", "gap_hi_sd")}
    for school, own in exact.items():
        text = (published.current / "principals" / school / OWN_PAGE).read_text(encoding="utf-8")
        assert own & set(re.findall(r'data-value="([^"]*)"', text))
        for other, values in exact.items():
            assert other == school or not [v for v in values if len(v) > 8 and v in text]
        assert 'href="' not in text.replace('href="#', "")  # it stands alone
        assert _closed_cells(text, school) == []


def test_the_audit_finds_a_cell_of_another_school(tables, context, schools):
    page = render_school(tables, context, schools[0])
    assert _closed_cells(page, schools[0]) == []
    assert _closed_cells(page, schools[1])


def test_a_group_is_told_where_no_single_school_follows_from_it(tables):
    made = prepare(tables)
    sizes = {row["area"]: row["schools"] for row in made.city["mart_need_area"]}
    for row in made.schools:
        band = _band(made, row["semel_mosad"])
        if band is not None:
            assert sizes[band] >= LEAST_SCHOOLS
            assert sizes["all"] - sizes[band] not in range(1, LEAST_SCHOOLS)


@pytest.mark.parametrize(
    ("of_band", "of_city", "is_told"),
    [(5, 10, True), (4, 10, False), (6, 10, False), (7, 7, True)],
)
def test_a_small_group_or_a_small_rest_is_not_told(tables, of_band, of_city, is_told):
    code = tables["mart_school_area"]["semel_mosad"][0]
    band = tables["mart_school_area"]["area"][0]
    rows = (
        tables["mart_need_area"]
        .head(2)
        .with_columns(
            area=pl.Series([band, "all"]), schools=pl.Series([of_band, of_city], dtype=pl.Int32)
        )
    )
    made = prepare({**tables, "mart_need_area": rows})
    assert (_band(made, code) == band) == is_told


def test_what_a_page_says_of_money_is_the_marts(tables, context):
    pages = render_every_school(tables, context)
    formula = tables["mart_formula_school"].filter(scenario_id="base")
    assert set(pages) == set(formula["semel_mosad"])
    for row in formula.to_dicts():
        said = " ".join(visible(Page(pages[row["semel_mosad"]])).split())
        change = row["formula_change_agorot"]
        if change:
            word = "יותר" if change > 0 else "פחות"
            assert f"מכספי הרשות {nis(abs(change))} ₪ {word} מן הנוסחה" in said
        else:
            assert "אותו סכום" in said


def test_a_response_is_given_or_its_absence_is_explained(tables, context, schools):
    """Every response that the plan decides on stands once, and who got it instead did get it."""
    pages = render_every_school(tables, context)
    names = dict(tables["mart_response"].select("response_id", "response_name_he").iter_rows())
    for school in schools:
        text = pages[school]
        given = text.split('id="money"')[1].split("</section>")[0]
        withheld = text.split('id="why-not"')[1].split("</section>")[0]
        lines = set(tables["mart_plan_line"].filter(semel_mosad=school)["response_id"])
        asked = set(tables["mart_allocation_reason"].filter(semel_mosad=school)["response_id"])
        heads = {
            part: set(re.findall(r'<th scope="row"><a href="[^"]*responses/(\w+)\.html"', part))
            for part in (given, withheld)
        }
        assert heads[given] == lines
        assert heads[withheld] == asked - lines
        for row in re.findall(r"<tr>(?:(?!</tr>).)*", withheld, re.S):
            head = re.search(r"responses/(\w+)\.html", row)
            for other in re.findall(r"schools/(\w+)\.html", row):
                assert other != school
                got = tables["mart_plan_line"].filter(semel_mosad=other, response_id=head[1])
                assert got.height == 1, names[head[1]]


def test_a_decided_plan_is_what_the_school_gets(tables):
    code = tables["mart_plan_line"].drop_nulls("semel_mosad")["semel_mosad"][0]
    raised = tables["mart_plan_line"].with_columns(
        is_decided=pl.lit(value=True), cost_agorot=pl.col("cost_agorot") + 100
    )
    money = _money(prepare({**tables, "mart_plan_line": raised}), code)
    own = raised.filter(semel_mosad=code)["cost_agorot"].sum()
    assert (money["now"]["cost_agorot"], money["table"]) == (own, None)
    before = tables["mart_last_plan"].filter(semel_mosad=code)["last_year_agorot"][0]
    assert money["change"]["change_agorot"] == own - before


def test_a_form_names_cells_that_are_published(tables, context, schools):
    page = render_school(tables, context, schools[0])
    cells = re.findall(r"<code[^>]*>([^<]+)</code>", page)
    assert len(cells) >= 5
    for cell in cells:
        table, key, column = re.fullmatch(r"(\w+)/(.*)/(\w+)", cell).groups()
        keys = dict(part.split("=", 1) for part in key.split(";"))
        assert keys["semel_mosad"] == schools[0]
        frame = tables[table].with_columns(pl.col(list(keys)).cast(pl.String))
        assert frame.filter(**keys)[column].drop_nulls().len() == 1


def test_lists_are_sorted_by_what_is_no_score(published):
    for name in ("schools.html", "responses.html"):
        text = (published.current / "committee" / name).read_text(encoding="utf-8")
        body = text.split("<tbody>")[1].split("</tbody>")[0]
        sorts = set(re.findall(r'data-sort="(\w+)"', text))
        assert {"name", "money", "change"} <= sorts <= SORTS
        held = set(re.findall(r'\sdata-(\w+)="', re.sub(r"<bdi[^>]*>", "", body)))
        assert held <= SORTS | FILTERS
        names = re.findall(r'<tr data-name="([^"]*)"', body)
        assert names == sorted(names)


def test_the_list_holds_no_need_and_no_score(tables, context):
    text = render_schools(tables, context)
    columns = {tuple(cell.split("/")[0::2]) for cell in re.findall(r'data-cell="([^"]*)"', text)}
    units = {dictionary().unit(column).he for _, column in columns if column != "decision_version"}
    assert {column for _, column in columns} <= {
        "cost_agorot",
        "per_pupil_agorot",
        "last_year_agorot",
        "change_agorot",
        "decision_version",
    }
    assert all("₪" in unit for unit in units)


@pytest.mark.parametrize(
    "empty",
    [
        "mart_gap_school",
        "mart_need_indicator",
        "mart_allocation_change",
        "mart_allocation_reason",
        "mart_allocation_flip",
        "mart_last_plan",
        "mart_peer_school",
        "mart_school_area",
        "mart_need_area",
        "mart_gap_area",
        "mart_plan_line",
        "mart_practice",
        "mart_formula_school",
    ],
)
def test_a_page_stands_where_a_city_has_no_such_data(tables, context, schools, empty):
    page = render_school({**tables, empty: tables[empty].clear()}, context, schools[0])
    assert page.count("<section") == page.count("</section>") >= 6
    if empty == "mart_plan_line":
        assert "אין לבית הספר מענה" in page
    if empty == "mart_last_plan":
        assert "לא ידוע" in page
    if empty in ("mart_school_area", "mart_need_area"):
        assert "קטנה מכדי להציגה" in page


def test_a_decided_plan_is_told_as_decided(tables, context, schools):
    decided = {
        "planning_year": context.planning_year,
        "decision_version": 2,
        "is_in_force": True,
        "decided_on": datetime.date(2026, 7, 1),
    }
    held = pl.DataFrame([decided]).cast(
        {name: tables["mart_decided"].schema[name] for name in decided}
    )
    raised = tables["mart_plan_line"].with_columns(
        is_decided=pl.lit(value=True), cost_agorot=pl.col("cost_agorot") + 100
    )
    changed = {
        **tables,
        "mart_decided": pl.concat([tables["mart_decided"].clear(), held], how="diagonal"),
        "mart_plan_line": raised,
    }
    said = " ".join(visible(Page(render_school(changed, context, schools[0]))).split())
    assert "הוחלט ביום 1.7.2026 , גרסה 2" in said
    assert "טרם הוחלט" not in said
    assert nis(raised.filter(semel_mosad=schools[0])["cost_agorot"].sum()) in said
