"""Criteria that identify pupils: clear, bound to a measure, and fair? (R27–R31)."""

from models.criteria.fairness import fairness
from models.criteria.lint import lint
from models.criteria.versions import criterion_holds, current, methods_by_school, what_if

__all__ = ["criterion_holds", "current", "fairness", "lint", "methods_by_school", "what_if"]
