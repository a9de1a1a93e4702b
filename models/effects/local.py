"""One local estimate from those of several designs, with its sampling error and its bias."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import NamedTuple

import numpy as np
import polars as pl

from models.effects.estimate import Estimate, GroupContrast

# What a design can get wrong even with many pupils, in pupil SD (domain_methods §2d).
BIAS_SD = {"A": 0.0, "B": 0.02, "C": 0.05, "D": 0.10}
# The best grade that an estimate with a doubt can have; E: it shows nothing by itself.
DOUBTS = {
    "pre_trend": "E",
    "reversion_unchecked": "E",
    "few_schools": "E",
    "poor_overlap": "E",
    "attrition": "D",
    "placebo_fails": "D",
    "placebo_subject": "D",
    "uneven_density": "D",
}
KEY = ["response_id", "subject"]
# These two compare the same pupils; a lottery or a threshold has schools of its own.
_ONE_OF = ("panel", "matching")
_CHANCE = 1.645  # errors a placebo may be off zero by chance, at 90 %
_DESIGNS = {
    "response_id": pl.String,
    "subject": pl.String,
    "design": pl.String,
    "design_grade": pl.String,
    "effect_sd": pl.Float64,
    "effect_se_sd": pl.Float64,
    "itt_sd": pl.Float64,
    "itt_se_sd": pl.Float64,
    "p_value": pl.Float64,
    "treated_pupils": pl.Int32,
    "control_pupils": pl.Int32,
    "clusters": pl.Int32,
    "schools": pl.Int32,
    "placebo_sd": pl.Float64,
    "placebo_se_sd": pl.Float64,
    "mde_sd": pl.Float64,
    "shown_bias_sd": pl.Float64,
    "doubts": pl.String,
}


class GroupEffect(NamedTuple):
    """A response's effect on a group of pupils, in pupil SD; see `group_effect`."""

    effect_sd: float
    effect_se_sd: float
    plain_sd: float
    plain_se_sd: float
    spread_sd: float


def design_frame(
    estimates: Mapping[tuple[str, str, str], Estimate],
    *,
    school_spread_sd: float,
    bias_sd: Mapping[str, float] = BIAS_SD,
    doubts: Mapping[str, str] = DOUBTS,
) -> pl.DataFrame:
    """Return every design's estimate with the bias it may have, and whether it is used.

    The grade is the worst of the design's own and of what its doubts allow.
    bias² = bias(grade)² + school_spread² / schools + shown² + max(0, placebo² - (1.645 placebo
    error)²). The second part: what one or two schools' participants gain is not what those of all
    schools gain. The third: what the design itself shows, such as bounds. The last: a placebo off
    zero beyond chance shows a bias that no number of pupils removes. Of panel and matching, which
    compare the same pupils, only the one with the smaller total error is used. A weak estimate is
    used only where there is no other.

    Args:
        estimates: the estimate of each response, subject and design.
        school_spread_sd: how far effects differ between schools, pupil SD.
        bias_sd: what each grade can get wrong even with many pupils, pupil SD.
        doubts: the best grade an estimate with a doubt can have; E: it is weak, whatever it says.

    Returns:
        response_id, subject, design, the fields of `Estimate` (doubts joined by commas;
        shown_bias_sd is in bias_sd), bias_sd (null where there is no estimate), is_used, is_weak;
        sorted.
    """
    rows = pl.DataFrame(
        [
            {
                **asdict(one),
                "doubts": ",".join(one.doubts),
                "design_grade": max(
                    one.design_grade, *(min(doubts.get(code, "A"), "D") for code in one.doubts), "A"
                ),
                "is_weak": any(doubts.get(code) == "E" for code in one.doubts),
                "response_id": r,
                "subject": s,
                "design": d,
            }
            for (r, s, d), one in estimates.items()
        ],
        schema=_DESIGNS | {"is_weak": pl.Boolean},
    ).sort(*KEY, "design")
    beyond = (pl.col("placebo_sd") ** 2 - (_CHANCE * pl.col("placebo_se_sd")) ** 2).clip(0)
    shown = pl.col("shown_bias_sd") ** 2 + beyond.fill_null(0.0)
    elsewhere = (
        pl.when(pl.col("schools") > 0).then(school_spread_sd**2 / pl.col("schools")).otherwise(0.0)
    )
    grade = pl.col("design_grade").replace_strict(
        dict(bias_sd), default=None, return_dtype=pl.Float64
    )
    total = pl.col("effect_se_sd") ** 2 + pl.col("bias_sd") ** 2
    is_rival = pl.col("design").is_in(_ONE_OF)
    known = pl.col("bias_sd").is_not_null()
    # Where any design is not weak, the weak ones have no say.
    asked = known & (~pl.col("is_weak") | ~(known & ~pl.col("is_weak")).any().over(KEY))
    return (
        rows.with_columns(
            pl.when(pl.col("effect_sd").is_not_null() & (pl.col("effect_se_sd") > 0))
            .then((grade**2 + elsewhere + shown).sqrt())
            .alias("bias_sd")
        )
        .with_columns(asked.alias("is_used"))
        .with_columns(
            pl.col("is_used")
            & (~is_rival | (total == total.min().over([*KEY, is_rival, "is_used"]))).fill_null(
                False
            )
        )
        .drop("shown_bias_sd")
    )


