"""Which responses people rated alike and which differently, and how far they agree at all (R60).

Everything here needs only how many of each role chose which colour, as in `core_rating`: who said
what stays where it is (R78).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import comb

import numpy as np
import polars as pl
from scipy.stats import t

from models.checks import every_row, one_row_each
from models.discoveries import q_values
from models.keys import WHOLE

# The colours from worst to best; a rating counts 1, 2 or 3.
LEVELS = ("red_raters", "yellow_raters", "green_raters")
SCORES = np.array([1.0, 2.0, 3.0])
UNIT = ["response_id", "goal_id"]
_EVEN = 1e-9  # two statistics closer than this are the same


def krippendorff_alpha(counts: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return Krippendorff's α of ordinal ratings, for one or many weightings of the units.

    With n_uc ratings of unit u in category c, m_u of them (a unit with one rating is left out), the
    coincidences o_ck = Σ_u n_uc (n_uk - [c = k]) / (m_u - 1), their margins n_c and their sum n:

        α = 1 - (n - 1) Σ_ck o_ck δ²_ck / Σ_ck n_c n_k δ²_ck

    The ordinal δ_ck = Σ_{c ≤ g ≤ k} n_g - (n_c + n_k) / 2 is the difference of two mid-ranks.
    Neither the raters' names nor a full table are needed; a missing rating is one rating fewer.

    Args:
        counts: (U, V) ratings of each unit in each of V ordered categories.
        weights: (B, U) how often each unit counts; None = each once, B = 1.

    Returns:
        (B,) α; NaN where no unit has two ratings, or all ratings are the same.

    Source: Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, section E.
    """
    size = counts.sum(axis=1)
    pairs = counts[:, :, None] * (counts[:, None, :] - np.eye(counts.shape[1]))
    pairs = pairs * np.where(size > 1, 1 / np.maximum(size - 1, 1), 0.0)[:, None, None]
    weights = np.ones((1, len(counts))) if weights is None else weights
    both = np.einsum("bu,uck->bck", weights, pairs)
    margin = both.sum(axis=2)
    midrank = margin.cumsum(axis=1) - margin / 2
    distance = (midrank[:, :, None] - midrank[:, None, :]) ** 2
    observed = (margin.sum(axis=1) - 1) * (both * distance).sum(axis=(1, 2))
    expected = (margin[:, :, None] * margin[:, None, :] * distance).sum(axis=(1, 2))
    return 1 - np.divide(observed, expected, out=np.full(len(expected), np.nan), where=expected > 0)


def agreement(
    ratings: pl.DataFrame, *, seed: int, draws: int = 1000, level: float = 0.90
) -> pl.DataFrame:
    """Return how far the raters agree: among all of them, and within each role.

    The interval says how α would move with other responses before the same people. It is a
    bootstrap-t over the responses (with their goals), on the scale of ln(1 - α), with jackknife
    errors: with 12 responses a 90 % percentile interval holds the true α in .77 of cases, this one
    in .86 to .92.

    Args:
        ratings: response_id, goal_id, role, red_raters, yellow_raters, green_raters (counts).
        seed: seed of the resamples.
        draws: number of resamples; those in which all agree, or all ratings are the same, are left
            out.
        level: probability of the interval.

    Returns:
        about_role ("all" first), agreement_alpha (1 = full agreement, 0 = as by chance, below =
        systematic disagreement), agreement_alpha_lo, agreement_alpha_hi (null with fewer than three
        responses, and where all agree), responses (with at least two ratings), ratings (of those
        responses), agreement_reason: null where there is an α, else `no_pairs` (no response has two
        ratings) or `no_variance` (all ratings are the same, so that agreement cannot be told from
        habit: neither 1 nor 0).

    Raises:
        ValueError: if a key repeats, or a count is missing or negative.

    Source: R60; Krippendorff (2011); Efron & Tibshirani (1993), ch. 12.
    """
    ratings = _checked(ratings)
    rows = []
    for role in (WHOLE, *ratings["role"].unique().sort()):
        own = ratings if role == WHOLE else ratings.filter(pl.col("role") == role)
        counts = _counts(own.group_by(UNIT).agg(pl.col(LEVELS).sum()).sort(UNIT))
        counts = counts[counts.sum(axis=1) > 1]
        alpha = float(krippendorff_alpha(counts)[0]) if len(counts) else np.nan
        # A stream of its own, so that one more role does not change the interval of another.
        ends = _interval(counts, np.random.default_rng([seed, *role.encode()]), draws, level)
        reason = "no_pairs" if not len(counts) else "no_variance" if np.isnan(alpha) else None
        rows.append((role, alpha, *ends, len(counts), int(counts.sum()), reason))
    return pl.DataFrame(
        rows,
        schema={
            "about_role": pl.String,
            "agreement_alpha": pl.Float64,
            "agreement_alpha_lo": pl.Float64,
            "agreement_alpha_hi": pl.Float64,
            "responses": pl.Int32,
            "ratings": pl.Int32,
            "agreement_reason": pl.String,
        },
        orient="row",
    ).with_columns(pl.col(pl.Float64).fill_nan(None))


