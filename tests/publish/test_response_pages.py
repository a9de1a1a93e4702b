"""A response's page and the list of responses: colours, marks of evidence, decisions (R59–R68)."""

import re

import polars as pl

from pipelines.publish.pages.first.responses import (
    RATINGS,
    RULES,
    money_basis,
    render_every_response,
    render_responses,
    without,
)
from pipelines.publish.words import label
from pipelines.settings.fields import dictionary
from tests.publish.layer import folded, visible
from tests.words.reading import Page


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
        assert f"כל המדרגים ( {row['raters']} ) {counts}" in text
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
        assert ("על המענה עצמו (לשמר או לשנות) טרם הוחלט." in text) == row["needs_decision"]
        if not row["needs_decision"]:
            assert f"הוחלט: {label('decision', row['decision'])}" in text
            assert ("בניגוד להצעה" in text) == bool(row["is_against_proposal"])


def test_gefen_and_separate_money_stand_apart_and_add_up(layer, tables):
    for row in tables["mart_response_money"].drop_nulls("total_plan_agorot").to_dicts():
        parts = row["gefen_plan_agorot"] + row["separate_plan_agorot"]
        assert parts == row["total_plan_agorot"]
        assert 'סל גפ"ן' in said(layer, row["response_id"])


def drawn(tables, context, response_id, **changed):
    """What a page says, and what it folds, where some columns of a mart's row are otherwise."""
    made = dict(tables)
    for mart, columns in changed.items():
        made[mart] = made[mart].with_columns(
            pl.when(pl.col("response_id") == response_id)
            .then(pl.lit(value, dtype=made[mart].schema[name]))
            .otherwise(pl.col(name))
            .alias(name)
            for name, value in columns.items()
        )
    page = Page(render_every_response(made, context)[response_id])
    return " ".join(visible(page).split()), " ".join(folded(page).split())


def test_who_has_not_a_response_is_counted_by_the_reasons_of_the_schools_pages(layer, tables):
    """No page says that eligibility or places let nobody else have it, where a reason is told."""
    lines = tables["mart_plan_line"].drop_nulls("semel_mosad")
    for (response_id,), own in tables["mart_allocation_reason"].group_by("response_id"):
        given = lines.filter(response_id=response_id)["semel_mosad"]
        lacking = own.filter(~pl.col("semel_mosad").is_in(given.implode()))
        found = without(lines.filter(response_id=response_id).to_dicts(), own.to_dicts())
        assert sum(row["schools"] for row in found) == lacking.height
        text = said(layer, response_id)
        assert ("אינם מקבלים" in text or "אינו מקבל" in text) == bool(lacking.height)
        for name, words in (("below_line", "מועיל יותר במקום אחר"), ("not_eligible", "אינם זכאים")):
            count = lacking.filter(allocation_reason=name).height
            assert (f"{count} – {words}" in text or f"{count} – הכסף {words}" in text) == bool(
                count
            )
        assert "שהזכאות" not in text


def test_a_rule_that_keeps_schools_away_is_named_by_its_first_kind():
    rows = [
        {"semel_mosad": code, "allocation_reason": reason, "reason_rules": rules}
        for code, reason, rules in (
            ("1", "worth_its_price", None),
            ("2", "rule", "school_capacity:a,need_order:a"),
            ("3", "rule", "school_capacity:a"),
            ("4", "rule", "school_capacity:a"),
            ("5", "rule", "another:a"),
            ("6", "below_line", None),
        )
    ]
    assert without([{"semel_mosad": "1"}], rows) == [
        {"reason": "school_capacity", "schools": 2},
        {"reason": "below_line", "schools": 1},
        {"reason": "need_order", "schools": 1},
        {"reason": "rule", "schools": 1},
    ]


def test_only_a_capacity_or_all_eligible_schools_are_called_so(tables, context):
    for reach, words in (
        ("every_eligible", "ניתן בכל בית ספר זכאי"),
        ("at_capacity", "המספר הגדול ביותר שהמדיניות מתירה"),
        ("fewer", None),
    ):
        text, _ = drawn(tables, context, "rvadim", mart_voice_plan={"plan_reach": reach})
        for one in ("ניתן בכל בית ספר זכאי", "המספר הגדול ביותר שהמדיניות מתירה"):
            assert (one in text) == (one == words)


