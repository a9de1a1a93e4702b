"""The objective that the policy names is the one that is solved for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from models.allocation import Atkinson, Maximin, Total
from pipelines.decide.allocation import objective
from pipelines.settings.policy import SolverPolicy

BASE = {"source": "test", "reason": "test"}


def named(value):
    solver = SolverPolicy.model_validate(
        {
            "gap_pct": {"value": 0.01, "unit": "percent", **BASE},
            "time_limit_s": {"value": 60, "unit": "seconds", **BASE},
            "objective": {"value": value, "unit": "name of the objective", **BASE},
            "epsilon": {"value": 2.0, "unit": "aversion to inequality", **BASE},
            "fair_band_pct": {"value": 1.0, "unit": "percent", **BASE},
        }
    )
    return objective(SimpleNamespace(policy=SimpleNamespace(solver=solver)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [("total", Total()), ("atkinson", Atkinson(2.0)), ("maximin", Maximin())],
)
def test_each_name_is_its_objective(value, expected):
    assert named(value) == expected


def test_an_unknown_objective_is_refused():
    with pytest.raises(ValidationError, match=r"objective\.value"):
        named("leximax")
