"""Goals: what the next measurement can tell, and how likely a target is."""

from models.goals.attainability import attainability, draft_targets, results

__all__ = ["attainability", "draft_targets", "results"]
