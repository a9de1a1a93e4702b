"""Complementary suppression: what more to hide, at the least loss, until the intruder fails."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from models.privacy.intruder import Guard, Reasons, attack_block
from models.privacy.system import System

_ROUNDS = 60
Cut = tuple[frozenset[str], frozenset[str]]
"""Counts and shares of which one must be hidden, if what the second set names is."""


class UnprotectedError(Exception):
    """A hidden count is known by what cannot be hidden."""


def protect(
    system: System, loss: Mapping[str, int], guard: Guard, safe: set[bytes] | None = None
) -> frozenset[str]:
    """Return which counts and published shares to hide, so that `attack` finds nothing.

    What makes a count known is a cut: something of it must be hidden, if the count itself is. The
    cheapest set that meets all cuts is hidden, what it leaves known gives further cuts, and so on;
    each cut is valid, so that the last set is the cheapest of all (Fischetti and Salazar-González
    2000). What is hidden for others' sake is guarded as they are.

    Args:
        system: what would be told.
        loss: what may be hidden, and what is lost by it (positive).
        guard: what is kept from whom.
        safe: as in `attack`.

    Raises:
        UnprotectedError: saying how many counts nothing in `loss` protects, and of what.
        ContradictionError: if what is told cannot all be true.
    """
    own = frozenset(system.names)
    cuts: set[Cut] = set()
    chosen: frozenset[str] = frozenset()
    safe = set() if safe is None else safe
    closed: set[tuple[bytes, frozenset[str]]] = set()  # blocks of this system that are done
    for _ in range(_ROUNDS):
        hiding, guarding = system.hiding(chosen), guard.also(chosen & own)
        freed = chosen - own
        new: set[Cut] = set()
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
                chosen_for = next(({n} for n in (found.name, found.knows) if n in chosen), set())
                if cut or chosen_for:
                    new.add((cut - chosen_for, frozenset(chosen_for)))
                else:
                    lost.add(found.name)
        if lost:
            kinds = sorted({name.split(" ")[0] for name in lost})
            raise UnprotectedError(f"{len(lost)} of {', '.join(kinds)}")
        if not new:
            return chosen
        cuts |= new
        chosen = _cheapest(cuts, loss)
    raise UnprotectedError(f"no end after {_ROUNDS} rounds")


def _cheapest(cuts: Collection[Cut], loss: Mapping[str, int]) -> frozenset[str]:
    """Return the cells of least loss that meet every cut: one of it, or not what it is for.

    Raises:
        UnprotectedError: if none do.
    """
    ordered = sorted((sorted(cut), sorted(chosen_for)) for cut, chosen_for in cuts)
    names = sorted(loss.keys() & {name for pair in ordered for part in pair for name in part})
    place = {name: number for number, name in enumerate(names)}
    entries = [
        (factor, row, place[name])
        for row, pair in enumerate(ordered)
        for factor, part in zip((1.0, -1.0), pair, strict=True)
        for name in part
    ]
    factors, rows, columns = (np.array(part) for part in zip(*entries, strict=True))
    matrix = sparse.csr_array((factors, (rows, columns)), shape=(len(ordered), len(names)))
    found = milp(
        np.array([loss[name] for name in names], dtype=float),
        constraints=LinearConstraint(matrix, lb=[1.0 - len(pair[1]) for pair in ordered]),
        integrality=np.ones(len(names)),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0.0},
    )
    if found.x is None:
        raise UnprotectedError(f"{len(ordered)} demands that contradict each other")
    return frozenset(name for name, value in zip(names, found.x, strict=True) if value > 0.5)
