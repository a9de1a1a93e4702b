"""Gaps between desired and actual, partially pooled, with intervals and tiers instead of ranks."""

from models.gaps.components import COMPONENTS, fit_components
from models.gaps.posterior import school_gaps, shrunken_gaps
from models.gaps.tiers import TIERS, gap_tier

__all__ = ["COMPONENTS", "TIERS", "fit_components", "gap_tier", "school_gaps", "shrunken_gaps"]
