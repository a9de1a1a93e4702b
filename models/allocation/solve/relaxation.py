"""What would have to give way so that a plan exists: one rule at a time, in the policy's order.

For a rule of a conflict, the least that its own limits must move while all other rules hold: an
elastic column beside each of its rows, the sum minimised (Chinneck 2008, *Feasibility and
Infeasibility in Optimization*, ch. 6). The moved limits are then put into the model and it is
solved again, which verifies the way out and says what the best plan of it costs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
from scipy import sparse

from models.allocation.problem.plan import Plan
from models.allocation.problem.rule import Rule
from models.allocation.problem.words import first_few, nis
from models.allocation.solve.highs import Milp, minimise
from models.allocation.solve.model import Model
from models.allocation.solve.possible import possible
from models.keys import RuleKind

RELAX_ORDER: tuple[RuleKind, ...] = get_args(RuleKind)
"""Kinds of rules, the first to give way first, where a policy sets no order of its own.

First wishes about shares, then what smooths and bounds a school's money, then money and staff that
somebody must find, last what was decided or promised by name. What is not here (eligibility, what a
response needs, what a channel may not pay for, shared responses) is not the city's to relax.
"""

_NODES = 100
MOST_WAYS = 8
_THOUSAND_NIS = 100_000
_SCALE = 1000.0
_GAP = 0.001
_SHOWN = 5
_ONE_AND_MORE = {
    "schools": ("one school", "{} schools", "בית ספר אחד", "{} בתי ספר"),
    "pupils": ("one participant", "{} participants", "משתתף אחד", "{} משתתפים"),
    "responses": ("one response", "{} responses", "מענה אחד", "{} מענים"),
    "pairs": (
        "one response in one school",
        "{} responses in their schools",
        "שיבוץ אחד",
        "{} שיבוצים",
    ),
    "pupil-hours a week": (
        "one pupil-hour a week",
        "{} pupil-hours a week",
        "שעת תלמיד אחת בשבוע",
        "{} שעות תלמיד בשבוע",
    ),
}


@dataclass(frozen=True)
class Relaxation:
    """One way out: how far one rule must give way for a plan to exist.

    Attributes:
        rule_id: the rule.
        amount: by how much its limits move in all: agorot, or a count of `unit`.
        unit: what the amount is counted in.
        above_least: by how much it may be above the least, as far as a short search proves.
        value: what the rule measures on the plan found then, in its own unit, against `limit`.
        limit: the rule's limit.
        resolves_all: whether all rules hold then; False = only those of this conflict, as others
            contradict too.
        cost_agorot: what the best plan then costs (to 0.1 % of its worth); None where it does not
            settle all, or the time did not reach.
        where: what of which school moves, in Hebrew and English, where a limit is of one school.
        en: the way out in English.
        he: the same in Hebrew.
    """

    rule_id: str
    amount: int
    unit: str
    above_least: int
    value: float
    limit: float
    resolves_all: bool
    cost_agorot: int | None
    where: tuple[tuple[str, str], ...]
    en: str
    he: str


def relaxations(
    model: Model,
    conflicts: Sequence[Sequence[int]],
    asked: Sequence[Sequence[int]],
    limit_s: float,
) -> tuple[Relaxation, ...]:
    """The ways out of conflicts, one for each rule that may give way, in the policy's order.

    Each is enough by itself for all of them, or else for the first conflict that the rule is in.
    Of many rules the first `MOST_WAYS` are tried: a reader wants some, and searches are counted,
    as a clock would give other ways on a busy machine.

    Args:
        model: a model without a plan.
        conflicts: positions of the rules of each irreducible conflict.
        asked: those of them for which a way out is sought.
        limit_s: seconds of one search: an emergency brake.
    """
    order = model.columns.choices.relax_order
    kinds = [*order, *(kind for kind in RELAX_ORDER if kind not in order)]
    own = {i: conflict for conflict in reversed(conflicts) for i in conflict}
    sought = sorted(
        {i for some in asked for i in some if model.rules[i].relaxed_in},
        key=lambda i: (kinds.index(model.rules[i].rule_id.split(":")[0]), i),
    )
    found = (_relaxed(model, i, own[i], limit_s) for i in sought[:MOST_WAYS])
    return tuple(way for way in found if way is not None)


def least_slack(
    model: Model, soft: np.ndarray, unit: np.ndarray, kept: np.ndarray, time_limit_s: float
) -> tuple[np.ndarray, np.ndarray, float] | None:
    """The plan that breaks some rows by the least in all and keeps the others; None if none.

    Args:
        model: the rows.
        soft: positions of the rows that may be broken, each limited on one side.
        unit: by row, what one of the sum is counted in; the solver likes numbers near 1.
        kept: by row, whether it counts at all; the soft ones do.
        time_limit_s: of the search.

    Returns:
        0/1 per option, by how much each soft row is broken (whole numbers), and the proven least
        sum.
    """
    rows = model.matrix.shape[0]
    held = kept.copy()
    held[soft] = False
    is_open = possible(model, held)
    if is_open is None or not is_open.any():
        is_open = np.ones(model.matrix.shape[1], dtype=bool)
    columns = np.flatnonzero(is_open)
    options = len(columns)
    sign = np.where(np.isfinite(model.upper[soft]), -1.0, 1.0)
    number = np.arange(len(soft))
    slack = sparse.csr_array((sign, (soft, number)), shape=(rows, len(soft)))
    scaled = (sparse.diags_array(1 / unit) @ model.matrix)[:, columns]
    is_whole = unit == 1
    is_whole[soft] = False
    outcome = minimise(
        Milp(
            np.concatenate([np.zeros(options), np.ones(len(soft))]),
            sparse.hstack([scaled, slack], format="csr")[kept],
            (model.lower / unit)[kept],
            (model.upper / unit)[kept],
            is_whole[kept],
            options,
        ),
        gap=0.0,
        time_limit_s=time_limit_s,
        max_nodes=_NODES,
    )
    if outcome.x is None:
        return None
    x = np.zeros(model.matrix.shape[1])
    x[columns] = np.round(outcome.x[:options])
    activity = (model.matrix @ x)[soft]
    over = np.maximum(activity - model.upper[soft], model.lower[soft] - activity)
    return x, np.maximum(over, 0.0), outcome.bound


def _relaxed(model: Model, i: int, conflict: Sequence[int], limit_s: float) -> Relaxation | None:
    """The least by which one rule must give way; None where that alone is no way out."""
    rule = model.rules[i]
    soft = np.flatnonzero(model.owner == i)
    is_money = rule.relaxed_in == "agorot"
    unit = np.ones(len(model.rows))
    unit[soft] = rule.relaxed_per * (_THOUSAND_NIS if is_money else 1)
    everything = np.ones(len(model.rows), dtype=bool)
    found, resolves_all = least_slack(model, soft, unit, everything, limit_s), True
    if found is None:
        kept = np.isin(model.owner, [-1, *conflict])
        found, resolves_all = least_slack(model, soft, unit, kept, limit_s), False
    if found is None:
        return None
    x, over, least = found
    moved = soft[over > 0]
    amount = math.ceil(over.sum() / rule.relaxed_per)
    proven = math.ceil(round(least * (_THOUSAND_NIS if is_money else 1), 1))
    again = _solved_again(model, soft, over, limit_s) if resolves_all else None
    plan = Plan.of(model.columns, np.flatnonzero((x if again is None else again) > 0.5))
    measure = rule.measure(plan)
    cost = None if again is None else plan.spent(None)
    where = tuple(place for row in moved if (place := place_of(model, int(row))))
    above = max(amount - proven, 0)
    words = _sentences(
        rule, amount, above, measure.value, measure.limit, where, cost, resolves_all=resolves_all
    )
    return Relaxation(
        rule.rule_id,
        amount,
        str(rule.relaxed_in),
        above,
        measure.value,
        measure.limit,
        resolves_all,
        cost,
        where,
        *words,
    )


def _solved_again(
    model: Model, soft: np.ndarray, over: np.ndarray, time_limit_s: float
) -> np.ndarray | None:
    """The best plan under the moved limits; None where the time did not reach.

    Raises:
        RuntimeError: there is none, so that the way out is none: a defect.
    """
    lower, upper = model.lower.copy(), model.upper.copy()
    lower[soft] -= over
    upper[soft] += over
    relaxed = replace(model, lower=lower, upper=upper)
    scale = _SCALE / (np.abs(model.benefit()).max(initial=0.0) or 1.0)
    milp = relaxed.milp(-model.benefit() * scale)
    outcome = minimise(milp, gap=_GAP, time_limit_s=time_limit_s, max_nodes=_NODES)
    if outcome.is_infeasible:
        raise RuntimeError("The re-solve found no plan under limits that one was found to keep.")
    return None if outcome.x is None else outcome.x[: model.matrix.shape[1]]


def place_of(model: Model, row: int) -> tuple[str, str] | None:
    """The school, and the response where it is one, that a row is about, in Hebrew and English.

    None where the row is of the whole city.
    """
    school = model.rows[row].semel_mosad
    if school is None:
        return None
    named = dict(model.columns.schools.select("semel_mosad", "school_name_he").iter_rows())
    name = f"{named[school]} ({school})" if named.get(school) else school
    responses = model.columns.options["response_id"].gather(model.rows[row].columns).unique()
    if len(responses) != 1:
        return name, name
    response = responses[0]
    he, en = model.columns.choices.response_names.get(response, (response, response))
    return f"{he} ב{name}", f"{en} at {name}"


def _sentences(
    rule: Rule,
    amount: int,
    above: int,
    value: float,
    limit: float,
    where: tuple[tuple[str, str], ...],
    cost: int | None,
    *,
    resolves_all: bool,
) -> tuple[str, str]:
    """The way out in English and Hebrew."""
    if rule.relaxed_in == "agorot":
        much_en, much_he = f"{nis(amount)} NIS", f"{nis(amount)} ₪"
        if above:
            much_en += f" (at most {nis(above)} NIS above the least)"
            much_he += f" (לכל היותר {nis(above)} ₪ מעל המזערי)"
    else:
        one_en, more_en, one_he, more_he = _ONE_AND_MORE[str(rule.relaxed_in)]
        much_en = one_en if amount == 1 else more_en.format(f"{amount:,}")
        much_he = one_he if amount == 1 else more_he.format(f"{amount:,}")
    does_en, does_he = (
        ("add", "להוסיף") if rule.is_budget else ("allow an exception of", "להתיר חריגה של")
    )
    english = f"{rule.sentence_en.rstrip('.')}: {does_en} {much_en}"
    hebrew = f"{rule.sentence_he.rstrip('.')}: {does_he} {much_he}"
    if rule.unit.startswith("percent") and not rule.is_budget:
        english += f", {value:.3g} % instead of {limit:.3g} %"
        hebrew += f", {value:.3g}% במקום {limit:.3g}%"
    if where:
        english += " – " + first_few([en for _, en in where], _SHOWN, " and {} more")
        hebrew += " – " + first_few([he for he, _ in where], _SHOWN, " ועוד {}")
    english, hebrew = english + ".", hebrew + "."
    if cost is not None:
        english += f" The best plan then costs {nis(cost)} NIS."
        hebrew += f" עלות התוכנית המיטבית אז: {nis(cost)} ₪."
    if not resolves_all:
        english += " This settles the rules named here; others may still be in conflict."
        hebrew += " זה פותר את הכללים שכאן; ייתכן שכללים אחרים עדיין סותרים."
    return english, hebrew
