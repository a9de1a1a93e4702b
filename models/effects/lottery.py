"""Grade A: places given by lot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.stats import norm

from models.checks import has_columns, one_row_each
from models.effects.estimate import ALPHA, DETECTABLE_ERRORS, FEW_SCHOOLS, Estimate, widening
from models.effects.least_squares import Undetermined, clustered, dense, independent, within

LEAST = 30  # entrants with an outcome on either side together; below there is no estimate
WEAKEST_TAKE_UP = 0.2  # dose of the drawn less that of the others


def lottery(
    entrants: pl.DataFrame,
    *,
    covariates: Sequence[str] = (),
    placebo: str | None = None,
    cluster: str = "unit",
    seed: int,
    draws: int = 999,
) -> Estimate:
    """Estimate the effect of one response on one subject from places that were drawn by lot (R61).

    In every stratum (one draw) the drawn and the others differ by luck alone. With all columns less
    the mean of their stratum,

        offer:      y = τ·offer + β·x + e              τ = effect of the offer
        taking part: y = θ·dose + β·x + e, dose by offer  θ = τ / (dose of the drawn less of the
            others)

    θ is the effect of full dose on those who take part because they were drawn; it equals the
    effect on all participants where nobody gets in undrawn. Errors are clustered by `cluster`: by
    pupil, who may enter several draws, unless places are filled by groups that share a teacher or a
    year's luck. They are widened by Student's t of the clusters. The p-value deals the places again
    within each draw; where clusters are groups, it turns whole groups' parts of the effect round.

    Doubts: `few_entrants` (no estimate), `weak_take_up` (no effect on participants), `attrition`
    (those who have an outcome are no longer alike), `placebo_fails`, `few_schools` (clusters).

    Attrition is asked twice: whether the drawn and the others lack outcomes in different shares,
    and whether those who have one differ in what was known before the draw. The first widens the
    bias to Lee's bounds, which cut the excess off the side that lost less; the second, where equal
    losses may lie at opposite ends, to Horowitz & Manski's, with every missing outcome at the
    lowest or the highest twentieth of the others.

    Args:
        entrants: one row per entrant and draw: stratum, unit (pupil), is_offered, dose (0 … 1),
            outcome_sd (null = not tested), and the columns named below.
        covariates: known before the draw; a null counts as the mean.
        placebo: column that the draw cannot have changed.
        cluster: column of what shares its luck: the pupil, or a group, class or school.
        seed: of the deals.
        draws: number of deals.

    Returns:
        `Estimate` of grade A; shown_bias_sd by the bounds.

    Raises:
        ValueError: if a column is missing, or an entrant comes twice in one draw.

    Source: Imbens & Angrist (1994); Lin (2013) on covariates; Imbens & Rubin (2015), ch. 5; Lee
    (2009), REStud 76(3); Horowitz & Manski (2000), JASA 95; Canay, Santos & Shaikh (2021), REStat
    103(2), on turning few clusters round.
    """
    named = ["stratum", "unit", cluster, "is_offered", "dose", "outcome_sd", *covariates]
    has_columns(entrants, [*named, *([placebo] if placebo else [])], "entrants")
    one_row_each(entrants, ["stratum", "unit"], "an entrant comes twice in one draw")
    drawn = pl.col("is_offered")
    rows = entrants.sort("stratum", "unit").filter(
        (drawn.any() & ~drawn.all()).over("stratum")  # where all or none got in, nothing was drawn
    )
    known = rows.drop_nulls("outcome_sd")
    known = known.filter((drawn.any() & ~drawn.all()).over("stratum"))
    treated, others = known.filter(drawn).height, known.filter(~drawn).height
    if min(treated, others) < LEAST // 3 or treated + others < LEAST:
        return Estimate(
            "A", treated_pupils=treated, control_pupils=others, doubts=("few_entrants",)
        )
    stratum, unit = dense(known["stratum"]), dense(known[cluster])
    wider = widening(int(unit.max()))
    doubts = {"few_schools"} if unit.max() + 1 < FEW_SCHOOLS else set()
    offer = within(known["is_offered"].cast(pl.Float64).to_numpy(), stratum)
    dose = within(known["dose"].cast(pl.Float64).to_numpy(), stratum)
    outcome = within(known["outcome_sd"].to_numpy(), stratum)
    x = _covariates(known, covariates, stratum)
    lost = np.unique(stratum).size
    try:
        itt, itt_se = clustered(outcome, np.column_stack([offer, x]), unit, lost=lost)
    except Undetermined:  # the covariates tell who was drawn: too few entrants for so many
        return Estimate(
            "A", treated_pupils=treated, control_pupils=others, doubts=("few_entrants",)
        )
    take_up, _ = clustered(dose, np.column_stack([offer, x]), unit, lost=lost)
    held = _offer_effect(known, placebo, covariates, cluster) if placebo else None
    if held is not None and abs(held[0]) > norm.ppf(1 - ALPHA / 2) * held[1]:
        doubts.add("placebo_fails")
    bound = _attrition(rows, known, covariates, cluster)
    if bound:
        doubts.add("attrition")
    is_weak = take_up < WEAKEST_TAKE_UP
    if is_weak:
        doubts.add("weak_take_up")
        effect = error = None
    else:
        effect, error = clustered(
            outcome, np.column_stack([dose, x]), unit, lost=lost, instrument=offer
        )
    return Estimate(
        "A",
        effect_sd=effect,
        effect_se_sd=None if error is None else error * wider,
        itt_sd=itt,
        itt_se_sd=itt_se * wider,
        p_value=(
            _dealt_again(outcome, x, known, stratum, seed, draws)
            if cluster == "unit"
            else _turned_round(outcome, offer, x, unit, seed, draws)
        ),
        treated_pupils=treated,
        control_pupils=others,
        clusters=int(unit.max()) + 1,
        placebo_sd=held[0] if held else None,
        placebo_se_sd=held[1] if held else None,
        mde_sd=None if error is None else DETECTABLE_ERRORS * error * wider,
        shown_bias_sd=bound / max(take_up, WEAKEST_TAKE_UP),
        doubts=tuple(sorted(doubts)),
    )


def _covariates(rows: pl.DataFrame, names: Sequence[str], stratum: np.ndarray) -> np.ndarray:
    """Return covariates less their stratum's mean (nulls at it), without those that follow."""
    x = [
        within(
            rows[name].cast(pl.Float64).fill_null(strategy="mean").fill_null(0.0).to_numpy(),
            stratum,
        )
        for name in sorted(names)
    ]
    return independent(x) if x else np.empty((rows.height, 0))


