"""The rules a plan can be asked to keep, each a small named object."""

from models.allocation.problem.rule import Measure, Row, Rule
from models.allocation.rules.assets import AssetHours
from models.allocation.rules.benefit import BenefitFloor
from models.allocation.rules.change import HoldHarmless, RiseCap
from models.allocation.rules.choice import (
    Eligibility,
    EverySchoolServed,
    Exclusive,
    MustDrop,
    MustKeep,
    ParticipantCapacity,
    SchoolCapacity,
)
from models.allocation.rules.conditions import MinimumGroup, Prerequisite
from models.allocation.rules.decided import (
    Commitment,
    DecidedDrop,
    DecidedKeep,
    ManualOverride,
    NoticePeriod,
)
from models.allocation.rules.money import (
    ChannelBudget,
    SchoolCap,
    SchoolChannelCap,
    SchoolFloor,
    SourceExcluded,
)
from models.allocation.rules.pooling import Together
from models.allocation.rules.shares import EXCELLENCE, MoneyShare, Part

__all__ = [
    "EXCELLENCE",
    "AssetHours",
    "BenefitFloor",
    "ChannelBudget",
    "Commitment",
    "DecidedDrop",
    "DecidedKeep",
    "Eligibility",
    "EverySchoolServed",
    "Exclusive",
    "HoldHarmless",
    "ManualOverride",
    "Measure",
    "MinimumGroup",
    "MoneyShare",
    "MustDrop",
    "MustKeep",
    "NoticePeriod",
    "Part",
    "ParticipantCapacity",
    "Prerequisite",
    "RiseCap",
    "Row",
    "Rule",
    "SchoolCap",
    "SchoolCapacity",
    "SchoolChannelCap",
    "SchoolFloor",
    "SourceExcluded",
    "Together",
]