def rated_alike(ratings: pl.DataFrame, *, fdr: float = 0.10) -> pl.DataFrame:
    """Return for each response whether people rated it alike, or differently, or neither.

    A response's disagreement is the mean squared difference of two of its raters' scores (1, 2, 3).
    It is set against what as many ratings, drawn by lot from all ratings, would show: the tail
    probabilities are exact (multivariate hypergeometric), two-sided, and Benjamini-Hochberg over
    all responses holds the share of false names in the list at `fdr`.

    Args:
        ratings: as for `agreement`.
        fdr: share of the named responses that may be chance, in expectation.

    Returns:
        response_id, goal_id, raters, rating_mean (1 to 3), disagreement (1 = as by chance, 0 = all
        the same; null where all ratings of the city are the same), p_value, q_value, rated
        (`alike`, `differently`, `cannot_tell`); sorted by response and goal. Fewer than two raters:
        no test.

    Raises:
        ValueError: as for `agreement`.

    Source: R60; Benjamini & Hochberg (1995).
    """
    units = _checked(ratings).group_by(UNIT).agg(pl.col(LEVELS).sum()).sort(UNIT)
    counts = _counts(units)
    total = counts.sum(axis=0)
    chance = _disagreement(total[None, :])[0] if total.sum() > 1 else 0.0
    rows = []
    for own in counts:
        spread, p = float(_disagreement(own[None, :])[0]), np.nan
        if own.sum() > 1 and chance > 0:
            tables, weight = _drawn(total, int(own.sum()))
            by_chance = _disagreement(tables)
            least = weight[by_chance <= spread + _EVEN].sum()
            most = weight[by_chance >= spread - _EVEN].sum()
            p = min(1.0, 2 * min(least, most))
        rows.append((int(own.sum()), _mean(own), spread / chance if chance > 0 else np.nan, p))
    named = pl.col("q_value") <= fdr
    return (
        units.select(UNIT)
        .hstack(_frame(rows, "raters", "rating_mean", "disagreement", "p_value"))
        .with_columns(q_values(pl.col("p_value")).alias("q_value"))
        .with_columns(
            pl.when(named & (pl.col("disagreement") < 1))
            .then(pl.lit("alike"))
            .when(named & (pl.col("disagreement") > 1))
            .then(pl.lit("differently"))
            .otherwise(pl.lit("cannot_tell"))
            .alias("rated")
        )
    )


def rated_by_role(ratings: pl.DataFrame, *, fdr: float = 0.10, level: float = 0.90) -> pl.DataFrame:
    """Return how each role rated each response, against the other roles.

    The p-value is exact: the share of all ways to deal the response's ratings to as many raters
    with a difference at least as large. Benjamini-Hochberg runs over all roles and responses at
    once, so that of 12 roles × 12 responses not a dozen are called different by chance. A role of
    one rater is that person: what is published is cut to roles of enough raters (R78). The interval
    is Student's with one spread for both sides (a role is often one person), cut at the ends of the
    scale.

    Args:
        ratings: as for `agreement`.
        fdr: share of the named differences that may be chance, in expectation.
        level: probability of the interval.

    Returns:
        response_id, goal_id, role, raters, rating_mean, others_raters, others_rating_mean,
        rating_difference (role less others), rating_difference_lo, rating_difference_hi (null where
        all of the role and all of the others agree among themselves, or only two rated), p_value,
        q_value, is_rated_differently; sorted by response, goal and role. Nobody else rated: no
        difference.

    Raises:
        ValueError: as for `agreement`.

    Source: R60.
    """
    ratings = _checked(ratings).filter(pl.sum_horizontal(LEVELS) > 0)
    totals = ratings.select(*UNIT, pl.col(LEVELS).sum().over(UNIT))
    rows = []
    for own, total in zip(_counts(ratings), _counts(totals), strict=True):
        n, m = own.sum(), (total - own).sum()
        mean, other = _mean(own), _mean(total - own)
        difference, p, reach = mean - other, np.nan, np.nan
        if m > 0:
            tables, weight = _drawn(total, int(n))
            others = total - tables
            dealt = tables @ SCORES / n - others @ SCORES / m
            p = float(weight[np.abs(dealt) >= abs(difference) - _EVEN].sum())
        if m > 0 and n + m > 2:
            squares = own @ (SCORES - mean) ** 2 + (total - own) @ (SCORES - other) ** 2
            error = np.sqrt(squares / (n + m - 2) * (1 / n + 1 / m))
            reach = t.ppf(0.5 + level / 2, n + m - 2) * error if error > 0 else np.nan
        ends = np.clip([difference - reach, difference + reach], -2.0, 2.0)
        rows.append((int(n), mean, int(m), other, difference, *ends, min(p, 1.0)))
    return (
        ratings.select(*UNIT, "role")
        .hstack(
            _frame(
                rows,
                "raters",
                "rating_mean",
                "others_raters",
                "others_rating_mean",
                "rating_difference",
                "rating_difference_lo",
                "rating_difference_hi",
                "p_value",
            )
        )
        .with_columns(q_values(pl.col("p_value")).alias("q_value"))
        .with_columns((pl.col("q_value") <= fdr).fill_null(False).alias("is_rated_differently"))
    )


