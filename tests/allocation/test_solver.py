"""The solver's plans are exact to the agora where its own tolerances are not."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from models.allocation import solve
from models.allocation.solve import milp, tangents
from models.allocation.solve.highs import Milp, minimise, relaxed
from tests.examples import examples

from .cases import option, problem


def test_nearly_proportional_amounts_do_not_mislead_the_presolve():
    """Handed over raw, these amounts make HiGHS 1.15.1 call a quarter of the optimum optimal."""
    options = [
        option("100001", "milat", 1, 1, 10_000_001),
        option("100002", "milat", 1, 1, 10_000_001, is_eligible=False),
        option("100003", "milat", 1, 4, 40_000_004),
    ]
    plan = solve(problem(options, budget=50_000_004), gap_pct=0)
    assert plan.lines["semel_mosad"].to_list() == ["100003"]


def test_a_relaxed_search_buys_in_parts():
    """Two things of weight 2 under a limit of 3: one whole and half of the other."""
    bag = Milp(
        np.array([-3.0, -2.0]),
        sparse.csr_array(np.array([[2.0, 2.0]])),
        np.array([-np.inf]),
        np.array([3.0]),
        np.array([True]),
        binaries=2,
    )
    assert relaxed(bag, time_limit_s=10) == pytest.approx([1, 0.5])
    assert minimise(bag, gap=0, time_limit_s=10).x == pytest.approx([1, 0])
    assert relaxed(replace(bag, upper=np.array([-1.0])), time_limit_s=10) is None


def test_a_solver_that_wrongly_sees_no_plan_is_not_believed(monkeypatch):
    """Told that there is none, the search goes on without rewriting the problem first."""
    case = problem(
        [option("100001", "milat", 1, 5, 100), option("100002", "milat", 1, 4, 100)], budget=100
    )
    asked = []

    def blind(model, **how):
        asked.append(how.get("presolve", True))
        found = tangents.maximise(model, **how)
        return replace(found, x=None, is_infeasible=True) if asked[-1] else found

    monkeypatch.setattr(milp, "maximise", blind)
    plan = solve(case, gap_pct=0)
    assert asked == [True, False]
    assert plan.lines["semel_mosad"].to_list() == ["100001"]
    assert plan.certificate.optimality_gap_pct == pytest.approx(0, abs=1e-6)


def whole(cost, rows, lower, upper):
    """A problem of whole rows."""
    matrix = sparse.csr_array(np.array(rows, dtype=float))
    marks = np.ones(len(rows), dtype=bool)
    limits = np.array(lower, dtype=float), np.array(upper, dtype=float)
    return Milp(np.array(cost, dtype=float), matrix, *limits, marks, len(cost))


@st.composite
def adversarial(draw):
    """Budgets, a share and a floor over amounts that miss a common multiple by an agora or none."""
    size = draw(st.integers(3, 8))
    unit = draw(st.sampled_from([10_000_001, 10_000_000, 480_000, 999_999_937]))
    near = st.tuples(st.integers(0, 7), st.integers(-1, 1)).map(
        lambda pair: max(pair[0] * unit + pair[1], 0)
    )
    row = st.lists(near, min_size=size, max_size=size)
    budgets = draw(st.lists(row, min_size=1, max_size=2))
    upper = [draw(st.integers(1, 15)) * unit + draw(st.integers(-2, 2)) for _ in budgets]
    in_part = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    share = [a * (1_000 * part - 333) for a, part in zip(budgets[0], in_part, strict=True)]
    floor = [a * part for a, part in zip(budgets[0], in_part, strict=True)]
    least = draw(st.integers(0, 4)) * unit + draw(st.integers(-1, 1))
    cost = [-125 * draw(st.integers(1, 7)) for _ in range(size)]
    rows = [*budgets, share, floor]
    return cost, rows, [*(-np.inf for _ in budgets), 0, least], [*upper, np.inf, np.inf]


@settings(max_examples=examples(300), deadline=None, derandomize=True)
@given(adversarial())
def test_optimum_equals_enumeration_to_the_agora(case):
    cost, rows, lower, upper = case
    plans = np.array(list(product([0, 1], repeat=len(cost))))
    used = plans @ np.array(rows, dtype=np.int64).T
    allowed = ((used >= np.array(lower)) & (used <= np.array(upper))).all(axis=1)
    outcome = minimise(whole(cost, rows, lower, upper), gap=0.0, time_limit_s=10)
    if not allowed.any():
        assert outcome.is_infeasible
        return
    best = (plans[allowed] @ np.array(cost)).min()
    assert np.array(cost) @ outcome.x == pytest.approx(best)
    assert outcome.bound <= best + 1e-5
    x = outcome.x.astype(np.int64)
    taken = np.array(rows, dtype=np.int64) @ x
    assert (taken >= np.array(lower)).all()
    assert (taken <= np.array(upper)).all()


def test_rounding_only_ever_allows_more():
    milp = whole(
        [1, 1], [[123_456_789, 99], [50_000_000, -7]], [-np.inf, 10], [200_000_000, np.inf]
    )
    rounded = milp.rounded()
    assert abs(rounded.matrix).max() <= 1_000_000
    for point in product([0.0, 1.0], repeat=2):
        if milp.holds(np.array(point)):
            assert rounded.holds(np.array(point))
