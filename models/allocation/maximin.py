"""The highest floor that every school's gain can be lifted to, and how sure we are of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from models.allocation.by_school import BySchool
from models.allocation.lagrangian import Pool, relax
from models.allocation.model import Model
from models.allocation.objective import Objective, Total
from models.allocation.repair import whole_plan
from models.allocation.rules.benefit import NANO, BenefitFloor
from models.allocation.school_plans import Search

_STEPS = 40
_WIDTHS = (4, 64, 1024)


@dataclass(frozen=True)
class Floor:
    """The first stage of the maximin.

    Attributes:
        floor_sd: every school can gain this much per pupil, or all that its own rules let it.
        bound_sd: no plan lifts the floor to this or above; what could be is below it.
        rule: the floor as a rule of the second stage.
    """

    floor_sd: float
    bound_sd: float
    rule: BenefitFloor


class _AnyPlan(Objective):
    """Nothing is worth anything: only whether a plan exists is asked."""

    def worth(self, gain: np.ndarray, pupils: np.ndarray) -> np.ndarray:
        """Nothing."""
        return np.zeros_like(gain)

    def slope(self, gain: np.ndarray, pupils: np.ndarray) -> np.ndarray:
        """Nothing."""
        return np.zeros_like(gain)


def highest_floor(model: Model, *, gap: float, seconds_left: Callable[[], float]) -> Floor:
    """Halve the interval between a floor that a plan reaches and one proven out of reach.

    A floor of t asks of each school min(t · pupils, the most its own rules let it gain), so that a
    school which can have nothing does not hold the others down. Whether a floor can be kept is
    asked of prices again: a negative bound proves that it cannot, a whole plan that it can. Where
    neither is found, the search goes on below and the bound stays where it was proven. Where some
    school has no plan at all the floor is zero: the second stage then says why.
    """
    by_school = BySchool.of(model)
    each = np.floor(by_school.each * NANO).astype(np.int64)
    first = np.floor(by_school.first * NANO).astype(np.int64)
    codes = model.columns.schools["semel_mosad"].to_list()
    richest = _richest(by_school, each, first)
    if richest is None:
        return Floor(0.0, np.inf, BenefitFloor(0.0, ()))
    gained = by_school.counted(each, first, np.arange(len(codes)), richest)
    reach = np.where(by_school.pupils > 0, gained, 0)
    per_pupil = reach / (np.maximum(by_school.pupils, 1) * float(NANO))

    def least(floor: float) -> np.ndarray:
        asked = np.floor(floor * by_school.pupils * NANO).astype(np.int64)
        return np.minimum(asked, reach)

    top = float(per_pupil.max(initial=0.0))
    low, high, bound, asked = 0.0, top, top, top
    for _ in range(_STEPS):
        floored = by_school.with_floor(each, first, least(asked))
        choice, is_impossible = _try(floored, richest, seconds_left)
        if choice is not None:
            gains = by_school.counted(each, first, np.arange(len(codes)), choice)
            short = gains < reach
            reached = gains[short] / (by_school.pupils[short] * float(NANO))
            low = max(low, asked, float(reached.min(initial=top)))
        else:
            high = asked
            bound = min(bound, asked) if is_impossible else bound
        if high - low <= gap * high or seconds_left() <= 0:
            break
        asked = (low + high) / 2
    rule = BenefitFloor(low, tuple(zip(codes, least(low).tolist(), strict=True)))
    return Floor(low, bound, rule)


def _richest(by_school: BySchool, each: np.ndarray, first: np.ndarray) -> np.ndarray | None:
    """The plan of each school that gains the most under its own rows; None where one has no plan."""
    search = Search(replace(by_school, each=each / NANO, first=first / NANO), Total())
    free = np.zeros(len(by_school.limit))
    best = np.full(len(by_school.pupils), -np.inf)
    choice = np.zeros(by_school.each.shape[:2], dtype=np.int8)
    for width in _WIDTHS:
        found = search.plans(free, floor=best, width=width)
        first = np.unique(found.school, return_index=True)[1]
        better = first[found.value[first] > best[found.school[first]]]
        best[found.school[better]] = found.value[better]
        choice[found.school[better]] = found.choice[better]
    return choice if np.isfinite(best).all() else None


def _try(
    by_school: BySchool, richest: np.ndarray, seconds_left: Callable[[], float]
) -> tuple[np.ndarray | None, bool]:
    """A plan (school × pair) that keeps the floors, if one is found; and whether none can exist."""
    search = Search(by_school, _AnyPlan())
    start = Pool.of(search, np.arange(len(richest)), richest)
    dual = relax(search, target=np.inf, seconds_left=seconds_left, start=start)
    if dual is None or np.isneginf(dual.bound):
        return None, dual is not None
    return whole_plan(search, dual, gap=0.0, seconds_left=seconds_left), False
