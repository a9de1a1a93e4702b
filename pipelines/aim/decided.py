"""What was decided on plans, from the archives of the city (R98, R100)."""

from __future__ import annotations

import polars as pl

from pipelines.settings.archive import LINES, MONEY, in_force
from pipelines.settings.city import CityFolder
from pipelines.warehouse.tables import Step, Tables, nothing, table_of


def decided(city: CityFolder, _: Tables) -> Tables:
    """Return the decisions on plans in order, and the lines and the money of each.

    The archives were verified when the city was read.
    """
    kept = city.decided
    rows = [
        {
            "planning_year": one.record.cycle,
            "decision_version": one.record.version,
            "scenario_id": one.record.scenario,
            "scenario_name_he": one.record.scenario_he,
            "release_id": one.record.release,
            "decided_by_role": one.record.role,
            "decision_reason": one.record.reason,
            "decided_on": one.record.decided_on,
            "votes_for": one.record.votes_for,
            "votes_against": one.record.votes_against,
            "votes_abstained": one.record.votes_abstained,
            "replaces_version": one.record.replaces,
            "is_in_force": one == in_force(kept, one.record.cycle),
            "window_first_year": one.record.window[0],
            "window_last_year": one.record.window[1],
            "decision_hash": one.hash,
            "before_hash": one.record.before,
        }
        for one in kept
    ]
    parts = {"core_decided_line": LINES, "core_decided_money": MONEY}
    return {
        "core_decided": table_of("core_decided", rows),
        **{
            name: pl.concat(
                [
                    nothing(name),
                    *(
                        pl.read_parquet(one.folder / file).select(
                            pl.lit(one.record.cycle, pl.Int32).alias("planning_year"),
                            pl.lit(one.record.version, pl.Int32).alias("decision_version"),
                            pl.all(),
                        )
                        for one in kept
                    ),
                ]
            )
            for name, file in parts.items()
        },
    }


def decisions_of(city: CityFolder, tables: Tables, kind: str) -> pl.DataFrame:
    """Return the committee's decisions of a kind that hold for the planned year, in order.

    Args:
        tables: with core_decision.
        kind: a `decision_kind`.
    """
    return (
        tables["core_decision"]
        .filter(
            "is_in_force",
            pl.col("decision_kind") == kind,
            pl.col("planning_year") == city.policy.planning_year.value,
        )
        .sort("decision_id")
    )


STEPS = (
    Step(
        name="decided",
        stage="decide",
        makes=("core_decided", "core_decided_line", "core_decided_money"),
        reads=(),
        compute=decided,
    ),
)
