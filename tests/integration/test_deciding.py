"""What was decided is kept, and no change to it goes unseen (R45, R98–R100)."""

import contextlib
import io
import os
import shutil
from datetime import date
from unittest.mock import patch

import polars as pl
import pytest

from pipelines.act.deciding import Decision, decide
from pipelines.publish.release import manifest
from pipelines.settings.archive import (
    CHAIN,
    LOCK,
    NEXT_CHAIN,
    RECORD,
    hash_of,
    read_archives,
)
from pipelines.settings.city import CityError, refuse_dropped
from pipelines.settings.scenario_files import BASE
from tests.runs import copy_or_link, place_at

DAY, TODAY = date(2026, 6, 20), date(2026, 7, 30)
WHY = "תוכנית מאוזנת, לפי הצורך"


def _space(published, folder):
    place = place_at(folder, published.raw.name)
    shutil.copytree(published.raw, place.raw)
    shutil.copytree(published.marts, place.marts, symlinks=True, copy_function=copy_or_link)
    return place


@pytest.fixture
def place(published, tmp_path):
    return _space(published, tmp_path)


@pytest.fixture
def space(place):
    with patch.dict(os.environ, place.env):
        yield place.workspace()


def _first(space, **changes):
    return decide(space, Decision(BASE, "budget_committee", WHY, DAY, **changes), TODAY)


@pytest.fixture(scope="module")
def decided(published, tmp_path_factory):
    """The city after its first decision."""
    place = _space(published, tmp_path_factory.mktemp("decided"))
    with patch.dict(os.environ, place.env):
        _first(place.workspace())
    return place


@pytest.fixture
def archived(decided, tmp_path):
    """A copy of what it keeps, and the folder of its decision there; the release is not needed."""
    place = place_at(tmp_path, decided.raw.name)
    shutil.copytree(decided.raw, place.raw)
    return place.workspace(), place.raw / "decided" / "2027" / "v1"


def _in(path, suffix=""):
    return sorted(p for p in path.rglob(f"*{suffix}") if p.is_file() and p.name != LOCK)


def test_the_plan_is_kept_to_the_agora(space, place):
    kept = _first(space, votes=(9, 2, 1))
    analyst = place.current / "analyst"
    certificate = pl.read_parquet(analyst / "mart_allocation_certificate.parquet")
    lines, money = (pl.read_parquet(kept.folder / f"{name}.parquet") for name in ("lines", "money"))
    assert lines["cost_agorot"].sum() == certificate["cost_agorot"].item()
    by_line = money.group_by("plan_row_id").agg(pl.col("amount_agorot").sum())
    assert dict(by_line.iter_rows()) == dict(
        lines.filter(pl.col("cost_agorot") > 0).select("plan_row_id", "cost_agorot").iter_rows()
    )
    assert (kept.record.release, kept.record.version) == (place.current.resolve().name, 1)
    assert (kept.record.votes_for, kept.record.reason) == (9, WHY)
    assert kept.record.inputs["files/decision_log.csv"]
    assert space.city().decision == kept
    # Readable by nobody else: pupils stand behind its numbers.
    assert {oct(path.stat().st_mode & 0o777) for path in _in(kept.folder)} == {"0o600"}


def test_a_scenario_is_decided_with_its_own_plan_and_policy(space, place):
    kept = decide(space, Decision("stronger_preference", "city_council", WHY, DAY), TODAY)
    scenario = pl.read_parquet(place.current / "analyst" / "mart_scenario.parquet").filter(
        scenario_id="stronger_preference"
    )
    lines = pl.read_parquet(kept.folder / "lines.parquet")
    assert lines["cost_agorot"].sum() == scenario["cost_agorot"].item()
    policy = (kept.folder / "policy.yaml").read_text(encoding="utf-8")
    assert f"value: {scenario['equity_gamma'].item()}" in policy
    assert kept.record.scenario_he == scenario["scenario_name_he"].item()


