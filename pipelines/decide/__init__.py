"""Stage `decide`: which responses work, for what money, and what to fund."""

from pipelines import response_map
from pipelines.decide import allocation, effects, evaluation, responses

STEPS = (
    *response_map.STEPS, *effects.STEPS, *responses.STEPS, *evaluation.STEPS, *allocation.STEPS,
)  # fmt: skip
