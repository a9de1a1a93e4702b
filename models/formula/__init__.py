"""Allocation by formula: weights × counts, floors, caps and guarantees, to the agora."""

from models.formula.declaration import Bound, Formula, Term
from models.formula.formula import Given, share
from models.formula.refusal import FormulaError
from models.formula.rounding import Rounding

__all__ = ["Bound", "Formula", "FormulaError", "Given", "Rounding", "Term", "share"]
