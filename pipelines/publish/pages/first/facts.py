"""What more than one page of the first layer tells, from the marts."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import polars as pl

from models.keys import PAIR
from pipelines.publish.pages.base import Row, Rows, first_row
from pipelines.settings.scenario_files import BASE

Tables = Mapping[str, pl.DataFrame]
_PAID = ("mart_allocation", "mart_city_service")


def rows_by(frame: pl.DataFrame, column: str) -> dict[str, Rows]:
    """Return the rows of a frame, in its order, by a column of codes or ids."""
    found: dict[str, Rows] = {}
    for row in frame.iter_rows(named=True):
        found.setdefault(row[column], []).append(row)
    return found


def plan(tables: Tables) -> dict[str, Any]:
    """Return the plan as the first of its scenarios, with the pupils of its schools."""
    city = tables["mart_city"].row(0, named=True)
    return {
        "certificate": tables["mart_allocation_certificate"].row(0, named=True),
        "base": tables["mart_scenario"].filter(scenario_id=BASE).row(0, named=True),
        "pupils": first_row(tables["mart_pupil_total"].filter(scope=city["scope"], stream="total")),
    }


def tiers(tables: Tables, view: str = "plan") -> Rows:
    """Return the rows of the audit by tier of need, the greatest need first; empty if unknown."""
    rows = tables["mart_audit_group"].filter(
        pl.col("view") == view,
        pl.col("audit_dimension") == "need_tier",
    )
    return rows.sort("audit_group").to_dicts()


def times(rows: Rows) -> float | None:
    """Return how many times as much per pupil the first group gets as the last one."""
    if len(rows) < 2:
        return None
    first, last = rows[0]["per_pupil_agorot"], rows[-1]["per_pupil_agorot"]
    return first / last if first and last else None


def is_ordered(rows: Rows) -> bool:
    """Whether each group gets at least as much per pupil as the less needy one after it."""
    paid = [row["per_pupil_agorot"] for row in rows]
    return None not in paid and all(one >= next_ for one, next_ in pairwise(paid))


def since_decided(tables: Tables) -> dict[str, Any] | None:
    """Return what happened since the plan was decided; None before anything is reported.

    Keys: alerts, broken (those of a rule that is not kept), due_agorot, spent_agorot (of all
    lines), day (the last one that a report tells of; None if only the ledger does).
    """
    tracking = tables["mart_line_tracking"]
    if not ((tracking["spent_agorot"] > 0).any() or tracking["status_on"].count()):
        return None
    return {
        "alerts": tables["mart_alert"].height,
        "broken": tables["mart_alert"].filter(alert_kind="rule_broken").height,
        "day": tracking["status_on"].max(),
        **tracking.select(pl.col("due_agorot", "spent_agorot").sum()).row(0, named=True),
    }


def changes(tables: Tables) -> Rows:
    """Return who gets more and less than last year by tier of need, the greatest need first.

    Keys: need_tier, gaining, losing (schools), change_agorot (of all its schools).
    """
    tier = tables["mart_need_index"].select("semel_mosad", "need_tier")
    change = tables["mart_allocation_change"].drop_nulls("change_agorot")
    known = change.join(tier, on="semel_mosad")
    gained = pl.col("change_agorot")
    return (
        known.group_by("need_tier")
        .agg(
            schools_gaining=(gained > 0).sum(),
            schools_losing=(gained < 0).sum(),
            change_agorot=gained.sum(),
        )
        .sort("need_tier")
        .to_dicts()
    )


def evidence(tables: Tables) -> Rows:
    """Return the share of the expected worth by what it rests on, the pupils of the city first.

    Keys: kind (own, literature, assumed), worth_share_pct, row (of the mart; None for a sum).
    """
    rows = tables["mart_plan_evidence"].drop_nulls("worth_share_pct")
    if rows.is_empty():
        return []
    own = rows.filter(pl.col("evidence_kind").str.starts_with("own_"))["worth_share_pct"].sum()
    others = {row["evidence_kind"]: row for row in rows.to_dicts()}
    return [
        {"kind": "own", "worth_share_pct": own, "row": None},
        *(
            {"kind": kind, "worth_share_pct": others[kind]["worth_share_pct"], "row": others[kind]}
            for kind in ("literature", "assumed")
            if kind in others
        ),
    ]


def uncounted(tables: Tables) -> Row | None:
    """Return the money on what the committee wants and nothing measures."""
    rows = tables["mart_plan_evidence"].filter(evidence_kind="committee")
    return first_row(rows.filter(pl.col("cost_agorot") > 0))


def whose_amounts(tables: Tables) -> str:
    """Return whose the amounts are of what nothing measures: committee, last_year, or both."""
    known = tables["mart_committee_amount"].drop_nulls("amount_agorot")["amount_source"]
    if known.is_empty() or (known != "last_year").all():
        return "committee"
    return "last_year" if (known == "last_year").all() else "both"


def firmness(tables: Tables) -> dict[str, float]:
    """Return the share of the schools' money by how firm its lines are, in percent."""
    lines = tables["mart_allocation"].join(
        tables["mart_allocation_stability"].select(*PAIR, "stability"), on=PAIR
    )
    money = dict(lines.group_by("stability").agg(pl.col("cost_agorot").sum()).iter_rows())
    whole = sum(money.values())
    return {name: 100 * part / whole for name, part in money.items()} if whole else {}


def by_response(tables: Tables) -> pl.DataFrame:
    """Return the money of each response that the plan pays for, services of the city among them.

    Columns: response_id, cost_agorot.
    """
    own = [tables[name].select("response_id", "cost_agorot") for name in _PAID]
    return (
        pl.concat(own, how="vertical_relaxed")
        .group_by("response_id")
        .agg(pl.col("cost_agorot").sum())
        .filter(pl.col("cost_agorot") > 0)
        .sort("response_id")
    )
