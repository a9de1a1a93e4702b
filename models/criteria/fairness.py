"""Are pupils of equal achievement identified alike, whatever group they belong to (R29).

For each group the identification of everybody else is fitted to their achievement alone (a
monotone step function), and the group's pupils are asked how many of them that rule would have
identified. The ratio of identified to expected is 1 under a rule that is blind to the group. It is
an association: it does not say why a group is identified less.

Achievement is measured with error. At one observed score, pupils of a weaker group are truly
weaker, so a fair rule would look unfair; scores are therefore first shrunk towards the mean of
their own side by the tests' reliability (Kelley 1947).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import chi2, norm
from sklearn.isotonic import IsotonicRegression

from models.discoveries import q_values

WHOLE = "all"  # the group of every pupil


@dataclass(frozen=True)
class FairnessSettings:
    """How a rule is judged.

    Attributes:
        reliability: share of the variance of the achievement measure that is not test error.
        margin: departures of the ratio from 1 up to this share are not called unfair.
        level: false discovery rate over the groups (Benjamini–Hochberg).
        confidence: of the intervals.
        min_pupils: smaller groups are described, never judged.
    """

    reliability: float = 0.9
    margin: float = 0.1
    level: float = 0.05
    confidence: float = 0.9
    min_pupils: int = 30


def fairness(
    pupils: pl.DataFrame, groups: pl.DataFrame, settings: FairnessSettings | None = None
) -> pl.DataFrame:
    """Judge one identification by group.

    Args:
        pupils: `pupil_hash`, `semel_mosad`, `pupil_level_sd` (Float64, null = not tested),
            `is_identified` (Boolean).
        groups: `pupil_hash`, `group_id`; a pupil may be in several groups.
        settings: how to judge.

    Returns:
        One row for all pupils (`WHOLE`, compared with nobody) and one per group, sorted:
        `group_id`, `pupils`, `identified_pupils`, `identified_pct` with its Wilson interval
        (`identified_lo_pct`, `identified_hi_pct`), over all pupils of the group; `expected_pupils`,
        `fairness_ratio`, `fairness_lo`, `fairness_hi` over those who were tested (null where nobody
        outside the group was identified), and `is_unfair`: surely beyond the margin, false
        discoveries controlled over the groups.

    Raises:
        ValueError: if the reliability or the confidence is not in (0, 1].

    Source: Wilson 1927; Benjamini & Hochberg 1995; Kelley 1947.
    """
    settings = settings or FairnessSettings()
    if not (0 < settings.reliability <= 1 and 0 < settings.confidence < 1):
        raise ValueError("reliability must lie in (0, 1] and confidence in (0, 1)")
    z = float(norm.ppf(0.5 + settings.confidence / 2))
    pupils = pupils.sort("pupil_hash")
    members = groups.select("group_id", "pupil_hash").unique()
    rows = [
        _judge(
            name,
            pupils.with_columns(
                in_group=pl.col("pupil_hash").is_in(
                    members.filter(pl.col("group_id") == name)["pupil_hash"].to_list()
                )
            ),
            settings,
            z,
        )
        for name in sorted(members["group_id"].unique())
    ]
    judged = pl.DataFrame(rows, schema=_SCHEMA).with_columns(
        is_unfair=q_values(pl.col("p_value")) <= settings.level
    )
    everybody = _judge(WHOLE, pupils.with_columns(in_group=pl.lit(True)), settings, z)
    whole = pl.DataFrame([everybody], schema=_SCHEMA).with_columns(is_unfair=pl.lit(False))
    return pl.concat([whole, judged]).drop("p_value")


_SCHEMA = {
    "group_id": pl.String,
    "pupils": pl.Int64,
    "identified_pupils": pl.Int64,
    "identified_pct": pl.Float64,
    "identified_lo_pct": pl.Float64,
    "identified_hi_pct": pl.Float64,
    "expected_pupils": pl.Float64,
    "fairness_ratio": pl.Float64,
    "fairness_lo": pl.Float64,
    "fairness_hi": pl.Float64,
    "p_value": pl.Float64,
}


def _judge(
    name: str, pupils: pl.DataFrame, settings: FairnessSettings, z: float
) -> dict[str, object]:
    inside = pupils.filter("in_group")
    n, k = inside.height, int(inside["is_identified"].sum())
    low, high = wilson(k, n, z)
    row: dict[str, object] = {
        "group_id": name,
        "pupils": n,
        "identified_pupils": k,
        "identified_pct": 100 * k / n if n else None,
        "identified_lo_pct": 100 * low,
        "identified_hi_pct": 100 * high,
        "expected_pupils": None,
        "fairness_ratio": None,
        "fairness_lo": None,
        "fairness_hi": None,
        "p_value": 1.0,
    }
    tested = pupils.filter(pl.col("pupil_level_sd").is_not_null())
    one, other = tested.filter("in_group"), tested.filter(~pl.col("in_group"))
    if one.is_empty() or not other["is_identified"].any():
        return row
    return row | _compare(one, other, settings, z)


def _compare(
    one: pl.DataFrame, other: pl.DataFrame, settings: FairnessSettings, z: float
) -> dict[str, object]:
    """Compare a group with what the rule fitted to everybody else would have identified."""
    x, y = _shrunk(one, settings.reliability), one["is_identified"].to_numpy().astype(float)
    x_other, y_other = _shrunk(other, settings.reliability), other["is_identified"].to_numpy()
    fit = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(x_other, y_other)
    chance = fit.predict(x)
    expected, observed = float(chance.sum()), float(y.sum())
    if expected <= 0:
        return {}
    ratio = observed / expected
    # A ratio's own residuals, added up by school: its pupils are judged by the same teachers.
    residual = (
        one.select("semel_mosad", r=pl.Series(y - ratio * chance))
        .group_by("semel_mosad", maintain_order=True)
        .agg(pl.col("r").sum())
    )
    schools = residual.height
    clustered = float((residual["r"] ** 2).sum()) * schools / max(schools - 1, 1)
    alone = float((ratio * chance * (1 - np.minimum(ratio * chance, 1))).sum())
    variance = max(clustered, alone) + ratio**2 * _variance_of_expected(
        fit.predict(x_other), chance
    )
    if observed == 0:
        low, high = 0.0, float(chi2.ppf(settings.confidence, 2)) / 2 / expected
        p = float(np.exp(-expected * (1 - settings.margin)))
    else:
        log_se = np.sqrt(variance) / observed
        low, high = float(ratio * np.exp(-z * log_se)), float(ratio * np.exp(z * log_se))
        beyond = max(
            np.log1p(-settings.margin) - np.log(ratio), np.log(ratio) - np.log1p(settings.margin)
        )
        p = float(norm.sf(beyond / log_se)) if beyond > 0 else 1.0
    is_judged = one.height >= settings.min_pupils
    return {
        "expected_pupils": expected,
        "fairness_ratio": ratio,
        "fairness_lo": low,
        "fairness_hi": high,
        "p_value": min(p, 1.0) if is_judged else 1.0,
    }


def _shrunk(pupils: pl.DataFrame, reliability: float) -> np.ndarray:
    x = pupils["pupil_level_sd"].to_numpy()
    return x.mean() + reliability * (x - x.mean())


def _variance_of_expected(fitted_other: np.ndarray, chance: np.ndarray) -> float:
    """Return the variance of the expected count from the steps' own sampling error."""
    steps, sizes = np.unique(fitted_other, return_counts=True)
    nearest = np.abs(chance[:, None] - steps[None, :]).argmin(axis=1)
    asked = np.bincount(nearest, minlength=len(steps))
    return float((asked**2 * steps * (1 - steps) / sizes).sum())


def wilson(k: int, n: int, z: float) -> tuple[float, float]:
    """Return the Wilson interval of a share of k among n; (0, 1) where n is 0."""
    if n == 0:
        return 0.0, 1.0
    share = k / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))
