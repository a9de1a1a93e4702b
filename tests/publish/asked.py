"""What the committee, a principal and a parent ask, and where each answer stands, in words.

A page of the answer is the first page, or one click from it, or (of a school or a response) one
click from its list; the answer is read before anything is unfolded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from pipelines.publish.words import FORMS

Tables = Mapping[str, pl.DataFrame]


@dataclass(frozen=True)
class Asked:
    """A question, and its answer.

    Attributes:
        who: asks it.
        question: in Hebrew, as it is asked.
        at: the place of the page; `{code}` is that of `code`.
        answer: what the page must say, reckoned from the marts alone; None where the city has no
            such fact.
        code: the school or response that is asked about.
    """

    who: str
    question: str
    at: str
    answer: Callable[[Tables], str | None]
    code: Callable[[Tables], str] = lambda tables: ""


def _cell(table: str, column: str, form: str, **keys: object) -> Callable[[Tables], str | None]:
    """The number of one cell, in a form of `words`."""

    def answer(tables: Tables) -> str | None:
        values = tables[table].filter(**keys)[column].drop_nulls()
        return FORMS[form](values[0]) if len(values) else None

    return answer


def _sentence(said: str, *parts: Callable[[Tables], str | None]) -> Callable[[Tables], str | None]:
    """A sentence with numbers in it; none where one of them is unknown."""

    def answer(tables: Tables) -> str | None:
        known = [part(tables) for part in parts]
        return None if None in known else said.format(*known)

    return answer


def _tier(view: str) -> Callable[[Tables], str | None]:
    keys = {"view": view, "audit_dimension": "need_tier", "audit_group": "A"}
    return _cell("mart_audit_group", "per_pupil_agorot", "nis", **keys)


def _losers(tables: Tables) -> str | None:
    """Who loses most where nobody's money is counted on."""
    rows = tables["mart_scenario_school"].filter(
        pl.col("cost_change_agorot") < 0, scenario_id="confirmed_only"
    )
    if rows.is_empty():
        return None
    row = rows.sort("cost_change_agorot", "semel_mosad").row(0, named=True)
    return f"{row['school_name_he']} {FORMS['nis_change'](row['cost_change_agorot'])} ₪"


def _plan_of(column: str) -> Callable[[Tables], str | None]:
    return _cell("mart_allocation_certificate", column, "nis")


ASKED: tuple[Asked, ...] = (
    Asked(
        "committee",
        "כמה כסף מוצע לחלק, וכמה ממנו של הרשות?",
        "index.html",
        _sentence(
            "{} ₪ מכל ערוצי המימון יחד {} ₪ מתקציב הרשות",
            _plan_of("cost_agorot"),
            _plan_of("municipal_agorot"),
        ),
    ),
    Asked(
        "committee",
        "כמה חודשי למידה זה צפוי להביא, ובאיזה טווח?",
        "index.html",
        _sentence(
            "{} חודשי למידה בשנה, סך כל המשתתפים ( {} עד {} ;",
            *(
                _cell(
                    "mart_scenario", f"benefit{end}_sd_pupils", "pupil_months", scenario_id="base"
                )
                for end in ("", "_lo", "_hi")
            ),
        ),
    ),
    Asked(
        "committee",
        "האם הנזקקים מקבלים יותר?",
        "index.html",
        _sentence("תלמיד בדרגת צורך א מקבל מן התוכנית {} ₪", _tier("plan")),
    ),
    Asked(
        "committee",
        "והאם גם עם כספי המשרד והגפ״ן?",
        "index.html",
        _sentence('עם כספי המשרד והגפ"ן: {} ₪', _tier("total")),
    ),
    Asked(
        "committee",
        "מה קורה אם הכסף שלא אושר לא יגיע?",
        "index.html",
        _sentence(
            "האם לסמוך על כסף שטרם אושר? כן, כבתוכנית; או רק כסף שאושר {} מן התועלת המשוקללת בצורך",
            _cell(
                "mart_scenario",
                "worth_change_pct",
                "percent_change",
                scenario_id="confirmed_only",
                scenario_status="solved",
            ),
        ),
    ),
    Asked("committee", "ומי מפסיד אז הכי הרבה?", "scenarios.html", _losers),
    Asked(
        "committee",
        "איזה חלק מתקציב הרשות הולך למצוינות?",
        "questions.html",
        _sentence(
            "{} מתקציב הרשות,",
            _cell("mart_allocation_answer", "answer_value", "percent", answer_id="excellence_pct"),
        ),
    ),
    Asked(
        "committee",
        "על כמה מן הכסף אין שום מדד?",
        "index.html",
        _sentence(
            "מה מביאים {} מן הכסף: אין מדד",
            _cell("mart_plan_evidence", "money_share_pct", "percent", evidence_kind="committee"),
        ),
    ),
    Asked(
        "parent",
        "כמה בתי ספר וכמה תלמידים בתוכנית?",
        "index.html",
        _sentence("{} בתי ספר בתוכנית", _cell("mart_allocation_certificate", "schools", "integer")),
    ),
    Asked(
        "parent",
        "כמה יתקדם ילד שמתקשה?",
        "questions.html",
        _sentence(
            "{} חודשי למידה לתלמיד מהשליש החלש",
            _cell("mart_plan_progress", "progress_sd", "months_fine", level_band="weak"),
        ),
    ),
)
