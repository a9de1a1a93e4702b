"""Whether money is concentrated on need: curve, concentration index, Kakwani-type and Suits index.

**Sign.** Schools are ordered neediest first, cumulated by pupils. With L the curve of cumulated
money,

    C = 2·∫L dp − 1:  above 0 = money concentrated on the needy, 0 = the same money for every pupil.

The literature orders the same way (poorest first) but takes 1 − 2·∫L dp, so that what goes to the
poor is negative (Kakwani, Wagstaff & van Doorslaer 1997; O'Donnell et al. 2008, ch. 8). Every index
here is the literature's times −1, and both are returned.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

INDICES = ("concentration", "concentration_need", "kakwani", "suits")


def concentration_curve(schools: pl.DataFrame) -> pl.DataFrame:
    """The curve from which the indices are read: who has how much of pupils, need and money.

    Schools of the same need are one point, so that their order decides nothing.

    Args:
        schools: semel_mosad, pupils (≥ 0), need (0..1), amount_agorot (≥ 0; null = unknown, left
            out).

    Returns:
        need (null at the origin), schools, pupils_share, need_share, money_share: shares cumulated
        from the neediest on, in 0..1; need_share counts pupils × need.

    Raises:
        ValueError: no pupils, no need or no money among the schools whose money is known.
    """
    pupils, need, money, groups = _sorted(schools)
    if min(pupils.sum(), (pupils * need).sum(), money.sum()) <= 0:
        raise ValueError("schools: a concentration needs pupils, need and money above zero.")
    steps = np.stack([pupils, pupils * need, money])
    summed = np.add.reduceat(steps, groups, axis=1).cumsum(axis=1)
    shares = np.hstack([np.zeros((3, 1)), summed / summed[:, -1:]])
    count = np.diff(np.append(groups, len(pupils)))
    return pl.DataFrame(
        {
            "need": [None, *need[groups].tolist()],
            "schools": [0, *count.tolist()],
            "pupils_share": shares[0],
            "need_share": shares[1],
            "money_share": shares[2],
        },
        schema_overrides={"need": pl.Float64, "schools": pl.Int64},
    )


def concentration(
    schools: pl.DataFrame, *, seed: int, draws: int = 1000, coverage: float = 0.9
) -> pl.DataFrame:
    """The indices of one allocation, with intervals.

    - concentration C: money against pupils;
    - concentration_need: need (pupils × need) against pupils, C of money that follows need exactly;
    - kakwani K = C − C_need (after Kakwani 1977): above 0 = more than in proportion to need;
    - suits S (after Suits 1977): the curve of money against cumulated need instead of pupils, which
      weighs departures where the need is; 0 = in proportion to need, above 0 = more than that.

    The plan itself is known, so the interval is no sampling error of the money: it is how far the
    figure would move with other schools of the same kind (schools drawn anew with replacement).

    Args:
        schools: as for `concentration_curve`.
        seed: of the bootstrap.
        draws: of the bootstrap; draws without need or money are left out.
        coverage: of the percentile interval.

    Returns:
        index_id, index_value, index_lo, index_hi, index_value_literature (the same by the
        literature's sign), schools; in the order of `INDICES`.

    Raises:
        ValueError: as for `concentration_curve`; draws below 1.
    """
    if draws < 1:
        raise ValueError("draws must be 1 or more.")
    concentration_curve(schools)
    pupils, need, money, groups = _sorted(schools)
    steps = np.stack([pupils, pupils * need, money])
    value = _indices(np.add.reduceat(steps, groups, axis=1)[None])[0]
    size = len(pupils)
    times = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), size=draws)
    drawn = _indices(np.add.reduceat(times[:, None, :] * steps, groups, axis=2))
    tail = (1 - coverage) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail], axis=0)
    return pl.DataFrame(
        {
            "index_id": INDICES,
            "index_value": value,
            "index_lo": low,
            "index_hi": high,
            "index_value_literature": -value,
            "schools": [size] * len(INDICES),
        }
    )


def indices_or_none(schools: pl.DataFrame, *, seed: int) -> dict[str, dict[str, Any]]:
    """The rows of `concentration` by index_id; none where the indices are not defined."""
    try:
        rows = concentration(schools, seed=seed).iter_rows(named=True)
    except ValueError:
        return {}
    return {row["index_id"]: row for row in rows}


def _sorted(schools: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pupils, need and money of the known schools, neediest first, and where each need begins."""
    known = schools.drop_nulls("amount_agorot").filter(pl.col("pupils") > 0)
    known = known.sort("need", "semel_mosad", descending=[True, False])
    need = known["need"].cast(pl.Float64).to_numpy()
    groups = np.flatnonzero(np.append(True, need[1:] != need[:-1])) if len(need) else np.zeros(0)
    pupils = known["pupils"].cast(pl.Float64).to_numpy()
    return pupils, need, known["amount_agorot"].cast(pl.Float64).to_numpy(), groups.astype(int)


def _indices(steps: np.ndarray) -> np.ndarray:
    """The four indices from draws × (pupils, need, money) × points; NaN where a sum is zero."""
    totals = steps.sum(axis=2, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        pupils, need, money = np.moveaxis(steps.cumsum(axis=2) / totals, 1, 0)
    of_money, of_need = _doubled_area(pupils, money), _doubled_area(pupils, need)
    return np.stack(
        [of_money - 1, of_need - 1, of_money - of_need, _doubled_area(need, money) - 1], axis=1
    )


def _doubled_area(across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Twice the area under each curve from (0, 0), by trapezoids: points of equal need are one."""
    before = np.pad(up, ((0, 0), (1, 0)))[:, :-1]
    return (np.diff(across, axis=1, prepend=0.0) * (up + before)).sum(axis=1)
