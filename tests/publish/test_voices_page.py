"""What people say in a release: contradictions where it is looked for, no person's words (R78)."""

from __future__ import annotations

import html
import re

import duckdb
import polars as pl
import pytest

from pipelines.settings.fields import dictionary

TAGS = re.compile("<[^>]+>")
ANALYST = "analyst"


def text_of(markup):
    return " ".join(html.unescape(TAGS.sub("", markup)).split())


@pytest.fixture(scope="module")
def marts(published):
    with duckdb.connect(str(published.current / ANALYST / "tikkun.duckdb"), read_only=True) as held:
        names = [row[0] for row in held.sql("SELECT table_name FROM duckdb_tables()").fetchall()]
        yield {name: held.sql(f'SELECT * FROM "{name}"').pl() for name in names}


@pytest.fixture(scope="module")
def pages(published):
    return {
        name: (published.current / "committee" / f"annex/{name}.html").read_text(encoding="utf-8")
        for name in ("responses", "allocation", "report")
    }


@pytest.mark.parametrize("page", ["responses", "allocation"])
def test_every_contradiction_is_told_where_the_committee_looks(page, pages, marts):
    found = marts["mart_voice_conflict"]["voice_conflict_he"]
    assert len(found)
    said = text_of(pages[page])
    for sentence in found:
        assert " ".join(sentence.split()) in said


def test_the_first_contradiction_is_among_the_findings(pages, marts):
    finding = marts["mart_finding"].filter(table_name="mart_voice_conflict")
    assert finding.height == 1
    sentences = marts["mart_voice_conflict"]["voice_conflict_he"]
    assert any(sentence in finding["finding_he"][0] for sentence in sentences)
    assert " ".join(finding["finding_he"][0].split()) in text_of(pages["report"])


def test_people_data_and_plan_stand_side_by_side_for_each_response(pages, marts):
    rows = marts["mart_voice_plan"].filter(pl.col("card_say") != "not_named")
    names = dict(marts["mart_response"].select("response_id", "response_name_he").iter_rows())
    said = text_of(pages["allocation"])
    for row in rows.iter_rows(named=True):
        place = f'data-cell="mart_voice_plan/response_id={row["response_id"]}/asking_people"'
        assert place in pages["allocation"]
        assert names[row["response_id"]] in said
        assert dictionary().label("card_say", row["card_say"]) in said


def test_who_did_not_come_is_told(pages, marts):
    families = marts["mart_voice_family"]
    absent = families.filter(part_presence="absent")
    assert absent.height == 1
    section = pages["responses"].split('<section id="people">')[1].split("</section>")[0]
    assert dictionary().label("part_presence", "absent") in text_of(section)
    failed = marts["mart_data_quality"].filter(~pl.col("is_passed"))
    assert ("mart_voice_family", "every_family_came") in failed.select(
        "table_name", "check_id"
    ).rows()


def test_a_new_response_is_shown_with_what_is_missing(pages, marts):
    named = marts["mart_candidate"]
    assert named.height == 1
    said = text_of(pages["responses"])
    assert named["candidate_he"][0] in said
    assert dictionary().label("missing_to_judge", named["missing_to_judge"][0]) in said


def test_no_word_that_people_wrote_is_in_the_release(published, small_city, marts):
    """Reasons, comments, answers and problems stay in staging; nothing is keyed by a person."""
    files = small_city / "files"
    written = set()
    for name, column in (
        ("cards.csv", "card_reason"),
        ("forms.csv", "comment_he"),
        ("wheel.csv", "answer_he"),
        ("wheel.csv", "problem_he"),
    ):
        written |= set(pl.read_csv(files / name)[column].drop_nulls())
    assert len(written) > 10
    for name, frame in marts.items():
        assert "participant_hash" not in frame.columns, name
        texts = frame.select(pl.selectors.string())
        found = {value for column in texts for value in column.drop_nulls().unique()}
        assert not written & found, name
    for path in (published.current / "committee").rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        assert not [text for text in written if text in page], path.name


def test_single_people_of_one_family_are_never_few(marts):
    """Counts by family are of families told; so is what changes without one (R78)."""
    families = marts["mart_voice_family"]
    told = set(families.filter(part_presence="told")["role_family"])
    assert set(marts["mart_card_family"]["role_family"]) <= told
    assert set(families.drop_nulls("says_changed")["role_family"]) == told
    assert families.filter(part_presence="told")["card_players"].min() >= 3
