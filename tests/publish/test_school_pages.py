"""A school's page and the list of schools: what they tell, and of whom they tell nothing (R130)."""

import datetime
import re
from fractions import Fraction

import polars as pl
import pytest

from pipelines.publish.audiences import columns_of_schools, schools_of
from pipelines.publish.build import OWN_PAGE, _closed_cells
from pipelines.publish.pages.first.schools import (
    LEAST_SCHOOLS,
    _band,
    _money,
    prepare,
    render_every_school,
    render_school,
    render_schools,
)
from pipelines.publish.words import nis
from pipelines.settings.audiences import is_open
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


def said_of(page, section=None):
    """What a page, or a section of it, says before anything is unfolded."""
    if section:
        page = page.split(f'id="{section}"')[1].split("</section>")[0]
    return " ".join(visible(Page(page)).split())


def test_the_formula_is_compared_over_the_same_sum(tables, context):
    """Where it shares out more than the plan spends, the school's part is of what is spent."""
    pages = render_every_school(tables, context)
    formula = tables["mart_formula_school"].filter(scenario_id="base")
    assert set(pages) == set(formula["semel_mosad"])
    shared = formula["formula_agorot"].sum()
    spent = formula["municipal_agorot"].sum()
    changes = []
    for row in formula.to_dicts():
        said = said_of(pages[row["semel_mosad"]], "money")
        even = round(Fraction(row["formula_agorot"] * spent, shared))
        changes.append(row["municipal_agorot"] - even)
        if shared != spent:
            assert (
                f"הנוסחה מחלקת {nis(shared)} ₪ (רשות), והתוכנית {nis(spent)} ₪; באותו חלק:"
                f" {nis(even)} ₪" in said
            )
        if changes[-1]:
            word = "יותר" if changes[-1] > 0 else "פחות"
            assert f"התוכנית נותנת {nis(abs(changes[-1]))} ₪ {word}" in said
        assert "תועלת צפויה" not in said
    # Over the same sum what one school has more others have less.
    assert abs(sum(changes)) <= len(changes)


def with_reason(tables, school, **columns):
    """The marts with one response that a school lacks, refused for another reason; and which."""
    got = tables["mart_plan_line"].filter(semel_mosad=school)["response_id"].to_list()
    reasons = tables["mart_allocation_reason"]
    others = tables["mart_plan_line"].filter(
        pl.col("semel_mosad").is_not_null(), ~pl.col("response_id").is_in(got)
    )
    own = reasons.filter(
        pl.col("semel_mosad") == school,
        pl.col("response_id").is_in(others["response_id"].to_list()),
    ).sort("response_id")
    response = own["response_id"][0]
    here = (pl.col("semel_mosad") == school) & (pl.col("response_id") == response)
    changed = reasons.with_columns(
        pl.when(here).then(pl.lit(value, dtype=reasons.schema[name])).otherwise(name).alias(name)
        for name, value in columns.items()
    )
    return {
        **tables,
        "mart_allocation_reason": changed,
        "mart_allocation_flip": tables["mart_allocation_flip"].clear(),
    }, response


def refused(tables, schools):
    """A school that lacks a response which others get."""
    reasons = tables["mart_allocation_reason"]
    lines = tables["mart_plan_line"].drop_nulls("semel_mosad")
    lacking = reasons.join(lines, on=["semel_mosad", "response_id"], how="anti").filter(
        pl.col("response_id").is_in(lines["response_id"].to_list())
    )
    return str(lacking.sort("semel_mosad")["semel_mosad"][0])


def row_of(page, response):
    part = page.split('id="why-not"')[1].split("</section>")[0]
    rows = re.findall(r"<tr><th scope=\"row\">(?:(?!</tr>).)*", part, re.S)
    return next(row for row in rows if f"responses/{response}.html" in row)


