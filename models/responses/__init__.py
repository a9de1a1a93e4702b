"""Responses held against needs: what is not met, and who could share one solution."""

from models.responses.pooling import PoolingLimits, pool_schools
from models.responses.unmet import far_below, rate_share, unmet_needs

__all__ = ["PoolingLimits", "far_below", "pool_schools", "rate_share", "unmet_needs"]
