"""What responses do: local estimates by design, combined with the literature, set beside money and opinion."""

from models.effects.estimate import Estimate
from models.effects.local import BIAS_SD, design_frame, group_effect, local_estimates
from models.effects.posterior import combine

__all__ = ["BIAS_SD", "Estimate", "combine", "design_frame", "group_effect", "local_estimates"]