@pytest.mark.parametrize("is_needier", [True, False])
def test_the_rule_of_order_names_no_school_and_claims_no_order(
    tables, context, schools, is_needier
):
    school = refused(tables, schools)
    changed, response = with_reason(
        tables, school, allocation_reason="rule", reason_rules="need_order"
    )
    has = tables["mart_plan_line"].filter(response_id=response)["semel_mosad"].to_list()
    other = next(one for one in schools if one != school and (one not in has))
    order = pl.DataFrame(
        [{"semel_mosad": other, "less_needy_semel_mosad": school, "p_needier": 0.97}]
    ).cast(dict(tables["mart_need_order"].schema))
    here = (pl.col("semel_mosad") == other) & (pl.col("response_id") == response)
    changed["mart_need_order"] = order if is_needier else order.clear()
    changed["mart_response_map"] = tables["mart_response_map"].with_columns(
        is_eligible=pl.col("is_eligible") | here
    )
    row = row_of(render_every_school(changed, context)[school], response)
    assert "כלל ההוגנות" in row
    assert ("נזקק יותר וזכאי טרם קיבל" in row) == is_needier
    assert "schools/" not in row
    assert "הנזקקים" not in row


@pytest.mark.parametrize(
    ("cost", "why"), [(101, "נותר בסכום פחות מן המחיר"), (100, "הסכום חולק לפי הצורך")]
)
@pytest.mark.parametrize(
    ("source", "given", "withheld"),
    [
        ("decision", "חלקו בסכום שקבעה הוועדה", "סכום גדול"),
        ("policy", "חלקו בסכום שבמדיניות", "סכום גדול"),
        ("last_year", "חלקו בסכום אשתקד", "יותר מסכום אשתקד"),
    ],
)
def test_an_amount_is_told_as_whose_it_is(
    tables, context, schools, source, given, withheld, cost, why
):
    school = refused(tables, schools)
    changed, response = with_reason(
        tables, school, allocation_reason="committee", reason_rules="", cost_agorot=cost
    )
    held = tables["mart_committee_amount"].with_columns(amount_source=pl.lit(source))
    one = held.head(1).with_columns(
        response_id=pl.lit(response), amount_agorot=pl.lit(12345600), left_agorot=pl.lit(100)
    )
    changed["mart_committee_amount"] = pl.concat(
        [held.filter(pl.col("response_id") != response), one.cast(dict(held.schema))]
    )
    pages = render_every_school(changed, context)
    row = row_of(pages[school], response)
    assert why in row
    assert withheld in row
    assert "123,456" in row
    said = [said_of(page, "money") for page in pages.values()]
    assert any(given in text for text in said)
    assert all(("הוועדה טרם קבעה סכום" in text) <= (source == "last_year") for text in said)
    assert ("הוועדה טרם קבעה סכום" in said_of(pages[school], "money")) == (source == "last_year")
    assert source == "decision" or all("שקבעה הוועדה" not in text for text in said)


def test_months_that_round_to_nothing_are_told_as_none(tables, context, schools):
    school = refused(tables, schools)
    for brings, told in ((0.0, "כאן לא צפויה התקדמות"), (-0.5, "כאן לא צפויה התקדמות")):
        changed, response = with_reason(
            tables,
            school,
            allocation_reason="below_line",
            benefit_sd_pupils=brings,
            money_price=20.0,
            need_weight=1.0,
        )
        row = row_of(render_every_school(changed, context)[school], response)
        assert told in row
        assert "0.0" not in row
    priced = tables["mart_allocation_reason"].with_columns(
        allocation_reason=pl.lit("worth_its_price"),
        benefit_sd_pupils=pl.lit(9.0),
        money_price=pl.lit(1e-9),
        need_weight=pl.lit(1.0),
    )
    changed = {**tables, "mart_allocation_reason": priced}
    said = [said_of(page, "money") for page in render_every_school(changed, context).values()]
    assert any("ואין לכסף שימוש מועיל ממנו" in text for text in said)
    assert all("נדרשים" not in text for text in said)


