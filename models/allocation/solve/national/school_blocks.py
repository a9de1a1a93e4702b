"""The model by school: what a school may choose alone, and the rows that tie schools together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from models.allocation.solve.model import Model
from models.allocation.solve.national.teams import Teams
from models.keys import PAIR

FREE = np.int64(1) << 62
"""A limit that no sum of coefficients reaches."""


@dataclass(frozen=True)
class BySchool:
    """The model's rows, split, on arrays by school × pair × choice; choice 0 buys nothing.

    A row whose columns all lie in one school is that school's own; any other ties schools together.
    Where schools stand in teams, "school" means one of their entries everywhere here (`Teams`).
    This is read off the rows, so a new rule needs no change here. Choices that no plan of the
    school can hold and own rows that no plan can break are left out. All coefficients are whole
    numbers.

    Attributes:
        pupils: by school.
        column: position of the option behind each choice; -1 for nothing, and where no choice is.
        each: need-weighted benefit that each choice adds in any case.
        first: what it adds besides where it leads its overlap group; 0 where it is in none.
        group: slot of the overlap group of each pair, school × pair; 0 where it is in none.
        slots: overlap groups that a school has at most.
        is_open: whether a choice exists and could be part of a plan.
        own: coefficients of the school's own rows, school × pair × choice × row, as of a leader.
        own_first: the part of them that only the leader of a group adds.
        least: lower limits of the own rows, school × row.
        most: upper limits of the own rows.
        shared: coefficients of the rows between schools, all as ≤, school × pair × choice × row.
        limit: upper limits of the rows between schools.
        sides: position in the model of each of them, and 1 for its upper limit, −1 for its lower.
        own_at: position in the model of the own rows, school × row; −1 = none.
        is_infeasible: some school, or some row without columns, already rules out every plan.
        teams: the schools of the entries.
        options: how many there are in all.
    """

    pupils: np.ndarray
    column: np.ndarray
    each: np.ndarray
    first: np.ndarray
    group: np.ndarray
    slots: int
    is_open: np.ndarray
    own: np.ndarray
    own_first: np.ndarray
    least: np.ndarray
    most: np.ndarray
    shared: np.ndarray
    limit: np.ndarray
    sides: np.ndarray
    own_at: np.ndarray
    is_infeasible: bool
    teams: Teams
    options: int

    @classmethod
    def of(cls, model: Model, teams: Teams | None = None) -> BySchool:
        """Split a model.

        Args:
            model: its rows.
            teams: of its schools; None = every school is laid out once.
        """
        options, schools = model.columns.options, model.columns.schools
        place = _places(options, schools)
        size = (schools.height, *(int(axis.max()) + 1 for axis in place[1:]))
        column = np.full(size, -1)
        column[place] = np.arange(options.height)
        each, first_benefit = np.zeros(size), np.zeros(size)
        counting = model.counting
        each[place], first_benefit[place] = counting.each, counting.first
        group, slots = _slots(counting.group, place[0], place[1], size[:2])
        is_open = column >= 0
        is_open[:, :, 0] = True

        matrix = model.matrix
        length = np.diff(matrix.indptr)
        first = np.append(place[0], -1)[np.append(matrix.indices, -1)][matrix.indptr[:-1]]
        row_of = np.repeat(np.arange(len(length)), length)
        elsewhere = place[0][matrix.indices] != first[row_of]
        is_own = np.bincount(row_of, weights=elsewhere, minlength=len(length)) == 0
        is_empty, is_rule = length == 0, model.owner >= 0
        broken = bool(np.any(is_empty & ((model.lower > 0) | (model.upper < 0))))

        own_rows = np.flatnonzero(is_own & is_rule & ~is_empty)
        number = _rank(first[own_rows])
        width = int(number.max()) + 1 if len(number) else 0
        own = np.zeros((*size, width), dtype=np.int64)
        least = np.full((schools.height, width), -FREE)
        most = np.full((schools.height, width), FREE)
        number_of = np.full(len(length), -1)
        number_of[own_rows] = number
        entry = np.flatnonzero(number_of[row_of] >= 0)
        at = tuple(axis[matrix.indices[entry]] for axis in place)
        own[(*at, number_of[row_of[entry]])] = matrix.data[entry].astype(np.int64)
        own_first = np.zeros_like(own)
        leading = model.leading.tocoo()
        at = tuple(axis[leading.col] for axis in place)
        own_first[(*at, number_of[leading.row])] = leading.data.astype(np.int64)
        own += own_first
        least[first[own_rows], number] = _whole(model.lower[own_rows])
        most[first[own_rows], number] = _whole(model.upper[own_rows])
        own_at = np.full((schools.height, width), -1)
        own_at[first[own_rows], number] = own_rows

        teams = teams or Teams.alone(schools.height, len(length))
        is_shared = ~is_own & ~teams.rows
        up = np.flatnonzero(is_shared & np.isfinite(model.upper))
        down = np.flatnonzero(is_shared & np.isfinite(model.lower))
        shared = np.zeros((*size, len(up) + len(down)), dtype=np.int64)
        sides = np.array(
            [*((row, 1) for row in up), *((row, -1) for row in down)], dtype=np.int64
        ).reshape(-1, 2)
        for side, (row, sign) in enumerate(sides):
            entries = slice(matrix.indptr[row], matrix.indptr[row + 1])
            at = tuple(axis[matrix.indices[entries]] for axis in place)
            shared[(*at, side)] = sign * matrix.data[entries].astype(np.int64)
        limit = _whole(np.concatenate([model.upper[up], -model.lower[down]]))

        pupils = schools["pupils"].to_numpy()
        if not teams.is_trivial:
            is_open = _opened(is_open[teams.school], teams, place)
            own, own_first, least, most, own_at = (
                part[teams.school] for part in (own, own_first, least, most, own_at)
            )
        is_open, able = _tightened(is_open, own, own_first, least, most)
        can_all = bool(able.all())
        if not teams.is_trivial:
            left = teams.without(~able)
            can_all = left is not None
            if left:
                teams, kept = left
                is_open, own, own_first, least, most, own_at = (
                    part[kept] for part in (is_open, own, own_first, least, most, own_at)
                )
            pupils, column, each, first_benefit, group, shared = (
                part[teams.school] for part in (pupils, column, each, first_benefit, group, shared)
            )
            # What only a few schools share would widen the arrays of all.
            order = _packed(is_open)
            is_open, column, each, first_benefit = (
                np.take_along_axis(part, order, axis=2)
                for part in (is_open, column, each, first_benefit)
            )
            own, own_first, shared = (
                np.take_along_axis(part, order[..., None], axis=2)
                for part in (own, own_first, shared)
            )
        own, own_first, least, most, own_at = _needed(is_open, own, own_first, least, most, own_at)
        return cls(
            pupils,
            column,
            each,
            first_benefit,
            group,
            slots,
            is_open,
            own,
            own_first,
            least,
            most,
            shared,
            limit,
            sides,
            own_at,
            broken or not can_all,
            teams,
            options.height,
        )

    def by_row(
        self, model: Model, price: np.ndarray, own: np.ndarray, taken: np.ndarray
    ) -> np.ndarray:
        """Prices by row of the model, below 0 where a lower limit demands.

        Args:
            model: as it was split.
            price: of the rows between schools.
            own: of the schools' own rows, school × row.
            taken: the entry of each school that is meant.
        """
        row = np.zeros(len(model.rows))
        np.add.at(row, self.sides[:, 0], self.sides[:, 1] * price)
        at, own = self.own_at[taken], own[taken]
        row[at[at >= 0]] = own[at >= 0]
        return row

    @property
    def gain(self) -> np.ndarray:
        """Need-weighted benefit of each choice alone: no choice adds more."""
        return self.each + self.first

    def with_floor(self, each: np.ndarray, first: np.ndarray, least: np.ndarray) -> BySchool:
        """The same with one more row of each school: Σ each and the leaders' `first` ≥ least."""
        own = np.concatenate([self.own, (each + first)[..., None]], axis=3)
        own_first = np.concatenate([self.own_first, first[..., None]], axis=3)
        lower = np.column_stack([self.least, least])
        upper = np.column_stack([self.most, np.full(len(least), FREE)])
        is_open, able = _tightened(self.is_open, own, own_first, lower, upper)
        own_at = np.column_stack([self.own_at, np.full(len(least), -1)])
        own, own_first, lower, upper, own_at = _needed(
            is_open, own, own_first, lower, upper, own_at
        )
        return replace(
            self,
            is_open=is_open,
            own=own,
            own_first=own_first,
            least=lower,
            most=upper,
            own_at=own_at,
            is_infeasible=self.is_infeasible or not able.all(),
        )

    def counted(
        self, each: np.ndarray, first: np.ndarray, school: np.ndarray, choice: np.ndarray
    ) -> np.ndarray:
        """What school plans (plan × pair) add up to: `each` of all choices, `first` of leaders."""
        total = self.picked(each, school, choice)
        if self.slots:
            number = np.arange(len(school))
            lead = np.zeros((len(school), self.slots, *first.shape[3:]), dtype=first.dtype)
            for pair in range(choice.shape[1]):
                slot = self.group[school, pair]
                led = first[school, pair, choice[:, pair]]
                lead[number, slot] = np.maximum(lead[number, slot], led)
            total += lead.sum(axis=1)
        return total

    def picked(self, values: np.ndarray, school: np.ndarray, choice: np.ndarray) -> np.ndarray:
        """Sums of `values` over the choices of school plans (plan × pair)."""
        total = np.zeros((len(school), *values.shape[3:]), dtype=values.dtype)
        for pair in range(choice.shape[1]):
            total += values[school, pair, choice[:, pair]]
        return total

    def bought(self, school: np.ndarray, choice: np.ndarray) -> np.ndarray:
        """0/1 per option of a plan given as choices school × pair, of these schools."""
        columns = self.column[school[:, None], np.arange(choice.shape[1]), choice]
        x = np.zeros(self.options)
        x[columns[columns >= 0]] = 1
        return x


