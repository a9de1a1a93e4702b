"""The best plans of every school at given prices of what schools share: all schools at once.

At prices λ for the rows between schools the allocation falls apart: each school takes the plan that
is worth most after paying for what it uses. A school chooses among up to 4^12 plans, under its own
rows (basket, cap, exclusivity, …), so the plans are built pair by pair, and a part of a plan is
given up once it provably cannot end above a plan in hand. The proof is a bound by multipliers on
the school's own rows and, where the objective is concave, by its tangent. Where responses overlap,
a part of a plan knows which choice leads each group, so that a later one counts only what it
should; among the choices still to come one may lead at a price, which bounds what they add.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from models.allocation.problem.objective import Objective
from models.allocation.solve.national.dominance import dominated
from models.allocation.solve.national.school_blocks import FREE, BySchool, ranges

_HALVINGS = 26
_SWEEPS = 2
_STEEPEST = 256.0
MOST_APART = 500
"""Of more schools than this plans are bounded by several multiples of the multipliers."""
_MULTIPLES = (1.0, 0.0, 0.3, 3.0, 20.0)
"""A part of a plan that leaves much of a basket is bounded by a small price of it, one that leaves
nothing by a large one; each is a bound."""


@dataclass(frozen=True)
class SchoolPlans:
    """Plans of single schools at given prices.

    Attributes:
        school: school of each plan, ascending; within a school the best comes first.
        choice: choice of each plan, plan × pair.
        value: worth of each plan less what it pays.
        upper: by school, no plan that is not listed has a value above this.
    """

    school: np.ndarray
    choice: np.ndarray
    value: np.ndarray
    upper: np.ndarray


class Answers(Protocol):
    """Who answers prices with the best plans of every school."""

    @property
    def by_school(self) -> BySchool:
        """The schools and their choices."""

    def plans(
        self, price: np.ndarray, *, floor: np.ndarray, width: int, spare: float | None = None
    ) -> SchoolPlans:
        """As `Search.plans`."""

    def worth(self, school: np.ndarray, choice: np.ndarray) -> np.ndarray:
        """What school plans are worth under the objective."""

    def largest_worth(self) -> float:
        """More than any plan of one school is worth; 1 where nothing is worth anything."""


@dataclass
class Search:
    """Finds plans; keeps the multipliers of the last prices as a start for the next.

    Attributes:
        by_school: the schools and their choices.
        objective: what a school's gain is worth.
    """

    by_school: BySchool
    objective: Objective

    def __post_init__(self) -> None:
        """Lay out what every search of a school's plan needs."""
        schools = self.by_school
        self._size = np.abs(schools.own).max(axis=(1, 2), initial=1).astype(float)
        self._own = schools.own / self._size[:, None, None]
        self._least = schools.least / self._size
        self._most = schools.most / self._size
        self._own_first = schools.own_first / self._size[:, None, None]
        self._low, self._high = ranges(schools.is_open, schools.own, schools.own_first)
        self._top_gain = np.where(schools.is_open, schools.gain, 0).max(axis=2).sum(axis=1)
        self._multiplier = np.zeros(self._most.shape)
        self._tangent = np.zeros(len(schools.pupils))
        self._lead = np.zeros((len(schools.pupils), schools.slots))

    def plans(
        self, price: np.ndarray, *, floor: np.ndarray, width: int, spare: float | None = None
    ) -> SchoolPlans:
        """Every plan that ends at or above its school's floor, or the `width` most promising.

        Args:
            price: λ ≥ 0 by shared row, worth per unit.
            floor: by school, the value from which a plan is of interest.
            width: parts of plans a school may carry from pair to pair.
            spare: a school no plan of which can be above its floor by more is not searched, and not
                bounded more closely; None = every one is.
        """
        schools = self.by_school
        paid = schools.shared @ price
        everyone = np.arange(len(floor))
        at = everyone
        if spare is not None:
            reduced, constant = self._reduced(paid, everyone)
            at = np.flatnonzero(constant + reduced.max(axis=2).sum(axis=1) > floor + spare)
        self._adjust(paid, at)
        multiples = _MULTIPLES if len(floor) > MOST_APART else _MULTIPLES[:1]
        reduced, constant = self._reduced(paid, everyone)
        led = [self._led(everyone)]
        best = reduced.max(axis=2)
        regret = best[:, :, None] - reduced
        tops, regrets = [constant + best.sum(axis=1)], [regret]
        for multiple in multiples[1:]:
            reduced, constant = self._reduced(paid, everyone, multiple)
            led.append(self._led(everyone, multiple))
            best = reduced.max(axis=2)
            tops.append(constant + best.sum(axis=1))
            regrets.append(best[:, :, None] - reduced)
        each_top, each_regret = np.stack(tops, axis=1), np.stack(regrets, axis=3)
        top = each_top.min(axis=1)
        margin = self._margin(price) * max(multiples)

        # Pairs whose choice matters most come first: a wrong choice there is given up at once.
        second = np.sort(regret, axis=2)[:, :, 1] if regret.shape[2] > 1 else regret[:, :, 0]
        # Pairs that overlap come before all others, group by group: once a group is decided, who
        # leads it stands in nobody's way.
        inside = schools.first.max(axis=2, initial=0) > 0
        slot_of = np.where(inside, schools.group, schools.slots)
        order = np.lexsort((-second, slot_of), axis=1)
        ordered = np.take_along_axis(slot_of, order, axis=1)
        low, high = self._rest(self._low, order), self._rest(self._high, order)
        most_gain = np.where(schools.is_open, schools.gain, 0).max(axis=2)
        rest_gain = self._rest(most_gain[:, :, None], order)[:, :, 0]

        is_open = top + margin >= floor if spare is None else top > floor + spare
        school = np.flatnonzero(is_open)
        bound = each_top[school]
        used = np.zeros((len(school), schools.own.shape[3]), dtype=np.int64)
        choice = np.zeros((len(school), order.shape[1]), dtype=np.int8)
        # The choice that leads each group so far, numbered over pairs; 0 = nothing bought.
        lead = np.zeros((len(school), schools.slots), dtype=np.int64)
        dropped = np.where(is_open, -np.inf, top)
        for level in range(order.shape[1]):
            pair = order[school, level]
            grown = bound[:, None] - each_regret[school, pair]
            spent = used[:, None] + schools.own[school, pair]
            if schools.slots:
                slot = schools.group[school, pair]
                at = lead[np.arange(len(school)), slot]
                for number, of_multiple in enumerate(led):
                    grown[:, :, number] -= self._overcounted(school, pair, slot, at, of_multiple)
                by, taken = np.divmod(at, schools.first.shape[2])
                first = schools.own_first[school, by, taken]
                spent -= np.minimum(first[:, None], schools.own_first[school, pair])
            fits = (spent + low[school, None, level] <= schools.most[school, None]) & (
                spent + high[school, None, level] >= schools.least[school, None]
            )
            alive = fits.all(axis=2) & schools.is_open[school, pair]
            alive &= grown.min(axis=2) + margin[school, None] >= floor[school, None]
            state, taken = np.nonzero(alive)
            school, bound, pair = school[state], grown[state, taken], pair[state]
            used, choice, lead = spent[state, taken], choice[state], lead[state]
            choice[np.arange(len(state)), pair] = taken
            if schools.slots:
                lead = self._leaders_after(school, pair, taken, lead)
            states = [school, bound, used, choice, lead]
            crowded = np.flatnonzero(np.bincount(school, minlength=len(floor))[school] > width)
            if len(crowded):
                at = school[crowded]
                lost = self._dominated(
                    paid,
                    at,
                    choice[crowded],
                    used[crowded],
                    np.where(
                        (ordered[at, level + 1 :, None] == np.arange(schools.slots)).any(axis=1),
                        lead[crowded],
                        0,
                    ),
                    low[at, level],
                    high[at, level],
                    rest_gain[at, level],
                )
                states = [np.delete(part, crowded[lost], axis=0) for part in states]
                kept = _most_promising(states[0], states[1].min(axis=1), width, dropped)
                states = [part[kept] for part in states]
            school, bound, used, choice, lead = states

        value = self.worth(school, choice) - schools.picked(paid, school, choice)
        ranked = np.lexsort((-value, school))
        upper = np.maximum(dropped, floor) + margin
        return SchoolPlans(
            school[ranked], choice[ranked], value[ranked], np.minimum(upper, top + margin)
        )

    def own_prices(self, price: np.ndarray) -> np.ndarray:
        """What a unit more of each own row is worth at prices of what schools share."""
        self._adjust(self.by_school.shared @ price, np.arange(len(self._tangent)))
        return self._multiplier / self._size

    def largest_worth(self) -> float:
        """More than any plan of one school is worth; 1 where nothing is worth anything."""
        worth = self.objective.worth(self._top_gain, self.by_school.pupils)
        return float(worth.max()) or 1.0

    def worth(self, school: np.ndarray, choice: np.ndarray) -> np.ndarray:
        """What the plans are worth under the objective."""
        gain = self._gain(school, choice)
        return self.objective.worth(gain, self.by_school.pupils[school])

    def _gain(self, school: np.ndarray, choice: np.ndarray) -> np.ndarray:
        """What the plans, or parts of plans, gain."""
        schools = self.by_school
        return schools.counted(schools.each, schools.first, school, choice)

    def _led(self, at: np.ndarray, multiple: float = 1.0) -> np.ndarray:
        """What each choice adds if it leads its group, after tangent and multipliers."""
        schools, tangent = self.by_school, self._tangent[at]
        slope = self.objective.slope(tangent, schools.pupils[at])
        led = slope[:, None, None] * schools.first[at]
        # Only rows with no upper limit have such a part, so no multiplier here is above zero.
        for row in range(self._multiplier.shape[1]):
            step = multiple * self._multiplier[at, row, None, None]
            led -= self._own_first[at, :, :, row] * step
        return led

    def _overcounted(
        self,
        school: np.ndarray,
        pair: np.ndarray,
        slot: np.ndarray,
        at: np.ndarray,
        led: np.ndarray,
    ) -> np.ndarray:
        """What the bound of each choice counts too much, given who leads its group already."""
        price, own = self._lead[school, slot], led[school, pair]
        taken = np.maximum(led.reshape(len(led), -1)[school, at], price)
        return np.minimum(own, taken[:, None]) - np.minimum(own, price[:, None])

    def _leaders_after(
        self, school: np.ndarray, pair: np.ndarray, taken: np.ndarray, lead: np.ndarray
    ) -> np.ndarray:
        """Who leads after a choice."""
        schools, number = self.by_school, np.arange(len(school))
        slot, choices = schools.group[school, pair], schools.first.shape[2]
        first = schools.first.reshape(len(schools.first), -1)
        now = lead[number, slot]
        leads = schools.first[school, pair, taken] > first[school, now]
        lead[number, slot] = np.where(leads, pair * choices + taken, now)
        return lead

    def _reduced(
        self, paid: np.ndarray, at: np.ndarray, multiple: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Value of each choice after prices, tangent and multipliers; and the constant beside it.

        For any tangent and multipliers, constant + Σ reduced is at least the value of a plan that
        keeps its school's rows.
        """
        schools, multiplier = self.by_school, multiple * self._multiplier[at]
        pupils, tangent = schools.pupils[at], self._tangent[at]
        slope = self.objective.slope(tangent, pupils)
        constant = self.objective.worth(tangent, pupils) - slope * tangent
        up, down = np.maximum(multiplier, 0), np.minimum(multiplier, 0)
        constant = constant + (up * self._most[at] + down * self._least[at]).sum(axis=1)
        reduced = slope[:, None, None] * schools.gain[at] - paid[at]
        for row in range(multiplier.shape[1]):
            reduced -= self._own[at, :, :, row] * multiplier[:, row, None, None]
        if schools.slots:
            price = np.take_along_axis(self._lead[at], schools.group[at], axis=1)
            reduced -= np.minimum(self._led(at, multiple), price[:, :, None])
            constant = constant + self._lead[at].sum(axis=1)
        return np.where(schools.is_open[at], reduced, -np.inf), constant

    def _adjust(self, paid: np.ndarray, at: np.ndarray) -> None:
        """Multipliers and tangents that make the bound nearly as low as it gets, one by one."""
        for _ in range(_SWEEPS):
            if not self.objective.is_linear:
                self._halve_tangent(paid, at)
            for row in range(self._multiplier.shape[1]):
                self._halve_multiplier(paid, at, row)
            for slot in range(self._lead.shape[1]):
                self._halve_lead(paid, at, slot)

    def _halve_tangent(self, paid: np.ndarray, at: np.ndarray) -> None:
        """Move tangents towards the gain of the choices that they lead to."""

        def is_below(middle: np.ndarray) -> np.ndarray:
            self._tangent[at] = middle
            return self._gain(at, self._picks(paid, at)[:, :, 0]) > middle

        _bisected(self._top_gain[at].copy(), is_below)

    def _halve_multiplier(self, paid: np.ndarray, at: np.ndarray, row: int) -> None:
        """Raise a row's multiplier until the choices that it leads to keep the row."""
        self._multiplier[at, row] = 0
        over, under = self._breaks(paid, at, row)
        sign = over.astype(float) - under
        at, sign = at[sign != 0], sign[sign != 0]
        if not len(at):
            return

        def is_below(middle: np.ndarray) -> np.ndarray:
            self._multiplier[at, row] = sign * middle
            over, under = self._breaks(paid, at, row)
            return np.where(sign > 0, over, under)

        reduced, _ = self._reduced(paid, at)
        spread = np.where(np.isfinite(reduced), np.abs(reduced), 0).max(axis=(1, 2))
        self._multiplier[at, row] = sign * _bisected(_STEEPEST * spread, is_below)

    def _halve_lead(self, paid: np.ndarray, at: np.ndarray, slot: int) -> None:
        """Raise the price of leading a group until one choice at most leads at it."""
        self._lead[at, slot] = 0
        at = at[self._leading(paid, at, slot) > 1]
        if not len(at):
            return

        def is_below(middle: np.ndarray) -> np.ndarray:
            self._lead[at, slot] = middle
            return self._leading(paid, at, slot) > 1

        self._lead[at, slot] = _bisected(self._led(at).max(axis=(1, 2)), is_below)

    def _leading(self, paid: np.ndarray, at: np.ndarray, slot: int) -> np.ndarray:
        """How many of the best choices would lead a group at its price."""
        led = np.take_along_axis(self._led(at), self._picks(paid, at), axis=2)[:, :, 0]
        inside = self.by_school.group[at] == slot
        return (inside & (led > self._lead[at, slot, None])).sum(axis=1)

    def _picks(self, paid: np.ndarray, at: np.ndarray) -> np.ndarray:
        """The best choice of each pair, each pair for itself."""
        return self._reduced(paid, at)[0].argmax(axis=2)[:, :, None]

    def _breaks(self, paid: np.ndarray, at: np.ndarray, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Whether the best choices use too much, or too little, of an own row."""
        picks, own = self._picks(paid, at), self.by_school.own[at, :, :, row]
        used = np.take_along_axis(own, picks, axis=2).sum(axis=(1, 2))
        return used > self.by_school.most[at, row], used < self.by_school.least[at, row]

    def _dominated(
        self,
        paid: np.ndarray,
        school: np.ndarray,
        choice: np.ndarray,
        used: np.ndarray,
        lead: np.ndarray,
        low: np.ndarray,
        high: np.ndarray,
        rest_gain: np.ndarray,
    ) -> np.ndarray:
        """Positions of parts of plans that another one beats however both go on.

        The other one uses no more of the school's tightest row and as much of each row that can
        still be broken, and is worth as much with no further gain and with all that could come;
        a concave objective then puts it first with any gain between. Where responses overlap no
        group of it that is still open is led higher either, so that what comes adds as much to it.
        """
        schools = self.by_school
        gain = self._gain(school, choice)
        cost = schools.picked(paid, school, choice)
        pupils = schools.pupils[school]
        now = self.objective.worth(gain, pupils) - cost
        late = self.objective.worth(gain + rest_gain, pupils) - cost
        is_safe = (used + high <= schools.most[school]) & (used + low >= schools.least[school])
        group, need, main = self._needs(school, used, is_safe)
        if schools.slots:
            first = schools.first.reshape(len(schools.first), -1)[school[:, None], lead]
            rank = np.unique(first, return_inverse=True)[1].reshape(first.shape)
            need = np.column_stack([need, rank])
        worth = (now,) if self.objective.is_linear else (now, late)
        lost = dominated(group, need, worth, main)
        if len(schools.pupils) > MOST_APART:
            # Of many schools some have two tight rows: each is looked at as the main one.
            kept = np.delete(np.arange(len(group)), lost)
            for row in range(used.shape[1]):
                further = dominated(
                    group[kept],
                    need[kept],
                    tuple(value[kept] for value in worth),
                    np.full(len(kept), row),
                )
                kept = np.delete(kept, further)
            lost = np.setdiff1d(np.arange(len(group)), kept)
        return lost

    def _needs(
        self, school: np.ndarray, used: np.ndarray, is_safe: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What hinders parts of plans: labels that must be equal, amounts to compare."""
        counts = self._size[school] <= 1
        one_sided = (self.by_school.least[school] <= -FREE) | (self.by_school.most[school] >= FREE)
        sign = np.where(self.by_school.most[school] >= FREE, -1, 1)
        exact = np.where(is_safe | (one_sided & ~counts), FREE, used)
        need = np.where(one_sided & ~counts, np.where(is_safe, -FREE, sign * used), 0)
        label = np.unique(np.column_stack([school, exact]), axis=0, return_inverse=True)[1]
        main = (
            np.where(one_sided & ~counts, self._size[school], 0).argmax(axis=1)
            if used.shape[1]
            else np.zeros(len(school), dtype=np.int64)
        )
        return label, need, main

    def _rest(self, per_pair: np.ndarray, order: np.ndarray) -> np.ndarray:
        """What the pairs after each one in the order can still add to the own rows."""
        ordered = np.take_along_axis(per_pair, order[:, :, None], axis=1)
        return ordered[:, ::-1].cumsum(axis=1)[:, ::-1] - ordered

    def _margin(self, price: np.ndarray) -> np.ndarray:
        """By school, more than all rounding of floating point together can amount to.

        A value is a sum of products; n operations on terms of total size M are off by at most
        n·2^−53·M (Higham 2002, ch. 3). Counted generously, for every term that can occur.
        """
        schools = self.by_school
        tangent, pupils = self._tangent, schools.pupils
        slope = self.objective.slope(tangent, pupils)
        size = slope[:, None, None] * schools.gain + np.abs(schools.shared) @ price
        size = size + (np.abs(self._own) @ np.abs(self._multiplier)[:, None, :, None])[..., 0]
        finite = np.where(self._multiplier > 0, np.abs(self._most), 0)
        finite = finite + np.where(self._multiplier < 0, np.abs(self._least), 0)
        total = np.where(schools.is_open, size, 0).max(axis=2).sum(axis=1)
        total += (np.abs(self._multiplier) * finite).sum(axis=1) + self._top_gain + tangent
        total += 2 * self._lead.sum(axis=1)
        operations = 8 * (size.shape[1] + len(price) + finite.shape[1] + 8)
        return operations * 2.0**-53 * total


def _bisected(high: np.ndarray, is_below: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """From above, the least values between 0 and `high` that are not below what is sought."""
    low = np.zeros(len(high))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = is_below(middle)
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return high


def _most_promising(
    school: np.ndarray, bound: np.ndarray, width: int, dropped: np.ndarray
) -> np.ndarray:
    """Positions of the `width` highest bounds of each school; notes the highest it leaves out."""
    if np.bincount(school, minlength=1).max() <= width:
        return np.arange(len(school))
    order = np.lexsort((-bound, school))
    ordered = school[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    out = order[rank == width]
    dropped[school[out]] = np.maximum(dropped[school[out]], bound[out])
    return order[rank < width]
