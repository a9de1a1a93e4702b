"""Allocation by formula: weights × counts, floors, caps and guarantees, rates and schedules."""

from models.formula.declaration import Bound, Formula, Term
from models.formula.formula import Given, share
from models.formula.parts import Part, Result, Solved, apply
from models.formula.refusal import FormulaError
from models.formula.rounding import Rounding
from models.formula.values import Value, value_of

__all__ = [
    "Bound",
    "Formula",
    "FormulaError",
    "Given",
    "Part",
    "Result",
    "Rounding",
    "Solved",
    "Term",
    "Value",
    "apply",
    "share",
    "value_of",
]
