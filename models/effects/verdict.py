"""Red, yellow, green or "insufficient evidence": what a posterior allows to be said (R61, R62)."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.stats import norm

from models.checks import every_row, one_row_each
from models.keys import WHOLE

WORTHWHILE_SD = 0.05  # Kraft (2020): below .05 SD a year an effect is small
_MEANS = ("literature_sd", "prior_se_sd", "effect_sd", "effect_se_sd")
_LOCAL = ("local_sd", "local_se_sd", "local_luck_sd")


def verdicts(
    posterior: pl.DataFrame,
    targets: pl.DataFrame,
    *,
    side_effects: pl.DataFrame | None = None,
    worthwhile_sd: float = WORTHWHILE_SD,
    sure: float = 0.80,
    own_error: float = 0.10,
    least_information: float = 0.25,
    level: float = 0.90,
) -> pl.DataFrame:
    """Return what can be said of each response against the goal it was chosen for.

    With the posterior θ ~ N(effect, se²), the local estimate θ̂ with error e (bias included), δ =
    worthwhile_sd, and the information 1 - se²/prior_se² = the share of the prior's variance that
    the city's own data removed, the first rule that holds decides:

        insufficient_evidence  not_measured        there is no local estimate
                               weak_design         it rests on a few schools that may have been
                               lucky little_information  information < least_information:
                               essentially the prior
        not_effective (red)    below_worthwhile    P(θ > δ) ≤ 1 - sure, θ̂ < δ, and the interval
        does not
                                                   reach from a harm (-δ) to a worthwhile effect (δ)
        very_effective (green) worthwhile          P(θ > δ) ≥ sure and θ̂ is shown to be positive
        fairly_effective       positive            P(θ > 0) ≥ sure and θ̂ is shown to be positive
        insufficient_evidence  wide                the interval reaches from -δ to δ
                               undecided           none of these

    θ̂ is shown to be positive if θ̂ / e ≥ z(1 - own_error), and by luck alone (e without bias) θ̂ /
    e ≥ z(1 - own_error / 2). No prior can stand in for that: without any effect and any bias a
    response is called effective in half of `own_error` at most, whatever the literature says of it,
    and with as much bias as its design is charged with in about `own_error`.

    The row "all" holds the verdict: the mean over the response's target subjects. How the subjects'
    errors move together is unknown (the same pupils, studies and faults of the design), so the
    error of the mean is the mean of the errors, as if they moved as one: none is larger. The rows
    of single subjects show where it comes from; neither a subject nor a group of pupils is called
    effective where the whole (group "all") has insufficient evidence: of several parts one often
    stands out by luck. Subjects that are no target are shown beside it and
    judge nothing: as side effects where the response may well change them, else as placebos.

    Args:
        posterior: rows of `combine`: response_id, subject, prior_sd, prior_se_sd,
            transport_discount, local_sd, local_se_sd, local_luck_sd, design_grade, is_weak,
            effect_sd, effect_se_sd; with group_id, each pupil group has its own verdict.
        targets: response_id, subject: what each response was chosen to improve.
        side_effects: response_id, subject: what it may change as well; those are no placebos.
        worthwhile_sd: smallest effect worth its place, pupil SD per year (≥ 0).
        sure: probability that counts as sure.
        own_error: how often a response without any effect may seem to have one.
        least_information: least share of the prior's variance that local data must have removed.
        level: probability of the interval.

    Returns:
        response_id (group_id), subject ("all" first), is_target, subjects (targets the row stands
        for; an effect is the mean of those with a posterior), subjects_measured, literature_sd (the
        discounted prior), prior_se_sd, local_sd, local_se_sd (over the measured subjects),
        design_grade (the weakest of them; E = none), effect_sd, effect_se_sd, effect_lo_sd,
        effect_hi_sd, p_positive, p_worthwhile, information_pct, verdict, verdict_reason (both null
        where the subject is no target), is_effective (green or yellow), is_placebo_moved (a
        placebo's local estimate is off zero at .05, two-sided, divided by their
        number: a doubt about the design, or a by-effect); sorted by response, group and subject. A
        response without targets, or whose targets have no posterior, is `not_measured`.

    Raises:
        ValueError: if a key repeats, a threshold is out of range, or an error is not positive.

    Source: R61, R62, R65; domain_methods §2d; Kraft (2020).
    """
    if not (worthwhile_sd >= 0 and 0.5 < sure < 1 and 0 < own_error < 0.5 and 0 < level < 1):
        raise ValueError(
            "worthwhile_sd must be at least 0, sure between .5 and 1, own_error below .5, level"
            " between 0 and 1"
        )
    key = ["response_id", *(["group_id"] if "group_id" in posterior.columns else [])]
    single = _singles(posterior, targets, key)
    chosen = single.filter("is_target")
    silent = single.select(key).unique().join(chosen, on=key, how="anti", nulls_equal=True)
    means = pl.concat(
        [
            chosen.group_by(key, maintain_order=True).agg(
                pl.len().cast(pl.Int32).alias("subjects"),
                pl.col("subjects_measured").sum(),
                *(pl.col(name).mean() for name in (*_MEANS, *_LOCAL)),
                pl.col("design_grade")
                .filter(pl.col("local_sd").is_not_null())
                .max()
                .fill_null("E"),
                pl.col("is_weak").any(),
            ),
            silent.with_columns(
                pl.lit(0, pl.Int32).alias("subjects"),
                pl.lit(0, pl.Int32).alias("subjects_measured"),
                pl.lit("E").alias("design_grade"),
            ),
        ],
        how="diagonal",
    ).with_columns(pl.lit(WHOLE).alias("subject"), pl.lit(True).alias("is_target"))
    rows = pl.concat([means, single], how="diagonal").with_columns(
        (1 - (pl.col("effect_se_sd") / pl.col("prior_se_sd")) ** 2).alias("information"),
        (pl.col("effect_sd") - norm.ppf(0.5 + level / 2) * pl.col("effect_se_sd")).alias(
            "effect_lo_sd"
        ),
        (pl.col("effect_sd") + norm.ppf(0.5 + level / 2) * pl.col("effect_se_sd")).alias(
            "effect_hi_sd"
        ),
    )
    rows = rows.with_columns(
        _above(rows, 0.0, "p_positive"), _above(rows, worthwhile_sd, "p_worthwhile")
    )
    is_positive = (
        (pl.col("local_sd") >= norm.ppf(1 - own_error) * pl.col("local_se_sd"))
        & (pl.col("local_sd") >= norm.ppf(1 - own_error / 2) * pl.col("local_luck_sd"))
        & (pl.col("p_positive") >= sure)
    )
    is_wide = (pl.col("effect_lo_sd") <= -worthwhile_sd) & (pl.col("effect_hi_sd") >= worthwhile_sd)
    is_below = (pl.col("p_worthwhile") <= 1 - sure) & (pl.col("local_sd") < worthwhile_sd)
    reason = (
        pl.when(~pl.col("is_target"))
        .then(None)
        .when(pl.col("local_sd").is_null())
        .then(pl.lit("not_measured"))
        .when("is_weak")
        .then(pl.lit("weak_design"))
        .when(pl.col("information") < least_information)
        .then(pl.lit("little_information"))
        .when(is_below & ~is_wide)
        .then(pl.lit("below_worthwhile"))
        .when(is_positive & (pl.col("p_worthwhile") >= sure))
        .then(pl.lit("worthwhile"))
        .when(is_positive)
        .then(pl.lit("positive"))
        .when(is_wide)
        .then(pl.lit("wide"))
        .otherwise(pl.lit("undecided"))
    )
    whole = pl.col("subject") == WHOLE
    colours = {
        "below_worthwhile": "not_effective",
        "positive": "fairly_effective",
        "worthwhile": "very_effective",
    }
    if side_effects is None:
        side_effects = targets.clear()
    is_side = pl.struct("response_id", "subject").is_in(
        side_effects.select(pl.struct("response_id", "subject")).to_series().implode()
    )
    placebo = ~pl.col("is_target") & ~is_side & pl.col("local_sd").is_not_null()
    cut = 1 - 0.05 / (2 * placebo.sum().over(key).clip(1))
    strength = (pl.col("local_sd") / pl.col("local_se_sd")).abs()
    return (
        rows.with_columns(reason.alias("verdict_reason"), cut.alias("cut"))
        .with_columns(_no_better_than(whole, key).alias("verdict_reason"))
        .with_columns(
            _no_better_than(whole & (pl.col("group_id") == WHOLE), ["response_id"])
            if "group_id" in key
            else pl.col("verdict_reason")
        )
        .with_columns(
            pl.when(pl.col("verdict_reason").is_not_null())
            .then(pl.col("verdict_reason").replace_strict(colours, default="insufficient_evidence"))
            .alias("verdict"),
            (placebo & (strength > pl.col("cut").map_batches(_quantile, return_dtype=pl.Float64)))
            .fill_null(False)
            .alias("is_placebo_moved"),
            (100 * pl.col("information")).alias("information_pct"),
        )
        .with_columns(
            pl.col("verdict").is_in(["fairly_effective", "very_effective"]).alias("is_effective")
        )
        .sort(*key, pl.col("subject") != WHOLE, "subject")
        .select(
            *key,
            "subject",
            "is_target",
            "subjects",
            "subjects_measured",
            "literature_sd",
            "prior_se_sd",
            "local_sd",
            "local_se_sd",
            "design_grade",
            "effect_sd",
            "effect_se_sd",
            "effect_lo_sd",
            "effect_hi_sd",
            "p_positive",
            "p_worthwhile",
            "information_pct",
            "verdict",
            "verdict_reason",
            "is_effective",
            "is_placebo_moved",
        )
    )


def _singles(posterior: pl.DataFrame, targets: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Return the posterior's rows in order, each marked as target or placebo."""
    by = [*key, "subject"]
    one_row_each(posterior, by, f"an effect is given twice for one {', '.join(by)}")
    one_row_each(
        targets, ["response_id", "subject"], "a target is given twice for one response and subject"
    )
    known = pl.all_horizontal(pl.col("effect_se_sd", "prior_se_sd") > 0)
    known &= pl.col("local_sd").is_null() | (pl.col("local_se_sd") > 0).fill_null(False)
    every_row(posterior, known, "effects without a positive error", key=by)
    # A target without any posterior is a row, too: not measured, not forgotten.
    places = posterior.select(key).unique()
    wanted = targets.select("response_id", "subject").join(places, on="response_id", how="left")
    is_measured = pl.col("local_sd").is_not_null()
    return (
        posterior.join(
            wanted.with_columns(pl.lit(True).alias("is_target")), on=by, how="full", coalesce=True
        )
        .sort(by)
        .select(
            *by,
            pl.col("is_target").fill_null(False),
            pl.lit(1, pl.Int32).alias("subjects"),
            is_measured.cast(pl.Int32).alias("subjects_measured"),
            (pl.col("prior_sd") * pl.col("transport_discount")).alias("literature_sd"),
            "prior_se_sd",
            "local_sd",
            # An error without an estimate must not enter the mean of the errors.
            pl.when(is_measured).then("local_se_sd").alias("local_se_sd"),
            pl.when(is_measured).then("local_luck_sd").alias("local_luck_sd"),
            pl.when(is_measured).then("design_grade").otherwise(pl.lit("E")).alias("design_grade"),
            (is_measured & pl.col("is_weak")).fill_null(False).alias("is_weak"),
            "effect_sd",
            "effect_se_sd",
        )
    )


def _no_better_than(whole: pl.Expr, key: list[str]) -> pl.Expr:
    """Return the reasons, where no part is effective beside a whole that is not shown to be."""
    reason = pl.col("verdict_reason")
    shown = ["positive", "worthwhile"]
    of_whole = reason.filter(whole).first().over(key)
    is_lone = reason.is_in(shown) & ~of_whole.is_in([*shown, "below_worthwhile"])
    return (
        pl.when(is_lone.fill_null(False))
        .then(pl.lit("undecided"))
        .otherwise(reason)
        .alias("verdict_reason")
    )


def _above(rows: pl.DataFrame, least: float, name: str) -> pl.Series:
    """Return P(effect > least) of each row; null where there is no effect."""
    z = rows.select((pl.col("effect_sd") - least) / pl.col("effect_se_sd")).to_series()
    return pl.Series(name, norm.cdf(z.cast(pl.Float64).to_numpy())).fill_nan(None)


def _quantile(p: pl.Series) -> pl.Series:
    return pl.Series(norm.ppf(np.asarray(p.to_numpy(), dtype=float)))
