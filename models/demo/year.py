"""A decided plan lived through: ten months of reports and payments, with planted deviations.

The generator takes the plan's lines and their money and plays the school year: what was planned is
done near plan, but for what is planted: a line that opens late, a response that hardly spends, a
school that never reports, money of others that nobody confirmed, a payment for what was not
decided, a line that few attend. The truth says which.
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
        truth: alert_kind, and what it is planted on (plan_row_id, response_id or semel_mosad).
    """

    status: pl.DataFrame
    ledger: pl.DataFrame
    letters: pl.DataFrame
    truth: pl.DataFrame


def play(
    lines: pl.DataFrame,
    money: pl.DataFrame,
    letters: pl.DataFrame,
    year: int,
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
        months: how many of its ten months, from September on.
        seed: of the random stream.

    Returns:
        What people and the treasurer write, and what was planted.
    """
    rng = np.random.default_rng([seed, year])
    rows = lines.sort("plan_row_id").to_dicts()
    of_schools = [row for row in rows if row["semel_mosad"]]
    answered = {f"{school}/{name}" for school, name in letters.select(*_OF).iter_rows()}
    refused = set(
        letters.filter(pl.col("answer") != "confirmed").select("response_id", "channel").iter_rows()
    )
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
                if channel == _BASKET or (row["response_id"], channel) not in refused
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
        pl.DataFrame(truth, schema={"alert_kind": pl.String, "on": pl.String}),
    )


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
