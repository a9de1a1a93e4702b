"""Which parts of plans another one beats, however both go on."""

from __future__ import annotations

import numpy as np


def dominated(
    group: np.ndarray, need: np.ndarray, worth: tuple[np.ndarray, ...], main: np.ndarray
) -> np.ndarray:
    """Positions of the elements that another one of their group beats.

    One beats another if no need of it is higher and no worth of it lower; of equal ones the
    first in order stays. Each element is held against the best before it in the order of the main
    need, by each of the worths in turn, so some that are dominated may be missed, none is named
    wrongly.

    Args:
        group: labels; elements of different groups are not compared.
        need: element × need, the lower the better.
        worth: one or more criteria, the higher the better.
        main: which need is the main one, by element (the same within a group).
    """
    at = np.arange(len(group))
    lead = need[at, main] if need.shape[1] else np.zeros(len(group))
    order = np.lexsort((*(-value for value in reversed(worth)), lead, group))
    label = group[order]
    first = np.searchsorted(label, label)
    lost = np.zeros(len(group), dtype=bool)
    for value in worth:
        # Ranks that start anew above all earlier ones in each group make one running maximum do;
        # of equal values the earlier has the higher rank, so that it is the one that leads.
        by_value = np.lexsort((-at, value[order], label))
        rank = np.empty(len(at), dtype=np.int64)
        rank[by_value] = at
        leader = by_value[np.maximum.accumulate(rank)]
        before = np.append(0, leader[:-1])
        one, other = order, order[before]
        beats = (at > first) & (need[other] <= need[one]).all(axis=1)
        for criterion in worth:
            beats &= criterion[other] >= criterion[one]
        lost[one[beats]] = True
    return np.flatnonzero(lost)
