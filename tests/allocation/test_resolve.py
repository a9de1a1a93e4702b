"""What is asked twice is solved once, and what differs in anything is solved for itself."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from models.allocation.problem.objective import Atkinson
from models.allocation.solve import resolve
from models.allocation.solve.model import model_of
from models.allocation.solve.resolve import Effort, Once, best, with_benefit

from .cases import option, problem

EXACT = Effort(gap_pct=0.0)


def model(budget=250):
    options = [option(str(school), "milat", 1, 10 - school, 100) for school in range(1, 5)]
    return model_of(problem(options, budget=budget).canonical())


@pytest.fixture
def solved(monkeypatch):
    """The models that were really solved."""
    found = []

    def counted(asked, effort, start=None):
        found.append(asked)
        return best(asked, effort, start)

    monkeypatch.setattr(resolve, "best", counted)
    return found


def test_the_same_model_is_solved_once_in_whichever_thread(solved):
    find = Once()
    with ThreadPoolExecutor(4) as pool:
        plans = list(pool.map(lambda _: find(model(), EXACT), range(8)))
    assert len(solved) == 1
    assert all(plan is plans[0] for plan in plans)


def test_whatever_differs_is_solved_for_itself(solved):
    one, find = model(), Once()
    others = [
        one.with_limits(np.array([len(one.lower) - 1]), upper=0.0),
        with_benefit(one, one.weighted * np.arange(1, len(one.weighted) + 1)),
        replace(one, objective=Atkinson(0.5)),
        model(budget=150),
    ]
    for asked in (one, *others):
        expected = best(asked, EXACT)
        found = find(asked, EXACT)
        assert (found is None) == (expected is None)
        if found is not None:
            assert found.x.tolist() == expected.x.tolist()
    assert len(solved) == len([one, *others])
    find(one, Effort(gap_pct=1.0))
    assert len(solved) == len([one, *others]) + 1


def test_an_error_is_everybodys_who_asked(monkeypatch):
    def fails(*_):
        raise ValueError("no time")

    monkeypatch.setattr(resolve, "best", fails)
    find = Once()
    for _ in range(2):
        with pytest.raises(ValueError, match="no time"):
            find(model(), EXACT)
