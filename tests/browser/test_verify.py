"""verify.html in a real browser: the sound file holds, and every damage is caught (R126)."""

import copy
import json
import re

import pytest

from models.allocation.problem.rule import Rule
from pipelines.publish.marts import DATABASE, read_database
from pipelines.publish.papers.verify import CARRIED, SCRIPT, render_verify
from pipelines.publish.redraw import context_of
from pipelines.settings.city import load_city
from tests.examples import ARE_ALL, part_of

pytestmark = pytest.mark.browser
DATA = re.compile(r'(<script type="application/json" id="data">)(.*?)(</script>)', re.S)
# What a line's participants are is not in the money: the one rule that counts them tells its sum.
NOT_IN_THE_MONEY = {("mart_allocation", "participants")}


@pytest.fixture(scope="module")
def texts(published):
    current = published.marts / "current"
    context = context_of(load_city(current / "analyst"))
    return {
        audience: render_verify(read_database(current / audience / DATABASE), context, "f00d")
        for audience in ("analyst", "committee")
    }


@pytest.fixture(scope="module")
def data(texts):
    return json.loads(DATA.search(texts["analyst"])[2])


@pytest.fixture
def opened(browser, tmp_path):
    """Open a text from the disk, without a network, and return the page."""

    def open_text(text):
        path = tmp_path / "verify.html"
        path.write_text(text, encoding="utf-8")
        page = browser.new_context(offline=True).new_page()
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(path.as_uri())
        return page

    return open_text


@pytest.fixture(scope="module")
def verdict(browser, texts, tmp_path_factory):
    path = tmp_path_factory.mktemp("verify") / "verify.html"
    path.write_text(texts["analyst"], encoding="utf-8")
    page = browser.new_context(offline=True).new_page()
    page.goto(path.as_uri())
    # As one text: handing over a hundred thousand values one by one takes longer than verifying.
    return lambda data: page.evaluate("text => verify(JSON.parse(text)).verdict", json.dumps(data))


def place(data, table, column):
    return data["tables"][table]["columns"].index(column)


def rows(data, table):
    return data["tables"][table]["rows"]


def test_the_sound_file_holds_without_a_network(opened, texts):
    page = opened(texts["analyst"])
    said = page.inner_text("#verdict")
    assert "התעודה מחזיקה" in said
    assert "The certificate holds" in said
    assert page.asked == [page.url]


def test_the_committee_reads_what_its_file_cannot_tell(opened, texts):
    said = opened(texts["committee"]).inner_text("#verdict")
    assert "All that can be recomputed from this file holds" in said
    assert "mart_bound_row" not in json.loads(DATA.search(texts["committee"])[2])["tables"]


def test_a_file_damaged_on_disk_says_so_in_words(opened, texts, data):
    worse = copy.deepcopy(data)
    rows(worse, "mart_allocation")[0][place(worse, "mart_allocation", "cost_agorot")] += 1
    text = DATA.sub(lambda m: m[1] + json.dumps(worse) + m[3], texts["analyst"])
    said = opened(text).inner_text("#verdict")
    assert "התעודה אינה מחזיקה" in said
    assert "does not hold" in said


def damaged(column, value):
    if column == "need_quartile":  # the neediest quarter is all that a rule asks about
        return 4 if value == 1 else 1
    if column == "plan_units":  # the plan's worth is rounded down from a floating number
        return value + 1000
    if isinstance(value, int):
        return value + 1
    return value * 1.01 + 0.01


@pytest.mark.sampled
def test_every_number_is_caught_wherever_it_is_damaged(data, verdict):
    """One number at a time: the first of each column or (in `make validate`: and) its largest."""
    missed, tried = [], 0
    for table, columns in CARRIED.items():
        for column in columns:
            at = place(data, table, column)
            cells = [
                (i, row[at])
                for i, row in enumerate(rows(data, table))
                if isinstance(row[at], (int, float)) and not isinstance(row[at], bool)
            ]
            if not cells or (table, column) in NOT_IN_THE_MONEY or table.startswith("mart_bound_"):
                continue
            either = sorted({cells[0][0], max(cells, key=lambda cell: cell[1])[0]})
            for i in either if ARE_ALL else either[tried % len(either) :][:1]:
                worse = copy.deepcopy(data)
                rows(worse, table)[i][at] = damaged(column, rows(worse, table)[i][at])
                tried += 1
                if verdict(worse) != "fails":
                    missed.append((table, column, i))
    assert tried >= (50 if ARE_ALL else 30)
    assert missed == []


