"""How many pupils to expect in chronic absence, by school and grade; never which (R110)."""

from __future__ import annotations

import polars as pl

from models.retention import early_warning
from pipelines.diagnose.gates import GATES
from pipelines.settings.city import CityFolder
from pipelines.warehouse.tables import Step, Tables, nothing

FEATURES = (
    "absence_pct",
    "school_absence_pct",
    "pupil_level_sd",
    "nurture_decile",
    "is_new_immigrant",
    "is_sen_integration",
    "has_home_internet",
    "grade",
)
_MADE = (
    "mart_expected_absence",
    "mart_early_warning",
    "mart_early_warning_bin",
)


def retention(city: CityFolder, tables: Tables) -> Tables:
    """Return expected counts by school and next year's grade, and whether the model holds."""
    pupils = tables["core_pupil_level"]
    if pupils.is_empty():
        return {name: nothing(name) for name in _MADE}
    newest = pupils["school_year"].max()
    seen = pupils.filter(
        pl.col("absence_pct").is_not_null(),
        # The oldest grade leaves: nobody is expected back from it.
        (pl.col("school_year") < newest) | (pl.col("grade") < pl.col("grade").max()),
    ).sort("semel_mosad", "school_year", "pupil_hash")
    ahead = seen.filter(pl.col("school_year") == newest)
    if ahead.is_empty() or ahead["is_chronic_next_year"].is_not_null().all():
        return {name: nothing(name) for name in _MADE}
    found = early_warning(
        seen.with_columns(
            pl.col("absence_pct")
            .mean()
            .over("semel_mosad", "school_year")
            .alias("school_absence_pct"),
            pl.col("is_chronic_next_year").alias("outcome"),
        ),
        FEATURES,
    )
    return {
        "mart_expected_absence": (
            found.expected.rename(
                {
                    "pupils": "moving_pupils",
                    "expected_pupils": "absent_expected_pupils",
                    "expected_lo_pupils": "absent_lo_pupils",
                    "expected_hi_pupils": "absent_hi_pupils",
                }
            ).with_columns(
                pl.lit(newest, pl.Int32).alias("school_year"),
                pl.lit(found.is_used).alias("is_modelled"),
                pl.lit(found.reason_code).alias("model_verdict"),
            )
        ),
        "mart_early_warning": found.validation.rename(
            {"value": "metric_value", "value_lo": "metric_lo", "value_hi": "metric_hi"}
        ),
        "mart_early_warning_bin": found.reliability.rename(
            {"pupils": "bin_pupils", "bin": "risk_bin"}
        ),
    }


STEPS = (
    Step(
        "retention",
        "diagnose",
        makes=_MADE,
        reads=("core_pupil_level",),
        after=GATES,
        compute=retention,
    ),
)
