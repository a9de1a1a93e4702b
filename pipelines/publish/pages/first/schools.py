"""The list of schools, and a page for each: what it gets, why, and why not the rest (R76, R130).

A school's page stands alone: it may be all that its principal gets. Of other schools it names the
money that the plan gives them in public, and never a need, a gap, a score or a count. Need and gaps
are set beside the city and beside a fixed group, the band of the nurture index, so that no choice
of peers gives a single school away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import polars as pl

from models.hebrew import progress_of
from models.keys import WHOLE
from pipelines.publish import words
from pipelines.publish.pages.base import ReportContext, Row, Rows, decision_of, page
from pipelines.publish.pages.first.facts import rows_by
from pipelines.settings.fields import dictionary
from pipelines.settings.keys import CITY, MUNICIPAL
from pipelines.settings.scenario_files import BASE

LEAST_SCHOOLS = 5
"""Fewest schools of a group that a page tells, and of those in the city beside it."""
MOST_NAMED = 1
"""Schools named as those who got a response instead; its own page names every one."""
MOST_QUESTIONS, MOST_SEEN, MOST_CALLED = 3, 1, 2
INDICATOR_UNITS = {
    "percent of pupils": "% מן התלמידים",
    "percent not positive": "% שאינם חיוביים",
    "decile": "ממוצע עשירוני התלמידים, 1 עד 10",
    "category (1 high – 3 low)": "קטגוריה, 1 עד 3",
}
"""Units of indicators of need that are told as they are; gaps are told in months."""
_BELOW = ("surely_below", "probably_below")
_NO_RESPONSE, _SURE = "no_response", 0.95
_LEAST_NEED = 0.005
"""Need of an indicator (0..1) that is told as 0.01; less is told as none."""
_LEAST_MONTHS = 0.05
"""Months of progress that are told as 0.1; fewer are told as none."""
Tables = Mapping[str, pl.DataFrame]


@dataclass(frozen=True)
class Prepared:
    """The marts by school, made once for all pages.

    Attributes:
        schools: rows of `mart_need_index`, by name.
        own: rows of each mart of schools, by mart and code.
        city: rows that are of the whole city or of a band, by mart.
        lines: who gets each response, by name: rows of `mart_plan_line` with `school_name_he`.
        planned: how many schools each line list has is `len`; of responses that the plan decides.
        names: of schools, by code.
        pupils: of schools, by code.
        shared: agorot of the municipality that the formula shares between the schools; None where
            it cannot be applied.
        spent: agorot of the municipality that the plan in force spends in the schools.
        is_decided: whether the plan in force was decided, also for a school that it gives nothing.
    """

    schools: Rows
    own: Mapping[str, Mapping[str, Rows]]
    city: Mapping[str, Rows]
    lines: Mapping[str, Rows]
    names: Mapping[str, str]
    pupils: Mapping[str, int | None]
    shared: int | None
    spent: int
    is_decided: bool

    def rows(self, mart: str, code: str) -> Rows:
        """Return a school's rows of a mart, in its order."""
        return self.own[mart].get(code, [])

    def row(self, mart: str, code: str) -> dict[str, Any] | None:
        """Return a school's row of a mart, if it has one."""
        return next(iter(self.rows(mart, code)), None)


_OF_SCHOOLS = {
    "mart_gap_school": ["subject"],
    "mart_need_indicator": ["indicator_id"],
    "mart_allocation_school": [],
    "mart_allocation_change": [],
    "mart_allocation_reason": ["response_id"],
    "mart_allocation_stability": ["response_id"],
    "mart_allocation_flip": ["response_id", "lever", "rule_id"],
    "mart_last_plan": [],
    "mart_peer_school": ["subject", "peer_place"],
    "mart_response_map": ["response_id"],
    "mart_school_area": [],
    "mart_unmet_need": ["unmet_order", "need_id"],
    "mart_chain": ["cause_id", "response_id"],
    "mart_goal": ["indicator_id", "goal_row_id"],
}


