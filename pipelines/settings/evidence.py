"""The registry of works that prior effects come from: shared, and extended by a city (R62)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from pipelines.settings.parameters import Day, Model, Words, Year
from pipelines.settings.validation import validated
from pipelines.settings.yaml_files import read_yaml

ASSUMED = "assumed"


class Work(Model):
    """One published or local evaluation, and what it found."""

    authors: Words
    title: Words
    year: Year
    where: Words
    read_on: Day
    design: Words
    finding: Words


@cache
def shared_works() -> dict[str, Work]:
    """Return the works every city can name."""
    path = Path(__file__).with_name("evidence.yaml")
    return validated(path, read_yaml(path), TypeAdapter(dict[str, Work]))