@pytest.mark.sampled
def test_every_rule_is_caught(data, verdict):
    """Told as broken, with its value moved, with its limit moved: each rule in one of these ways,
    by turns, and in `make validate` in each.
    """
    missed, changes = [], [("is_satisfied", 1)]
    changes += [(column, change) for column in ("rule_value", "rule_limit") for change in (1, -1)]
    columns = data["tables"]["mart_allocation_rule"]["columns"]
    told = {name: columns.index(name) for name in ("is_satisfied", "rule_value", "rule_limit")}
    for i, row in enumerate(rows(data, "mart_allocation_rule")):
        for column, change in part_of(changes, len(changes), at=i):
            at, worse = told[column], copy.deepcopy(data)
            here = rows(worse, "mart_allocation_rule")[i]
            here[at] = not here[at] if column == "is_satisfied" else here[at] + change
            if verdict(worse) != "fails":
                missed.append((row[0], column, change))
    # A preference that no row states: only what is past its limit, or not its sentence, is seen.
    assert {rule for rule, *_ in missed} <= {"need_order", "lines_kept"}


def of_bound(data, table, column, change, which):
    worse = copy.deepcopy(data)
    at = place(worse, table, column)
    row = max(rows(worse, table), key=which)
    row[at] = change(row[at])
    return worse


def bought_columns(data):
    lines = {tuple(row[:3]) for row in rows(data, "mart_allocation")}
    return {row[0] for row in rows(data, "mart_bound_option") if tuple(row[1:4]) in lines}


PRICED = {
    "a price": ("mart_bound_row", "multiplier_units", lambda n: str(2 * int(n))),
    "a price below zero": ("mart_bound_row", "multiplier_units", lambda n: str(-int(n))),
    "a limit of a priced row": ("mart_bound_row", "row_limit", lambda n: 2 * n + 1),
}


@pytest.mark.parametrize("name", PRICED)
def test_the_prices_of_the_bound(data, verdict, name):
    worse = of_bound(data, *PRICED[name], which=lambda row: int(row[4]))
    assert verdict(worse) == "fails"


@pytest.mark.parametrize("column", ["worth_units", "lead_units"])
def test_the_worth_of_a_line(data, verdict, column):
    bought, at = bought_columns(data), place(data, "mart_bound_option", column)
    worse = of_bound(
        data,
        "mart_bound_option",
        column,
        lambda n: 2 * n + 10**9,
        which=lambda row: (row[0] in bought, row[at]),
    )
    assert verdict(worse) == "fails"


def test_what_a_line_uses_of_each_rule(data, verdict):
    bought, kinds, missed = bought_columns(data), {}, []
    rule = {row[0]: row[1] for row in rows(data, "mart_bound_row")}
    for i, (row, column, _) in enumerate(rows(data, "mart_bound_entry")):
        if column in bought:
            kinds.setdefault(rule[row], i)
    for name, i in kinds.items():
        worse = copy.deepcopy(data)
        rows(worse, "mart_bound_entry")[i][2] += 1
        if verdict(worse) != "fails":
            missed.append(name)
    assert len(kinds) >= 10
    assert missed == []


def drop(table):
    def damage(data):
        rows(data, table).pop()

    return damage


def twice(table):
    def damage(data):
        rows(data, table).append(rows(data, table)[0])

    return damage


def swap_two_schools(data):
    lines = rows(data, "mart_allocation")
    other = next(row for row in lines if row[0] != lines[0][0])
    lines[0][0], other[0] = other[0], lines[0][0]


def swap_two_doses(data):
    at = place(data, "mart_allocation", "dose_level")
    for row in rows(data, "mart_allocation"):
        row[at] = 1 if row[at] > 1 else 2


def no_proof(data):
    rows(data, "mart_bound_entry").clear()


WHOLE = {
    "a line lost": drop("mart_allocation"),
    "a line twice": twice("mart_allocation"),
    "money of a line lost": drop("mart_allocation_money"),
    "money of a line twice": twice("mart_allocation_money"),
    "a school lost": drop("mart_allocation_school"),
    "a channel lost": drop("mart_allocation_channel"),
    "a state lost": drop("mart_allocation_confirmation"),
    "a certificate lost": drop("mart_allocation_certificate"),
    "two schools exchanged": swap_two_schools,
    "doses changed": swap_two_doses,
    "what options use lost": no_proof,
}


@pytest.mark.parametrize("name", WHOLE)
def test_rows_that_are_lost_added_or_exchanged(data, verdict, name):
    worse = copy.deepcopy(data)
    WHOLE[name](worse)
    assert verdict(worse) == "fails"


def test_a_number_that_is_not_told_is_never_taken_for_right(data, verdict):
    worse = copy.deepcopy(data)
    rows(worse, "mart_allocation_money")[0][
        place(worse, "mart_allocation_money", "amount_agorot")
    ] = None
    assert verdict(worse) != "holds"


def test_the_page_knows_every_rule_of_the_allocation():
    def below(kind):
        return {kind, *(k for child in kind.__subclasses__() for k in below(child))}

    import models.allocation.rules.alone
    import models.allocation.rules.benefit  # noqa: F401

    script = SCRIPT.read_text(encoding="utf-8")
    kinds = {
        re.split("[:{]", kind.id_template)[0]
        for kind in below(Rule)
        if isinstance(getattr(kind, "id_template", None), str)
    }
    assert len(kinds) > 15
    assert {kind for kind in kinds if f"{kind}: " not in script} == set()
