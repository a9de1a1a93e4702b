"""A decided plan lived through: ten months of reports and payments, with planted deviations.

The generator takes the plan's lines and their money and plays the school year: what was planned is
done near plan, but for what is planted: a line that opens late, a response that hardly spends, a
school that never reports, money of others that nobody confirmed, a payment for what was not
decided, a line that few attend. Schools write what they find on their pages: a number that is wrong
and is put right, one that is right and stays, a question. The truth says which.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

MONTHS = (9, 10, 11, 12, 1, 2, 3, 4, 5, 6)
OF_YEAR = "y"
"""How the ids of letters of the year begin."""
_BASKET, _OF = "gefen_school", ("semel_mosad", "response_id")
PACE_SD, COMING_SD = 0.06, 0.05
"""Spread of a month's payments and of who comes, around plan: an undisturbed line is no alert."""


@dataclass(frozen=True)
class Year:
    """What is written over a year, and what was planted in it.

    Attributes:
        status: row, day, status, participants, milestone, note (contract of `act__plan_status`).
        ledger: row, channel, month, paid in NIS (contract of `finance__ledger`).
        letters: of the principals (contract of `finance__confirmations`).
        tickets: of the schools (contract of `act__tickets`).
        recipients: who gets the release (contract of `act__recipients`).
        receipts: who acknowledged it (contract of `act__receipts`).
        truth: alert_kind, and what it is planted on (plan_row_id, response_id or semel_mosad).
        true_ticket: ticket, whether what it says is so (null: it says nothing), and the source that
            its number comes from.
    """

    status: pl.DataFrame
    ledger: pl.DataFrame
    letters: pl.DataFrame
    tickets: pl.DataFrame
    recipients: pl.DataFrame
    receipts: pl.DataFrame
    truth: pl.DataFrame
    true_ticket: pl.DataFrame


def play(
    lines: pl.DataFrame,
    money: pl.DataFrame,
    letters: pl.DataFrame,
    year: int,
    release: str,
    *,
    months: int = 10,
    seed: int = 1,
) -> Year:
    """Play some months of a school year over a decided plan.

    Args:
        lines: plan_row_id, semel_mosad (null = the whole city), response_id, participants,
            cost_agorot.
        money: plan_row_id, funding_channel, amount_agorot.
        letters: those that are there (contract of `finance__confirmations`): what was refused is
            not paid, and of what a school answered nothing is planted.
        year: the school year planned, by the year in which it ends.
        release: the release that was decided on, which schools read.
        months: how many of its ten months, from September on.
        seed: of the random stream.

    Returns:
        What people and the treasurer write, and what was planted.
    """
    rng = np.random.default_rng([seed, year])
    rows = lines.sort("plan_row_id").to_dicts()
    of_schools = [row for row in rows if row["semel_mosad"]]
    answered = {f"{school}/{name}" for school, name in letters.select(*_OF).iter_rows()}
    denied = letters.filter(pl.col("answer") != "confirmed")
    refused = set(denied.select("response_id", "channel").iter_rows())
    by_school = {f"{school}/{name}" for school, name in denied.select(*_OF).iter_rows()}
    truth = _planted(of_schools, money, answered, rng)
    late, idle, silent, empty = (
        {one["on"] for one in truth if one["alert_kind"] == kind}
        for kind in ("overdue", "under_spent", "silent_school", "under_attended")
    )
    paid_by = {
        key: dict(part.select("funding_channel", "amount_agorot").iter_rows())
        for (key,), part in money.group_by("plan_row_id")
    }
    status, ledger = [], []
    for row in rows:
        name = row["plan_row_id"]
        for number, month in enumerate(MONTHS[:months]):
            first = date(year - (month >= 9), month, 1)
            pace = max(1 + PACE_SD * rng.normal(), 0.0)
            if row["response_id"] in idle:
                pace *= 0.2
            ledger += [
                (name, channel, first, round(pace * amount / len(MONTHS) / 100, 2))
                for channel, amount in sorted(paid_by.get(name, {}).items())
                if (
                    name not in by_school
                    if channel == _BASKET
                    else (row["response_id"], channel) not in refused
                )
            ]
            if row["semel_mosad"] in silent:
                continue
            coming = row["participants"] * min(1 + COMING_SD * rng.normal(), 1.2)
            is_late = name in late and number < 4
            status.append(
                (
                    name,
                    date(first.year, month, 28),
                    "not_started" if is_late else "running",
                    0 if is_late else round(coming * (0.4 if name in empty else 1)),
                    None if is_late else "opened" if number < 5 else "checked",
                    None,
                )
            )
    unconfirmed = {one["on"] for one in truth if one["alert_kind"] == "not_confirmed"}
    schools = sorted({row["semel_mosad"] for row in of_schools} - silent)
    tickets, true_ticket = _tickets(schools, of_schools, year, release, seed)
    lived_to = date(year - (MONTHS[months - 1] >= 9), MONTHS[months - 1], 28)
    recipients, receipts = _lists(schools, year, release)
    ledger += [
        (one["on"], "municipal_own", date(year - 1, 10, 1), 7_500.0)
        for one in truth
        if one["alert_kind"] == "not_decided"
    ]
    return Year(
        pl.DataFrame(
            status,
            schema={
                "row": pl.String,
                "day": pl.Date,
                "status": pl.String,
                "participants": pl.Int64,
                "milestone": pl.String,
                "note": pl.String,
            },
            orient="row",
        ),
        pl.DataFrame(
            ledger,
            schema={"row": pl.String, "channel": pl.String, "month": pl.Date, "paid": pl.Float64},
            orient="row",
        ).filter(pl.col("paid") > 0),
        _letters(lines, money, year, unconfirmed),
        tickets.filter(pl.col("asked") <= lived_to),
        recipients,
        receipts.filter(pl.col("day") <= lived_to),
        pl.DataFrame(truth, schema={"alert_kind": pl.String, "on": pl.String}),
        true_ticket,
    )


