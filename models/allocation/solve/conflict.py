"""Why no plan exists: the smallest set of rules that contradict each other, and what would help."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from models.allocation.problem.words import first_few, nis
from models.allocation.rules.decided import CommitteeAmount
from models.allocation.solve.highs import minimise
from models.allocation.solve.model import Model
from models.allocation.solve.relaxation import Relaxation, least_slack, place_of, relaxations

Item = TypeVar("Item")

_TOP_UP_UNIT = 100_000
"""Extra money is a column of thousands of NIS; the solver likes numbers near 1."""

_SHOWN = 10


class InfeasibleRules(Exception):  # noqa: N818 - a result about the rules, not a programming error
    """No plan keeps all the rules.

    Attributes:
        en: the conflict in English.
        he: the same in Hebrew.
        rules: ids of an irreducible conflict: leave out any one of them and a plan exists for
            the others.
        schools: codes of the schools in which the conflict sits; empty where it is city-wide.
        shortfall_agorot: budget rule id → the extra money that, all together the least possible,
            makes the rules hold; empty where no budget is in the conflict. It is always enough; the
            message says how far it may be from the least where a short search cannot prove it,
            and where it settles only the rules of this conflict.
        is_irreducible: whether every rule was tested; without time for that more may be named.
        relaxations: how far one rule alone would have to give way, for each that may, in the
            policy's order; verified by solving again.
    """

    def __init__(
        self,
        en: str,
        he: str,
        rules: tuple[str, ...],
        schools: tuple[str, ...],
        shortfall_agorot: dict[str, int],
        *,
        is_irreducible: bool = True,
        relaxations: tuple[Relaxation, ...] = (),
    ) -> None:
        super().__init__(f"{en}\n{he}")
        self.en, self.he = en, he
        self.rules = rules
        self.schools = schools
        self.shortfall_agorot = shortfall_agorot
        self.is_irreducible = is_irreducible
        self.relaxations = relaxations


@dataclass(frozen=True)
class _Repair:
    """Extra money by budget rule, whether all rules hold with it, how far above the least."""

    extra_agorot: dict[str, int]
    all_rules_hold: bool
    above_least_agorot: int


_NO_REPAIR = _Repair({}, all_rules_hold=False, above_least_agorot=0)


def explain(model: Model, *, time_limit_s: float, within_s: float | None = None) -> InfeasibleRules:
    """Name the conflict of a model that has no plan.

    First the rules, then the rows of those rules are reduced until every one that is left is
    needed. A single test that runs into the time limit counts as "a plan may exist", so a set may
    then be larger than it must be, never wrong.

    Args:
        model: a model without a plan.
        time_limit_s: of a single test.
        within_s: for a person who waits: name the rules in about so many seconds, without the
            schools and the money that would settle it; what is not tested by then stays named.
    """
    end = math.inf if within_s is None else time.monotonic() + within_s
    is_out_of_time = False

    def has_no_plan(rows: Sequence[int]) -> bool:
        nonlocal is_out_of_time
        if time.monotonic() > end:
            is_out_of_time = True
            return False
        kept = model.owner < 0
        kept[list(rows)] = True
        milp = model.milp(np.zeros(model.matrix.shape[1]), kept)
        return minimise(milp, gap=0.0, time_limit_s=time_limit_s).is_infeasible

    rows_of = {
        i: np.flatnonzero(model.owner == i).tolist()
        for i in range(len(model.rules))
        if np.any(model.owner == i)
    }
    # What contradicts without the committee's amounts is named without them.
    asked = sorted(rows_of, key=lambda i: isinstance(model.rules[i], CommitteeAmount))
    owners = irreducible(asked, lambda some: has_no_plan([row for i in some for row in rows_of[i]]))
    if within_s is not None:
        text = _message(model, sorted(owners), [], _NO_REPAIR, ())
        ids = tuple(model.rules[i].rule_id for i in sorted(owners))
        return InfeasibleRules(*text, ids, (), {}, is_irreducible=not is_out_of_time)
    rows = irreducible([row for i in owners for row in rows_of[i]], has_no_plan)
    schools = sorted({s for row in rows if (s := model.rows[row].semel_mosad) is not None})
    conflict = sorted(owners)
    repair = _repair(model, conflict, time_limit_s)
    ways = relaxations(model, conflict, time_limit_s)
    places = list(dict.fromkeys(place for row in sorted(rows) if (place := place_of(model, row))))
    return InfeasibleRules(
        *_message(model, conflict, places, repair, ways),
        tuple(model.rules[i].rule_id for i in conflict),
        tuple(schools),
        repair.extra_agorot,
        relaxations=ways,
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


def _repair(model: Model, conflict: list[int], time_limit_s: float) -> _Repair:
    """The least extra money with which all rules hold.

    Where more than money is missing elsewhere, it is what the rules of this conflict need.
    """
    if not any(model.rules[i].is_budget for i in conflict):
        return _NO_REPAIR
    everything = np.ones(len(model.rows), dtype=bool)
    repair = _top_up(model, everything, time_limit_s)
    if repair is None:
        repair = _top_up(model, np.isin(model.owner, [-1, *conflict]), time_limit_s)
    return repair or _NO_REPAIR


def _top_up(model: Model, kept: np.ndarray, time_limit_s: float) -> _Repair | None:
    """The least sum of top-ups of the budget rows with which the kept rows hold; None if none."""
    is_budget = np.array([i >= 0 and model.rules[i].is_budget for i in model.owner])
    budgets = np.flatnonzero(kept & is_budget)
    unit = np.where(is_budget, _TOP_UP_UNIT, 1.0)
    found = least_slack(model, budgets, unit, kept, time_limit_s)
    if found is None:
        return None
    _, over, least = found
    extra: dict[str, int] = {}
    for row, agorot in zip(budgets, over, strict=True):
        if agorot > 0:
            rule_id = model.rules[model.owner[row]].rule_id
            extra[rule_id] = extra.get(rule_id, 0) + int(agorot)
    proven = math.ceil(round(least * _TOP_UP_UNIT, 1))
    return _Repair(extra, bool(kept.all()), max(sum(extra.values()) - proven, 0))


def _message(
    model: Model,
    conflict: list[int],
    places: list[tuple[str, str]],
    repair: _Repair,
    ways: tuple[Relaxation, ...],
) -> tuple[str, str]:
    """The conflict in English and Hebrew."""
    rules = {rule.rule_id: rule for rule in model.rules}
    named = [model.rules[i] for i in conflict]
    english = ["No plan can keep these rules together:"]
    english += [f"- {rule.sentence_en} [{rule.rule_id}]" for rule in named]
    hebrew = ["אין תוכנית שמקיימת יחד את הכללים האלה:"]
    hebrew += [f"- {rule.sentence_he}" for rule in named]
    if places:
        shown = first_few([en for _, en in places], _SHOWN, " and {} more")
        english.append(f"Where they meet: {shown}.")
        hebrew.append(f"מקום הסתירה: {first_few([he for he, _ in places], _SHOWN, ' ועוד {}')}.")
    least_en, least_he = "Least extra money", "התוספת הקטנה ביותר"
    if repair.above_least_agorot:
        off = nis(repair.above_least_agorot)
        least_en, least_he = f"{least_en} (to within {off} NIS)", f"{least_he} (עד כדי {off} ₪)"
    for rule_id, agorot in repair.extra_agorot.items():
        english.append(f"{least_en}: {nis(agorot)} NIS to: {rules[rule_id].sentence_en}")
        hebrew.append(f"{least_he}: {nis(agorot)} ₪ לכלל: {rules[rule_id].sentence_he}")
    if repair.extra_agorot and not repair.all_rules_hold:
        english.append("This settles the rules named here; others may still be in conflict.")
        hebrew.append("התוספת פותרת את הכללים שכאן; ייתכן שכללים אחרים עדיין סותרים.")
    if ways:
        english.append("Ways out, each enough by itself, in the policy's order:")
        english += [f"{place}. {way.en}" for place, way in enumerate(ways, start=1)]
        hebrew.append("דרכים לצאת מן הסתירה, כל אחת מספיקה לבדה, לפי הסדר שבמדיניות:")
        hebrew += [f"{place}. {way.he}" for place, way in enumerate(ways, start=1)]
    return "\n".join(english), "\n".join(hebrew)
