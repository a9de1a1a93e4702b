"""What a principal, a parent and the committee ask of one school or one response."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from models.keys import WHOLE
from pipelines.publish.words import FORMS, label
from tests.publish.asked import Asked, Tables

SCHOOL, RESPONSE = "schools/{code}.html", "responses/{code}.html"


def _school(tables: Tables) -> str:
    """The school with the most lines, the first by code."""
    rows = tables["mart_allocation_school"].sort(
        "responses_count", "semel_mosad", descending=[True, False]
    )
    return str(rows["semel_mosad"][0])


def _money(table: str, column: str, form: str = "nis") -> Callable[[Tables], str | None]:
    def answer(tables: Tables) -> str | None:
        values = tables[table].filter(semel_mosad=_school(tables))[column].drop_nulls()
        return f"{FORMS[form](values[0])} ₪" if len(values) else None

    return answer


def _withheld(tables: Tables) -> pl.DataFrame:
    """Responses that schools do not get because their money does more elsewhere."""
    return (
        tables["mart_allocation_reason"]
        .filter(pl.col("plan_dose_level").is_null(), allocation_reason="below_line")
        .join(tables["mart_response"], on="response_id")
        .sort("semel_mosad", "response_id")
    )


def _refused(tables: Tables) -> str:
    rows = _withheld(tables)
    return str(rows["semel_mosad"][0]) if rows.height else _school(tables)


def _why_not(tables: Tables) -> str | None:
    rows = _withheld(tables)
    return f"{rows['response_name_he'][0]} מועיל יותר במקום אחר" if rows.height else None


def _instead(tables: Tables) -> str | None:
    """The first school, by name, that gets what was refused, and its money."""
    rows = _withheld(tables)
    if rows.is_empty():
        return None
    got = (
        tables["mart_plan_line"]
        .filter(response_id=rows["response_id"][0])
        .join(tables["mart_need_index"].select("semel_mosad", "school_name_he"), on="semel_mosad")
        .sort("school_name_he", "semel_mosad")
    )
    if got.is_empty():
        return None
    return f"{got['school_name_he'][0]} ( {FORMS['nis'](got['cost_agorot'][0])} ₪"


def _gaps_with_peers(tables: Tables) -> pl.DataFrame:
    below = tables["mart_gap_school"].filter(
        pl.col("gap_tier").is_in(["surely_below", "probably_below"]), pl.col("subject") != WHOLE
    )
    return below.join(
        tables["mart_peer_school"].filter(peer_place=1), on=["semel_mosad", "subject"]
    ).sort("semel_mosad", "subject")


def _below(tables: Tables) -> str:
    rows = _gaps_with_peers(tables)
    return str(rows["semel_mosad"][0]) if rows.height else _school(tables)


def _call(tables: Tables) -> str | None:
    rows = _gaps_with_peers(tables)
    if rows.is_empty():
        return None
    names = dict(tables["mart_need_index"].select("semel_mosad", "school_name_he").iter_rows())
    peer = rows["peer_semel_mosad"][0]
    return f": {names[peer]}"


def _distance(tables: Tables) -> str | None:
    rows = _gaps_with_peers(tables)
    if rows.is_empty():
        return None
    gap = rows.row(0, named=True)
    ends = [FORMS["months_from_target"](gap[end]) for end in ("gap_sd", "gap_hi_sd", "gap_lo_sd")]
    return f"{label('subject', gap['subject'])} {ends[0]} {ends[1]} עד {ends[2]}"


def _given(tables: Tables) -> str | None:
    """The dearest line of the school, with its money."""
    rows = (
        tables["mart_plan_line"]
        .filter(semel_mosad=_school(tables))
        .join(tables["mart_response"], on="response_id")
        .sort("cost_agorot", "response_id", descending=[True, False])
    )
    return FORMS["nis"](rows["cost_agorot"][0]) if rows.height else None


def _rated(tables: Tables) -> str:
    return str(tables["mart_rating"].sort("response_id")["response_id"][0])


def _colours(tables: Tables) -> str | None:
    row = tables["mart_rating"].sort("response_id").row(0, named=True)
    return (
        f"כל המדרגים ( {row['raters']} ) {row['red_raters']} {row['yellow_raters']}"
        f" {row['green_raters']}"
    )


def _decided(tables: Tables) -> str:
    rows = tables["mart_proposal"].filter(~pl.col("needs_decision")).sort("response_id")
    return str(rows["response_id"][0]) if rows.height else _rated(tables)


def _decision(tables: Tables) -> str | None:
    rows = tables["mart_proposal"].filter(~pl.col("needs_decision")).sort("response_id")
    return f"הוחלט: {label('decision', rows['decision'][0])}" if rows.height else None


def _marks(tables: Tables) -> str | None:
    rows = tables["mart_evidence_mark"].filter(response_id=_rated(tables))
    return f"{rows['evidence_marks'][0]} מתוך 5" if rows.height else None


def _on_assumption(tables: Tables) -> str | None:
    """The response on assumption alone that the plan gives most to, with its money."""
    rows = (
        tables["mart_evidence_mark"]
        .filter(evidence_marks=0)
        .join(tables["mart_voice_plan"], on="response_id")
        .join(tables["mart_response"], on="response_id")
        .drop_nulls("allocated_agorot")
        .sort("allocated_agorot", "response_id", descending=[True, False])
    )
    if rows.is_empty():
        return None
    return f"{rows['response_name_he'][0]} {FORMS['nis'](rows['allocated_agorot'][0])}"


SCHOOLS_ASKED: tuple[Asked, ...] = (
    Asked(
        "principal",
        "כמה בית הספר שלי מקבל בתוכנית?",
        SCHOOL,
        _money("mart_allocation_school", "cost_agorot"),
        _school,
    ),
    Asked(
        "principal",
        "כמה קיבלנו אשתקד?",
        SCHOOL,
        _money("mart_last_plan", "last_year_agorot"),
        _school,
    ),
    Asked(
        "principal",
        "כמה הייתה נותנת לנו הנוסחה?",
        SCHOOL,
        _money("mart_allocation_school", "formula_agorot"),
        _school,
    ),
    Asked("principal", "למה לא קיבלנו את המענה הזה?", SCHOOL, _why_not, _refused),
    Asked("principal", "מי קיבל אותו במקומנו?", SCHOOL, _instead, _refused),
    Asked("principal", "כמה אנחנו רחוקים מן היעד?", SCHOOL, _distance, _below),
    Asked("principal", "אל מי אפשר להתקשר?", SCHOOL, _call, _below),
    Asked("parent", "על מה הולך רוב הכסף בבית הספר של הילד?", SCHOOL, _given, _school),
    Asked("committee", "כמה אנשים דירגו את המענה בכל צבע?", RESPONSE, _colours, _rated),
    Asked("committee", "מה הוחלט על המענה?", RESPONSE, _decision, _decided),
    Asked("committee", "עד כמה חזקות הראיות?", RESPONSE, _marks, _rated),
    Asked("committee", "לאיזה מענה בלי ראיות הולך הכי הרבה כסף?", "responses.html", _on_assumption),
)
