"""What a plan is worth: the sum of need-weighted gains, or one that minds how they are spread.

Every objective is a sum over schools of a concave, rising function of the school's own gain, which
is zero at no gain. Three things follow. A gain never counts against a plan, so none is won by
giving a school less. A plan can be searched for school by school. And a tangent is a proven upper
bound.

Worth ranks plans for one and the same need. It is no measure of success and is not compared between
measurements: where scores fall, need and weights rise, and with them the worth of the same plan.
What is reported as success is the need-weighted gap that remains (`remaining`, R81).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np


class Objective(ABC):
    """The worth of a plan, in SD·pupils; `gain` is Σ W(need)·benefit of a school's options."""

    is_linear: bool = True

    @abstractmethod
    def worth(self, gain: np.ndarray, pupils: np.ndarray) -> np.ndarray:
        """What each school's gain counts: concave, rising, zero at zero, at most the gain."""

    @abstractmethod
    def slope(self, gain: np.ndarray, pupils: np.ndarray) -> np.ndarray:
        """What a little more gain counts, at each school's gain."""


@dataclass(frozen=True)
class Total(Objective):
    """The sum of all need-weighted gains, wherever they fall (R79, R80)."""

    def worth(self, gain: np.ndarray, pupils: np.ndarray) -> np.ndarray:
        """The gain itself."""
        return gain

    def slope(self, gain: np.ndarray, pupils: np.ndarray) -> np.ndarray:
        """One, everywhere."""
        return np.ones_like(gain)


@dataclass(frozen=True)
class Atkinson(Objective):
    """A generalised mean of the schools' gains per pupil, averse to inequality (Atkinson 1970).

    With b = gain per pupil, ε = aversion and δ = baseline, a pupil's gain counts

        φ(b) = δ/(1−ε) · ((1 + b/δ)^(1−ε) − 1),   and δ·ln(1 + b/δ) at ε = 1,

    and a plan is worth Σ pupils·φ(b). Maximising it maximises the generalised mean of order 1 − ε
    of b + δ. φ'(0) = 1: the unit is an SD·pupil as it counts for a school that has nothing yet, a
    school at b = δ counts a further one 2^−ε times, and ε = 0 is the plain total. The baseline
    keeps φ finite where a school gains nothing. A school without pupils counts nothing. Harm, as
    draws can have it, counts as it is: φ goes on below zero as a line.

    Attributes:
        aversion: ε ≥ 0; 0 minds only the total, a large ε only the least served.
        baseline_sd: δ > 0, need-weighted SD per pupil; the smaller, the sharper the aversion.
    """

    aversion: float
    baseline_sd: float = 0.01
    is_linear = False

    def __post_init__(self) -> None:
        """Refuse an aversion or a baseline that means nothing."""
        if not (0 <= self.aversion < np.inf and 0 < self.baseline_sd < np.inf):
            raise ValueError("aversion must be zero or more, and baseline_sd above zero.")

    def worth(self, gain: np.ndarray, pupils: np.ndarray) -> np.ndarray:
        """Pupils · φ(gain per pupil)."""
        log = np.log1p(np.maximum(gain, 0) / (self.baseline_sd * np.maximum(pupils, 1)))
        power = 1 - self.aversion
        phi = np.expm1(power * log) / power if power else log
        return np.where(gain < 0, gain, pupils * self.baseline_sd * phi)

    def slope(self, gain: np.ndarray, pupils: np.ndarray) -> np.ndarray:
        """(1 + b/δ)^−ε; nothing where there are no pupils."""
        log = np.log1p(np.maximum(gain, 0) / (self.baseline_sd * np.maximum(pupils, 1)))
        return np.where(pupils > 0, np.exp(-self.aversion * log), 0.0)

    def equal_gain_sd(self, gain: np.ndarray, pupils: np.ndarray) -> float:
        """The gain per pupil that, given equally to all, would be worth as much as this plan."""
        counted = max(int(pupils.sum()), 1)
        mean = float(self.worth(gain, pupils).sum()) / counted / self.baseline_sd
        power = 1 - self.aversion
        log = np.log1p(power * mean) / power if power else mean
        return float(self.baseline_sd * np.expm1(log))


@dataclass(frozen=True)
class Maximin:
    """First the gain per pupil of the least served school, then the total (R91).

    The first stage of the leximin: the floor under all schools is raised as high as the rules and
    the money let it, where a school that cannot reach it gets all that its own rules let it have.
    Among the plans that keep this floor the one of the greatest need-weighted total is taken.
    """
