"""Complementary suppression: what more to hide, at the least loss, until the intruder fails."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from models.privacy.intruder import Guard, Reasons, attack_block
from models.privacy.system import System

_ROUNDS = 200
Cut = tuple[frozenset[str], frozenset[str]]
"""Counts and shares of which one must be hidden, if what the second set names is."""


class UnprotectedError(Exception):
    """No end was found of hiding more."""


def protect(
    system: System, loss: Mapping[str, int], guard: Guard, safe: set[bytes] | None = None
) -> tuple[frozenset[str], frozenset[str]]:
    """Return which counts and published shares to hide, and which counts nothing protects.

    What makes a count known is a cut: something of it must be hidden, if the count itself is. The
    cheapest set that meets all cuts is hidden, what it leaves known gives further cuts, and so on;
    each cut is valid, so that the last set is the cheapest of all (Fischetti and Salazar-González
    2000). What is hidden for others' sake is guarded as they are. A count that is known by what
    cannot be hidden, such as the size of a tiny school, is returned instead.

    Args:
        system: what would be told.
        loss: what may be hidden, and what is lost by it (positive).
        guard: what is kept from whom.
        safe: as in `attack`.

    Raises:
        UnprotectedError: if there is no end of it.
        ContradictionError: if what is told cannot all be true.
    """
    own = frozenset(system.names)
    cuts: set[Cut] = set()
    chosen, known = frozenset[str](), frozenset[str]()
    safe = set() if safe is None else safe
    closed: set[tuple[bytes, frozenset[str]]] = set()  # blocks of this system that are done
    for _ in range(_ROUNDS):
        hiding, freed = system.hiding(chosen), chosen - own
        new: set[Cut] = set()
        for columns in hiding.blocks():
            if (same := (columns.tobytes(), freed)) in closed:
                continue
            found = attack_block(hiding, columns, guard.also(chosen & own), safe)
            if not found:
                closed.add(same)
                continue
            reasons = Reasons(hiding, columns, guard.width)
            for count in found:
                if cut := frozenset(reasons.of(count) & loss.keys()):
                    new.add((cut, chosen & {count.name, count.knows}))
                else:
                    guard = guard.but(count)
                    known |= {count.name}
        if not new:
            return chosen, known
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
