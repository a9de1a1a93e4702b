"""The rules a plan can be asked to keep, each a small named object."""

from models.allocation.rules.base import Measure, Row, Rule
from models.allocation.rules.benefit import BenefitFloor
from models.allocation.rules.choice import (
    Eligibility,
    EverySchoolServed,
    Exclusive,
    MustDrop,
    MustKeep,
    ParticipantCapacity,
    SchoolCapacity,
)
from models.allocation.rules.money import (
    ChannelBudget,
    ExcellenceShareMax,
    ExcellenceShareMin,
    SchoolCap,
    SchoolChannelCap,
    SchoolFloor,
)

__all__ = [
    "BenefitFloor",
    "ChannelBudget",
    "Eligibility",
    "EverySchoolServed",
    "ExcellenceShareMax",
    "ExcellenceShareMin",
    "Exclusive",
    "Measure",
    "MustDrop",
    "MustKeep",
    "ParticipantCapacity",
    "Row",
    "Rule",
    "SchoolCap",
    "SchoolCapacity",
    "SchoolChannelCap",
    "SchoolFloor",
]
