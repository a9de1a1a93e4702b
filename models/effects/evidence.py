"""What a posterior effect rests on, told by weight: shares of its precision (R122)."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from models.checks import one_row_each
from models.effects.local import KEY


def evidence_shares(
    posterior: pl.DataFrame, designs: pl.DataFrame, *, assumed: Collection[str]
) -> pl.DataFrame:
    """Return how much of each response's posterior each kind of evidence makes.

    Precisions add up: that of the prior, 1 / prior_se², and of each used design,
    1 / (se² + bias²). A response over several subjects has the mean of their shares, as its effect
    is the mean of theirs.

    Args:
        posterior: rows of `combine` of the subjects a response is judged by: response_id, subject,
            prior_se_sd (> 0).
        designs: rows of `design_frame`; those used count.
        assumed: responses whose prior is an assumption, not literature on their kind.

    Returns:
        response_id, evidence_kind ("assumed", "literature", or "own_a" to "own_d": own pupils, by
        design grade), evidence_share_pct (of a response they add up to 100), subjects (that it is
        the mean of); sorted.

    Raises:
        ValueError: a response and subject twice.
    """
    one_row_each(posterior, KEY, "an effect is given twice for one response and subject")
    is_assumed = pl.col("response_id").is_in(list(assumed))
    prior = posterior.select(
        *KEY,
        pl.when(is_assumed).then(pl.lit("assumed")).otherwise(pl.lit("literature")).alias("kind"),
        precision=pl.col("prior_se_sd") ** -2,
    )
    own = (
        designs.filter("is_used")
        .join(posterior, on=KEY, how="semi")
        .select(
            *KEY,
            kind="own_" + pl.col("design_grade").str.to_lowercase(),
            precision=1 / (pl.col("effect_se_sd") ** 2 + pl.col("bias_sd") ** 2),
        )
    )
    subjects = posterior.group_by("response_id").agg(subjects=pl.len().cast(pl.Int32))
    return (
        pl.concat([prior, own])
        .sort(*KEY, "kind", "precision")
        .with_columns(share=pl.col("precision") / pl.col("precision").sum().over(KEY))
        .group_by("response_id", "kind", maintain_order=True)
        .agg(pl.col("share").sum())
        .join(subjects, on="response_id")
        .select(
            "response_id",
            evidence_kind="kind",
            evidence_share_pct=100 * pl.col("share") / pl.col("subjects"),
            subjects="subjects",
        )
        .sort("response_id", "evidence_kind")
    )
