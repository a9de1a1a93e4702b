"""The work plan of the plan in force and its goals: each line, and the need it serves (R101)."""

from __future__ import annotations

from datetime import date

import polars as pl

from models.goals import attainability, draft_targets, results
from pipelines.decide.allocation import dose_of, with_confirmation
from pipelines.decide.committee import registered_need
from pipelines.decide.effects import RESPONSE_SUBJECT, goal_subjects
from pipelines.settings.city import CityFolder
from pipelines.settings.policy import RATES
from pipelines.warehouse.tables import Step, Tables

_REACH = 1.6448536269514722
"""Half of a 90 % interval in errors of a normal."""
_SCHOOL, _DEPARTMENT = "מנהל/ת בית הספר", "מחלקת החינוך"
_CITY_NAME = "העיר כולה"
_MEASURED_BY = {
    "gap": "מבחן במקצוע",
    "chronic_absence": "רישום הנוכחות",
    "overt_dropout": "רישום העוזבים",
    "climate_safety": "סקר האקלים",
}

_REGISTERED = {
    "chronic_absence": ("core_attendance", pl.col("attendance_pupils") > 0),
    "overt_dropout": ("core_attendance", pl.col("overt_dropout_pupils").is_not_null()),
    "climate_safety": ("core_climate", pl.col("facet") == "safety"),
}
"""Where a school's rate of a year stands, and which rows tell it."""


def work_plan(city: CityFolder, tables: Tables) -> Tables:
    """Return the rows of the work plan and the goals they serve.

    Every line of the plan in force is a row, and names the indicator of its goals in which its
    school is farthest from the target, or says why it names none.
    """
    lines = tables["mart_plan_line"]
    served = _served_needs(city, tables, lines)
    goals = _goals(city, tables, served)
    policy, year = city.policy, city.planning_year
    days = {
        name: _day(getattr(policy.act, name).value, year)
        for name in ("starts", "opened_by", "checked_by", "measured_by", "ends")
    }
    responses = pl.DataFrame(
        [
            (
                name,
                item.name_he,
                item.goal,
                policy.goals[item.goal].name_he,
                item.action_channel,
                _SCHOOL if item.response_class == "talented_by_schools" else _DEPARTMENT,
                policy.act.budget_clauses.get(name),
            )
            for name, item in policy.responses.items()
        ],
        schema={
            "response_id": pl.String,
            "response_name_he": pl.String,
            "goal_id": pl.String,
            "goal_name_he": pl.String,
            "action_channel": pl.String,
            "own": pl.String,
            "budget_clause": pl.String,
        },
        orient="row",
    )
    lacking = _lacking(city, tables)
    autumn = (pl.col("cost_agorot") * policy.act.autumn_share.value).round().cast(pl.Int64)
    rows = (
        lines.join(served, on="plan_row_id", how="left")
        .join(responses, on="response_id", how="left")
        .join(
            goals.filter(planning_year=year)
            .select("semel_mosad", "indicator_id", "plan_owner")
            .unique(["semel_mosad", "indicator_id"], keep="first", maintain_order=True),
            on=["semel_mosad", "indicator_id"],
            how="left",
        )
        .join(
            tables["core_school"].select("semel_mosad", "school_name_he"),
            on="semel_mosad",
            how="left",
        )
        .join(lacking, on="plan_row_id", how="left")
        .with_columns(
            pl.when(pl.col("semel_mosad").is_null())
            .then(pl.lit(_CITY_NAME))
            .otherwise(pl.coalesce("school_name_he", "semel_mosad"))
            .alias("school_name_he"),
            pl.col("lacking_agorot").fill_null(0),
            pl.coalesce("plan_owner", "own").alias("plan_owner"),
            school_year=pl.lit(year, pl.Int32),
            autumn_agorot=autumn,
            starts_on=days["starts"],
            opened_by=days["opened_by"],
            checked_by=days["checked_by"],
            measured_by=days["measured_by"],
            ends_on=days["ends"],
        )
        .with_columns(spring_agorot=pl.col("cost_agorot") - pl.col("autumn_agorot"))
    )
    return {"mart_work_plan": rows, "mart_goal": goals}


def _day(month_day: str, year: int) -> date:
    """Return a day of the school year that ends in `year`; from September on of the year before."""
    month, day = map(int, month_day.split("-"))
    return date(year - (month >= 9), month, day)


