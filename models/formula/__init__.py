"""Allocation by formula: weights × counts, floors, caps, guarantees and a common floor, to the
agora.
"""

from models.formula.formula import Bound, Formula, Given, Term
from models.formula.refusal import FormulaError
from models.formula.rounding import Rounding

__all__ = ["Bound", "Formula", "FormulaError", "Given", "Rounding", "Term"]
