"""Of what schools write, a true correction reaches the owner of its source, and nothing else (R76).

The generator plays a year in which one correction is right, one is wrong, one school asks and one
confirms.
"""

import polars as pl
import pytest

from models.demo.year import play
from pipelines.act.tickets import COMPUTED, tickets
from pipelines.publish.sending import write_owners_lists
from pipelines.settings.city import load_city
from pipelines.settings.fields import dictionary
from tests.review.test_alerts import NO_LETTERS, RELEASE, SEEDS, YEAR, decided

_NAMES = {
    "ticket_id": "ticket",
    "planning_year": "planning_year",
    "shown_release": "release",
    "semel_mosad": "school",
    "asked_by_role": "role",
    "asked_on": "asked",
    "ticket_kind": "kind",
    "ticket_cell": "cell",
    "value_said": "value",
    "ticket_reason": "reason",
    "ticket_answer": "answer",
    "answered_by_role": "by",
    "answer_reason": "why",
    "answered_on": "answered",
}


@pytest.fixture(scope="module")
def city(small_city):
    return load_city(small_city)


def lived(seed, months=10):
    return play(*decided(seed), NO_LETTERS, YEAR, RELEASE, months=months, seed=seed)


def staged(year):
    return year.tickets.select(**_NAMES)


def given_of(rows, codes=()):
    """What the step reads: the tickets, and the codes that schools have today."""
    held = pl.DataFrame(
        codes, schema={"semel_mosad_old": pl.String, "semel_mosad": pl.String}, orient="row"
    )
    return {"stg_act__tickets": rows, "core_city_code": held}


@pytest.fixture(scope="module")
def years(city):
    """Each city's year, its tickets as told, and as staged."""
    found = []
    for seed in SEEDS:
        year = lived(seed)
        told = tickets(city, given_of(staged(year)))
        found.append((year, told, staged(year)))
    return found


def test_the_files_of_the_year_bring_what_their_sources_ask_for():
    year = lived(1)
    assert tuple(staged(year).columns) == dictionary().contract("act__tickets").contract
    assert year.recipients["address"].str.ends_with("@example.org").all()
    silent = year.recipients.join(year.receipts, on="recipient", how="anti")
    assert silent["audience"].sort().to_list() == sorted(set(year.recipients["audience"]))


def test_the_true_correction_is_told_and_no_other(years):
    for year, told, _ in years:
        accepted = set(told["mart_ticket"].filter(ticket_state="accepted")["ticket_id"])
        true = year.true_ticket.filter("is_true").join(
            year.tickets.filter(kind="correct"), on="ticket"
        )
        assert accepted == set(true["ticket"])


def test_each_ticket_stands_as_it_was_answered(years):
    for year, told, _ in years:
        states = dict(told["mart_ticket"].select("ticket_id", "ticket_state").iter_rows())
        for row in year.tickets.to_dicts():
            waits = "confirmed" if row["kind"] == "confirm" else "open"
            assert states[row["ticket"]] == (row["answer"] or waits)
        assert set(states) == set(year.tickets["ticket"])
        assert set(told["mart_ticket"]["answer_days"].drop_nulls()) == {7}


def test_the_source_of_a_number_is_the_one_it_was_planted_in(years):
    for year, told, _ in years:
        planted = year.true_ticket.filter(pl.col("source_id").is_not_null())
        for ticket, source_id in planted.select("ticket", "source_id").iter_rows():
            found = told["mart_ticket_source"].filter(ticket_id=ticket)["source_id"].to_list()
            kind = year.tickets.filter(ticket=ticket)["kind"].item()
            assert found == ([source_id] if kind == "correct" else [])


def test_the_owner_finds_the_true_correction_with_what_was_said(years, tmp_path):
    for place, (year, told, given) in enumerate(years):
        outbox = tmp_path / "outbox" / str(place)
        write_owners_lists(outbox, given, told["mart_ticket_source"])
        register = pl.read_csv(outbox / "owners" / "register__schools.csv", infer_schema=False)
        ids = dictionary().fields["ticket_id"].he
        said = dictionary().fields["value_said"].he
        true = year.true_ticket.filter("is_true").join(
            year.tickets.filter(kind="correct"), on="ticket"
        )
        assert register[ids].to_list() == true["ticket"].to_list()
        assert register[said].to_list() == true["value"].to_list()
        assert [path.name for path in (outbox / "owners").iterdir()] == ["register__schools.csv"]
        assert (outbox / "owners" / "register__schools.csv").stat().st_mode & 0o077 == 0


def test_nothing_that_was_said_stands_in_a_mart(years):
    for year, told, _ in years:
        text = "".join(frame.write_csv() for frame in told.values())
        for words in (*year.tickets["reason"].drop_nulls(), *year.tickets["why"].drop_nulls()):
            assert words not in text
        assert "value_said" not in text


@pytest.mark.parametrize(
    ("cell", "sources"),
    [
        (
            "mart_school_money/semel_mosad={};school_year=2026/gefen_agorot",
            ["finance__school_money"],
        ),
        ("mart_allocation_school/semel_mosad={}/cost_agorot", [COMPUTED]),
    ],
    ids=["paid", "planned"],
)
def test_what_comes_from_many_sources_goes_to_the_analyst(city, cell, sources):
    year = lived(1)
    other = staged(year).head(1)
    other = other.with_columns(ticket_cell=pl.lit(cell.format(other["semel_mosad"].item())))
    told = tickets(city, given_of(other))["mart_ticket_source"]
    assert told["source_id"].to_list() == sources
    if sources == [COMPUTED]:
        assert told["source_owner_he"].to_list() == [dictionary().owners["context"]]


def test_before_a_school_writes_there_is_no_ticket(city):
    year = lived(1, months=1)
    assert year.tickets.is_empty()
    told = tickets(city, given_of(staged(year)))
    assert told["mart_ticket"].is_empty()
    assert told["mart_ticket_source"].is_empty()


def test_a_merged_school_is_told_by_its_code_of_today(city):
    year = lived(1)
    old = year.tickets["school"][0]
    told = tickets(city, given_of(staged(year), [(old, "900099")]))
    for frame in told.values():
        assert old not in frame["semel_mosad"]
        assert "900099" in frame["semel_mosad"]
