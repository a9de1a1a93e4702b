"""Schools that open responses together: what a team of them opens is its one choice.

A row between schools that says no more than "this option as that one" would need a price of its
own, and a country has thousands. Schools that such rows tie are a team. Each of them is laid out
once for every choice that the team has, as an *entry* of which the shared options are held or
closed; a team takes the choice whose entries are worth most together. Nothing is lost by it: a plan
keeps these rows if and only if all schools of each team stand in entries of one choice.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from models.allocation.solve.model import Model

_MOST_CHOICES = 32
"""Teams with more choices are not laid out: their rows stay between schools."""

_Sets = list[tuple[int, ...]]
_Choices = list[tuple[int, ...]]


@dataclass(frozen=True)
class Teams:
    """The entries of a country's schools.

    A school of no team has one entry, which is alone in its choice.

    Attributes:
        school: of each entry.
        choice: of each entry; ascending.
        team: of each choice; ascending.
        rows: by row of the model, whether it is kept by the layout.
        held: entry and option: the entry buys it.
        closed: entry and option: the entry does not.
    """

    school: np.ndarray
    choice: np.ndarray
    team: np.ndarray
    rows: np.ndarray
    held: tuple[np.ndarray, np.ndarray]
    closed: tuple[np.ndarray, np.ndarray]

    @classmethod
    def alone(cls, schools: int, rows: int) -> Teams:
        """No teams: an entry for each school, whatever ties it to others."""
        every, none = np.arange(schools), np.zeros(0, dtype=np.int64)
        is_kept = np.zeros(rows, dtype=bool)
        return cls(every, every, every, is_kept, (none, none), (none, none))

    @classmethod
    def of(cls, model: Model) -> Teams:
        """The teams that a model's rows make."""
        columns, schools = model.columns, model.columns.schools.height
        ties, sets = _sets(model)
        alone = cls.alone(schools, len(model.rows))
        if not len(sets):
            return alone
        by_team = _by_team(sets, columns.school, schools)
        offered = {team: _choices(own, columns.pair) for team, own in by_team.items()}
        taken = {team: own for team, own in offered.items() if own}
        named = {option for team in taken for held in by_team[team] for option in held}
        is_kept = np.zeros(len(model.rows), dtype=bool)
        is_kept[[row for row, option in ties if option in named]] = True

        members = {
            team: sorted({int(columns.school[j]) for held in by_team[team] for j in held})
            for team in taken
        }
        in_team = {school for own in members.values() for school in own}
        teams: list[tuple[tuple[int, ...], _Choices, _Sets]] = [
            ((school,), [()], []) for school in range(schools) if school not in in_team
        ]
        teams += [(tuple(members[team]), taken[team], by_team[team]) for team in taken]
        school, choice, of_team = list[int](), list[int](), list[int]()
        held, closed = list[tuple[int, int]](), list[tuple[int, int]]()
        for number, (own, choices, own_sets) in enumerate(sorted(teams, key=lambda one: one[0])):
            for chosen in choices:
                entry = dict(zip(own, range(len(school), len(school) + len(own)), strict=True))
                school += own
                choice += [len(of_team)] * len(own)
                of_team.append(number)
                for place, options in enumerate(own_sets):
                    part = held if place in chosen else closed
                    part += [(entry[int(columns.school[j])], j) for j in options]
        return cls(
            np.array(school),
            np.array(choice),
            np.array(of_team),
            is_kept,
            _two(held),
            _two(closed),
        )

    @property
    def is_trivial(self) -> bool:
        """Whether every school is alone."""
        return len(self.team) == len(self.school) == int(self.team[-1]) + 1

    def without(self, broken: np.ndarray) -> tuple[Teams, np.ndarray] | None:
        """The teams without the choices of which some entry is broken, and the entries that stay.

        None where some team has no choice left.
        """
        stays = np.bincount(self.choice, broken, len(self.team)) == 0
        kept = np.flatnonzero(stays[self.choice])
        team = self.team[stays]
        if len(np.unique(team)) <= self.team[-1]:
            return None
        new = np.cumsum(stays) - 1
        none = np.zeros(0, dtype=np.int64)
        made = Teams(
            self.school[kept], new[self.choice[kept]], team, self.rows, (none, none), (none, none)
        )
        return made, kept

    def tops(self, value: np.ndarray) -> np.ndarray:
        """By team, what its best choice is worth, rounded up where it is a sum.

        Args:
            value: by entry.
        """
        summed = np.bincount(self.choice, value, len(self.team))
        if not self.is_trivial:
            size = np.bincount(self.choice, minlength=len(self.team))
            total = np.bincount(self.choice, np.abs(value), len(self.team))
            error = np.where((size > 1) & np.isfinite(summed), 2.0**-52 * size * total, 0.0)
            summed = summed + error
        return np.maximum.reduceat(summed, self._starts)

    def best(self, value: np.ndarray) -> np.ndarray:
        """The entries of each team's best choice, by school; of equal ones the first."""
        summed = np.bincount(self.choice, value, len(self.team))
        top = np.maximum.reduceat(summed, self._starts)
        at = np.flatnonzero(summed == top[self.team])
        first = at[np.searchsorted(self.team[at], np.arange(len(top)))]
        is_taken = np.zeros(len(self.team), dtype=bool)
        is_taken[first] = True
        entries = np.flatnonzero(is_taken[self.choice])
        return entries[np.argsort(self.school[entries], kind="stable")]

    @property
    def _starts(self) -> np.ndarray:
        return np.searchsorted(self.team, np.arange(int(self.team[-1]) + 1))


