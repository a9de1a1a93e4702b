"""Stage `decide`: which responses work, for what money, and what to fund."""

from pipelines.decide import (
    absence,
    account,
    allocation,
    answers,
    effects,
    evaluation,
    formula,
    goals,
    progress,
    response_map,
    responses,
    scenarios,
    voices,
)

STEPS = (
    *response_map.STEPS,
    *effects.STEPS,
    *absence.STEPS,
    *responses.STEPS,
    *evaluation.STEPS,
    *goals.STEPS,
    *allocation.STEPS,
    *account.STEPS,
    *answers.STEPS,
    *scenarios.STEPS,
    *progress.STEPS,
    *formula.STEPS,
    *voices.STEPS,
)