def _tickets(
    schools: list[str], rows: list[dict], year: int, release: str, seed: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what four schools write about their pages, and what is true of it."""
    rng = np.random.default_rng([seed, year, 1])
    wrong, right, asking, content = rng.choice(schools, 4, replace=False).tolist()
    line = next(row["plan_row_id"] for row in rows if row["semel_mosad"] == asking)
    pupils, first, second = (
        "mart_need_index/semel_mosad={}/last_registered_pupils",
        (10, 11),
        (11, 8),
    )
    written = [
        {
            "school": wrong,
            "asked": first,
            "kind": "correct",
            "cell": pupils.format(wrong),
            "value": int(rng.integers(300, 600)),
            "reason": "כיתה אחת נרשמה פעמיים",
            "answer": "accepted",
            "why": "נבדק מול המרשם",
        },
        {
            "school": right,
            "asked": first,
            "kind": "correct",
            "cell": pupils.format(right),
            "value": int(rng.integers(300, 600)),
            "reason": "נראה לנו גבוה",
            "answer": "declined",
            "why": "המרשם נכון",
        },
        {
            "school": asking,
            "asked": second,
            "kind": "ask",
            "cell": f"mart_work_plan/plan_row_id={line}/cost_agorot",
            "reason": "מה כלול בעלות?",
        },
        {"school": content, "asked": second, "kind": "confirm", "cell": pupils.format(content)},
    ]
    texts = ("school", "kind", "cell", "value", "reason", "answer", "why")
    tickets = (
        pl.DataFrame(
            [
                {name: None if row.get(name) is None else str(row[name]) for name in texts}
                | {"asked": date(year - 1, *row["asked"])}
                for row in written
            ],
            schema={**dict.fromkeys(texts, pl.String), "asked": pl.Date},
        )
        .with_row_index("number", 1)
        .select(
            ticket=pl.format("t{}", "number"),
            planning_year=pl.lit(year, pl.Int64),
            release=pl.lit(release),
            role=pl.lit("principal"),
            asked="asked",
            **{name: name for name in texts},
            by=pl.when(pl.col("answer").is_not_null()).then(pl.lit("registrar")),
            answered=pl.when(pl.col("answer").is_not_null()).then(
                pl.col("asked") + pl.duration(days=7)
            ),
        )
    )
    truth = pl.DataFrame(
        {
            "ticket": tickets["ticket"],
            "is_true": [True, False, None, True],
            "source_id": ["register__schools", "register__schools", None, "register__schools"],
        }
    )
    return tickets, truth


def _lists(schools: list[str], year: int, release: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return who gets the release and who acknowledged it: all but the last of each list."""
    people = [
        ("department_head", "analyst", None),
        ("treasurer", "analyst", None),
        *[("council_member", "committee", None)] * 3,
        *[("parent_rep", "committee", None)] * 2,
        *[("inspector", "inspectors", None)] * 2,
        *(("principal", "principals", school) for school in schools[:4]),
    ]
    recipients = pl.DataFrame(
        people,
        schema={"role": pl.String, "audience": pl.String, "school": pl.String},
        orient="row",
    ).select(
        pl.format("r{}", pl.int_range(1, pl.len() + 1)).alias("recipient"),
        "role",
        "audience",
        "school",
        pl.lit("hebrew").alias("language"),
        pl.format("r{}@example.org", pl.int_range(1, pl.len() + 1)).alias("address"),
    )
    receipts = recipients.filter(
        pl.int_range(pl.len()).over("audience") < pl.len().over("audience") - 1
    ).select("recipient", release=pl.lit(release), day=pl.lit(date(year - 1, 9, 15)))
    return recipients, receipts


def _letters(
    lines: pl.DataFrame, money: pl.DataFrame, year: int, unconfirmed: set[str]
) -> pl.DataFrame:
    """Return the principals' letters: each confirms its line, but for what is planted."""
    return (
        lines.filter(~pl.col("plan_row_id").is_in(list(unconfirmed)))
        .drop_nulls("semel_mosad")
        .select("plan_row_id", "semel_mosad", "response_id")
        .join(money.filter(funding_channel=_BASKET), on="plan_row_id")
        .sort("plan_row_id")
        .select(
            letter=pl.concat_str(pl.lit(OF_YEAR), pl.int_range(pl.len()).cast(pl.String)),
            planning_year=pl.lit(year, pl.Int64),
            response_id="response_id",
            semel_mosad="semel_mosad",
            channel=pl.lit(_BASKET),
            answer=pl.lit("confirmed"),
            answered_by=pl.lit("principal"),
            answered_on=pl.lit(date(year - 1, 8, 25)),
            amount=pl.col("amount_agorot") / 100,
            reference=pl.lit(""),
        )
    )


def _planted(
    of_schools: list[dict], money: pl.DataFrame, answered: set[str], rng: np.random.Generator
) -> list[dict[str, str]]:
    """Choose what goes wrong, each on a line of its own."""
    order = [of_schools[place] for place in rng.permutation(len(of_schools))]
    silent = order[0]["semel_mosad"]
    others = [row for row in order if row["semel_mosad"] != silent]
    late, empty = others[0], others[1]
    idle = next(
        row["response_id"]
        for row in others
        if row["response_id"] not in (late["response_id"], empty["response_id"])
    )
    have = {(row["semel_mosad"], row["response_id"]) for row in of_schools}
    responses = sorted({row["response_id"] for row in of_schools})
    undecided = next(
        f"{row['semel_mosad']}/{name}"
        for row in order
        for name in responses
        if (row["semel_mosad"], name) not in have
    )
    baskets = set(money.filter(funding_channel=_BASKET)["plan_row_id"])
    asked = next(
        row["plan_row_id"]
        for row in others[2:]
        if row["plan_row_id"] in baskets - answered and row["response_id"] != idle
    )
    return [
        {"alert_kind": "not_confirmed", "on": asked},
        {"alert_kind": "silent_school", "on": silent},
        {"alert_kind": "overdue", "on": late["plan_row_id"]},
        {"alert_kind": "under_attended", "on": empty["plan_row_id"]},
        {"alert_kind": "under_spent", "on": idle},
        {"alert_kind": "not_decided", "on": undecided},
    ]