def _served_needs(city: CityFolder, tables: Tables, lines: pl.DataFrame) -> pl.DataFrame:
    """Return the need each line serves: plan_row_id, indicator_id, need_now_he, need_reason."""
    indicators = _indicators(city, tables)
    registered = [
        (response_id, key)
        for response_id in lines["response_id"].unique().sort()
        if response_id in city.policy.responses
        for key in registered_need(city, tables, response_id)[1].split(",")
        if key in city.policy.need.indicators
    ]
    basis = pl.DataFrame(
        registered, schema={"response_id": pl.String, "indicator_id": pl.String}, orient="row"
    )
    found = (
        lines.select("plan_row_id", "semel_mosad", "response_id")
        .join(basis, on="response_id", how="left")
        .join(indicators, on=["semel_mosad", "indicator_id"], how="left")
    )
    lacks = pl.col("baseline") > pl.col("aim")
    # Distances in different units are compared by the share of the way to the greatest need.
    first = (
        found.filter(lacks)
        .sort("plan_row_id", "indicator_need", "indicator_id", descending=[False, True, False])
        .unique("plan_row_id", keep="first", maintain_order=True)
        .select("plan_row_id", "indicator_id", need_now_he="indicator_name_he")
    )
    reasons = found.group_by("plan_row_id").agg(
        need_reason=pl.when(pl.col("semel_mosad").first().is_null())
        .then(pl.lit("city_service"))
        .when(pl.col("indicator_id").is_null().all())
        .then(pl.lit("not_registered"))
        .when(pl.col("baseline").is_null().all())
        .then(pl.lit("not_measured"))
        .otherwise(pl.lit("at_target"))
    )
    return reasons.join(first, on="plan_row_id", how="left").with_columns(
        need_reason=pl.when(pl.col("indicator_id").is_null()).then("need_reason")
    )


def _indicators(city: CityFolder, tables: Tables) -> pl.DataFrame:
    """Return every measured indicator that can be a goal, with its error and what is wanted of it.

    Returns:
        semel_mosad, indicator_id, indicator_name_he, unit, indicator_need, baseline, baseline_se,
        baseline_n, next_se (error of one year's measurement), aim; lower is better.
    """
    known = city.policy.need.indicators
    aims = {
        key: 100 - item.target.value if item.measure == "climate_safety" else item.target.value
        for key, item in known.items()
        if item.target and item.measure in RATES
    } | {key: 0.0 for key, item in known.items() if item.measure == "gap"}
    gaps = pl.DataFrame(
        [(key, item.subject) for key, item in known.items() if item.measure == "gap"],
        schema={"indicator_id": pl.String, "subject": pl.String},
        orient="row",
    ).join(tables["mart_gap_school"].select("semel_mosad", "subject", "gap_se_sd"), on="subject")
    share = pl.col("indicator_value") / 100
    years = city.policy.need.window_years.value
    return (
        tables["mart_need_indicator"]
        .filter("is_measured", pl.col("indicator_id").is_in(list(aims)))
        .join(gaps.drop("subject"), on=["semel_mosad", "indicator_id"], how="left")
        .with_columns(
            baseline=pl.col("indicator_value"),
            baseline_n=pl.col("indicator_n"),
            baseline_se=pl.coalesce(
                "gap_se_sd", 100 * (share * (1 - share) / pl.col("indicator_n")).sqrt()
            ),
            aim=pl.col("indicator_id").replace_strict(aims, return_dtype=pl.Float64),
        )
        .select(
            "semel_mosad",
            "indicator_id",
            "indicator_name_he",
            "unit",
            "indicator_need",
            "baseline",
            "baseline_se",
            "baseline_n",
            (pl.col("baseline_se") * years**0.5).alias("next_se"),
            "aim",
        )
    )