def prepare(tables: Tables) -> Prepared:
    """Return what all pages of schools read, by school.

    Args:
        tables: the marts, as the audience may see them.
    """
    schools = tables["mart_need_index"].sort("school_name_he", "semel_mosad")
    names = dict(schools.select("semel_mosad", "school_name_he").iter_rows())
    lines = (
        tables["mart_plan_line"]
        .drop_nulls("semel_mosad")
        .join(schools.select("semel_mosad", "school_name_he"), on="semel_mosad", how="left")
        .sort("school_name_he", "semel_mosad", "response_id")
    )
    own = {
        name: rows_by(tables[name].sort(order), "semel_mosad")
        for name, order in _OF_SCHOOLS.items()
    }
    formula = tables["mart_formula_school"].filter(scenario_id=BASE)
    own["mart_formula_school"] = rows_by(formula, "semel_mosad")
    own["needier"] = rows_by(tables["mart_need_order"], "less_needy_semel_mosad")
    own["mart_plan_line"] = rows_by(lines.sort("response_id"), "semel_mosad")
    paid = tables["mart_plan_money"].drop_nulls("semel_mosad").sort("plan_row_id")
    municipal = paid.filter(funding_channel=MUNICIPAL)
    own["mart_plan_money"] = rows_by(municipal, "semel_mosad")
    own["mart_gap_trend"] = rows_by(
        tables["mart_gap_trend"].filter(pl.col("place") != CITY).sort("subject"), "place"
    )
    return Prepared(
        schools=schools.to_dicts(),
        own=own,
        city={
            name: tables[name].to_dicts()
            for name in (
                "mart_gap_city",
                "mart_need_area",
                "mart_gap_area",
                "mart_allocation_rule",
                "mart_committee_amount",
                "mart_practice",
                "mart_cause",
            )
        },
        lines=rows_by(lines, "response_id"),
        names=names,
        pupils=dict(schools.select("semel_mosad", "pupils").iter_rows()),
        shared=None
        if formula["formula_agorot"].null_count() or formula.is_empty()
        else int(formula["formula_agorot"].sum()),
        spent=int(municipal["amount_agorot"].sum()),
        is_decided=bool(tables["mart_plan_line"]["is_decided"].any()),
    )


def render_every_school(tables: Tables, context: ReportContext) -> dict[str, str]:
    """Return the page of every school of the plan by its code.

    Args:
        tables: the marts, as the audience may see them.
        context: what the pages say about themselves.
    """
    made = prepare(tables)
    return {row["semel_mosad"]: _draw(made, tables, context, row) for row in made.schools}


def render_each_alone(tables: Tables, context: ReportContext) -> dict[str, str]:
    """Return the page of every school as its principal gets it, without the pages around it.

    Args:
        tables: the marts, as the audience may see them.
        context: what the pages say about themselves.
    """
    made = prepare(tables)
    return {
        row["semel_mosad"]: _draw(made, tables, context, row, is_alone=True) for row in made.schools
    }


def render_school(tables: Tables, context: ReportContext, school_id: str) -> str:
    """Return the page of one school as it stands alone.

    Args:
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
        school_id: code of the school.

    Raises:
        KeyError: if the plan has no such school.
    """
    made = prepare(tables)
    found = {row["semel_mosad"]: row for row in made.schools}
    return _draw(made, tables, context, found[school_id], is_alone=True)


def render_schools(tables: Tables, context: ReportContext) -> str:
    """Return the list of schools, by name.

    Args:
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
    """
    made = prepare(tables)
    rows = [
        row | {"money": _money(made, row["semel_mosad"]), "href": f"schools/{row['semel_mosad']}"}
        for row in made.schools
    ]
    return page(
        "first/schools",
        tables,
        context,
        decided=decision_of(tables, context),
        schools=rows,
        most=max((row["money"]["now"]["cost_agorot"] or 0 for row in rows), default=0),
        widest=max((abs(_changed(row["money"])) for row in rows), default=0),
        tiers=sorted({row["need_tier"] for row in rows}),
        tier_names=_named("need_tier", rows),
        stream_names=_named("stream", rows),
    )


def _named(field: str, rows: Rows) -> dict[str, str]:
    """Return the values of a field that rows have, with what they are called."""
    return {value: words.label(field, value) for value in sorted({row[field] for row in rows})}


def _changed(money: Mapping[str, Any]) -> int:
    change = money["change"]
    return int(change["change_agorot"] or 0) if change else 0


