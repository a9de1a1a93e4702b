"""The reason of a pair in a sentence, Hebrew and English, and whose decision a rule is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.allocation.problem.rule import Rule
from models.allocation.problem.words import nis
from models.hebrew import progress_of

_POLICY = ("ועדת התקציב, במדיניות העיר", "the budget committee, in the city's policy")
_RECORDED = ("החלטה שנרשמה; מי שהחליט רשאי לשנותה", "a recorded decision, its owner's to change")
_STAFF = ("המפעיל: כמה אפשר לאייש", "the operator: what can be staffed")
_RESPONSE = ("תנאי המענה עצמו", "the response's own terms")
_WHO = {
    "budget": ("מי שקובע את תקציב הערוץ", "whoever sets the channel's budget"),
    "school_channel_cap": (
        "מי שקובע את הסל של בית הספר; השימוש בו הוא של המנהל",
        "whoever sets the school's basket; its use is the principal's",
    ),
    "source_excluded": ("כללי הכסף של הערוץ", "the rules of the channel's money"),
    "eligibility": _RESPONSE,
    "prerequisite": _RESPONSE,
    "minimum_group": _RESPONSE,
    "together": _RESPONSE,
    "school_capacity": _STAFF,
    "participant_capacity": _STAFF,
    "asset_hours": ("מי שהנכס שלו", "whoever owns the asset"),
    **dict.fromkeys(
        ("decided_keep", "decided_drop", "override", "commitment", "notice_period"), _RECORDED
    ),
}


# Months of progress that are told as 0.1; fewer are told as none.
_LEAST_MONTHS = 0.05


def whose(rule: Rule) -> tuple[str, str]:
    """Who can change a rule, in Hebrew and English; a rule of no other owner is the policy's."""
    return _WHO.get(rule.rule_id.split(":")[0], _POLICY)


def sentences(
    row: Mapping[str, Any],
    rules: Sequence[Rule],
    names: Mapping[str, tuple[str, str]],
    months_per_sd: float,
) -> tuple[str, str]:
    """One sentence in Hebrew and English.

    What a line brings and what it would have to bring are told in the same months: those of its own
    pupils. The second is what its money brings elsewhere, need-weighted, in months of this school.

    Args:
        row: of `Explanation.pairs`, with eligibility_reason_he and eligibility_reason_en.
        rules: those that decide it.
        names: response_id → name in Hebrew and in English.
        months_per_sd: months of progress that a pupil's SD stands for.
    """
    got, weighted = row["benefit_sd_pupils"], row["weighted_benefit"]
    weight = weighted / got if got > 0 else row["need_weight"]
    asked = max(row["money_price"], 0.0) / weight if weight > 0 else 0.0
    got_he, got_en = progress_of(months_per_sd * got)
    asked_he, asked_en = progress_of(months_per_sd * asked)
    cost = nis(100 * round(row["cost_agorot"] / 100))
    he = " ".join(rule.sentence_he for rule in rules)
    en = " ".join(rule.sentence_en for rule in rules)
    expected_he, expected_en = f"צפויים ממנו {got_he}", f"{got_en} are expected of it"
    if months_per_sd * got < _LEAST_MONTHS:
        expected_he, expected_en = "לא צפויה ממנו התקדמות", "no progress is expected of it"
    needed_he, needed_en = f"נדרשים {asked_he}", f"{asked_en} are asked"
    if months_per_sd * asked < _LEAST_MONTHS:
        needed_he, needed_en = "לא נדרשת התקדמות", "no progress is asked"
    line_he = f"{expected_he}, ובעלותו, {cost} ₪, {needed_he}"
    line_en = f"{expected_en}; for its cost, {cost} NIS, {needed_en}"
    beside_he = beside_en = ""
    if row["overlap_response_id"] is not None:
        other = row["overlap_response_id"]
        other_he, other_en = names.get(other, (other, other))
        alone_he, alone_en = progress_of(months_per_sd * row["full_benefit_sd_pupils"])
        beside_he = f" (לבדו היו צפויים {alone_he}, אך {other_he} כבר ניתן כאן לאותן מטרות)"
        beside_en = f" ({alone_en} by itself, but {other_en} is here for the same goals)"
    match row["reason_code"]:
        case "committee" if row["plan_dose_level"] is not None:
            return (
                f"חלקו בסכום שמתחלק לפי הצורך: {he}",
                f"Its part of an amount shared by need: {en}",
            )
        case "committee":
            return (
                f"הסכום חולק לפי הצורך, ולא הגיע לכאן: {he}",
                f"The amount is shared by need and does not reach this school: {en}",
            )
        case "worth_its_price":
            return f"במימון: {line_he}{beside_he}.", f"Funded: {line_en}{beside_en}."
        case "must_keep":
            return (
                f"במימון כי המדיניות מחייבת לשמר אותו: {line_he}{beside_he}.",
                f"Funded because the policy keeps it: {line_en}{beside_en}.",
            )
        case "rule" if row["plan_dose_level"] is not None:
            return (
                f"במימון בשל כלל: {he} {line_he}{beside_he}.",
                f"Funded for a rule: {en} {line_en}{beside_en}.",
            )
        case "fills_what_is_left":
            return (
                f"במימון מן היתרה: {line_he}{beside_he}, אך אין אפשרות שלמה טובה ממנו ליתרה.",
                (
                    f"Funded from what is left: {line_en}{beside_en}, but nothing better fits there"
                    " whole."
                ),
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
                f"לצד המענים האחרים של בית הספר הוא אינו מוסיף תועלת{beside_he}.",
                f"Beside the school's other responses it adds no benefit{beside_en}.",
            )
        case "below_line":
            return (
                f"אותו כסף מועיל יותר במקום אחר: {line_he}{beside_he}.",
                f"Its money does more elsewhere: {line_en}{beside_en}.",
            )
        case "rule":
            return (
                f"שווה את עלותו: {line_he}{beside_he}; אך כלל מונע. {he}",
                f"Worth its cost: {line_en}{beside_en}; but a rule stands in the way. {en}",
            )
        case "budget":
            return (
                f"שווה את עלותו: {line_he}{beside_he}; אך אין לו מקום שלם בתקציב. {he}",
                f"Worth its cost: {line_en}{beside_en}; but there is no room for all of it. {en}",
            )
        case _:
            return (
                "היה מועיל ונכנס בתקציב: התוכנית אינה הטובה ביותר.",
                "It would do good and fit: the plan is not at its best.",
            )
