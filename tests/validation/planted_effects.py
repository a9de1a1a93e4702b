"""Pupils, entries and schools of a generated city as the SQL makes them, beside the effects that
were planted.
"""

import polars as pl

from models.demo import generate, spec
from pipelines.warehouse.tables import nothing

INTERNAL_MEAN, INTERNAL_SD = spec.INTERNAL_MEAN, spec.INTERNAL_SD
KEY = ["pupil_hash", "school_year"]


def planted_coefficient(city, name, of=None):
    """Return a planted coefficient of a generated city."""
    held = pl.col("of").is_null() if of is None else pl.col("of") == of
    return (
        city.truth["true_coefficient"].filter(held, pl.col("coefficient") == name)["value"].item()
    )


def tables_of(city):
    """Return the tables that the step `effects` reads."""
    years = city.years
    merges = dict(city.files["merges.csv"].select(city.files["merges.csv"].columns[:2]).iter_rows())

    def all_years(name):
        rows = pl.concat([city.files[f"{name}_{year}.csv"] for year in years])
        rows = rows.rename({"pupil_id": "pupil_hash"}) if "pupil_id" in rows.columns else rows
        return rows.with_columns(pl.col("semel_mosad").replace(merges))

    outcomes = (
        all_years("pupil_scores")
        .filter("is_tested", pl.col("test_source") == "internal")
        .select(
            *KEY,
            "subject",
            "grade",
            "semel_mosad",
            ((pl.col("score") - INTERNAL_MEAN) / INTERNAL_SD).alias("outcome_sd"),
        )
    )
    pupils = all_years("pupils")
    absent = all_years("attendance").select(
        *KEY, (100.0 * pl.col("absence_days") / pl.col("school_days")).alias("absence_pct")
    )
    level = pupils.join(absent, on=KEY, how="left").select(
        *KEY,
        "semel_mosad",
        "grade",
        "nurture_decile",
        "is_sen_integration",
        (pl.col("years_in_israel") <= 2).fill_null(False).alias("is_new_immigrant"),
        "has_home_internet",
        "absence_pct",
    )
    entries = all_years("participation").select(
        *KEY,
        "response_id",
        "semel_mosad",
        "dose",
        "assignment_mechanism",
        pl.col("is_invited").alias("is_offered"),
        "selection_score",
    )
    sizes = pupils.group_by("semel_mosad", "school_year").agg(pl.len().alias("school_pupils"))
    served = (
        all_years("delivery")
        .group_by(
            "semel_mosad", "school_year", "response_id"
        )  # a school merged of two has two rows
        .agg(pl.col("participants").sum(), pl.col("dose").max())
        .join(sizes, on=["semel_mosad", "school_year"])
        .select(
            "semel_mosad",
            "school_year",
            "response_id",
            (pl.col("participants") * pl.col("dose") / pl.col("school_pupils")).alias(
                "served_share"
            ),
        )
    )
    means = (
        outcomes.sort(*KEY, "subject")
        .group_by("semel_mosad", "school_year", "subject", maintain_order=True)
        .agg(pl.col("outcome_sd").mean().alias("mean_sd"), pl.len().alias("tested_pupils"))
    )
    started = served.group_by("semel_mosad", "response_id").agg(
        pl.col("school_year").min().alias("started_year")
    )
    cells = (
        served.select("response_id")
        .unique()
        .join(means, how="cross")
        .join(served, on=["semel_mosad", "school_year", "response_id"], how="left")
        .join(started, on=["semel_mosad", "response_id"], how="left")
        .with_columns(pl.col("served_share").fill_null(0.0))
    )
    weak = pupils.filter(pl.col("nurture_decile") >= 8)
    return {
        "core_pupil_outcome": outcomes,
        "core_pupil_level": level,
        "core_response_entry": entries,
        "core_panel_cell": cells,
        "core_pupil_group": weak.select(
            *KEY, pl.lit("decile_8_10").alias("group_id"), "semel_mosad"
        ),
        "mart_effect_absence": nothing("mart_effect_absence"),
    }


def truth_of(city, least_decile=1):
    """Return response_id, subject, truth: the planted effect on participants, over all years.

    That of a full dose, with what is planted for weak deciles and where several responses meet; of
    participants from a decile on.
    """
    tables = tables_of(city)
    effects = city.truth["true_effect"]
    level = tables["core_pupil_level"].select(*KEY, "nurture_decile")
    listed = tables["core_response_entry"].filter(pl.col("dose") > 0).join(level, on=KEY)
    met = listed.with_columns((pl.len().over(KEY) > 1).alias("is_several")).filter(
        pl.col("nurture_decile") >= least_decile
    )
    own = (
        met.join(effects, on=["response_id", "semel_mosad"])
        .with_columns(
            pl.when(pl.col("nurture_decile") >= spec.WEAK_DECILE)
            .then("effect_weak_sd")
            .otherwise("effect_sd")
            .alias("effect")
        )
        .with_columns(
            pl.when("is_several")
            .then(pl.col("effect") * planted_coefficient(city, "overlap"))
            .otherwise("effect")
            .alias("effect")
        )
    )
    targeted = own.group_by("response_id", "subject").agg(pl.col("effect").mean().alias("truth"))
    whole = (
        effects.filter("is_served")
        .join(targeted, on=["response_id", "subject"], how="anti")
        .group_by("response_id", "subject")
        .agg(pl.col("effect_sd").mean().alias("truth"))
    )
    return pl.concat([targeted, whole]).sort("response_id", "subject")


def planted(seed, profile="clean"):
    """Return a generated city's tables and its true effects."""
    city = generate(seed, profile)
    return city, tables_of(city), truth_of(city)
