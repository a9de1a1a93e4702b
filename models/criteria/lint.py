"""Is a criterion specific, measurable and important, and does every field have one (R27, R28)."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

# finding → sentence in Hebrew and English
SENTENCES = {
    "no_measure": (
        "הקריטריון אינו קשור למדד, ולכן אי אפשר לבדוק אותו",
        "the criterion is bound to no measure, so nobody can check it",
    ),
    "unknown_measure": (
        "המדד של הקריטריון אינו נקלט",
        "the criterion's measure is not among those that are ingested",
    ),
    "no_threshold": (
        "לקריטריון אין סף או צד לסף",
        "the criterion has no threshold, or no side of it",
    ),
    "no_owner": ("לקריטריון אין בעלים", "nobody answers for the criterion"),
    "no_goal": ("הקריטריון אינו קשור ליעד", "the criterion serves no goal"),
    "unknown_goal": ("היעד של הקריטריון אינו מוכר", "the criterion's goal is not known"),
    "none": ("אין קריטריון בתחום זה", "no criterion in this field"),
}


def lint(
    criteria: pl.DataFrame,
    measures: Collection[str],
    goals: Collection[str],
    fields: Collection[str],
) -> pl.DataFrame:
    """Return what is wrong with each criterion, and the fields that have none.

    Args:
        criteria: rows of `stg_aim__criteria`, one version each.
        measures: columns that are measured.
        goals: ids of the department goals.
        fields: fields that should have a criterion.

    Returns:
        `criteria_field`, `criterion_id` ("none" for a field without criteria), `criterion_version`
        (0 there), `finding_code`, `finding_he`, `finding_en`. A criterion without a fault has no
        row.
    """
    empty = {
        "no_measure": pl.col("measure_id").is_null(),
        "unknown_measure": ~pl.col("measure_id").is_in(list(measures)),
        "no_threshold": pl.col("threshold").is_null() | pl.col("threshold_side").is_null(),
        "no_owner": pl.col("criterion_owner").is_null(),
        "no_goal": pl.col("goal_id").is_null(),
        "unknown_goal": ~pl.col("goal_id").is_in(list(goals)),
    }
    key = ("criteria_field", "criterion_id", "criterion_version")
    faults = [
        criteria.filter(fault).select(
            *key[:2], pl.col(key[2]).cast(pl.Int64), pl.lit(code).alias("finding_code")
        )
        for code, fault in empty.items()
    ]
    missing = sorted(set(fields) - set(criteria["criteria_field"]))
    faults.append(
        pl.DataFrame(
            [(name, "none", 0, "none") for name in missing],
            schema={
                key[0]: pl.String,
                key[1]: pl.String,
                key[2]: pl.Int64,
                "finding_code": pl.String,
            },
            orient="row",
        )
    )
    words = {place: {code: SENTENCES[code][place] for code in SENTENCES} for place in (0, 1)}
    return (
        pl.concat(faults)
        .with_columns(
            finding_he=pl.col("finding_code").replace_strict(words[0], return_dtype=pl.String),
            finding_en=pl.col("finding_code").replace_strict(words[1], return_dtype=pl.String),
        )
        .sort(*key, "finding_code")
    )
