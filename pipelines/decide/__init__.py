"""Stage `decide`: which responses work, for what money, and what to fund."""

from pipelines.decide import (
    absence,
    account,
    allocation,
    answers,
    effects,
    evaluation,
    formula,
    response_map,
    responses,
    scenarios,
)

STEPS = (
    *response_map.STEPS,
    *effects.STEPS,
    *absence.STEPS,
    *responses.STEPS,
    *evaluation.STEPS,
    *allocation.STEPS,
    *account.STEPS,
    *answers.STEPS,
    *scenarios.STEPS,
    *formula.STEPS,
)