def test_a_second_decision_is_a_further_version_in_the_chain(space):
    first = _first(space)
    again = Decision("stronger_preference", "city_council", WHY, date(2026, 7, 2), replaces=1)
    second = decide(space, again, TODAY)
    assert (second.record.version, second.record.replaces) == (2, 1)
    assert second.record.before == first.hash
    assert [one.name for one in space.city().decided] == ["2027/v1", "2027/v2"]
    assert space.city().decision == second


def test_a_decision_names_what_its_release_was_made_from(space, place):
    said = manifest(place.current)
    ratings = place.raw / "files" / "ratings.csv"
    ratings.write_text(ratings.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    record = _first(space).record
    assert record.inputs == said["inputs"]
    assert record.inputs["files/ratings.csv"] != hash_of(ratings.read_bytes())
    assert record.code == said["code"]


def test_a_decided_response_cannot_leave_the_policy_unseen(space, place):
    _first(space)
    city = space.city()
    left = {name: held for name, held in city.policy.responses.items() if name != "posh"}
    without = city.model_copy(update={"policy": city.policy.model_copy(update={"responses": left})})
    with pytest.raises(CityError, match="responses: posh stands in the plan decided on") as refused:
        refuse_dropped(place.raw / "policy.yaml", without)
    assert "policy.yaml: line " in str(refused.value)
    assert "posh" in refused.value.he
    refuse_dropped(place.raw / "policy.yaml", city)


def test_a_plan_in_force_is_measured_by_the_policy_it_was_decided_by(space, place):
    _first(space)
    policy = place.raw / "policy.yaml"
    was = space.city().policy.equity_gamma.value
    text = policy.read_text(encoding="utf-8")
    policy.write_text(
        text.replace(f"equity_gamma: {{value: {was}", "equity_gamma: {value: 2.5"), encoding="utf-8"
    )
    city = space.city()
    assert (city.policy.equity_gamma.value, city.as_decided().policy.equity_gamma.value) == (
        2.5,
        was,
    )


REFUSED = {
    "no role": ({"role": "mayor"}, "no role that decides"),
    "no reason": ({"reason": "  "}, "needs a reason"),
    "a name": ({"reason": "כך ביקש דני כהן בשיחה"}, "name a person"),
    "a phone": ({"reason": "לפרטים 054-1234567"}, "name a person"),
    "the future": ({"decided_on": date(2026, 8, 1)}, "no day of this decision"),
    "before the cycle": ({"decided_on": date(2025, 8, 1)}, "no day of this decision"),
    "no such plan": ({"scenario": "dream"}, "is no plan of this release"),
    "a plan that has none": ({"scenario": "without_amirim"}, "is no plan of this release"),
    "no such release": ({"release": "ffffffffffffffff"}, "no such release is kept"),
    "nothing to replace": ({"replaces": 1}, "nothing to replace"),
    "not carried": ({"votes": (3, 9, 0)}, "not carried"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_decision_is_refused_and_nothing_is_kept(space, place, name):
    changes, says = REFUSED[name]
    given = {"scenario": BASE, "role": "treasurer", "reason": WHY, "decided_on": DAY} | changes
    with pytest.raises(CityError, match=says) as refused:
        decide(space, Decision(**given), TODAY)
    assert any("א" <= letter <= "ת" for letter in refused.value.he)
    assert not _in(place.raw / "decided")


def test_a_second_decision_that_replaces_nothing_is_refused(space):
    _first(space)
    with pytest.raises(CityError, match="REPLACES=1"):
        _first(space)


def test_a_damaged_release_is_not_decided_on(space, place):
    page = next((place.current / "committee").glob("annex/report.html"))
    page.write_text(page.read_text(encoding="utf-8") + " ", encoding="utf-8")
    with pytest.raises(Exception, match="not as published"):
        _first(space)
    assert not _in(place.raw / "decided")


@pytest.mark.parametrize(
    "part",
    [
        RECORD,
        "lines.parquet",
        "money.parquet",
        "policy.yaml",
        "effects.parquet",
        "overrides.parquet",
    ],
)
@pytest.mark.parametrize("how", ["changed", "gone"])
def test_a_damaged_archive_is_refused(archived, part, how):
    space, folder = archived
    assert [one.name for one in space.city().decided] == ["2027/v1"]
    path = folder / part
    path.unlink() if how == "gone" else path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(CityError, match="archive of a decision is damaged"):
        space.city()


def test_what_is_added_to_an_archive_is_seen(archived):
    space, folder = archived
    (folder / "note.txt").write_text("x", encoding="utf-8")
    with pytest.raises(CityError, match=r"not as archived: note\.txt"):
        space.city()


def test_a_broken_chain_is_an_error(space, place):
    first = _first(space)
    decide(space, Decision(BASE, "city_council", WHY, date(2026, 7, 2), replaces=1), TODAY)
    root, chain = place.raw / "decided", place.raw / "decided" / CHAIN
    lines = chain.read_text(encoding="utf-8").splitlines(keepends=True)
    for broken in ([lines[1]], lines[::-1], ["x\n", *lines], [f"2027/v1 {'0' * 64}\n", lines[1]]):
        chain.write_text("".join(broken), encoding="utf-8")
        with pytest.raises(CityError, match="damaged"):
            read_archives(place.raw)
    chain.write_text("".join(lines), encoding="utf-8")
    shutil.rmtree(first.folder)
    with pytest.raises(CityError, match="differ: 2027/v1"):
        read_archives(place.raw)
    chain.unlink()
    with pytest.raises(CityError, match="cannot be read"):
        read_archives(place.raw)
    assert root.is_dir()


def test_a_kill_while_it_is_kept_is_made_good(space, place):
    _first(space)
    chain = place.raw / "decided" / CHAIN
    following = chain.with_name(NEXT_CHAIN)
    whole = chain.read_text(encoding="utf-8")
    chain.rename(following)  # killed before the last step
    assert [one.name for one in space.city().decided] == ["2027/v1"]
    assert chain.read_text(encoding="utf-8") == whole
    following.write_text(f"{whole}2027/v2 {'0' * 64}\n", encoding="utf-8")  # and before the first
    assert [one.name for one in read_archives(place.raw)] == ["2027/v1"]


def test_the_command_says_what_was_kept_and_notes_who_read(place):
    from pipelines.commands.decide import main

    out = io.StringIO()
    with (
        patch.dict(os.environ, place.env | {"TIKKUN_ROLE": "secretary"}),
        contextlib.redirect_stdout(out),
    ):
        city = place.raw.name
        wrong = main([city, "--role", "mayor", "--reason", WHY])
        code = main([city, "--role", "treasurer", "--reason", WHY, "--day", "2026-06-20"])
    assert (wrong, code) == (1, 0)
    assert "no role that decides" in out.getvalue()
    assert "אינו תפקיד שמחליט" in out.getvalue()
    assert "version 1" in out.getvalue()
    noted = pl.read_csv(place.marts / "access.tsv", separator="\t")
    assert noted.filter(command="decide").select("role", "what").rows() == [
        ("secretary", "2027/v1")
    ]


def test_what_is_archived_changes_what_is_due(space, place):
    from pipelines.sources.fingerprint import fingerprints

    before = fingerprints(space.city()).upstream
    _first(space)
    assert fingerprints(space.city()).upstream != before


def test_of_two_decisions_at_once_one_waits_and_is_refused(space, place):
    """Both ask for the first version; the chain stays whole, whoever comes first."""
    from concurrent.futures import ThreadPoolExecutor

    def asked(_):
        try:
            return _first(space).name
        except CityError as error:
            return error.en

    with ThreadPoolExecutor(2) as both:
        said = sorted(both.map(asked, range(2)))
    assert said[0] == "2027/v1"
    assert "REPLACES=1" in said[1]
    assert [one.name for one in read_archives(place.raw)] == ["2027/v1"]
    assert not list((place.raw / "decided").glob(".building-*"))
