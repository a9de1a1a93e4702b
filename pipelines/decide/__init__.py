"""Stage `decide`: which responses work, for what money, and what to fund."""

from pipelines import response_map
from pipelines.decide import allocation

STEPS = (*response_map.STEPS, *allocation.STEPS)
