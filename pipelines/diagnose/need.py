"""Who needs most: the need index of the plan's schools, and the indicators behind it (R43)."""

from __future__ import annotations

import polars as pl

from models.need import (
    focused_weights,
    indicator_quality,
    need_draws,
    need_from_anchors,
    need_from_rate,
    need_index,
    need_robustness,
    need_shares,
    surely_needier,
)
from models.privacy import banded, share_step
from pipelines.aim.decided import decisions_of
from pipelines.diagnose.gaps import window_years
from pipelines.diagnose.gates import GATES
from pipelines.settings.city import CityFolder
from pipelines.warehouse.tables import Step, Tables

# A category or a quintile stands for a range of values: half its width over √3 is its SD.
_QUINTILE_SD, _CATEGORY_SD = 1 / 3**0.5, 0.5 / 3**0.5
_SCALE_BEGINS = 1  # the nurture index and the category both count from 1, the strongest


def need(city: CityFolder, tables: Tables) -> Tables:
    """Return the need index of the plan's schools, with each indicator behind it."""
    policy = city.policy.need
    # Need is measured on the pupils of today; the plan is sized for those who are to come.
    plan = tables["mart_planned_pupils"].select(
        "semel_mosad", "school_name_he", "stream", "pupils", "last_registered_pupils", "planned_by"
    )
    latest = tables["core_school_year"].sort("school_year").group_by("semel_mosad").last()
    rows = pl.concat(
        [
            plan.select("semel_mosad")
            .join(_indicator(city, indicator_id, tables, latest), on="semel_mosad", how="left")
            .select(
                "semel_mosad",
                pl.lit(indicator_id).alias("indicator_id"),
                pl.lit(indicator.name_he).alias("indicator_name_he"),
                pl.lit(indicator.kind).alias("indicator_kind"),
                pl.lit(_UNITS[indicator.measure]).alias("unit"),
                pl.col("indicator_need").is_not_null().alias("is_measured"),
                pl.col("indicator_value").cast(pl.Float64),
                pl.col("indicator_need").cast(pl.Float64),
                pl.col("indicator_need_se").cast(pl.Float64),
                (
                    pl.lit(None, pl.Float64)
                    if indicator.kind == "background"
                    else pl.col("p_need").cast(pl.Float64)
                ).alias("p_need"),
                pl.col("indicator_n").cast(pl.Int32),
                pl.lit(float(indicator.weight_pct.value)).alias("weight_pct"),
            )
            for indicator_id, indicator in policy.indicators.items()
        ]
    )
    declared = pl.DataFrame(
        [(key, float(item.weight_pct.value)) for key, item in policy.indicators.items()],
        schema=["indicator_id", "weight_pct"],
        orient="row",
    )
    decided = decisions_of(city, tables, "focus")
    weights = focused_weights(
        declared,
        decided.select(
            pl.col("decision_object").alias("indicator_id"),
            pl.col("decision_value").cast(pl.Float64).alias("weight_pct"),
        ),
    )
    rows = rows.drop("weight_pct").join(weights, on="indicator_id", maintain_order="left")
    held = rows.select(
        "semel_mosad",
        "indicator_id",
        "indicator_kind",
        "is_measured",
        "indicator_need",
        "indicator_need_se",
    )
    order = policy.order_p.value
    index = need_index(
        held, weights, order_p=order, draws=policy.draws.value, seed=policy.seed.value
    )
    without = (
        need_index(held, declared, order_p=order, draws=policy.draws.value, seed=policy.seed.value)
        if decided.height
        else index.clear()
    )
    draws = need_draws(
        held, weights, order_p=order, draws=policy.draws.value, seed=policy.seed.value
    )
    robust = need_robustness(held, weights, order_p=order, seed=policy.seed.value)
    shares = need_shares(held, weights, order)
    return {
        "mart_need_indicator": rows.join(shares, on=["semel_mosad", "indicator_id"], how="left"),
        "mart_need_index": (
            index.join(plan, on="semel_mosad")
            .join(
                robust.schools.select("semel_mosad", "rank_choice_lo", "rank_choice_hi"),
                on="semel_mosad",
            )
            .join(
                robust.acceptability.rename({"acceptability_pct": "tier_acceptability_pct"}),
                on=["semel_mosad", "need_tier"],
            )
        ),
        "mart_focus": declared.select(
            "indicator_id", pl.col("weight_pct").alias("declared_weight_pct")
        )
        .join(weights, on="indicator_id")
        .with_columns(
            indicator_name_he=pl.col("indicator_id").replace_strict(
                {key: item.name_he for key, item in policy.indicators.items()}
            ),
            is_focus=pl.col("indicator_id").is_in(decided["decision_object"].to_list()),
        ),
        "mart_focus_school": without.select(
            "semel_mosad",
            pl.col("need").alias("need_without_focus"),
            pl.col("need_tier").alias("need_tier_without_focus"),
        )
        .join(index.select("semel_mosad", "need", "need_tier"), on="semel_mosad")
        .join(plan.select("semel_mosad", "school_name_he"), on="semel_mosad"),
        "mart_need_order": surely_needier(draws, policy.sure.value, _compared(city, tables)),
        "mart_need_choice": robust.choices,
        "mart_indicator": indicator_quality(held, weights, order).join(weights, on="indicator_id"),
    }


