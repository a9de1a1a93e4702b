"""What every decision in a city's files consists of: a value, its unit, its source, its reason.

Every number of the schema is finite and bounded, and no text, true or false becomes a number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    model_validator,
)
from pydantic.types import AllowInfNan

from pipelines.settings.fields import dictionary
from pipelines.settings.yaml_files import RefusedError

T = TypeVar("T")


def _no_share(value: float) -> float:
    if 0 < value < 1:
        raise RefusedError(
            f"{value:g} percent looks like a share; write {100 * value:g} for {100 * value:g}"
            " percent (parts of one percent are not taken)",
            f"{value:g} אחוז נראה כחלק; יש לכתוב {100 * value:g} עבור {100 * value:g} אחוזים",
        )
    return value


def _no_percent(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool) and 1 < value <= 100:
        raise RefusedError(
            f"Input should be less than or equal to 1: a share, so write {value / 100:g} for"
            f" {value:g} percent",
            f"הערך הוא חלק, בין 0 ל־1; יש לכתוב {value / 100:g} עבור {value:g} אחוזים",
        )
    return value


def _no_number(value: Any) -> Any:
    if isinstance(value, int | float):
        raise RefusedError("write a day as 2026-09-01", "יש לכתוב תאריך כך: 2026-09-01")
    return value


def _is_role(value: str) -> str:
    known = [str(role) for role in dictionary().fields["decided_by_role"].allowed]
    if value not in known:
        raise RefusedError(
            f"'{value}' is no role that decides; write one of {', '.join(known)}",
            f"'{value}' אינו תפקיד שמחליט; יש לכתוב אחד מאלה: {', '.join(known)}",
        )
    return value


# ---- numbers: what they count, and between which bounds ----------------------------------------
Number = Annotated[float, Strict(), AllowInfNan(False)]
Whole = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]
Share = Annotated[Number, Field(ge=0, le=1), BeforeValidator(_no_percent)]
Percent = Annotated[Number, Field(ge=0, le=100), AfterValidator(_no_share)]
PercentOfBase = Annotated[Number, Field(ge=0, le=1000), AfterValidator(_no_share)]
Sd = Annotated[Number, Field(ge=0, le=10)]
PositiveSd = Annotated[Number, Field(gt=0, le=10)]
EffectSd = Annotated[Number, Field(ge=-5, le=5)]
Gamma = Annotated[Number, Field(ge=0, le=20)]
Amount = Annotated[Number, Field(ge=0, le=1e6)]
Positive = Annotated[Number, Field(gt=0, le=1e6)]
Score = Annotated[Number, Field(ge=-10_000, le=10_000)]
Money = Annotated[Number, Field(ge=0, le=1e10)]
UnitCost = Annotated[Number, Field(ge=0, le=1e7)]
Agorot = Annotated[Number, Field(ge=0, le=1e15)]
Count = Annotated[Whole, Field(ge=1, le=1_000_000)]
Dose = Annotated[Whole, Field(ge=1, le=20)]
Seed = Annotated[Whole, Field(ge=0, le=2**32 - 1)]
Year = Annotated[Whole, Field(ge=2000, le=2060)]
Day = Annotated[
    date, BeforeValidator(_no_number), Field(ge=date(1990, 1, 1), le=date(2060, 12, 31))
]
# ---- words -------------------------------------------------------------------------------------
Words = Annotated[str, Field(pattern=r"\S")]
Names = Annotated[tuple[str, ...], Field(min_length=1)]
Role = Annotated[str, AfterValidator(_is_role)]
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
Confirmation = Literal["confirmed", "expected", "assumed"]
ActionChannel = Literal[
    "parent_guidance", "staff_training", "infrastructure_access", "educational_programs"
]


# ---- units -------------------------------------------------------------------------------------
_MONEY = "NIS"
_TIMES = {
    "agorot": 0.01,
    "thousand NIS": 1e3,
    "thousands NIS": 1e3,
    "thousands of NIS": 1e3,
    "million NIS": 1e6,
    "millions NIS": 1e6,
    "millions of NIS": 1e6,
}


@dataclass(frozen=True)
class In:
    """The unit of a parameter, and other words for it.

    Besides these a file may write the unit without what it is a part of: "share" for "share of
    pupils". Nothing is converted: a scenario's bare value would then be read in the policy's unit.
    """

    unit: str
    also: tuple[str, ...] = ()

    def known(self) -> tuple[str, ...]:
        """Return the words that stand for the unit."""
        if self.unit.startswith(_MONEY):
            return (self.unit, *self.also)
        short = re.split(" of | from |, ", self.unit)[0]
        return tuple(dict.fromkeys((self.unit, short, *self.also)))

    def refuse_other(self, name: str, given: dict[str, Any]) -> None:
        """Refuse a parameter that is written in another unit, and say what to write instead."""
        written = given.get("unit")
        if not isinstance(written, str) or written.replace("’", "'") in self.known():
            return
        value = given.get("value")
        factor = _TIMES.get(written.removesuffix(self.unit.removeprefix(_MONEY)))
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        meant = f"{value * factor:.12g}" if factor and is_number and value is not None else ""
        raise RefusedError(
            f"'{written}' is not a unit of this parameter; write its value"
            f" {f'as {meant} ' if meant else ''}in {' or '.join(self.known())}",
            f"'{written}' אינה היחידה של פרמטר זה; יש לכתוב את הערך {f'{meant} ' if meant else ''}"
            f"ביחידה {self.unit}",
            name,
            "unit",
        )


class Model(BaseModel):
    """A frozen part of a city's files; a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _in_its_units(cls, raw: Any) -> Any:
        """Refuse parameters among the fields that are not in the units of the schema."""
        for name, unit in cls.parameter_units().items():
            if isinstance(raw, dict) and isinstance(raw.get(name), dict):
                unit.refuse_other(name, raw[name])
        return raw

    @classmethod
    def parameter_units(cls) -> dict[str, In]:
        """Return the unit of every field that is a parameter, as annotated."""
        return {
            name: unit
            for name, field in cls.model_fields.items()
            for unit in field.metadata
            if isinstance(unit, In)
        }


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
    decided_by_role: Role
    decided_on: Day


class Parameter(Cited, Generic[T]):
    """One decision of the city: a value with its unit, where it comes from and why."""

    value: T
    unit: str