def local_estimates(designs: pl.DataFrame) -> pl.DataFrame:
    """Return one local estimate per response and subject: the used designs, by total precision.

    With weights w ∝ 1 / (se² + bias²) the error's two parts stay apart: se² = Σ w² se², bias² =
    Σ w² bias². The grade named is the weakest of them, and their shares stand beside it.

    Args:
        designs: rows of `design_frame`.

    Returns:
        response_id, subject, local_sd, local_se_sd, local_bias_sd, design_grade, design_shares
        (percent of the weight by grade, such as "A 25, D 75"), treated_pupils,
        schools (the most that a used design had: two designs may share theirs), doubts (of the used
        designs, comma-separated), is_weak (all used designs are); sorted; only where a design gave
        an estimate.
    """
    weight = 1 / (pl.col("effect_se_sd") ** 2 + pl.col("bias_sd") ** 2)
    return (
        designs.filter("is_used")
        .sort(*KEY, "design")
        .with_columns(weight.alias("weight"))
        .group_by(KEY, maintain_order=True)
        .agg(
            (pl.col("weight") / pl.col("weight").sum()).alias("share"),
            pl.col("effect_sd", "effect_se_sd", "bias_sd"),
            pl.col("design_grade").max(),
            (
                pl.col("design_grade")
                + " "
                + (100 * pl.col("weight") / pl.col("weight").sum()).round().cast(pl.Int32).cast(str)
            )
            .sort()
            .str.join(", ")
            .alias("design_shares"),
            pl.col("treated_pupils").sum(),
            pl.col("schools").max(),
            pl.col("doubts").str.split(",").explode(),
            pl.col("is_weak").all(),
        )
        .with_columns(
            pl.col("doubts")
            .list.filter(pl.element() != "")
            .list.unique()
            .list.sort()
            .list.join(",")
        )
        .explode("share", "effect_sd", "effect_se_sd", "bias_sd")
        .group_by(KEY, maintain_order=True)
        .agg(
            (pl.col("share") * pl.col("effect_sd")).sum().alias("local_sd"),
            ((pl.col("share") * pl.col("effect_se_sd")) ** 2).sum().sqrt().alias("local_se_sd"),
            ((pl.col("share") * pl.col("bias_sd")) ** 2).sum().sqrt().alias("local_bias_sd"),
            pl.col(
                "design_grade", "design_shares", "treated_pupils", "schools", "doubts", "is_weak"
            ).first(),
        )
    )


def group_effect(whole: tuple[float, float], contrast: GroupContrast, spread: float) -> GroupEffect:
    """Return a response's effect on one group of pupils from that on all and the difference.

    The effect on all, θ, is the mean over the group (share s of the participants) and the others.
    The group's own is θ + (1 - s) Δ with Δ = group - others ~ N(0, 2 · spread²), as either may
    differ from what is common. One design sees Δ with its sampling error; a bias that it has for
    both is not in Δ. θ comes from all designs and the literature; Δ tells (nearly) nothing of it,
    because pupils of both groups tell of θ in proportion to their numbers.

    Args:
        whole: the effect on all as it is known, and its error (bias included).
        contrast: how the group differs from the others, as one design sees it.
        spread: how far effects on groups differ from what is common, pupil SD (> 0).

    Returns:
        effect and error; the same without shrinking (what the data say, whatever effects may differ
        by); and the spread of (1 - s) Δ before any group's pupils are looked at; all in pupil SD.

    Raises:
        ValueError: if the share is not between 0 and 1, or an error or spread is not positive.

    Source: R61, R62; domain_methods §2d ("sub-group effects shrunk").
    """
    if not 0 < contrast.share < 1:
        raise ValueError(f"the share of the group must lie between 0 and 1; got {contrast.share}")
    if min(whole[1], contrast.difference_se_sd, spread) <= 0:
        raise ValueError("errors and spread must be positive")
    difference, noise = contrast.difference_sd, contrast.difference_se_sd**2
    before = 2 * spread**2
    pull = before / (before + noise)
    part = 1 - contrast.share
    return GroupEffect(
        whole[0] + part * pull * difference,
        float(np.sqrt(whole[1] ** 2 + part**2 * pull * noise)),
        whole[0] + part * difference,
        float(np.sqrt(whole[1] ** 2 + part**2 * noise)),
        float(part * np.sqrt(before)),
    )
