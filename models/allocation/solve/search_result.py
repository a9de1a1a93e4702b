"""What a search for a plan hands back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


class NoPlanInTime(Exception):  # noqa: N818 - named for what a person reads
    """The time limit came before any useful plan was found."""


@dataclass(frozen=True)
class SearchResult:
    """A plan and what is proven about it.

    Attributes:
        x: 0/1 per option.
        bound: no plan that keeps all rules is worth more.
        status: "optimal" (within the gap asked for), "gap left" (the search ended at its fixed
            number of steps before the gap was proven) or "time limit".
        method: "milp" or "decomposition".
    """

    x: np.ndarray
    bound: float
    status: str
    method: str
