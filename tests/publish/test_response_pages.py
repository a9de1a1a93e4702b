"""A response's page and the list of responses: colours, marks of evidence, decisions (R59–R68)."""

import re

import polars as pl
import pytest

from pipelines.publish.marts import DATABASE, read_database
from pipelines.publish.pages.first.responses import RATINGS, RULES
from pipelines.publish.words import label
from pipelines.settings.fields import dictionary
from tests.publish.layer import Layer, visible


@pytest.fixture(scope="module")
def layer(published):
    return Layer(published.current / "committee")


@pytest.fixture(scope="module")
def tables(published):
    return read_database(published.current / "committee" / DATABASE)


def said(layer, response_id):
    return " ".join(visible(layer.page(f"responses/{response_id}.html")).split())


def test_every_response_of_the_registry_has_a_page(layer, tables):
    found = {name for name in layer.names if name.startswith("responses/")}
    assert found == {f"responses/{one}.html" for one in tables["mart_response"]["response_id"]}


def test_colours_are_counted_in_the_guides_own_words(layer, tables):
    assert tables["mart_rating"].height
    for row in tables["mart_rating"].to_dicts():
        text = said(layer, row["response_id"])
        assert sum(row[column] for column in RATINGS) == row["raters"]
        counts = " ".join(str(row[column]) for column in RATINGS)
        assert f"כל המדרגים ( n = {row['raters']} ) {counts}" in text
        for value in ("לא יעיל (אדום)", "יעיל במידה סבירה (צהוב)", "יעיל מאוד (ירוק)"):
            assert value in text
        assert label("rated", row["rated"]) in text
    for row in tables["mart_rating_family"].to_dicts():
        who = (
            label("role_family", row["role_family"])
            if row["about_role"] == "all"
            else label("role", row["about_role"])
        )
        counts = " ".join(str(row[column]) for column in RATINGS)
        assert f"{who} {counts}" in said(layer, row["response_id"])


def test_few_raters_are_in_the_sum_alone(tables):
    families = tables["mart_rating_family"]
    assert families["raters"].min() >= 3
    told = families.group_by("response_id", "goal_id").agg(pl.col("raters").sum())
    left = told.join(
        tables["mart_rating"].select("response_id", "goal_id", everybody="raters"),
        on=["response_id", "goal_id"],
    ).select(pl.col("everybody") - pl.col("raters"))
    assert left.to_series().is_in([1, 2]).sum() == 0


def test_the_three_colours_mean_nothing_else(layer):
    """They are in the table of ratings alone, and no other page of the first layer names them."""
    for name in layer.names:
        markup = layer.page(name).markup
        body = markup.split("</style>")[1]
        if not name.startswith("responses"):
            assert "rate-red" not in body, name
            assert "(אדום)" not in body, name
        else:
            outside = re.sub(r'<section id="rated">.*?</section>', "", body, flags=re.S)
            if name != "responses.html":
                assert "rate-" not in outside, name


def test_marks_are_the_rules_that_hold_and_the_rules_are_published(layer, tables):
    marks = tables["mart_evidence_mark"]
    held = marks.select(pl.sum_horizontal(pl.col(RULES).cast(pl.Int32))).to_series()
    assert held.to_list() == marks["evidence_marks"].to_list()
    for row in marks.to_dicts():
        text = said(layer, row["response_id"])
        assert f"{row['evidence_marks']} מתוך 5" in text
        for rule in RULES:
            assert f"{'כן' if row[rule] else 'לא'}: {dictionary().fields[rule].he}" in text


def test_a_range_says_whether_it_holds_zero(layer, tables):
    whole = tables["mart_verdict"].filter(group_id="all", subject="all").drop_nulls("effect_sd")
    assert whole.height
    for row in whole.to_dicts():
        text = said(layer, row["response_id"])
        holds_zero = row["effect_lo_sd"] <= 0 <= row["effect_hi_sd"]
        assert ("הטווח כולל אפס" in text) == holds_zero
        assert ("בצד אחד של האפס." in text) == (not holds_zero)


def test_what_was_decided_is_told_and_what_was_not(layer, tables):
    assert set(tables["mart_proposal"]["needs_decision"]) == {True, False}
    for row in tables["mart_proposal"].to_dicts():
        text = said(layer, row["response_id"])
        assert ("טרם הוחלט." in text) == row["needs_decision"]
        if not row["needs_decision"]:
            assert f"הוחלט: {label('decision', row['decision'])}" in text
            assert ("בניגוד להצעה" in text) == bool(row["is_against_proposal"])


def test_gefen_and_separate_money_stand_apart_and_add_up(layer, tables):
    for row in tables["mart_response_money"].drop_nulls("total_plan_agorot").to_dicts():
        parts = row["gefen_plan_agorot"] + row["separate_plan_agorot"]
        assert parts == row["total_plan_agorot"]
        assert 'סל גפ"ן' in said(layer, row["response_id"])
