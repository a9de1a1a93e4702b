"""A committee's year by the commands and files a city would use: three meetings and decisions.

Each step is a run, so this takes some ten minutes in the small city and half an hour in the
demonstration city.
"""

import csv
import subprocess
import sys

import polars as pl
import pytest

from models.demo import generate
from pipelines.demo.write import write_city
from tests.runs import PROJECT, make_place, place_at

pytestmark = pytest.mark.slow
WHY = "תוכנית מאוזנת, לפי הצורך"


class City:
    """A city in a place of its own, as its secretary works with it."""

    def __init__(self, place):
        self.place, self.files = place, place.raw / "files"

    def run(self):
        done = self.place.run()
        assert done.returncode == 0, done.stdout
        return self.place.current.resolve().name

    def mart(self, name):
        return pl.read_parquet(self.place.current / "analyst" / f"{name}.parquet")

    def page(self, name="decisions", audience="committee"):
        return (self.place.current / audience / f"annex/{name}.html").read_text(encoding="utf-8")

    def add(self, file, **row):
        """Write one row below the others, as somebody types it."""
        path = self.files / file
        with path.open(encoding="utf-8-sig", newline="") as held:
            heads = next(csv.reader(held))
        assert not row.keys() - set(heads)
        with path.open("a", encoding="utf-8", newline="") as held:
            csv.writer(held).writerow([row.get(head, "") for head in heads])

    def decision(self, number, kind, meeting=3, **row):
        given = {"reason": "כך החליטה הוועדה", "decided_by": "budget_committee"} | row
        self.add(
            "decision_log.csv",
            decision=number,
            planning_year=2027,
            kind=kind,
            decided_on="2026-06-18",
            meeting=meeting,
            votes_for=8,
            votes_against=1,
            abstained=0,
            **given,
        )

    def policy(self, before, after):
        path = self.place.raw / "policy.yaml"
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.write_text(text.replace(before, after), encoding="utf-8")

    def command(self, name, *arguments):
        return subprocess.run(
            [sys.executable, "-m", f"pipelines.commands.{name}", self.place.raw.name, *arguments],
            cwd=PROJECT,
            env=self.place.env,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module", params=["small", "demonstration"])
def city(request, tmp_path_factory):
    if request.param == "small":
        return City(
            make_place(tmp_path_factory.mktemp("cycle"), request.getfixturevalue("small_city"))
        )
    place = place_at(tmp_path_factory.mktemp("cycle"), "demo_city")
    write_city(generate(seed=1), place.raw)
    return City(place)


def test_a_year_of_the_committee(city):
    first = city.run()
    assert "היא טיוטה: טרם הוחלט עליה" in city.page("report")
    declared = dict(city.mart("mart_focus").select("indicator_id", "weight_pct").iter_rows())

    # Meeting 1: the state is shown, a focus is chosen.
    city.decision("m1", "focus", 1, about="gap_math", value=40, release=first)
    second = city.run()
    assert second != first
    focus = city.mart("mart_focus")
    weights = dict(focus.select("indicator_id", "weight_pct").iter_rows())
    assert weights["gap_math"] == 40
    assert sum(weights.values()) == pytest.approx(100)
    assert weights["gap_hebrew"] == pytest.approx(declared["gap_hebrew"] * 60 / 80)
    assert city.mart("mart_focus_school").height == city.mart("mart_need_index").height
    assert "המוקד" in city.page()

    # Meeting 3: two decisions by hand, a share; one row without a reason.
    plan = city.mart("mart_allocation").sort("semel_mosad", "response_id")
    given = plan.filter(response_id="posh").row(0, named=True)["semel_mosad"]
    lacking = sorted(
        set(city.mart("mart_need_index")["semel_mosad"])
        - set(plan.filter(response_id="rvadim")["semel_mosad"])
    )
    forced = lacking[0] if lacking else plan.filter(response_id="rvadim")["semel_mosad"][0]
    city.decision(
        "m3a", "override", response_id="posh", semel_mosad=given, value="forbidden", release=second
    )
    city.decision("m3b", "override", response_id="rvadim", semel_mosad=forced, value="forced")
    city.decision("m3c", "share", about="excellence_max", value=25)
    city.decision("m3d", "share", about="excellence_min", value=5, reason="")
    city.run()
    rules = {r["rule_id"]: r for r in city.mart("mart_allocation_rule").iter_rows(named=True)}
    assert rules[f"override:forbidden:{given}:posh"]["is_satisfied"]
    assert rules[f"override:forced:{forced}:rvadim"]["is_satisfied"]
    assert rules["excellence_share_max:municipal_own"]["rule_limit"] == 25
    assert rules["excellence_share_min:municipal_own"]["rule_limit"] != 5
    log = city.mart("mart_decision_log").filter(decision_kind="override")
    assert log["override_worth_gain_pct"].null_count() == 0
    aside = city.mart("mart_quarantine").filter(source_id="decide__log")
    assert aside["column_name"].to_list() == ["decision_reason"]

    # The decision, and what stands on it.
    done = city.command(
        "decide", "--role", "budget_committee", "--reason", WHY, "--day", "2026-06-20"
    )
    assert done.returncode == 0, done.stdout
    decided = city.mart("mart_allocation").select("semel_mosad", "response_id", "cost_agorot")
    city.run()
    line = city.mart("mart_plan_line").drop_nulls("semel_mosad")
    assert line["is_decided"].all()
    same = ["semel_mosad", "response_id"]
    assert line.select(decided.columns).sort(same).equals(decided.sort(same))
    assert set(city.mart("mart_decided_line")["since_decision"]) == {"same"}
    assert "הוחלט ביום" in city.page("allocation")
    again = city.command("rebuild", "2027")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "byte for byte" in again.stdout

    # New data: what was decided stays; what they would give is told, as information.
    ratings = city.files / "ratings.csv"
    ratings.write_text(
        ratings.read_text(encoding="utf-8").replace("very_effective", "not_effective"),
        encoding="utf-8",
    )
    city.policy("equity_gamma: {value: 1.0", "equity_gamma: {value: 2.5")
    city.run()
    later = city.mart("mart_plan_line").drop_nulls("semel_mosad")
    assert later.equals(line)
    assert city.mart("mart_work_plan")["cost_agorot"].sum() == (
        city.mart("mart_decided")["decided_agorot"].sum()
    )

    # A second decision takes its place, and both are kept.
    refused = city.command("decide", "--role", "city_council", "--reason", WHY)
    assert refused.returncode == 1
    assert "REPLACES=1" in refused.stdout
    done = city.command(
        "decide",
        *("--scenario", "stronger_preference", "--role", "city_council", "--reason", WHY),
        *("--day", "2026-07-02", "--replaces", "1"),
    )
    assert done.returncode == 0, done.stdout
    city.run()
    kept = city.mart("mart_decided")
    assert kept["is_in_force"].to_list() == [False, True]
    assert kept["before_hash"][1] == kept["decision_hash"][0]
    assert city.mart("mart_plan_line")["cost_agorot"].sum() == kept["decided_agorot"][1]

    # The next year measures against what was decided.
    city.policy("planning_year: {value: 2027", "planning_year: {value: 2028")
    city.run()
    last = city.mart("mart_last_plan")
    assert last["school_year"].unique().to_list() == [2027]
    lines = pl.read_parquet(city.place.raw / "decided" / "2027" / "v2" / "lines.parquet")
    of_schools = lines.drop_nulls("semel_mosad")["cost_agorot"].sum()
    assert last["last_year_agorot"].sum() == of_schools
    assert "היא טיוטה: טרם הוחלט עליה" in city.page("report")

    # A damaged archive stops the run before anything is made.
    archived = city.place.raw / "decided" / "2027" / "v1" / "lines.parquet"
    whole = archived.read_bytes()
    archived.write_bytes(whole[:-1])
    stopped = city.place.run()
    assert stopped.returncode == 1
    assert "archive of a decision is damaged" in stopped.stdout
    archived.write_bytes(whole)
