"""A decided year, played: what was planted is told where its reader looks, and nothing else.

Planted are a late school, a response that hardly spends, a payment for what was not decided, a
school without a word, a goal that cannot be reached and a true correction (R76, R103, R106). The
small city goes on from the run that other tests read; the demonstration is run twice.
"""

from __future__ import annotations

import html
import re
import shutil
from datetime import date
from unittest.mock import patch

import polars as pl
import pytest
import yaml

from models.demo import generate
from pipelines.commands.forms import STATUS
from pipelines.demo.write import write_city, write_year
from pipelines.publish.notices import FOLDER, NEWS, tell_news
from pipelines.publish.sending import OUTBOX, OWNERS
from pipelines.settings.city import Notices, load_city
from pipelines.settings.fields import dictionary
from pipelines.settings.keys import AGOROT
from pipelines.settings.mapping import FORM_HEADER_ROW, FORM_SHEET
from pipelines.settings.sent import OK, read_sent
from pipelines.sources.files import read_source
from pipelines.sources.forms import write_form
from tests.office.office import Job, through_office
from tests.publish import layer
from tests.runs import copy_of, place_at
from tests.sources.test_forms import mapped
from tests.validation.test_cycle import WHY, City
from tests.words.reading import Page

pytestmark = pytest.mark.slow
MONTHS = 4
"""To the end of December: the late line has not begun yet."""
OF_CONSEQUENCE = "rule_broken"
"""Rules that a planted deviation breaks are told too, each as often as it is so."""


def words(page):
    """The text of a page as it is read: no marks, doubled blanks or blanks before a stop."""
    text = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)
    text = re.sub("[\u2066-\u2069\u200e\u200f]", "", html.unescape(text))
    return re.sub(r" (?=[.,:;])", "", re.sub(r"\s+", " ", text))


def section(page, name):
    """The text of one section of a page."""
    return words(page.partition(f'id="{name}"')[2].partition("</section>")[0])


def lived(city):
    """A plan is decided, a goal that nobody can reach is set, and four months go by."""
    city.run()
    done = city.command(
        "decide", "--role", "budget_committee", "--reason", WHY, "--day", "2026-06-20"
    )
    assert done.returncode == 0, done.stdout
    with patch.dict("os.environ", city.place.env):
        held = city.place.workspace().city()
        before = city.place.current.resolve()
        goal = _out_of_reach(city)
        write_form("act__goals", city.files / "goals.xlsx", held, goal)
        write_year(city.place.raw, MONTHS)
        path = city.place.raw / "city.yaml"
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        settings["sources"]["act__goals"] = {"form": "goals.xlsx"}
        path.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    after = city.run()
    assert after != before.name
    return goal


def _out_of_reach(city):
    """The farthest school is to have no gap at all at the end of one year."""
    need = city.mart("mart_need_indicator").filter(
        "is_measured", pl.col("indicator_id").str.starts_with("gap_")
    )
    row = need.sort("indicator_value", "semel_mosad", descending=True).row(0, named=True)
    return pl.DataFrame(
        {
            "goal_row_id": ["g1"],
            "planning_year": [2027],
            "semel_mosad": [row["semel_mosad"]],
            "indicator_id": [row["indicator_id"]],
            "target_value": [0.0],
            "due_on": [date(2027, 6, 10)],
            "how_known_he": ["מבחן העיר בסוף השנה"],
            "plan_owner": ["רכז/ת מקצוע"],
        }
    )


