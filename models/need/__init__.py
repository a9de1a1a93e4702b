"""Need: registered indicators on fixed anchors, combined into an index with an interval and tiers."""

from models.need.index import need_index
from models.need.indicators import need_from_anchors, need_from_gap, need_from_rate

__all__ = ["need_from_anchors", "need_from_gap", "need_from_rate", "need_index"]
