"""The allocation: the plan that does the most need-weighted good under the policy's rules."""

from models.allocation.allocation import Allocation, solve
from models.allocation.certificate import Certificate
from models.allocation.conflict import InfeasibleRules
from models.allocation.floored import floored, lifted
from models.allocation.found import NoPlanInTime
from models.allocation.nearest import Nearby, best_near
from models.allocation.objective import Atkinson, Maximin, Objective, Total
from models.allocation.overlap import Overlap
from models.allocation.problem import Problem
from models.allocation.rules import (
    AssetHours,
    BenefitFloor,
    ChannelBudget,
    Eligibility,
    EverySchoolServed,
    ExcellenceShareMax,
    ExcellenceShareMin,
    Exclusive,
    HoldHarmless,
    MustDrop,
    MustKeep,
    Part,
    ParticipantCapacity,
    PartShareMax,
    PartShareMin,
    RiseCap,
    Rule,
    SchoolCap,
    SchoolCapacity,
    SchoolChannelCap,
    SchoolFloor,
    Together,
)

__all__ = [
    "Allocation",
    "AssetHours",
    "Atkinson",
    "BenefitFloor",
    "Certificate",
    "ChannelBudget",
    "Eligibility",
    "EverySchoolServed",
    "ExcellenceShareMax",
    "ExcellenceShareMin",
    "Exclusive",
    "HoldHarmless",
    "InfeasibleRules",
    "Maximin",
    "MustDrop",
    "MustKeep",
    "Nearby",
    "NoPlanInTime",
    "Objective",
    "Overlap",
    "Part",
    "PartShareMax",
    "PartShareMin",
    "ParticipantCapacity",
    "Problem",
    "RiseCap",
    "Rule",
    "SchoolCap",
    "SchoolCapacity",
    "SchoolChannelCap",
    "SchoolFloor",
    "Together",
    "Total",
    "best_near",
    "floored",
    "lifted",
    "solve",
]
