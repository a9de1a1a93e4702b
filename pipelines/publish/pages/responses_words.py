"""The words of the responses page: signs, doubts, reasons, costs, sensitivity of an effect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from pipelines.publish.pages.base import number

# Colour is never alone: each verdict has a sign (R114).
VERDICT_SIGNS = {
    "very_effective": "●",
    "fairly_effective": "◐",
    "not_effective": "○",
    "insufficient_evidence": "?",
}
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
# Registered quantity -> its name, unit and format; an effect is named by its subject.
COSTS = {
    "fixed_cost": ("עלות קבועה", "₪ לבית ספר לשנה", "integer"),
    "unit_cost": ("עלות משתנה", "₪ למשתתף לשנה", "integer"),
}
_DESIGN = "mart_effect_design"


def explained_away(row: Mapping[str, Any]) -> Markup:
    """Return in words what an unmeasured confounder needs to explain an estimate away (R61).

    Args:
        row: a row of mart_effect_design with an E-value.
    """
    side = "גבוה" if row["design_sd"] > 0 else "נמוך"
    sentence = Markup(
        "כדי להסביר את כל האומדן ({}) נדרש גורם שלא נמדד, הקשור ביחס סיכונים של {} לפחות גם"
        " להשתתפות וגם לציון {}"
    ).format(
        number(_DESIGN, row, "design_sd", "signed"),
        number(_DESIGN, row, "e_value", "share"),
        side,
    )
    if row["e_value_limit"] > 1:
        limit = number(_DESIGN, row, "e_value_limit", "share")
        sentence += Markup('; כדי שטווח ה־<bdi dir="ltr">90%</bdi> יכלול אפס די ביחס של {}').format(
            limit
        )
    else:
        sentence += Markup('; טווח ה־<bdi dir="ltr">90%</bdi> כולל אפס גם בלי גורם כזה')
    if row["robustness_pct"] is not None:
        sentence += Markup(". במונחי שונות: גורם שמסביר {} ממה שנותר גם בהשתתפות וגם בציון").format(
            number(_DESIGN, row, "robustness_pct", "percent")
        )
        if row["robustness_limit_pct"] > 0:
            sentence += Markup(" (עד לגבול הטווח: {})").format(
                number(_DESIGN, row, "robustness_limit_pct", "percent")
            )
    return sentence + "."
