"""Does the money go where the effect is, and do people see it: alignment reports (R65, R66)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl
from scipy.stats import norm

from models.checks import every_row, one_row_each
from models.effects.agreement import LEVELS, SCORES, UNIT
from models.effects.cost import KINDS
from models.keys import WHOLE

_MIDDLE = 2.0  # the middle of the scale of ratings 1 to 3
_EVEN = 1e-9


def alignment(
    verdicts: pl.DataFrame,
    money: pl.DataFrame,
    *,
    basis: Literal["plan", "actual"] = "plan",
    kinds: Sequence[str] = KINDS,
) -> pl.DataFrame:
    """Return every response's money beside its effect: quadrant, and what to look at first.

    Each kind of money (the municipality's own, which is what the plan can move, then all of it,
    Gefen, and separate) is looked at apart. Money is big from the median of the responses that have
    any of that kind. Money at risk is what is expected to buy no worthwhile effect: amount × (1 -
    P(effect > worthwhile)); where nothing is known of the effect, all of it. Big money comes first,
    and in it the most money at risk.

    Args:
        verdicts: rows of `verdicts` of all pupils (those of subject "all" are read).
        money: rows of `response_money` of one year.
        basis: planned or actual amounts.
        kinds: kinds of money of `response_money`, in the order wanted.

    Returns:
        money_kind, place (1 = first to look at, within the kind), response_id, amount_agorot,
        money_cut_agorot (the median, rounded down), is_big_money, effect_sd, effect_lo_sd,
        effect_hi_sd, p_worthwhile, verdict, verdict_reason, quadrant (`big` or `small` with
        `effective`, `not_effective` or `insufficient_evidence`), money_at_risk_agorot, is_flagged
        (big money without an effect shown). Responses without money of a kind are left out of it;
        one without a verdict counts as not measured.

    Raises:
        ValueError: if a response repeats.

    Source: R65.
    """
    effects = _whole_effects(verdicts)
    one_row_each(money, "response_id", "money has several rows of one response; pass one year")
    named = {"not_effective": "not_effective", "insufficient_evidence": "insufficient_evidence"}
    frames = []
    for kind in kinds:
        spent = money.select(
            pl.lit(kind).alias("money_kind"),
            "response_id",
            pl.col(f"{kind}_{basis}_agorot").cast(pl.Int64).alias("amount_agorot"),
        ).filter(pl.col("amount_agorot") > 0)
        joined = spent.join(effects, on="response_id", how="left").with_columns(
            pl.col("amount_agorot").median().floor().cast(pl.Int64).alias("money_cut_agorot"),
            (pl.col("amount_agorot") >= pl.col("amount_agorot").median()).alias("is_big_money"),
            pl.col("verdict").fill_null("insufficient_evidence"),
            pl.col("verdict_reason").fill_null("not_measured"),
            pl.col("is_effective").fill_null(False),
            (pl.col("amount_agorot") * (1 - pl.col("p_worthwhile").fill_null(0.0)))
            .round()
            .cast(pl.Int64)
            .alias("money_at_risk_agorot"),
        )
        frames.append(
            joined.sort(
                "is_big_money",
                "money_at_risk_agorot",
                "amount_agorot",
                "response_id",
                descending=[True, True, True, False],
            ).with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int32).alias("place"))
        )
    size = pl.when(pl.col("is_big_money")).then(pl.lit("big_")).otherwise(pl.lit("small_"))
    shown = pl.col("verdict").replace_strict(named, default="effective")
    return pl.concat(frames).select(
        "money_kind",
        "place",
        "response_id",
        "amount_agorot",
        "money_cut_agorot",
        "is_big_money",
        "effect_sd",
        "effect_lo_sd",
        "effect_hi_sd",
        "p_worthwhile",
        "verdict",
        "verdict_reason",
        (size + shown).alias("quadrant"),
        "money_at_risk_agorot",
        (pl.col("is_big_money") & ~pl.col("is_effective")).alias("is_flagged"),
    )


def money_follows_effect(
    verdicts: pl.DataFrame,
    money: pl.DataFrame,
    *,
    seed: int,
    basis: Literal["plan", "actual"] = "plan",
    kinds: Sequence[str] = KINDS,
    draws: int = 4000,
    level: float = 0.90,
) -> pl.DataFrame:
    """Return the rank correlation of money and effect, with an interval that knows both doubts.

    Kendall's τ_b of amount and effect. In each draw the effects are drawn from their posterior, and
    for the interval the responses are drawn again with replacement: neither the ranks of uncertain
    effects nor a dozen responses are firm. The estimate is the mean of τ over the posterior; the τ
    of the posterior means alone would pretend that their order were known. Doubtful effects draw it
    towards 0; the 90 % interval of 12 responses held the true τ in .90 of cases and more.

    Args:
        verdicts, money, basis, kinds: as for `alignment`.
        seed: seed of the draws.
        draws: number of draws.
        level: probability of the interval.

    Returns:
        money_kind, kendall_tau (1 = the more effect the more money, 0 = no relation),
        kendall_tau_lo, kendall_tau_hi, responses (with money of the kind and an effect). Fewer than
        four responses, or the same money for all: null.

    Raises:
        ValueError: as for `alignment`.

    Source: R65; Kendall (1945).
    """
    laid = alignment(verdicts, money, basis=basis, kinds=kinds)
    effects = _whole_effects(verdicts).select("response_id", "effect_se_sd")
    rows: list[tuple] = []
    for kind in kinds:
        own = (
            laid.filter((pl.col("money_kind") == kind) & pl.col("effect_sd").is_not_null())
            .join(effects, on="response_id", how="left")
            .sort("response_id")
        )
        n, amount = own.height, own["amount_agorot"].to_numpy()
        if n < 4 or own["amount_agorot"].n_unique() == 1:
            rows.append((kind, None, None, None, n))
            continue
        rng = np.random.default_rng([seed, *kind.encode()])
        drawn = rng.normal(own["effect_sd"], own["effect_se_sd"], (draws, n))
        tau = _kendall(amount, drawn, np.ones((draws, n)))
        again = _kendall(amount, drawn, rng.multinomial(n, np.full(n, 1 / n), draws))
        lo, hi = np.nanquantile(again, [0.5 - level / 2, 0.5 + level / 2])
        rows.append((kind, float(tau.mean()), float(lo), float(hi), n))
    return pl.DataFrame(
        rows,
        schema={
            "money_kind": pl.String,
            "kendall_tau": pl.Float64,
            "kendall_tau_lo": pl.Float64,
            "kendall_tau_hi": pl.Float64,
            "responses": pl.Int32,
        },
        orient="row",
    )


def perceived(
    ratings: pl.DataFrame,
    verdicts: pl.DataFrame,
    *,
    seed: int,
    draws: int = 4000,
    sure: float = 0.90,
    likely: float = 0.80,
    least_information: float = 0.25,
    level: float = 0.90,
) -> pl.DataFrame:
    """Return where what people see of a response and what is estimated of it part ways.

    Both are put on one scale, over the responses that have both: z = (value - mean) / SD. Both are
    uncertain, so it is done in each of `draws` draws: shares of the colours ~ Dirichlet(counts +
    1/3), effects ~ their posterior. d = z perceived - z estimated. Listed are

        liked_no_effect     P(mean rating > 2) ≥ sure, P(d > 0) ≥ sure, and no effect is shown
        liked_not_examined  the same, but nobody looked: no local estimate
        disliked_effective  P(mean rating < 2) ≥ sure, P(d < 0) ≥ sure, an effect is likely here too
        disliked_promising  the same, but likely by literature and data together only

    "No effect is shown" is a verdict of red or insufficient evidence: it does not say there is
    none. "Likely" is P(effect > 0) ≥ `likely` by literature and local data together, "here too"
    also by the local data alone, which must have told something: enough to look again at what
    people dislike, not enough for a verdict. What only the literature promises is a question to
    those who saw it here, and no doubt of what they saw.

    Args:
        ratings: response_id, goal_id, role, red_raters, yellow_raters, green_raters.
        verdicts: rows of `verdicts` of all pupils (those of subject "all" are read).
        seed: seed of the draws.
        draws: number of draws.
        sure: probability that counts as sure; about 1 - sure of the listed may be wrong.
        likely: probability of a positive effect that makes disliking it worth a second look.
        least_information: least share of the prior's variance that local data must have removed.
        level: probability of the intervals.

    Returns:
        response_id, goal_id, raters, rating_mean (1 to 3), rating_mean_lo, rating_mean_hi,
        effect_sd, effect_lo_sd, effect_hi_sd, verdict, verdict_reason, perceived_z, estimated_z,
        difference_z, difference_z_lo, difference_z_hi, p_liked, p_overrated (P(d > 0)), perception
        (one of the lists, or `no_conflict`); the lists first, then by the size of the difference.
        With fewer than three responses nothing is returned.

    Raises:
        ValueError: if a response repeats.

    Source: R66.
    """
    counted = ratings.group_by(UNIT).agg(pl.col(LEVELS).sum()).sort(UNIT)
    both = (
        counted.join(_whole_effects(verdicts), on="response_id", how="left", maintain_order="left")
        .filter(pl.col("effect_sd").is_not_null() & (pl.sum_horizontal(LEVELS) > 0))
        .with_columns(pl.sum_horizontal(LEVELS).cast(pl.Int32).alias("raters"))
    )
    if both.height < 3:
        both = both.clear()
    rng = np.random.default_rng(seed)
    counts = both.select(LEVELS).to_numpy().astype(float)
    shares = rng.standard_gamma(counts + 1 / len(LEVELS), (draws, *counts.shape))
    seen = shares @ SCORES / shares.sum(axis=2)
    # One draw per response: two goals of one response share its effect.
    code = (both["response_id"].rank("dense") - 1).cast(pl.Int64).to_numpy()
    noise = rng.standard_normal((draws, int(code.max(initial=-1)) + 1))[:, code]
    estimated = both["effect_sd"].to_numpy() + noise * both["effect_se_sd"].to_numpy()
    z_seen, z_estimated = _standardised(seen), _standardised(estimated)
    part = z_seen - z_estimated
    ends = [0.5 - level / 2, 0.5 + level / 2]
    rating, difference = (np.quantile(values, ends, axis=0) for values in (seen, part))
    likelihood = norm.cdf(both["effect_sd"].to_numpy() / both["effect_se_sd"].to_numpy())
    liked, overrated = (seen > _MIDDLE).mean(axis=0), (part > 0).mean(axis=0)
    shown = pl.col("is_effective")
    shown_here = pl.col("information_pct") >= 100 * least_information
    shown_here &= pl.col("local_sd") >= norm.ppf(likely) * pl.col("local_se_sd")
    return (
        both.with_columns(
            pl.Series("rating_mean", counts @ SCORES / np.maximum(counts.sum(axis=1), 1)),
            pl.Series("rating_mean_lo", rating[0]),
            pl.Series("rating_mean_hi", rating[1]),
            pl.Series("perceived_z", z_seen.mean(axis=0)),
            pl.Series("estimated_z", z_estimated.mean(axis=0)),
            pl.Series("difference_z", part.mean(axis=0)),
            pl.Series("difference_z_lo", difference[0]),
            pl.Series("difference_z_hi", difference[1]),
            pl.Series("p_liked", liked),
            pl.Series("p_overrated", overrated),
            pl.Series("p_positive", likelihood),
        )
        .with_columns(
            pl.when((pl.col("p_liked") >= sure) & (pl.col("p_overrated") >= sure) & ~shown)
            .then(
                pl.when(pl.col("verdict_reason") == "not_measured")
                .then(pl.lit("liked_not_examined"))
                .otherwise(pl.lit("liked_no_effect"))
            )
            .when(
                (pl.col("p_liked") <= 1 - sure)
                & (pl.col("p_overrated") <= 1 - sure)
                & (pl.col("p_positive") >= likely)
            )
            .then(
                pl.when(shown_here)
                .then(pl.lit("disliked_effective"))
                .otherwise(pl.lit("disliked_promising"))
            )
            .otherwise(pl.lit("no_conflict"))
            .alias("perception")
        )
        .sort(pl.col("perception") == "no_conflict", -pl.col("difference_z").abs(), *UNIT)
        .select(
            *UNIT,
            "raters",
            "rating_mean",
            "rating_mean_lo",
            "rating_mean_hi",
            "effect_sd",
            "effect_lo_sd",
            "effect_hi_sd",
            "verdict",
            "verdict_reason",
            "perceived_z",
            "estimated_z",
            "difference_z",
            "difference_z_lo",
            "difference_z_hi",
            "p_liked",
            "p_overrated",
            "perception",
        )
    )


def placement(
    served: pl.DataFrame,
    need: pl.DataFrame,
    *,
    seed: int,
    margin: float = 0.0,
    draws: int = 10_000,
    level: float = 0.90,
) -> pl.DataFrame:
    """Return whether each response sits in schools of lower need than those it leaves out.

    The schools are all there are, so the difference of their mean needs is a fact but for the error
    of each school's need: the interval holds that error alone (independent between schools).
    Another question is whether the choice of schools was more than chance: `p_by_lot` is the share
    of random choices of as many schools with a mean need as low, (1 + hits) / (1 + draws). Two
    schools are soon of low need by lot; the response is still where the need is not.

    Args:
        served: response_id, semel_mosad, is_served: the schools that could have the response (leave
            out those that its rule does not admit).
        need: semel_mosad, need (any measure, higher = more need), need_se (0 = registered, no
            error).
        seed: seed of the random choices.
        margin: smallest difference that matters, in units of need.
        draws: number of random choices.
        level: probability of the interval.

    Returns:
        response_id, schools_served, schools_not_served, need_served, need_not_served (means),
        need_difference (served less not), need_difference_lo, need_difference_hi, p_by_lot,
        is_regressive (need_difference_hi < -margin); sorted by response. Served everywhere or
        nowhere: no difference. Schools of unknown need are left out and counted in
        schools_without_need.

    Raises:
        ValueError: if a key repeats, or an error is missing or negative.

    Source: R65, R85; synthetic_city §2.
    """
    one_row_each(
        served, ["response_id", "semel_mosad"], "served schools repeat by response and school"
    )
    one_row_each(need, "semel_mosad", "the need of a school is given twice")
    known = need.filter(pl.col("need").is_finite())
    every_row(known, pl.col("need_se") >= 0, "every need requires need_se of 0 or more")
    joined = served.join(
        known.select("semel_mosad", "need", "need_se"), on="semel_mosad", how="left"
    ).sort("response_id", "semel_mosad")
    reach = float(norm.ppf(0.5 + level / 2))
    rows = []
    for (response_id,), own in joined.group_by("response_id", maintain_order=True):
        whole = own.drop_nulls("need")
        is_in = whole["is_served"].to_numpy()
        value, error = whole["need"].to_numpy(), whole["need_se"].to_numpy()
        n, m = int(is_in.sum()), int((~is_in).sum())
        inside = float(value[is_in].mean()) if n else None
        outside = float(value[~is_in].mean()) if m else None
        result: list[float | None] = [None] * 4
        if inside is not None and outside is not None:
            weight = np.where(is_in, 1 / n, 1 / m)
            half = reach * float(np.sqrt(((weight * error) ** 2).sum()))
            rng = np.random.default_rng([seed, *str(response_id).encode()])
            lots = rng.permuted(np.tile(value, (draws, 1)), axis=1)[:, :n].mean(axis=1)
            gap, hits = inside - outside, int((lots <= inside + _EVEN).sum())
            result = [gap, gap - half, gap + half, (1 + hits) / (1 + draws)]
        missing = own.height - whole.height
        rows.append((response_id, n, m, missing, inside, outside, *result))
    return pl.DataFrame(
        rows,
        schema={
            "response_id": pl.String,
            "schools_served": pl.Int32,
            "schools_not_served": pl.Int32,
            "schools_without_need": pl.Int32,
            "need_served": pl.Float64,
            "need_not_served": pl.Float64,
            "need_difference": pl.Float64,
            "need_difference_lo": pl.Float64,
            "need_difference_hi": pl.Float64,
            "p_by_lot": pl.Float64,
        },
        orient="row",
    ).with_columns((pl.col("need_difference_hi") < -margin).fill_null(False).alias("is_regressive"))


def _whole_effects(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Return the verdict of each response over its target subjects, all pupils."""
    whole = verdicts.filter(pl.col("subject") == WHOLE)
    one_row_each(whole, "response_id", "verdicts repeat by response; pass those of all pupils")
    return whole.select(
        "response_id",
        "effect_sd",
        "effect_se_sd",
        "effect_lo_sd",
        "effect_hi_sd",
        "p_worthwhile",
        "local_sd",
        "local_se_sd",
        "information_pct",
        "verdict",
        "verdict_reason",
        "is_effective",
    )


def _kendall(amount: np.ndarray, effects: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return τ_b per draw (B, N) of effects, where each response counts `weights` times."""
    money = np.sign(amount[:, None] - amount[None, :])
    effect = np.sign(effects[:, :, None] - effects[:, None, :])
    pairs = weights[:, :, None] * weights[:, None, :]
    agree = (pairs * money * effect).sum(axis=(1, 2))
    untied = (pairs * np.abs(money)).sum(axis=(1, 2)) * (pairs * np.abs(effect)).sum(axis=(1, 2))
    return np.divide(agree, np.sqrt(untied), out=np.full(len(agree), np.nan), where=untied > 0)


def _standardised(values: np.ndarray) -> np.ndarray:
    if not values.size:
        return values
    spread = values.std(axis=1, keepdims=True)
    return (values - values.mean(axis=1, keepdims=True)) / np.maximum(spread, _EVEN)