def _goals(city: CityFolder, tables: Tables, served: pl.DataFrame) -> pl.DataFrame:
    """Return the goals: those of the city's file, drafts for other needs that lines serve."""
    pair = ["semel_mosad", "indicator_id"]
    rows = (
        tables["mart_plan_line"]
        .select("plan_row_id", "semel_mosad")
        .join(served, on="plan_row_id")
        .drop_nulls("indicator_id")
        .group_by(pair)
        .agg(plan_rows=pl.len().cast(pl.Int32))
    )
    indicators = _indicators(city, tables)
    stated = tables["stg_act__goals"].filter(
        pl.col("semel_mosad").is_in(tables["core_school"]["semel_mosad"].implode())
    )
    drafts = (
        draft_targets(rows.join(indicators, on=pair))
        .join(stated.filter(planning_year=city.planning_year), on=pair, how="anti")
        .join(how_known(city, tables), on=pair, how="left")
        .select(
            *pair,
            "target_value",
            "how_known_he",
            goal_row_id=pl.concat_str(pair, separator="/"),
            planning_year=pl.lit(city.planning_year, pl.Int32),
            due_on=pl.lit(_day(city.policy.act.measured_by.value, city.planning_year)),
            plan_owner=pl.lit(_SCHOOL),
            is_draft=pl.lit(True),
        )
    )
    both = pl.concat(
        [stated.with_columns(is_draft=pl.lit(False)), drafts],
        how="diagonal_relaxed",
    )
    names = {key: item.name_he for key, item in city.policy.need.indicators.items()}
    units = tables["mart_need_indicator"].select("indicator_id", "unit").unique()
    last = city.city.school_years.last
    is_gap = pl.col("indicator_id").is_in(list(_subject_of(city).values()))
    posed = (
        both.join(indicators.drop("indicator_name_he", "unit"), on=pair, how="left")
        .join(rows, on=pair, how="left")
        .join(units, on="indicator_id")
        .join(_forecasts(city, tables), on=pair, how="left")
        .join(_gains(city, tables), on=pair, how="left")
        .join(_in_year(city, tables), on=[*pair, "planning_year"], how="left")
        .with_columns(
            indicator_name_he=pl.col("indicator_id").replace_strict(names),
            plan_rows=pl.col("plan_rows").fill_null(0),
            # A gap is judged by the tests of the goal's own year: the window holds years before.
            now=pl.when(is_gap).then("year_value").otherwise("baseline"),
            now_se=pl.when(is_gap).then("year_se").otherwise("baseline_se"),
            is_due=pl.col("planning_year") <= last,
        )
    )
    return results(attainability(posed)).sort("goal_row_id")


def how_known(city: CityFolder, tables: Tables) -> pl.DataFrame:
    """Return by what a school's goal will be known: what measured it, and in which school year.

    Nobody knows a test of the planned year yet. What measured the indicator in the last school year
    with files may come again and is named with its year; of what was last measured before
    it, the year is told and that the way to know is still to be settled.

    Returns:
        semel_mosad, indicator_id, how_known_he.
    """
    indicators, subjects = city.policy.need.indicators, _subject_of(city)
    years = [
        tables["mart_gap_school_subject"]
        .filter("is_measured", pl.col("subject").is_in(list(subjects)))
        .select(
            "semel_mosad",
            pl.col("subject").replace_strict(subjects, return_dtype=pl.String).alias("key"),
            "school_year",
        )
    ]
    years += [
        tables[table].filter(known).select("semel_mosad", pl.lit(key).alias("key"), "school_year")
        for measure, (table, known) in _REGISTERED.items()
        for key, item in indicators.items()
        if item.measure == measure
    ]
    last = (
        pl.concat(years, how="vertical_relaxed")
        .group_by("semel_mosad", indicator_id="key")
        .agg(last=pl.col("school_year").max())
    )
    named = {key: _MEASURED_BY.get(item.measure) for key, item in indicators.items()}
    what = pl.col("indicator_id").replace_strict(named, return_dtype=pl.String)
    return (
        tables["mart_need_indicator"]
        .filter(what.is_not_null())
        .join(last, on=["semel_mosad", "indicator_id"], how="left")
        .select(
            "semel_mosad",
            "indicator_id",
            how_known_he=pl.when(pl.col("last") >= city.city.school_years.last)
            .then(pl.format("{} של שנת התוכנית, אם יהיה כמו ב־{}, מול מה שלפניו", what, "last"))
            .when(pl.col("last").is_not_null())
            .then(pl.format("{}: הידוע האחרון הוא משנת {}; יש לקבוע איך נדע", what, "last"))
            .otherwise(pl.format("{}: לא ידוע מאיזו שנה; יש לקבוע איך נדע", what)),
        )
        .sort("semel_mosad", "indicator_id")
    )


def _subject_of(city: CityFolder) -> dict[str, str]:
    """Return the indicator of each subject's gap."""
    indicators = city.policy.need.indicators.items()
    return {item.subject: key for key, item in indicators if item.subject}