def test_every_goal_and_every_need_that_a_sum_serves_is_asked_about(tables, context):
    pages = render_every_school(tables, context)
    goals = tables["mart_goal"].drop_nulls("baseline")
    basis = dict(tables["mart_committee_amount"].select("response_id", "need_basis").iter_rows())
    asked = 0
    for school, page in pages.items():
        part = page.split('id="questions"')[1].split("</section>")[0]
        own = goals.filter(semel_mosad=school)
        assert part.count("היעד לשנה") == own.height
        for goal in own.to_dicts():
            assert goal["indicator_name_he"] in part
        lines = tables["mart_plan_line"].filter(semel_mosad=school)["response_id"].to_list()
        served = {one for line in lines for one in basis.get(line, "").split(",")}
        needs = tables["mart_need_indicator"].filter(
            pl.col("semel_mosad") == school,
            pl.col("indicator_id").is_in(list(served)),
            pl.col("indicator_need") >= 0.005,
            pl.col("indicator_value").is_not_null(),
        )
        assert ("ניתן לפי" in part) == bool(needs.height)
        assert ("אינם מעלים" in part) <= (own.is_empty() and needs.is_empty())
        asked += own.height + needs.height
    assert asked


def test_whom_to_call_is_an_offer_that_tells_no_results_by_subject(tables, context, schools):
    names = [label for key, label in dictionary().labels["subject"].items() if key != "all"]
    below = tables["mart_gap_school"].filter(
        pl.col("gap_tier").is_in(["surely_below", "probably_below"]), pl.col("subject") != "all"
    )
    peers = [
        {
            "semel_mosad": gap["semel_mosad"],
            "subject": gap["subject"],
            "peer_semel_mosad": next(one for one in schools if one != gap["semel_mosad"]),
            "peer_place": 1,
            "distance_sd": 0.1,
            "p_better": 0.99,
        }
        for gap in below.to_dicts()
    ]
    planted = pl.DataFrame(peers).cast(dict(tables["mart_peer_school"].schema))
    pages = render_every_school({**tables, "mart_peer_school": planted}, context)
    parts = [page.split('id="call"')[1].split("</section>")[0] for page in pages.values()]
    assert sum("אפשר ללמוד מהם" in part for part in parts) == below["semel_mosad"].n_unique()
    offers = [
        line for part in parts for line in re.findall(r"<(?:p|li)>[^<]*מצליחים יותר[^<]*<", part)
    ]
    assert offers
    assert not [line for line in offers if any(f"ב{name}" in line for name in names)]


def test_a_decided_plan_has_its_money_by_pupil_in_the_list(tables, context):
    decided = tables["mart_plan_line"].with_columns(is_decided=pl.lit(value=True))
    text = render_schools({**tables, "mart_plan_line": decided}, context)
    by_school = (
        decided.drop_nulls("semel_mosad").group_by("semel_mosad").agg(pl.col("cost_agorot").sum())
    )
    rows = by_school.join(tables["mart_need_index"], on="semel_mosad").filter(pl.col("pupils") > 0)
    assert rows.height
    for row in rows.to_dicts():
        own = text.split(f"schools/{row['semel_mosad']}.html")[1].split("</tr>")[0]
        assert f">{nis(row['cost_agorot'] // row['pupils'])}<" in own


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


def test_a_school_that_the_decided_plan_gives_nothing_shows_no_money_of_the_draft(tables):
    code = tables["mart_plan_line"].drop_nulls("semel_mosad")["semel_mosad"][0]
    others = tables["mart_plan_line"].filter(pl.col("semel_mosad").ne_missing(code))
    decided = others.with_columns(is_decided=pl.lit(value=True))
    paid = tables["mart_plan_money"].filter(pl.col("semel_mosad").ne_missing(code))
    changed = {**tables, "mart_plan_line": decided, "mart_plan_money": paid}
    money = _money(prepare(changed), code)
    assert (money["now"]["cost_agorot"], money["now"]["municipal_agorot"]) == (0, 0)
    assert money["lacking"] is None
    listed = sum(_money(prepare(changed), one)["now"]["cost_agorot"] for one in _codes(tables))
    assert listed == decided.drop_nulls("semel_mosad")["cost_agorot"].sum()


def _codes(tables):
    return tables["mart_need_index"]["semel_mosad"].to_list()


def test_a_form_names_cells_that_are_published(tables, context, schools):
    page = render_school(tables, context, schools[0])
    cells = re.findall(r"<code[^>]*>([^<]+)</code>", page)
    assert len(cells) >= 5
    form = page.split('id="form"')[1]
    numbers = re.findall(r'<tr><td class="n"><bdi dir="ltr">(\d+)</bdi>', form)
    assert numbers == [str(place) for place in range(1, len(cells) + 2)]  # the last is "other"
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
