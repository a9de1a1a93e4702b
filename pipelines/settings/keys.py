"""Values that every stage means alike, each said once; keys of tables stand in `models.keys`."""

from __future__ import annotations

from typing import Literal

AGOROT = 100
"""Agorot in a shekel: amounts in policies are in NIS, amounts in tables in agorot."""
COMMITTEE = "committee"
"""The evidence of money on what the committee wants and nothing measures."""
CITY = "city"
"""The place that is the whole city, beside the codes of its schools."""
GEFEN: Literal["gefen_school"] = "gefen_school"
"""The funding channel of a school's own Gefen basket."""
MUNICIPAL: Literal["municipal_own"] = "municipal_own"
"""The funding channel that the municipality itself decides on."""
PARENTS: Literal["parents"] = "parents"
"""The funding channel of what parents pay."""
