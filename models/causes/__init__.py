"""What goes with gaps (associations): causes by place, patterns that recur, what people say."""

from models.causes.ladders import (
    borda_order,
    data_agreement,
    data_disagreements,
    kemeny_order,
    ladder_agreement,
)
from models.causes.oaxaca import oaxaca_blinder
from models.causes.phenomena import phenomena
from models.causes.shapley import cause_contributions
from models.causes.spread import between_within, group_gap, theil
from models.causes.triangulation import triangulate

__all__ = [
    "between_within",
    "borda_order",
    "cause_contributions",
    "data_agreement",
    "data_disagreements",
    "group_gap",
    "kemeny_order",
    "ladder_agreement",
    "oaxaca_blinder",
    "phenomena",
    "theil",
    "triangulate",
]
