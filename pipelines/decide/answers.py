"""The figures behind the committee's eight budget questions, each a mart cell (D004, R99)."""

from __future__ import annotations

import polars as pl

from pipelines.settings.city import CityFolder
from pipelines.settings.keys import MUNICIPAL
from pipelines.warehouse.tables import Step, Tables, table_of

READS = (
    "mart_allocation",
    "mart_allocation_money",
    "mart_allocation_stability",
    "mart_city_service",
    "mart_city_service_money",
    "mart_asset",
    "mart_response",
)


def answers(_: CityFolder, tables: Tables) -> Tables:
    """Return what the plan answers in numbers: question (1 to 8), answer_id, answer_value, unit."""
    # A sum of floats depends on the order of rows.
    known = tables["mart_response"].select("response_id", "goal_id", "horizon", "is_excellence")
    lines = (
        tables["mart_allocation"].join(known, on="response_id").sort("semel_mosad", "response_id")
    )
    services = (
        tables["mart_city_service"].filter(pl.col("places") > 0).join(known, on="response_id")
    )
    funded = pl.concat([lines, services], how="diagonal_relaxed")
    money = pl.concat(
        [tables["mart_allocation_money"], tables["mart_city_service_money"]], how="diagonal"
    )
    by_gefen = money.filter(pl.col("funding_channel").cast(pl.String).str.starts_with("gefen"))
    municipal = money.filter(pl.col("funding_channel") == MUNICIPAL)
    alone = municipal.join(by_gefen.select("response_id").unique(), on="response_id", how="anti")
    total, own = int(funded["cost_agorot"].sum()), int(municipal["amount_agorot"].sum())
    of_excellence = funded.filter("is_excellence")
    excellent, of_all = (
        int(of_excellence[paid].sum()) for paid in ("municipal_agorot", "cost_agorot")
    )
    not_school = int(alone["amount_agorot"].sum())
    long = int(funded.filter(pl.col("horizon") == "long")["cost_agorot"].sum())
    firm = dict(
        lines.join(tables["mart_allocation_stability"], on=["semel_mosad", "response_id"])
        .group_by("stability")
        .len()
        .iter_rows()
    )
    rows = [
        (1, "benefit", float(lines["benefit_sd_pupils"].sum()), "SD × pupils"),
        (2, "excellence_agorot", excellent, "agorot"),
        (2, "excellence_pct", _pct(excellent, own), "percent"),
        (2, "excellence_all_agorot", of_all, "agorot"),
        (2, "excellence_all_pct", _pct(of_all, total), "percent"),
        (3, "total_agorot", total, "agorot"),
        (3, "municipal_agorot", own, "agorot"),
        (4, "not_school_agorot", not_school, "agorot"),
        (4, "not_school_pct", _pct(not_school, own), "percent"),
        (6, "goals", funded["goal_id"].n_unique(), "goals"),
        (6, "goals_all", tables["mart_response"]["goal_id"].n_unique(), "goals"),
        (
            6,
            "several",
            lines.group_by("semel_mosad").len().filter(pl.col("len") > 1).height,
            "schools",
        ),
        (6, "long_pct", _pct(long, total), "percent"),
        (7, "assets", tables["mart_asset"].height, "assets"),
        (
            7,
            "hours_free",
            float(tables["mart_asset"].sort("asset_id")["hours_free_per_week"].sum()),
            "hours a week",
        ),
        *((8, code, firm.get(code, 0), "lines") for code in ("firm", "contested", "coin_flip")),
    ]
    return {
        "mart_allocation_answer": table_of(
            "mart_allocation_answer",
            [(question, name, float(value), unit) for question, name, value, unit in rows],
        )
    }


def _pct(part: int, whole: int) -> float:
    """Percent of a whole; nothing of nothing is 0."""
    return 100 * part / whole if whole else 0.0


STEPS = (
    Step("plan_answers", "decide", makes=("mart_allocation_answer",), reads=READS, compute=answers),
)