def _draw(
    made: Prepared, tables: Tables, context: ReportContext, own: Row, *, is_alone: bool = False
) -> str:
    code = own["semel_mosad"]
    return page(
        "first/school",
        tables,
        context,
        at="index" if is_alone else f"schools/{code}",
        is_alone=is_alone,
        decided=decision_of(tables, context),
        own=own,
        money=_money(made, code),
        beside=_beside_formula(made, code),
        given=_given(made, code),
        withheld=_withheld(made, code),
        leaves=_leaves(made, code),
        gaps=_gaps(made, code),
        need=_beside_need(made, code),
        questions=_questions(made, code),
        asked_at_once=MOST_QUESTIONS,
        indicator_units=INDICATOR_UNITS,
        calls=_calls(made, code),
        practices=_practices(made, code),
        form=_form(made, code),
        joined=partial(_joined, made),
        named=MOST_NAMED,
        least=LEAST_SCHOOLS,
        column_he=lambda column: dictionary().fields[column].he,
    )


def _joined(made: Prepared, codes: Iterable[str]) -> str:
    """Return names of schools as Hebrew lists them."""
    return ", ".join(made.names.get(code, code) for code in codes)


# ---- money -----------------------------------------------------------------------------------


def _money(made: Prepared, code: str) -> dict[str, Any]:
    """Return what the formula gives, what was given, and what the plan in force gives.

    Keys: now (cost_agorot, municipal_agorot, per_pupil_agorot; table: where their cells are, none
    if a decided plan is added up), last, formula, change (rows or None).
    """
    lines = made.rows("mart_plan_line", code)
    drafted = made.row("mart_allocation_school", code)
    change = made.row("mart_allocation_change", code)
    last = made.row("mart_last_plan", code)
    if drafted and not made.is_decided:
        return {
            "now": drafted,
            "table": "mart_allocation_school",
            "last": last,
            "formula": made.row("mart_formula_school", code),
            "change": change if change and change["change_agorot"] is not None else None,
            "change_table": "mart_allocation_change",
            "lacking": drafted,
        }
    cost = sum(line["cost_agorot"] for line in lines)
    municipal = sum(row["amount_agorot"] for row in made.rows("mart_plan_money", code))
    before = last["last_year_agorot"] if last else None
    pupils = made.pupils.get(code)
    return {
        "now": {
            "cost_agorot": cost,
            "municipal_agorot": municipal,
            "per_pupil_agorot": cost // pupils if pupils else None,
            "semel_mosad": code,
        },
        "table": None,
        "last": last,
        "formula": made.row("mart_formula_school", code),
        "change": None
        if before is None
        else {
            "change_agorot": cost - before,
            "change_pct": 100 * (cost - before) / before if before else None,
        },
        "change_table": None,
        "lacking": None,
    }


def _beside_formula(made: Prepared, code: str) -> dict[str, int] | None:
    """Return what sets the plan beside the formula where they share out unlike sums.

    Keys, in agorot of the municipality: shared (by the formula), spent (by the plan), even (what
    the school's part of the first is of the second), change (what the plan gives above `even`).
    """
    formula = made.row("mart_formula_school", code)
    if formula is None or not made.shared or formula["formula_agorot"] is None:
        return None
    given = _money(made, code)["now"]["municipal_agorot"]
    even = round(Fraction(formula["formula_agorot"] * made.spent, made.shared))
    return {
        "shared": made.shared,
        "spent": made.spent,
        "even": even,
        "change": int(given or 0) - even,
    }


def _given(made: Prepared, code: str) -> Rows:
    """Return the lines of the plan in force at the school, the dearest first, each with its why.

    Keys of each: line, why, amount (of the committee, where it is one), firm (how firm it is).
    """
    amounts = {row["response_id"]: row for row in made.city["mart_committee_amount"]}
    reasons = {row["response_id"]: row for row in made.rows("mart_allocation_reason", code)}
    firm = {row["response_id"]: row for row in made.rows("mart_allocation_stability", code)}
    return [
        {
            "line": line,
            "why": _in_months(reasons.get(line["response_id"])),
            "amount": amounts.get(line["response_id"]),
            "firm": firm.get(line["response_id"]),
        }
        for line in sorted(
            made.rows("mart_plan_line", code),
            key=lambda line: (-line["cost_agorot"], line["response_id"]),
        )
    ]


