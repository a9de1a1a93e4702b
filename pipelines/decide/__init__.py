"""Stage `decide`: which responses work, for what money, and what to fund."""

from pipelines.decide import allocation

STEPS = (*allocation.STEPS,)
