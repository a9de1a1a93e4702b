"""What a row about the year's follow-up must say: reports, payments, tickets, recipients, receipts.

A row that breaks a rule is set aside with a sentence in both languages (R76, R103, R105). Rules are
SQL conditions over the raw table of their source, true for a bad row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipelines.settings.fields import dictionary
from pipelines.sources.committee import cycle_rules

TICKETS = "act__tickets"
Rule = tuple[str, str, str, str, str]
"""Column, reason code, condition, the rule in English and in Hebrew (empty: the code says all)."""
_AT = ("shown_release", "ticket_cell", "semel_mosad")
# The versions that are not for every role, and the families of roles that may get them.
_ONLY_FOR = {
    "analyst": ("city",),
    "inspectors": ("inspectorate", "city"),
    "principals": ("schools", "inspectorate", "city"),
}
_FAULTS = {
    "unknown": (
        "no page shows such a number: copy the address from the page, mart/key/column",
        "אין בדפים מספר כזה: יש להעתיק את הכתובת מן הדף",
    ),
    "city": (
        "the number is of no school: a ticket is about a number of the school's own page",
        "המספר אינו של בית ספר; פנייה היא על מספר בדף של בית הספר",
    ),
    "absent": (
        "the release that was read holds no such number",
        "בפרסום שנקרא אין מספר כזה",
    ),
    "other_school": (
        "the number is of another school than the ticket",
        "המספר הוא של בית ספר אחר, לא של בית הספר הפונה",
    ),
}


@dataclass(frozen=True)
class WrongCell:
    """A ticket's release, address and school that do not go together, and why (`_FAULTS`)."""

    fault: str
    at: tuple[str | None, ...]


def wrong_cells(rows: pl.DataFrame, releases: Path | None) -> tuple[WrongCell, ...]:
    """Return what tickets say of cells that are not there.

    A release that was pruned tells no more what it held; of it the address alone is judged.

    Args:
        rows: of `act__tickets`, in the contract's spelling.
        releases: the folder of the releases that are kept; None = not known here.
    """
    found = []
    for ticket in rows.select(_AT).drop_nulls("ticket_cell").unique().sort(_AT).iter_rows():
        release, cell, school = ticket
        fault = _fault_of_address(cell, school)
        if not fault and releases is not None and release is not None:
            fault = _fault_in_release(releases / release, cell, school)
        if fault:
            found.append(WrongCell(fault, ticket))
    return tuple(found)


def cell_parts(cell: str) -> tuple[str, str, str]:
    """Return mart, key and column of the address of a published cell."""
    mart, _, rest = cell.partition("/")
    key, _, column = rest.rpartition("/")
    return mart, key, column


def _fault_of_address(cell: str, school: str | None) -> str:
    mart, key, column = cell_parts(cell)
    table = dictionary().tables.get(mart)
    if table is None or table.layer != "mart" or column not in table.columns:
        return "unknown"
    named = [part.partition("=")[0] for part in key.split(";")]
    if tuple(named) != table.key:
        return "unknown"
    if "semel_mosad" not in table.columns:
        return "city"
    given = dict(part.split("=", 1) for part in key.split(";"))
    return "other_school" if given.get("semel_mosad", school) != school else ""


def _fault_in_release(release: Path, cell: str, school: str | None) -> str:
    mart, key, _ = cell_parts(cell)
    if not release.is_dir():
        return ""
    named = dictionary().tables[mart].key
    for path in sorted(release.glob(f"*/{mart}.parquet")):
        table = pl.read_parquet(path)
        if not {*named, "semel_mosad"} <= set(table.columns):
            continue
        for row in table.select(*{*named, "semel_mosad"}).iter_rows(named=True):
            if ";".join(f"{name}={row[name]}" for name in named) == key:
                return "" if row["semel_mosad"] == school else "other_school"
    return "absent"


def follow_up_rules(
    source_id: str,
    *,
    planning_year: int | None,
    responses: Sequence[str],
    is_municipal: bool,
    releases: Sequence[str] | None,
    wrong: Sequence[WrongCell],
) -> Iterator[Rule]:
    """Yield what rows of a source of the follow-up must satisfy; nothing for other sources.

    Args:
        source_id: the logical source.
        planning_year: the year the city plans for; None = not known here.
        responses: ids of the responses; none = not known here.
        is_municipal: whether the register lists all schools that a row may name.
        releases: ids of all releases that were published; None = not known here.
        wrong: what tickets say of cells that are not there.
    """
    if releases is not None and "shown_release" in dictionary().contract(source_id).contract:
        yield (
            "shown_release",
            "implausible",
            f"shown_release NOT IN ({_listed(releases) or 'NULL'})"
            if releases
            else "shown_release IS NOT NULL",
            "nobody published a release of this name",
            "לא פורסם פרסום בשם זה",
        )
    match source_id:
        case "act__plan_status":
            yield from _line(responses, is_municipal=is_municipal)
            yield from _until("status_on", planning_year)
            yield (
                "work_status",
                "implausible",
                "work_status = 'not_started' AND (TRY_CAST(participants_now AS BIGINT) > 0 OR"
                " milestone_done IS NOT NULL)",
                "not started, but pupils take part or a milestone is done",
                "נכתב שטרם החל, אבל יש משתתפים או אבן דרך שהושלמה",
            )
        case "finance__ledger":
            yield from _line(responses, is_municipal=is_municipal)
            yield from _until("paid_month", planning_year)
            yield (
                "paid_month",
                "implausible",
                "day(TRY_CAST(paid_month AS DATE)) <> 1",
                "a month is written by its first day; two days of one month would be two months",
                "חודש נכתב לפי היום הראשון שבו; שני ימים באותו חודש היו נספרים כשני חודשים",
            )
        case "act__tickets":
            yield from _tickets(planning_year, wrong)
        case "act__recipients":
            yield from _recipients()
        case "act__receipts":
            yield from _until("acknowledged_on", planning_year)
            yield (
                "recipient_id",
                "implausible",
                "recipient_id NOT IN (SELECT recipient_id FROM raw.raw_act__recipients WHERE"
                " recipient_id IS NOT NULL)",
                "nobody on the list of recipients has this number",
                "אין ברשימת הנמענים מי שמספרו כזה",
            )


