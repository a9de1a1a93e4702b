"""From the plans of single schools to one whole plan that keeps what they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import sparse

from models.allocation.solve.highs import Milp, minimise
from models.allocation.solve.national.lagrangian import Dual, Pool, scale_of
from models.allocation.solve.national.school_plans import MOST_APART, Search

_PLANS = 12_000
_FEWEST = 2
_STEPS = 5_000
_NODES = 50
_TRIES = 5
_LOOKS = 20
_CLOSER = 1e-6


def whole_plan(
    search: Search, dual: Dual, *, gap: float, seconds_left: Callable[[], float]
) -> np.ndarray | None:
    """A good plan that keeps all rules, 0/1 per option; None where none was found.

    Where schools open responses together, each team does what is best at the prices.

    The schools' most valuable plans at the prices are put together, repaired where they use too
    much, and then mixed anew by the solver with one plan per school (the restricted master problem
    in whole numbers), which is a search over swaps between all schools at once. A fixed number of
    nodes, not of seconds, ends it.
    """
    by_school = search.by_school
    limit, scale = by_school.limit, scale_of(by_school)
    _, value = dual.pool.leaders(dual.price, len(by_school.pupils))
    taken = by_school.teams.best(value)
    dual = replace(dual, best=dual.best[taken], pool=dual.pool.of_schools(taken))
    schools = len(taken)

    def bought(pool: Pool, plan: np.ndarray) -> np.ndarray:
        return by_school.bought(taken[pool.school[plan]], pool.choice[plan])

    if schools > MOST_APART:
        # Mostly the plans that the prices were found by are enough.
        start = _repaired(dual.pool, dual.best, dual.price, limit, scale)
        if start is not None:
            start = _filled(dual.pool, start, dual.price, limit)
            if dual.bound - dual.pool.worth[start].sum() <= gap * dual.bound:
                return bought(dual.pool, start)
    pool = _near(search, dual, taken)
    start = _repaired(pool, dual.best, dual.price, limit, scale)
    if start is not None and schools > MOST_APART:
        start = _filled(pool, start, dual.price, limit)
    if start is not None and dual.bound - pool.worth[start].sum() <= gap * dual.bound:
        return bought(pool, start)
    best = _mixed(pool, start, schools, limit, scale, gap, seconds_left)
    return None if best is None else bought(pool, best)


def _near(search: Search, dual: Dual, taken: np.ndarray) -> Pool:
    """The plans nearest in value to their school's best at the prices; a few of every school."""
    schools = len(dual.best)
    width = min(max(_PLANS // schools, _FEWEST), _PLANS // 4)
    nothing = np.full(len(search.by_school.pupils), -np.inf)
    more = search.plans(dual.price, floor=nothing, width=width)
    pool = dual.pool.merged(Pool.of(search, more.school, more.choice).of_schools(taken))
    loss = dual.best[pool.school] - pool.value(dual.price)
    order = np.lexsort((loss, pool.school))
    school = pool.school[order]
    in_school = np.empty(len(order), dtype=np.int64)
    in_school[order] = np.arange(len(order)) - np.searchsorted(school, school)
    overall = np.empty(len(order), dtype=np.int64)
    overall[np.lexsort((pool.school, loss))] = np.arange(len(order))
    return pool.at((in_school < _FEWEST) | (overall < _PLANS))


def _repaired(
    pool: Pool, best: np.ndarray, price: np.ndarray, limit: np.ndarray, scale: np.ndarray
) -> np.ndarray | None:
    """Each school's best plan, changed where the least value is lost per excess taken away."""
    loss = best[pool.school] - pool.value(price)
    order = np.lexsort((loss, pool.school))
    held = order[np.searchsorted(pool.school[order], np.arange(len(best)))]
    for _ in range(_STEPS):
        excess = pool.use[held].sum(axis=0) - limit
        if (excess <= 0).all():
            return held
        change = pool.use - pool.use[held[pool.school]]
        now = (np.maximum(excess, 0) / scale).sum()
        relief = now - (np.maximum(excess + change, 0) / scale).sum(axis=1)
        lost = np.maximum(loss - loss[held[pool.school]], 0)
        useful = np.flatnonzero(relief > 0)
        if not len(useful):
            return None
        tiny = 1e-12 * max(float(np.abs(best).max()), 1.0)
        ratio = relief[useful] / (lost[useful] + tiny)
        if len(best) > MOST_APART:
            chosen = _until_one_fits(pool.school, useful[np.argsort(-ratio)], change, excess)
        else:
            chosen = useful[[np.argmax(ratio)]]
        held[pool.school[chosen]] = chosen
    return None


def _until_one_fits(
    school: np.ndarray, order: np.ndarray, change: np.ndarray, excess: np.ndarray
) -> np.ndarray:
    """The first of some plans, one a school, up to the one by which some row's excess ends."""
    first = np.sort(np.unique(school[order], return_index=True)[1])
    order = order[first]
    over = excess > 0
    left = excess[over] + change[order][:, over].cumsum(axis=0)
    ended = np.flatnonzero((left <= 0).any(axis=1))
    return order[: ended[0] + 1 if len(ended) else len(order)]


def _filled(pool: Pool, held: np.ndarray, price: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """The plan with schools' plans changed for better ones as far as the limits go.

    The most worth for what is used at the prices first; one look at all plans after the other.
    """
    held = held.copy()
    for _ in range(_LOOKS):
        left = limit - pool.use[held].sum(axis=0)
        now = held[pool.school]
        gain, change = pool.worth - pool.worth[now], pool.use - pool.use[now]
        able = np.flatnonzero((gain > 0) & (change <= left).all(axis=1))
        ratio = gain[able] / (np.maximum(change[able] @ price, 0) + 1e-12)
        able = able[np.argsort(-ratio, kind="stable")]
        taken = set[int]()
        for plan, school in zip(able.tolist(), pool.school[able].tolist(), strict=True):
            if school not in taken and (change[plan] <= left).all():
                left, held[school] = left - change[plan], plan
                taken.add(school)
        if not taken:
            break
    return held


def _mixed(
    pool: Pool,
    start: np.ndarray | None,
    schools: int,
    limit: np.ndarray,
    scale: np.ndarray,
    gap: float,
    seconds_left: Callable[[], float],
) -> np.ndarray | None:
    """The best one plan per school that the solver finds; the start where it finds no better."""
    count = len(pool.school)
    each = sparse.csr_array((np.ones(count), (pool.school, np.arange(count))), (schools, count))
    matrix = sparse.vstack([each, sparse.csr_array((pool.use / scale).T)], format="csr")
    lower = np.concatenate([np.ones(schools), np.full(len(limit), -np.inf)])
    unit = float(pool.worth.max()) or 1.0
    tightened = limit / scale
    for _ in range(_TRIES):
        milp = Milp(
            -pool.worth / unit,
            matrix,
            lower,
            np.concatenate([np.ones(schools), tightened]),
            np.zeros(len(lower), dtype=bool),
            count,
            tolerance=np.inf,
        )
        found = minimise(
            milp,
            gap=gap / 4,
            time_limit_s=max(seconds_left(), 1.0),
            max_nodes=_NODES,
            start=None if start is None else np.isin(np.arange(count), start).astype(float),
        )
        if found.x is None:
            return start
        held = np.flatnonzero(found.x > 0.5)
        excess = pool.use[held].sum(axis=0) - limit
        if (excess <= 0).all():
            is_worse = start is not None and pool.worth[held].sum() < pool.worth[start].sum()
            return start if is_worse else held
        tightened -= np.where(excess > 0, excess / scale + _CLOSER, 0)
    return start
