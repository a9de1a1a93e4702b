"""What the next money would buy and what a cut would cost: solved again (R82, R94).

A shadow price says what a little more money is worth where it could be spent in part. What can only
be bought whole is found by solving again, best plan against best plan by worth: both near the plan
in hand, so that a line moves only where the money moves it, and neither with what only tells nearly
equal plans apart, which would hide what money does.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import polars as pl

from models.allocation.account.difference import Difference, change_in_words, lines_in_words
from models.allocation.problem.plan import Plan
from models.allocation.problem.problem import Problem
from models.allocation.problem.words import NO_PLAN, channel_en, channel_he, nis
from models.allocation.rules.money import ChannelBudget
from models.allocation.solve.model import Model
from models.allocation.solve.nearest import nearest
from models.allocation.solve.resolve import Effort, plan_vector
from models.keys import OPTION

_EFFORT = Effort(gap_pct=0.01)
_SHOWN = 6
_SCHEMA = {
    "funding_channel": pl.String,
    "step_agorot": pl.Int64,
    "worth_change": pl.Float64,
    "worth_change_lo": pl.Float64,
    "worth_change_hi": pl.Float64,
    "worth_change_pct": pl.Float64,
    "months_change": pl.Float64,
    "participants_change": pl.Int64,
    "lines_bought": pl.Int64,
    "lines_dropped": pl.Int64,
    "next_he": pl.String,
    "next_en": pl.String,
}


def next_money(
    problem: Problem,
    lines: pl.DataFrame,
    *,
    step_agorot: int,
    months_per_sd: float,
    effort: Effort = _EFFORT,
) -> pl.DataFrame:
    """What a step more in each channel that limits would buy, and what a step less would cost.

    A channel limits where a further step that would do good does not fit what it has left, or where
    it has less left than the step, so that a cut would be felt.

    Args:
        problem: the tables and rules, without those that only tell nearly equal plans apart.
        lines: semel_mosad, response_id, dose_level: the plan.
        step_agorot: above 0.
        months_per_sd: months of progress that a pupil's SD stands for.
        effort: of each solve.

    Returns:
        funding_channel, step_agorot (below 0 = a cut), worth_change (need-weighted; never below 0
        for more money), worth_change_lo and worth_change_hi (it is between these, by the bounds of
        both solves), worth_change_pct (of the plan by worth), months_change and participants_change
        (of all pupils, unweighted), lines_bought and lines_dropped (another dose is one of each),
        next_he, next_en; two rows for each channel that limits, by channel. Empty but for the
        sentences where no plan keeps the rules.

    Raises:
        ValueError: a step that is not above zero, bad tables, or a line that is no option.
        NoPlanInTime: a solve ran into its time limit without a plan.
    """
    if not step_agorot > 0:
        raise ValueError("step_agorot must be above zero.")
    problem = problem.canonical()
    model, base = nearest(problem, lines, effort)
    if base is None:
        raise ValueError(NO_PLAN)
    columns, worth = model.columns, base.worth
    held = columns.options.filter(pl.Series(base.x > 0.5)).select(OPTION)
    plan = Plan.of(columns, plan_vector(model, lines).nonzero()[0])
    rows: list[tuple] = []
    for rule in model.rules:
        if not isinstance(rule, ChannelBudget):
            continue
        measure, channel = rule.measure(plan), rule.funding_channel
        if not measure.binding and measure.limit - measure.value >= step_agorot:
            continue
        for step in (step_agorot, -step_agorot):
            more = partial(_with_more, rule_id=rule.rule_id, agorot=step)
            other, found = nearest(problem, held, effort, more)
            if found is None:
                said = _in_words(model, channel, step, None, 0.0, 0.0)
                rows.append((channel, step, *(None,) * 6, 0, 0, *said))
                continue
            stays = found.worth <= worth and other.keeps(base.x)
            change = Difference.of(model, base.x, base.x if stays else found.x)
            gain = 0.0 if stays else found.worth - worth
            least, most = min(gain, found.worth - base.bound), max(gain, found.bound - worth)
            least, most = (max(least, 0.0), most) if step > 0 else (least, min(most, 0.0))
            pct = 100 * gain / worth if worth else 0.0
            months = months_per_sd * change.benefit_sd_pupils
            rows.append(
                (
                    channel,
                    step,
                    gain,
                    least,
                    most,
                    pct,
                    months,
                    change.participants,
                    change.lines_bought,
                    change.lines_dropped,
                    *_in_words(model, channel, step, change, pct, months),
                )
            )
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row").sort(
        "funding_channel", "step_agorot", descending=[False, True]
    )


def _with_more(model: Model, *, rule_id: str, agorot: int) -> Model:
    """The model with so much more in one budget."""
    row = np.array([i >= 0 and model.rules[i].rule_id == rule_id for i in model.owner])
    return model.with_limits(row, upper=float(model.upper[row][0]) + agorot)


def _in_words(
    model: Model, channel: str, step: int, change: Difference | None, pct: float, months: float
) -> tuple[str, str]:
    """What the step does, in Hebrew and English."""
    amount, he, en = nis(abs(step)), channel_he(channel), channel_en(channel)
    start_he = f"{amount} ₪ נוספים ל{he}" if step > 0 else f"קיצוץ של {amount} ₪ מ{he}"
    start_en = f"{amount} NIS more for {en}" if step > 0 else f"A cut of {amount} NIS from {en}"
    if change is None:
        return (
            f"{start_he}: אין תוכנית שמקיימת אז את כל הכללים.",
            f"{start_en}: no plan keeps all rules then.",
        )
    if not change.lines_bought and not change.lines_dropped:
        why_he, why_en = (
            (
                " – אין מה שהיה נקנה בהם כשלם ומוסיף לתוכנית",
                ": they buy nothing whole that adds to it",
            )
            if step > 0
            else ("", "")
        )
        return (
            f"{start_he} לא היה משנה את התוכנית{why_he}.",
            f"{start_en} would not change the plan{why_en}.",
        )
    hebrew, english = [], []
    for pairs, said_he, said_en in (
        (change.comes, "נכנסים", "in"),
        (change.goes, "יוצאים", "out"),
        (change.moves, "במינון או במסלול אחר", "at another dose or way"),
    ):
        if pairs:
            names_he, names_en = lines_in_words(model, pairs, _SHOWN)
            hebrew.append(f"{said_he}: {names_he}")
            english.append(f"{said_en}: {names_en}")
    all_he, all_en = change_in_words(months, change.participants)
    more_he, more_en = ("יותר", "more") if pct > 0 else ("פחות", "less")
    return (
        f"{start_he} – {'. '.join(hebrew)}. בסך הכול: ערך התוכנית, המשוקלל בצורך,"
        f" {abs(pct):,.3f}% {more_he}; בלי משקל הצורך: {all_he}.",
        f"{start_en} – {'; '.join(english)}. In all: the plan's need-weighted worth"
        f" {abs(pct):,.3f} % {more_en}; without the weight of need: {all_en}.",
    )
