"""Grade A: places given by lot, and the lot itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.stats import chi2, norm

from models.checks import has_columns, one_row_each
from models.effects.estimate import ALPHA, DETECTABLE_ERRORS, Estimate
from models.effects.least_squares import Undetermined, clustered, dense, independent, within

LEAST = 30  # entrants with an outcome on either side together; below there is no estimate
WEAKEST_TAKE_UP = 0.2  # dose of the drawn less that of the others


def lottery(
    entrants: pl.DataFrame,
    *,
    covariates: Sequence[str] = (),
    placebo: str | None = None,
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
    effect on all participants where nobody gets in undrawn. Errors are clustered by pupil, who may
    enter several draws. The p-value deals the places again within each draw.

    Doubts: `few_entrants` (no estimate), `weak_take_up` (no effect on participants), `attrition`
        (the
    drawn and the others lack an outcome in different shares), `placebo_fails`.

    Args:
        entrants: one row per entrant and draw: stratum, unit (pupil), is_offered, dose (0 … 1),
            outcome_sd (null = not tested), and the columns named below.
        covariates: known before the draw; a null counts as the mean.
        placebo: column that the draw cannot have changed.
        seed: of the deals.
        draws: number of deals.

    Returns:
        `Estimate` of grade A; clusters counts the pupils.

    Raises:
        ValueError: if a column is missing, or an entrant comes twice in one draw.

    Source: Imbens & Angrist (1994); Lin (2013) on covariates; Imbens & Rubin (2015), ch. 5.
    """
    named = ["stratum", "unit", "is_offered", "dose", "outcome_sd", *covariates]
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
    doubts = {"attrition"} if _lost_unevenly(rows) else set()
    stratum, unit = dense(known["stratum"]), dense(known["unit"])
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
    held = _placebo(known, placebo, covariates) if placebo else None
    if held is not None and abs(held[0]) > norm.ppf(1 - ALPHA / 2) * held[1]:
        doubts.add("placebo_fails")
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
        effect_se_sd=error,
        itt_sd=itt,
        itt_se_sd=itt_se,
        p_value=_dealt_again(outcome, x, known, stratum, seed, draws),
        treated_pupils=treated,
        control_pupils=others,
        clusters=int(unit.max()) + 1,
        placebo_sd=held[0] if held else None,
        placebo_se_sd=held[1] if held else None,
        mde_sd=None if error is None else DETECTABLE_ERRORS * error,
        doubts=tuple(sorted(doubts)),
    )


def draw_lottery(
    entrants: pl.DataFrame, places: int, *, seed: int, by: Sequence[str] = ()
) -> pl.DataFrame:
    """Draw places by lot, so that anyone can draw them again from the seed (R63).

    Entrants are put in the order of their ids, so the order of the list decides nothing; a
    permutation by the seed (and the stratum's name) gives everyone the same chance.

    Args:
        entrants: unit (id), and the columns `by`.
        places: places to give, in each stratum if there are strata.
        seed: the registered seed.
        by: columns that make strata.

    Returns:
        the strata, unit, draw_position (1 = first), is_offered, seed; sorted by stratum and
        position.

    Raises:
        ValueError: if an id repeats or is empty, or places is negative.
    """
    if places < 0:
        raise ValueError(f"places must not be negative; got {places}")
    if entrants["unit"].null_count() or entrants["unit"].is_duplicated().any():
        raise ValueError("every entrant needs an id of its own")
    frames = []
    groups = (
        entrants.sort(*by, "unit").group_by(by, maintain_order=True)
        if by
        else [((), entrants.sort("unit"))]
    )
    for name, part in groups:
        rng = np.random.default_rng([seed, *"|".join(map(str, name)).encode()])
        position = rng.permutation(part.height) + 1
        frames.append(
            part.select(*by, "unit")
            .with_columns(
                draw_position=pl.Series(position, dtype=pl.Int32),
                is_offered=pl.Series(position <= places),
                seed=pl.lit(seed, pl.Int64),
            )
            .sort("draw_position")
        )
    return pl.concat(frames)


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


def _placebo(
    rows: pl.DataFrame, placebo: str, covariates: Sequence[str]
) -> tuple[float, float] | None:
    """Return the offer's effect on what it cannot have changed; None where too few rows tell."""
    drawn = pl.col("is_offered")
    known = rows.drop_nulls(placebo).filter((drawn.any() & ~drawn.all()).over("stratum"))
    if known.height < LEAST:
        return None
    stratum, unit = dense(known["stratum"]), dense(known["unit"])
    offer = within(known["is_offered"].cast(pl.Float64).to_numpy(), stratum)
    x = _covariates(known, [name for name in covariates if name != placebo], stratum)
    outcome = within(known[placebo].cast(pl.Float64).to_numpy(), stratum)
    try:
        return clustered(outcome, np.column_stack([offer, x]), unit, lost=np.unique(stratum).size)
    except Undetermined:
        return None


def _lost_unevenly(rows: pl.DataFrame) -> bool:
    """Tell whether the drawn and the others lack an outcome in shares that differ beyond chance."""
    lost = rows.select(
        pl.col("outcome_sd").is_null().cast(pl.Float64).alias("lost"),
        pl.col("is_offered").cast(pl.Float64).alias("offer"),
    )
    if lost["lost"].sum() in (0.0, float(rows.height)):
        return False
    stratum, unit = dense(rows["stratum"]), dense(rows["unit"])
    difference, error = clustered(
        within(lost["lost"].to_numpy(), stratum),
        within(lost["offer"].to_numpy(), stratum)[:, None],
        unit,
        lost=np.unique(stratum).size,
    )
    return bool(chi2.sf((difference / error) ** 2, 1) < ALPHA)


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
