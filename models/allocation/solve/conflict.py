"""Why no plan exists: the smallest sets of rules that contradict each other, and what would help.

A set of rules is asked first whether it holds in parts of options: that contradicts in milliseconds
where anything does, and a contradiction there is one in whole options. Only what is left is asked
in whole options, by a search of so many nodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy import optimize, sparse

from models.allocation.problem.words import first_few, nis
from models.allocation.rules.decided import CommitteeAmount
from models.allocation.solve.clock import countdown
from models.allocation.solve.highs import Milp
from models.allocation.solve.model import Model
from models.allocation.solve.possible import minimise_possible, possible
from models.allocation.solve.relaxation import Relaxation, least_slack, place_of, relaxations

Item = TypeVar("Item")

_TOP_UP_UNIT = 100_000
"""Extra money is a column of thousands of NIS; the solver likes numbers near 1."""

_SHOWN = 10
_NODES = 50
_MOST_CONFLICTS = 12
_MOST_TESTS = 24
"""Searches that name a conflict: counted, as a clock would give other words on a busy machine."""
_EMPTY = 2
"""How `linprog` says that nothing keeps the rows."""


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
        further: the rules of other conflicts, which stay when those of the first give way.
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
        further: tuple[tuple[str, ...], ...] = (),
        relaxations: tuple[Relaxation, ...] = (),
    ) -> None:
        super().__init__(f"{en}\n{he}")
        self.en, self.he = en, he
        self.rules = rules
        self.schools = schools
        self.shortfall_agorot = shortfall_agorot
        self.is_irreducible = is_irreducible
        self.further = further
        self.relaxations = relaxations


@dataclass(frozen=True)
class _Repair:
    """Extra money by budget rule, whether all rules hold with it, how far above the least."""

    extra_agorot: dict[str, int]
    all_rules_hold: bool
    above_least_agorot: int


_NO_REPAIR = _Repair({}, all_rules_hold=False, above_least_agorot=0)


def explain(model: Model, *, time_limit_s: float, within_s: float | None = None) -> InfeasibleRules:
    """Name the conflicts of a model that has no plan.

    First the rules, then the rows of those rules are reduced until every one that is left is
    needed. A single test that its nodes or the time limit end counts as "a plan may exist", so a
    set may then be larger than it must be, never wrong. A further conflict is one that stays when
    the rows of the conflicts before it that may give way are left out; conflicts of the same rules
    are one.

    Args:
        model: a model without a plan.
        time_limit_s: of a single test.
        within_s: for a person who waits: name the rules in about so many seconds, without the
            schools and the money that would settle it; what is not tested by then stays named.
    """
    tests = _Tests(model, time_limit_s, _MOST_TESTS, countdown(within_s) if within_s else None)
    pool = model.owner >= 0

    def rows_in(some: Sequence[int]) -> list[int]:
        return np.flatnonzero(pool & np.isin(model.owner, some)).tolist()

    found: dict[tuple[int, ...], list[int]] = {}
    is_irreducible = True
    for _ in range(_MOST_CONFLICTS if within_s is None else 1):
        if found and not tests.have_no_plan(np.flatnonzero(pool).tolist()):
            break
        # What contradicts without the committee's amounts is named without them.
        asked = sorted(
            set(model.owner[pool].tolist()),
            key=lambda i: (isinstance(model.rules[i], CommitteeAmount), i),
        )
        conflict = tuple(sorted(tests.smallest(asked, rows_in)))
        if within_s is not None:
            found[conflict], is_irreducible = [], not tests.is_cut
            break
        rows = tests.smallest(rows_in(conflict), list)
        if found and tests.is_cut:
            break
        is_irreducible = not tests.is_cut
        found.setdefault(conflict, []).extend(rows)
        gives_way = [row for row in rows if model.rules[model.owner[row]].relaxed_in]
        pool[gives_way] = False
        if not gives_way:
            break
    conflicts, named = list(found), [row for rows in found.values() for row in sorted(rows)]
    ids = [tuple(model.rules[i].rule_id for i in conflict) for conflict in conflicts]
    repair: _Repair = _NO_REPAIR
    ways: tuple[Relaxation, ...] = ()
    if within_s is None:
        repair, ways = _ways_out(model, conflicts, time_limit_s)
    places = list(dict.fromkeys(place for row in named if (place := place_of(model, row))))
    return InfeasibleRules(
        *_message(model, conflicts, places, repair, ways, tests.is_cut, is_irreducible),
        ids[0],
        tuple(sorted({s for row in named if (s := model.rows[row].semel_mosad) is not None})),
        repair.extra_agorot,
        is_irreducible=is_irreducible,
        further=tuple(ids[1:]),
        relaxations=ways,
    )


@dataclass
class _Tests:
    """Asks whether rows have a plan; notes whether the asking was ended.

    Attributes:
        model: the model.
        single_s: emergency brake of one search.
        left: searches that may still be made.
        seconds_left: of a person who waits; None where only searches count.
        is_cut: whether the asking was ended.
    """

    model: Model
    single_s: float
    left: int
    seconds_left: Callable[[], float] | None = None
    is_cut: bool = False

    def limit_s(self) -> float:
        """Seconds for one search more."""
        left = self.single_s if self.seconds_left is None else self.seconds_left()
        return max(min(self.single_s, left), 1.0)

    def smallest(
        self, items: Sequence[Item], rows_in: Callable[[Sequence[Item]], Sequence[int]]
    ) -> Sequence[Item]:
        """A part of some items, rules or rows, of which no part has no plan by itself."""

        def in_parts(some: Sequence[Item]) -> bool:
            return self._are_empty_in_parts(rows_in(some))

        def in_whole(some: Sequence[Item]) -> bool:
            return self.have_no_plan(rows_in(some))

        return irreducible(irreducible(items, in_parts) if in_parts(items) else items, in_whole)

    def have_no_plan(self, rows: Sequence[int]) -> bool:
        """Whether it is proven that no plan keeps these rows and one dose a pair."""
        if possible(self.model, self._kept(rows)) is None or self._are_empty_in_parts(rows):
            return True
        is_late = self.seconds_left is not None and self.seconds_left() <= 0
        if self.is_cut or self.left == 0 or is_late:
            self.is_cut = True
            return False
        self.left -= 1
        found = minimise_possible(
            self.model,
            self._milp(rows),
            gap=0.0,
            time_limit_s=self.limit_s(),
            max_nodes=_NODES,
            kept=self._kept(rows),
        )
        return found.is_infeasible

    def _kept(self, rows: Sequence[int]) -> np.ndarray:
        """By row of the model, whether it is one of these, or one dose a pair."""
        kept = self.model.owner < 0
        kept[list(rows)] = True
        return kept

    def _milp(self, rows: Sequence[int]) -> Milp:
        """The rows, and one dose a pair, with nothing to minimise."""
        return self.model.milp(np.zeros(self.model.matrix.shape[1]), self._kept(rows))

    def _are_empty_in_parts(self, rows: Sequence[int]) -> bool:
        """Whether not even options in parts keep the rows; these are scaled to be near 1."""
        milp = self._milp(rows)
        size = np.maximum(abs(milp.matrix).max(axis=1).toarray().ravel(), 1.0)
        matrix = (sparse.diags_array(1 / size) @ milp.matrix).tocsr()
        up, down = np.isfinite(milp.upper), np.isfinite(milp.lower)
        found = optimize.linprog(
            np.zeros(len(milp.cost)),
            A_ub=sparse.vstack([matrix[up], -matrix[down]], format="csr"),
            b_ub=np.concatenate([(milp.upper / size)[up], -(milp.lower / size)[down]]),
            bounds=(0, 1),
            method="highs-ds",
        )
        return bool(found.status == _EMPTY)


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


def _ways_out(
    model: Model, conflicts: Sequence[tuple[int, ...]], limit_s: float
) -> tuple[_Repair, tuple[Relaxation, ...]]:
    """The least extra money with which all rules hold, and what each rule could give way.

    A budget is named once, with one sum: where several need money they are settled together, and
    where more than money is missing a budget's sum is what its own conflict needs.
    """
    named = {i for conflict in conflicts for i in conflict}
    money = _top_up(model, np.ones(len(model.rows), dtype=bool), limit_s)
    if money and len(money.extra_agorot) > 1:
        others = [[i for i in one if not model.rules[i].is_budget] for one in conflicts]
        return money, relaxations(model, conflicts, others, limit_s)
    ways = relaxations(model, conflicts, conflicts, limit_s)
    own = [
        way
        for way in ways
        if any(model.rules[i].rule_id == way.rule_id and model.rules[i].is_budget for i in named)
    ]
    if not own:
        return money or _NO_REPAIR, ways
    return (
        _Repair(
            {way.rule_id: way.amount for way in own},
            any(way.resolves_all for way in own),
            max(way.above_least for way in own),
        ),
        ways,
    )


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
    conflicts: Sequence[tuple[int, ...]],
    places: list[tuple[str, str]],
    repair: _Repair,
    ways: tuple[Relaxation, ...],
    is_cut: bool,
    is_irreducible: bool,
) -> tuple[str, str]:
    """The conflicts in English and Hebrew."""
    rules = {rule.rule_id: rule for rule in model.rules}
    english, hebrew = (
        ["No plan can keep these rules together:"],
        ["אין תוכנית שמקיימת יחד את הכללים האלה:"],
    )
    for number, conflict in enumerate(conflicts):
        if number:
            english.append("Nor these, though what is named above gave way:")
            hebrew.append("וגם לא את אלה, אף אילו ויתרו על מה שנמנה למעלה:")
        named = [model.rules[i] for i in conflict]
        english += [f"- {rule.sentence_en} [{rule.rule_id}]" for rule in named]
        hebrew += [f"- {rule.sentence_he}" for rule in named]
    if is_cut and is_irreducible:
        english.append("There may be further conflicts: the search was ended before.")
        hebrew.append("ייתכן שיש סתירות נוספות: החיפוש הופסק לפני כן.")
    elif is_cut:
        english.append("Whether all of them are needed was not tested to the end.")
        hebrew.append("לא נבדק עד הסוף אם כולם נחוצים לסתירה.")
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
        is_one = len(conflicts) == 1
        english.append(
            "Ways out, each enough by itself, in the policy's order:"
            if is_one
            else "Ways out, in the policy's order; what does not settle all of it says so:"
        )
        english += [f"{place}. {way.en}" for place, way in enumerate(ways, start=1)]
        hebrew.append(
            "דרכים לצאת מן הסתירה, כל אחת מספיקה לבדה, לפי הסדר שבמדיניות:"
            if is_one
            else "דרכים לצאת מן הסתירות, לפי הסדר שבמדיניות; מה שאינו פותר את כולן אומר זאת:"
        )
        hebrew += [f"{place}. {way.he}" for place, way in enumerate(ways, start=1)]
    return "\n".join(english), "\n".join(hebrew)
