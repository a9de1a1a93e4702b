"""The scenarios page: the plan and what else it could be, side by side (R98).

Hebrew, right to left, without scripts. Every number carries the address of its mart cell; the chart
stands beside a table of the same numbers. A scenario without a plan shows its conflict in words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import polars as pl
from markupsafe import Markup

from pipelines.publish import charts, words
from pipelines.publish.pages.base import ReportContext, called, names_of, page
from pipelines.settings.scenario_files import BASE

# What a scenario may change, as people call it; the path stands beside it.
PARAMETERS = {
    "equity_gamma": "מידת ההעדפה המתקנת γ",
    "need_offset": "משקל התחלתי לצורך a",
    "rules.excellence_min": "חלק המצוינות, לפחות (%)",
    "rules.excellence_max": "חלק המצוינות, לכל היותר (%)",
    "rules.every_school_served": "מענה לכל בית ספר",
    "rules.school_cap_per_pupil": "תקרה לבית ספר (₪ לתלמיד)",
    "rules.must_keep": "חובה לשמר",
    "rules.must_drop": "יש להפסיק",
    "rules.capacity": "תקרת קיבולת",
    "rules.hold_harmless": "רצפה מול הסכום של אשתקד (%)",
    "rules.neediest_kept": "רצפה מול הסכום של אשתקד לנזקקים בוודאות (%)",
    "rules.city_places": "מקומות בשירות של העיר",
    "rules.parents_payments": "הורים אינם משלמים יותר מאשתקד",
    "channels.municipal_own.budget": "תקציב הרשות (₪)",
}


def render_scenarios(tables: Mapping[str, pl.DataFrame], context: ReportContext) -> str:
    """Return the page as one HTML text.

    Args:
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
    """
    every = tables["mart_scenario"].sort("scenario_order")
    planned = every.filter(pl.col("scenario_status").is_in([BASE, "solved"]))
    names = dict(planned.select("scenario_id", "scenario_name_he").iter_rows())
    name = partial(called, names_of(tables), "response_id")
    groups, schools, responses = (
        tables[f"mart_scenario_{of}"] for of in ("group", "school", "response")
    )
    divisions = {
        dimension: (
            groups.filter(scenario_id=BASE, scenario_dimension=dimension)
            .sort("division_id")
            .to_dicts()
        )
        for dimension in ("need_quartile", "need_tier", "stream", "group")
    }
    return page(
        "scenarios",
        tables,
        context,
        base=BASE,
        scenarios=every.to_dicts(),
        planned=planned.to_dicts(),
        without=every.filter(pl.col("conflict_he").is_not_null()).to_dicts(),
        changes=tables["mart_scenario_change"].sort("scenario_id", "parameter_id").to_dicts(),
        parameter=partial(_parameter, name),
        value=partial(_value, name),
        planned_names=names,
        divisions=divisions,
        group={
            (r["scenario_id"], r["scenario_dimension"], r["division_id"]): r
            for r in groups.to_dicts()
        },
        formulas=_formulas(tables, names),
        school_rows=schools.filter(scenario_id=BASE)
        .sort("stream", "school_name_he", "semel_mosad")
        .to_dicts(),
        per_school={(r["scenario_id"], r["semel_mosad"]): r for r in schools.to_dicts()},
        response_rows=responses.filter(scenario_id=BASE)
        .sort("response_name_he", "response_id")
        .to_dicts(),
        per_response={(r["scenario_id"], r["response_id"]): r for r in responses.to_dicts()},
        chart=Markup(charts.scenario_chart(groups, names)) if len(names) > 1 else "",
    )


def _formulas(
    tables: Mapping[str, pl.DataFrame], names: Mapping[str, str]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the name of each scenario that changes the formula, and what that gives by school."""
    changed = tables["mart_scenario_change"].filter(
        pl.col("parameter_id").str.starts_with("policy.formula")
    )
    rows = tables["mart_formula_school"].sort("school_name_he", "semel_mosad")
    return [
        (names[name], rows.filter(scenario_id=name).to_dicts())
        for name in changed["scenario_id"].unique().sort()
        if name in names
    ]


def _parameter(name: Callable[[str], str], parameter_id: str) -> str:
    """Return what people call a parameter; `name` says what they call a response."""
    path = parameter_id.removeprefix("policy.")
    if share := re.fullmatch(r"responses\.(\w+)\.funding\.(\w+)", path):
        response_id, channel = share.groups()
        return f"חלק המימון של {words.label('funding_channel', channel)}: {name(response_id)}"
    return next(
        (
            said
            for start, said in PARAMETERS.items()
            if path == start or path.startswith(f"{start}.")
        ),
        "החלטה אחרת של המדיניות",
    )


def _value(name: Callable[[str], str], text: str) -> str:
    """Return a parameter's value as people write it: 8100000.0 is 8,100,000."""
    try:
        return f"{float(text):,.10g}"
    except ValueError:
        return {"all": "כולם", "served": "היכן שהוא פועל", "true": "כן", "false": "לא"}.get(
            text, name(text)
        )
