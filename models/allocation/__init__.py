"""The allocation: the plan that does the most need-weighted good under the policy's rules."""

from models.allocation.problem.fairness import Fairness
from models.allocation.problem.objective import Atkinson, Maximin, Objective, Total
from models.allocation.problem.overlap import Overlap
from models.allocation.problem.problem import Problem
from models.allocation.solve.allocation import Allocation, solve
from models.allocation.solve.certificate import Certificate
from models.allocation.solve.conflict import InfeasibleRules
from models.allocation.solve.fair import with_order_kept
from models.allocation.solve.maximin_stage import with_given_floor, with_highest_floor
from models.allocation.solve.nearest import Nearby, best_near
from models.allocation.solve.search_result import NoPlanInTime

__all__ = [
    "Allocation",
    "Atkinson",
    "Certificate",
    "Fairness",
    "InfeasibleRules",
    "Maximin",
    "Nearby",
    "NoPlanInTime",
    "Objective",
    "Overlap",
    "Problem",
    "Total",
    "best_near",
    "solve",
    "with_given_floor",
    "with_highest_floor",
    "with_order_kept",
]
