"""The pupils that effects are estimated from: a row a pupil and year, with the years before."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipelines.warehouse.tables import Tables

PUPIL_YEAR = ["pupil_hash", "school_year"]
BACKGROUND = ("nurture_decile", "is_sen_integration", "is_new_immigrant", "has_home_internet")
_IN_GROUP = "is_in_"
READS = ("core_pupil_level", "core_pupil_outcome", "core_response_entry")


def score(subject: str) -> str:
    """Return the column of this year's score in a subject."""
    return f"score_{subject}"


def before(subject: str) -> str:
    """Return the column of last year's score in a subject."""
    return f"before_{subject}"


def earlier(subject: str) -> str:
    """Return the column of the score two years ago in a subject."""
    return f"earlier_{subject}"


def dose(response_id: str) -> str:
    """Return the column of this year's dose of a response."""
    return f"dose_{response_id}"


def dose_before(response_id: str) -> str:
    """Return the column of the largest dose of a response in any earlier year."""
    return f"dose_before_{response_id}"


def group(group_id: str) -> str:
    """Return the column that tells who is in a group this year."""
    return f"{_IN_GROUP}{group_id}"


def group_of(column: str) -> str:
    """Return the group of a column named by `group`."""
    return column.removeprefix(_IN_GROUP)


def pupil_years(tables: Tables) -> pl.DataFrame:
    """Return the registered pupils of every school year, in the order of their key.

    Columns: pupil_hash, school_year, semel_mosad, grade, `BACKGROUND`, absence_pct,
        absence_before_pct
    and absence_earlier_pct (of this year, last year and two years ago); per subject `score`,
    `before` and `earlier` (pupil SD, null = no internal test); per targeted response `dose` (0 =
    none; null = nobody reported that year) and `dose_before`, the largest dose of the reported
    years before (null = there are none).
    """
    scores = tables["core_pupil_outcome"].sort(*PUPIL_YEAR, "subject")
    subjects = sorted(scores["subject"].unique())
    wide = scores.pivot("subject", index=PUPIL_YEAR, values="outcome_sd").rename(
        {subject: score(subject) for subject in subjects}
    )
    entries = tables["core_response_entry"].sort(*PUPIL_YEAR, "response_id")
    responses = sorted(entries["response_id"].unique())
    doses = entries.pivot("response_id", index=PUPIL_YEAR, values="dose").rename(
        {response: dose(response) for response in responses}
    )
    reported = entries["school_year"].unique().sort()
    in_report = pl.col("school_year").is_in(reported.implode())
    rows = (
        tables["core_pupil_level"]
        .select(*PUPIL_YEAR, "semel_mosad", "grade", *BACKGROUND, "absence_pct")
        .join(wide, on=PUPIL_YEAR, how="left")
        .join(doses, on=PUPIL_YEAR, how="left")
        .sort(PUPIL_YEAR)
        .with_columns(
            pl.when(in_report).then(pl.col(dose(r)).fill_null(0.0)).alias(dose(r))
            for r in responses
        )
        .with_columns(
            # A pupil who was not in the city in a reported year had none of its responses then.
            pl.when(pl.col("school_year") > reported.min())
            .then(pl.col(dose(r)).cum_max().shift(1).over("pupil_hash").fill_null(0.0))
            .alias(dose_before(r))
            for r in responses
        )
    )
    now = rows
    for years, name, column in ((1, "before", before), (2, "earlier", earlier)):
        past = now.select(
            "pupil_hash",
            pl.col("school_year") + years,
            *(pl.col(score(s)).alias(column(s)) for s in subjects),
            pl.col("absence_pct").alias(f"absence_{name}_pct"),
        )
        rows = rows.join(past, on=PUPIL_YEAR, how="left")
    return rows.sort(PUPIL_YEAR)


def with_groups(rows: pl.DataFrame, tables: Tables, groups: Sequence[str]) -> pl.DataFrame:
    """Return pupil years with a yes/no column per group, in the order they came in."""
    for group_id in groups:
        here = tables["core_pupil_group"].filter(pl.col("group_id") == group_id).select(PUPIL_YEAR)
        rows = rows.join(
            here.with_columns(pl.lit(True).alias(group(group_id))),
            on=PUPIL_YEAR,
            how="left",
            maintain_order="left",
        )
    return rows.with_columns(pl.col([group(name) for name in groups]).fill_null(False))