def _places(options: pl.DataFrame, schools: pl.DataFrame) -> tuple[np.ndarray, ...]:
    """School, pair within the school and choice within the pair of every option."""
    numbered = options.join(
        schools.select("semel_mosad").with_row_index("school"),
        on="semel_mosad",
        maintain_order="left",
    ).select(
        pl.col("school").cast(pl.Int64),
        pl.col("response_id").rank("dense").over("semel_mosad").cast(pl.Int64) - 1,
        pl.int_range(1, pl.len() + 1).over(PAIR).alias("choice").cast(pl.Int64),
    )
    return tuple(numbered.to_numpy().T)


def _slots(
    group: np.ndarray, school: np.ndarray, pair: np.ndarray, size: tuple[int, ...]
) -> tuple[np.ndarray, int]:
    """Running number of each pair's overlap group in its school, and how many there are at most."""
    inside = np.flatnonzero(group >= 0)
    groups, first, place = np.unique(group[inside], return_index=True, return_inverse=True)
    number = _rank(school[inside][first])
    slot = np.zeros(size, dtype=np.int64)
    slot[school[inside], pair[inside]] = number[place]
    return slot, int(number.max()) + 1 if len(groups) else 0


def _rank(sorted_or_not: np.ndarray) -> np.ndarray:
    """Running number of each element among the equal ones before it."""
    order = np.argsort(sorted_or_not, kind="stable")
    ordered = sorted_or_not[order]
    start = np.searchsorted(ordered, ordered)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order)) - start
    return rank


