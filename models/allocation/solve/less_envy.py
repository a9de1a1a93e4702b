"""Of a country's plans that are nearly equal in worth, one that leaves less envy: no proof.

Schools are taken apart again, with the envy of the plan in hand as prices: a line counts the less,
the more of those who could envy it lack the response. A plan that leaves less envied money, stays
within the band and spends as much becomes the plan in hand, and prices rise; where none comes, they
are halved. What the least envy is, nobody knows: before and after are told.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.allocation.problem.fairness import Envies, Fairness
from models.allocation.rules.order import SpendingKept
from models.allocation.solve.fair import Fair, Held, envies_of
from models.allocation.solve.model import Model
from models.allocation.solve.national.decomposition import Start, take_apart
from models.allocation.solve.resolve import with_bonus

_ROUNDS = 8
_STRENGTH, _RISE = 0.4, 1.5
"""An envied line counts so much less at first, as a share of what its money brings on average."""


def less_envied(
    model: Model,
    best: np.ndarray,
    fairness: Fairness,
    *,
    gap: float,
    seconds_left: Callable[[], float],
) -> Fair:
    """A plan within the band of the best by worth that leaves no more envy, and mostly less.

    Args:
        model: the rules; its objective is linear.
        best: the plan by worth, 0/1 per option.
        fairness: the band, and who is surely needier.
        gap: of each search; every channel spends as much as the plan by worth, to within it.
        seconds_left: a safety limit; rounds are counted.
    """
    fairness = fairness.canonical(model.columns)
    envies = envies_of(model, fairness.needier)
    held = Held.of(model, best, fairness, short=gap)
    spending = SpendingKept(tuple((channel, least) for channel, _, least in held.spent))
    asked = Model.of(model.columns, (*model.rules, spending), model.objective)
    x, strength, is_time_out = best, _STRENGTH, False
    start: Start | None = None
    pairs = _Pairs(envies)
    for _ in range(_ROUNDS):
        bonus = pairs.bonus(x, strength * model.worth(best))
        if not bonus.any():
            break
        if is_time_out := seconds_left() <= 0:
            break
        found = take_apart(
            with_bonus(asked, bonus), gap=gap, seconds_left=seconds_left, start=start
        )
        start = found.start or start
        if found.x is not None and held.by(found.x) and envies.agorot(found.x) < envies.agorot(x):
            x, strength = found.x, _RISE * strength
        else:
            strength /= 2

    def leaves_no_more(plan: np.ndarray, add: np.ndarray, drop: np.ndarray) -> np.ndarray:
        """Whether a single move leaves no further envy: a dose or a line that nobody envies."""
        return (add >= 0) & ~pairs.is_envied(plan)[model.columns.pair[add]]

    polished = model.polish(x, leaves_no_more)
    if held.by(polished) and envies.agorot(polished) <= envies.agorot(x):
        x = polished
    return Fair(x, best, envies, None, is_time_out, ())


class _Pairs:
    """Who could envy whom, by the position of pairs: each envied one beside one that envies it."""

    def __init__(self, envies: Envies) -> None:
        nothing = [np.zeros(0, dtype=np.int64)]
        each = envies.enviers.items()
        self._envied = np.concatenate(nothing + [np.full(len(own), pair) for pair, own in each])
        self._envying = np.concatenate(nothing + [np.array(own) for _, own in each])
        self._columns = envies.columns
        self._able = np.bincount(self._envied, minlength=envies.columns.pairs.height)

    def is_envied(self, x: np.ndarray) -> np.ndarray:
        """By pair, whether some school that lacks the response under a plan would envy it."""
        return self._lacking(x) > 0

    def bonus(self, x: np.ndarray, strength: float) -> np.ndarray:
        """What every option counts less for the envy of a plan: zero or below.

        Args:
            x: the plan.
            strength: worth of all its money.
        """
        cost = self._columns.options["cost_agorot"].to_numpy().astype(float)
        rate = strength / max(float(cost[x > 0.5].sum()), 1.0)
        lacking = self._lacking(x) / np.maximum(self._able, 1)
        return -rate * cost * lacking[self._columns.pair]

    def _lacking(self, x: np.ndarray) -> np.ndarray:
        """By pair, how many of those who could envy it lack the response under a plan."""
        has = np.zeros(len(self._able), dtype=bool)
        has[self._columns.pair[x > 0.5]] = True
        return np.bincount(self._envied[~has[self._envying]], minlength=len(self._able))
