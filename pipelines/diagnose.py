"""Stage `diagnose`: where are the gaps, how sure are we, who needs most, and what we cannot see."""

from __future__ import annotations

import polars as pl

from models.gaps import fit_components, school_gaps, shrunken_gaps
from models.need import need_from_anchors, need_from_gap, need_from_rate, need_index
from pipelines.city import CityFolder, NeedIndicator
from pipelines.tables import Step, Tables

# What must have passed before anything is diagnosed: a fault here would colour every result.
GATES = ("core_reconciliation", "core_direction", "core_source_file", "core_quarantine")
# A category or a quintile stands for a range of values: half its width over √3 is its SD.
_QUINTILE_SD, _CATEGORY_SD = 1 / 3**0.5, 0.5 / 3**0.5


def gaps(city: CityFolder, tables: Tables) -> Tables:
    """Return partially pooled gaps by cell and by school, and the variance components behind them."""
    cells, schools = tables["core_gap_cell"], tables["core_school"]
    years = tables["core_city"].row(0, named=True)
    components = fit_components(cells)
    first, last = years["window_first_year"], years["window_last_year"]
    by_school = school_gaps(cells, components, first, last)
    names = schools.select("semel_mosad", "school_name_he", "stream")
    everyone = names.filter(
        pl.col("semel_mosad").is_in(cells["semel_mosad"].implode())
        | pl.col("semel_mosad").is_in(schools.filter("is_in_plan")["semel_mosad"].implode())
    )
    subjects = by_school.select("subject").unique()
    window = tables["core_gap_cell"].filter(
        "is_measured", pl.col("school_year").is_between(first, last)
    )
    tested = pl.concat(
        [
            window.group_by("semel_mosad", "subject").agg(pl.col("tested_pupils").sum()),
            window.group_by("semel_mosad").agg(
                pl.lit("all").alias("subject"), pl.col("tested_pupils").sum()
            ),
        ]
    )
    grid = (
        everyone.join(subjects, how="cross")
        .join(by_school, on=["semel_mosad", "subject"], how="left")
        .join(tested, on=["semel_mosad", "subject"], how="left")
        .with_columns(
            pl.col("is_measured").fill_null(False),
            pl.col("cells").fill_null(0),
            pl.col("gap_tier").fill_null("not_measured"),
            pl.lit(first).alias("window_first_year"),
            pl.lit(last).alias("window_last_year"),
        )
    )
    return {
        "mart_gap_school_subject": shrunken_gaps(cells, components).join(names, on="semel_mosad"),
        "mart_gap_school": grid,
        "mart_gap_component": components,
    }


def need(city: CityFolder, tables: Tables) -> Tables:
    """Return the need index of the plan's schools, with each indicator behind it."""
    policy = city.policy.need
    schools = (
        tables["core_school"].filter("is_in_plan").select("semel_mosad", "school_name_he", "stream")
    )
    latest = tables["core_school_year"].sort("school_year").group_by("semel_mosad").last()
    plan = schools.join(latest.select("semel_mosad", "pupils"), on="semel_mosad").filter(
        pl.col("pupils") > 0
    )
    rows = pl.concat(
        [
            plan.select("semel_mosad")
            .join(_indicator(indicator, tables, latest), on="semel_mosad", how="left")
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
                pl.col("indicator_n").cast(pl.Int32),
                pl.lit(float(indicator.weight_pct.value)).alias("weight_pct"),
            )
            for indicator_id, indicator in policy.indicators.items()
        ]
    )
    weights = pl.DataFrame(
        [(key, float(item.weight_pct.value)) for key, item in policy.indicators.items()],
        schema=["indicator_id", "weight_pct"],
        orient="row",
    )
    # A school of which nothing at all is measured cannot be placed; it is listed as not measured.
    known = rows.filter("is_measured")["semel_mosad"].unique()
    placed = rows.filter(pl.col("semel_mosad").is_in(known.implode()))
    index = need_index(
        placed.select(
            "semel_mosad",
            "indicator_id",
            "indicator_kind",
            "is_measured",
            "indicator_need",
            "indicator_need_se",
        ),
        weights,
        order_p=policy.order_p.value,
        draws=policy.draws.value,
        seed=policy.seed.value,
    )
    return {"mart_need_indicator": rows, "mart_need_index": index.join(plan, on="semel_mosad")}


