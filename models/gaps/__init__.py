"""Gaps between desired and actual, partially pooled, with intervals and tiers instead of ranks."""

from models.gaps.adjusted import adjusted_gaps, peer_schools
from models.gaps.bands import band_cells, band_limits
from models.gaps.bounds import exclusion_bounds
from models.gaps.classes import class_variance
from models.gaps.components import fit_components
from models.gaps.patterns import general_or_subject, variance_shares, whole_or_part
from models.gaps.planned_missing import planned_missing_gaps, predicted_gaps
from models.gaps.posterior import school_gaps, shrunken_gaps
from models.gaps.ranks import excellence, rank_summary
from models.gaps.similar import similar_gaps
from models.gaps.tiers import gap_tier, interval
from models.gaps.totals import city_gaps, group_contrasts
from models.gaps.trends import school_years, trends

__all__ = [
    "adjusted_gaps",
    "band_cells",
    "band_limits",
    "city_gaps",
    "class_variance",
    "excellence",
    "exclusion_bounds",
    "fit_components",
    "gap_tier",
    "general_or_subject",
    "group_contrasts",
    "interval",
    "peer_schools",
    "planned_missing_gaps",
    "predicted_gaps",
    "rank_summary",
    "school_gaps",
    "school_years",
    "shrunken_gaps",
    "similar_gaps",
    "trends",
    "variance_shares",
    "whole_or_part",
]
