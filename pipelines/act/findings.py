"""The main findings of a release, in Hebrew and English sentences made from the marts.

Each sentence carries its n and says how sure it is; none of them reads an association as an effect.
"""

from __future__ import annotations

import polars as pl

from pipelines.diagnose.not_measured import BANDS_ONLY
from pipelines.settings.city import CityFolder
from pipelines.settings.fields import dictionary
from pipelines.warehouse.tables import Step, Tables, table_of


def main_findings(tables: Tables) -> pl.DataFrame:
    """Return the findings in order of importance: gaps, reach, money, and what is not measured."""
    sentences = [_gaps(tables), _money(tables), *_unmet(tables), _blind(tables)]
    return table_of(
        "mart_finding",
        [(order, he, en, table) for order, (he, en, table) in enumerate(sentences[:3], start=1)],
    )


def _gaps(tables: Tables) -> tuple[str, str, str]:
    cells = tables["mart_gap_school"].filter(pl.col("subject") != "all")
    measured = cells.filter("is_measured")
    surely = measured.filter(pl.col("gap_tier") == "surely_below")
    unsure = measured.filter(pl.col("gap_tier") == "cannot_tell")
    absent = cells.height - measured.height
    worst = surely.group_by("subject").len().sort("len", "subject", descending=[True, False])
    worst_he = (
        f", רובם ב{dictionary().label('subject', worst['subject'][0])} ({worst['len'][0]})"
        if worst.height
        else ""
    )
    worst_en = (
        f", most of them in {worst['subject'][0]} ({worst['len'][0]})" if worst.height else ""
    )
    bands = measured["is_band"].sum()
    bands_he = f" (מהם {bands} ידועים רק כרצועה)" if bands else ""
    bands_en = f" ({bands} of them known only as a band)" if bands else ""
    return (
        (
            f"מתוך {measured.height} צירופים של בית ספר ומקצוע שנמדדו{bands_he}, {surely.height}"
            f" נמצאים בוודאות (95% ומעלה) מתחת ליעד{worst_he}; ב־{unsure.height} אי אפשר לדעת,"
            f" ו־{absent} לא נמדדו כלל."
        ),
        (
            f"Of {measured.height} measured school × subject pairs{bands_en}, {surely.height} are"
            f" surely (95 % or more) below target{worst_en}; {unsure.height} cannot be told apart"
            f" from it, and {absent} were not measured."
        ),
        "mart_gap_school",
    )


def _money(tables: Tables) -> tuple[str, str, str]:
    schools = tables["mart_allocation_school"]
    certificate = tables["mart_allocation_certificate"].row(0, named=True)
    top = schools.filter(pl.col("need_tier") == "A")
    money = _percentage(top, schools, "cost_agorot")
    pupils = _percentage(top, schools, "pupils")
    total = (certificate["cost_agorot"] - certificate["city_services_agorot"]) / 100
    return (
        (
            f"התוכנית מקצה {total:,.0f} ₪ ל־{schools.height} בתי ספר: {money:.0f}% מהכסף מגיע"
            f" ל־{top.height} בתי הספר בדרגת הצורך הגבוהה (A), שבהם {pupils:.0f}% מהתלמידים."
        ),
        (
            f"The plan allocates {total:,.0f} NIS to {schools.height} schools: {money:.0f} % of the"
            f" money goes to the {top.height} schools of the greatest need (tier A), which have"
            f" {pupils:.0f} % of the pupils."
        ),
        "mart_allocation_school",
    )


def _percentage(part: pl.DataFrame, whole: pl.DataFrame, column: str) -> float:
    return 100 * int(part[column].sum()) / max(int(whole[column].sum()), 1)


def _unmet(tables: Tables) -> list[tuple[str, str, str]]:
    """Name the response that the most eligible schools lack, where participation is known."""
    conditional = tables["mart_response_map"].filter(
        "is_measured",
        "is_eligible",
        ~pl.col("is_served"),
        pl.col("eligibility_reason_en") != "no condition",
    )
    if conditional.is_empty():
        return []
    lacking = (
        conditional.group_by("response_id")
        .len()
        .sort("len", "response_id", descending=[True, False])
    )
    response_id, count = lacking.row(0)
    name = tables["mart_response"].filter(pl.col("response_id") == response_id).row(0, named=True)
    return [
        (
            (
                f"צורך שלא נענה: {count} בתי ספר זכאים ל{name['response_name_he']} ואינם מקבלים"
                " אותו כיום."
            ),
            (
                f"Unmet need: {count} schools are eligible for {name['response_name_en']} and do"
                " not have it now."
            ),
            "mart_response_map",
        )
    ]


def _blind(tables: Tables) -> tuple[str, str, str]:
    # A missing source says it once; the indicators it would have fed need not repeat it. A band is
    # a coarse measurement, not a missing one.
    absent = tables["mart_not_measured"].filter(
        pl.col("schools_not_measured") == pl.col("schools"),
        ~pl.col("item_id").str.starts_with("indicator."),
        pl.col("item_id") != BANDS_ONLY,
    )
    items_he = ", ".join(absent.sort("item_id")["item_he"])
    items_en = ", ".join(absent.sort("item_id")["item_en"])
    return (
        f"לא נמדדו כלל {absent.height} דברים שהתוכנית הייתה צריכה לדעת: {items_he}.",
        (
            f"{absent.height} things that the plan would need to know are not measured at all:"
            f" {items_en}."
        ),
        "mart_not_measured",
    )


def findings(city: CityFolder, tables: Tables) -> Tables:
    """Return the main findings in words."""
    return {"mart_finding": main_findings(tables)}


STEPS = (
    Step(
        "findings",
        "act",
        makes=("mart_finding",),
        reads=(
            "mart_gap_school",
            "mart_need_index",
            "mart_allocation_school",
            "mart_allocation_certificate",
            "mart_response_map",
            "mart_response",
            "mart_not_measured",
        ),
        compute=findings,
    ),
)
