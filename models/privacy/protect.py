"""Complementary suppression: what more to hide, at the least loss, until the intruder fails."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from models.privacy.intruder import Guard, Reasons, attack_block
from models.privacy.system import System

_ROUNDS = 60


class UnprotectedError(Exception):
    """A hidden count is known by what cannot be hidden."""


def protect(
    system: System, loss: Mapping[str, int], guard: Guard, safe: set[bytes] | None = None
) -> frozenset[str]:
    """Return which counts and published shares to hide, so that `attack` finds nothing.

    What makes a count known is a cut: something of it must be hidden. The cheapest set that meets
    all cuts is hidden, what it leaves known gives further cuts, and so on; each cut is valid, so
    that the last set is the cheapest of all (Fischetti and Salazar-González 2000). What is hidden
    on the way is guarded too.

    Args:
        system: what would be told.
        loss: what may be hidden, and what is lost by it (positive).
        guard: what is kept from whom.
        safe: as in `attack`.

    Raises:
        UnprotectedError: naming the counts that nothing in `loss` protects.
        ContradictionError: if what is told cannot all be true.
    """
    own = frozenset(system.names)
    cuts: set[frozenset[str]] = set()
    chosen: frozenset[str] = frozenset()
    safe = set() if safe is None else safe
    closed: set[tuple[bytes, frozenset[str]]] = set()  # blocks of this system that are done
    for _ in range(_ROUNDS):
        hiding, guarding = system.hiding(chosen), guard.also(chosen & own)
        freed = chosen - own
        new: set[frozenset[str]] = set()
        lost: set[str] = set()
        for columns in hiding.blocks():
            if (same := (columns.tobytes(), freed)) in closed:
                continue
            known = attack_block(hiding, columns, guarding, safe)
            if not known:
                closed.add(same)
                continue
            reasons = Reasons(hiding, columns, guard.width)
            for found in known:
                cut = frozenset(reasons.of(found) & loss.keys())
                if cut:
                    new.add(cut)
                else:
                    lost.add(found.name)
        if lost:
            raise UnprotectedError(", ".join(sorted(lost)))
        if not new:
            return chosen
        cuts |= new
        chosen = _cheapest(cuts, loss)
    raise UnprotectedError(f"no end after {_ROUNDS} rounds")


def _cheapest(cuts: Collection[frozenset[str]], loss: Mapping[str, int]) -> frozenset[str]:
    """Return the cells of least loss that meet every cut."""
    ordered = sorted(cuts, key=sorted)
    names = sorted(set().union(*ordered))
    place = {name: number for number, name in enumerate(names)}
    entries = [(row, place[name]) for row, cut in enumerate(ordered) for name in sorted(cut)]
    at = np.array(entries).T
    matrix = sparse.csr_array((np.ones(at.shape[1]), (at[0], at[1])), shape=(len(ordered), len(names)))
    found = milp(
        np.array([loss[name] for name in names], dtype=float),
        constraints=LinearConstraint(matrix, lb=1.0),
        integrality=np.ones(len(names)),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0.0},
    )
    return frozenset(name for name, value in zip(names, found.x, strict=True) if value > 0.5)
