"""What responses do: local estimates and the literature, combined, beside money and opinion."""

from models.effects.agreement import agreement, rated_alike, rated_by_role
from models.effects.alignment import alignment, money_follows_effect, perceived, placement
from models.effects.cost import cost_per_month, response_money
from models.effects.estimate import Estimate, GroupContrast
from models.effects.evidence import evidence_shares
from models.effects.local import BIAS_SD, design_frame, group_effect, local_estimates
from models.effects.lottery import lottery
from models.effects.matching import matched
from models.effects.next_evaluation import (
    Variances,
    detectable,
    evaluate_first,
    evaluation_records,
    perfect_and_sample_information,
    still_open,
)
from models.effects.panel import panel
from models.effects.posterior import combine
from models.effects.proposals import cost_outliers, only_responses, proposals
from models.effects.sensitivity import sensitivity
from models.effects.threshold import cut_off, threshold
from models.effects.verdict import verdicts

__all__ = [
    "BIAS_SD",
    "Estimate",
    "GroupContrast",
    "Variances",
    "agreement",
    "alignment",
    "combine",
    "cost_outliers",
    "cost_per_month",
    "cut_off",
    "design_frame",
    "detectable",
    "evaluate_first",
    "evaluation_records",
    "evidence_shares",
    "group_effect",
    "local_estimates",
    "lottery",
    "matched",
    "money_follows_effect",
    "only_responses",
    "panel",
    "perceived",
    "perfect_and_sample_information",
    "placement",
    "proposals",
    "rated_alike",
    "rated_by_role",
    "response_money",
    "sensitivity",
    "still_open",
    "threshold",
    "verdicts",
]
