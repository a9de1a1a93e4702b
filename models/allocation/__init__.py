"""The allocation: the plan that does the most need-weighted good under the policy's rules."""

from models.allocation.allocation import Allocation, Certificate, NoPlanInTime, solve
from models.allocation.conflict import InfeasibleRules
from models.allocation.problem import Problem
from models.allocation.rules import (
    ChannelBudget,
    Eligibility,
    EverySchoolServed,
    ExcellenceShareMax,
    ExcellenceShareMin,
    Exclusive,
    MustDrop,
    MustKeep,
    ParticipantCapacity,
    Rule,
    SchoolCap,
    SchoolCapacity,
    SchoolChannelCap,
    SchoolFloor,
)

__all__ = [
    "Allocation",
    "Certificate",
    "ChannelBudget",
    "Eligibility",
    "EverySchoolServed",
    "ExcellenceShareMax",
    "ExcellenceShareMin",
    "Exclusive",
    "InfeasibleRules",
    "MustDrop",
    "MustKeep",
    "NoPlanInTime",
    "ParticipantCapacity",
    "Problem",
    "Rule",
    "SchoolCap",
    "SchoolCapacity",
    "SchoolChannelCap",
    "SchoolFloor",
    "solve",
]