def _whole(limits: np.ndarray) -> np.ndarray:
    """Limits as whole numbers, those that are infinite beyond reach."""
    finite = np.where(np.isfinite(limits), limits, 0.0).astype(np.int64)
    return np.where(np.isfinite(limits), finite, np.where(limits > 0, FREE, -FREE))


def ranges(
    is_open: np.ndarray, own: np.ndarray, own_first: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Least and most that each pair can add to each own row (school × pair × row)."""
    shown = is_open[..., None]
    low = np.where(shown, own - own_first, FREE).min(axis=2, initial=FREE)
    high = np.where(shown, own, -FREE).max(axis=2, initial=-FREE)
    return low, high


def _opened(is_open: np.ndarray, teams: Teams, place: tuple[np.ndarray, ...]) -> np.ndarray:
    """Which choices exist for the entries, by what their teams hold and leave."""
    entry, option = teams.closed
    is_open[entry, place[1][option], place[2][option]] = False
    entry, option = teams.held
    pair, choice = place[1][option], place[2][option]
    is_open[entry, pair] = np.arange(is_open.shape[2]) == choice[:, None]
    return is_open


def _packed(is_open: np.ndarray) -> np.ndarray:
    """Positions of each pair's choices that keep an open one: nothing, the open ones, some more."""
    closed = ~is_open
    closed[:, :, 0] = False
    width = int((~closed).sum(axis=2).max(initial=1))
    return np.argsort(closed, axis=2, kind="stable")[:, :, :width]


def _tightened(
    is_open: np.ndarray,
    own: np.ndarray,
    own_first: np.ndarray,
    least: np.ndarray,
    most: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The choices that each own row, taken alone, allows; and whether each school keeps one of
    every pair.
    """
    able = _keeps_one(is_open)
    while able.any():
        # What is open of a school that cannot is of no interest, and its sums would overflow.
        shown = is_open | ~able[:, None, None]
        low, high = ranges(shown, own, own_first)
        rest_low = (low.sum(axis=1)[:, None] - low)[:, :, None]
        rest_high = (high.sum(axis=1)[:, None] - high)[:, :, None]
        least_own = own - own_first
        fits = least_own + rest_low <= most[:, None, None]
        fits &= own + rest_high >= least[:, None, None]
        tighter = shown & fits.all(axis=3)
        tighter = np.where(able[:, None, None], tighter, is_open)
        if (tighter == is_open).all():
            break
        is_open = tighter
        able = able & _keeps_one(is_open)
    return is_open, able


def _keeps_one(is_open: np.ndarray) -> np.ndarray:
    """By school, whether every pair has a choice."""
    some: np.ndarray = np.logical_or.reduce(is_open, axis=2)
    every: np.ndarray = np.logical_and.reduce(some, axis=1)
    return every


def _needed(
    is_open: np.ndarray,
    own: np.ndarray,
    own_first: np.ndarray,
    least: np.ndarray,
    most: np.ndarray,
    own_at: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """The own rows that some plan of the school could break, moved to the front."""
    low, high = ranges(is_open, own, own_first)
    binds = (low.sum(axis=1) < least) | (high.sum(axis=1) > most)
    width = int(binds.sum(axis=1).max(initial=0))
    order = np.argsort(~binds, axis=1, kind="stable")[:, :width]
    kept = np.take_along_axis(binds, order, axis=1)
    own = np.take_along_axis(own, order[:, None, None, :], axis=3) * kept[:, None, None]
    own_first = np.take_along_axis(own_first, order[:, None, None, :], axis=3) * kept[:, None, None]
    least = np.where(kept, np.take_along_axis(least, order, axis=1), -FREE)
    most = np.where(kept, np.take_along_axis(most, order, axis=1), FREE)
    own_at = np.where(kept, np.take_along_axis(own_at, order, axis=1), -1)
    return own, own_first, least, most, own_at
