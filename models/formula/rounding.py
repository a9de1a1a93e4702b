"""From exact amounts to whole agorot: by largest remainder, or as a given authority rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Literal

from models.apportionment import largest_remainder

Method = Literal["largest_remainder", "half_even", "half_up", "down"]


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
                "half_even, half_up or down to a larger unit."
            )

    def apply(self, amounts: Sequence[Fraction]) -> list[int]:
        """Whole agorot for exact amounts; remainders that tie go to the earlier position.

        An amount that is already a multiple of the unit never changes, and none moves by a unit
        or more.
        """
        if self.method == "largest_remainder":
            return largest_remainder(round(sum(amounts, Fraction(0))), amounts)
        unit = self.unit_agorot
        return [unit * self._whole(amount / unit) for amount in amounts]

    def _whole(self, value: Fraction) -> int:
        """One amount in units."""
        match self.method:
            case "half_even":
                return round(value)
            case "half_up":
                return floor(value + Fraction(1, 2))
            case _:
                return floor(value)
