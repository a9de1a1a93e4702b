"""How much classes differ in one school and grade, which a mean of few does not average out."""

from __future__ import annotations

import polars as pl

LEAST_CLASSES = 20  # degrees of freedom below which a class variance would be a guess


def class_variance(classes: pl.DataFrame) -> pl.DataFrame:
    """Estimate the variance between classes and within them, by scale and subject.

    Model, for class c of one school × subject × grade × year: y = cell + a[c] + e, with the
    variances of a and e equal in all cells of a scale and subject. They follow from the mean
    squares between and within classes, pooled over cells (unbalanced one-way analysis of variance):

        within = SSW / Σ(n - 1),   between = (SSB - df · within) / Σ(N - Σn²/N),   not below 0

    The error of a school mean is then √(between · Σn²/N² + within / N): with two classes of 30 it
    is that of far fewer than 60 independent pupils.

    Args:
        classes: semel_mosad, subject, grade, school_year, scale_id, class_id, class_pupils
            (tested), class_mean, class_variance (of the pupils' scores; null for one pupil). In
            points of the scale.

    Returns:
        scale_id, subject, between_variance, within_variance (points²), classes, cells; sorted. A
        scale and subject with fewer than 20 classes to compare is absent.

    Source: Searle, Casella & McCulloch (1992), ch. 3; R33.
    """
    cell = ["scale_id", "subject", "semel_mosad", "grade", "school_year"]
    of = ["scale_id", "subject"]
    ordered = classes.sort(*cell, "class_id")
    n, mean = pl.col("class_pupils").cast(pl.Float64), pl.col("class_mean")
    centred = ordered.with_columns(((n * mean).sum() / n.sum()).over(cell).alias("centre"))
    by_cell = centred.group_by(cell, maintain_order=True).agg(
        pl.len().alias("classes"),
        (n * (mean - pl.col("centre")) ** 2).sum().alias("between_squares"),
        ((n - 1) * pl.col("class_variance").fill_null(0.0)).sum().alias("within_squares"),
        (n - 1).sum().alias("within_freedom"),
        (n.sum() - (n**2).sum() / n.sum()).alias("size"),
    )
    total = by_cell.group_by(of, maintain_order=True).agg(
        (pl.col("classes") - 1).cast(pl.Float64).sum().alias("freedom"),
        pl.col("classes").sum(),
        pl.len().alias("cells"),
        pl.col("between_squares", "within_squares", "within_freedom", "size").sum(),
    )
    within = pl.col("within_squares") / pl.col("within_freedom")
    return (
        total.filter(pl.col("freedom") >= LEAST_CLASSES, pl.col("within_freedom") > 0)
        .with_columns(within.alias("within_variance"))
        .select(
            *of,
            (
                (pl.col("between_squares") - pl.col("freedom") * pl.col("within_variance"))
                / pl.col("size")
            )
            .clip(0.0)
            .alias("between_variance"),
            "within_variance",
            pl.col("classes").cast(pl.Int32),
            pl.col("cells").cast(pl.Int32),
        )
        .sort(of)
    )
