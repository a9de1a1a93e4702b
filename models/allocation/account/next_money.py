"""What the next money would buy: solved again with a little more in one channel (R82, R94).

A shadow price says what a little more money is worth where it could be spent in part. What can only
be bought whole is found by solving again, near the plan, so that a line moves only where the money
moves it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import polars as pl

from models.allocation.problem.plan import Plan
from models.allocation.problem.problem import Problem
from models.allocation.problem.words import channel_en, channel_he, first_few, nis
from models.allocation.rules.money import ChannelBudget
from models.allocation.solve.model import model_of
from models.allocation.solve.nearest import best_near
from models.allocation.solve.resolve import Effort, plan_vector
from models.keys import OPTION

_EFFORT = Effort(gap_pct=0.1)
_SHOWN = 6
_SCHEMA = {
    "funding_channel": pl.String,
    "step_agorot": pl.Int64,
    "worth_gain": pl.Float64,
    "worth_gain_hi": pl.Float64,
    "worth_gain_pct": pl.Float64,
    "gap_pct": pl.Float64,
    "lines_bought": pl.Int64,
    "lines_dropped": pl.Int64,
    "next_he": pl.String,
    "next_en": pl.String,
}


def next_money(
    problem: Problem, lines: pl.DataFrame, *, step_agorot: int, effort: Effort = _EFFORT
) -> pl.DataFrame:
    """What a step more in each channel whose budget is used up would buy.

    Args:
        problem: the tables and rules.
        lines: semel_mosad, response_id, dose_level: the plan.
        step_agorot: above 0.
        effort: of each solve.

    Returns:
        funding_channel, step_agorot, worth_gain (need-weighted; never below 0: the plan itself is
        still there), worth_gain_hi (it cannot be more than this above the plan), worth_gain_pct (of
        the plan), gap_pct (what the new plan may miss of the best), lines_bought and lines_dropped
        (another dose is one of each), next_he, next_en; one row for each channel with a budget that
        binds, by channel.

    Raises:
        ValueError: a step that is not above zero, bad tables, or a line that is no option.
        NoPlanInTime: a solve ran into its time limit without a plan.
    """
    if not step_agorot > 0:
        raise ValueError("step_agorot must be above zero.")
    problem = problem.canonical()
    model = model_of(problem)
    held = plan_vector(model, lines)
    plan = Plan.of(model.columns, held.nonzero()[0])
    now, worth = plan.lines.select(OPTION), model.worth(held)
    rows = []
    for rule in model.rules:
        if not (isinstance(rule, ChannelBudget) and rule.measure(plan).binding):
            continue
        channel = rule.funding_channel
        more = pl.when(pl.col("funding_channel") == channel).then(step_agorot).otherwise(0)
        richer = problem.channels.with_columns(budget_agorot=pl.col("budget_agorot") + more)
        found = best_near(
            replace(problem, channels=richer),
            now,
            gap_pct=effort.gap_pct,
            time_limit_s=effort.time_limit_s,
        )
        is_better = found.worth > worth
        then = found.lines.select(OPTION) if is_better else now
        bought, dropped = (
            then.join(now, on=OPTION, how="anti"),
            now.join(then, on=OPTION, how="anti"),
        )
        gain = max(found.worth - worth, 0.0)
        pct = 100 * gain / worth if worth else 0.0
        sentences = _sentences(problem, channel, step_agorot, bought.rows(), dropped.rows(), pct)
        rows.append(
            (
                channel,
                step_agorot,
                gain,
                max(found.bound - worth, 0.0),
                pct,
                found.gap_pct,
                bought.height,
                dropped.height,
                *sentences,
            )
        )
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row").sort("funding_channel")


def _sentences(
    problem: Problem, channel: str, step: int, bought: list[tuple], dropped: list[tuple], pct: float
) -> tuple[str, str]:
    """What the step buys, in Hebrew and English."""
    he, en = channel_he(channel), channel_en(channel)
    if not bought and not dropped:
        return (
            (
                f"{nis(step)} ₪ נוספים מ{he} לא היו משנים דבר: אין מה שהיה נקנה בהם כשלם ומוסיף"
                " לתוכנית."
            ),
            (
                f"The next {nis(step)} NIS from {en} would change nothing: they buy nothing whole"
                " that adds to the plan."
            ),
        )
    was = {row[:2]: row[2] for row in dropped}
    now = {row[:2]: row[2] for row in bought}
    new, gone = sorted(set(now) - set(was)), sorted(set(was) - set(now))
    moved = sorted(set(now) & set(was))
    hebrew, english = [], []
    for pairs, said_he, said_en in (
        (new, "נקנים", "bought"),
        (gone, "יוצאים", "dropped"),
        (moved, "במינון או במסלול אחר", "at another dose or way"),
    ):
        if pairs:
            hebrew.append(f"{said_he}: {_listed(problem, pairs, 0)}")
            english.append(f"{said_en}: {_listed(problem, pairs, 1)}")
    return (
        f"{nis(step)} ₪ נוספים מ{he} היו מוסיפים {pct:,.2f}% לערך התוכנית. {'. '.join(hebrew)}.",
        (
            f"The next {nis(step)} NIS from {en} would add {pct:,.2f} % to what the plan is worth;"
            f" {'; '.join(english)}."
        ),
    )


def _listed(problem: Problem, pairs: Iterable[tuple[str, str]], language: int) -> str:
    """Responses and schools in words, the first few."""
    called = dict(problem.schools.select("semel_mosad", "school_name_he").iter_rows())
    words = []
    for school, response in pairs:
        name = problem.response_names.get(response, (response, response))[language]
        at = called[school] or school
        words.append(f"{name} ב{at}" if language == 0 else f"{name} at {at}")
    return first_few(words, _SHOWN, (" ועוד {}", " and {} more")[language], between=", ")