def _in_months(reason: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a reason with the months it brings and would have to bring, as reasons word them.

    Added keys: brings, asked (texts, or None where nothing is counted or they round to nothing),
    is_counted, affordable_agorot: the cost at which it would be worth its price, as the plan prices
    money.
    """
    if reason is None:
        return None
    per_sd = dictionary().references["months_per_sd"].value
    is_counted = reason["benefit_sd_pupils"] is not None and (reason["need_weight"] or 0) > 0
    if not is_counted or not reason["money_price"]:
        return reason | {
            "brings": None,
            "asked": None,
            "is_counted": False,
            "affordable_agorot": None,
        }
    worth = reason["weighted_benefit"] or 0.0
    return reason | {
        "brings": _progress(per_sd * reason["benefit_sd_pupils"]),
        "asked": _progress(per_sd * reason["money_price"] / reason["need_weight"]),
        "is_counted": True,
        "affordable_agorot": (
            int(reason["cost_agorot"] * worth / reason["money_price"]) if worth > 0 else None
        ),
    }


def _progress(months: float) -> str | None:
    """Return months of progress in words; None where they round to nothing, or are less."""
    return progress_of(months)[0] if months >= _LEAST_MONTHS else None


def _withheld(made: Prepared, code: str) -> Rows:
    """Return the responses that the plan does not give the school, the nearest to it first.

    Keys of each: reason, rules (of the plan, that keep it away), turned (levers that were found to
    turn it, by solving again), amount (of the committee), others (lines of schools that get it),
    is_needier_without: a surely needier eligible school lacks it too, which the rule of order asks
    about. No school is named for it: that it is needier is its own affair.
    """
    got = {line["response_id"] for line in made.rows("mart_plan_line", code)}
    rules = {row["rule_id"]: row for row in made.city["mart_allocation_rule"]}
    amounts = {row["response_id"]: row for row in made.city["mart_committee_amount"]}
    turned = [
        row for row in made.rows("mart_allocation_flip", code) if row["flip_status"] == "found"
    ]
    eligible = {
        row["response_id"]: row["eligibility_reason_he"]
        for row in made.rows("mart_response_map", code)
    }
    rows = [
        {
            "reason": _in_months(reason),
            "rules": [
                {"kind": rule_id.partition(":")[0], "row": rules.get(rule_id)}
                for rule_id in filter(None, (reason["reason_rules"] or "").split(","))
            ],
            "turned": [one for one in turned if one["response_id"] == reason["response_id"]],
            "amount": amounts.get(reason["response_id"]),
            "eligibility": eligible.get(reason["response_id"]),
            "is_needier_without": any(
                _lacks(made, row["semel_mosad"], reason["response_id"])
                for row in made.rows("needier", code)
            ),
            "others": [
                line
                for line in made.lines.get(reason["response_id"], [])
                if line["semel_mosad"] != code
            ],
        }
        for reason in made.rows("mart_allocation_reason", code)
        if reason["response_id"] not in got
    ]
    order = ("rule", "below_line", "committee")
    return sorted(
        rows,
        key=lambda row: (
            order.index(row["reason"]["allocation_reason"])
            if row["reason"]["allocation_reason"] in order
            else len(order),
            -(row["reason"]["above_line"] or 0.0),
            row["reason"]["response_id"],
        ),
    )


def _lacks(made: Prepared, code: str, response_id: str) -> bool:
    """Whether a school is eligible for a response and the plan in force does not give it."""
    could = any(
        row["response_id"] == response_id and row["is_eligible"]
        for row in made.rows("mart_response_map", code)
    )
    return could and all(
        line["response_id"] != response_id for line in made.rows("mart_plan_line", code)
    )


def _leaves(made: Prepared, code: str) -> dict[str, list[str]]:
    """Return the responses that run at the school now and leave it, and those that come."""
    asked = {row["response_id"] for row in made.rows("mart_allocation_reason", code)}
    running = {
        row["response_id"] for row in made.rows("mart_response_map", code) if row["is_served"]
    }
    got = {line["response_id"] for line in made.rows("mart_plan_line", code)}
    return {"gone": sorted((running & asked) - got), "come": sorted(got - running)}


# ---- need and gaps ---------------------------------------------------------------------------


def _band(made: Prepared, code: str) -> str | None:
    """Return the group that the school is compared with; None where it is too small to tell.

    The rest of the city must be as large: the city less the group would tell of a single school.
    """
    place = made.row("mart_school_area", code)
    sizes = {row["area"]: row["schools"] for row in made.city["mart_need_area"]}
    if place is None or place["area"] not in sizes or place["area"] == "none":
        return None
    is_told = _is_large(sizes[place["area"]], sizes[WHOLE])
    return str(place["area"]) if is_told else None


def _is_large(schools: int, of_city: int) -> bool:
    """Whether a group may be told: it and the rest of the city are each of enough schools."""
    rest = of_city - schools
    return schools >= LEAST_SCHOOLS and (rest == 0 or rest >= LEAST_SCHOOLS)


def _beside_need(made: Prepared, code: str) -> dict[str, Any]:
    """Return the need of the city and of similar schools: rows of `mart_need_area`, or None."""
    of_area = {row["area"]: row for row in made.city["mart_need_area"]}
    band = _band(made, code)
    return {"city": of_area.get(WHOLE), "similar": of_area.get(band or ""), "band": band}


def _gaps(made: Prepared, code: str) -> Rows:
    """Return the school's gap in each subject beside the city's and that of similar schools."""
    city = {row["subject"]: row for row in made.city["mart_gap_city"]}
    band = _band(made, code)
    similar = {
        row["subject"]: row
        for row in made.city["mart_gap_area"]
        if row["area_kind"] == "nurture_band"
        and row["area"] == band
        and row["subject"] in city
        and _is_large(row["schools_measured"], city[row["subject"]]["schools_measured"])
    }
    order = ["all", *(name for name in map(str, dictionary().labels["subject"]) if name != "all")]
    rows = sorted(made.rows("mart_gap_school", code), key=lambda row: order.index(row["subject"]))
    reach = max(
        (
            abs(end)
            for row in rows
            for source in (row, city.get(row["subject"]), similar.get(row["subject"]))
            if source
            for end in (source["gap_lo_sd"], source["gap_hi_sd"])
            if end is not None
        ),
        default=0.0,
    )
    return [
        {
            "own": row,
            "city": city.get(row["subject"]),
            "similar": similar.get(row["subject"]),
            "reach": reach,
        }
        for row in rows
    ]


# ---- what to ask, whom to call, what to send back ------------------------------------------------


def _questions(made: Prepared, code: str) -> Rows:
    """Return what the plan and the data leave open at the school, as questions.

    Keys: kind, row (asked of); those that stand before any is folded come first.
    """
    money = _money(made, code)
    found: Rows = []
    lacking = money["lacking"]
    if lacking and lacking["gefen_request_agorot"]:
        found.append({"kind": "gefen", "row": lacking})
    goals = sorted(made.rows("mart_goal", code), key=lambda goal: -goal["plan_rows"])
    asked: Rows = [
        {"kind": "goal", "row": goal, "is_to_keep": _is_to_keep(goal)}
        for goal in goals
        if goal["baseline"] is not None and goal["planning_year"] == goals[0]["planning_year"]
    ]
    told = {one["row"]["indicator_id"] for one in asked[:1]}
    served = [one | {"is_told": one["row"]["indicator_id"] in told} for one in _served(made, code)]
    found += [*asked[:1], *served[:1]]
    sure = [
        need
        for need in made.rows("mart_unmet_need", code)
        if need["is_measured"]
        and need["need_coverage"] == _NO_RESPONSE
        and need["need_measure"] == "gap"
        and (need["p_need"] or 0) >= _SURE
    ]
    found += [{"kind": "unmet", "row": need} for need in sure[:1]]
    names = {row["cause_id"]: row["cause_name_he"] for row in made.city["mart_cause"]}
    found += [
        {"kind": "cause", "row": link, "name": names.get(link["cause_id"], link["cause_id"])}
        for link in made.rows("mart_chain", code)
        if link["has_gap"] and link["chain_link"] == "cause_without_action"
    ][:1]
    worse = [t for t in made.rows("mart_gap_trend", code) if t["trend"] == "worsening"]
    found += [{"kind": "worse", "row": trend} for trend in worse[:1]]
    blank = [g for g in made.rows("mart_gap_school", code) if not g["is_measured"]]
    if blank:
        found.append({"kind": "silent", "row": [g["subject"] for g in blank]})
    return [*found, *asked[1:], *served[1:]]


def _is_to_keep(goal: Row) -> bool:
    """Whether a goal and where the school stands are told by the same number."""
    form = words.FORMS["months_from_target" if goal["unit"] == "pupil SD" else "tenths"]
    return form(goal["baseline"]) == form(goal["target_value"])


def _served(made: Prepared, code: str) -> Rows:
    """Return the needs by which a sum was shared with the school, each once, at its dearest line.

    Keys: kind, line (of the plan), row (of `mart_need_indicator`: where the school is worst off of
    what the sum is shared by), is_alone (nothing else of it is needed here).
    """
    basis = {
        row["response_id"]: row["need_basis"].split(",")
        for row in made.city["mart_committee_amount"]
    }
    found: dict[str, dict[str, Any]] = {}
    for given in _given(made, code):
        needed = [
            row
            for row in made.rows("mart_need_indicator", code)
            if row["indicator_id"] in basis.get(given["line"]["response_id"], ())
            and row["indicator_value"] is not None
            and (row["indicator_need"] or 0) >= _LEAST_NEED
        ]
        if needed:
            worst = max(needed, key=lambda row: row["indicator_need"])
            found.setdefault(
                worst["indicator_id"],
                {
                    "kind": "served",
                    "line": given["line"],
                    "row": worst,
                    "is_alone": len(needed) == 1,
                },
            )
    return list(found.values())


def _calls(made: Prepared, code: str) -> dict[str, list[str]]:
    """Return whom to call: similar schools that do better in a subject below the target.

    In which subject is not told: it would set a named school's results beside this one's. Who
    calls may ask.

    Keys: first and more: codes, the likest first.
    """
    below = [
        gap["subject"]
        for gap in made.rows("mart_gap_school", code)
        if gap["gap_tier"] in _BELOW and gap["subject"] != WHOLE
    ]
    rows = [row for row in made.rows("mart_peer_school", code) if row["subject"] in below]
    codes = list(
        dict.fromkeys(
            row["peer_semel_mosad"] for row in sorted(rows, key=lambda row: row["peer_place"])
        )
    )
    return {"first": codes[:MOST_CALLED], "more": codes[MOST_CALLED:]}


def _practices(made: Prepared, code: str) -> dict[str, Rows]:
    """Return practices of other schools to visit; those of schools to call come first."""
    called = {*_calls(made, code)["first"]}
    rows = sorted(
        (row for row in made.city["mart_practice"] if row["semel_mosad"] != code),
        key=lambda row: (
            row["semel_mosad"] not in called,
            row["criteria_field"] != "learning_gap",
            row["school_name_he"],
            row["practice_he"],
        ),
    )
    return {"first": rows[:MOST_SEEN], "more": rows[MOST_SEEN:]}


def _form(made: Prepared, code: str) -> Rows:
    """Return the cells that a school is asked to confirm or correct: mart, row, column, name."""
    need = next(row for row in made.schools if row["semel_mosad"] == code)
    cells: Rows = [
        {"mart": "mart_need_index", "row": need, "column": "last_registered_pupils", "name": None}
    ]
    last = made.row("mart_last_plan", code)
    if last:
        cells.append(
            {"mart": "mart_last_plan", "row": last, "column": "last_year_agorot", "name": None}
        )
    cells += [
        {
            "mart": "mart_need_indicator",
            "row": row,
            "column": "indicator_value",
            "name": f"{row['indicator_name_he']} ({INDICATOR_UNITS[row['unit']]})",
        }
        for row in made.rows("mart_need_indicator", code)
        if row["indicator_value"] is not None and row["unit"] in INDICATOR_UNITS
    ]
    cells += [
        {
            "mart": "mart_gap_school",
            "row": row,
            "column": "gap_sd",
            "name": f"מרחק מן היעד ב{words.label('subject', row['subject'])} (חודשים)",
        }
        for row in made.rows("mart_gap_school", code)
        if row["gap_sd"] is not None and row["subject"] != WHOLE
    ]
    return cells
