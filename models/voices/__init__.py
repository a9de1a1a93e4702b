"""What people say beside what data and plan say: contradictions, and how considerations rank."""

from models.voices.acceptability import acceptability
from models.voices.conflicts import conflicts

__all__ = ["acceptability", "conflicts"]