def _in_year(city: CityFolder, tables: Tables) -> pl.DataFrame:
    """Return the gap that each year's tests show by themselves, over the grades that sat them.

    Returns:
        semel_mosad, indicator_id, planning_year, year_value (pupil SD below), year_se: means over
        grades by tested pupils; a year with an unmeasured error has none.
    """
    subjects, pupils = _subject_of(city), pl.col("tested_pupils")
    return (
        tables["mart_gap_school_subject"]
        .filter("is_measured", pl.col("subject").is_in(list(subjects)))
        .drop_nulls(["gap_raw_sd", "gap_sampling_sd", "tested_pupils"])
        .sort("semel_mosad", "subject", "school_year", "grade", "scale_id")
        .group_by("semel_mosad", "subject", "school_year", maintain_order=True)
        .agg(
            year_value=(pupils * pl.col("gap_raw_sd")).sum() / pupils.sum(),
            year_se=((pupils * pl.col("gap_sampling_sd")) ** 2).sum().sqrt() / pupils.sum(),
        )
        .select(
            "semel_mosad",
            pl.col("subject")
            .replace_strict(subjects, return_dtype=pl.String)
            .alias("indicator_id"),
            pl.col("school_year").alias("planning_year"),
            "year_value",
            "year_se",
        )
    )


def _forecasts(city: CityFolder, tables: Tables) -> pl.DataFrame:
    """Return the gap a school's trend leads to: semel_mosad, indicator_id, forecast, its error."""
    subjects = _subject_of(city)
    return (
        tables["mart_gap_trend"]
        .filter(pl.col("subject").is_in(list(subjects)))
        .drop_nulls("forecast_sd")
        .select(
            semel_mosad="place",
            indicator_id=pl.col("subject").replace_strict(subjects, return_dtype=pl.String),
            forecast="forecast_sd",
            forecast_se=(pl.col("forecast_hi_sd") - pl.col("forecast_lo_sd")) / (2 * _REACH),
        )
    )


def _gains(city: CityFolder, tables: Tables) -> pl.DataFrame:
    """Return what the lines are expected to take off each school's gap: the mean over its pupils.

    Of responses whose goals tests measure; their errors are taken as independent.
    """
    subjects = _subject_of(city)
    share = city.policy.dose_response.value
    effect = tables["mart_effect"].join(goal_subjects(city), on=RESPONSE_SUBJECT, how="semi")
    part = pl.col("participants") * pl.col("share") / pl.col("pupils")
    return (
        tables["mart_plan_line"]
        .drop_nulls(["semel_mosad", "dose_level"])
        .with_columns(
            share=dose_of(city, pl.col("dose_level")).replace_strict(share, return_dtype=pl.Float64)
        )
        .join(tables["mart_need_index"].select("semel_mosad", "pupils"), on="semel_mosad")
        .join(effect, on="response_id")
        .filter(pl.col("subject").is_in(list(subjects)))
        .sort("semel_mosad", "subject", "response_id")
        .group_by("semel_mosad", "subject", maintain_order=True)
        .agg(
            goal_gain=(part * pl.col("effect_sd")).sum(),
            goal_gain_se=((part * pl.col("effect_se_sd")) ** 2).sum().sqrt(),
        )
        .select(
            "semel_mosad",
            pl.col("subject")
            .replace_strict(subjects, return_dtype=pl.String)
            .alias("indicator_id"),
            "goal_gain",
            "goal_gain_se",
        )
    )


def _lacking(city: CityFolder, tables: Tables) -> pl.DataFrame:
    """Return the money of each line that nobody has confirmed: plan_row_id, lacking_agorot."""
    return (
        with_confirmation(city, tables, tables["mart_plan_money"])
        .filter(pl.col("confirmation") != "confirmed")
        .group_by("plan_row_id")
        .agg(lacking_agorot=pl.col("amount_agorot").sum())
    )


STEPS = (
    Step(
        "work_plan",
        "act",
        makes=("mart_work_plan", "mart_goal"),
        reads=(
            "stg_act__goals",
            "core_school",
            "core_confirmation",
            "mart_plan_line",
            "mart_plan_money",
            "mart_need_index",
            "mart_need_indicator",
            "mart_gap_school",
            "mart_gap_school_subject",
            "mart_gap_trend",
            "mart_effect",
            "core_attendance",
            "core_climate",
        ),
        compute=work_plan,
    ),
)