def _offer_effect(
    rows: pl.DataFrame, column: str, covariates: Sequence[str], cluster: str
) -> tuple[float, float] | None:
    """Return the offer's effect on a column, and its error; None where too few rows tell."""
    drawn = pl.col("is_offered")
    known = rows.drop_nulls(column).filter((drawn.any() & ~drawn.all()).over("stratum"))
    if known.height < LEAST:
        return None
    stratum, group = dense(known["stratum"]), dense(known[cluster])
    offer = within(known["is_offered"].cast(pl.Float64).to_numpy(), stratum)
    x = _covariates(known, [name for name in covariates if name != column], stratum)
    outcome = within(known[column].cast(pl.Float64).to_numpy(), stratum)
    try:
        found, error = clustered(
            outcome, np.column_stack([offer, x]), group, lost=np.unique(stratum).size
        )
    except Undetermined:
        return None
    return found, error * widening(int(group.max()))


def _attrition(
    rows: pl.DataFrame, known: pl.DataFrame, covariates: Sequence[str], cluster: str
) -> float:
    """Return how far the offer's effect may be off for who lacks an outcome; 0 = no sign of it."""
    is_lost = pl.col("outcome_sd").is_null()
    lost = rows.with_columns(is_lost.cast(pl.Float64).alias("lost"))
    if lost["lost"].sum() == 0:
        return 0.0

    def off_zero(found: tuple[float, float] | None, level: float) -> bool:
        return found is not None and found[1] > 0 and abs(found[0]) > norm.isf(level / 2) * found[1]

    apart = _offer_effect(lost, "lost", [], cluster)
    uneven = off_zero(apart, ALPHA)
    before = [name for name in covariates if known[name].n_unique() > 1]
    unbalanced = any(
        off_zero(_offer_effect(known, name, [], cluster), ALPHA / len(before)) for name in before
    )
    if not (uneven or unbalanced):
        return 0.0
    mean = pl.col("outcome_sd").mean().over("stratum", "is_offered")
    own = (known["outcome_sd"] - known.select(mean).to_series()).to_numpy()
    sides, offered = known["is_offered"].to_numpy(), rows["is_offered"].to_numpy()
    kept = np.array([1 - lost["lost"].to_numpy()[offered == one].mean() for one in (True, False)])
    if unbalanced:
        low, high = np.quantile(own, [0.05, 0.95])
        return float(max(-low, high) * (1 - kept).sum())
    # The side that lost less has too many: without its lowest, or its highest.
    fuller = apart is not None and apart[0] < 0
    side = np.sort(own[sides == fuller])
    cut = round(len(side) * (1 - kept.min() / kept.max()))
    return float(max(abs(side[cut:].mean()), abs(side[: len(side) - cut].mean())))


def _turned_round(
    outcome: np.ndarray,
    offer: np.ndarray,
    x: np.ndarray,
    cluster: np.ndarray,
    seed: int,
    draws: int,
) -> float:
    """Return the share of sign changes of whole clusters that make as strong an effect."""
    if x.shape[1]:
        outcome = outcome - x @ np.linalg.lstsq(x, outcome, rcond=None)[0]
        offer = offer - x @ np.linalg.lstsq(x, offer, rcond=None)[0]
    part = np.bincount(cluster, offer * outcome)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (draws, len(part)))
    hits = np.abs(signs @ part) >= abs(part.sum()) * (1 - 1e-12)
    return float((1 + hits.sum()) / (1 + draws))


def _dealt_again(
    outcome: np.ndarray,
    x: np.ndarray,
    rows: pl.DataFrame,
    stratum: np.ndarray,
    seed: int,
    draws: int,
) -> float:
    """Return the share of deals whose studentised difference is at least as large."""
    rest = outcome - x @ np.linalg.lstsq(x, outcome, rcond=None)[0] if x.shape[1] else outcome
    offered = rows["is_offered"].to_numpy()
    rng = np.random.default_rng(seed)
    edges = np.flatnonzero(np.diff(stratum)) + 1

    def strength(dealt: np.ndarray) -> float:
        offer = within(dealt.astype(float), stratum)
        total = offer @ offer
        slope = (offer @ rest) / total
        error = np.sqrt(((offer * (rest - slope * offer)) ** 2).sum()) / total
        return abs(slope) / error

    seen = strength(offered)
    hits = 0
    for _ in range(draws):
        dealt = np.concatenate([rng.permutation(part) for part in np.split(offered, edges)])
        hits += strength(dealt) >= seen - 1e-12
    return (1 + hits) / (1 + draws)
