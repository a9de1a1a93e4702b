"""Why a school has a response or not, said to a principal: what, instead of whom, what turns it.

The reason is read off prices (`explain`); who would have to make room, and what turns the decision,
are found by solving again (R94). Hebrew and English say the same, line by line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from models.allocation.account.difference import Difference, change_in_words, lines_in_words
from models.allocation.account.explain import explain
from models.allocation.account.reasons import whose
from models.allocation.account.turning_points import TurningPointSettings, turning_points
from models.allocation.problem.problem import Problem
from models.allocation.problem.words import channel_en, channel_he, first_few, nis
from models.allocation.rules.money import ChannelBudget, SchoolChannelCap
from models.allocation.rules.order import NeedOrder
from models.allocation.solve.model import Model, model_of
from models.allocation.solve.nearest import nearest
from models.allocation.solve.resolve import Effort, plan_vector
from models.keys import PAIR

_EFFORT = Effort(gap_pct=0.1)
_SHOWN = 5
Said = tuple[str, str]


def answer(
    problem: Problem,
    lines: pl.DataFrame,
    school: str,
    response: str,
    *,
    months_per_sd: float,
    settings: TurningPointSettings,
) -> tuple[list[str], list[str]]:
    """The whole answer on one pair, in Hebrew and in English, a sentence a line.

    Args:
        problem: the tables and rules.
        lines: semel_mosad, response_id, dose_level: the plan.
        school: semel_mosad.
        response: response_id.
        months_per_sd: months of progress that a pupil's SD stands for.
        settings: how far and how finely turning points are sought.

    Raises:
        ValueError: bad tables, no such pair among the options, or no plan at all.
        NoPlanInTime: a solve ran into its time limit without a plan.
    """
    problem = problem.canonical()
    pair = pl.DataFrame([(school, response)], schema=PAIR, orient="row")
    row = explain(problem, lines, pair, months_per_sd=months_per_sd).pairs.row(0, named=True)
    model = model_of(problem)
    held = plan_vector(model, lines)
    needier = _needier(model, held, row)
    said = [
        _head(model, row),
        (row["reason_he"], row["reason_en"]),
        *_owners(model, row["reason_rules"]),
        *_order_told(needier),
        _who_has_it(model, held, row),
    ]
    if row["reason_code"] != "not_eligible":
        turned = turning_points(problem, lines, pair, settings)
        said += [
            _instead(problem, lines, row, months_per_sd, is_before_needier=bool(needier)),
            (
                "מה היה הופך את ההחלטה (כל תשובה אומתה בפתרון חוזר):",
                "What would turn it (solved again):",
            ),
            *(
                (f"– {he}", f"- {en}")
                for lever in turned.iter_rows(named=True)
                for he, en in [_turn(model, lever)]
            ),
        ]
    return [he for he, _ in said], [en for _, en in said]


def _head(model: Model, row: Mapping[str, Any]) -> Said:
    """Which decision it is."""
    he, en = lines_in_words(model, [(row["semel_mosad"], row["response_id"])], 1)
    need, is_in = f"{row['need']:.2f}", row["plan_dose_level"] is not None
    return (
        f"{he} (צורך {need}): {'בתוכנית' if is_in else 'לא בתוכנית'}.",
        f"{en} (need {need}): {'in' if is_in else 'not in'} the plan.",
    )


def _owners(model: Model, rule_ids: str) -> Iterator[Said]:
    """Whose decision the rules behind the reason are."""
    named = set(rule_ids.split(","))
    for he, en in dict.fromkeys(whose(rule) for rule in model.rules if rule.rule_id in named):
        yield f"מי מחליט על כך: {he}.", f"Whose decision that is: {en}."


def _order_told(needier: list[str]) -> Iterator[Said]:
    """Who goes before the school, if anyone."""
    if needier:
        he = first_few(needier, _SHOWN, " ועוד {}", between=", ")
        en = first_few(needier, _SHOWN, " and {} more", between=", ")
        yield f"נזקקים ממנו בוודאות וחסרים אותו: {he}.", f"Surely needier and without it: {en}."


def _needier(model: Model, held: np.ndarray, row: Mapping[str, Any]) -> list[str]:
    """The surely needier schools that lack it and that the order of need puts before this one."""
    has = set(model.columns.pair[np.flatnonzero(held > 0.5)].tolist())
    with_line = {pair for k, pair in enumerate(model.columns.pairs.rows()) if k in has}
    called = dict(model.columns.schools.select("semel_mosad", "school_name_he").iter_rows())
    return [
        called[above] or above
        for rule in model.rules
        if isinstance(rule, NeedOrder)
        for above, below, response in rule.pairs
        if (below, response) == (row["semel_mosad"], row["response_id"])
        and (above, response) not in with_line
    ]


def _who_has_it(model: Model, held: np.ndarray, row: Mapping[str, Any]) -> Said:
    """Which other schools have the response, and which of them need less."""
    has = model.columns.options.filter(
        pl.Series(held > 0.5),
        pl.col("response_id") == row["response_id"],
        pl.col("semel_mosad") != row["semel_mosad"],
    )
    if has.is_empty():
        return "אף בית ספר אחר אינו מקבל אותו.", "No other school has it."
    less = has.filter(pl.col("need") < row["need"]).join(
        model.columns.schools.select("semel_mosad", "school_name_he"), on="semel_mosad"
    )
    names = (
        less.sort("need", "semel_mosad")
        .select(pl.coalesce("school_name_he", "semel_mosad"))
        .to_series()
        .to_list()
    )
    he = f"המענה ניתן ב־{has.height} בתי ספר אחרים"
    en = f"Other schools that have it: {has.height}"
    if not names:
        return f"{he}, כולם בצורך שאינו נמוך משלו.", f"{en}, none of which needs less."
    return (
        f"{he}; בצורך נמוך משלו: {first_few(names, _SHOWN, ' ועוד {}', between=', ')}.",
        f"{en}; that need less: {first_few(names, _SHOWN, ' and {} more', between=', ')}.",
    )


def _instead(
    problem: Problem,
    lines: pl.DataFrame,
    row: Mapping[str, Any],
    months_per_sd: float,
    *,
    is_before_needier: bool,
) -> Said:
    """Who would make room, or would have the room: the best plan with the pair decided otherwise.

    Found near the plan, so that a line moves only where that decision moves it.
    """
    is_in = row["plan_dose_level"] is not None
    own = (row["semel_mosad"], row["response_id"])
    problem = _order_of_others(problem, *own)
    start_he, start_en = ("בלעדיו", "Without it") if is_in else ("אילו ניתן כאן", "With it")
    if is_before_needier:
        start_he, start_en = f"{start_he}, לפני הנזקקים ממנו", f"{start_en}, before the needier"
    model, found = nearest(problem, lines, _EFFORT, partial(_decided, pair=own, is_in=not is_in))
    if found is None:
        return (
            f"{start_he}: אין תוכנית שמקיימת אז את כל הכללים.",
            f"{start_en}: no plan keeps all rules then.",
        )
    held = plan_vector(model, lines)
    change, worth = Difference.of(model, held, found.x), model.worth(held)
    hebrew, english = [], []
    for pairs, said_he, said_en in (
        ([p for p in change.comes if p != own], "היו נכנסים:", "in"),
        ([p for p in change.goes if p != own], "היו יוצאים:", "out"),
        (change.moves, "היו משתנים במינון או במסלול:", "at another dose or way"),
    ):
        if pairs:
            names_he, names_en = lines_in_words(model, pairs, _SHOWN)
            hebrew.append(f"{said_he} {names_he}")
            english.append(f"{said_en}: {names_en}")
    moved_he = "; ".join(hebrew) or "דבר אחר לא היה משתנה"
    moved_en = "; ".join(english) or "nothing else would change"
    all_he, all_en = change_in_words(months_per_sd * change.benefit_sd_pupils, change.participants)
    pct = 100 * (found.worth - worth) / worth if worth else 0.0
    same = abs(pct) < _EFFORT.gap_pct
    more_he, more_en = ("יותר", "more") if pct > 0 else ("פחות", "less")
    size_he = f"שווה עד כדי {_EFFORT.gap_pct}%" if same else f"{abs(pct):.2f}% {more_he}"
    size_en = f"the same to within {_EFFORT.gap_pct} %" if same else f"{abs(pct):.2f} % {more_en}"
    return (
        f"{start_he}: {moved_he}. בסך הכול: {all_he}; ערך התוכנית, המשוקלל בצורך, {size_he}.",
        f"{start_en}: {moved_en}. In all: {all_en}; the plan's need-weighted worth: {size_en}.",
    )


def _order_of_others(problem: Problem, school: str, response: str) -> Problem:
    """The problem whose order of need says nothing of one pair: it may be envied, or envy."""
    rules = (
        replace(
            rule,
            pairs=tuple(
                (above, below, of)
                for above, below, of in rule.pairs
                if of != response or school not in (above, below)
            ),
        )
        if isinstance(rule, NeedOrder)
        else rule
        for rule in problem.rules
    )
    return replace(problem, rules=tuple(rules))


def _decided(model: Model, *, pair: tuple[str, str], is_in: bool) -> Model:
    """The model in which one pair must, or must not, have a line: its row "one dose for a pair"."""
    options = model.columns.options.select(PAIR).rows()
    rows = np.array(
        [
            owner < 0 and options[row.columns[0]] == pair
            for owner, row in zip(model.owner, model.rows, strict=True)
        ]
    )
    return model.with_limits(rows, lower=float(is_in), upper=float(is_in))


def _turn(model: Model, lever: Mapping[str, Any]) -> Said:
    """One lever in a line: where the decision was seen to stand and where to turn."""
    rule = next((r for r in model.rules if r.rule_id == lever["rule_id"]), None)
    if rule is None:
        name_he, name_en = "הצורך של בית הספר", "the school's need"
    elif isinstance(rule, ChannelBudget):
        name_he, name_en = channel_he(rule.funding_channel), channel_en(rule.funding_channel)
    elif isinstance(rule, SchoolChannelCap) and rule.is_budget:
        name_he = f"הסל של בית הספר ({channel_he(rule.funding_channel)})"
        name_en = f"the school's basket ({channel_en(rule.funding_channel)})"
    else:
        name_he = f"בלי הכלל ״{rule.sentence_he.rstrip('.')}״ ({whose(rule)[0]})"
        name_en = f"without the rule “{rule.sentence_en.rstrip('.')}” ({whose(rule)[1]})"
    limit = _value(lever, "value_limit")
    match lever["status"]:
        case "found" if lever["value_turned"] is None:
            return f"{name_he}: מתהפכת.", f"{name_en}: it turns."
        case "found":
            now, stands, turned = (
                _value(lever, name) for name in ("value_now", "value_not_turned", "value_turned")
            )
            return (
                f"{name_he}: מתהפכת ב־{turned} (היום {now}; ב־{stands} עוד עומדת).",
                f"{name_en}: turns at {turned} (now {now}; at {stands} it still stands).",
            )
        case "not_found" if lever["value_limit"] is not None:
            return f"{name_he}: גם ב־{limit} אינה מתהפכת.", f"{name_en}: not even at {limit}."
        case "not_found":
            return f"{name_he}: אינה מתהפכת.", f"{name_en}: it does not turn."
        case "within_gap":
            return (
                f"{name_he}: תוכנית שערכה שווה, עד כדי דיוק החיפוש, מחליטה אחרת כבר היום.",
                f"{name_en}: a plan of equal worth, to the search's precision, decides otherwise.",
            )
        case "not_possible":
            return (
                f"{name_he}: אין תוכנית שמקיימת אז את הכללים.",
                f"{name_en}: no plan keeps the rules then.",
            )
        case _:
            return f"{name_he}: לא נבדק.", f"{name_en}: not searched."


def _value(lever: Mapping[str, Any], name: str) -> str:
    """A lever's value in its unit."""
    value = lever[name]
    if value is None:
        return ""
    return f"{nis(value)} ₪" if lever["unit"] == "agorot" else f"{value:.2f}"