@pytest.fixture(scope="module", params=["small", "demonstration"])
def city(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lived")
    if request.param == "small":
        place = copy_of(request.getfixturevalue("published"), folder)
    else:
        place = place_at(folder, "demo_city")
        write_city(generate(seed=1), place.raw)
    (place.raw / "truth").mkdir(exist_ok=True)
    found = City(place)
    found.goal = lived(found)
    return found


@pytest.fixture(scope="module")
def truth(city):
    return pl.read_parquet(city.place.raw / "truth" / "true_alert.parquet")


@pytest.fixture(scope="module")
def alerts(city):
    return city.mart("mart_alert")


def test_each_planted_deviation_is_told_in_words_on_the_page_of_the_plan(city, truth, alerts):
    told = section(city.page("plan"), "alerts")
    for kind, on in truth.iter_rows():
        of_it = alerts.filter(pl.col("alert_id").str.starts_with(f"{kind}/{on}"))
        assert of_it.height >= 1, (kind, on)
        for sentence in of_it["alert_he"]:
            assert words(sentence) in told, sentence


def test_nothing_else_is_told(truth, alerts):
    """What was not planted and follows from nothing planted: at most one in twenty."""
    planted = tuple(f"{kind}/{on}" for kind, on in truth.iter_rows())
    other = alerts.filter(pl.col("alert_kind") != OF_CONSEQUENCE)["alert_id"]
    false = [name for name in other if not name.startswith(planted)]
    assert len(false) <= 0.05 * alerts.height, false


def test_a_rule_is_told_where_and_only_where_the_year_breaks_it(city, alerts):
    measured = city.mart("mart_rule_actual").filter(~pl.col("is_kept_actually"))
    told = set(alerts.filter(alert_kind=OF_CONSEQUENCE)["alert_id"].str.split("/").list[1])
    assert told <= set(measured["rule_id"])
    spread = 1.15
    for row in measured.iter_rows(named=True):
        if row["unit"].startswith(("agorot", "percent")):
            limit, actual = row["rule_limit"], row["rule_actual"]
            is_far = actual > spread * limit or actual * spread < limit
            assert (row["rule_id"] in told) == is_far, row


def test_the_morning_s_notice_tells_each_alert(city, alerts):
    with patch.dict("os.environ", city.place.env):
        assert tell_news(city.place.workspace(), Notices()) == []
    notice = (city.place.marts / FOLDER / NEWS).read_text(encoding="utf-8")
    for row in alerts.iter_rows(named=True):
        assert row["alert_he"] in notice
        assert row["alert_en"] in notice
    assert "התראה אחת" in words(_index(city)) or f"{alerts.height} התראות" in words(_index(city))


def test_the_first_page_stays_within_its_words(city):
    assert layer.words(layer.visible(Page(_index(city)))) <= 400


def _index(city):
    return (city.place.current / "committee" / "index.html").read_text(encoding="utf-8")


def test_the_goal_out_of_reach_is_named_and_no_other(city):
    told = section(city.page("plan"), "goals")
    row = city.mart("mart_goal").filter(goal_row_id="g1").row(0, named=True)
    names = dict(city.mart("mart_need_index").select("semel_mosad", "school_name_he").iter_rows())
    assert row["p_reach"] < 0.1
    named = f"{row['indicator_name_he']}, {names[row['semel_mosad']]}"
    assert f"ליעד שנקבע: {named}." in told, told[:600]


def test_the_true_correction_reaches_the_page_and_the_owner_and_the_false_one_does_not(city):
    tickets = pl.read_csv(city.files / "tickets.csv", infer_schema=False)
    true, false = (
        tickets.filter(answer=answer)["school"].item() for answer in ("accepted", "declined")
    )
    names = dict(city.mart("mart_need_index").select("semel_mosad", "school_name_he").iter_rows())
    page = city.page("plan")
    parts = [p for p in page.split("<table")[1:] if "תיקונים שהתקבלו" in p.partition("</cap")[0]]
    assert len(parts) == 1
    told = words(parts[0].partition("</table>")[0])
    assert names[true] in told
    assert names[false] not in told
    sent = city.command("send")
    assert sent.returncode == 0, sent.stdout
    release = city.place.current.resolve().name
    listed = (city.place.marts / OUTBOX / release / OWNERS / "register__schools.csv").read_text(
        encoding="utf-8-sig"
    )
    value = tickets.filter(answer="accepted")["value"].item()
    assert value in listed
    assert tickets.filter(answer="declined")["value"].item() not in listed


def test_who_has_a_release_is_not_sent_it_twice(city):
    city.command("send")
    first = (city.place.marts / "sent.tsv").read_text(encoding="utf-8")
    again = city.command("send")
    assert again.returncode == 0, again.stdout
    assert (city.place.marts / "sent.tsv").read_text(encoding="utf-8") == first
    recipients = pl.read_csv(city.files / "recipients.csv")
    release = city.place.current.resolve().name
    sent = read_sent(city.place.marts).filter(result=OK, shown_release=release)
    assert sent["recipient_id"].n_unique() == recipients.height
    of_school = recipients.drop_nulls("school")["school"].cast(pl.String).to_list()
    files = (city.place.marts / OUTBOX / release / "principals").rglob("*.html")
    assert {path.parent.name for path in files} <= {*of_school, "principals"}


def test_sums_are_equal_to_the_agora_over_plan_ledger_page_and_workbooks(city):
    plan = city.mart("mart_work_plan")
    total = int(plan["cost_agorot"].sum())
    assert total == city.mart("mart_decided").filter("is_in_force")["decided_agorot"].item()
    assert plan["autumn_agorot"].sum() + plan["spring_agorot"].sum() == total
    tracked = city.mart("mart_line_tracking")
    assert int(tracked["cost_agorot"].sum()) == total
    ledger = pl.read_csv(city.files / "ledger.csv").with_columns(
        agorot=(100 * pl.col("paid")).round().cast(pl.Int64)
    )
    on_lines = ledger.filter(pl.col("row").is_in(plan["plan_row_id"].implode()))
    assert int(tracked["spent_agorot"].sum()) == int(on_lines["agorot"].sum())
    sheet = dictionary().sheets["mart_work_plan"]
    workbook = city.place.current / "analyst" / "workbook.xlsx"
    cells = pl.read_excel(workbook, sheet_name=sheet, infer_schema_length=None)
    costs = cells[next(name for name in cells.columns if name.startswith(_he("cost_agorot")))]
    # The last row is the total.
    agorot = [round(AGOROT * float(cost)) for cost in costs]
    assert sum(agorot[:-1]) == agorot[-1] == total
    done = city.command("forms")
    assert done.returncode == 0, done.stdout
    form = pl.read_excel(
        city.place.raw / "forms" / f"{STATUS}.xlsx",
        sheet_name=FORM_SHEET,
        read_options={"header_row": FORM_HEADER_ROW - 1},
    )
    assert sum(round(AGOROT * cost) for cost in form[f"{_he('cost_agorot')} (₪)"]) == total
    table = city.page("plan").partition('id="plan"')[2].partition("</table>")[0]
    last = words(table.rpartition("<tr")[2])
    assert f"{round(total / AGOROT):,}" in last


def test_the_status_of_every_line_comes_back_from_libreoffice(city, tmp_path):
    assert city.command("forms").returncode == 0
    form = city.place.raw / "forms" / f"{STATUS}.xlsx"
    contract = dictionary().contract(STATUS).contract
    lines = pl.read_excel(
        form, sheet_name=FORM_SHEET, read_options={"header_row": FORM_HEADER_ROW - 1}
    )[_he("plan_row_ref")].to_list()
    typed = {
        "status_on": ["2026-12-28"] * len(lines),
        "work_status": [("running", "not_started", "stopped")[n % 3] for n in range(len(lines))],
        "participants_now": [str(n % 40) for n in range(len(lines))],
    }
    cells = tuple(
        (FORM_HEADER_ROW + n, contract.index(name), dictionary().label(name, value))
        for name, values in typed.items()
        for n, value in enumerate(values)
    )
    saved = tmp_path / "status.xlsx"
    looked = through_office(tmp_path, Job(form, saved, FORM_SHEET, cells))[0]
    assert looked["is_protected"]
    assert looked["refused"] == []
    other = mapped(city.place.raw, tmp_path / "demo_city", **{STATUS: {"form": saved.name}})
    shutil.copy(saved, other / "files")
    again = read_source(load_city(other), STATUS, (2026,))
    assert again.rejected.is_empty()
    read = again.rows.select("plan_row_ref", *typed)
    assert read.equals(pl.DataFrame({"plan_row_ref": lines} | typed))


def _he(column):
    return dictionary().fields[column].he
