"""Early warning of chronic absence, as expected numbers by school and grade.

A model of single pupils is fitted, but nothing about a single pupil ever leaves this module:
neither a probability nor a key. The counts are for planning (how many places an attendance officer
needs), not for decisions about children (R110; Privacy Protection Law).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from models.checks import has_columns

LEAST_EVENTS, LEAST_SCHOOLS = 100, 6
FOLDS = 3
MOST_BIAS = 0.2  # expected over observed may be off by a fifth
_BINS = 10
_EDGE = 1e-4
_METRICS = {
    "metric": pl.String,
    "candidate": pl.String,
    "value": pl.Float64,
    "value_lo": pl.Float64,
    "value_hi": pl.Float64,
}


@dataclass(frozen=True)
class EarlyWarning:
    """What to expect next year, and whether the model earned its use.

    Attributes:
        expected: semel_mosad, grade (next year's), pupils (registered now, who move up),
            expected_pupils, expected_lo_pupils, expected_hi_pupils (interval of the count itself,
            chance included); sorted.
        validation: metric, candidate (`model`, `last_absence`, `base_rate`), value, value_lo,
            value_hi (schools resampled; null where not resampled), on the last year with a known
            outcome.
        reliability: bin (1 = lowest risk), pupils, expected_pct, observed_pct, observed_lo_pct,
            observed_hi_pct (Wilson).
        importance: feature, importance (loss of AUC when shuffled, mean of five), an association.
        is_used: whether `expected` comes from the model; else from the schools' own past rates.
        reason_code: `used`, `no_better_than_base_rate`, `worse_than_last_absence`,
            `badly_calibrated`, `too_few_events`.
        candidate: name of the estimator chosen by cross-validation; null if none was fitted.
    """

    expected: pl.DataFrame
    validation: pl.DataFrame
    reliability: pl.DataFrame
    importance: pl.DataFrame
    is_used: bool
    reason_code: str
    candidate: str | None


@threadpool_limits.wrap(limits=1)
def early_warning(
    pupils: pl.DataFrame,
    features: Sequence[str],
    *,
    last_absence: str = "absence_pct",
    draws: int = 200,
    seed: int = 1,
    level: float = 0.90,
) -> EarlyWarning:
    """Expect the number of chronically absent pupils of next year by school and grade.

    Fitted on all years but the last with a known outcome, by logistic regression and by boosted
    trees, whichever predicts schools it has not seen better (grouped cross-validation: pupils of
    one school never stand on both sides). The last known year is the hold-out; no choice looks at
    it. The model is used only if, there, its log-loss is surely below that of the base rate
    (schools resampled), is not surely above that of a logistic regression on last year's absence
    alone, and its expected total is not surely off by more than a fifth. Otherwise the counts come
    from each school's own past rate, drawn towards the city's (beta-binomial), and say so.

    With p the pupils' risks, the count of a cell is Σp, and its variance Σp(1-p) + φ(Σp)², φ being
    the spread of observed around expected counts in the hold-out that chance does not explain.

    Args:
        pupils: pupil_hash, semel_mosad, school_year, grade, the features (numeric or Boolean, nulls
            allowed), and outcome (Boolean: the NEXT year's; null where unknown). The rows of the
            last school year, whose outcome nobody knows yet, are what is expected for.
        features: columns.
        last_absence: the feature of the simple baseline.
        draws: resamples of schools.
        seed: seed of resampling and shuffling.
        level: probability of the intervals.

    Raises:
        ValueError: if a feature is missing, or there is no year to expect for.

    Source: Steyerberg (2019), ch. 15; Van Calster et al. (2019) on calibration; R47, R110.
    """
    has_columns(pupils, [*features, last_absence], "pupils")
    rows = pupils.sort("semel_mosad", "school_year", "pupil_hash")
    known = rows.filter(pl.col("outcome").is_not_null())
    newest = rows["school_year"].max()
    ahead = rows.filter(pl.col("school_year") == newest, pl.col("outcome").is_null())
    if ahead.is_empty():
        raise ValueError("every row has an outcome: there is no year to expect for")
    held_year = known["school_year"].max()
    train = known.filter(pl.col("school_year") < held_year) if known.height else known
    held = known.filter(pl.col("school_year") == held_year) if known.height else known
    events = [int(part["outcome"].sum()) if part.height else 0 for part in (train, held)]
    if min(events) < LEAST_EVENTS or known["semel_mosad"].n_unique() < LEAST_SCHOOLS:
        return _fallback(known, ahead, "too_few_events", level)

    truth = held["outcome"].to_numpy()
    schools = held["semel_mosad"].to_numpy()
    name, model = _choose(train, features)
    simple = _logistic().fit(_matrix(train, [last_absence]), train["outcome"].to_numpy())
    risks = {
        "model": _risk(model, held, features),
        "last_absence": _risk(simple, held, [last_absence]),
        "base_rate": np.full(held.height, np.clip(events[0] / train.height, _EDGE, 1 - _EDGE)),
    }
    validation, gains = _validate(truth, schools, risks, draws, seed, level)
    # Surely off: what chance does to the number observed is taken off first.
    seen = float(truth.sum())
    bias = abs(float(risks["model"].sum()) / seen - 1) - norm.ppf(0.95) / seen**0.5
    if gains["base_rate"][0] <= 0:
        reason = "no_better_than_base_rate"
    elif gains["last_absence"][1] < 0:
        reason = "worse_than_last_absence"
    elif bias > MOST_BIAS:
        reason = "badly_calibrated"
    else:
        reason = "used"
    tables = {
        "validation": validation,
        "reliability": _reliability(truth, risks["model"], level),
        "importance": _importance(model, held, features, seed),
    }
    if reason != "used":
        plain = _fallback(known, ahead, reason, level)
        return EarlyWarning(
            plain.expected, **tables, is_used=False, reason_code=reason, candidate=name
        )
    extra = _overdispersion(held, risks["model"])
    # The counts come from a fit on every known year; the hold-out has done its work.
    final = _estimators()[name].fit(_matrix(known, features), known["outcome"].to_numpy())
    expected = _counts(ahead, _risk(final, ahead, features), extra, level)
    return EarlyWarning(expected, **tables, is_used=True, reason_code=reason, candidate=name)


def _logistic() -> Pipeline:
    return make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(max_iter=500),
    )


def _estimators() -> dict[str, Pipeline]:
    trees = HistGradientBoostingClassifier(
        max_iter=50,
        learning_rate=0.1,
        min_samples_leaf=100,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=0,
    )
    return {"logistic": _logistic(), "boosted_trees": make_pipeline(trees)}


def _matrix(rows: pl.DataFrame, features: Sequence[str]) -> np.ndarray:
    return (
        rows.select(pl.col(name).cast(pl.Float64) for name in features).fill_null(np.nan).to_numpy()
    )


def _risk(model: Pipeline, rows: pl.DataFrame, features: Sequence[str]) -> np.ndarray:
    return np.clip(model.predict_proba(_matrix(rows, features))[:, 1], _EDGE, 1 - _EDGE)


def _choose(train: pl.DataFrame, features: Sequence[str]) -> tuple[str, Pipeline]:
    """Return the estimator that predicts unseen schools best, fitted on all of them."""
    matrix, outcome = _matrix(train, features), train["outcome"].to_numpy()
    groups = train["semel_mosad"].to_numpy()
    losses = {}
    for name, estimator in _estimators().items():
        risk = cross_val_predict(
            estimator, matrix, outcome, groups=groups, cv=GroupKFold(FOLDS), method="predict_proba"
        )[:, 1]
        losses[name] = log_loss(outcome, np.clip(risk, _EDGE, 1 - _EDGE))
    best = min(losses, key=lambda name: (losses[name], name))
    return best, _estimators()[best].fit(matrix, outcome)


def _validate(
    truth: np.ndarray,
    schools: np.ndarray,
    risks: dict[str, np.ndarray],
    draws: int,
    seed: int,
    level: float,
) -> tuple[pl.DataFrame, dict[str, tuple[float, float]]]:
    """Return each candidate's metrics, and the intervals of the model's gain over baselines."""
    losses = {
        name: -np.where(truth, np.log(risk), np.log(1 - risk)) for name, risk in risks.items()
    }
    names, codes = np.unique(schools, return_inverse=True)
    size = np.bincount(codes)
    drawn = np.random.default_rng(seed).multinomial(
        len(names), np.full(len(names), 1 / len(names)), draws
    )
    tail = (1 - level) / 2

    def interval(values: np.ndarray) -> tuple[float, float]:
        sums = np.bincount(codes, values, minlength=len(names))
        low, high = np.quantile((drawn @ sums) / (drawn @ size), [tail, 1 - tail])
        return float(low), float(high)

    rows: list[tuple] = []
    for name, risk in risks.items():
        rows.append(("log_loss", name, float(losses[name].mean()), *interval(losses[name])))
        rows.append(
            ("brier", name, float(((risk - truth) ** 2).mean()), *interval((risk - truth) ** 2))
        )
        rows.append(
            ("expected_over_observed", name, float(risk.sum() / max(truth.sum(), 1)), None, None)
        )
        if name != "base_rate":
            rows.append(("auc", name, float(roc_auc_score(truth, risk)), None, None))
            rows.append(
                ("average_precision", name, float(average_precision_score(truth, risk)), None, None)
            )
    intercept, slope = _calibration(truth, risks["model"])
    rows += [
        ("calibration_slope", "model", slope, None, None),
        ("calibration_intercept", "model", intercept, None, None),
    ]
    gains = {}
    for name in ("base_rate", "last_absence"):
        gain = losses[name] - losses["model"]
        gains[name] = interval(gain)
        rows.append((f"log_loss_gain_over_{name}", "model", float(gain.mean()), *gains[name]))
    return pl.DataFrame(rows, schema=_METRICS, orient="row").sort("metric", "candidate"), gains


def _calibration(truth: np.ndarray, risk: np.ndarray) -> tuple[float, float]:
    """Return intercept and slope of the outcome's log-odds on the predicted ones (best 0, 1)."""
    odds = logit(risk)

    def loss(line: np.ndarray) -> float:
        fitted = np.clip(expit(line[0] + line[1] * odds), 1e-12, 1 - 1e-12)
        return -float(np.where(truth, np.log(fitted), np.log(1 - fitted)).mean())

    intercept, slope = minimize(loss, np.array([0.0, 1.0]), method="BFGS").x
    return float(intercept), float(slope)


def _reliability(truth: np.ndarray, risk: np.ndarray, level: float) -> pl.DataFrame:
    edges = np.quantile(risk, np.linspace(0, 1, _BINS + 1)[1:-1])
    place = np.searchsorted(edges, risk, side="right")
    z2 = float(norm.ppf(0.5 + level / 2)) ** 2
    share, n = pl.col("observed_pct") / 100, pl.col("pupils")
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = (z2 * (share * (1 - share) / n + z2 / (4 * n**2))).sqrt() / (1 + z2 / n)
    return (
        pl.DataFrame({"bin": place + 1, "risk": risk, "truth": truth})
        .group_by("bin")
        .agg(
            pl.len().cast(pl.Int32).alias("pupils"),
            (100 * pl.col("risk").mean()).alias("expected_pct"),
            (100 * pl.col("truth").mean()).alias("observed_pct"),
        )
        .sort("bin")
        .with_columns(
            pl.col("bin").cast(pl.Int32),
            # Where nobody was absent the end is 0, and rounding may put it a hair below.
            (100 * (centre - reach)).clip(lower_bound=0.0).alias("observed_lo_pct"),
            (100 * (centre + reach)).clip(upper_bound=100.0).alias("observed_hi_pct"),
        )
    )


def _importance(
    model: Pipeline, held: pl.DataFrame, features: Sequence[str], seed: int
) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    matrix, truth = _matrix(held, features), held["outcome"].to_numpy()
    whole = roc_auc_score(truth, model.predict_proba(matrix)[:, 1])
    rows = []
    for place, name in enumerate(features):
        lost = []
        for _ in range(5):
            shuffled = matrix.copy()
            shuffled[:, place] = generator.permutation(shuffled[:, place])
            lost.append(whole - roc_auc_score(truth, model.predict_proba(shuffled)[:, 1]))
        rows.append((name, float(np.mean(lost))))
    return pl.DataFrame(
        rows, schema={"feature": pl.String, "importance": pl.Float64}, orient="row"
    ).sort("feature")


def _overdispersion(held: pl.DataFrame, risk: np.ndarray) -> float:
    """Return φ: how far counts of school × grade stray from what is expected, beyond chance."""
    cells = (
        held.select("semel_mosad", "grade", pl.col("outcome").cast(pl.Float64))
        .with_columns(pl.Series("risk", risk), pl.Series("noise", risk * (1 - risk)))
        .group_by("semel_mosad", "grade", maintain_order=True)
        .agg(pl.col("outcome", "risk", "noise").sum())
    )
    beyond = ((cells["outcome"] - cells["risk"]) ** 2 - cells["noise"]).sum()
    return max(0.0, float(beyond) / float((cells["risk"] ** 2).sum()))


def _counts(ahead: pl.DataFrame, risk: np.ndarray, extra: float, level: float) -> pl.DataFrame:
    """Sum risks to counts of next year's grade, with the interval of the count."""
    reach = float(norm.ppf(0.5 + level / 2))
    total, noise = pl.col("expected_pupils"), pl.col("noise")
    spread = (noise + extra * total**2).sqrt()
    return (
        ahead.select("semel_mosad", (pl.col("grade") + 1).cast(pl.Int32).alias("grade"))
        .with_columns(pl.Series("expected_pupils", risk), pl.Series("noise", risk * (1 - risk)))
        .group_by("semel_mosad", "grade", maintain_order=True)
        .agg(pl.len().cast(pl.Int32).alias("pupils"), pl.col("expected_pupils", "noise").sum())
        .select(
            "semel_mosad",
            "grade",
            "pupils",
            "expected_pupils",
            (total - reach * spread).clip(0.0).alias("expected_lo_pupils"),
            pl.min_horizontal(total + reach * spread, pl.col("pupils").cast(pl.Float64)).alias(
                "expected_hi_pupils"
            ),
        )
        .sort("semel_mosad", "grade")
    )


def _fallback(known: pl.DataFrame, ahead: pl.DataFrame, reason: str, level: float) -> EarlyWarning:
    """Expect each school's own past rate, drawn towards the city's as chance demands."""
    if known.is_empty():
        expected = _counts(ahead.clear(), np.zeros(0), 0.0, level)
    else:
        by_school = (
            known.group_by("semel_mosad")
            .agg(
                pl.len().cast(pl.Float64).alias("n"),
                pl.col("outcome").sum().cast(pl.Float64).alias("events"),
            )
            .sort("semel_mosad")
        )
        size, events = by_school["n"].to_numpy(), by_school["events"].to_numpy()
        city, rate = float(events.sum() / size.sum()), events / size
        spread = rate.var(ddof=1) if len(rate) > 1 else 0.0
        between = max(float(spread - (city * (1 - city) / size).mean()), 1e-9)
        prior = max(city * (1 - city) / between - 1, 1.0)
        shrunk = by_school.select(
            "semel_mosad", ((pl.col("events") + prior * city) / (pl.col("n") + prior)).alias("risk")
        )
        risk = ahead.join(shrunk, on="semel_mosad", how="left", maintain_order="left")["risk"]
        expected = _counts(ahead, risk.fill_null(city).to_numpy(), between / city**2, level)
    bins = {"bin": pl.Int32, "pupils": pl.Int32} | dict.fromkeys(
        ("expected_pct", "observed_pct", "observed_lo_pct", "observed_hi_pct"), pl.Float64
    )
    return EarlyWarning(
        expected,
        pl.DataFrame(schema=_METRICS),
        pl.DataFrame(schema=bins),
        pl.DataFrame(schema={"feature": pl.String, "importance": pl.Float64}),
        is_used=False,
        reason_code=reason,
        candidate=None,
    )
