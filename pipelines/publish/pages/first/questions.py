"""The eight budget questions, each in a sentence, a number, a picture and a link (R99)."""

from __future__ import annotations

from typing import Any

import polars as pl

from pipelines.publish import charts, words
from pipelines.publish.charts import Mark
from pipelines.publish.pages.base import ReportContext, Row, Rows, page
from pipelines.publish.pages.first import facts
from pipelines.publish.pages.first.facts import Tables
from pipelines.settings.fields import dictionary

LEVELS = ("weak", "middle", "strong")


def render_questions(tables: Tables, context: ReportContext) -> str:
    """Return the page as one HTML text.

    Args:
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
    """
    figures = {row["answer_id"]: row for row in tables["mart_allocation_answer"].to_dicts()}
    levels = [
        row
        for name in LEVELS
        for row in tables["mart_plan_progress"]
        .filter(level_band=name)
        .drop_nulls("progress_sd")
        .to_dicts()
    ]
    channels = (
        tables["mart_allocation_channel"]
        .filter(pl.col("allocated_agorot") > 0)
        .sort("allocated_agorot", "funding_channel", descending=[True, False])
        .to_dicts()
    )
    excellent, others = _excellence(tables)
    bands = (
        tables["mart_audit_group"]
        .filter(pl.col("audit_group") != "unknown", audit_dimension="nurture_band", view="plan")
        .drop_nulls("per_pupil_agorot")
        .sort("audit_group", descending=True)
        .to_dicts()
    )
    goals = _goals(tables)
    assets = (
        tables["mart_allocation_asset"]
        .filter(pl.col("schools") > 0)
        .sort("asset_saving_agorot", "asset_id", "response_id", descending=[True, False, False])
        .to_dicts()
    )
    considered = _considerations(tables)
    certificate = tables["mart_allocation_certificate"].row(0, named=True)
    return page(
        "first/questions",
        tables,
        context,
        figures=figures,
        certificate=certificate,
        levels=levels,
        channels=channels,
        excellent=excellent,
        bands=bands,
        goals=goals,
        assets=assets,
        considered=considered,
        absent_families=tables["mart_voice_family"]
        .filter(part_presence="absent")
        .sort("role_family")
        .to_dicts(),
        uncounted=facts.uncounted(tables),
        charts={
            "levels": _ranges(levels),
            "excellence": charts.bars(
                [
                    *(
                        _money(row["response_name_he"], row["municipal_agorot"])
                        for row in excellent
                    ),
                    _money("כל השאר", others, is_strong=False),
                ]
            ),
            "channels": charts.bars(
                [
                    _money(
                        words.label("funding_channel", row["funding_channel"]),
                        row["allocated_agorot"],
                        is_strong=row["funding_channel"] == "municipal_own",
                    )
                    for row in channels
                ]
            ),
            "value": _value(figures, certificate),
            "bands": charts.bars(
                [
                    _money(
                        f"מדד טיפוח {row['audit_group'].replace('_', '–')}",
                        row["per_pupil_agorot"],
                        is_strong=row is bands[0],
                    )
                    for row in bands
                ]
            ),
            "goals": charts.bars(
                [_money(row["goal_name_he"], row["cost_agorot"]) for row in goals]
            ),
            "assets": charts.bars(
                [_money(row["asset_name_he"], row["asset_saving_agorot"]) for row in assets]
            ),
            "considered": charts.bars(
                [
                    Mark(
                        row["consideration_he"],
                        row["weight_points"],
                        words.decimal(row["weight_points"]),
                        is_strong=not row["is_computed"],
                    )
                    for row in considered
                    if row["weight_points"] is not None
                ]
            ),
        },
    )


def _money(name: str, agorot: int, *, is_strong: bool = True) -> Mark:
    return Mark(name, agorot, f"{words.nis(agorot)} ₪", is_strong=is_strong)


def _ranges(levels: Rows) -> charts.Drawn | None:
    marks = [
        Mark(
            words.label("level_band", row["level_band"]),
            row["progress_sd"],
            words.months_fine(row["progress_sd"]),
            row["progress_lo_sd"],
            row["progress_hi_sd"],
            is_strong=row["level_band"] == "weak",
        )
        for row in levels
    ]
    return charts.ranges(marks) if marks else None


def _excellence(tables: Tables) -> tuple[Rows, int]:
    """Return the municipal money of each response for excellence, and of all others."""
    paid = pl.concat(
        [
            tables[name].select("response_id", "municipal_agorot")
            for name in ("mart_allocation", "mart_city_service")
        ],
        how="vertical_relaxed",
    )
    rows = (
        paid.group_by("response_id")
        .agg(pl.col("municipal_agorot").sum())
        .join(
            tables["mart_response"].select("response_id", "response_name_he", "is_excellence"),
            on="response_id",
        )
        .filter(pl.col("municipal_agorot") > 0)
        .sort("municipal_agorot", "response_id", descending=[True, False])
    )
    rest = rows.filter(~pl.col("is_excellence"))["municipal_agorot"].sum()
    return rows.filter("is_excellence").to_dicts(), int(rest)


def _value(figures: dict[str, dict[str, Any]], certificate: Row) -> charts.Drawn:
    """Draw what schools do not buy themselves beside the rest of the municipal money."""
    own = round(figures["not_school_agorot"]["answer_value"])
    return charts.bars(
        [
            _money("רק מן הרשות", own),
            _money("גם בתי ספר רוכשים", certificate["municipal_agorot"] - own, is_strong=False),
        ]
    )


def _goals(tables: Tables) -> Rows:
    """Return the money of the plan by the first goal of its responses, the most first."""
    goals = tables["mart_response"].select("response_id", "goal_name_he")
    return (
        facts.by_response(tables)
        .join(goals, on="response_id")
        .group_by("goal_name_he")
        .agg(pl.col("cost_agorot").sum())
        .sort("cost_agorot", "goal_name_he", descending=[True, False])
        .to_dicts()
    )


def _considerations(tables: Tables) -> Rows:
    """Return the considerations that people named, and whether the data reckon each."""
    key = ["consideration", "worded_he"]
    reckoned = tables["mart_consideration_score"].group_by(key).agg(pl.col("is_computed").any())
    kinds = [str(kind) for kind in dictionary().fields["consideration"].allowed]
    return (
        tables["mart_consideration"]
        .join(reckoned, on=key, how="left", nulls_equal=True)
        .with_columns(pl.col("is_computed").fill_null(False))
        .sort(
            "weight_points",
            pl.col("consideration").cast(pl.Enum(kinds)),
            "worded_he",
            descending=[True, False, False],
            nulls_last=True,
        )
        .to_dicts()
    )
