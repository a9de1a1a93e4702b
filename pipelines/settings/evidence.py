"""The registry of works that prior effects come from: shared by all cities, extended by each
(R62).
"""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path

import yaml
from pydantic import Field, TypeAdapter

from pipelines.settings.parameters import Model, Year

ASSUMED = "assumed"


class Work(Model):
    """One published or local evaluation, and what it found."""

    authors: str = Field(min_length=1)
    title: str = Field(min_length=1)
    year: Year
    where: str = Field(min_length=1)
    read_on: date
    design: str = Field(min_length=1)
    finding: str = Field(min_length=1)


@cache
def shared_works() -> dict[str, Work]:
    """Return the works every city can name."""
    text = Path(__file__).with_name("evidence.yaml").read_text(encoding="utf-8")
    return TypeAdapter(dict[str, Work]).validate_python(yaml.safe_load(text))
