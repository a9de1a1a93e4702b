"""The registry of works that prior effects come from: shared, and extended by a city (R62)."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path

import yaml
from pydantic import TypeAdapter

from pipelines.settings.parameters import Model, Words, Year

ASSUMED = "assumed"


class Work(Model):
    """One published or local evaluation, and what it found."""

    authors: Words
    title: Words
    year: Year
    where: Words
    read_on: date
    design: Words
    finding: Words


@cache
def shared_works() -> dict[str, Work]:
    """Return the works every city can name."""
    text = Path(__file__).with_name("evidence.yaml").read_text(encoding="utf-8")
    return TypeAdapter(dict[str, Work]).validate_python(yaml.safe_load(text))
