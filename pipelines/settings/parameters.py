"""What every decision in a city's files consists of: a value, its unit, its source, its reason."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")
Share = Annotated[float, Field(ge=0, le=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
Amount = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Year = Annotated[int, Field(ge=2000, le=2100)]
Words = Annotated[str, Field(pattern=r"\S")]
Names = Annotated[tuple[str, ...], Field(min_length=1)]
Subject = Literal["hebrew", "arabic", "math", "english", "science"]
Channel = Literal[
    "municipal_own",
    "gefen_school",
    "gefen_municipal",
    "ministry_other",
    "mifal_hapais",
    "partner_ngo",
    "parents",
]
ActionChannel = Literal[
    "parent_guidance", "staff_training", "infrastructure_access", "educational_programs"
]


class Model(BaseModel):
    """A frozen part of a city's files; a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Cited(Model):
    """A part of a file that says where it comes from and why."""

    source: Words
    reason: Words


class Named(Model):
    """A part of a file with a name to show."""

    name_he: Words
    name_en: Words


class Decided(Model):
    """A decision by hand: why, who decided, by role and never by name, and when."""

    reason: Words
    decided_by_role: Words
    decided_on: date


class Parameter(Cited, Generic[T]):
    """One decision of the city: a value with its unit, where it comes from and why."""

    value: T
    unit: str


def default(value: Any, unit: str, source: str, reason: str) -> Any:
    """Return the parameter that holds where a city decides nothing else."""
    return Parameter[Any](value=value, unit=unit, source=source, reason=reason)
