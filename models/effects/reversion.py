"""Mean reversion: units chosen for one bad year get better, and no response did it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import norm, t

from models.checks import every_row, has_columns, one_row_each
from models.effects.estimate import ALPHA, LEVEL, widening

HARMLESS_SD = 0.02  # reversion below the smallest bias that any design is charged with
_Z = float(norm.ppf(0.5 + LEVEL / 2))


@dataclass(frozen=True)
class Reversion:
    """How far the choice of units looked at their last level, and what that would do to a gain.

    Gaps are treated less compared units, in pupil SD; errors already hold few units (±1.645 of them
    cover 90 %).

    Attributes:
        selected_on: 'last_level' = the last level stands out from the units' own earlier ones;
            'lasting_level' = it does not, and choice by the last level alone is ruled out or would
            do no harm; 'unknown' = neither can be excluded.
        dip_sd: gap of the last level less that of the earlier levels (Ashenfelter's dip).
        dip_se_sd: its error.
        dip_p_value: two-sided, against no dip.
        reliability: part of a difference in the last level that is still there in the level after,
            as compared units show it.
        reversion_sd: gain by reversion alone, had the last level decided.
        reversion_lo_sd: lower end of its 90 % interval.
        reversion_hi_sd: upper end.
    """

    selected_on: str
    dip_sd: float
    dip_se_sd: float
    dip_p_value: float
    reliability: float
    reversion_sd: float
    reversion_lo_sd: float
    reversion_hi_sd: float


def mean_reversion(units: pl.DataFrame) -> Reversion | None:
    """Tell whether units were chosen by their last level, and what gain reversion alone would make.

    With L₁ the last level before the start, L̄ the mean of the earlier ones, Y the level after, and
    Δ(·) the gap between treated and compared units of one stratum (least squares):

        dip = Δ(L₁ - L̄)           0 where the lasting level (or nothing) decided
        dip expected = (1 - s)·Δ(L₁),   s the slope of L̄ on L₁ among compared units
        reversion    = -(1 - r)·Δ(L₁),  r the slope of Y on L₁ among compared units (reliability)

    The slopes are not harmed by a choice that looked at L₁ itself. The two expectations hold for a
    choice by L₁ as it stands; a choice that looked at lasting things, too, makes less of both, one
    that saw only the year's luck makes more. The dip shows which.

    Args:
        units: one row per unit (pupil or school) and stratum: unit_id, is_treated, before_1_sd
            (last level before the start), before_2_sd, after_sd, optional before_3_sd, in pupil SD;
            optional stratum_id: units that share what else moves levels (such as school × grade for
            pupils). Rows that lack one of the first three levels are left out.

    Returns:
        None if there are too few units to tell (no stratum with both kinds, or fewer than three
        degrees of freedom).

    Raises:
        ValueError: if a column lacks, is_treated is empty or a unit comes twice in a stratum.

    Source: Galton (1886); Davis (1976), Am. J. Epidemiology 104; Ashenfelter (1978), REStat 60(1);
    R61.
    """
    units = _complete(units)
    treated = units["is_treated"].to_numpy().astype(float)
    stratum = (units["stratum_id"].rank("dense") - 1).cast(pl.Int64).to_numpy()
    last, earlier, after = (units[n].to_numpy() for n in ("before_1_sd", "earlier_sd", "after_sd"))
    compared = treated == 0
    chosen = _Contrast(treated, stratum)
    slope = _Contrast(last[compared], stratum[compared])
    if min(chosen.freedom, slope.freedom) < 3 or min(chosen.square, slope.square) < 1e-12:
        return None
    level, level_se = chosen.of(last)
    dip, dip_se = chosen.of(last - earlier)
    kept_before, kept_before_se = slope.of(earlier[compared])
    kept, kept_se = slope.of(after[compared])
    expected = (1 - kept_before) * level
    expected_se = np.hypot((1 - kept_before) * level_se, level * kept_before_se)
    reversion = -(1 - kept) * level
    reach = _Z * np.hypot((1 - kept) * level_se, level * kept_se)
    p_value = _p_value(dip, dip_se, chosen.freedom)
    missing = np.sign(expected) * (expected - dip)  # of the expected dip
    if p_value < ALPHA and abs(dip) > HARMLESS_SD:
        verdict = "last_level"
    elif missing > _Z * np.hypot(dip_se, expected_se) or abs(reversion) + reach < HARMLESS_SD:
        verdict = "lasting_level"
    else:
        verdict = "unknown"
    return Reversion(
        selected_on=verdict,
        dip_sd=dip,
        dip_se_sd=dip_se,
        dip_p_value=p_value,
        reliability=kept,
        reversion_sd=float(reversion),
        reversion_lo_sd=float(reversion - reach),
        reversion_hi_sd=float(reversion + reach),
    )


class _Contrast:
    """Least-squares slope on one variable within strata, with an error for few units."""

    def __init__(self, variable: np.ndarray, stratum: np.ndarray) -> None:
        self._kind = np.unique(stratum, return_inverse=True)[1]
        self._size = np.bincount(self._kind)
        self._within = self._centred(variable)
        self.square = float(self._within @ self._within)
        self.freedom = len(variable) - len(self._size) - 1

    def of(self, value: np.ndarray) -> tuple[float, float]:
        value = self._centred(value)
        slope = float(self._within @ value) / self.square
        rest = value - slope * self._within
        error = np.sqrt(rest @ rest / self.freedom / self.square)
        return slope, float(error * widening(self.freedom))

    def _centred(self, value: np.ndarray) -> np.ndarray:
        return value - (np.bincount(self._kind, value) / self._size)[self._kind]


def _p_value(value: float, widened: float, freedom: int) -> float:
    if not widened > 0:
        return float(value == 0)
    return float(2 * t.sf(abs(value) / widened * widening(freedom), freedom))


def _complete(units: pl.DataFrame) -> pl.DataFrame:
    needed = ["unit_id", "is_treated", "before_1_sd", "before_2_sd", "after_sd"]
    has_columns(units, needed, "units")
    every_row(units, pl.col("is_treated").is_not_null(), "is_treated must be known for every unit")
    if "stratum_id" not in units.columns:
        units = units.with_columns(pl.lit(0).alias("stratum_id"))
    one_row_each(units, ["unit_id", "stratum_id"], "a unit comes twice in one stratum")
    earlier = [name for name in ("before_2_sd", "before_3_sd") if name in units.columns]
    return (
        units.filter(pl.all_horizontal(pl.col(n).is_finite().fill_null(False) for n in needed[2:]))
        .with_columns(pl.mean_horizontal(pl.col(earlier).fill_nan(None)).alias("earlier_sd"))
        .sort("stratum_id", "unit_id")
    )
