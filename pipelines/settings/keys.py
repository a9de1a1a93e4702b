"""Keys and values that every stage means alike, each said once."""

from __future__ import annotations

from typing import Literal

AGOROT = 100
"""Agorot in a shekel: amounts in policies are in NIS, amounts in tables in agorot."""
WHOLE = "all"
"""The value that stands for no division: all subjects, all pupils, all responses together."""
CITY = "city"
"""The place that is the whole city, beside the codes of its schools."""
MUNICIPAL: Literal["municipal_own"] = "municipal_own"
"""The funding channel that the municipality itself decides on."""
PAIR = ["semel_mosad", "response_id"]
"""Key of a school and a response."""
OPTION = [*PAIR, "dose_level"]
"""Key of what may be bought: a response in a school at a dose level."""
