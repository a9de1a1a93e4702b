"""Grade D: who starts a response, against other pupils of the same school and grade."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import polars.selectors as cs
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from models.checks import every_row, has_columns, one_row_each
from models.effects.contrast import LEAST, Fit, any_known, fit_effect
from models.effects.crossfit import MOST_DRAWS
from models.effects.estimate import ALPHA, DETECTABLE_ERRORS, FEW_SCHOOLS, Estimate, widening
from models.effects.least_squares import dense

KEY = ["pupil_id", "school_year"]
CELL = ["semel_mosad", "grade", "school_year"]
MOST_LOST = 0.1  # of participants, for want of a comparison
MOST_WITHOUT_PRIOR = 1 / 3  # of participants
MOST_IMBALANCE_SD = 0.25  # of a covariate, after weighting (Rubin 2001)


@threadpool_limits.wrap(limits=1)  # the same sums however many cores there are
def matched(
    pupils: pl.DataFrame,
    *,
    covariates: Sequence[str],
    priors: Sequence[str],
    earlier: Sequence[str] = (),
    placebos: Sequence[str] = (),
    groups: Sequence[str] = (),
    cluster: str | None = None,
    seed: int,
    most_draws: int = MOST_DRAWS,
) -> Estimate:
    """Estimate the effect of one response on one subject on the pupils who start it (grade D, R61).

    With free outcome F = Y − Σ β_k W_k (`measured_error`: earlier scores take ability out),
    covariates X, cells c = school × grade × year, participants' dose d and weights w of comparison
    pupils, which are their odds to take part, scaled to one in each cell:

        effect = Σ_c Σ_{participants of c} (r_i − Σ_{others of c} w_j r_j) / Σ d_i,   r = F − f(X)

    f (ridge) and the odds (logistic) know squares and products of X, are learned on other pupils
    than they are used on, and within cells: what a school, grade and year shares cancels. The
    estimate is right if either f or the odds are (AIPW for the effect on the treated), given that
    ability acts linearly. Pupils of other schools help to learn β and f and are compared with
    nobody.

    *Dose*: effects are taken as proportional to dose; the result is per full dose. *Earlier years*:
    an effect lasting from last year sits in W as well, so only pupils who never took part before
    count, on both sides; continuers tell half an effect at best (fade-out). *Error*: the response
    is given pupil by pupil within schools, so pupils (all years of one together) are the
    independent units, however few schools there are; β's error is in it. What schools' effects
    differ by is not.

    *Groups*: β, f and the odds are those of all pupils; participants of a group are then compared
    with others of the group in their cell, and those outside it likewise. The difference holds no
    bias that both share. (An estimate within the group alone learns β from too few pupils of too
    narrow a range.)

    *Doubts*: `few_treated` (under 30 participants with a comparison, or to compare: no estimate),
    `prior_uncorrectable` (no second score tells of the first: no estimate, since its bias would
    exceed most effects), `prior_missing` (over a third of the participants have no prior),
    `poor_overlap` (over a tenth has no comparison, or the weights leave fewer than 30 comparison
    pupils' worth), `unbalanced` (a covariate stays .25 SD apart), `no_placebo`, `placebo_fails`,
    `chosen_by_score` (estimates by last year's and by earlier scores differ: pupils were chosen by
    last year's test itself, whose bad luck would pass for an effect; the estimate then rests on the
    earlier scores, with last year's as instruments, and on pupils who have both),
    `first_years_only` (most participants are continuers).

    Args:
        pupils: one row per pupil and year: pupil_id, school_year, semel_mosad, grade, dose (0 … 1;
            null = unknown, left out), dose_before (largest dose of this response in any earlier
            year; null = unknown, left out), outcome_sd (null = not tested), and the columns named
            below. Only pupils who could have been chosen; pupils admitted by lottery or threshold
            belong to grades A and B.
        covariates: numeric or yes/no columns from before the response (nurture decile, sex,
            integration, immigrant, last year's absence, doses of other responses); a null is marked
            as such.
        priors: last year's scores in pupil SD, of any subject; null = none. Empty only where
            earlier outcomes are measured without error and stand among the covariates.
        earlier: scores of the years before, in pupil SD, to learn how exact the priors are and
            whether pupils were chosen by them. Without them the latter cannot be seen.
        placebos: what the response cannot have changed: an untaught subject's score of this year,
            or one of the priors (then left out of them). The one farthest from zero, in its errors,
            is reported. Scores that serve as instruments, and the only prior, are not tried.
        groups: yes/no columns of groups of pupils; a group with under 30 participants or comparison
            pupils, inside it or outside, is left out.
        cluster: column of what shares its luck, such as a class or school, if not each pupil; the
            error is widened by Student's t of the clusters.
        seed: of the folds.
        most_draws: how often the folds are drawn at most and the estimates averaged; with hundreds
            of participants one or two draws change an effect by less than a tenth of its error.

    Returns:
        `Estimate` of grade D. treated_pupils start and have a comparison (without an estimate: all
        who start); control_pupils are of their cells; clusters are pupils, who may be both in turn.

    Raises:
        ValueError: if a column is missing or not numeric, a key or a cell is empty, a pupil appears
            twice in a year, a dose is outside 0 … 1, or a score or covariate is not finite.

    Source: R61; domain_methods §2d; Robins, Rotnitzky & Zhao (1994); Chernozhukov et al. (2018);
    Abadie, Athey, Imbens & Wooldridge (2023) on the level of clustering.
    """
    named = [*covariates, *priors, *earlier, *placebos, *groups]
    has_columns(pupils, [cluster] if cluster else [], "pupils")
    known = _checked(pupils, named)
    took_part = known.filter(pl.col("dose") > 0, pl.col("outcome_sd").is_not_null())
    rows = known.filter(pl.col("dose_before") == 0)

    def fit(
        outcome: str,
        scores: Sequence[str],
        instruments: Sequence[str],
        of: pl.DataFrame = rows,
        by: Sequence[str] = (),
    ) -> Fit | str:
        return fit_effect(
            of,
            outcome,
            sorted(covariates),
            sorted(scores),
            sorted(instruments),
            seed,
            most_draws,
            by,
        )

    doubts = set()
    scores, instruments = priors, earlier
    both = rows.filter(any_known(priors) & any_known(earlier)) if priors and earlier else None
    if both is not None and _chosen_by_score(fit, both, priors, earlier):
        doubts.add("chosen_by_score")
        scores, instruments = earlier, priors
    main = fit("outcome_sd", scores, instruments, by=groups)
    starters = took_part.filter(pl.col("dose_before") == 0)
    with_score = starters.filter(any_known(scores)) if scores else starters
    if isinstance(main, str):
        return Estimate(
            "D",
            treated_pupils=starters["pupil"].n_unique(),
            doubts=tuple(sorted(doubts | {main})),
        )
    if 2 * starters.height < took_part.height:
        doubts.add("first_years_only")
    if with_score.height < (1 - MOST_WITHOUT_PRIOR) * starters.height:
        doubts.add("prior_missing")
    if main.lost_share > MOST_LOST or main.worth < LEAST:
        doubts.add("poor_overlap")
    if main.imbalance_sd > MOST_IMBALANCE_SD:
        doubts.add("unbalanced")

    # What pupils were chosen by differs between them, response or not: an instrument is no placebo.
    tried = [
        fit(name, sorted(set(scores) - {name}), instruments)
        for name in sorted(set(placebos) - set(instruments))
        if set(scores) != {name}  # nothing would be left to take ability out with
    ]
    held = [placebo for placebo in tried if isinstance(placebo, Fit)]
    worst = max(held, key=lambda placebo: abs(placebo.effect) / placebo.error, default=None)
    if worst is None:
        doubts.add("no_placebo")
    elif abs(worst.effect) > norm.ppf(1 - ALPHA / (2 * len(held))) * worst.error:
        doubts.add("placebo_fails")

    error = main.error
    if cluster:
        luck = rows.sort("pupil").unique("pupil", keep="first", maintain_order=True)
        group = dense(luck[cluster])
        summed = np.bincount(group, main.influence[luck["pupil"].to_numpy()])
        summed = summed[summed != 0]
        error = float(np.sqrt((summed**2).sum() * summed.size / max(summed.size - 1, 1)))
        error *= widening(summed.size - 1)
        if summed.size < FEW_SCHOOLS:
            doubts.add("few_schools")
    return Estimate(
        "D",
        effect_sd=main.effect,
        effect_se_sd=error,
        treated_pupils=main.treated,
        control_pupils=main.controls,
        clusters=main.pupils,
        placebo_sd=worst.effect if worst else None,
        placebo_se_sd=worst.error if worst else None,
        mde_sd=DETECTABLE_ERRORS * error,
        doubts=tuple(sorted(doubts)),
        groups=main.groups,
    )


def _chosen_by_score(
    fit: Callable[..., Fit | str],
    both: pl.DataFrame,
    priors: Sequence[str],
    earlier: Sequence[str],
) -> bool:
    """Tell whether last year's scores as W and as Z give different effects on the same pupils.

    Pupils chosen by a test have bad luck in it. As W that luck is taken for ability and the effect
    comes out too high; as the instrument Z it does no harm. Chosen by ability alone, both agree.
    """
    forth = fit("outcome_sd", priors, earlier, both)
    back = fit("outcome_sd", earlier, priors, both)
    if isinstance(forth, str) or isinstance(back, str):
        return False
    error = float(np.sqrt(((forth.influence - back.influence) ** 2).sum()))
    return abs(forth.effect - back.effect) > norm.ppf(1 - ALPHA / 2) * error


def _checked(pupils: pl.DataFrame, named: Sequence[str]) -> pl.DataFrame:
    """Return the rows whose participation is known, in a fixed order, numbered by pupil."""
    needed = [*KEY, "semel_mosad", "grade", "dose", "dose_before", "outcome_sd", *named]
    has_columns(pupils, needed, "pupils")
    values = sorted({"dose", "dose_before", "outcome_sd", *named})
    numeric = pupils.select(values).select(cs.numeric() | cs.boolean()).columns
    if odd := sorted(set(values) - set(numeric)):
        raise ValueError(f"columns must be numbers or yes/no: {', '.join(odd)}")
    every_row(
        pupils,
        pl.all_horizontal(pl.col(*KEY, *CELL[:2]).is_not_null()),
        "pupil_id, school_year, semel_mosad and grade must not be empty",
    )
    one_row_each(pupils, KEY, "a pupil appears more than once in a school year")
    rows = pupils.sort(KEY).with_columns(pl.col(values).cast(pl.Float64))
    finite = rows.select(pl.col(values).is_finite().fill_null(True).all()).row(0, named=True)
    if infinite := [name for name, fine in finite.items() if not fine]:
        raise ValueError(f"columns hold values that are no finite numbers: {', '.join(infinite)}")
    every_row(
        rows,
        pl.all_horizontal(pl.col("dose", "dose_before").fill_null(0).is_between(0, 1)),
        "a dose or dose_before is outside 0 … 1",
    )
    return rows.drop_nulls(["dose", "dose_before"]).with_columns(
        pl.col("pupil_id").rle_id().cast(pl.Int64).alias("pupil"),  # the rows are sorted by it
        (pl.concat_str(CELL, separator="|").rank("dense") - 1).cast(pl.Int64).alias("cell"),
    )
