"""The responses page: what it says of evidence, needs, ratings and decisions (R53–R68)."""

import re

import fastexcel
import polars as pl
import pytest

from pipelines.publish.pages.base import environment
from pipelines.publish.pages.responses import _needs, _reach
from pipelines.settings.fields import dictionary

TAGS = re.compile("<[^>]+>")
explained_away = environment().get_template("explained_away.html.j2").module.explained_away


def text_of(markup):
    return " ".join(TAGS.sub(" ", str(markup)).split())


def design(**changes):
    row = {
        "response_id": "posh",
        "subject": "math",
        "design": "matching",
        "design_sd": 0.12,
        "e_value": 1.46,
        "e_value_limit": 1.21,
        "robustness_pct": 5.9,
        "robustness_limit_pct": 2.0,
    }
    return row | changes


def test_what_would_explain_a_gain_away_goes_with_high_scores():
    assert (
        text_of(explained_away(design()))
        == "כדי להסביר את כל האומדן ( +1.4 חודשי למידה) נדרש גורם שלא נמדד, הקשור ביחס סיכונים"
        " של 1.46 לפחות גם להשתתפות וגם לציון גבוה; כדי שטווח ה־ 90%"
        " יכלול אפס די ביחס של 1.21 . במונחי שונות:"
        " גורם שמסביר 5.9% ממה שנותר גם בהשתתפות וגם בציון (עד לגבול הטווח: 2% )."
    )


def test_what_would_explain_a_loss_away_goes_with_low_scores():
    said = text_of(explained_away(design(design_sd=-0.12)))
    assert "( −1.4 חודשי למידה)" in said
    assert "וגם לציון נמוך" in said
    assert "גבוה" not in said


def test_an_interval_that_holds_zero_needs_no_confounder_and_a_panel_has_no_robustness():
    said = text_of(
        explained_away(design(e_value_limit=1.0, robustness_pct=None, robustness_limit_pct=None))
    )
    assert said.endswith("טווח ה־ 90% כולל אפס גם בלי גורם כזה.")
    assert "שונות" not in said


def test_the_best_few_of_each_need_are_shown_and_every_school_with_a_right_is_named():
    def rows(need, measure, first, n):
        return [
            {
                "need_id": need,
                "need_measure": measure,
                "semel_mosad": f"{need}{i}",
                "is_measured": True,
                "unmet_order": first + i,
            }
            for i in range(n)
        ]

    unmet = pl.DataFrame([*rows("gap", "gap", 1, 40), *rows("right", "eligibility", 45, 19)])
    gap, right = _needs(unmet)
    assert [row["semel_mosad"] for row in gap["first"]] == ["gap0", "gap1", "gap2"]
    assert (gap["schools"], gap["more"], gap["named"]) == (40, 37, [])
    shown = [row["semel_mosad"] for row in right["first"]] + right["named"]
    assert shown == [f"right{i}" for i in range(19)]


def test_reach_adds_shown_cells_only_and_counts_the_hidden():
    cells = pl.DataFrame(
        {
            "group_id": ["all", "all", "all", "girls"],
            "response_class": ["under_achievers"] * 4,
            "is_measured": [True] * 4,
            "participants": [30, 10, None, None],
            "dose": [1.0, 0.5, None, None],
        }
    )
    whole, girls = _reach(cells)
    cell = whole["cells"]["under_achievers"]
    assert (cell["participants"], cell["dose"], cell["hidden"]) == (40, 0.875, 1)
    cell = girls["cells"]["under_achievers"]
    assert (cell["participants"], cell["dose"], cell["hidden"]) == (0, None, 1)


@pytest.fixture(scope="module")
def committee(published):
    return published.current / "committee"


@pytest.fixture(scope="module")
def page(committee):
    return (committee / "annex/responses.html").read_text(encoding="utf-8")


def card(page, response_id):
    return text_of(page.split(f'id="r-{response_id}"')[1].split("</article>")[0])


def mart(committee, name):
    return pl.read_parquet(committee / f"{name}.parquet")


def test_a_recorded_decision_reaches_mart_page_and_workbook(committee, page):
    decided = mart(committee, "mart_proposal").filter(~pl.col("needs_decision"))
    assert set(decided["response_id"]) == {"milat", "posh", "makom_balev"}
    milat = decided.row(by_predicate=pl.col("response_id") == "milat", named=True)
    assert (milat["decision"], milat["decided_by_role"]) == ("keep", "budget_committee")
    said = card(page, "milat")
    assert "הוחלט: לשמר" in said
    assert milat["decision_reason"] in said
    assert "ועדת התקציב" in said
    assert ("בניגוד להצעה" in said) == (milat["proposal"] != "keep")
    assert "טרם הוחלט" in card(page, "merchav")
    book = fastexcel.read_excel(committee.parent / "analyst" / "workbook.xlsx")
    sheet = book.load_sheet("החלטות").to_polars()
    assert sheet.height == mart(committee, "mart_decision").height == 5


def test_a_mean_rating_stands_beside_its_n_its_days_and_what_it_rests_on(committee, page):
    for row in mart(committee, "mart_rating").to_dicts():
        said = card(page, row["response_id"])
        assert f"{row['raters']} מדרגים" in said
        assert "נשען על:" in said
    assert mart(committee, "mart_rating_evidence")["raters"].min() >= 3
    assert mart(committee, "mart_rating_role")["raters"].min() >= 3
    assert not {"rationale", "rating_evidence", "rated_on"} & set(
        mart(committee, "mart_rating").columns
    )
    assert "הנימוקים שנכתבו אינם מתפרסמים" in page


def test_prior_data_and_posterior_stand_side_by_side(committee):
    sides = mart(committee, "mart_effect_side")
    single = sides.filter(pl.col("subject") != "all")
    assert single.height == mart(committee, "mart_effect").height
    discounted = single["prior_sd"] * single["transport_discount"]
    assert (single["literature_sd"] - discounted).abs().max() < 1e-12
    measured, silent = sides.filter("is_measured"), sides.filter(~pl.col("is_measured"))
    assert measured.height
    assert silent.height
    assert silent.filter(pl.col("effect_sd") != pl.col("literature_sd")).is_empty()
    told = measured.drop_nulls("local_sd")
    assert (told["local_lo_sd"] < told["local_sd"]).all()
    # An estimate that is hidden is hidden with its interval.
    assert measured.filter(
        pl.col("local_sd").is_null() & pl.col("local_lo_sd").is_not_null()
    ).is_empty()


def test_the_registry_is_printed_in_hebrew_with_units_and_days(committee, page):
    shown = text_of(page.split('<section id="evidence">')[1].split("</section>")[0])
    assert "e+" not in shown
    assert "assumed" not in shown
    assert "fixed_cost" not in shown
    assert "effect." not in shown
    assert "40,000 ₪ לבית ספר לשנה" in shown
    assert "השפעה: מתמטיקה" in shown
    registered = mart(committee, "mart_evidence").filter(pl.col("quantity") != "served_share")
    assert registered["read_on"].null_count() == registered["reason_he"].null_count() == 0
    named = registered.filter(~pl.col("is_assumed"))
    assert named["source"].str.contains(r"https://|doi|\(\d+\), \d+|page \d+").all()


def test_what_the_page_tells_of_responses_is_in_the_workbook_too():
    for name in (
        "mart_response_group",
        "mart_rating",
        "mart_rating_role",
        "mart_effect_design",
        "mart_effect_side",
        "mart_pooling_set",
        "mart_pooling_school",
        "mart_decision",
        "mart_perception",
    ):
        assert name in dictionary().sheets
