"""The reason of a pair in a sentence, Hebrew and English."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.allocation.problem.rule import Rule
from models.allocation.problem.words import told_apart


def sentences(row: Mapping[str, Any], rules: Sequence[Rule]) -> tuple[str, str]:
    """One sentence in Hebrew and English from a row of `Explanation.pairs` and its rules."""
    got, price = told_apart(row["weighted_benefit"], row["money_price"])
    he = " ".join(rule.sentence_he for rule in rules)
    en = " ".join(rule.sentence_en for rule in rules)
    line_he = f"תועלת משוקללת {got} מול {price} שכספו היה מביא במקום אחר"
    line_en = f"a weighted benefit of {got} against {price} that its money would bring elsewhere"
    match row["reason_code"]:
        case "committee" if row["plan_dose_level"] is not None:
            return f"במימון מסכום שקבעה הוועדה: {he}", f"Funded from the committee's amount: {en}"
        case "committee":
            return (
                f"סכום הוועדה אינו מגיע לכאן: {he}",
                f"The committee's amount does not reach this school: {en}",
            )
        case "worth_its_price":
            return f"במימון: {line_he}.", f"Funded: {line_en}."
        case "must_keep":
            return (
                f"במימון כי המדיניות מחייבת לשמר אותו ({line_he}).",
                f"Funded because the policy keeps it ({line_en}).",
            )
        case "rule" if row["plan_dose_level"] is not None:
            return f"במימון בשל כלל: {he} ({line_he}.)", f"Funded for a rule: {en} ({line_en}.)"
        case "fills_what_is_left":
            return (
                f"במימון מהיתרה: {line_he}, אך אין אפשרות שלמה טובה ממנו ליתרה.",
                f"Funded from what is left: {line_en}, but nothing better fits there whole.",
            )
        case "not_eligible":
            why_he, why_en = row["eligibility_reason_he"], row["eligibility_reason_en"]
            return (
                f"בית הספר אינו זכאי למענה: {why_he}." if why_he else "בית הספר אינו זכאי למענה.",
                (
                    f"The school is not eligible for it: {why_en}."
                    if why_en
                    else "The school is not eligible for it."
                ),
            )
        case "must_drop":
            return "המדיניות מסיימת את המענה כאן.", "The policy drops it here."
        case "no_benefit":
            return "לא צפויה ממנו תועלת.", "No benefit is expected of it."
        case "overlap":
            return (
                "לצד המענים האחרים של בית הספר הוא אינו מוסיף תועלת.",
                "Beside the school's other responses it adds no benefit.",
            )
        case "below_line":
            return f"מתחת לקו המחיר: {line_he}.", f"Below the price line: {line_en}."
        case "rule":
            return (
                f"שווה את מחירו, אך כלל מונע: {he}",
                f"Worth its price, but a rule stands in the way: {en}",
            )
        case "budget":
            return (
                f"שווה את מחירו ({line_he}), אך אין לו מקום שלם בתקציב: {he}",
                f"Worth its price ({line_en}), but there is no room for all of it: {en}",
            )
        case _:
            return (
                "היה מועיל ונכנס בתקציב: התוכנית אינה הטובה ביותר.",
                "It would do good and fit: the plan is not at its best.",
            )
