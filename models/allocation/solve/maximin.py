"""The highest floor that every school's gain can be raised to, and how sure we are of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy import sparse

from models.allocation.problem.objective import Objective, Total
from models.allocation.rules.benefit import BenefitFloor, units_for
from models.allocation.solve.model import Model
from models.allocation.solve.national.lagrangian import Pool, relax
from models.allocation.solve.national.repair import whole_plan
from models.allocation.solve.national.school_blocks import BySchool
from models.allocation.solve.national.school_plans import Search
from models.allocation.solve.possible import minimise_possible

_STEPS = 40
_WIDTHS = (4, 64, 1024)


@dataclass(frozen=True)
class Floor:
    """The first stage of the maximin.

    Attributes:
        floor_sd: every school can gain this much per pupil, or all that its own rules let it.
        bound_sd: no plan lifts the floor above this.
        rule: the floor as a rule of the second stage.
        plan: 0/1 per option, a plan that keeps it; None where none was found.
    """

    floor_sd: float
    bound_sd: float
    rule: BenefitFloor
    plan: np.ndarray | None = None


@dataclass(frozen=True)
class _Gains:
    """What plans bring to each school, in whole units of an SD·pupil.

    Attributes:
        model: the rows of all rules.
        by_school: the same options, school by school.
        units: of an SD·pupil.
        rows: school × (options and leads): gains, rounded down.
        reach: the most that a school's own rules let it gain.
        richest: the plan of each school that gains it, as choices school × pair.
    """

    model: Model
    by_school: BySchool
    units: int
    rows: sparse.csr_array
    reach: np.ndarray
    richest: np.ndarray

    @classmethod
    def of(cls, model: Model) -> _Gains | None:
        """The gains of a model; None where some school has no plan at all."""
        by_school = BySchool.of(model)
        units = units_for(float(by_school.gain.max(initial=0.0)))
        each, first = (
            np.floor(part * units).astype(np.int64) for part in (by_school.each, by_school.first)
        )
        richest = _richest(replace(by_school, each=each / units, first=first / units))
        if richest is None:
            return None
        gained = by_school.counted(each, first, np.arange(len(richest)), richest)
        rows = (model.gain_rows() * units).astype(np.int64)
        return cls(
            model, by_school, units, rows, np.where(by_school.pupils > 0, gained, 0), richest
        )

    @property
    def top(self) -> float:
        """The most any school can gain per pupil: no floor asks for more, SD."""
        return float(
            (self.reach / (np.maximum(self.by_school.pupils, 1) * self.units)).max(initial=0.0)
        )

    def least(self, floor: float) -> np.ndarray:
        """What a floor (SD per pupil) asks of each school."""
        asked = np.floor(floor * self.by_school.pupils * self.units).astype(np.int64)
        return np.minimum(asked, self.reach)

    def rule(self, floor: float) -> BenefitFloor:
        """A floor (SD per pupil) as a rule."""
        codes = self.model.columns.schools["semel_mosad"].to_list()
        least = zip(codes, self.least(floor).tolist(), strict=True)
        return BenefitFloor(floor, tuple(least), self.units)

    def floor_of(self, x: np.ndarray) -> float:
        """The highest floor that a plan keeps, SD per pupil."""
        gains = self.rows @ self.model.filled(x).astype(np.int64)
        short = gains < self.reach
        reached = gains[short] / (self.by_school.pupils[short] * float(self.units))
        return float(reached.min(initial=self.top))


class _AnyPlan(Objective):
    """Nothing is worth anything: only whether a plan exists is asked."""

    def worth(self, gain: np.ndarray, pupils: np.ndarray) -> np.ndarray:
        """Nothing."""
        return np.zeros_like(gain)

    slope = worth


def highest_floor(
    model: Model, *, gap: float, seconds_left: Callable[[], float], is_apart: bool
) -> Floor:
    """The highest floor, by one programme, or by prices where schools are taken apart.

    A floor of t asks of each school min(t · pupils, the most its own rules let it gain), so that a
    school which can have nothing does not hold the others down. Where some school has no plan at
    all, or none together is found, the floor is zero: the second stage then says why.
    """
    gains = _Gains.of(model)
    if gains is None:
        return Floor(0.0, np.inf, BenefitFloor(0.0, ()))
    search = partial(_by_prices if is_apart else _by_programme, gains, seconds_left)
    low, bound, plan = _by_halving(gains, search, gap, seconds_left)
    return Floor(low, bound, gains.rule(low), plan)


def floor_rule(model: Model, floor_sd: float) -> BenefitFloor:
    """A floor in hand (need-weighted SD per pupil) as a rule of the model's schools."""
    gains = _Gains.of(model)
    return gains.rule(floor_sd) if gains else BenefitFloor(0.0, ())


def _by_halving(
    gains: _Gains,
    search: Callable[[float], tuple[np.ndarray | None, bool]],
    gap: float,
    seconds_left: Callable[[], float],
) -> tuple[float, float, np.ndarray | None]:
    """Halve the interval between a floor that a plan reaches and one proven out of reach.

    `search` returns a plan that keeps a floor, if it finds one, and whether none can exist. Where
    it can say neither, the search goes on below and the bound stays where it was proven.
    """
    top = gains.top
    low, high, bound, asked = 0.0, top, top, top
    plan = None
    for _ in range(_STEPS):
        found, is_impossible = search(asked)
        if found is not None:
            plan, low = found, max(low, asked, gains.floor_of(found))
        else:
            high = asked
            bound = min(bound, asked) if is_impossible else bound
        if high - low <= gap * high or seconds_left() <= 0:
            break
        asked = (low + high) / 2
    return low, bound, plan


def _by_programme(
    gains: _Gains, seconds_left: Callable[[], float], asked: float
) -> tuple[np.ndarray | None, bool]:
    """A plan that keeps a floor, out of one programme; and whether none can."""
    model = gains.model
    under_floor = Model.of(model.columns, (*model.rules, gains.rule(asked)), Total())
    nothing = under_floor.milp(np.zeros(len(model.benefit())))
    left_s = max(seconds_left(), 1.0)
    outcome = minimise_possible(under_floor, nothing, gap=0, time_limit_s=left_s)
    x = None if outcome.x is None else outcome.x[: model.matrix.shape[1]]
    return x, outcome.is_infeasible


def _by_prices(
    gains: _Gains, seconds_left: Callable[[], float], asked: float
) -> tuple[np.ndarray | None, bool]:
    """A plan that keeps a floor, out of the schools' own; and whether a price proves none can."""
    by_school = gains.by_school
    each, first = (
        np.floor(part * gains.units).astype(np.int64) for part in (by_school.each, by_school.first)
    )
    search = Search(by_school.with_floor(each, first, gains.least(asked)), _AnyPlan())
    start = Pool.of(search, np.arange(len(gains.richest)), gains.richest)
    dual = relax(search, target=np.inf, seconds_left=seconds_left, start=start)
    if dual is None or np.isneginf(dual.bound):
        return None, dual is not None
    return whole_plan(search, dual, gap=0.0, seconds_left=seconds_left), False


def _richest(by_school: BySchool) -> np.ndarray | None:
    """The plan of each school that gains most under its own rows; None where one has none."""
    search = Search(by_school, Total())
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