def _interval(
    counts: np.ndarray, rng: np.random.Generator, draws: int, level: float
) -> tuple[float, float]:
    """Return the bootstrap-t interval of α over units; NaN where none can be told."""
    units = len(counts)
    if units < 3:
        return np.nan, np.nan
    weights = np.vstack([np.ones(units), rng.multinomial(units, np.full(units, 1 / units), draws)])
    value = _log_disagreement(counts, weights)
    # Each resample's own jackknife: one copy less of each unit that is in it.
    less = np.maximum(weights[:, None, :] - np.eye(units), 0).reshape(-1, units)
    without = np.where(weights > 0, _log_disagreement(counts, less).reshape(-1, units), 0.0)
    centre = (weights * without).sum(axis=1, keepdims=True) / units
    error = np.sqrt((units - 1) / units * (weights * (without - centre) ** 2).sum(axis=1))
    usable = np.isfinite(error) & (error > _EVEN)
    if not usable[0] or usable.sum() < draws / 2:
        return np.nan, np.nan
    scaled = (value - value[0])[usable][1:] / error[usable][1:]
    low, high = np.quantile(scaled, [0.5 - level / 2, 0.5 + level / 2])
    ends = 1 - np.exp(value[0] - np.array([low, high]) * error[0])
    return float(ends[0]), float(ends[1])


def _log_disagreement(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return ln(1 - α); NaN where all agree or there is no α."""
    ratio = 1 - krippendorff_alpha(counts, weights)
    return np.log(np.where(ratio > _EVEN, ratio, np.nan))


def _checked(ratings: pl.DataFrame) -> pl.DataFrame:
    key = [*UNIT, "role"]
    every_row(
        ratings,
        pl.all_horizontal(pl.col(name) >= 0 for name in LEVELS),
        f"ratings without a count of {', '.join(LEVELS)}; a colour nobody chose is 0",
        key=key,
    )
    one_row_each(ratings, key, "ratings repeat by response, goal and role; sum them first")
    return ratings.sort(key)


def _counts(frame: pl.DataFrame) -> np.ndarray:
    return frame.select(LEVELS).to_numpy().astype(float)


def _mean(counts: np.ndarray) -> float:
    return float(counts @ SCORES / counts.sum()) if counts.sum() else np.nan


def _disagreement(counts: np.ndarray) -> np.ndarray:
    """Return the mean squared difference of two raters' scores, per row; NaN below two raters."""
    n = counts.sum(axis=1)
    squares = counts @ SCORES**2 - (counts @ SCORES) ** 2 / np.maximum(n, 1)
    return np.where(n > 1, 2 * squares / np.maximum(n - 1, 1), np.nan)


def _drawn(total: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return all (K, 3) ways to draw `size` of the ratings, and the probability of each."""
    available = [int(number) for number in total]
    tables = list(_ways(available, size))
    ways = comb(sum(available), size)
    weight = [
        np.prod(
            [comb(have, take) for have, take in zip(available, table, strict=True)], dtype=object
        )
        / ways
        for table in tables
    ]
    return np.array(tables, dtype=float), np.array(weight, dtype=float)


def _ways(available: list[int], size: int) -> Iterator[tuple[int, int, int]]:
    red, yellow, green = available
    for r in range(min(red, size) + 1):
        for y in range(max(0, size - r - green), min(yellow, size - r) + 1):
            yield r, y, size - r - y


def _frame(rows: list[tuple], *names: str) -> pl.DataFrame:
    types = {name: pl.Int32 if name.endswith("raters") else pl.Float64 for name in names}
    return pl.DataFrame(rows, schema=types, orient="row").with_columns(
        pl.col(pl.Float64).fill_nan(None)
    )
