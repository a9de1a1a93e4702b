"""What the rules say of each option looked at alone: impossible, or asked for by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.allocation.problem.columns import Columns
from models.allocation.problem.rule import Row, Rule


@dataclass(frozen=True)
class Alone:
    """What holds of the options before any is chosen.

    Attributes:
        is_possible: by option, whether a plan of this option alone breaks no upper limit, and
            whether it is one that its pair may be kept with.
        is_kept: by option, whether some rule asks for its pair by name.
        shared: rows with an upper limit, and no negative coefficient, over several schools.
    """

    is_possible: np.ndarray
    is_kept: np.ndarray
    shared: tuple[Row, ...]

    @classmethod
    def of(cls, columns: Columns, rules: Sequence[Rule]) -> Alone:
        """Read the rules' rows."""
        pair = columns.pair
        possible, kept = np.ones(len(pair), dtype=bool), np.zeros(len(pair), dtype=bool)
        shared = []
        for row in (row for rule in rules for row in rule.rows(columns) if len(row.columns)):
            if np.isfinite(row.upper) and np.all(row.coefficients >= 0):
                possible[row.columns[row.coefficients > row.upper]] = False
                if row.semel_mosad is None:
                    shared.append(row)
            one = pair[row.columns[0]]
            if row.lower > 0 and row.leading is None and np.all(pair[row.columns] == one):
                own = pair == one
                enough = np.zeros(len(pair), dtype=bool)
                enough[row.columns[row.coefficients >= row.lower]] = True
                kept |= own
                possible &= ~own | enough
        return cls(possible, kept, tuple(shared))
