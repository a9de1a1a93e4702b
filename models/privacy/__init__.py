"""Statistical disclosure control: what readers could find out, and what to hide against it.

Counts of children and what is told of them are whole numbers under linear rows (`System`). An
intruder bounds every hidden one by integer programmes (`attack`), and `protect` chooses what more
to hide until the bounds are as wide as is registered. `share_step` and `mean_step` say how
finely a share or a mean may be told.
"""

from models.privacy.intruder import ContradictionError, Found, Guard, attack
from models.privacy.protect import UnprotectedError, protect
from models.privacy.rounding import (
    banded,
    coded,
    coded_ends,
    mean_step,
    rounded,
    share_ends,
    share_step,
    wilson,
)
from models.privacy.system import System

__all__ = [
    "ContradictionError",
    "Found",
    "Guard",
    "System",
    "UnprotectedError",
    "attack",
    "banded",
    "coded",
    "coded_ends",
    "mean_step",
    "protect",
    "rounded",
    "share_ends",
    "share_step",
    "wilson",
]