_UNITS = {
    "gap": "pupil SD", "chronic_absence": "percent of pupils", "overt_dropout": "percent of pupils",
    "climate_safety": "percent not positive", "nurture_index": "decile", "ses_category": "category (1 high – 3 low)",
}  # fmt: skip


def _indicator(indicator: NeedIndicator, tables: Tables, latest: pl.DataFrame) -> pl.DataFrame:
    """Return one indicator: semel_mosad, indicator_value, _need, _need_se, _n; only measured schools."""
    years = tables["core_city"].row(0, named=True)
    in_window = pl.col("school_year").is_between(
        years["window_first_year"], years["window_last_year"]
    )
    if indicator.measure == "gap":
        measured = tables["mart_gap_school"].filter(
            "is_measured", pl.col("subject") == indicator.subject
        )
        return need_from_gap(
            measured.select(
                "semel_mosad",
                pl.col("gap_sd").alias("value"),
                pl.col("gap_se_sd").alias("se"),
                pl.col("tested_pupils").alias("n"),
            )
        )
    if indicator.measure in ("nurture_index", "ses_category"):
        frame = (
            latest.select(
                "semel_mosad", "pupils", pl.col("nurture_index").alias("value"),
                pl.when("nurture_index_is_imputed").then(_QUINTILE_SD).otherwise(0.0).alias("se"),
            )
            if indicator.measure == "nurture_index"
            else tables["core_school"].join(latest.select("semel_mosad", "pupils"), on="semel_mosad").select(
                "semel_mosad", "pupils", pl.col("ses_category").cast(pl.Float64).alias("value"), pl.lit(_CATEGORY_SD).alias("se")
            )
        )  # fmt: skip
        low, high = indicator.anchor_low, indicator.anchor_high
        if low is None or high is None:
            raise ValueError(
                f"policy.yaml: need.indicators: {indicator.measure} needs anchor_low and anchor_high"
            )
        return need_from_anchors(frame.drop_nulls("value").rename({"pupils": "n"}), low, high)
    if indicator.target is None:
        raise ValueError(f"policy.yaml: need.indicators: {indicator.measure} needs a target")
    target = indicator.target.value / 100
    if indicator.measure == "climate_safety":
        events = (pl.col("respondents") * (100 - pl.col("agree_pct")) / 100).round()
        rows = tables["core_climate"].filter(in_window, pl.col("facet") == "safety")
        rows, target = (
            rows.select("semel_mosad", events.alias("events"), pl.col("respondents").alias("n")),
            1 - target,
        )
    else:
        events = pl.col(f"{indicator.measure}_pupils")
        rows = tables["core_attendance"].filter(in_window).drop_nulls(f"{indicator.measure}_pupils")
        rows = rows.select(
            "semel_mosad", events.alias("events"), pl.col("attendance_pupils").alias("n")
        )
    totals = rows.group_by("semel_mosad").agg(
        pl.col("events").sum().cast(pl.Int64), pl.col("n").sum()
    )
    return need_from_rate(totals, target)


# What is never measured per school by any source, or not by this sources (R35): Hebrew, English, reason.
_NEVER = (
    ("cognitive_understanding", "הבנה קוגניטיבית", "Cognitive understanding", "אין מקור נתונים", "no source measures it", "mart_need_index"),
    ("social_skills", "כישורים חברתיים", "Social skills", "אין מקור נתונים", "no source measures it", "mart_need_index"),
    ("local_effects", "השפעת המענים בעיר עצמה", "Effects of the responses in this city", "עדיין לא נאמדה: מוצגת הערכה מהספרות בלבד", "not estimated yet: only discounted priors from the literature are shown", "mart_effect,mart_allocation"),
)  # fmt: skip
_ABSENT_SOURCES = (
    ("participation", "core_participation", "השתתפות במענים", "Participation in responses", "mart_response_map,mart_effect,mart_allocation"),
    ("budget_lines", "core_budget_line", "תקציב וביצוע לפי מענה", "Plan and actual money by response", "mart_plan_tracking,mart_allocation"),
    ("attendance", "core_attendance", "היעדרות ונשירה ברמת בית הספר", "Absence and dropout per school", "mart_need_index,mart_allocation"),
    ("climate", "core_climate", "אקלים בית ספרי", "School climate", "mart_need_index,mart_allocation"),
)  # fmt: skip
_NO_FILE = ("אין קובץ כזה בנתוני העיר", "the city's files hold no such source")