def _two(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    one, other = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return one, other


def _sets(model: Model) -> tuple[list[tuple[int, int]], list[tuple[int, ...]]]:
    """The rows that set two options of two schools equal, and the sets of options they make.

    Returns:
        (row, its first option); options of each set, ascending, by their first.
    """
    matrix, school = model.matrix, model.columns.school
    two = np.flatnonzero(
        (np.diff(matrix.indptr) == 2) & (model.lower == 0) & (model.upper == 0) & (model.owner >= 0)
    )
    at = matrix.indptr[two]
    one, other = matrix.indices[at], matrix.indices[at + 1]
    is_tie = (
        (matrix.data[at] == -matrix.data[at + 1])
        & (abs(matrix.data[at]) == 1)
        & (school[one] != school[other])
    )
    if model.leading.nnz:
        is_tie &= np.diff(model.leading.indptr)[two] == 0
    two, one, other = two[is_tie], one[is_tie], other[is_tie]
    if not len(two):
        return [], []
    size = len(school)
    _, label = connected_components(
        sparse.coo_array((np.ones(len(two)), (one, other)), (size, size)), directed=False
    )
    found = defaultdict[int, list[int]](list)
    for option in np.unique(np.concatenate([one, other])).tolist():
        found[int(label[option])].append(option)
    sets = sorted(tuple(options) for options in found.values())
    return list(zip(two.tolist(), one.tolist(), strict=True)), sets


def _by_team(
    sets: list[tuple[int, ...]], school: np.ndarray, schools: int
) -> dict[int, list[tuple[int, ...]]]:
    """The sets of each team, by a number of the team."""
    pairs = [(school[options[0]], school[j]) for options in sets for j in options]
    one, other = np.array(pairs).T
    graph = sparse.coo_array((np.ones(len(pairs)), (one, other)), (schools, schools))
    _, team = connected_components(graph, directed=False)
    found = defaultdict[int, list[tuple[int, ...]]](list)
    for options in sets:
        found[int(team[school[options[0]]])].append(options)
    return dict(found)


def _choices(sets: list[tuple[int, ...]], pair: np.ndarray) -> list[tuple[int, ...]]:
    """The sets, by position, that a team can open at once: no two with one pair.

    Empty where there are too many such choices.
    """
    pairs = [set(pair[list(options)].tolist()) for options in sets]
    if any(len(own) < len(options) for own, options in zip(pairs, sets, strict=True)):
        return []
    found: list[tuple[int, ...]] = [()]
    for place, own in enumerate(pairs):
        found += [(*held, place) for held in found if not any(own & pairs[k] for k in held)]
        if len(found) > _MOST_CHOICES:
            return []
    return found
