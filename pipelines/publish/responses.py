"""The responses page: what each is for, whom it reaches, what it costs, what is known, what people say (R53–R68).

Hebrew, right to left, without scripts. Every number carries the address of its mart cell; the chart
stands beside a table of the same numbers. A verdict is of a response against the goal it was chosen
for, and never more than the evidence allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from markupsafe import Markup

from pipelines.fields import dictionary
from pipelines.publish import words
from pipelines.publish.report import charts
from pipelines.publish.report.page import ReportContext, environment

_STYLE = Path(__file__).parent / "report" / "report.css"
WHOLE = "all"
MOST_NEEDS, MOST_PAIRS = 25, 10
Rows = list[dict[str, Any]]
# Colour is never alone: each verdict has a sign (R114).
VERDICT_SIGNS = {
    "very_effective": "●", "fairly_effective": "◐", "not_effective": "○", "insufficient_evidence": "?",
}  # fmt: skip
DOUBTS = {
    "attrition": "שיעור הנבחנים שונה בין מי שזכו למי שלא",
    "chosen_by_score": "נבחרו לפי הציון עצמו; תוקן בהיפוך תפקידי הציונים",
    "donut_moves": "האומדן זז כשמשמיטים את הקרובים לסף",
    "few_entrants": "מעט מדי נרשמים להגרלה",
    "few_schools": "מעט בתי ספר משתתפים",
    "few_treated": "מעט משתתפים",
    "first_years_only": "רק שנת ההשתתפות הראשונה",
    "last_year_left_out": "השנה שלפני ההתחלה לא שימשה בסיס",
    "mean_reversion": "נסיגה אל הממוצע: ההתחלה באה אחרי שנה חריגה",
    "no_placebo": "אין מבחן סרק",
    "no_pre_period": "אין שנים שלפני ההתחלה",
    "nothing_served": "אין משתתפים בשנים שנמדדו",
    "placebo_fails": "מבחן הסרק נכשל",
    "placebo_subject": "מקצוע שאינו נלמד במענה זז גם הוא",
    "poor_overlap": "מעט תלמידים דומים להשוואה",
    "pre_trend": "המגמה נפרדה עוד לפני ההתחלה",
    "prior_missing": "לרבים אין ציון קודם",
    "prior_uncorrectable": "טעות המדידה בציון הקודם אינה ניתנת לתיקון",
    "reversion_unchecked": "אין די שנים לבדוק נסיגה אל הממוצע",
    "single_pre_year": "שנה אחת בלבד לפני ההתחלה",
    "too_few_near_cutoff": "מעט תלמידים סביב הסף",
    "too_few_schools": "מעט מדי בתי ספר להשוואה",
    "unbalanced": "הקבוצות נותרו שונות ברקע",
    "uneven_density": "מספר התלמידים משני צדי הסף אינו שווה",
    "weak_take_up": "ההצעה כמעט לא שינתה את ההשתתפות",
}
REASONS = {
    "evidence_worthwhile": "נמצאה השפעה של ממש",
    "evidence_positive": "נמצאה השפעה חיובית",
    "evidence_not_effective": "ההשפעה מתחת לגודל של ממש",
    "evidence_insufficient": "אין די ראיות",
    "covers_gap": "עונה על פער מובהק",
    "covers_no_gap": "אין פער מובהק שהוא עונה עליו",
    "gap_not_measured": "הפער שהוא עונה עליו לא נמדד",
    "big_money": "כסף גדול",
    "dear_per_month": "יקר לחודש התקדמות",
    "only_response": "המענה היחיד לצורך",
    "contract": "מחויב בכלל או בחוזה",
    "worth_evaluating": "כדאי להעריך",
    "no_design": "אין דרך להעריך כפי שהוא מוצב",
}


def render_responses(tables: Mapping[str, pl.DataFrame], context: ReportContext) -> str:
    """Return the page as one HTML text.

    Args:
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
    """
    alignment = tables["mart_alignment"].filter(pl.col("money_kind") == "municipal")
    whole = tables["mart_verdict"].filter(pl.col("subject") == WHOLE)
    names = dict(tables["mart_response"].select("response_id", "response_name_he").iter_rows())
    schools = dict(tables["mart_gap_school"].select("semel_mosad", "school_name_he").iter_rows())
    goals = dict(tables["mart_response"].select("goal_id", "goal_name_he").unique().iter_rows())
    groups = dict(tables["mart_group"].select("group_id", "group_name_he").iter_rows())
    order = [
        *alignment.sort("alignment_place")["response_id"],
        *whole.filter(~pl.col("response_id").is_in(alignment["response_id"].implode()))["response_id"].unique().sort(),
    ]  # fmt: skip
    return environment().get_template("responses.html.j2").render(
        context=context,
        style=Markup(_STYLE.read_text(encoding="utf-8")),
        words=words,
        verdict_signs=VERDICT_SIGNS,
        group=lambda group_id: groups.get(group_id, group_id),
        name=lambda response_id: names.get(response_id, response_id),
        school=lambda code: schools.get(code, code),
        goal=lambda goal_id: goals.get(goal_id, goal_id),
        doubts=lambda codes: [DOUBTS[code] for code in codes.split(",") if code],
        reasons=lambda codes: [REASONS[code] for code in codes.split(",")],
        alignment=alignment.sort("alignment_place").to_dicts(),
        follows=tables["mart_money_effect"].filter(pl.col("kendall_tau").is_not_null()).sort("money_kind").to_dicts(),
        unknown=_unknown(whole, tables["mart_evaluation"]),
        options=tables["mart_design_option"].sort("response_id", "design_grade").to_dicts(),
        cards=[_card(response_id, tables) for response_id in order],
        agreement=tables["mart_agreement"].sort(pl.col("about_role") != WHOLE, "about_role").to_dicts(),
        needs=tables["mart_unmet_need"].filter("is_measured").sort("unmet_order").head(MOST_NEEDS).to_dicts(),
        needs_total=tables["mart_unmet_need"].filter("is_measured").height,
        topics=tables["mart_topic"].sort("topic_id").to_dicts(),
        covered=_over_coverage(tables["mart_over_coverage"]),
        overlap=tables["mart_response_overlap"].sort("shared_pupils", "response_id", "other_response_id", descending=[True, False, False], nulls_last=True).head(MOST_PAIRS).to_dicts(),
        pooling=tables["mart_pooling"].filter(pl.col("saving_agorot") > 0).sort("saving_agorot", "response_id", descending=[True, False]).to_dicts(),
        tags=_tags(tables["mart_budget_tag"]),
        parents=_parents(tables["mart_parents_payment"], schools),
        evidence=tables["mart_evidence"].filter(pl.col("quantity") != "served_share").sort("response_id", "quantity").to_dicts(),
        chart=Markup(charts.alignment_chart(alignment, names)) if alignment.drop_nulls("effect_sd").height else "",
    )  # fmt: skip


def _unknown(whole: pl.DataFrame, evaluation: pl.DataFrame) -> Rows:
    """Return the responses nobody can judge yet, the evaluation worth most first."""
    open_ones = whole.filter(
        pl.col("group_id") == WHOLE, pl.col("verdict") == "insufficient_evidence"
    )
    return (
        evaluation.join(open_ones.select("response_id", "verdict_reason"), on="response_id")
        .sort("evaluation_place")
        .to_dicts()
    )


def _card(response_id: str, tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """Return everything about one response."""

    def own(table: str, *order: str) -> Rows:
        rows = tables[table].filter(pl.col("response_id") == response_id)
        return rows.sort(*order).to_dicts() if order else rows.to_dicts()

    def one(table: str) -> dict[str, Any] | None:
        return next(iter(own(table)), None)

    judged = own("mart_verdict", "group_id", "subject")
    return {
        "response": one("mart_response"),
        "verdict": next((r for r in judged if r["subject"] == WHOLE and r["group_id"] == WHOLE), None),
        "groups": [r for r in judged if r["subject"] == WHOLE and r["group_id"] != WHOLE],
        "effects": own("mart_effect", "subject"),
        "designs": [r for r in own("mart_effect_design", "subject", "design") if r["design_grade"] != "E"],
        "money": one("mart_response_money"),
        "rating": one("mart_rating"),
        "perception": one("mart_perception"),
        "placement": one("mart_placement"),
        "proposal": one("mart_proposal"),
        "evaluation": one("mart_evaluation"),
        "served": int(tables["mart_response_map"].filter(pl.col("response_id") == response_id)["is_served"].sum() or 0),
        "is_measured": bool(tables["mart_response_map"].filter(pl.col("response_id") == response_id)["is_measured"].any()),
    }  # fmt: skip


def _over_coverage(covered: pl.DataFrame) -> Rows:
    """Return goals of schools where pupils are in several responses while others in need have none."""
    return (
        covered.filter(pl.col("is_over_covered").fill_null(False))
        .sort("in_need_none_pupils", "semel_mosad", "goal_id", descending=[True, False, False], nulls_last=True)
        .head(MOST_PAIRS)
        .to_dicts()
    )  # fmt: skip


def _tags(tags: pl.DataFrame) -> Rows:
    """Return the money of every school year by tag, the last year first, each tag's values by plan."""
    order = {name: place for place, name in enumerate(dictionary().fields["tag_kind"].allowed)}
    rows = tags.sort(
        pl.col("tag_kind").replace_strict(order, return_dtype=pl.Int32), "plan_agorot", "tag_value", descending=[False, True, False]
    )  # fmt: skip
    return [
        {"school_year": year, "rows": rows.filter(school_year=year).to_dicts()}
        for year in sorted(tags["school_year"].unique(), reverse=True)
    ]


def _parents(paid: pl.DataFrame, schools: Mapping[str, str]) -> dict[str, Rows]:
    """Return what parents paid in the last year: in the city by response, and by school."""
    last = paid.filter(pl.col("school_year") == pl.col("school_year").max())
    city = last.filter(place="city").sort(pl.col("response_id") == WHOLE, "response_id")
    own = last.filter(pl.col("place") != "city", response_id=WHOLE).to_dicts()
    return {
        "city": city.to_dicts(),
        "schools": sorted(own, key=lambda row: (schools.get(row["place"], ""), row["place"])),
    }