def _line(responses: Sequence[str], *, is_municipal: bool) -> Iterator[Rule]:
    """Yield what a row that names a line of the plan (school/response) must satisfy."""
    school, response = (f"split_part(plan_row_ref, '/', {place})" for place in (1, 2))
    if is_municipal:
        yield (
            "plan_row_ref",
            "implausible",
            f"EXISTS (SELECT 1 FROM raw.raw_register__schools) AND {school} <> 'city' AND {school}"
            " NOT IN (SELECT semel_mosad FROM raw.raw_register__schools WHERE semel_mosad IS NOT"
            " NULL UNION SELECT semel_mosad_old FROM raw.raw_register__merges WHERE semel_mosad_old"
            " IS NOT NULL)",
            "before the slash stands no school of the register, nor 'city'",
            "לפני הקו הנטוי אין סמל של מוסד רשום, וגם לא city",
        )
    if responses:
        yield (
            "plan_row_ref",
            "implausible",
            f"plan_row_ref LIKE '%/%' AND {response} NOT IN ({_listed(responses)})",
            "behind the slash stands no response of the registry",
            "אחרי הקו הנטוי אין מענה רשום",
        )


def _until(day: str, planning_year: int | None) -> Iterator[Rule]:
    """Yield that a day is not after the planned year; earlier years may stay in a file."""
    if planning_year is not None:
        yield (
            day,
            "implausible",
            f"TRY_CAST({day} AS DATE) NOT BETWEEN DATE '2000-01-01' AND"
            f" make_date({planning_year}, 8, 31)",
            f"a day after August {planning_year}, the end of the planned year, or before 2000",
            f"יום אחרי אוגוסט {planning_year}, סוף שנת התכנון, או לפני שנת 2000",
        )


def _tickets(planning_year: int | None, wrong: Sequence[WrongCell]) -> Iterator[Rule]:
    for day in ("asked_on", "answered_on"):
        for column, condition, en, he in cycle_rules(day, planning_year):
            if day == "asked_on" or column == day:
                yield column, "implausible", condition, en, he
    for fault, (en, he) in _FAULTS.items():
        same = " OR ".join(
            "("
            + " AND ".join(
                f"{name} IS NOT DISTINCT FROM {_text(value)}"
                for name, value in zip(_AT, one.at, strict=True)
            )
            + ")"
            for one in wrong
            if one.fault == fault
        )
        if same:
            yield "ticket_cell", "implausible", same, en, he
    yield (
        "value_said",
        "implausible",
        "(ticket_kind = 'correct') <> (value_said IS NOT NULL)",
        "a correction says the right value, and nothing else does",
        "בתיקון כותבים את הערך הנכון, ובאישור או בשאלה לא כותבים ערך",
    )
    yield (
        "ticket_reason",
        "missing",
        "ticket_reason IS NULL AND ticket_kind <> 'confirm'",
        "",
        "",
    )
    parts = ("ticket_answer", "answered_by_role", "answer_reason", "answered_on")
    given = " + ".join(f"CAST({name} IS NOT NULL AS INTEGER)" for name in parts)
    for name in parts:
        yield (
            name,
            "implausible",
            f"{name} IS NULL AND {given} > 0",
            "an answer has four parts: what, by which role, why and when",
            "לתשובה ארבעה חלקים: מה, באיזה תפקיד, למה ומתי",
        )
    yield (
        "ticket_answer",
        "implausible",
        "(ticket_kind = 'correct' AND ticket_answer = 'answered') OR (ticket_kind = 'ask' AND"
        " ticket_answer IN ('accepted', 'declined')) OR (ticket_kind = 'confirm' AND ticket_answer"
        " IS NOT NULL)",
        "a correction is accepted or declined, a question answered, a confirmation needs nothing",
        "תיקון מתקבל או לא מתקבל, שאלה נענית, ואישור אינו טעון תשובה",
    )
    yield (
        "answered_on",
        "implausible",
        "TRY_CAST(answered_on AS DATE) < TRY_CAST(asked_on AS DATE)",
        "answered before it was asked",
        "התשובה קודמת לפנייה",
    )


def _recipients() -> Iterator[Rule]:
    families = dictionary().families
    for audience, allowed in _ONLY_FOR.items():
        roles = [role for family in allowed for role in families[family]]
        yield (
            "audience",
            "implausible",
            f"audience = '{audience}' AND role NOT IN ({_listed(roles)})",
            f"the version '{audience}' is for these roles alone: {', '.join(roles)}",
            "הגרסה הזאת אינה לתפקיד הזה: יש לבחור גרסה שמותרת לו",
        )
    yield (
        "semel_mosad",
        "implausible",
        "audience = 'principals' AND semel_mosad IS NULL",
        "the version of the principals is of one school: name the school",
        "הגרסה של מנהלי בתי הספר היא של בית ספר אחד: יש לכתוב את סמל המוסד",
    )


def _text(value: str | None) -> str:
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


def _listed(values: Sequence[str]) -> str:
    return ", ".join(map(_text, values))
