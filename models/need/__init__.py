"""Need: registered indicators on fixed anchors, an index with an interval, and tiers."""

from models.need.focus import focused_weights
from models.need.index import need_draws, need_index, surely_needier
from models.need.indicators import need_from_anchors, need_from_rate
from models.need.robustness import Robustness, indicator_quality, need_robustness, need_shares

__all__ = [
    "Robustness",
    "focused_weights",
    "indicator_quality",
    "need_draws",
    "need_from_anchors",
    "need_from_rate",
    "need_index",
    "need_robustness",
    "need_shares",
    "surely_needier",
]
