"""What every decision in a city's files consists of: a value with its unit, its source and its
reason.
"""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")
Share = Annotated[float, Field(ge=0, le=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
Year = Annotated[int, Field(ge=2000, le=2100)]
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


class Parameter(Model, Generic[T]):
    """One decision of the city: a value with its unit, where it comes from and why."""

    value: T
    unit: str
    source: str = Field(min_length=1)
    reason: str = Field(min_length=1)
