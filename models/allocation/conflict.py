"""Why no plan exists: the smallest set of rules that contradict each other, and what would help."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from scipy import sparse

from models.allocation.highs import Milp, minimise
from models.allocation.model import Model
from models.allocation.rules.base import nis

Item = TypeVar("Item")

_TOP_UP_UNIT = 100_000
"""Extra money is a column of thousands of NIS; the solver likes numbers near 1."""

_SHOWN_SCHOOLS = 10


class InfeasibleRules(Exception):  # noqa: N818 - a result about the rules, not a programming error
    """No plan keeps all the rules.

    Attributes:
        rules: ids of an irreducible conflict: leave out any one of them and a plan exists for
            the others.
        schools: codes of the schools in which the conflict sits; empty where it is city-wide.
        shortfall_agorot: budget rule id → the extra money that, all together the least possible,
            makes the rules hold; empty where no budget is in the conflict.
    """

    def __init__(
        self,
        message: str,
        rules: tuple[str, ...],
        schools: tuple[str, ...],
        shortfall_agorot: dict[str, int],
    ) -> None:
        super().__init__(message)
        self.rules = rules
        self.schools = schools
        self.shortfall_agorot = shortfall_agorot


def explain(model: Model, *, time_limit_s: float) -> InfeasibleRules:
    """Name the conflict of a model that has no plan.

    First the rules, then the rows of those rules are reduced until every one that is left is
    needed. A single test that runs into the time limit counts as "a plan may exist", so a set may
    then be larger than it must be, never wrong.
    """

    def has_no_plan(rows: Sequence[int]) -> bool:
        kept = model.owner < 0
        kept[list(rows)] = True
        milp = model.milp(np.zeros(model.matrix.shape[1]), kept)
        return minimise(milp, gap=0.0, time_limit_s=time_limit_s).is_infeasible

    rows_of = {
        i: np.flatnonzero(model.owner == i).tolist()
        for i in range(len(model.rules))
        if np.any(model.owner == i)
    }
    owners = irreducible(
        list(rows_of), lambda some: has_no_plan([row for i in some for row in rows_of[i]])
    )
    rows = irreducible([row for i in owners for row in rows_of[i]], has_no_plan)
    schools = sorted({s for row in rows if (s := model.rows[row].semel_mosad) is not None})
    conflict = sorted(owners)
    shortfall, is_enough = _shortfall(model, conflict, time_limit_s)
    return InfeasibleRules(
        _message(model, conflict, schools, shortfall, is_enough),
        tuple(model.rules[i].rule_id for i in conflict),
        tuple(schools),
        shortfall,
    )


def irreducible(
    items: Sequence[Item], conflicts: Callable[[Sequence[Item]], bool]
) -> Sequence[Item]:
    """A subset that still conflicts and of which no part does (QuickXplain, Junker 2004).

    Args:
        items: a set that conflicts as a whole.
        conflicts: whether a subset conflicts; a superset of a conflict must conflict too.
    """

    def reduce(kept: list[Item], rest: list[Item], *, is_new: bool) -> list[Item]:
        if is_new and conflicts(kept):
            return []
        if len(rest) == 1:
            return rest
        first, second = rest[: len(rest) // 2], rest[len(rest) // 2 :]
        from_second = reduce(kept + first, second, is_new=True)
        from_first = reduce(kept + from_second, first, is_new=bool(from_second))
        return from_first + from_second

    return reduce([], list(items), is_new=False)


def _shortfall(
    model: Model, conflict: list[int], time_limit_s: float
) -> tuple[dict[str, int], bool]:
    """The least extra money by budget rule, and whether all rules hold with it.

    Where more than money is missing elsewhere, it is what the rules of this conflict need.
    """
    if not any(model.rules[i].is_budget for i in conflict):
        return {}, False
    everything = np.ones(len(model.rows), dtype=bool)
    for kept in (everything, np.isin(model.owner, [-1, *conflict])):
        budgets = np.flatnonzero(
            kept & np.array([i >= 0 and model.rules[i].is_budget for i in model.owner])
        )
        extra = _least_extra(model, kept, budgets, time_limit_s)
        if extra is not None:
            by_rule: dict[str, int] = {}
            for row, agorot in zip(budgets, extra, strict=True):
                if agorot > 0:
                    rule_id = model.rules[model.owner[row]].rule_id
                    by_rule[rule_id] = by_rule.get(rule_id, 0) + int(agorot)
            return by_rule, bool(kept.all())
    return {}, False


def _least_extra(
    model: Model, kept: np.ndarray, budgets: np.ndarray, time_limit_s: float
) -> np.ndarray | None:
    """Agorot to add to each budget row, least in sum; None where money alone does not help."""
    rows, options = model.matrix.shape
    unit = np.ones(rows)
    unit[budgets] = _TOP_UP_UNIT
    top_up = sparse.csr_array(
        (-np.ones(len(budgets)), (budgets, np.arange(len(budgets)))), shape=(rows, len(budgets))
    )
    scaled = sparse.diags_array(1 / unit) @ model.matrix
    milp = Milp(
        np.concatenate([np.zeros(options), np.ones(len(budgets))]),
        sparse.hstack([scaled, top_up], format="csr")[kept],
        (model.lower / unit)[kept],
        (model.upper / unit)[kept],
        (unit == 1)[kept],
        options,
    )
    outcome = minimise(milp, gap=0.0, time_limit_s=time_limit_s)
    if outcome.x is None or outcome.is_time_out:
        return None
    over = (model.matrix @ outcome.x[:options])[budgets] - model.upper[budgets]
    return np.maximum(over, 0)


def _message(
    model: Model,
    conflict: list[int],
    schools: list[str],
    shortfall: dict[str, int],
    is_enough: bool,
) -> str:
    """The conflict in English and Hebrew."""
    rules = {rule.rule_id: rule for rule in model.rules}
    named = [model.rules[i] for i in conflict]
    shown = ", ".join(schools[:_SHOWN_SCHOOLS])
    more = len(schools) - _SHOWN_SCHOOLS
    english = ["No plan can keep these rules together:"]
    english += [f"- {rule.sentence_en} [{rule.rule_id}]" for rule in named]
    hebrew = ["אין תכנית שמקיימת יחד את הכללים האלה:"]
    hebrew += [f"- {rule.sentence_he} [{rule.rule_id}]" for rule in named]
    if schools:
        english.append(f"At school(s): {shown}" + (f" and {more} more." if more > 0 else "."))
        hebrew.append(f"בבתי הספר: {shown}" + (f" ועוד {more}." if more > 0 else "."))
    for rule_id, agorot in shortfall.items():
        english.append(f"Least extra money: {nis(agorot)} NIS to: {rules[rule_id].sentence_en}")
        hebrew.append(f"התוספת הקטנה ביותר: {nis(agorot)} ₪ לכלל: {rules[rule_id].sentence_he}")
    if shortfall and not is_enough:
        english.append("Even so, other rules would still contradict each other.")
        hebrew.append("גם אז, כללים אחרים עדיין יסתרו זה את זה.")
    return "\n".join([*english, *hebrew])