def _compared(city: CityFolder, tables: Tables) -> pl.DataFrame | None:
    """Return which schools are compared with which: in a country those of one authority."""
    if city.city.city.covers == "city":
        return None
    return tables["core_school"].select("semel_mosad", pl.col("authority_name").fill_null(""))


_UNITS = {
    "gap": "pupil SD",
    "chronic_absence": "percent of pupils",
    "overt_dropout": "percent of pupils",
    "climate_safety": "percent not positive",
    "nurture_index": "decile",
    "ses_category": "category (1 high – 3 low)",
}


def _indicator(city: CityFolder, key: str, tables: Tables, latest: pl.DataFrame) -> pl.DataFrame:
    """Return an indicator where it is measured, as `need_from_anchors` does."""
    indicator = city.policy.need.indicators[key]
    greatest: float = getattr(city.policy.need.greatest, indicator.measure).value
    in_window = pl.col("school_year").is_between(*window_years(tables))
    if indicator.measure == "gap":
        measured = tables["mart_gap_school"].filter(
            "is_measured", pl.col("subject") == indicator.subject
        )
        return need_from_anchors(
            measured.select(
                "semel_mosad",
                pl.col("gap_sd").alias("value"),
                pl.col("gap_se_sd").alias("se"),
                pl.col("tested_pupils").alias("n"),
            ),
            0,
            greatest,
        )
    if indicator.measure in ("nurture_index", "ses_category"):
        frame = (
            latest.select(
                "semel_mosad",
                "pupils",
                pl.col("nurture_index").alias("value"),
                pl.when("nurture_index_is_imputed").then(_QUINTILE_SD).otherwise(0.0).alias("se"),
            )
            if indicator.measure == "nurture_index"
            else tables["core_school"]
            .join(latest.select("semel_mosad", "pupils"), on="semel_mosad")
            .select(
                "semel_mosad",
                "pupils",
                pl.col("ses_category").cast(pl.Float64).alias("value"),
                pl.lit(_CATEGORY_SD).alias("se"),
            )
        )
        return need_from_anchors(
            frame.drop_nulls("value").rename({"pupils": "n"}), _SCALE_BEGINS, greatest
        )
    target = indicator.target.value  # type: ignore[union-attr]  # the policy refuses a rate without
    if indicator.measure == "climate_safety":
        target, greatest = 100 - target, 100 - greatest
        rows = tables["core_climate"].filter(in_window, pl.col("facet") == "safety")
        events = (pl.col("respondents") * (100 - pl.col("agree_pct")) / 100).round()
        n = pl.col("respondents")
    else:
        events = pl.col(f"{indicator.measure}_pupils")
        rows = tables["core_attendance"].filter(in_window).drop_nulls(f"{indicator.measure}_pupils")
        n = pl.col("attendance_pupils")
    totals = rows.group_by("semel_mosad").agg(
        events.sum().cast(pl.Int64).alias("events"), n.sum().alias("n")
    )
    # The index, its draws and its shares are told to all digits, and so is their formula: they rest
    # on the rate as it is told, which says no more than so many pupils allow (R111).
    step = share_step(pl.col("n"), city.policy.suppression.count_pupils.value)
    share = banded(100 * pl.col("events") / pl.col("n"), step)
    told = totals.with_columns(events=(share * pl.col("n") / 100).clip(0, pl.col("n")))
    return need_from_rate(told, target / 100, greatest / 100)


STEPS = (
    Step(
        "need",
        "diagnose",
        makes=(
            "mart_need_indicator",
            "mart_need_index",
            "mart_need_order",
            "mart_need_choice",
            "mart_indicator",
            "mart_focus",
            "mart_focus_school",
        ),
        reads=(
            "core_decision",
            "core_school",
            "core_school_year",
            "core_attendance",
            "core_climate",
            "core_city",
            "mart_planned_pupils",
            "mart_gap_school",
        ),
        after=GATES,
        compute=need,
    ),
)
