"""Gap cells of a generated city, straight from its files, beside the gaps that were planted."""

import polars as pl

from models.demo import generate
from models.gaps import class_variance

CELL = ["semel_mosad", "subject", "grade", "school_year", "scale_id"]
TARGET = {"INT": (72.0, 14.0), "L1": (500.0, 100.0), "L2": (510.0, 100.0)}
YEARS = range(2022, 2027)
CLASS_DESIGN_EFFECT = 1.45  # policy.yaml


def cells_of(city):
    """Return the cells as the SQL makes them: gap_raw_sd, gap_sampling_sd, tested_pupils."""
    rows = pl.concat([city.files[f"pupil_scores_{year}.csv"] for year in YEARS])
    classes = pl.concat(
        [
            city.files[f"pupils_{year}.csv"].select("pupil_id", "school_year", "class_id")
            for year in YEARS
        ]
    )
    merges = city.files["merges.csv"]
    old, new = merges.columns[:2]
    moved = dict(merges.select(old, new).iter_rows())
    sat = (
        rows.filter("is_tested", pl.col("score").is_not_null())
        .with_columns(pl.col("semel_mosad").replace(moved))
        .join(classes, on=["pupil_id", "school_year"], how="left")
    )
    by_class = (
        sat.group_by(*CELL, "class_id")
        .agg(
            pl.len().alias("class_pupils"),
            pl.col("score").mean().alias("class_mean"),
            pl.col("score").var().alias("class_variance"),
        )
        .sort(*CELL, "class_id")
    )
    size = pl.col("class_pupils").cast(pl.Float64)
    concentration = by_class.group_by(CELL).agg((size**2).sum() / size.sum() ** 2)
    target = pl.col("scale_id").replace_strict({k: v[0] for k, v in TARGET.items()})
    sd = pl.col("scale_id").replace_strict({k: v[1] for k, v in TARGET.items()})
    n = pl.col("tested_pupils")
    pupils = pl.when(n >= 10).then(pl.col("score_sd") ** 2).otherwise("within_variance")
    return (
        sat.group_by(CELL)
        .agg(
            pl.col("score").mean(),
            pl.col("score").std().alias("score_sd"),
            pl.len().alias("tested_pupils"),
        )
        .join(concentration.rename({"class_pupils": "concentration"}), on=CELL)
        .join(class_variance(by_class), on=["scale_id", "subject"], how="left")
        .with_columns(
            ((target - pl.col("score")) / sd).alias("gap_raw_sd"),
            pl.coalesce(
                (pl.col("between_variance") * pl.col("concentration") + pupils / n).sqrt() / sd,
                (CLASS_DESIGN_EFFECT / n).sqrt()  # of a city too small to tell classes apart
                * pl.when(n >= 10).then(pl.col("score_sd") / sd).otherwise(1.0),
            ).alias("gap_sampling_sd"),
        )
        .sort(CELL)
        .select(*CELL, "tested_pupils", "gap_raw_sd", "gap_sampling_sd")
    )


def with_truth(cells, city):
    """Add `truth`: the school's own state in the cell's year, and `truth_pupils`: its actual
    pupils'.

    The own state is lasting background + u + v + w + x + what was planted: what the school would
    show with its usual pupils, cohort and class luck apart. The actual pupils' mean holds that
    luck, which no test of the same pupils can tell from the school.
    """
    part = city.truth["true_component"]

    def of(name, *on):
        value = part.filter(pl.col("component") == name)
        return value.select("semel_mosad", *on, pl.col("value_sd").alias(f"part_{name}"))

    whole = city.truth["true_gap_grade"].filter(pl.col("group_id") == "all")
    yearly = (
        whole.join(of("school"), on="semel_mosad")
        .join(of("school_subject", "subject"), on=["semel_mosad", "subject"])
        .join(of("school_year", "school_year"), on=["semel_mosad", "school_year"])
        .join(
            of("school_subject_year", "subject", "school_year"),
            on=["semel_mosad", "subject", "school_year"],
        )
        .join(of("planted", "subject"), on=["semel_mosad", "subject"])
    )
    own = pl.sum_horizontal(pl.col("^part_.*$"))
    weight = pl.col("pupils").cast(pl.Float64)
    rest = pl.col("true_mean_sd") - own
    usual = (rest * weight).sum().over("semel_mosad", "subject") / weight.sum().over(
        "semel_mosad", "subject"
    )
    # Grades differ by stage (girls, programmes): the city's mean of a grade belongs to every
    # school.
    stage = ["subject", "grade", "school_year"]
    grade = (rest * weight).sum().over(stage) / weight.sum().over(stage)
    level = (rest * weight).sum().over("subject") / weight.sum().over("subject")
    states = yearly.with_columns((own + usual + grade - level).alias("state_sd"))
    target = pl.when(pl.col("scale_id") == "INT").then((72 - 71) / 14).otherwise(0.0)
    return (
        cells.with_columns(pl.col("grade", "school_year").cast(pl.Int64))
        .join(
            states.select(
                "semel_mosad",
                "subject",
                "grade",
                "school_year",
                "state_sd",
                "true_mean_sd",
                "pupils",
            ),
            on=["semel_mosad", "subject", "grade", "school_year"],
        )
        .with_columns(
            (target - pl.col("state_sd")).alias("truth"),
            (target - pl.col("true_mean_sd")).alias("truth_pupils"),
        )
    )


def planted_city(seed, profile="clean"):
    """Return a generated city and its cells with their truth."""
    city = generate(seed=seed, profile=profile)
    return city, with_truth(cells_of(city), city)
