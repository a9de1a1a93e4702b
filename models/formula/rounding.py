"""From exact amounts to whole agorot: by largest remainder, or as a given authority rounds."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from models.apportionment import largest_remainder
from models.formula.numbers import Numbers, Ties

Method = Literal["largest_remainder", Ties]


@dataclass(frozen=True)
class Rounding:
    """How exact amounts become payable ones.

    "largest_remainder" (Hamilton) pays out the exact sum to the agora. The others round each amount
    alone, as many authorities do; what this leaves over or overspends is reported, not hidden.

    Attributes:
        method: see above.
        unit_agorot: amounts are multiples of it (1 = the agora, 100 = whole shekels).
    """

    method: Method = "largest_remainder"
    unit_agorot: int = 1

    def __post_init__(self) -> None:
        """Refuse units that mean nothing."""
        if self.unit_agorot < 1:
            raise ValueError("rounding: unit_agorot must be 1 or more.")
        if self.method == "largest_remainder" and self.unit_agorot != 1:
            raise ValueError(
                "rounding: largest_remainder spends the pot to the agora, so its unit is 1; round "
                "half_even, half_up, half_down, up or down to a larger unit."
            )

    def apply(self, amounts: Numbers) -> list[int]:
        """Whole agorot for exact amounts; remainders that tie go to the earlier position.

        An amount that is already a multiple of the unit never changes, and none moves by a unit
        or more.
        """
        if self.method == "largest_remainder":
            weights = amounts.over_one().num.tolist()
            return largest_remainder(round(amounts.total()), weights)
        whole: list[int] = amounts.rounded(Fraction(self.unit_agorot), self.method).num.tolist()
        return whole