def not_measured(city: CityFolder, tables: Tables) -> Tables:
    """Return everything that could not be measured, why, for how many schools, and what it weakens."""
    plan = tables["mart_need_index"]["semel_mosad"]
    total = plan.len()
    items = [(*item[:5], total, total, item[5]) for item in _NEVER]
    for item_id, table, he, en, weakens in _ABSENT_SOURCES:
        if tables[table].is_empty():
            items.append((item_id, he, en, *_NO_FILE, total, total, weakens))
    by_indicator = (
        tables["mart_need_indicator"]
        .group_by("indicator_id", "indicator_name_he", maintain_order=True)
        .agg((~pl.col("is_measured")).sum().alias("absent"))
    )
    for indicator_id, name_he, absent in by_indicator.sort("indicator_id").iter_rows():
        if absent:
            items.append(
                (
                    f"indicator.{indicator_id}",
                    name_he,
                    f"Need indicator {indicator_id}",
                    "אין נתון לבתי ספר אלה בשנות החלון",
                    "no value for these schools in the years of the window",
                    absent,
                    total,
                    "mart_need_index,mart_allocation",
                )
            )
    nowhere = tables["mart_need_indicator"]["semel_mosad"].n_unique() - total
    if nowhere:
        items.append(
            (
                "schools_without_indicator",
                "בתי ספר שאין עליהם שום נתון",
                "Schools of which nothing is measured",
                "אין לבית הספר ציונים, מדד טיפוח או רמה חברתית־כלכלית; הוא אינו בתוכנית עד שיימצא נתון",
                "the school has no score, nurture index or SES category; it is not in the plan until one is found",
                nowhere,
                total + nowhere,
                "mart_need_index,mart_allocation",
            )
        )
    imputed = tables["core_gap_cell"].filter("tested_pupils_is_imputed")["semel_mosad"].n_unique()
    if imputed:
        items.append(
            (
                "tested_pupils",
                "מספר הנבחנים וסטיית התקן בכל בית ספר",
                "Number tested and SD per school",
                "המקור מפרסם ממוצע בלבד; מספר הנבחנים נגזר ממספר התלמידים",
                "the source publishes means only; the number tested is derived from enrolment",
                imputed,
                total,
                "mart_gap_school_subject,mart_gap_school,mart_need_index",
            )
        )
    background = tables["core_school_year"].filter(
        "nurture_index_is_imputed", pl.col("semel_mosad").is_in(plan.implode())
    )
    if background.height:
        items.append(
            (
                "nurture_index_exact",
                "מדד טיפוח מדויק",
                "Exact nurture index",
                "פורסם החמישון בלבד; המדד נקרא כאמצע החמישון",
                "only the quintile is published; the index is read as its midpoint",
                background["semel_mosad"].n_unique(),
                total,
                "mart_need_index,mart_response_map,mart_allocation",
            )
        )
    columns = (
        "item_id",
        "item_he",
        "item_en",
        "reason_he",
        "reason_en",
        "schools_not_measured",
        "schools",
        "weakens",
    )
    return {"mart_not_measured": pl.DataFrame(items, schema=columns, orient="row")}


STEPS = (
    Step(
        "gaps", "diagnose",
        makes=("mart_gap_school_subject", "mart_gap_school", "mart_gap_component"),
        reads=("core_gap_cell", "core_school", "core_city"),
        after=GATES,
        compute=gaps,
    ),
    Step(
        "need", "diagnose",
        makes=("mart_need_indicator", "mart_need_index"),
        reads=("core_school", "core_school_year", "core_attendance", "core_climate", "core_city", "mart_gap_school"),
        after=GATES,
        compute=need,
    ),
    Step(
        "not_measured", "diagnose",
        makes=("mart_not_measured",),
        reads=(
            "core_participation", "core_budget_line", "core_attendance", "core_climate", "core_gap_cell",
            "core_school_year", "mart_need_indicator", "mart_need_index",
        ),
        compute=not_measured,
    ),
)  # fmt: skip