def test_money_is_big_or_small_by_one_published_threshold(layer, tables):
    cuts = tables["mart_alignment"].filter(money_kind="municipal")
    cut = cuts["money_cut_agorot"].unique().item() // 100
    big = dict(tables["mart_proposal"].select("response_id", "is_big_money").iter_rows())
    amounts = dict(cuts.select("response_id", "amount_agorot").iter_rows())
    told = 0
    for row in tables["mart_proposal"].to_dicts():
        text = said(layer, row["response_id"])
        assert "הסכום קטן" not in text
        is_by_size = row["proposal_rule"] in ("unknown_big", "unknown_big_blind", "unknown_small")
        if is_by_size and row["response_id"] in amounts:
            told += 1
            assert f"כסף גדול הוא {cut:,} ₪ ומעלה" in text
            is_big = amounts[row["response_id"]] >= cuts["money_cut_agorot"][0]
            assert is_big == big[row["response_id"]]
    assert told


def test_what_is_to_be_measured_first_and_gets_more_is_told(layer, tables):
    for row in tables["mart_contradiction"].to_dicts():
        assert label("contradiction", row["contradiction"]) in said(layer, row["response_id"])


def test_an_effect_that_nobody_measured_is_not_called_none(layer, tables):
    measured = set(tables["mart_verdict"].drop_nulls("effect_sd")["response_id"])
    absence = set(tables["mart_effect_absence"].filter("is_goal")["response_id"])
    unknown = set(tables["mart_response"]["response_id"]) - measured - absence
    assert unknown
    for response_id in unknown:
        text = said(layer, response_id)
        assert "השפעתו לא נמדדה" in text
        assert "על מה נשענת ההשפעה הצפויה" not in text


def test_liked_where_nobody_looked_is_not_said_to_have_no_effect(layer, tables):
    for row in tables["mart_perception"].to_dicts():
        is_said = "לא נמצאה השפעה" in said(layer, row["response_id"])
        assert not (is_said and row["verdict_reason"] == "not_measured")


def test_a_new_response_counts_as_growth_and_an_unknown_year_stays_blank(tables, context):
    new = {"last_year_agorot": None, "plan_say": "funded", "allocated_agorot": 57_650_000}
    text, _ = drawn(tables, context, "makom_balev", mart_voice_plan=new)
    assert "+576,500 ₪ חדש: אשתקד לא תוקצב" in text
    nothing = tables | {"mart_last_line": tables["mart_last_line"].clear()}
    text, _ = drawn(nothing, context, "makom_balev", mart_voice_plan=new)
    assert "חדש" not in text


def test_the_money_by_what_it_rests_on_adds_up_to_the_plan_s(tables, context):
    found = money_basis(tables)
    plan = tables["mart_plan_evidence"]
    for kind, names in (
        ("own", ["own_a", "own_b", "own_c", "own_d"]),
        ("literature", ["literature"]),
        ("assumed", ["assumed"]),
        ("committee", ["committee"]),
    ):
        whole = plan.filter(pl.col("evidence_kind").is_in(names))["cost_agorot"].sum()
        assert sum(parts.get(kind, 0) for parts in found.values()) == whole
    text = " ".join(visible(Page(render_responses(tables, context))).split())
    most = max(found, key=lambda name: found[name].get("assumed", 0))
    assert f"{found[most]['assumed'] / 100:,.0f} ₪" in text


def test_the_sum_may_be_decided_and_the_response_not(layer, tables, context):
    decided = tables["mart_decided"].filter(
        "is_in_force", planning_year=tables["mart_city"]["planning_year"][0]
    )
    waiting = tables["mart_proposal"].filter("needs_decision")["response_id"]
    for response_id in waiting:
        assert ("הסכום הוחלט ביום" in said(layer, response_id)) == bool(decided.height)


def test_what_few_of_a_family_chose_and_what_all_but_few_chose_is_not_counted_out(layer, tables):
    cards = tables["mart_card_family"]
    assert cards["card_people"].null_count()
    shown = cards.drop_nulls("card_people")
    rest = shown["card_players"] - shown["card_people"]
    assert shown["card_people"].min() >= 3
    assert not rest.is_in([1, 2]).any()
    for row in cards.filter(pl.col("card_people").is_null()).to_dicts():
        text = " ".join(folded(layer.page(f"responses/{row['response_id']}.html")).split())
        assert f"{label('card_category', row['card_category'])} “ – לא מפורט" in text.replace(
            "“", " “"
        )
