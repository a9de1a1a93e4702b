"""Schools with an equal claim to the places of a response, and the lot that gives them.

Schools are tied for a response at a dose where every way of giving its places among them makes as
good a plan: all rules and every channel's spending kept; worth the same to the solver's gap; envied
money and lines of last year that go on the same. Places of one response are compared at one dose;
exchanges across responses or doses are not: they give schools different things.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from models.allocation.solve.model import Model
from models.lottery import draw_lottery, lottery_seed

_WAYS = 200
"""Ways of giving a tie's places that are tried: all of them, or as many by lot."""


@dataclass(frozen=True)
class Tie:
    """Schools among which the lot decides: each has the same chance, places ÷ schools.

    Attributes:
        response_id: what they have an equal claim to.
        dose_level: at which dose.
        schools: all of them, by code.
        drawn: those that were given it, by code.
        seed: the lot's (`models.lottery.draw_lottery` with these schools and places).
    """

    response_id: str
    dose_level: int
    schools: tuple[str, ...]
    drawn: tuple[str, ...]
    seed: int


def draw_ties(
    model: Model,
    x: np.ndarray,
    is_as_good: Callable[[np.ndarray, np.ndarray], bool],
    *,
    near: float,
    seed: int,
) -> tuple[np.ndarray, tuple[Tie, ...]]:
    """Draw the places that schools are tied for; by response and dose, one tie after the other.

    Args:
        model: the rules.
        x: a plan, 0/1 per option.
        is_as_good: whether a plan is as good as another, and keeps what it must.
        near: worths that lie no further apart are the same.
        seed: of the year's lotteries; each response draws with its own (`lottery_seed`).

    Returns:
        The plan with the places as drawn, and the ties.
    """
    ties: list[Tie] = []
    offered = model.columns.options.filter("is_eligible")
    for (response_id, level), part in sorted(
        offered.partition_by("response_id", "dose_level", as_dict=True).items()
    ):
        own = lottery_seed(seed, response_id)
        for group in _groups(model, x, part["column"].to_numpy(), is_as_good, near):
            places = int(x[group].sum())
            ways = (_given(x, group, way) for way in _ways(group, places, own))
            if not all(is_as_good(way, x) for way in ways):
                continue
            codes = model.columns.options["semel_mosad"][group.tolist()]
            lot = draw_lottery(codes.to_frame("unit"), places, seed=own)
            drawn = lot.filter("is_offered")["unit"].sort()
            x = _given(x, group, group[codes.is_in(drawn.implode()).to_numpy()])
            ties.append(Tie(response_id, level, tuple(codes), tuple(drawn), own))
    return x, tuple(ties)


def _groups(
    model: Model,
    x: np.ndarray,
    offered: np.ndarray,
    is_as_good: Callable[[np.ndarray, np.ndarray], bool],
    near: float,
) -> Iterator[np.ndarray]:
    """Options, one a school, of which each that is bought could be exchanged for each that is not.

    Who could be exchanged with fewer of the others than the rest could is left out, all such
    together, until that holds: no order of schools decides.
    """
    has = np.zeros(model.columns.pairs.height, dtype=bool)
    has[model.columns.pair[x > 0.5]] = True
    held, lacking = offered[x[offered] > 0.5], offered[~has[model.columns.pair[offered]]]
    gain = model.counting.change(
        x, np.tile(lacking, len(held)), np.repeat(held, len(lacking))
    ).reshape(len(held), len(lacking))
    tied = np.zeros(gain.shape, dtype=bool)
    for own, other in np.argwhere(np.abs(gain) <= near):
        y = _given(x, np.array([held[own], lacking[other]]), lacking[[other]])
        tied[own, other] = is_as_good(y, x)
    graph = sparse.block_array([[None, tied], [tied.T, None]]) if tied.any() else None
    if graph is None:
        return
    count, part = connected_components(graph, directed=False)
    for k in range(count):
        rows, columns = (
            np.flatnonzero(part[: len(held)] == k),
            np.flatnonzero(part[len(held) :] == k),
        )
        while (within := tied[np.ix_(rows, columns)]).size and not within.all():
            of_row, of_column = within.mean(axis=1), within.mean(axis=0)
            least = min(of_row.min(), of_column.min())
            rows, columns = rows[of_row > least], columns[of_column > least]
        if len(rows) and len(columns):
            yield np.sort(np.concatenate([held[rows], lacking[columns]]))


def _ways(group: np.ndarray, places: int, seed: int) -> Iterator[np.ndarray]:
    """Ways of giving the places: the options bought."""
    if math.comb(len(group), places) <= _WAYS:
        yield from (np.array(way) for way in combinations(group.tolist(), places))
        return
    random = np.random.default_rng(seed)
    yield from (random.permutation(group)[:places] for _ in range(_WAYS))


def _given(x: np.ndarray, group: np.ndarray, way: np.ndarray) -> np.ndarray:
    """A plan in which of a group these options are bought."""
    y = x.copy()
    y[group] = 0
    y[way] = 1
    return y
