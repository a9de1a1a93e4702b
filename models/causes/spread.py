"""Where differences lie: exact splits of a spread, or of a gap, between and within schools."""

from __future__ import annotations

import numpy as np
import polars as pl

from models.checks import every_row

PARTS = ("total", "between", "within")


def between_within(values: pl.DataFrame) -> pl.DataFrame:
    """Split the variance of a score exactly into the part between and the part within schools.

    With pupils i of schools j, n pupils in all and n_j in a school:

        Σ_ij (y_ij - ȳ)² / n = Σ_j n_j (ȳ_j - ȳ)² / n + Σ_ij (y_ij - ȳ_j)² / n

    This describes the pupils at hand. The part between schools holds chance, too: schools of equal
    pupils would show about (schools - 1)/n of it (the true part is `fit_components`' task).

    Args:
        values: semel_mosad, value (score, any interval scale), one row per pupil.

    Returns:
        part ("total", "between", "within"), variance (squared units of the value), share_pct (of
        the total; empty where all values are equal), n_pupils, n_schools.

    Raises:
        ValueError: if there is no pupil, or a school or value is empty.

    Source: law of total variance; R41; domain_methods §2c.
    """
    values, place = _sorted(values, "semel_mosad")
    score = values["value"].to_numpy().astype(float)
    size = np.bincount(place)
    mean = np.bincount(place, score) / size
    parts = np.array(
        [
            score.var(),
            size @ (mean - score.mean()) ** 2 / len(score),
            np.mean((score - mean[place]) ** 2),
        ]
    )
    return pl.DataFrame(
        {
            "part": PARTS,
            "variance": parts,
            "share_pct": _shares(parts),
            "n_pupils": [len(score)] * 3,
            "n_schools": [len(size)] * 3,
        }
    )


def theil(values: pl.DataFrame) -> pl.DataFrame:
    """Return Theil's T of money and its exact split between and within groups.

    With x_i > 0, mean x̄, groups g of n_g units with mean x̄_g and share s_g = n_g x̄_g / (n x̄):

        T = Σ_i x_i ln(x_i / x̄) / (n x̄) = Σ_g s_g ln(x̄_g / x̄) + Σ_g s_g T_g

    Only for money: T needs a true zero. Scores have none (500 and 100 are conventions), and their T
    would change with the scale; use `between_within` for them.

    Args:
        values: group_id, value (money, > 0), one row per unit.

    Returns:
        part ("total", "between", "within"), theil_t, share_pct (of the total; empty where all
        values are equal), n_units, n_groups.

    Raises:
        ValueError: if there is no unit, a group or value is empty, or a value is not positive.

    Source: Theil (1967), ch. 4; Shorrocks (1980); R41; domain_methods §2c.
    """
    values, place = _sorted(values, "group_id")
    money = values["value"].to_numpy().astype(float)
    if (money <= 0).any():
        raise ValueError(
            "Theil's index needs positive amounts of money; leave out units that spend nothing, and"
            " use between_within for scores"
        )
    size = np.bincount(place)
    mean, whole = np.bincount(place, money) / size, money.mean()
    share = money / money.sum()
    parts = np.array(
        [
            share @ np.log(money / whole),
            np.bincount(place, share) @ np.log(mean / whole),
            share @ np.log(money / mean[place]),
        ]
    )
    return pl.DataFrame(
        {
            "part": PARTS,
            "theil_t": parts,
            "share_pct": _shares(parts),
            "n_units": [len(money)] * 3,
            "n_groups": [len(size)] * 3,
        }
    )


def group_gap(values: pl.DataFrame) -> pl.DataFrame:
    """Split the gap of two groups of pupils exactly into sorting and what differs in schools.

    With group a (expected to be ahead) and b, school means ȳ_aj and ȳ_bj, shares a_j and b_j of the
    groups' pupils in school j, and d_j = ȳ_aj - ȳ_bj where a school has both groups:

        ȳ_a - ȳ_b = Σ_j (a_j - b_j) m_j + Σ_j (a_j + b_j)/2 · d_j,   m_j = (ȳ_aj + ȳ_bj)/2

    The first part is sorting: the groups sit in schools of different levels. The second is the gap
    between pupils of the same school. The mean of both groups' weights makes the split the same
    whichever group is named first. A school with one group alone has m_j = its mean and d_j = 0:
    all it adds is sorting.

    Args:
        values: semel_mosad, is_ahead (true for group a, such as deciles 1-3; false for group b,
            such as deciles 8-10; leave other pupils out), value (score).

    Returns:
        part ("total", "between", "within"), gap (units of the value, a - b), share_pct (of the
        total; empty where there is no gap), n_ahead, n_behind (pupils), n_schools, n_schools_both.

    Raises:
        ValueError: if a group has no pupil, or a school, group or value is empty.

    Source: Reardon (2008); R41; domain_methods §2c.
    """
    values, place = _sorted(values, "semel_mosad", "is_ahead")
    score = values["value"].to_numpy().astype(float)
    ahead = values["is_ahead"].to_numpy()
    if ahead.all() or not ahead.any():
        raise ValueError("one of the two groups has no pupil; a gap needs both")
    schools = int(place.max()) + 1
    size = np.stack([np.bincount(place[ahead == a], minlength=schools) for a in (True, False)])
    total = np.stack(
        [
            np.bincount(place[ahead == a], score[ahead == a], minlength=schools)
            for a in (True, False)
        ]
    )
    both = (size > 0).all(axis=0)
    mean = np.where(size > 0, total / np.maximum(size, 1), 0.0)
    level = mean.sum(axis=0) / (size > 0).sum(axis=0)
    share = size / size.sum(axis=1, keepdims=True)
    between = (share[0] - share[1]) @ level
    within = share.mean(axis=0) @ np.where(both, mean[0] - mean[1], 0.0)
    parts = np.array([score[ahead].mean() - score[~ahead].mean(), between, within])
    return pl.DataFrame(
        {
            "part": PARTS,
            "gap": parts,
            "share_pct": _shares(parts),
            "n_ahead": [int(size[0].sum())] * 3,
            "n_behind": [int(size[1].sum())] * 3,
            "n_schools": [schools] * 3,
            "n_schools_both": [int(both.sum())] * 3,
        }
    )


def _sorted(values: pl.DataFrame, *keys: str) -> tuple[pl.DataFrame, np.ndarray]:
    """Return the rows in order, and the number of each one's first key in the order of names."""
    if not values.height:
        raise ValueError("no rows to split; hand in at least one")
    fine = pl.all_horizontal(pl.col(key).is_not_null() for key in keys)
    every_row(
        values,
        fine & pl.col("value").is_finite(),
        f"each row needs {', '.join(keys)} and a value; drop the unmeasured",
    )
    rows = values.sort(*keys, "value")
    return rows, (rows[keys[0]].rank("dense") - 1).cast(pl.Int64).to_numpy()


def _shares(parts: np.ndarray) -> pl.Series:
    if abs(parts[0]) <= 1e-12 * max(1.0, float(np.abs(parts).max())):
        return pl.Series([None] * len(parts), dtype=pl.Float64)
    return pl.Series(100 * parts / parts[0])
