"""The same 0/1 programme given to SCIP, which shares no code with the solver of the product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyscipopt

from models.allocation import Atkinson
from models.allocation.solve.model import Model


@dataclass(frozen=True)
class Second:
    """What the second solver says.

    Attributes:
        x: 0/1 per option; None where it finds no plan.
        is_infeasible: whether it says that there is none.
        worth: of that plan, reckoned by the model and not by the solver.
    """

    x: np.ndarray | None
    is_infeasible: bool
    worth: float


def second(model: Model, seconds: float = 60.0) -> Second:
    """The best plan of a model by SCIP, to its own exactness."""
    scip = pyscipopt.Model()
    scip.hideOutput()
    scip.setParam("limits/time", seconds)
    scip.setParam("limits/gap", 1e-6)
    milp = model.milp(-model.benefit())
    size, options = milp.matrix.shape[1], model.matrix.shape[1]
    x = [scip.addVar(vtype="B" if i < options else "C", lb=0, ub=1) for i in range(size)]
    for row in range(milp.matrix.shape[0]):
        part = milp.matrix[[row]].tocoo()
        unit = float(np.abs(part.data).max(initial=1.0))
        total = pyscipopt.quicksum(
            value / unit * x[column] for column, value in zip(part.col, part.data, strict=True)
        )
        if np.isfinite(milp.lower[row]):
            scip.addCons(total >= milp.lower[row] / unit)
        if np.isfinite(milp.upper[row]):
            scip.addCons(total <= milp.upper[row] / unit)
    scip.setObjective(_worth(scip, model, x), "maximize")
    scip.optimize()
    if scip.getNSols() == 0:
        return Second(None, scip.getStatus() == "infeasible", 0.0)
    found = np.array([round(scip.getVal(one)) for one in x[:options]], dtype=float)
    return Second(found, False, model.worth(found))


def _worth(scip: pyscipopt.Model, model: Model, x: list) -> pyscipopt.Expr:
    """What a plan is worth, in the words of the second solver."""
    rows, pupils = model.gain_rows().tocsr(), model.columns.schools["pupils"].to_list()
    objective, counted = model.objective, []
    for school, count in enumerate(pupils):
        part = rows[[school]].tocoo()
        gain = pyscipopt.quicksum(
            value * x[column] for column, value in zip(part.col, part.data, strict=True)
        )
        if not isinstance(objective, Atkinson):
            counted.append(gain)
        elif count and part.nnz:
            base, power = objective.baseline_sd, 1 - objective.aversion
            level = scip.addVar(lb=1, ub=None)
            scip.addCons(level <= 1 + gain / (base * count))
            phi = scip.addVar(lb=0, ub=None)
            curve = pyscipopt.log(level) if power == 0 else (level**power - 1) / power
            scip.addCons(phi <= curve)
            counted.append(count * base * phi)
    return pyscipopt.quicksum(counted)
